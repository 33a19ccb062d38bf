"""Tasks that a run will have, but has not yet: those in a loop whose items no task has made so far."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline import words
from pipeline.engine import graph, ir
from pipeline.engine.records import Run, Task
from pipeline.engine.states import RUN_ENDED, TASK_ENDED
from pipeline.errors import PipelineError


@dataclass(frozen=True)
class Awaited:
    """A task, or a group of tasks, that does not exist yet.

    Attributes:
        key: its key, as it was asked for.
        name: what the pipeline calls it.
        word: the state of what will hold it: waiting, or why it will never exist.
        group: label of the group that makes it once it is unrolled; empty: the run as a whole has not begun.
        reason: what the engine says of that group.
        before: what comes before that group in its own graph: tasks and groups.
    """

    key: str
    name: str
    word: str
    group: str
    reason: str
    before: Sequence[Task]

    @property
    def will_come(self) -> bool:
        """Whether it can still come to be."""
        return self.word in ("waiting", "running")


def find(pipeline: ir.Pipeline, run: Run, tasks: Sequence[Task], key: str) -> Awaited | None:
    """The task of a key that is not in the run; None where the pipeline has none, or its loop has no such item.

    Args:
        pipeline: what the run executes.
        run: the run.
        tasks: its tasks and groups as far as known.
        key: of a task or group, such as `for-loop-1(0)/train`.
    """
    try:
        definition, _ = graph.component_of_key(pipeline, key)
    except PipelineError:
        return None
    if not tasks:
        return None if run.state in RUN_ENDED else Awaited(key, definition.display, "waiting", "", "", ())
    known = {task.key: task for task in tasks}
    group = _nearest(known, key)
    if group is None or any(task.parent == group.key for task in tasks):
        return None
    word = "skipped" if group.state in TASK_ENDED else words.task_word(group)
    return Awaited(key, definition.display, word, group.label, group.reason, _before(pipeline, known, group.key))


def _nearest(known: Mapping[str, Task], key: str) -> Task | None:
    """The innermost group that exists of those that a key names; `loop` stands for `loop(2)` until it is unrolled."""
    segments = key.split("/")
    for length in range(len(segments), 0, -1):
        path = "/".join(segments[:length])
        for name in (path, graph.base_name(path)):
            if name in known:
                return None if known[name].is_leaf else known[name]
    return None


def _before(pipeline: ir.Pipeline, known: Mapping[str, Task], key: str) -> list[Task]:
    definition, _ = graph.component_of_key(pipeline, key)
    parent = key.rpartition("/")[0]
    keys = [f"{parent}/{name}" if parent else name for name in definition.dependencies]
    return [known[k] for k in keys if k in known]
