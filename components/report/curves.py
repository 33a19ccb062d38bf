"""Learning curves of one model through its phases: two charts (loss, metric) and the table behind them."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import pandas as pd

from components.report import charts, numbers
from components.report.lineage import Training

LOSSES = ("valid_loss", "loss")
METRICS = ("valid_map", "valid_ap", "valid_accuracy", "valid_basic_precision", "accuracy")
NAMES = {"map": "AP", "ap": "AP", "basic_precision": "BasicPrecision"}
LINES = 4  # more than that on one chart cannot be told apart


def of_models(trainings: Sequence[Training]) -> list[dict[str, Any]]:
    """One entry a model: its name, two charts, legends and the rows of the table."""
    return [_model(name, list(of_model)) for name, of_model in groupby(trainings, key=lambda t: t.model)]


def _model(name: str, trainings: list[Training]) -> dict[str, Any]:
    whole = _joined(trainings)
    starts = [(float(rows["_x"].iloc[0]), phase) for phase, rows in whole.groupby("_phase", sort=False)]
    panels = [_panel(name, word, whole, columns, starts) for word, columns in _columns(whole).items() if columns]
    return {"model": name, "panels": panels, "table": _table(whole)}


def _joined(trainings: list[Training]) -> pd.DataFrame:
    """All epochs one after the other; `_x` counts them from 1, `_phase` says where each belongs."""
    parts = [t.history.assign(_phase=t.phase) for t in trainings if len(t.history)]
    if not parts:
        return pd.DataFrame({"_phase": [], "_x": []})
    whole = pd.concat(parts, ignore_index=True)
    return whole.assign(_x=range(1, len(whole) + 1))


def _columns(whole: pd.DataFrame) -> dict[str, list[str]]:
    return {
        "loss": [c for c in LOSSES if c in whole.columns][:LINES],
        "metric": [c for c in METRICS if c in whole.columns][:LINES],
    }


def _panel(
    model: str, word: str, whole: pd.DataFrame, columns: list[str], starts: list[tuple[float, str]]
) -> dict[str, Any]:
    phases = " then ".join(phase for _, phase in starts)
    lines = [
        charts.Series(c, part["_x"].tolist(), part[c].tolist(), kind)
        for kind, c in enumerate(columns)
        for _, part in whole.groupby("_phase", sort=False)
    ]
    chart = charts.lines(f"{word} of {model} by epoch: {phases}", lines, ("epoch", word), marks=starts)
    return {"chart": chart, "legend": [(kind, words(c)) for kind, c in enumerate(columns)]}


def _table(whole: pd.DataFrame) -> dict[str, Any]:
    columns = [c for group in _columns(whole).values() for c in group]
    rows = [
        {"phase": phase, "epoch": numbers.count(int(x)), "values": [numbers.plain(float(v)) for v in values]}
        for phase, x, values in zip(whole["_phase"], whole["_x"], whole[columns].to_numpy(), strict=True)
    ]
    return {"columns": [words(c) for c in columns], "rows": rows}


def words(column: str) -> str:
    """A column of a history as a person reads it: `valid_map` is `validation AP`, `loss` is `training loss`."""
    on, name = ("validation", column.removeprefix("valid_")) if column.startswith("valid_") else ("training", column)
    return f"{on} {NAMES.get(name, name)}"
