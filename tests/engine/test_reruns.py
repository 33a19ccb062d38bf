"""Repeating one task of a run: the plan first, then the run."""

from typing import Any

import pytest
from kfp import dsl

from pipeline.engine.states import RunState
from pipeline.errors import Conflict, NotFound, PipelineError


@pytest.fixture
def fan(step: Any, ir_of: Any) -> str:
    """ingest -> for each name: (prepare -> train), then report over all of train."""
    ingest = step("ingest", {"seed": int})
    prepare = step("prepare", {"manifest": str, "name": str})
    train = step("train", {"shards": str, "epochs": int, "model": dict})
    report = step("report", {"parts": list[str]})

    def p(names: list[str] = ["a", "b"], epochs: int = 3, model: dict = {"train": {"lr": 0.1}}):  # type: ignore[no-untyped-def,type-arg]  # noqa: B006
        manifest = ingest(seed=1)
        with dsl.ParallelFor(names) as name:
            shards = prepare(manifest=manifest.outputs["out"], name=name)
            one = train(shards=shards.outputs["out"], epochs=epochs, model=model)
        report(parts=dsl.Collected(one.outputs["out"]))

    return str(ir_of(p))


def test_a_rerun_repeats_the_chosen_task_and_what_comes_after_and_reuses_the_rest(machine: Any, fan: str) -> None:
    source = machine.run(fan)
    plan = machine.engine.plan_rerun(source[:8], "b/train", {"epochs": "4"})
    rows = {row.label: (row.action, row.reason) for row in plan.rows}
    assert rows["b/train"] == ("run", "chosen; parameter epochs 3 -> 4")
    assert rows["report"] == ("run", "comes after b/train; a cache hit if that gives the same bytes")
    assert rows["a/train"][0] == rows["ingest"][0] == rows["b/prepare"][0] == "reuse"
    assert plan.seconds > 0
    before = len(machine.launcher.started)
    again = machine.engine.rerun(source[:8], "b/train", {"epochs": "4"})
    assert machine.engine.execute(again) is RunState.SUCCEEDED
    assert machine.launcher.started[before:] == ["for-loop-1(1)/train", "report"]
    assert machine.inputs(again, "for-loop-1(1)/train")["epochs"] == 4
    assert machine.store.run(again).source == source
    assert machine.tasks(again)["for-loop-1(0)/train"].origin == (source, "for-loop-1(0)/train")


def test_a_rerun_without_changes_runs_the_task_and_stops_where_bytes_are_equal(machine: Any, fan: str) -> None:
    source = machine.run(fan)
    before = len(machine.launcher.started)
    again = machine.engine.rerun(source, "ingest")
    machine.engine.execute(again)
    assert machine.launcher.started[before:] == ["ingest"]
    assert machine.tasks(again)["report"].cached


def test_a_rerun_of_a_failed_task_goes_on_behind_it(machine: Any, fan: str, happening: Any) -> None:
    machine.launcher.does = {"for-loop-1(1)/train": happening(code=2)}
    source = machine.run(fan)
    machine.launcher.does = {}
    again = machine.engine.rerun(source, "b/train", {"model.train.lr": "0.2"})
    assert machine.engine.execute(again) is RunState.SUCCEEDED
    assert machine.inputs(again, "for-loop-1(1)/train")["model"] == {"train": {"lr": 0.2}}


def test_changes_of_an_earlier_rerun_go_on_to_hold(machine: Any, fan: str) -> None:
    one = machine.engine.rerun(machine.run(fan), "b/train", {"epochs": 4})
    machine.engine.execute(one)
    two = machine.engine.rerun(one, "a/train", {"epochs": 5})
    machine.engine.execute(two)
    three = machine.engine.rerun(two, "b/prepare")
    machine.engine.execute(three)
    epochs = [machine.inputs(three, f"for-loop-1({i})/train")["epochs"] for i in (0, 1)]
    assert epochs == [5, 4]


def test_reused_outputs_that_are_gone_are_made_again(machine: Any, fan: str) -> None:
    source = machine.run(fan)
    machine.gone = {'ingest:{"seed": 1}'}
    rows = {row.label: row.reason for row in machine.engine.plan_rerun(source, "a/train").rows}
    assert rows["ingest"] == "its outputs are gone"
    before = len(machine.launcher.started)
    machine.engine.execute(machine.engine.rerun(source, "a/train"))
    assert machine.launcher.started[before:] == ["ingest", "for-loop-1(0)/train"]


@pytest.mark.parametrize(
    ("task", "overrides", "error", "message"),
    [
        ("train", {}, NotFound, "could be a/train, b/train"),
        ("trian", {}, NotFound, "has no task 'trian'"),
        ("a/train", {"epoch": "4"}, PipelineError, "did you mean 'epochs'?"),
        ("a/train", {"epochs": "many"}, PipelineError, "epochs takes NUMBER_INTEGER"),
        ("a/train", {"epochs": 1.5}, PipelineError, "it takes NUMBER_INTEGER"),
        ("a/train", {"shards.x": "1"}, PipelineError, "which is no struct"),
    ],
)
def test_a_rerun_that_makes_no_sense_is_refused_before_anything_starts(
    machine: Any, fan: str, task: str, overrides: Any, error: Any, message: str
) -> None:
    source = machine.run(fan)
    with pytest.raises(error, match=message.replace("?", r"\?")):
        machine.engine.rerun(source, task, overrides)
    assert len(machine.store.runs()) == 1


def test_a_skipped_condition_stays_skipped_in_the_plan(machine: Any, step: Any, ir_of: Any) -> None:
    first, work = step("first", {}), step("work", {})

    def p(n: int = 1):  # type: ignore[no-untyped-def]
        first()
        with dsl.If(n == 2):
            work()

    source = machine.run(ir_of(p))
    rows = {row.label: row.action for row in machine.engine.plan_rerun(source, "first").rows}
    assert rows == {"first": "run", "work": "skip"}


def test_a_succeeded_run_has_nothing_to_retry(machine: Any, fan: str) -> None:
    source = machine.run(fan)
    with pytest.raises(Conflict, match="nothing is left to retry"):
        machine.engine.retry(source)
    with pytest.raises(Conflict, match="only a PENDING run"):
        machine.engine.execute(source)
    with pytest.raises(Conflict, match="nothing to stop"):
        machine.engine.terminate(source)


def test_the_history_tells_how_long_a_task_takes(machine: Any, fan: str, happening: Any) -> None:
    machine.launcher.does = {"train": happening(seconds=20)}
    source = machine.run(fan)
    seconds = {row.label: row.seconds for row in machine.engine.plan_rerun(source, "a/train").rows}
    assert 20 <= seconds["a/train"] < 22 and seconds["ingest"] < 3
