"""Histories of whole runs: a compiled pipeline, what its commands do, and what the engine makes of it."""

from typing import Any

import pytest
from kfp import dsl

from pipeline.engine.states import RunState, TaskState
from pipeline.errors import Conflict


@pytest.fixture
def chain(step: Any, ir_of: Any) -> str:
    """first -> second -> third, and `side` which depends on nothing."""
    first, second, third = (step(name, {"x": str}) for name in ("first", "second", "third"))
    side = step("side", {"x": str})

    def p(x: str = "x"):  # type: ignore[no-untyped-def]
        one = first(x=x)
        two = second(x=one.outputs["out"])
        third(x=two.outputs["out"])
        side(x=x)

    return str(ir_of(p))


def test_a_chain_runs_in_order_and_hands_its_outputs_on(machine: Any, chain: str) -> None:
    run_id = machine.run(chain, x="hello")
    assert machine.store.run(run_id).state is RunState.SUCCEEDED
    assert [key for key in machine.launcher.started if key != "side"] == ["first", "second", "third"]
    assert machine.inputs(run_id, "second") == {"x": 'first:{"x": "hello"}'}


def test_what_comes_after_a_failed_task_is_omitted_and_independent_branches_go_on(
    machine: Any, chain: str, happening: Any
) -> None:
    machine.launcher.does = {"first": happening(code=1), "side": happening(seconds=30)}
    run_id = machine.run(chain)
    assert machine.states(run_id) == {"first": "FAILED", "second": "SKIPPED", "third": "SKIPPED", "side": "SUCCEEDED"}
    tasks = machine.tasks(run_id)
    assert tasks["first"].reason == "exit code 1"
    assert tasks["third"].reason == "omitted: upstream second is SKIPPED"
    assert machine.store.run(run_id).state is RunState.FAILED
    assert machine.store.run(run_id).reason == "failed: first"


def test_a_retry_of_the_run_keeps_what_succeeded_and_repeats_the_rest(machine: Any, chain: str, happening: Any) -> None:
    machine.launcher.does = {"second": happening(code=1)}
    run_id = machine.run(chain)
    machine.launcher.does = {}
    plan = {row.key: (row.action, row.reason) for row in machine.engine.plan_retry(run_id).rows}
    assert plan["first"] == ("reuse", "succeeded in this run")
    assert plan["second"] == ("run", "was FAILED: exit code 1")
    machine.engine.retry(run_id)
    assert machine.engine.execute(run_id) is RunState.SUCCEEDED
    assert sorted(machine.launcher.started) == ["first", "second", "second", "side", "third"]
    assert machine.tasks(run_id)["second"].attempts == 2


def test_the_second_run_of_the_same_pipeline_is_all_cache_hits(machine: Any, chain: str) -> None:
    first = machine.run(chain)
    second = machine.run(chain)
    assert len(machine.launcher.started) == 4
    task = machine.tasks(second)["third"]
    assert task.cached and task.origin == (first, "third")
    assert task.explanation.startswith("cached: the same code and inputs ran as third in run")
    third = machine.tasks(machine.run(chain))["third"]
    assert third.origin == (first, "third")


def test_switching_the_cache_off_for_a_run_runs_everything(machine: Any, chain: str) -> None:
    machine.run(chain)
    machine.engine.execute(machine.engine.create_run(chain, {}, cache=False))
    assert len(machine.launcher.started) == 8
    machine.run(chain, x="x")
    assert len(machine.launcher.started) == 8


def test_changed_code_of_one_step_runs_it_and_equal_bytes_stop_the_cascade(
    machine: Any, chain: str, happening: Any
) -> None:
    machine.launcher.does = {"first": happening(outputs={"out": "same"})}
    machine.run(chain)
    machine.code["first"] = "v2"
    second = machine.run(chain)
    assert machine.launcher.started[4:] == ["first"]
    tasks = machine.tasks(second)
    assert "code of run changed" in tasks["first"].explanation
    assert tasks["second"].cached


def test_a_miss_names_the_parameter_that_differs(machine: Any, chain: str) -> None:
    machine.run(chain, x="a")
    second = machine.run(chain, x="b")
    assert "parameter x a -> b" in machine.tasks(second)["first"].explanation


def test_a_hit_whose_references_are_gone_is_vetoed(machine: Any, chain: str) -> None:
    machine.run(chain)
    machine.gone = {'first:{"x": "x"}'}
    second = machine.run(chain)
    assert machine.launcher.started[4:] == ["first"]
    assert "its outputs are gone" in machine.tasks(second)["first"].explanation


@pytest.mark.parametrize(("code", "attempts", "state"), [(1, 3, "FAILED"), (2, 1, "FAILED"), (-9, 6, "FAILED")])
def test_retries_repeat_a_failure_but_never_what_the_user_must_mend(
    machine: Any, step: Any, ir_of: Any, happening: Any, code: int, attempts: int, state: str
) -> None:
    flaky = step("flaky", {})

    def p() -> None:
        flaky().set_retry(2, backoff_duration="10s", backoff_factor=2.0)

    machine.launcher.does = {"flaky": happening(code=code)}
    start = machine.clock.now()
    run_id = machine.run(ir_of(p))
    task = machine.tasks(run_id)["flaky"]
    assert (task.attempts, str(task.state)) == (attempts, state)
    waited = machine.clock.now() - start
    assert waited > 30 if attempts > 1 else waited < 5
    assert [a.number for a in machine.store.attempts(run_id, "flaky")] == list(range(1, attempts + 1))


def test_a_flaky_task_succeeds_in_its_second_attempt(machine: Any, step: Any, ir_of: Any, happening: Any) -> None:
    flaky = step("flaky", {})
    happenings = iter([happening(code=1), happening()])
    machine.launcher.does = {"flaky": lambda _: next(happenings)}

    def p() -> None:
        flaky().set_retry(1)

    run_id = machine.run(ir_of(p))
    assert machine.states(run_id) == {"flaky": "SUCCEEDED"}
    assert [str(a.state) for a in machine.store.attempts(run_id, "flaky")] == ["FAILED", "SUCCEEDED"]
    assert machine.launcher.environments["flaky"]["KFP_RETRY_INDEX"] == "1"


def test_a_missing_output_parameter_fails_the_task(machine: Any, chain: str, happening: Any) -> None:
    machine.launcher.does = {"first": happening(outputs={})}
    run_id = machine.run(chain)
    assert "output parameter out is missing" in machine.tasks(run_id)["first"].reason


def test_stopping_ends_the_tasks_and_a_retry_goes_on(machine: Any, chain: str, happening: Any) -> None:
    machine.launcher.does = {"second": happening(seconds=100)}
    run_id = machine.engine.create_run(chain, {})
    machine.clock.alarms[machine.clock.now() + 20] = machine.engine.stop
    assert machine.engine.execute(run_id) is RunState.CANCELED
    assert machine.states(run_id) == {
        "first": "SUCCEEDED",
        "second": "CANCELED",
        "third": "CANCELED",
        "side": "SUCCEEDED",
    }
    machine.launcher.does = {}
    machine.engine.retry(run_id)
    assert machine.engine.execute(run_id) is RunState.SUCCEEDED
    assert machine.launcher.started.count("first") == 1


def test_a_task_that_ignores_the_request_is_killed_after_the_grace_time(
    machine: Any, chain: str, happening: Any
) -> None:
    machine.launcher.does = {"first": happening(seconds=1000, ignores_term=True)}
    run_id = machine.engine.create_run(chain, {})
    begin = machine.clock.now()
    machine.clock.alarms[begin + 10] = machine.engine.stop
    assert machine.engine.execute(run_id) is RunState.CANCELED
    assert 15 <= machine.clock.now() - begin < 18
    assert machine.store.attempts(run_id, "first")[0].exit_code == -9


def test_a_second_request_to_stop_does_not_wait(machine: Any, chain: str, happening: Any) -> None:
    machine.launcher.does = {"first": happening(seconds=1000, ignores_term=True)}
    run_id = machine.engine.create_run(chain, {})
    begin = machine.clock.now()
    machine.clock.alarms = {begin + 10: machine.engine.stop, begin + 11: machine.engine.stop}
    machine.engine.execute(run_id)
    assert machine.clock.now() - begin < 13


def test_a_stop_request_in_the_store_is_heeded(machine: Any, chain: str, happening: Any) -> None:
    machine.launcher.does = {"first": happening(seconds=1000)}
    run_id = machine.engine.create_run(chain, {})
    machine.clock.alarms[machine.clock.now() + 10] = lambda: machine.engine.terminate(run_id) and None
    assert machine.engine.execute(run_id) is RunState.CANCELED
    assert machine.store.run(run_id).stop_requested is False


def test_no_more_tasks_run_at_once_than_there_are_slots(machine: Any, step: Any, ir_of: Any) -> None:
    work = step("work", {"x": int})

    def p() -> None:
        with dsl.ParallelFor([1, 2, 3, 4, 5]) as x:
            work(x=x).set_cpu_limit("2")

    machine.new_engine(cpu_slots=5.0)
    run_id = machine.run(ir_of(p))
    assert machine.launcher.most_at_once == 2
    assert machine.launcher.environments["for-loop-2(0)/work"]["THREADS"] == "2"
    assert machine.store.run(run_id).state is RunState.SUCCEEDED


def test_a_task_larger_than_the_machine_runs_alone(machine: Any, step: Any, ir_of: Any) -> None:
    big, small = step("big", {}), step("small", {"x": int})

    def p() -> None:
        big().set_memory_limit("100Gi")
        small(x=1)
        small(x=2)

    run_id = machine.run(ir_of(p))
    tasks = machine.tasks(run_id)
    spans = {key: (tasks[key].started, tasks[key].ended) for key in ("big", "small", "small-2")}
    assert all(spans["big"][1] <= s[0] or s[1] <= spans["big"][0] for k, s in spans.items() if k != "big")


def test_gpus_are_lent_one_to_a_task_and_missing_ones_are_noted(machine: Any, step: Any, ir_of: Any) -> None:
    work = step("work", {"x": int})

    def p() -> None:
        with dsl.ParallelFor([1, 2]) as x:
            work(x=x).set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(1)

    text = ir_of(p)
    note = machine.tasks(machine.run(text))["for-loop-2(0)/work"].note
    assert note == "no GPU on this machine: runs on the CPU"
    machine.new_engine(gpus=2)
    machine.engine.execute(machine.engine.create_run(text, {}, cache=False))
    assert [machine.launcher.gpus[f"for-loop-2({i})/work"] for i in (0, 1)] == [(0,), (1,)]


def test_equal_work_in_one_run_is_done_once(machine: Any, step: Any, ir_of: Any) -> None:
    work = step("work", {"x": int})

    def p() -> None:
        with dsl.ParallelFor([7, 7, 8]) as x:
            work(x=x)

    run_id = machine.run(ir_of(p))
    assert len(machine.launcher.started) == 2
    assert machine.states(run_id) == {"7(0)/work": "SUCCEEDED", "7(1)/work": "SUCCEEDED", "8/work": "SUCCEEDED"}


def test_progress_and_metrics_in_the_log_are_recorded_once(machine: Any, chain: str, happening: Any) -> None:
    log = 'hello\n::progress {"done": 1, "total": 4, "unit": "epochs"}\n::metric {"step": 1, "loss": 0.5}\n::metric x\n'
    machine.launcher.does = {"first": happening(seconds=10, log=log)}
    run_id = machine.run(chain)
    assert machine.tasks(run_id)["first"].progress == {"done": 1, "total": 4, "unit": "epochs"}
    assert [(m.step, m.values) for m in machine.store.metrics(run_id, "first")] == [(1, {"loss": 0.5})]
    assert [e.kind for e in machine.events if e.sequence == 0] == ["progress", "metric"]


def test_an_error_of_the_engine_leaves_no_process_and_a_run_that_can_be_retried(
    machine: Any, chain: str, happening: Any
) -> None:
    machine.launcher.does = {"first": happening(seconds=1000), "side": happening(seconds=5)}
    run_id = machine.engine.create_run(chain, {})

    def break_down() -> None:
        raise MemoryError("for the test")

    machine.clock.alarms[machine.clock.now() + 10] = break_down
    with pytest.raises(MemoryError):
        machine.engine.execute(run_id)
    assert [one.code for one in machine.launcher.running.values()] == [-9, 0]
    machine.launcher.running.clear()  # as after a restart: nobody knows of the processes
    machine.launcher.does = {}
    machine.engine.retry(run_id)
    assert machine.engine.execute(run_id) is RunState.SUCCEEDED
    assert machine.launcher.started.count("side") == 1
    assert machine.store.attempts(run_id, "first")[0].reason == "lost with the engine that started it"


def test_a_live_task_of_a_dead_engine_is_adopted_and_its_log_read_on(machine: Any, chain: str, happening: Any) -> None:
    machine.launcher.does = {"first": happening(seconds=60, log='::metric {"step": 1, "loss": 0.5}\n')}
    run_id = machine.engine.create_run(chain, {})

    def die() -> None:
        machine.launcher.deaf = True
        raise MemoryError("for the test")

    machine.clock.alarms[machine.clock.now() + 10] = die
    with pytest.raises(MemoryError):
        machine.engine.execute(run_id)
    machine.launcher.deaf = False
    machine.new_engine().retry(run_id)
    assert machine.engine.execute(run_id) is RunState.SUCCEEDED
    assert machine.tasks(run_id)["first"].attempts == 1
    assert len(machine.store.metrics(run_id, "first")) == 1


def test_the_store_refuses_to_move_a_committed_task(machine: Any, chain: str) -> None:
    run_id = machine.run(chain)
    with pytest.raises(Conflict, match="a task that is SUCCEEDED cannot become PENDING"):
        machine.store.move_task(run_id, "first", TaskState.PENDING, machine.clock.now())
    assert machine.tasks(run_id)["first"].state is TaskState.SUCCEEDED


def test_the_journal_tells_every_move_in_order(machine: Any, chain: str) -> None:
    run_id = machine.run(chain)
    moves = [e.detail["state"] for e in machine.store.events(run_id) if e.key == "second" and e.kind == "task"]
    assert moves == ["PENDING", "RUNNING", "SUCCEEDED"]
    times = [e.time for e in machine.store.events(run_id)]
    assert times == sorted(times)
    assert [e.sequence for e in machine.events if e.sequence] == [e.sequence for e in machine.store.events(run_id)]
