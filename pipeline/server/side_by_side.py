"""What differs between runs of any pipeline: parameters, durations, learning curves, last values of metrics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.engine import irtext
from pipeline.engine.reader import Reader
from pipeline.engine.records import Metric, Run, Task
from pipeline.words import task_word

ABSENT = "not there"
METRICS_TYPE = "system.Metrics"
PREFERRED = ("valid_map", "valid_accuracy", "valid_loss", "accuracy", "loss")
MOST_POINTS = 400  # of a line; a chart is not wider
MOST_CHARTS = 60


@dataclass(frozen=True)
class Difference:
    """A parameter that is not the same everywhere; one value a run, in their order."""

    name: str
    values: Sequence[Any]


@dataclass(frozen=True)
class Timing:
    """A task in one run. `origin` is the run whose execution it reused."""

    word: str
    seconds: float
    origin: str = ""


@dataclass(frozen=True)
class TaskTimes:
    """A task in all runs; None where a run has no such task."""

    label: str
    timings: Sequence[Timing | None]

    @property
    def spread(self) -> float:
        """Seconds between the longest and the shortest execution."""
        ran = [t.seconds for t in self.timings if t and t.seconds]
        return max(ran) - min(ran) if ran else 0.0


@dataclass(frozen=True)
class Line:
    """One run's curve. `run`: its place among the runs. `same_as`: an earlier run's whose execution it reused."""

    run: int
    x: Sequence[float]
    y: Sequence[float]
    same_as: int | None = None


@dataclass(frozen=True)
class Curves:
    """One task's curves of one metric, overlaid."""

    label: str
    lines: Sequence[Line]


@dataclass(frozen=True)
class CurveSet:
    """All curves of one metric, and the names of the others."""

    metric: str
    metrics: Sequence[str]
    charts: Sequence[Curves]


@dataclass(frozen=True)
class LastValue:
    """The last value of a metric of a task in each run; None where it has none."""

    label: str
    metric: str
    values: Sequence[float | None]


def flattened(value: Any, path: str = "") -> dict[str, Any]:
    """Leaves of structs by their dotted path; lists of named structs (`attributes`, `models`, `rounds`) by name."""
    if isinstance(value, Mapping) and value:
        return {k: v for key, inner in value.items() for k, v in flattened(inner, _joined(path, key)).items()}
    if isinstance(value, list | tuple) and value and all(isinstance(v, Mapping) and v.get("name") for v in value):
        inside = {str(v["name"]): {k: w for k, w in v.items() if k != "name"} or True for v in value}
        return flattened(inside, path)
    return {path: value}


def parameter_differences(runs: Sequence[Run]) -> list[Difference]:
    """Parameters that are not the same in all runs, flattened; changes that a rerun made to single tasks too."""
    flat = [flattened(run.parameters) | _changes(run) for run in runs]
    names = dict.fromkeys(name for one in flat for name in one)
    rows = [Difference(name, [one.get(name, ABSENT) for one in flat]) for name in names]
    return [row for row in rows if any(value != row.values[0] for value in row.values)]


def _changes(run: Run) -> dict[str, Any]:
    return {f"{key}: {k}": v for key, changed in run.overrides.items() for k, v in flattened(changed).items()}


def is_one_pipeline(texts: Sequence[str]) -> bool:
    """Whether compiled pipelines are the same but for the defaults of their parameters, which every run fills in."""
    if len(set(texts)) == 1:
        return True
    read = [irtext.read(text) for text in texts]
    first = read[0]
    return all(
        (p.components, p.executors, p.root.dag, set(p.root.parameters))
        == (first.components, first.executors, first.root.dag, set(first.root.parameters))
        for p in read
    )


def times(tasks: Sequence[Sequence[Task]]) -> list[TaskTimes]:
    """Every task of any of the runs, in the order of the first run that has it."""
    by_label = [{t.label: t for t in of_run if t.is_leaf} for of_run in tasks]
    labels = dict.fromkeys(label for one in by_label for label in one)
    return [TaskTimes(label, [_timing(one.get(label)) for one in by_label]) for label in labels]


def _timing(task: Task | None) -> Timing | None:
    if task is None:
        return None
    origin = task.origin[0] if task.cached and task.origin else ""
    return Timing(task_word(task), 0.0 if task.cached else task.seconds, origin)


def points(reader: Reader, tasks: Sequence[Sequence[Task]]) -> dict[str, list[tuple[tuple[str, str], list[Metric]]]]:
    """Label to, for each run, the execution behind the task and the points of its last attempt; only where any has."""
    by_label = [{t.label: t for t in of_run if t.is_leaf} for of_run in tasks]
    labels = dict.fromkeys(label for one in by_label for label in one)
    found = {label: [_points(reader, one.get(label)) for one in by_label] for label in labels}
    return {label: of_runs for label, of_runs in found.items() if any(said for _, said in of_runs)}


def _points(reader: Reader, task: Task | None) -> tuple[tuple[str, str], list[Metric]]:
    if task is None:
        return ("", ""), []
    execution = task.origin if task.cached and task.origin else (task.run_id, task.key)
    said = reader.metrics(*execution)
    return execution, [m for m in said if m.attempt == said[-1].attempt]


def curves(found: Mapping[str, Sequence[tuple[tuple[str, str], Sequence[Metric]]]], asked: str) -> CurveSet:
    """The curves of one metric: the one asked for, or what says most about quality."""
    names = sorted({name for of_runs in found.values() for _, said in of_runs for m in said for name in m.values})
    chosen = asked if asked in names else next((n for n in (*PREFERRED, *names) if n in names), "")
    charts = [Curves(label, _lines(of_runs, chosen)) for label, of_runs in found.items()]
    return CurveSet(chosen, names, [chart for chart in charts if chart.lines][:MOST_CHARTS])


def _lines(of_runs: Sequence[tuple[tuple[str, str], Sequence[Metric]]], metric: str) -> list[Line]:
    lines: list[Line] = []
    seen: dict[tuple[str, str], int] = {}
    for number, (execution, said) in enumerate(of_runs):
        own = _thinned([(m.step, m.values[metric]) for m in said if metric in m.values])
        if own:
            lines.append(Line(number, [x for x, _ in own], [y for _, y in own], seen.get(execution)))
            seen.setdefault(execution, number)
    return lines


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    if len(points) <= MOST_POINTS:
        return points
    return [points[i * (len(points) - 1) // (MOST_POINTS - 1)] for i in range(MOST_POINTS)]


def last_values(
    tasks: Sequence[Sequence[Task]], found: Mapping[str, Sequence[tuple[tuple[str, str], Sequence[Metric]]]]
) -> list[LastValue]:
    """The last value of every metric of every task, from `::metric` lines and from Metrics artifacts."""
    said = [_said_last([of_runs[n][1] for of_runs in found.values()], list(found)) for n in range(len(tasks))]
    both = [_of_artifacts(of_run) | spoken for of_run, spoken in zip(tasks, said, strict=True)]
    names = dict.fromkeys(name for one in both for name in one)
    return [LastValue(label, metric, [one.get((label, metric)) for one in both]) for label, metric in names]


def _said_last(of_tasks: Sequence[Sequence[Metric]], labels: Sequence[str]) -> dict[tuple[str, str], float]:
    return {
        (label, name): value
        for label, said in zip(labels, of_tasks, strict=True)
        for point in said
        for name, value in point.values.items()
    }


def _of_artifacts(tasks: Sequence[Task]) -> dict[tuple[str, str], float]:
    return {
        (task.label, name): float(value)
        for task in tasks
        if task.is_leaf
        for artifacts in task.outputs.artifacts.values()
        for artifact in artifacts
        if artifact.type == METRICS_TYPE
        for name, value in artifact.metadata.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _joined(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)
