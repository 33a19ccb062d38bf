"""Ingest: labels, pictures, duplicates, conflicts, folds, and a report about all of it."""

import tempfile
import textwrap
from pathlib import Path
from typing import Any

import pandas as pd

from components import entry, knobs, progress
from components.artifacts import manifest, reference
from components.ingest import conflicts, data_report, folds, layouts, limits, pictures, table
from components.ingest.attributes import Attribute
from components.ingest.data_report import Findings
from components.ingest.pictures import Pictures
from components.ingest.rows import Reading, Rejected, Round, open_rounds
from components.ingest.settings import Inputs, Settings
from components.vision import duplicates, tasks

CODE = "ingest 3"
"""Changes when the same data and settings give another manifest."""


def run(settings: Settings, inputs: Inputs, outputs: entry.Outputs) -> entry.Summary:
    """Writes the manifest and the data report.

    Raises:
        SettingsError: rounds or attributes that cannot be used.
        DataError: data that cannot be used as a whole; a single bad row goes to `rejected.parquet`.
    """
    rounds = open_rounds(inputs.rounds)
    reading = layouts.reader(settings.layout, rounds)(rounds, inputs.attributes)
    _log(reading)
    limits.check_share(reading, settings.max_rejected)
    with tempfile.TemporaryDirectory(prefix="seamline-ingest-") as folder:
        findings = _find(settings, inputs, rounds, reading, Path(folder))
        outputs.write_text("data_report", data_report.page(findings))
    result = _publish(settings, inputs, findings)
    return entry.Summary({"manifest": result}, {"metrics": data_report.metrics(findings)})


def _log(reading: Reading) -> None:
    progress.log(f"{len(reading.rows)} rows read, {len(reading.rejected)} refused")
    for name, attribute in reading.attributes.items():
        classes = textwrap.shorten(", ".join(attribute.classes), 200, placeholder=" ...")
        progress.log(f"{name}: {attribute.task} of {len(attribute.classes)} ({classes})")
    for note in reading.notes:
        progress.log(note)


def _find(settings: Settings, inputs: Inputs, rounds: list[Round], reading: Reading, folder: Path) -> Findings:
    seen = pictures.look_at_all(
        rounds, reading.rows, folder, max_megapixels=settings.max_megapixels, threads=settings.threads
    )
    _refuse_undecodable(reading, seen)
    limits.check_share(reading, settings.max_rejected)
    found = duplicates.find(seen, settings)
    progress.log(f"{len(found.exact)} exact and {len(found.near)} near duplicates")
    rows = table.build(reading.rows, rounds, seen, found)
    conflicts.drop_held_out_copies(rows)
    events = conflicts.settle(rows, settings.conflicts, {n: a.task for n, a in reading.attributes.items()})
    conflicts.drop_copies(rows, settings.exact_duplicates)
    num_leaks = conflicts.drop_leaks(rows, settings.test_leak)
    limits.check_attributes(rows, reading)
    num_folds = folds.usable(rows, settings.folds)
    rows["fold"] = folds.assign(rows, num_folds, inputs.seed)
    pairs = table.pairs(rows, found)
    return Findings(settings, rounds, reading, seen, found, rows, pairs, events, num_leaks, num_folds)


def _refuse_undecodable(reading: Reading, seen: Pictures) -> None:
    """Moves rows without a usable picture to the refused ones, but for questions: each wants an answer."""
    staying = []
    for row in reading.rows:
        reason = str(seen.reason[seen.number[row.round, row.path]])
        if reason and row.kind != "test":
            reading.rejected.append(Rejected(row.file, row.line, row.image_id, row.attribute, reason))
        else:
            staying.append(row)
    reading.rows[:] = staying


def _publish(settings: Settings, inputs: Inputs, findings: Findings) -> str:
    rejected = pd.DataFrame(sorted(findings.reading.rejected), columns=list(Rejected._fields))
    with reference.draft(inputs.data_root, manifest.KIND) as draft:
        manifest.write(findings.rows, draft.folder / manifest.FILE)
        manifest.write(rejected, draft.folder / manifest.REJECTED_FILE, manifest.REJECTED_SCHEMA)
        manifest.write(findings.pairs, draft.folder / manifest.DUPLICATES_FILE, manifest.DUPLICATES_SCHEMA)
        made_by = {"step": "ingest", "code": CODE, "settings": knobs.as_mapping(settings), "rounds": inputs.rounds}
        return draft.commit(_content(inputs.seed, findings), made_by)


def _content(seed: int, findings: Findings) -> dict[str, Any]:
    attributes = {
        name: {
            "classes": list(attribute.classes),
            "ordinal": attribute.ordinal,
            "counts": data_report.counts(findings, name),
            **_task(attribute),
        }
        for name, attribute in findings.reading.attributes.items()
    }
    rounds = [{"name": round.name, "digest": round.digest} for round in findings.rounds]
    return {"attributes": attributes, "rounds": rounds, "folds": findings.num_folds, "seed": seed}


def _task(attribute: Attribute) -> dict[str, str]:
    """What `tasks.of` reads later; one_of_k goes without saying."""
    return {} if attribute.task == tasks.ONE_OF_K else {"task": attribute.task}
