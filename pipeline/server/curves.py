"""Learning curves: the points of `::metric` lines as charts, each metric beside its validation, attempt by attempt."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.engine.records import Metric

MOST_POINTS = 600  # of a line; a chart is not wider
TABLE_ROWS = 100
VALIDATION = "valid_"


@dataclass(frozen=True)
class Series:
    """One line of a chart. `name` is the metric, `label` what stands in the legend."""

    name: str
    label: str
    attempt: int
    x: Sequence[float]
    y: Sequence[float]

    @property
    def latest(self) -> float:
        """Its last value."""
        return self.y[-1]


@dataclass(frozen=True)
class Chart:
    """A metric, and the same metric on validation where there is one."""

    name: str
    series: Sequence[Series]


@dataclass(frozen=True)
class Points:
    """The last points as a table: the columns after `attempt` and `step`, and the rows."""

    columns: Sequence[str]
    rows: Sequence[tuple[int, float, Sequence[float | None]]]
    total: int


def charts(metrics: Sequence[Metric]) -> list[Chart]:
    """Charts, what was validated first: it says how good the model is; speed and learning rate come last."""
    lines = [_series(metrics, name, attempt) for name, attempt in _lines_in(metrics)]
    several = len({m.attempt for m in metrics}) > 1
    found: dict[str, list[Series]] = {}
    for line in lines:
        label = ("validation" if line.name.startswith(VALIDATION) else "training") + (
            f", attempt {line.attempt}" if several else ""
        )
        made = Series(line.name, label, line.attempt, line.x, line.y)
        found.setdefault(line.name.removeprefix(VALIDATION), []).append(made)
    made_charts = [Chart(name.replace("_", " "), series) for name, series in found.items()]
    return sorted(made_charts, key=lambda chart: -sum(s.name.startswith(VALIDATION) for s in chart.series))


def points(metrics: Sequence[Metric]) -> Points:
    """The last points, newest first."""
    columns = list(dict.fromkeys(name for m in metrics for name in m.values))
    shown = metrics[-TABLE_ROWS:][::-1]
    return Points(columns, [(m.attempt, m.step, [m.values.get(c) for c in columns]) for m in shown], len(metrics))


def _lines_in(metrics: Sequence[Metric]) -> list[tuple[str, int]]:
    return list(dict.fromkeys((name, m.attempt) for m in metrics for name in m.values))


def _series(metrics: Sequence[Metric], name: str, attempt: int) -> Series:
    own = [(m.step, m.values[name]) for m in metrics if m.attempt == attempt and name in m.values]
    thin = (
        own if len(own) <= MOST_POINTS else [own[i * (len(own) - 1) // (MOST_POINTS - 1)] for i in range(MOST_POINTS)]
    )
    return Series(name, name, attempt, [x for x, _ in thin], [y for _, y in thin])
