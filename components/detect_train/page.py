"""The page of detect_train: how loss, IOU and average precision went."""

from collections.abc import Mapping, Sequence

import numpy as np

from components.detect_train.outcome import Trained
from components.vision.detection import charts, log


def render(title: str, trained: Trained, facts: Sequence[tuple[str, str]]) -> str:
    """One page without scripts or outside files."""
    found = log.parse(trained.log)
    drawn = [charts.loss_chart(found), charts.iou_chart(found)]
    if trained.judgements:
        drawn.append(charts.lines("Validation", "iteration", _series(trained.judgements), low=0, high=1))
    return charts.page(title, "".join(drawn) + charts.table("This training", facts))


def _series(judgements: Sequence[Mapping[str, float]]) -> charts.Series:
    x = np.array([row["iteration"] for row in judgements])
    names = {"AP50": "ap50", "AP50:95": "ap"}
    return {name: (x, np.array([row[key] for row in judgements])) for name, key in names.items()}
