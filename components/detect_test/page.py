"""The page of detect_test: the numbers, the charts of the log, precision against recall, best and worst pictures."""

import math

import numpy as np

from components.detect_test import gallery
from components.detect_test.evidence import Evidence
from components.detect_test.settings import Settings
from components.vision.detection import charts, log

_NAMES = {
    "ap50": "AP at IoU 0.5",
    "ap50_95": "AP at IoU 0.5 to 0.95",
    "precision": "precision at the score threshold",
    "recall": "recall at the score threshold",
    "pictures": "pictures",
    "boxes": "boxes there, groups left out",
    "found": "boxes found above the threshold",
}
_LEGEND = (
    "<p>Green: what is there (blue: a group, neither hit nor miss). Orange: what was found, with its score. "
    "Quality: the IoU of the hits, summed, over hits and half of what was missed or wrong.</p>"
)


def render(evidence: Evidence, settings: Settings, log_text: str) -> str:
    """One self-contained page."""
    entries = log.parse(log_text)
    drawn = [charts.loss_chart(entries), charts.iou_chart(entries), _precision_chart(evidence)]
    best, worst = gallery.ranked(evidence, settings.pictures)
    pictures = gallery.figures("Best pictures", best, evidence, settings.thumbnail_px)
    pictures += gallery.figures("Worst pictures", worst, evidence, settings.thumbnail_px)
    title = f"{', '.join(evidence.classes)}: the detector on the {settings.split} split"
    return charts.page(title, _numbers(evidence, settings) + "".join(drawn) + _LEGEND + pictures)


def _numbers(evidence: Evidence, settings: Settings) -> str:
    numbers = evidence.metrics
    rows = [(words, _text(numbers[name])) for name, words in _NAMES.items()]
    if math.isfinite(numbers["ap50_low"]):
        rows.insert(1, ("its 95 % interval", f"{numbers['ap50_low']:.4f} to {numbers['ap50_high']:.4f}"))
    rows.append(("score threshold", f"{settings.score_threshold:g}"))
    whole = charts.table("Numbers", rows)
    if len(evidence.classes) == 1:
        return whole
    by_class = zip(evidence.classes, evidence.judgement.by_class, strict=True)
    return whole + charts.table("AP50 by class", [(name, _text(float(values[0]))) for name, values in by_class])


def _text(value: float) -> str:
    if not math.isfinite(value):
        return "not defined"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def _precision_chart(evidence: Evidence) -> str:
    curve = evidence.curve
    # A curve begins where nothing is found yet: at the precision of the first box.
    recall = np.concatenate([[0.0], curve.recall]) if len(curve.recall) else curve.recall
    precision = np.concatenate([curve.precision[:1], curve.precision])
    return charts.lines("Precision", "recall", {"precision": (recall, precision)}, low=0, high=1, shares=True)
