"""The data report: what was found, in numbers, and the few rows that somebody should look at."""

import base64
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import jinja2
import numpy as np
import pandas as pd

from components.ingest import labels
from components.ingest.conflicts import Event
from components.ingest.pictures import Pictures
from components.ingest.rows import Reading, Rejected, Round, category
from components.ingest.settings import Settings
from components.vision.duplicates import Duplicates

_LISTED = 20
_LARGE_GROUP = 50


@dataclass(frozen=True)
class Findings:
    """Everything the step found out; `rows` and `pairs` are the tables of `table.build` and `table.pairs`."""

    settings: Settings
    rounds: list[Round]
    reading: Reading
    pictures: Pictures
    duplicates: Duplicates
    rows: pd.DataFrame
    pairs: pd.DataFrame
    events: list[Event]
    num_leaks: int
    num_folds: int


def counts(findings: Findings, attribute: str, round: int | None = None) -> dict[str, Any]:
    """One attribute, in all rounds or one, in numbers.

    labelled, pool, test and refused are rows by kind. Of the labelled ones fuzzy have an m, exact and near show the
    same as another picture of the data set, merged and dropped is what became of them, kept is what remains, and
    per_class are the kept ones of every class.
    """
    rows = findings.rows[findings.rows.attribute == attribute]
    rows = rows if round is None else rows[rows["round"] == round]
    labelled = rows[rows.kind == "labelled"]
    kept = labelled[labelled.keep]
    merged = [row for event in findings.events if event.outcome == "merged" for row in event.rows]
    dropped = Counter(map(category, labelled.reason[~labelled.keep]))
    num_classes = len(findings.reading.attributes[attribute].classes)
    refused = [row for row in findings.reading.rejected if row.attribute == attribute]
    return {
        "labelled": len(labelled),
        "kept": len(kept),
        "refused": len(refused) if round is None else _num_in_round(refused, findings.rounds[round - 1]),
        "fuzzy": sum("m" in label for label in labelled.source_label),
        "exact": int(labelled.picture.isin(findings.duplicates.exact.ravel()).sum()),
        "near": int(labelled.first_copy.isin(findings.duplicates.near.ravel()).sum()),
        "merged": int(labelled.index.isin(merged).sum()),
        "dropped_exact": dropped["exact duplicate"],
        "dropped_conflict": dropped["conflict"],
        "dropped_leak": dropped["test leak"],
        "pool": int((rows.kind == "pool").sum()),
        "test": int((rows.kind == "test").sum()),
        "per_class": _per_class(list(kept.label), num_classes),
    }


def _per_class(found: list[str], num_classes: int) -> list[int]:
    """Labels that call each class y; a number speaks of the only class that there is."""
    if num_classes == 1:
        return [len(found)]
    places = np.array([i for label in found for i in labels.positions(label)], np.int64)
    return [int(n) for n in np.bincount(places, minlength=num_classes)]


def metrics(findings: Findings) -> dict[str, Any]:
    """The report's totals and each attribute's counts as flat numbers, for the Metrics artifact."""
    flat = dict(_totals(findings))
    for name in findings.reading.attributes:
        numbers = counts(findings, name)
        flat |= {f"{name}.{key}": value for key, value in numbers.items() if key != "per_class"}
        flat[f"{name}.empty_classes"] = numbers["per_class"].count(0)
    return flat


def page(findings: Findings) -> str:
    """The report as one self-contained HTML page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("report.html").render(
        totals=_totals(findings),
        attributes=[_attribute(findings, name) for name in findings.reading.attributes],
        refused=_refused(findings),
        conflicts=[_conflict(findings, event) for event in findings.events[:_LISTED]],
        num_conflicts=len(findings.events),
        pairs=list(_near_pairs(findings)),
        num_pairs=len(findings.duplicates.near),
        across=sorted(Counter(a for a in findings.pairs.across if a).items()),
        notes=[*findings.reading.notes, *_notes(findings)],
        folds=range(findings.num_folds),
        settings=findings.settings,
    )


def _totals(findings: Findings) -> dict[str, int]:
    rows, found = findings.rows, findings.duplicates
    outcomes = Counter(event.outcome for event in findings.events)
    return {
        "pictures": int((findings.pictures.pixels != "").sum()),
        "labelled": int((rows.kind == "labelled").sum()),
        "kept": int(((rows.kind == "labelled") & rows.keep).sum()),
        "pool": int((rows.kind == "pool").sum()),
        "test": int((rows.kind == "test").sum()),
        "test_without_picture": int(((rows.kind == "test") & (rows.width == 0)).sum()),
        "rejected": len(findings.reading.rejected),
        "ignored": findings.reading.ignored.total(),
        "exact_duplicates": len(found.exact),
        "near_duplicates": len(found.near),
        "duplicate_groups": int((np.bincount(found.group) > 1).sum()),
        "conflicts_merged": outcomes["merged"],
        "conflicts_real": len(findings.events) - outcomes["merged"],
        "test_leaks": findings.num_leaks,
    }


def _attribute(findings: Findings, name: str) -> dict[str, Any]:
    attribute = findings.reading.attributes[name]
    rows = findings.rows[findings.rows.attribute == name]
    total = counts(findings, name)
    by_round = [(round.name, counts(findings, name, round.number)) for round in findings.rounds]
    kept = rows[(rows.kind == "labelled") & rows.keep]
    most = max(total["per_class"])
    classes = [
        {
            "name": c,
            "count": n,
            "percent": 100 * n / most,
            "by_round": [numbers["per_class"][i] for _, numbers in by_round],
        }
        for i, (c, n) in enumerate(zip(attribute.classes, total["per_class"], strict=True))
    ]
    return {
        "name": name,
        "ordinal": attribute.ordinal,
        "total": total,
        "rounds": by_round,
        "classes": classes,
        "per_fold": np.bincount(kept.fold, minlength=findings.num_folds).tolist(),
    }


def _num_in_round(rejected: list[Rejected], round: Round) -> int:
    return sum(row.file.startswith(f"{round.name}/") for row in rejected)


def _refused(findings: Findings) -> list[dict[str, Any]]:
    by_reason: dict[str, list[Any]] = {}
    for row in findings.reading.rejected:
        by_reason.setdefault(category(row.reason), []).append(row)
    ordered = sorted(by_reason.items(), key=lambda item: -len(item[1]))
    return [{"reason": reason, "count": len(rows), "examples": rows[:3]} for reason, rows in ordered]


def _conflict(findings: Findings, event: Event) -> dict[str, Any]:
    rows = findings.rows.loc[event.rows[:6]]
    pictures = [
        {"src": _source(findings, picture), "name": name, "label": label}
        for picture, name, label in zip(rows.picture, rows.image_id, event.labels[:6], strict=True)
    ]
    after = findings.rows.label[event.rows[0]] if event.outcome == "merged" else ""
    return {"attribute": event.attribute, "outcome": event.outcome, "pictures": pictures, "after": after}


def _near_pairs(findings: Findings) -> Iterator[dict[str, Any]]:
    near = findings.pairs[findings.pairs.kind == "near"]
    for pair, row in zip(findings.duplicates.near[:_LISTED], near.head(_LISTED).itertuples(), strict=True):
        yield {
            "sources": [_source(findings, picture) for picture in pair],
            "names": (row.image_a, row.image_b),
            "distance": row.distance,
            "across": row.across,
            "same_label": row.same_label,
        }


def _source(findings: Findings, picture: int) -> str:
    _, png = cv2.imencode(".png", np.asarray(findings.pictures.thumbnails[picture]))
    return f"data:image/png;base64,{base64.b64encode(png.tobytes()).decode()}"


def _notes(findings: Findings) -> Iterator[str]:
    settings, found = findings.settings, findings.duplicates
    for name, number in sorted(findings.reading.ignored.items()):
        yield f"{number} rows of {name} are ignored: this run did not ask for that attribute"
    for note, (number, path) in findings.pictures.notes.items():
        meaning = " (compared on grey)" if "alpha" in note else ""
        yield f"{number} pictures: {note}{meaning}, for instance {path}"
    if findings.num_folds < settings.folds:
        yield f"{findings.num_folds} folds instead of {settings.folds}: there are not more groups of labelled pictures"
    copies = int(findings.rows.reason.str.startswith("held out").sum())
    if copies:
        yield f"{copies} pictures to learn from show the same as one of val and are left out"
    for name in findings.reading.attributes:
        yield from _attribute_notes(findings, name)
    flat = int((findings.pictures.is_flat & (findings.pictures.pixels != "")).sum())
    if flat:
        yield f"{flat} pictures are of one grey: no near duplicates are looked for among them"
    if found.num_crowded:
        yield f"{found.num_crowded} pictures share their hash with over 256 others: only exact copies are found there"
    largest = int(np.bincount(found.group).max())
    if largest > _LARGE_GROUP:
        yield f"the largest duplicate group has {largest} pictures; if they are not copies, raise near_likeness"


def _attribute_notes(findings: Findings, name: str) -> Iterator[str]:
    classes = findings.reading.attributes[name].classes
    kept = findings.rows[(findings.rows.attribute == name) & (findings.rows.kind == "labelled") & findings.rows.keep]
    examples = _per_class(list(kept.label[~kept.held_out]), len(classes))
    empty = [c for c, n in zip(classes, examples, strict=True) if n == 0]
    if empty:
        where = " outside val" if kept.held_out.any() else ""
        yield f"{name} has no example of {', '.join(empty)}{where}: no model can learn it"
    written = Counter(map(str.casefold, classes))
    alike = [c for c in classes if written[c.casefold()] > 1]
    if alike:
        yield f"{name} has classes that differ in small and large letters only: {', '.join(alike)}"
    missing = sorted(set(range(findings.num_folds)) - set(kept.fold))
    if missing:
        yield (
            f"{name} has only {kept.group.nunique()} groups of pictures: fold {', '.join(map(str, missing))} "
            "holds none of it, so nothing can be measured there"
        )
