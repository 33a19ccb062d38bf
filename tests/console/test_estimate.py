"""What a run will take: its tasks before it exists, and honest arithmetic over what they took before."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import compile as compiling
from pipeline import recipe as recipes
from pipeline.console import data_source, estimate, outline
from pipeline.console.estimate import Known
from pipeline.console.outline import Planned
from pipeline.engine import irtext
from pipeline.engine.budget import Budget, Demand
from pipeline.engine.records import Task
from pipeline.engine.states import TaskState
from pipeline.engine.values import Values

MACHINE = Budget(cpu_slots=2, memory_bytes=8 * 1024**3)


class History:
    """Tasks that ran, by name."""

    def __init__(self, *tasks: Task) -> None:
        self._tasks = tasks

    def executions_named(self, name: str, limit: int) -> list[Task]:
        return [task for task in self._tasks if task.name == name][:limit]


def ran(run_id: str, name: str, seconds: float, **parameters: Any) -> Task:
    return Task(
        run_id, name, name, name, "task", "", "comp", TaskState.SUCCEEDED, started=1.0, ended=1.0 + seconds,
        inputs=Values(parameters),
    )  # fmt: skip


def planned(name: str, count: int = 1, after: Sequence[str] = (), **more: Any) -> Planned:
    demand = Demand(more.pop("cpu", 1.0), more.pop("memory", 0), more.pop("gpus", 0))
    return Planned(name, name, count, demand, tuple(after), **more)


MAIN = ("demo", "fashionai", "fashion_mnist")
SWITCHES = ([], ["generations.round2=false"], ["generations.pseudo=false"])


@pytest.mark.parametrize(
    ("path", "overrides"),
    [*((path, switches) for path in MAIN for switches in SWITCHES), ("boats", []), ("boats_demo", [])],
)
def test_the_tasks_of_a_recipe_are_those_of_its_compiled_pipeline(path: str, overrides: list[str]) -> None:
    recipe = recipes.load(path, overrides)
    pipeline = irtext.read(compiling.compile_recipe(recipe))
    data = recipe.pipeline.data
    given = irtext.fill_parameters(pipeline, {data: data_source.NOTHING[data], "data_root": "/data"})
    counted, told = Counter[tuple[str, Demand]](), Counter[tuple[str, Demand]]()
    for one in outline.of_pipeline(pipeline, given):
        counted[one.name, one.demand] += one.count
    for one in outline.of_recipe(recipe):
        told[one.name, one.demand] += one.count
    assert counted == told


def test_a_loop_over_what_only_a_task_can_say_counts_once_and_says_so() -> None:
    recipe = recipes.load("demo")
    tasks = outline.of_pipeline(irtext.read(compiling.compile_recipe(recipe)), {})
    assert {one.count for one in tasks} == {1}
    assert [one.is_counted for one in tasks if one.name == "train-round1"] == [False]


TASKS = st.lists(st.tuples(st.integers(1, 5), st.floats(0.1, 1000), st.floats(0.1, 4)), min_size=1, max_size=8)


@given(TASKS)
def test_a_run_takes_no_less_than_its_longest_chain_and_no_less_than_its_work(
    rows: list[tuple[int, float, float]],
) -> None:
    tasks = [
        planned(f"t{i}", count, after=[f"t{i - 1}"] if i % 2 else [], cpu=cpu) for i, (count, _, cpu) in enumerate(rows)
    ]
    known = {f"t{i}": Known(seconds) for i, (_, seconds, _) in enumerate(rows)}
    whole = estimate.longest(tasks, known, MACHINE)
    assert whole is not None
    assert whole >= max(seconds for _, seconds, _ in rows)
    assert whole >= sum(count * min(cpu, 2.0) * seconds for count, seconds, cpu in rows) / 2.0 - 1e-6


def test_what_is_not_known_is_counted_as_unknown_and_is_not_in_the_time() -> None:
    found = estimate.of_tasks(
        History(ran("r", "a", 10.0)),  # type: ignore[arg-type]
        [planned("a"), planned("b", 3, after=["a"])],
        frozenset({"r"}),
        frozenset(),
        MACHINE,
    )
    assert (found.tasks, found.unknown, found.seconds) == (4, 3, 10.0)


def test_runs_of_other_recipes_say_nothing() -> None:
    store: Any = History(ran("demo", "train", 10.0))
    assert estimate.history(store, planned("train"), frozenset({"mine"})).seconds is None


def test_training_is_scaled_with_its_epochs() -> None:
    store: Any = History(ran("r", "train", 30.0, epochs=10), ran("r", "train", 15.0, epochs=5))
    assert estimate.history(store, planned("train", epochs=20), frozenset({"r"})).seconds == 60.0


def test_what_is_likely_reused_is_left_out_of_the_second_time() -> None:
    store: Any = History(ran("r", "a", 10.0), ran("r", "b", 5.0))
    tasks = [planned("a"), planned("b", after=["a"])]
    found = estimate.of_tasks(store, tasks, frozenset({"r"}), frozenset({"a"}), MACHINE)
    assert (found.seconds, found.seconds_fresh, found.reused) == (15.0, 5.0, 1)


def test_gpu_hours_are_gpus_times_time_and_unknown_where_nothing_ran() -> None:
    store: Any = History(ran("r", "train", 1800.0))
    tasks = [planned("train", 4, gpus=2)]
    assert estimate.of_tasks(store, tasks, frozenset({"r"}), frozenset(), MACHINE).gpu_hours == 4.0
    assert estimate.of_tasks(store, tasks, frozenset(), frozenset(), MACHINE).gpu_hours is None
    assert estimate.of_tasks(store, [planned("a")], frozenset(), frozenset(), MACHINE).gpu_hours == 0


def test_what_does_not_fit_on_the_machine_is_said() -> None:
    lines = estimate.fit([planned("train", cpu=6.0, memory=24 * 1024**3, gpus=1)], MACHINE)
    assert [fits for fits, _ in lines] == [False, False, False]
    assert "asks 24 GiB, this machine has 8 GiB" in lines[0][1]
    assert "asks 1 GPU, this machine has none" in lines[2][1]
