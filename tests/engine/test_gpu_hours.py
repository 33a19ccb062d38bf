"""A run with a budget of GPU hours stops when they are spent, keeps what it has, and goes on with more."""

from typing import Any

import pytest
from kfp import dsl

from pipeline.engine import spending
from pipeline.engine.states import RunState
from pipeline.errors import Conflict, PipelineError

HOUR_S = 3600.0


@pytest.fixture
def trainings(step: Any, ir_of: Any) -> str:
    """first -> second, each on as many GPUs as the parameter says, and `side` on two cores."""
    first, second, side = (step(name, {"x": str}) for name in ("first", "second", "side"))

    def p(x: str = "x", gpu_count: str = "1", gpu_hours_budget: float = 0.0):  # type: ignore[no-untyped-def]
        one = first(x=x)
        two = second(x=one.outputs["out"])
        for task in (one, two):
            task.set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(gpu_count)
        side(x=x).set_cpu_limit("2")

    return str(ir_of(p))


@pytest.fixture
def on_two_gpus(machine: Any, happening: Any) -> Any:
    machine.new_engine(gpus=2)
    machine.launcher.does = {name: happening(seconds=HOUR_S) for name in ("first", "second", "side")}
    return machine


def hours(machine: Any, run_id: str) -> dict[str, float]:
    spent = spending.of_run(machine.store, run_id, machine.clock.now())
    return {one.label: round(one.gpu_s / HOUR_S, 2) for one in spent}


def test_gpu_hours_are_gpus_held_times_the_time_of_all_attempts(on_two_gpus: Any, trainings: str) -> None:
    run_id = on_two_gpus.run(trainings, gpu_count="2")
    assert hours(on_two_gpus, run_id) == {"first": 2.0, "second": 2.0, "side": 0.0}
    side = next(one for one in spending.of_run(on_two_gpus.store, run_id, 0) if one.label == "side")
    assert side.cpu_s == pytest.approx(2 * HOUR_S, rel=0.01)


def test_a_run_that_has_spent_its_budget_is_stopped_and_says_so(on_two_gpus: Any, trainings: str) -> None:
    run_id = on_two_gpus.run(trainings, gpu_hours_budget=1.5)
    run = on_two_gpus.store.run(run_id)
    assert run.state is RunState.CANCELED
    assert run.reason.startswith("stopped: 1.5")
    assert run.reason.endswith("of 1.5 GPU hours are spent; `seamline retry RUN --gpu-hours N` goes on with more")
    assert on_two_gpus.states(run_id) == {"first": "SUCCEEDED", "second": "CANCELED", "side": "SUCCEEDED"}
    assert hours(on_two_gpus, run_id)["second"] == pytest.approx(0.5, abs=0.01)


def test_a_stopped_run_goes_on_with_a_higher_budget_only(on_two_gpus: Any, trainings: str) -> None:
    run_id = on_two_gpus.run(trainings, gpu_hours_budget=1.5)
    with pytest.raises(Conflict, match="1.5.* of 1.5 GPU hours are spent; give it more with --gpu-hours N"):
        on_two_gpus.engine.retry(run_id)
    with pytest.raises(Conflict, match="of 1.2 GPU hours"):
        on_two_gpus.engine.retry(run_id, gpu_hours=1.2)
    on_two_gpus.engine.retry(run_id, gpu_hours=3)
    assert on_two_gpus.engine.execute(run_id) is RunState.SUCCEEDED
    assert on_two_gpus.launcher.started.count("first") == 1


def test_the_budget_holds_over_the_death_of_the_engine(on_two_gpus: Any, trainings: str) -> None:
    run_id = on_two_gpus.engine.create_run(trainings, {"gpu_hours_budget": 1.5})
    machine = on_two_gpus

    def die() -> None:
        raise SystemExit

    machine.clock.alarms[machine.clock.time + 0.9 * HOUR_S] = die
    machine.launcher.deaf = True
    with pytest.raises(SystemExit):
        machine.engine.execute(run_id)
    machine.launcher.deaf = False
    machine.new_engine(gpus=2).retry(run_id)
    assert machine.engine.execute(run_id) is RunState.CANCELED
    assert sum(hours(machine, run_id).values()) == pytest.approx(1.5, abs=0.01)


def test_a_task_that_got_no_gpu_costs_none(machine: Any, trainings: str, happening: Any) -> None:
    machine.launcher.does = {"first": happening(seconds=HOUR_S)}
    run_id = machine.run(trainings, gpu_hours_budget=0.5)
    assert machine.store.run(run_id).state is RunState.SUCCEEDED
    assert hours(machine, run_id)["first"] == 0.0


def test_a_budget_of_zero_is_none(on_two_gpus: Any, trainings: str) -> None:
    assert on_two_gpus.store.run(on_two_gpus.run(trainings, gpu_hours_budget=0.0)).state is RunState.SUCCEEDED


@pytest.mark.parametrize("hours", [float("inf"), float("nan"), -1.0])
def test_a_budget_that_is_no_number_of_hours_is_refused(on_two_gpus: Any, trainings: str, hours: float) -> None:
    run = on_two_gpus.store.run(on_two_gpus.run(trainings))
    with pytest.raises(PipelineError, match="give a number from 0 up"):
        spending.change_limit(on_two_gpus.store, run, hours, 0.0)


def test_a_pipeline_without_gpus_takes_no_budget(machine: Any, step: Any, ir_of: Any, happening: Any) -> None:
    only = step("only", {"x": str})

    def p(x: str = "x"):  # type: ignore[no-untyped-def]
        only(x=x)

    machine.launcher.does = {"only": happening(code=1)}
    run_id = machine.run(ir_of(p))
    with pytest.raises(PipelineError, match="can have no budget of GPU hours: its pipeline has no gpu_hours_budget"):
        machine.engine.retry(run_id, gpu_hours=3)


def test_a_node_selector_may_name_a_parameter_of_the_pipeline_around(machine: Any, step: Any, ir_of: Any) -> None:
    from kfp import kubernetes

    only = step("only", {"x": str})

    def p(items: list = ["a"], pool: dict = {"gpu": "l4"}):  # type: ignore[no-untyped-def,type-arg]  # noqa: B006
        with dsl.ParallelFor(items) as item:
            kubernetes.add_node_selector_json(only(x=item), pool)

    run_id = machine.run(ir_of(p), pool={"gpu": "h100"})
    assert machine.store.run(run_id).state is RunState.SUCCEEDED
    job = next(iter(machine.launcher.running.values())).job
    assert job.parameters["pipelinechannel--pool"] == {"gpu": "h100"}
