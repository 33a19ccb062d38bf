"""What a retry or a rerun keeps, what it repeats, and the reason for each. Pure: planned before anything starts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.engine import graph, ir, values
from pipeline.engine.fingerprint import differences
from pipeline.engine.irtext import nearest
from pipeline.engine.records import Run, Task
from pipeline.engine.states import RunState, TaskState
from pipeline.errors import PipelineError

REUSE, RUN, SKIP = "reuse", "run", "skip"


@dataclass(frozen=True)
class PlanRow:
    """What happens to one task. `seconds`: how long it took before, None when it never ran."""

    key: str
    label: str
    action: str
    reason: str
    seconds: float | None = None


@dataclass(frozen=True)
class Plan:
    """What a retry or rerun will do.

    Attributes:
        run_id: the run that it starts from.
        rows: one per task, in order.
        reuse: task key -> execution whose outputs are taken; for a rerun.
        forced: tasks that run even if cached.
        overrides: task key -> input -> value.
    """

    run_id: str
    rows: tuple[PlanRow, ...]
    reuse: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    forced: tuple[str, ...] = ()
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Sum of the known times of what runs, as if one after the other."""
        return sum(row.seconds or 0.0 for row in self.rows if row.action == RUN)


Expected = Callable[[Task], float | None]
Usable = Callable[[Task], bool]


def plan_retry(run_id: str, tasks: Sequence[Task], expected: Expected) -> Plan:
    """Plans to go on with a run: what succeeded stays, everything else is done.

    Args:
        run_id: the run.
        tasks: its tasks.
        expected: seconds that a task takes, from history.
    """
    rows = [PlanRow(t.key, t.label, *_retried(t), expected(t)) for t in _planned(tasks)]
    return Plan(run_id, tuple(rows))


def _retried(task: Task) -> tuple[str, str]:
    if task.state is TaskState.SUCCEEDED:
        return REUSE, "succeeded in this run"
    if task.state is TaskState.RUNNING:
        return RUN, "was running: adopted if it still runs, collected if it finished, else repeated"
    return _undone(task)


def _undone(task: Task) -> tuple[str, str]:
    if task.state is TaskState.SKIPPED and task.reason.startswith("condition is false"):
        return SKIP, task.reason
    because = f": {task.reason}" if task.reason else ""
    return RUN, "has not run yet" if task.state is TaskState.PENDING else f"was {task.state}{because}"


def plan_rerun(
    pipeline: ir.Pipeline,
    tasks: Sequence[Task],
    chosen: Task,
    overrides: Mapping[str, Any],
    usable: Usable,
    expected: Expected,
) -> Plan:
    """Plans a new run in which one task runs again.

    What depends on the chosen task runs too, or turns out to be a cache hit when the bytes it gets are the same. All
    else is reused from the source run if it succeeded there.

    Args:
        pipeline: of the source run.
        tasks: of the source run.
        chosen: the task to repeat.
        overrides: inputs to change, typed (see `typed_overrides`).
        usable: whether the outputs of a succeeded task still exist.
        expected: seconds that a task takes, from history.
    """
    after = graph.downstream(pipeline, chosen.key, [t.key for t in tasks])
    rows: list[PlanRow] = []
    reuse: dict[str, tuple[str, str]] = {}
    for task in _planned(tasks):
        action, reason = _rerun(task, chosen, task.key in after, usable, overrides)
        rows.append(PlanRow(task.key, task.label, action, reason, expected(task)))
        if action == REUSE:
            reuse[task.key] = task.origin if task.cached and task.origin else (task.run_id, task.key)
    changed = {chosen.key: dict(overrides)} if overrides else {}
    return Plan(chosen.run_id, tuple(rows), reuse, (chosen.key,), changed)


def _rerun(task: Task, chosen: Task, is_after: bool, usable: Usable, overrides: Mapping[str, Any]) -> tuple[str, str]:
    if task.key == chosen.key:
        return RUN, "chosen" + _changes(task, overrides)
    if is_after:
        return RUN, f"comes after {chosen.label}; a cache hit if that gives the same bytes"
    if task.state is not TaskState.SUCCEEDED:
        return _undone(task)
    if not usable(task):
        return RUN, "its outputs are gone"
    return REUSE, f"succeeded in run {task.run_id[:8]} and does not depend on {chosen.label}"


def _changes(task: Task, overrides: Mapping[str, Any]) -> str:
    before = {k: task.inputs.parameters.get(k) for k in overrides}
    same = {"command": [], "code": "", "artifacts": {}, "outputs": {}}
    listed = differences(same | {"parameters": before}, same | {"parameters": overrides})
    return "; " + "; ".join(listed) if listed else ""


def _planned(tasks: Sequence[Task]) -> list[Task]:
    """Tasks, and groups that are not unrolled because their items are not known."""
    parents = {t.parent for t in tasks}
    return [t for t in tasks if t.is_leaf or (t.key not in parents and t.kind != "iteration" and _is_open(t))]


def _is_open(task: Task) -> bool:
    return task.state not in (TaskState.SUCCEEDED, TaskState.SKIPPED)


def typed_overrides(component: ir.Component, current: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Checks changed inputs against the component and gives them their types.

    Args:
        component: of the task.
        current: the inputs the task had; `model.train.epochs` changes one entry of the struct `model`.
        given: input name (or path into a struct) -> value; a text is read by the input's type, a LIST also with commas.

    Raises:
        PipelineError: an unknown name (the nearest is suggested) or a wrong type.
    """
    typed: dict[str, Any] = {}
    for path, value in given.items():
        name, *inside = path.split(".")
        if name not in component.parameters:
            raise PipelineError(
                f"component {component.name} has no input {name!r}; {nearest(name, list(component.parameters))}"
            )
        kind = component.parameters[name].kind
        if inside:
            typed[name] = _with_entry(typed.get(name, current.get(name)), inside, value, path)
        else:
            typed[name] = (
                _typed_in(value, kind, name, current) if isinstance(value, str) else values.coerce(value, kind, name)
            )
    return typed


def _typed_in(text: str, kind: str, name: str, current: Mapping[str, Any]) -> Any:
    is_json = kind != values.LIST or text.lstrip().startswith(("[", "{"))
    if not is_json and all(isinstance(item, str) for item in current.get(name) or ()):
        return [part.strip() for part in text.split(",") if part.strip()]
    return values.parse_given(text.lower() if kind == values.BOOLEAN else text, kind, name)


def _with_entry(struct: Any, path: list[str], value: Any, name: str) -> dict[str, Any]:
    if not isinstance(struct, dict | None):
        raise PipelineError(f"{name} leads into {struct!r}, which is no struct")
    key, *rest = path
    entries = dict(struct or {})
    entries[key] = _with_entry(entries.get(key), rest, value, name) if rest else _read(value)
    return entries


def _read(value: Any) -> Any:
    """An entry has no declared type: JSON if it reads as JSON, else text."""
    try:
        return values.parse_given(value, "", "entry") if isinstance(value, str) else value
    except values.ValueProblem:
        return value


def new_run(source: Run, plan: Plan, run_id: str, now: float) -> Run:
    """The run that a rerun plan makes: the source with one more change; earlier changes go on to hold."""
    changed = {**source.overrides, **plan.overrides}
    for key, values_of_task in source.overrides.items():
        changed[key] = {**values_of_task, **plan.overrides.get(key, {})}
    return Run(
        run_id=run_id,
        name=source.name,
        pipeline=source.pipeline,
        state=RunState.PENDING,
        created=now,
        parameters=source.parameters,
        labels=source.labels,
        source=source.run_id,
        reuse=plan.reuse,
        forced=plan.forced,
        overrides=changed,
        cache=source.cache,
        experiment_id=source.experiment_id,
        version_id=source.version_id,
    )
