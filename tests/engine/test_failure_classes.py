"""Why attempts fail, how often each class is repeated, and that a crash of the engine gives no task its budget back."""

import errno
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engine import failures, retries, trouble
from pipeline.engine.failures import Evidence, Failure, FailureKind, classify
from pipeline.engine.ir import Retry
from pipeline.engine.states import RunState

GIB = 1 << 30
TRACEBACK = ("Traceback (most recent call last):", '  File "step.py", line 3, in <module>', "ValueError: no such fold")


@pytest.mark.parametrize(
    ("evidence", "kind", "cause"),
    [
        (Evidence(None, lost=True), "preempted", "lost with the engine that started it"),
        (Evidence(None), "preempted", "its process is gone and left no exit status"),
        (Evidence(-15), "preempted", "killed by SIGTERM"),
        (Evidence(143), "preempted", "exit code 143"),
        (Evidence(-1), "preempted", "killed by SIGHUP"),
        (Evidence(-9), "preempted", "killed by SIGKILL"),
        (Evidence(-9, usage={"max_rss_bytes": GIB, "oom_kills": 0}), "preempted", "killed by SIGKILL"),
        (
            Evidence(-9, usage={"max_rss_bytes": GIB, "oom_kills": 1}),
            "out of memory",
            "out of memory: killed by SIGKILL (the kernel counted a process that it killed for memory)",
        ),
        (
            Evidence(-9, usage={"max_rss_bytes": 7.5 * GIB}, memory_bytes=8 * GIB),
            "out of memory",
            "out of memory: killed by SIGKILL (it used 7.5 GiB of its limit of 8.0 GiB)",
        ),
        (
            Evidence(137, usage={"max_rss_bytes": 15 * GIB}, machine_bytes=16 * GIB),
            "out of memory",
            "out of memory: exit code 137 (it used 15.0 GiB of the machine's 16.0 GiB)",
        ),
        (
            Evidence(137),
            "out of memory",
            "out of memory: exit code 137 (exit code 137 of a container mostly means so)",
        ),
        (
            Evidence(137, usage={"max_rss_bytes": GIB, "oom_kills": 0}, machine_bytes=16 * GIB),
            "preempted",
            "exit code 137",
        ),
        (Evidence(1, ("MemoryError",)), "out of memory", "out of memory: exit code 1: MemoryError"),
        (
            Evidence(1, ("numpy.core._exceptions._ArrayMemoryError: Unable to allocate 9 GiB",)),
            "out of memory",
            "out of memory: exit code 1: numpy.core._exceptions._ArrayMemoryError: Unable to allocate 9 GiB",
        ),
        (Evidence(-9, overdue="timed out after 60 s"), "timeout", "timed out after 60 s"),
        (Evidence(2, ("error: no folder x",)), "bad data", "no folder x"),
        (Evidence(2, ("MemoryError",)), "bad data", "MemoryError"),
        (Evidence(2), "bad data", "exit code 2"),
        (
            Evidence(1, ("OSError: [Errno 28] No space left on device: '/data/x'",)),
            "disk full",
            "exit code 1: OSError: [Errno 28] No space left on device: '/data/x'",
        ),
        (Evidence(75, ("error: gs://b/x: no answer",)), "unreachable", "exit code 75: error: gs://b/x: no answer"),
        (Evidence(1, TRACEBACK), "bug", "exit code 1: ValueError: no such fold"),
        (Evidence(-11), "bug", "killed by SIGSEGV"),
        (Evidence(-40), "bug", "killed by signal 40"),
        (Evidence(127), "bug", "exit code 127"),
        (Evidence(255), "bug", "exit code 255"),
        (Evidence(0, problem="output parameter out is missing"), "bug", "output parameter out is missing"),
    ],
)
def test_a_failure_gets_the_class_and_the_cause_that_the_evidence_speaks_for(
    evidence: Evidence, kind: str, cause: str
) -> None:
    failure = classify(evidence)
    assert (str(failure.kind), failure.cause) == (kind, cause)
    assert failure.fix and "\n" not in failure.fix


def test_memory_of_a_gpu_is_told_from_memory_of_the_machine() -> None:
    said = "ResourceExhaustedError: OOM when allocating tensor on /device:GPU:0 by allocator GPU_0_bfc"
    assert classify(Evidence(1, (said,))).on_gpu
    assert not classify(Evidence(1, ("ResourceExhaustedError: OOM when allocating tensor by allocator cpu",))).on_gpu


@given(
    st.none() | st.integers(-200, 300).filter(bool),
    st.lists(st.text(), max_size=5),
    st.dictionaries(st.sampled_from(["max_rss_bytes", "oom_kills", "wall_s"]), st.integers(0, 2**40)),
    st.integers(0, 2**40),
)
def test_whatever_is_known_there_is_one_class_in_one_line_that_survives_the_store(
    code: int | None, lines: list[str], usage: dict[str, int], limit: int
) -> None:
    failure = classify(Evidence(code, lines, usage, limit, limit))
    assert failure.cause and failure.fix and len(failure.cause) < 2 * failures.MAX_CAUSE
    assert len(failure.cause.splitlines()) == len(failure.fix.splitlines()) == 1
    assert Failure.from_json(failure.as_json()) == failure


BACKED = Retry(limit=2, backoff_s=10.0)


@pytest.mark.parametrize("on_gpu", [False, True])
@pytest.mark.parametrize("company", [False, True])
def test_each_class_has_a_budget_of_its_own(on_gpu: bool, company: bool) -> None:
    around = retries.Circumstances(BACKED, on_gpu, company)
    limits = {str(kind): retries.policy_for(Failure(kind, "cause", "fix"), around).limit for kind in FailureKind}
    assert limits == {
        "not started": 0,
        "unreachable": 3,
        "preempted": 5,
        "out of memory": int(company),
        "timeout": 2,
        "disk full": 3,
        "bad data": 0,
        "bug": 0 if on_gpu else 2,
    }
    exhausted = Failure(FailureKind.OUT_OF_MEMORY, "cause", "fix", on_gpu=True)
    assert retries.policy_for(exhausted, around).limit == 0


@given(st.integers(1, 5000), st.floats(0, 1e4), st.floats(1, 1e3), st.floats(0, 1e5))
def test_a_wait_never_exceeds_the_longest_one(number: int, first: float, factor: float, longest: float) -> None:
    waited = retries.wait_s(Retry(9, first, factor, longest), number)
    assert 0 <= waited <= longest


def test_errors_of_the_machine_are_told_from_those_of_a_task() -> None:
    assert trouble.is_of_machine(OSError(errno.ENOSPC, "No space left on device"))
    assert not trouble.is_of_machine(IsADirectoryError(errno.EISDIR, "Is a directory"))


@pytest.fixture
def flaky(step: Any, ir_of: Any) -> Any:
    """A pipeline of one task with a retry policy, on request with a GPU."""

    def pipeline(limit: int = 0, gpu: bool = False, beside: bool = False) -> str:
        work, other = step("flaky", {}), step("other", {})

        def p() -> None:
            task = work().set_retry(limit, backoff_duration="10s") if limit else work()
            if gpu:
                task.set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(1)
            if beside:
                other()

        return str(ir_of(p))

    return pipeline


def kinds(machine: Any, run_id: str) -> list[str]:
    return [str(a.failure.kind) if a.failure else "" for a in machine.store.attempts(run_id, "flaky")]


def test_a_bug_never_burns_a_gpu_twice(machine: Any, flaky: Any, happening: Any) -> None:
    machine.new_engine(gpus=1)
    machine.launcher.does = {"flaky": happening(code=1)}
    run_id = machine.run(flaky(limit=3, gpu=True))
    assert kinds(machine, run_id) == ["bug"]
    assert machine.states(run_id) == {"flaky": "FAILED"}
    machine.new_engine(gpus=0)  # where it runs on the CPU, nothing dear is burnt
    assert len(kinds(machine, machine.run(flaky(limit=3, gpu=True)))) == 4


def test_a_preempted_task_is_repeated_without_any_retry_policy(machine: Any, flaky: Any, happening: Any) -> None:
    happenings = iter([happening(code=-15), happening(code=143), happening()])
    machine.launcher.does = {"flaky": lambda _: next(happenings)}
    run_id = machine.run(flaky())
    assert kinds(machine, run_id) == ["preempted", "preempted", ""]
    assert machine.states(run_id) == {"flaky": "SUCCEEDED"}
    assert machine.store.attempts(run_id, "flaky")[1].reason == "exit code 143; retry 2 of 5 in 20 s"


def test_classes_do_not_pay_for_each_other(machine: Any, flaky: Any, happening: Any) -> None:
    codes = iter([-15, 1, -15, 1, -15, 1])
    machine.launcher.does = {"flaky": lambda _: happening(code=next(codes))}
    run_id = machine.run(flaky(limit=2))
    assert kinds(machine, run_id) == ["preempted", "bug"] * 3
    assert machine.store.attempts(run_id, "flaky")[-1].reason == "exit code 1"


def test_a_task_that_ran_out_of_memory_beside_others_is_tried_once_more_alone(
    machine: Any, flaky: Any, happening: Any
) -> None:
    happenings = iter([happening(code=137), happening(code=137, seconds=10), happening()])
    machine.launcher.does = {"flaky": lambda _: next(happenings), "other": happening(seconds=30)}
    run_id = machine.run(flaky(beside=True))
    first, second = machine.store.attempts(run_id, "flaky")
    assert kinds(machine, run_id) == ["out of memory"] * 2
    assert second.started >= machine.tasks(run_id)["other"].ended > first.ended
    assert "raise its memory limit" in second.failure.fix


def test_a_task_that_ran_out_of_memory_alone_would_meet_the_same_again(
    machine: Any, flaky: Any, happening: Any
) -> None:
    machine.launcher.does = {"flaky": happening(code=1, log="Traceback\nMemoryError\n")}
    run_id = machine.run(flaky(limit=5))
    assert kinds(machine, run_id) == ["out of memory"]


def test_nothing_starts_beside_a_task_that_runs_alone(machine: Any, step: Any, ir_of: Any, happening: Any) -> None:
    flaky, first, then = step("flaky", {}), step("first", {}), step("then", {"x": str})

    def p() -> None:
        flaky()
        then(x=first().outputs["out"])

    happenings = iter([happening(code=137, seconds=2), happening(seconds=50)])
    machine.launcher.does = {"flaky": lambda _: next(happenings), "first": happening(seconds=10)}
    run_id = machine.run(ir_of(p))
    tasks = machine.tasks(run_id)
    alone = machine.store.attempts(run_id, "flaky")[1]
    assert alone.started >= tasks["first"].ended
    assert tasks["then"].started >= alone.ended or tasks["then"].ended <= alone.started


def test_a_crash_of_the_engine_does_not_give_a_task_its_retries_back(machine: Any, flaky: Any, happening: Any) -> None:
    machine.launcher.does = {"flaky": happening(code=1, seconds=5)}
    run_id = machine.engine.create_run(flaky(limit=3), {})
    for _ in range(12):
        _crash_after(machine, run_id, 12)
    assert kinds(machine, run_id) == ["bug"] * 4
    assert machine.store.run(run_id).state is RunState.FAILED


def _crash_after(machine: Any, run_id: str, seconds: float) -> None:
    """Executes a run as a server would; after a while the engine is gone, and a new one stands there."""
    run = machine.store.run(run_id)
    if run.state in (RunState.FAILED, RunState.SUCCEEDED):
        return
    execution, end = machine.engine.begin(run), machine.clock.time + seconds
    while machine.clock.time < end and execution.turn() is None:
        machine.clock.sleep(0.5)
    execution.let_go()
    machine.new_engine()


def test_a_retry_of_the_run_counts_anew(machine: Any, flaky: Any, happening: Any) -> None:
    machine.launcher.does = {"flaky": happening(code=1)}
    run_id = machine.run(flaky(limit=2))
    machine.engine.retry(run_id)
    machine.engine.execute(run_id)
    assert kinds(machine, run_id) == ["bug"] * 6
    assert machine.tasks(run_id)["flaky"].counted_from == 3


def test_a_task_that_takes_the_engine_down_each_time_is_given_up(machine: Any, flaky: Any, happening: Any) -> None:
    machine.launcher.does = {"flaky": happening(seconds=1000)}
    run_id = machine.engine.create_run(flaky(), {})
    for _ in range(8):
        _crash_after(machine, run_id, 3)
        machine.launcher.running.clear()  # the machine went down with it
    assert kinds(machine, run_id) == ["preempted"] * 6
    assert machine.states(run_id) == {"flaky": "FAILED"}
    assert machine.tasks(run_id)["flaky"].reason == "lost with the engine that started it"


def test_the_class_is_in_the_journal(machine: Any, flaky: Any, happening: Any) -> None:
    machine.launcher.does = {"flaky": happening(code=2, log="error: no pictures\n")}
    run_id = machine.run(flaky(limit=2))
    (ended,) = [e.detail for e in machine.store.events(run_id) if e.kind == "attempt" and "state" in e.detail]
    assert ended["failure"] == "bad data"
    assert ended["reason"] == "no pictures"


def test_a_long_message_keeps_its_beginning_and_its_end_where_the_mending_is_named() -> None:
    line = f"error: 4 rows are refused: {'a row, ' * 60}mend the data or raise max_rejected"
    cause = failures.classify(Evidence(code=2, lines=[line])).cause
    assert cause.startswith("4 rows are refused") and " … " in cause
    assert cause.endswith("mend the data or raise max_rejected") and len(cause) <= failures.MAX_CAUSE


@pytest.mark.parametrize(
    ("said", "cause", "fix"),
    [
        ("error: epochs=0 is too few; give 1 or more", "epochs=0 is too few", "give 1 or more"),
        ("error: a.csv has 2 columns; expected 3; add the label", "a.csv has 2 columns; expected 3", "add the label"),
        ("error: no pictures", "no pictures", "mend the settings or the data that the message names"),
        ("error: no pictures; ", "no pictures;", "mend the settings or the data that the message names"),
    ],
)
def test_bad_data_is_told_by_its_own_message_whose_last_half_is_the_fix(said: str, cause: str, fix: str) -> None:
    failure = classify(Evidence(code=2, lines=["step says", said]))
    assert (failure.cause, failure.fix) == (cause, fix)
