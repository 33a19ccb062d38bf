"""Real commands that misbehave, and what the engine makes of them."""

import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl
from kfp.dsl import OutputPath

from pipeline.engine import logtail, process
from pipeline.engine.budget import Budget
from pipeline.engine.failures import Evidence, FailureKind, classify
from pipeline.engine.launch import Exit, Job, ProcessLauncher
from pipeline.engine.runner import Engine
from pipeline.engine.states import RunState
from pipeline.engine.store import Store
from pipeline.engine.tools import Pace

WRITE_OUTPUT = (
    "import json, os, sys, time; wanted = json.loads(sys.argv[1])['outputs']['parameters']['out']['outputFile']\n"
)


def start(folder: Path, source: str, **environment: str) -> tuple[ProcessLauncher, str]:
    """Starts Python source as a command."""
    folder.mkdir(parents=True, exist_ok=True)
    launcher = ProcessLauncher()
    command = [sys.executable, "-c", source]
    handle = launcher.start(Job(command, "i", {**os.environ, **environment}, folder))
    launcher.release(handle)
    return launcher, handle


def wait_for(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Polls until something is true."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)
    return found


def finish(folder: Path, source: str, **environment: str) -> Exit:
    """Runs Python source as a command to its end."""
    launcher, handle = start(folder, source, **environment)
    found = wait_for(lambda: launcher.poll(handle), 120)
    assert isinstance(found, Exit)
    return found


def pids_in(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def test_a_log_beyond_its_limit_keeps_its_head_its_end_and_all_it_says_about_progress(tmp_path: Path) -> None:
    source = (
        "print('first line')\n"
        "for i in range(40000):\n"
        "    print('noise', i)\n"
        "    if i % 10000 == 0: print('::metric', '{\"step\": %d, \"loss\": 1}' % i)\n"
        "print('last line')\n"
    )
    assert finish(tmp_path, source, SEAMLINE_LOG_BYTES="40000").code == 0
    log = (tmp_path / "log").read_text()
    assert len(log) < 100_000
    assert log.startswith("first line\nnoise 0\n") and log.endswith("noise 39999\nlast line\n\n")
    assert "seamline: the log has reached its limit" in log and "bytes are left out; the end follows" in log
    assert [m["step"] for m in logtail.read_from(tmp_path / "log", 0).metrics] == [0, 10000, 20000, 30000]


def test_a_log_at_its_limit_to_the_byte_says_nothing_about_it(tmp_path: Path) -> None:
    assert finish(tmp_path, "print('x' * 99)", SEAMLINE_LOG_BYTES="100").code == 0
    assert (tmp_path / "log").read_text() == "x" * 99 + "\n"


def test_output_that_is_no_text_stays_as_it_is_and_is_shown_marked(tmp_path: Path) -> None:
    assert finish(tmp_path, "import sys; sys.stdout.buffer.write(bytes(range(256)) * 20 + b'\\nend\\n')").code == 0
    assert (tmp_path / "log").read_bytes() == bytes(range(256)) * 20 + b"\nend\n"
    assert logtail.last_lines(tmp_path / "log")[-1] == "end"
    assert logtail.read_from(tmp_path / "log", 0).metrics == ()


def test_a_command_that_closes_its_output_is_waited_for(tmp_path: Path) -> None:
    source = "import os, sys, time\nprint('bye', flush=True)\nos.close(1); os.close(2)\ntime.sleep(0.3)\nos._exit(7)"
    assert finish(tmp_path, source).code == 7
    assert (tmp_path / "log").read_text() == "bye\n"


DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        with open(sys.argv[0] if False else os.environ["PIDS"], "a") as stream:
            stream.write(f"{os.getpid()}\\n")
        time.sleep(1000)
    os._exit(0)
os.wait()
while not os.path.exists(os.environ["PIDS"]): time.sleep(0.01)
"""


def test_a_daemon_that_left_the_session_ends_with_its_command(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    assert finish(tmp_path / "a", DAEMON + "print('done')", PIDS=str(pids)).code == 0
    (left,) = pids_in(pids)
    assert not process.identity(left)
    assert (tmp_path / "a" / "log").read_text() == "done\n"


@pytest.mark.parametrize("whom", ["command", "supervisor"])
def test_a_daemon_ends_with_a_command_that_is_killed_however(tmp_path: Path, whom: str) -> None:
    pids = tmp_path / "pids"
    launcher, handle = start(tmp_path / "a", DAEMON + "time.sleep(1000)", PIDS=str(pids))
    wait_for(lambda: pids_in(pids))
    if whom == "command":
        launcher.signal(handle, kill=True)
    else:
        os.kill(process.pid_of(json.loads(handle)["process"]), signal.SIGKILL)
    assert wait_for(lambda: launcher.poll(handle)).code == -9
    wait_for(lambda: not process.identity(pids_in(pids)[0]))


def test_a_child_that_keeps_the_output_open_does_not_keep_the_command_open(tmp_path: Path) -> None:
    source = "import os, time\nif os.fork() == 0: time.sleep(1000)\nprint('parent', flush=True)\nos._exit(3)"
    begin = time.monotonic()
    assert finish(tmp_path, source).code == 3
    assert time.monotonic() - begin < 20
    assert (tmp_path / "log").read_text() == "parent\n"


def test_a_word_with_a_zero_byte_is_a_message_in_the_log(tmp_path: Path) -> None:
    launcher = ProcessLauncher()
    handle = launcher.start(Job(["echo", "a\0b"], "i", dict(os.environ), tmp_path))
    launcher.release(handle)
    assert wait_for(lambda: launcher.poll(handle)).code == 127
    assert "cannot start echo: embedded null byte" in (tmp_path / "log").read_text()


def test_time_and_memory_of_a_command_are_noted(tmp_path: Path) -> None:
    ended = finish(tmp_path, "import time; x = bytearray(200 << 20); time.sleep(0.3)")
    assert ended.usage["max_rss_bytes"] > 200 << 20
    assert ended.usage["wall_s"] >= 0.3
    assert ended.usage.get("oom_kills", 0) == 0


def test_the_command_is_the_first_that_the_kernel_takes_when_memory_runs_out(tmp_path: Path) -> None:
    finish(tmp_path, "import time; time.sleep(0.2); print(open('/proc/self/oom_score_adj').read())")
    assert int((tmp_path / "log").read_text()) == 500


CGROUPS = Path("/sys/fs/cgroup/memory")


@pytest.mark.skipif(not os.access(CGROUPS / "memory.limit_in_bytes", os.W_OK), reason="needs root and cgroups")
def test_a_command_that_the_kernel_kills_for_its_memory_is_named_so(tmp_path: Path) -> None:
    group = CGROUPS / f"seamline-test-{os.getpid()}"
    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text(str(64 << 20))
        join = f"open({str(group / 'cgroup.procs')!r}, 'w').write(str(os.getpid()))"
        ended = finish(tmp_path, f"import os\n{join}\nx = bytearray(500 << 20)")
    finally:
        wait_for(lambda: not (group / "cgroup.procs").read_text())
        group.rmdir()
    assert ended.code == -9 and ended.usage["oom_kills"] >= 1
    assert classify(Evidence(ended.code, usage=ended.usage)).kind is FailureKind.OUT_OF_MEMORY


@pytest.mark.slow
def test_a_gigabyte_of_output_fills_neither_memory_nor_disk(tmp_path: Path) -> None:
    source = "import sys\nline = b'x' * 99 + b'\\n'\nfor _ in range(10740): sys.stdout.buffer.write(line * 1000)\n"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert finish(tmp_path, source + "print('the end')").code == 0
    assert (tmp_path / "log").stat().st_size < 70 << 20
    assert logtail.last_lines(tmp_path / "log")[-2:] == ("the end", "")
    offset = 0
    while (said := logtail.read_from(tmp_path / "log", offset, logtail.PIECE_BYTES)).offset > offset:
        offset = said.offset
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10  # KiB


# The same through the whole engine: a pipeline of one task.


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    store = Store.open(tmp_path / "state")
    yield Engine(store, ProcessLauncher(), budget=Budget(4, 1 << 36), pace=Pace(0.02, 0.5))
    store.close()


@pytest.fixture
def run(engine: Engine, ir_of: Any) -> Callable[..., Any]:
    """Runs Python source as the only task, which shall write the output `out`; gives its attempts and the run."""

    def executed(source: str, timeout: int = 0, **environment: str) -> tuple[Any, Any]:
        def spec(out: OutputPath(str)) -> dsl.ContainerSpec:  # type: ignore[valid-type]
            return dsl.ContainerSpec(image="i", command=["python", "-c", WRITE_OUTPUT + source], args=["{{$}}"])

        spec.__name__ = "task"
        component = dsl.container_component(spec)

        def p() -> None:
            task = component()
            for name, value in environment.items():
                task.set_env_variable(name, value)
            if timeout:
                from kfp import kubernetes

                kubernetes.set_timeout(task, timeout)

        run_id = engine.create_run(ir_of(p), {})
        engine.execute(run_id)
        return engine._store.attempts(run_id, "task"), engine._store.run(run_id)

    return executed


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("print('fine')", "output parameter out is missing"),
        ("open(wanted, 'wb').write(bytes([255, 254]))", "output parameter out is no UTF-8 text"),
        ("os.mkfifo(wanted)", "output parameter out is missing"),
        ("os.mkdir(wanted)", "output parameter out is missing"),
        ("open(wanted, 'w').truncate(40 << 20)", "output parameter out has 41943040 bytes, 33554432 are taken"),
        ("told('[]')", "holds ['no object']"),
        ("told('{\"artifacts\": []}')", "artifacts of the executor output is '[]', which is no object"),
        ("told('{\"parameterValues\": 3}')", "parameterValues of the executor output is '3', which is no object"),
        ("told('[' * 100000)", "the executor output is nested too deeply"),
        ('told(\'{"parameterValues": {"out": NaN}}\')', "nan is not a finite number"),
        ('told(\'{"parameterValues": {"out": "\\\\ud800"}}\')', "an output has no JSON"),
        ("told('\\x00\\xff')", "the executor output is no JSON"),
    ],
)
def test_outputs_that_are_missing_or_make_no_sense_fail_the_task_with_a_reason(
    run: Callable[..., Any], source: str, reason: str
) -> None:
    tell = "told = lambda text: open(json.loads(sys.argv[1])['outputs']['outputFile'], 'w').write(text)\n"
    ((attempt,), ended) = run(tell + source)
    assert ended.state is RunState.FAILED
    assert reason in attempt.reason
    assert attempt.failure.kind is FailureKind.BUG and "write every declared output" in attempt.failure.fix


@pytest.mark.parametrize(
    "line",
    [
        '::metric {"step": 1e999}',
        '::metric {"step": ' + "9" * 400 + "}",
        '::metric {"step": 99999999999999999999}',
        '::progress {"done": "\\ud800"}',
        "::progress " + "[" * 100_000,
        "::metric \x00\x01",
    ],
)
def test_no_line_in_a_log_stops_the_engine(run: Callable[..., Any], line: str) -> None:
    _, ended = run(f"print({line!r}); open(wanted, 'w').write('x')")
    assert ended.state is RunState.SUCCEEDED


def test_a_task_that_hangs_is_ended_by_its_timeout_even_if_it_ignores_the_request(run: Callable[..., Any]) -> None:
    source = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)"
    ((attempt,), ended) = run(source, timeout=1)
    assert ended.state is RunState.FAILED
    assert (attempt.exit_code, attempt.reason) == (-9, "timed out after 1 s")
    assert attempt.failure.kind is FailureKind.TIMEOUT


def test_a_task_is_asked_before_it_is_ended_so_that_it_can_save_what_it_has(run: Callable[..., Any]) -> None:
    source = (
        "import signal\ndef save(*_): print('saved'); sys.exit(9)\n"
        "signal.signal(signal.SIGTERM, save); time.sleep(1000)"
    )
    ((attempt,), _) = run(source, timeout=1)
    assert (attempt.exit_code, attempt.reason) == (9, "timed out after 1 s")
    assert "saved" in (Path(attempt.directory) / "log").read_text()


def test_a_task_that_says_nothing_for_too_long_counts_as_hanging(run: Callable[..., Any]) -> None:
    source = "for _ in range(8): print('working', flush=True); time.sleep(0.2)\ntime.sleep(1000)"
    ((attempt,), _) = run(source, SEAMLINE_SILENCE_S="1")
    assert attempt.reason == "hangs: said nothing for 1 s"
    assert attempt.usage["wall_s"] > 2
    assert attempt.failure.kind is FailureKind.TIMEOUT


def test_a_traceback_is_the_cause_of_a_bug(run: Callable[..., Any]) -> None:
    ((attempt,), _) = run("raise KeyError('fold')")
    assert attempt.failure.cause == attempt.reason == "exit code 1: KeyError: 'fold'"


def test_a_real_lack_of_memory_in_python_is_named_so(run: Callable[..., Any]) -> None:
    source = "import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30)); bytearray(2 << 30)"
    ((attempt,), _) = run(source)
    assert attempt.failure.kind is FailureKind.OUT_OF_MEMORY
    assert "MemoryError" in attempt.reason


def test_a_task_that_somebody_ends_from_outside_is_repeated(run: Callable[..., Any], tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    source = f"if not os.path.exists({str(mark)!r}):\n    open({str(mark)!r}, 'w'); os.kill(os.getpid(), 15)\n"
    # The first wait of a preempted task is 10 s by the policy; the second attempt succeeds.
    from pipeline.engine import retries

    patch = pytest.MonkeyPatch()
    patch.setattr(retries, "PREEMPTED", retries.Retry(limit=5, backoff_s=0.1))
    try:
        (attempts, ended) = run(source + "open(wanted, 'w').write('x')")
    finally:
        patch.undo()
    assert ended.state is RunState.SUCCEEDED
    assert [str(a.failure.kind) if a.failure else "" for a in attempts] == ["preempted", ""]
