"""Order and reach of tasks, states and their moves, labels of iterations: the pure parts of planning."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engine import graph
from pipeline.engine.gather import item_labels
from pipeline.engine.ir import Task
from pipeline.engine.states import RUN_ENDED, RunState, TaskState, check_run_move, check_task_move
from pipeline.errors import Conflict, PipelineError


@st.composite
def acyclic(draw: Any) -> dict[str, Task]:
    """Tasks t0..tn in shuffled order, each depending on some earlier ones."""
    count = draw(st.integers(0, 8))
    edges = [draw(st.sets(st.integers(0, i - 1))) if i else set() for i in range(count)]
    tasks = [Task(f"t{i}", f"t{i}", "c", tuple(f"t{d}" for d in sorted(edges[i]))) for i in range(count)]
    return {t.name: t for t in draw(st.permutations(tasks))}


@given(acyclic())
def test_every_task_comes_after_its_dependencies(tasks: dict[str, Task]) -> None:
    order = graph.order(tasks)
    assert sorted(order) == sorted(tasks)
    assert all(order.index(d) < order.index(t.name) for t in tasks.values() for d in t.dependencies)


@given(acyclic())
def test_descendants_are_the_transitive_dependents(tasks: dict[str, Task]) -> None:
    def depends(name: str, on: str) -> bool:
        return any(d == on or depends(d, on) for d in tasks[name].dependencies)

    for on in tasks:
        assert graph.descendants(tasks, on) == {name for name in tasks if depends(name, on)}


def test_a_circle_is_named() -> None:
    tasks = {"a": Task("a", "a", "c", ("b",)), "b": Task("b", "b", "c", ("a",)), "c": Task("c", "c", "c")}
    with pytest.raises(PipelineError, match="tasks a, b depend on each other in a circle"):
        graph.order(tasks)


def test_a_succeeded_task_never_moves_again() -> None:
    for state in TaskState:
        with pytest.raises(Conflict):
            check_task_move(TaskState.SUCCEEDED, state)


def test_an_ended_run_moves_only_back_to_pending_and_a_succeeded_one_not_at_all() -> None:
    for state in RUN_ENDED:
        for target in RunState:
            if target is RunState.PENDING and state is not RunState.SUCCEEDED:
                check_run_move(state, target)
            else:
                with pytest.raises(Conflict, match=f"a run that is {state} cannot become {target}"):
                    check_run_move(state, target)


@pytest.mark.parametrize(
    ("items", "labels"),
    [
        ([{"name": "small"}, {"name": "big"}], ["small", "big"]),
        (["a", "a", "b"], ["a(0)", "a(1)", "b"]),
        ([1, 0.5, True], ["1", "0.5", "true"]),
        ([{"x": 1}, [1]], ["(0)", "(1)"]),
        (["a/b"], ["a_b"]),
    ],
)
def test_iterations_are_called_by_their_items(items: list[Any], labels: list[str]) -> None:
    assert item_labels(items) == labels
