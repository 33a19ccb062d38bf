"""The sections of the page as plain values: texts, tables and charts, ready for the template."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from components.report import charts, numbers
from components.report.evidence import Attribute, Rows
from components.report.lineage import Node
from components.report.scores import Estimate, Scores, confusion, coverage, coverage_at
from components.report.settings import Settings
from components.vision import calibration, judging, tasks

OWN_NAMES = {
    "class_map": "mean AP over classes",
    "exact_match": "all classes of a picture right",
    "rank_error": "mean distance in ranks",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
}
MOST_COLUMNS, MOST_PAIRS = 40, 30  # of a confusion table: more columns nobody reads
NAMES = {"map": "mAP", "ap": "AP", "basic_precision": "BasicPrecision", "accuracy": "accuracy"}


def estimate(value: Estimate) -> dict[str, str]:
    """A value with its interval in words."""
    return {"value": numbers.share(value.value), "low": numbers.share(value.low), "high": numbers.share(value.high)}


def headline(scores: Scores) -> list[dict[str, str]]:
    """The numbers on top: the contest's three, and those of the task where there is one attribute only."""
    own = [e for found in scores.attributes.values() for e in found.own.items()]
    shown = [
        (NAMES[name], value) for name, value in scores.total.items() if scores.attributes.keys() - _numbers(scores)
    ]
    shown += [(OWN_NAMES[name], value) for name, value in own if len(scores.attributes) == 1]
    return [{"name": name, **estimate(value)} for name, value in shown]


def _numbers(scores: Scores) -> set[str]:
    """The attributes of regressions: nothing is right or wrong about them."""
    return {name for name, found in scores.attributes.items() if "mae" in found.own}


def metric_rows(scores: Scores) -> list[dict[str, Any]]:
    """One row an attribute: values with intervals, ECE, pictures, answers on `m`."""
    return [
        {
            "number": number,
            "attribute": name,
            "metrics": {key: estimate(value) for key, value in found.estimates.items()},
            "ece": numbers.share(found.ece),
            "count": numbers.count(found.score.count),
            "m_count": numbers.count(found.score.m_count),
        }
        for number, (name, found) in enumerate(scores.attributes.items(), 1)
        if name not in _numbers(scores)
    ]


def own_rows(scores: Scores) -> list[dict[str, Any]]:
    """What attributes of other tasks than one_of_k and binary are measured by besides, one row a measure."""
    return [
        {"attribute": name, "measure": OWN_NAMES[key], **estimate(value)}
        for name, found in scores.attributes.items()
        for key, value in found.own.items()
    ]


def class_table(attribute: Attribute) -> list[dict[str, str]]:
    """One row a class where several may be right: pictures with it, predicted as it, recall, precision, AP."""
    rows = attribute.valid
    if attribute.task.name != tasks.MULTI_LABEL or not rows.label:
        return []
    letters = np.array([list(label) for label in rows.label])
    return [_class_row(name, letters[:, i], rows, i) for i, name in enumerate(attribute.classes)]


def _class_row(name: str, letters: np.ndarray, rows: Rows, index: int) -> dict[str, str]:
    has, predicted = letters == "y", rows.predicted_as(index)
    right, asked = int((has & predicted).sum()), int((predicted & (letters != "m")).sum())
    ap = judging.mean_class_precision(rows.probability[:, [index]], list(letters))
    return {
        "name": name,
        "count": numbers.count(int(has.sum())),
        "predicted": numbers.count(int(predicted.sum())),
        "recall": numbers.percent(_share(right, int(has.sum()))),
        "precision": numbers.percent(_share(right, asked)),
        "ap": numbers.share(ap),
    }


def scatter(attribute: Attribute) -> Any:
    """The predicted number over the true one for a regression, else nothing."""
    if attribute.task.name != tasks.REGRESSION or not attribute.valid.label:
        return ""
    truth = [float(label) for label in attribute.valid.label]
    return charts.scatter(f"{attribute.name}: predicted over true", truth, attribute.valid.probability[:, 0].tolist())


def confusion_table(attribute: Attribute) -> dict[str, Any]:
    """Counts by labelled (row) and predicted class (column), with recall and precision.

    Above MOST_COLUMNS classes there are no columns, but `pairs`: the classes confused most often.
    """
    table = confusion(attribute.valid)
    totals, answered = table.sum(axis=1), table.sum(axis=0)
    is_whole = len(attribute.classes) <= MOST_COLUMNS
    rows = [
        {
            "index": i,
            "name": name,
            "cells": [_cell(int(n), int(totals[i]), i == j) for j, n in enumerate(table[i])] if is_whole else [],
            "count": numbers.count(int(totals[i])),
            "recall": numbers.percent(_share(table[i, i], totals[i])),
            "precision": numbers.percent(_share(table[i, i], answered[i])),
        }
        for i, name in enumerate(attribute.classes)
    ]
    columns = list(enumerate(attribute.classes)) if is_whole else []
    return {"classes": columns, "rows": rows, "pairs": None if is_whole else list(_confused(attribute.classes, table))}


def _confused(classes: Sequence[str], table: np.ndarray) -> Iterator[dict[str, str]]:
    """The pairs of classes that were confused most often, most first."""
    wrong = table - np.diag(np.diag(table))
    for place in np.argsort(-wrong, axis=None, kind="stable")[:MOST_PAIRS]:
        i, j = np.unravel_index(place, wrong.shape)
        if wrong[i, j]:
            share = numbers.percent(_share(wrong[i, j], table[i].sum()))
            count = numbers.count(int(wrong[i, j]))
            yield {"labelled": classes[i], "predicted": classes[j], "count": count, "share": share}


def confidence(attribute: Attribute, ece: float, settings: Settings) -> dict[str, Any]:
    """Reliability diagram, block-count curve and coverage at fixed precision, each with its table."""
    rows = attribute.valid.decisions
    bins = [b for b in calibration.reliability(rows.probability, rows.label, settings.bins) if b.count]
    columns = [b.confidence for b in bins], [b.accuracy for b in bins], [b.count for b in bins]
    return {
        "ece": numbers.share(ece),
        "reliability": charts.reliability(
            f"{attribute.name}: share right over confidence, ECE {numbers.share(ece)}", *columns
        ),
        "bins": [
            {
                "range": f"{b.low:.2f} to {b.high:.2f}",
                "count": numbers.count(b.count),
                "confidence": numbers.share(b.confidence),
                "accuracy": numbers.share(b.accuracy),
            }
            for b in bins
        ],
        "coverage": _coverage_chart(attribute.name, rows),
        "at": [(f"{p:g}", numbers.percent(coverage_at(rows, p))) for p in settings.precisions],
    }


def lineage_rows(nodes: Sequence[Node]) -> list[dict[str, Any]]:
    """One row a reference: kind, digest, what it is, weight in the ensemble and settings as text."""
    return [
        {
            "kind": n.kind,
            "digest": n.digest,
            "what": _what(n),
            "parents": _parents(n.content or {}),
            "settings": _settings((n.content or {}).get("settings", {})),
        }
        for n in nodes
    ]


def weights(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The ensemble's members with their weights, heaviest first."""
    given = content.get("weights") or {}
    return [(name, numbers.share(float(w))) for name, w in sorted(given.items(), key=lambda item: (-item[1], item[0]))]


def _cell(count: int, total: int, right: bool) -> dict[str, Any]:
    """A cell's count and its shade, 0 to 10 tenths of the row."""
    shade = math.ceil(10 * count / total) if total else 0
    return {"text": numbers.count(count) if count else "·", "shade": shade, "kind": "right" if right else "off"}


def _share(part: int, whole: int) -> float:
    return float(part) / float(whole) if whole else math.nan


def _coverage_chart(name: str, rows: Rows) -> Any:
    answered, precision = coverage(rows)
    keep = np.unique(np.linspace(0, len(answered) - 1, 200).astype(int)) if len(answered) else np.empty(0, dtype=int)
    low = min([0.9, *np.asarray(precision[keep]).tolist()])
    frame = charts.Frame((0.0, 1.0), (max(0.0, math.floor(low * 20) / 20), 1.0))
    line = charts.Series("precision", answered[keep].tolist(), precision[keep].tolist())
    return charts.lines(
        f"{name}: precision over the share of pictures answered", [line], ("share answered", "precision"), frame
    )


def _what(node: Node) -> str:
    if node.content is None:
        return "no longer there"
    parts = [node.content.get(key, "") for key in ("model", "phase", "backbone", "method", "generation")]
    return ", ".join(str(p) for p in parts if p)


def _parents(content: Mapping[str, Any]) -> list[str]:
    named = [content.get("checkpoint", ""), content.get("shards", ""), content.get("parent", "")]
    return [str(p) for p in [*content.get("inputs", []), *named] if p]


def _settings(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name, str(values[name])) for name in sorted(values)]
