"""The work of pseudo_label: teachers to candidates to a gated, balanced set."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from components import entry, knobs, progress
from components.artifacts import pseudo, reference, shards
from components.errors import DataError
from components.pseudo_label import page, selection, teachers
from components.pseudo_label.outcome import Average, Gate, Outcome
from components.pseudo_label.selection import Selection
from components.pseudo_label.settings import Inputs, Settings
from components.pseudo_label.teachers import Rows, Teachers
from components.vision import bootstrap, fusion, tasks
from components.vision.metrics import Floats

_SOURCES = {"pool": ("pool",), "test": ("test",), "both": ("pool", "test")}


def run(settings: Settings, inputs: Inputs, outputs: entry.Outputs) -> entry.Summary:
    """Makes the pseudo-labels of one attribute; a set may be empty, with the reason on the page.

    Raises:
        DataError: teachers that do not fit each other or the shards.
    """
    index = shards.read_shards_index(inputs.shards)
    _refuse_task(index)
    found = teachers.read(inputs.predictions, inputs.checkpoints)
    if (index["attribute"], index["classes"]) != (found.attribute, found.classes):
        raise DataError(
            f"the shards are of {index['attribute']}, the teachers of {found.attribute}; give those they saw"
        )
    valid = found.rows.take(np.array(found.rows.split) == "valid")
    average = _average(valid, found.names, settings, inputs.seed)
    candidates, excluded = _candidates(found, _held_out(inputs.shards, index, found, valid), settings)
    probabilities = fusion.weighted_mean(candidates.stack, average.weights)
    prior = selection.prior_of(valid.label, len(found.classes))
    limit = int(settings.max_share * _labelled_rows(index, found.folds))
    chosen = selection.select(probabilities, prior, limit, settings)
    gate = _gate(valid, average, chosen, settings)
    progress.log(f"{len(candidates.image_id):,} candidates; {gate.reason}")
    outcome = Outcome(found, average, candidates, excluded, prior, chosen, gate)
    content = outcome.content(settings)
    with reference.draft(inputs.data_root, "pseudo") as draft:
        table = _table(candidates, probabilities, outcome.kept, settings)
        pq.write_table(table, draft.folder / pseudo.FILE, compression="zstd")
        parents = [Path(uri).name for uri in [inputs.shards, *inputs.predictions, *inputs.checkpoints]]
        made_by = {"step": "pseudo_label", "settings": knobs.as_mapping(settings) | {"seed": inputs.seed}}
        published = draft.commit(content, made_by | {"parents": parents})
    outputs.write_text("pseudo_report", page.render(content))
    return entry.Summary({"pseudo": published}, {"pseudo_report": {"rows": content["rows"], "reason": gate.reason}})


def _refuse_task(index: dict[str, Any]) -> None:
    """Raises DataError where no class alone is right: how sure a model is of "its" class means nothing there."""
    task = tasks.of(index)
    if not task.is_exclusive:
        raise DataError(
            f"{index['attribute']!r} has task={task.name}: pseudo-labels are made where exactly one class is right; "
            "set generations.pseudo=false"
        )


def _average(valid: Rows, names: list[str], settings: Settings, seed: int) -> Average:
    """All teachers alike, unless validation shows that the best one alone is better."""
    equal = fusion.equal_weights(len(names))
    if len(names) == 1 or not valid.label:
        return Average(equal, ", ".join(names), None)
    merits = [bootstrap.exact(part, valid.label) for part in valid.stack]
    best = int(np.nan_to_num(merits, nan=-1).argmax())
    fused = fusion.weighted_mean(valid.stack, equal)
    against = bootstrap.paired_bootstrap(
        fused, valid.stack[best], valid.label, valid.group, "ap", settings.resamples, seed
    )
    if against.verdict == bootstrap.LOSS:
        return Average(np.eye(len(names))[best], f"{names[best]} alone, which beats the average", against)
    return Average(equal, ", ".join(names), against)


def _held_out(uri: str, index: dict[str, Any], found: Teachers, valid: Rows) -> npt.NDArray[np.int64]:
    """Duplicate components of every picture of the validation folds, whatever its round."""
    names = [name for name, (fold, _) in shards.labelled_groups(index["groups"]).items() if fold in found.folds]
    seen = [record.group for record in shards.read_examples(shards.group_files(uri, names))]
    return np.union1d(np.array(seen, dtype=np.int64), valid.group)


def _candidates(found: Teachers, held_out: npt.NDArray[np.int64], settings: Settings) -> tuple[Rows, dict[str, int]]:
    """Pictures that may be labelled, each duplicate component once, and how many were left out for what reason."""
    rows = found.rows.take(np.isin(np.array(found.rows.split, dtype=str), _SOURCES[settings.source]))
    names = Counter(rows.image_id)
    reasons = {
        "validation_copies": np.isin(rows.group, held_out),
        "black": np.array([name in found.black for name in rows.image_id], dtype=bool),
        # A question may carry the name of a pool picture; train finds its rows by name.
        "same_name": np.array([names[name] > 1 for name in rows.image_id], dtype=bool),
    }
    left = np.ones(len(rows.image_id), dtype=bool)
    counts = {}
    for reason, mask in reasons.items():
        counts[reason] = int((left & mask).sum())
        left &= ~mask
    places = np.flatnonzero(left)
    first = np.zeros_like(left)
    first[places[np.unique(rows.group[places], return_index=True)[1]]] = True
    return rows.take(first), counts | {"copies": int((left & ~first).sum())}


def _labelled_rows(index: dict[str, Any], folds: set[int]) -> int:
    labelled = shards.labelled_groups(index["groups"])
    return sum(index["groups"][name]["count"] for name, (fold, _) in labelled.items() if fold not in folds)


def _gate(valid: Rows, average: Average, chosen: Selection, settings: Settings) -> Gate:
    fused = fusion.weighted_mean(valid.stack, average.weights)
    precision = selection.estimated_precision(fused, valid.label, chosen.thresholds)
    floor = settings.min_precision
    if not len(chosen.chosen):
        return Gate(False, "no candidate is confident enough within the caps", precision)
    if precision.rows < settings.min_valid:
        few = f"{precision.rows} validation rows are as confident"
        return Gate(False, f"{few}, fewer than min_valid={settings.min_valid}; the precision is unknown", precision)
    interval = f"{precision.value:.4f} ({precision.low:.4f} to {precision.high:.4f})"
    words = f"precision {interval}, estimated on {precision.rows:,} validation rows,"
    if precision.low < floor:
        return Gate(False, f"{words} may lie below min_precision={floor:g}; nothing is labelled", precision)
    labelled = f"{len(chosen.chosen):,} pictures labelled"
    return Gate(True, f"{words} lies above min_precision={floor:g}; {labelled}", precision)


def _table(rows: Rows, probabilities: Floats, kept: npt.NDArray[np.int64], settings: Settings) -> pa.Table:
    targets = selection.sharpened(probabilities[kept], settings.sharpening)
    columns = [
        [rows.image_id[i] for i in kept],
        [rows.split[i] for i in kept],
        targets.tolist(),
        [settings.weight] * len(kept),
        probabilities[kept].max(axis=1).tolist() if len(kept) else [],
        probabilities[kept].argmax(axis=1).tolist() if len(kept) else [],
    ]
    arrays = [pa.array(values, type=field.type) for values, field in zip(columns, pseudo.SCHEMA, strict=True)]
    return pa.Table.from_arrays(arrays, schema=pseudo.SCHEMA)
