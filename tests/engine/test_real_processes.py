"""The process launcher and the engine over it, with small shell commands: logs, exit codes, groups, kills, recovery."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl
from kfp.dsl import Output, OutputPath

from pipeline.engine import process
from pipeline.engine.budget import Budget
from pipeline.engine.launch import Exit, Job, ProcessLauncher
from pipeline.engine.runner import Engine
from pipeline.engine.states import RunState
from pipeline.engine.store import Store
from pipeline.engine.tools import Pace
from pipeline.errors import Conflict, PipelineError, StateError

# Reads the executor input ($0) and writes every output parameter; `BODY` may use the dict `values`.
SCRIPT = """
import json, os, sys, time
message = json.loads(sys.argv[1])
values = message.get("inputs", {}).get("parameterValues", {})
def out(text, name="out"):
    with open(message["outputs"]["parameters"][name]["outputFile"], "w") as stream:
        stream.write(text)
def count(line):
    with open(os.environ["SIDE_EFFECTS"], "a") as stream:
        stream.write(line + "\\n")
BODY
"""


def program(name: str, body: str, inputs: dict[str, Any], outputs: dict[str, Any] | None = None) -> Any:
    """A container component that runs Python source."""
    import inspect

    def spec(*_: Any) -> dsl.ContainerSpec:
        return dsl.ContainerSpec(image="i", command=["python", "-c", SCRIPT.replace("BODY", body)], args=["{{$}}"])

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    interface = {**inputs, **({"out": OutputPath(str)} if outputs is None else outputs)}
    spec.__name__ = name
    spec.__signature__ = inspect.Signature([inspect.Parameter(n, kind, annotation=a) for n, a in interface.items()])  # type: ignore[attr-defined]
    return dsl.container_component(spec)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SIDE_EFFECTS", str(tmp_path / "side_effects"))
    return tmp_path / "state"


@pytest.fixture
def engine(state: Path) -> Iterator[Engine]:
    store = Store.open(state)
    yield Engine(store, ProcessLauncher(), budget=Budget(4, 1 << 33), pace=Pace(0.02, 1.0))
    store.close()


def job(folder: Path, *command: str) -> Job:
    folder.mkdir(parents=True, exist_ok=True)
    return Job(command, "i", dict(os.environ), folder)


def wait_for(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Polls until something is true."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)
    return found


def finish(launcher: ProcessLauncher, handle: str) -> Exit:
    found = wait_for(lambda: launcher.poll(handle))
    assert isinstance(found, Exit)
    return found


@pytest.mark.parametrize(
    ("command", "code", "reason"),
    [
        ("echo hi; echo oops >&2", 0, ""),
        ("exit 3", 3, "exit code 3"),
        ("kill -9 $$", -9, "killed by SIGKILL"),
    ],
)
def test_a_command_ends_with_its_own_exit_code(tmp_path: Path, command: str, code: int, reason: str) -> None:
    launcher = ProcessLauncher()
    handle = launcher.start(job(tmp_path, "sh", "-c", command))
    launcher.release(handle)
    ended = finish(launcher, handle)
    assert (ended.code, ended.reason) == (code, reason)
    assert ended.usage["max_rss_bytes"] > 0


def test_stdout_and_stderr_go_to_the_log_in_order(tmp_path: Path) -> None:
    launcher = ProcessLauncher()
    handle = launcher.start(job(tmp_path, "sh", "-c", "echo one; echo two >&2; echo three"))
    launcher.release(handle)
    finish(launcher, handle)
    assert (tmp_path / "log").read_text() == "one\ntwo\nthree\n"


def test_a_command_that_does_not_exist_says_so_in_its_log(tmp_path: Path) -> None:
    launcher = ProcessLauncher()
    handle = launcher.start(job(tmp_path, "no-such-program"))
    launcher.release(handle)
    assert finish(launcher, handle).code == 127
    assert "cannot start no-such-program" in (tmp_path / "log").read_text()


def test_a_command_runs_only_after_its_release(tmp_path: Path) -> None:
    launcher = ProcessLauncher()
    handle = launcher.start(job(tmp_path, "touch", str(tmp_path / "ran")))
    launcher.signal(handle, kill=False)  # the engine gives up before it journalled the start
    assert finish(launcher, handle).code != 0
    assert not (tmp_path / "ran").exists()


def test_a_command_whose_engine_dies_before_the_release_never_runs(tmp_path: Path) -> None:
    code = (
        "import os, sys, pathlib\n"
        "from pipeline.engine.launch import Job, ProcessLauncher\n"
        f"folder = pathlib.Path({str(tmp_path)!r})\n"
        "job = Job(['touch', str(folder / 'ran')], 'i', dict(os.environ), folder)\n"
        "print(ProcessLauncher().start(job), flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    died = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    handle = died.stdout.strip()
    assert finish(ProcessLauncher(), handle) == Exit(None)
    assert not (tmp_path / "ran").exists()


def test_python_in_a_command_is_the_interpreter_of_the_engine(tmp_path: Path) -> None:
    launcher = ProcessLauncher()
    handle = launcher.start(job(tmp_path, "python", "-c", "import sys; print(sys.prefix)"))
    launcher.release(handle)
    finish(launcher, handle)
    assert (tmp_path / "log").read_text().strip() == sys.prefix


def test_the_end_of_a_command_ends_what_it_left_in_the_background(tmp_path: Path) -> None:
    launcher = ProcessLauncher()
    handle = launcher.start(job(tmp_path, "sh", "-c", "sleep 100 & echo $!"))
    launcher.release(handle)
    finish(launcher, handle)
    left = int((tmp_path / "log").read_text())
    wait_for(lambda: not process.identity(left))
    assert not process.identity(left)


@pytest.mark.parametrize("kill", [False, True])
def test_a_signal_reaches_the_children_of_a_command(tmp_path: Path, kill: bool) -> None:
    launcher = ProcessLauncher()
    handle = launcher.start(job(tmp_path, "sh", "-c", "sh -c 'echo $$; sleep 100' & wait"))
    launcher.release(handle)
    wait_for(lambda: (tmp_path / "log").exists() and (tmp_path / "log").read_text().endswith("\n"))
    child = int((tmp_path / "log").read_text())
    launcher.signal(handle, kill)
    assert finish(launcher, handle).code == (-9 if kill else -15)
    wait_for(lambda: not process.identity(child))


def test_another_launcher_adopts_a_running_command_and_sees_its_end(tmp_path: Path) -> None:
    first = ProcessLauncher()
    handle = first.start(job(tmp_path, "sh", "-c", "sleep 0.3; exit 4"))
    first.release(handle)
    second = ProcessLauncher()
    assert second.poll(handle) is None
    wait_for(lambda: first.poll(handle))  # reaps the zombie, as init does for the orphan of a dead engine
    assert finish(second, handle).code == 4


def test_a_command_whose_supervisor_is_killed_is_ended_and_counts_as_failed(tmp_path: Path) -> None:
    launcher = ProcessLauncher()
    handle = launcher.start(job(tmp_path, "sh", "-c", "echo $$; sleep 100"))
    launcher.release(handle)
    wait_for(lambda: (tmp_path / "log").exists() and (tmp_path / "log").read_text().endswith("\n"))
    command = int((tmp_path / "log").read_text())
    os.kill(process.pid_of(json.loads(handle)["process"]), signal.SIGKILL)
    assert finish(launcher, handle).code == -9
    wait_for(lambda: not process.identity(command))


def test_an_argument_longer_than_linux_takes_is_refused_with_advice(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="one argument of the command has 200000 bytes, Linux takes 131071"):
        ProcessLauncher().start(job(tmp_path, "echo", "x" * 200_000))


def test_a_reused_pid_is_not_taken_for_the_old_process() -> None:
    name = process.own_identity()
    pid, start, boot = name.split(":")
    assert process.is_alive(name)
    assert not process.is_alive(f"{pid}:{int(start) + 1}:{boot}")


def test_an_engine_runs_real_commands_with_files_folders_and_logs(engine: Engine, state: Path, ir_of: Any) -> None:
    body = "print('working'); uri = message['outputs']['artifacts']['page']['artifacts'][0]['uri']\n"
    body += "os.makedirs(uri + '/sub'); open(uri + '/sub/a.txt', 'w').write('A'); out('x' * values['n'])"
    one = program("one", body, {"n": int}, {"out": OutputPath(str), "page": Output[dsl.Dataset]})
    two = program("two", "out(values['x'] + '!')", {"x": str})

    def p(n: int = 3):  # type: ignore[no-untyped-def]
        two(x=one(n=n).outputs["out"])

    run_id = engine.create_run(ir_of(p), {})
    assert engine.execute(run_id) is RunState.SUCCEEDED
    with_store = Store.open(state, read_only=True)
    assert with_store.task(run_id, "two").outputs.parameters == {"out": "xxx!"}
    (page,) = with_store.task(run_id, "one").outputs.artifacts["page"]
    assert (Path(page.uri) / "sub" / "a.txt").read_text() == "A"
    assert with_store.log_path(run_id, "one").read_text() == "working\n"


COUNTED = "count(values['name']); time.sleep(0.15); out(values['name'] + values['x'])"


def _counted_pipeline(ir_of: Any) -> str:
    work = program("work", COUNTED, {"name": str, "x": str})
    gather = program("gather", "count('gather'); out(','.join(values['parts']))", {"parts": list[str]})

    def p() -> None:
        with dsl.ParallelFor(["a", "b"]) as name:
            one = work(name=name, x="1").set_caching_options(False)
            two = work(name=name, x=one.outputs["out"]).set_caching_options(False)
        gather(parts=dsl.Collected(two.outputs["out"])).set_caching_options(False)

    return str(ir_of(p))


# Executes a run in its own process and kills itself at the N-th journalled event, without any clean-up.
ENGINE = """
import os, sys
from pipeline.engine.budget import Budget
from pipeline.engine.launch import ProcessLauncher
from pipeline.engine.runner import Engine
from pipeline.engine.store import Store
from pipeline.engine.tools import Pace
state, run_id, deadly = sys.argv[1], sys.argv[2], int(sys.argv[3])
seen = 0
def on_event(event):
    global seen
    seen += event.sequence > 0
    if seen == deadly:
        os.kill(os.getpid(), 9)
store, pace = Store.open(state), Pace(0.02, 1.0)
engine = Engine(store, ProcessLauncher(), budget=Budget(4, 1 << 33), on_event=on_event, pace=pace)
if store.run(run_id).state != "PENDING":
    engine.retry(run_id)
print(engine.execute(run_id))
"""


def _execute(state: Path, run_id: str, deadly: int = 0) -> str:
    command = [sys.executable, "-c", ENGINE, str(state), run_id, str(deadly)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout.strip()


@pytest.mark.parametrize("deadly", [1, 2, 9, 12, 16, 19, 23, 26, 30])
def test_an_engine_killed_at_any_event_is_taken_up_and_no_committed_task_runs_twice(
    engine: Engine, state: Path, tmp_path: Path, ir_of: Any, deadly: int
) -> None:
    run_id = engine.create_run(_counted_pipeline(ir_of), {})
    assert _execute(state, run_id, deadly) == ""
    store = Store.open(state)
    assert store.run(run_id).state is RunState.RUNNING
    assert _execute(state, run_id) == "SUCCEEDED"
    assert store.task(run_id, "gather").outputs.parameters["out"] == "aa1,bb1"
    executed = sorted((tmp_path / "side_effects").read_text().split())
    # Adopted or never released: each command ran exactly once, whatever the moment of the kill.
    assert executed == ["a", "a", "b", "b", "gather"]


def test_tasks_that_die_with_their_engine_are_repeated_and_committed_ones_are_not(
    engine: Engine, state: Path, tmp_path: Path, ir_of: Any
) -> None:
    first = program("first", "count('first'); out('1')", {})
    slow = program(
        "slow",
        "count('slow'); time.sleep(100 if values['x'] == '1' and len(open(os.environ['SIDE_EFFECTS'])"
        ".read().split()) < 3 else 0); out('2')",
        {"x": str},
    )

    def p() -> None:
        slow(x=first().outputs["out"])

    run_id = engine.create_run(ir_of(p), {})
    child = subprocess.Popen([sys.executable, "-c", ENGINE, str(state), run_id, "0"], stdout=subprocess.DEVNULL)
    store = Store.open(state)
    counted = tmp_path / "side_effects"
    wait_for(lambda: counted.exists() and counted.read_text().split() == ["first", "slow"])
    child.kill()
    child.wait()
    (attempt,) = store.open_attempts(run_id)
    os.killpg(process.pid_of(json.loads(attempt.handle)["process"]), signal.SIGKILL)
    engine.retry(run_id)
    assert engine.execute(run_id) is RunState.SUCCEEDED
    assert counted.read_text().split() == ["first", "slow", "slow"]
    reasons = [a.reason for a in store.attempts(run_id, "slow")]
    assert reasons == ["lost with the engine that started it", ""]


def test_two_engines_cannot_execute_in_one_state_folder_but_readers_may_look(
    engine: Engine, state: Path, ir_of: Any
) -> None:
    slow = program("slow", "time.sleep(100)", {})

    def p() -> None:
        slow()

    text = ir_of(p)
    run_id, other = engine.create_run(text, {}), engine.create_run(text, {})
    child = subprocess.Popen([sys.executable, "-c", ENGINE, str(state), run_id, "0"], stdout=subprocess.PIPE, text=True)
    store = Store.open(state, read_only=True)
    wait_for(lambda: store.open_attempts(run_id))
    with pytest.raises(StateError, match=f"in process {child.pid}"):
        engine.execute(other)
    with pytest.raises(Conflict, match="is being executed by process"):
        engine.retry(run_id)
    assert engine.terminate(run_id) is RunState.RUNNING
    assert child.communicate(timeout=20)[0].strip() == "CANCELED"
    assert store.run(run_id).state is RunState.CANCELED
    handle = json.loads(store.attempts(run_id, "slow")[0].handle)
    assert not process.is_alive(handle["process"])


def test_terminating_an_interrupted_run_ends_the_tasks_it_left(engine: Engine, state: Path, ir_of: Any) -> None:
    slow = program("slow", "time.sleep(100)", {})

    def p() -> None:
        slow()

    run_id = engine.create_run(ir_of(p), {})
    child = subprocess.Popen([sys.executable, "-c", ENGINE, str(state), run_id, "0"])
    store = Store.open(state, read_only=True)
    wait_for(lambda: store.open_attempts(run_id))
    child.kill()
    child.wait()
    handle = json.loads(store.attempts(run_id, "slow")[0].handle)
    assert process.is_alive(handle["process"])
    assert engine.terminate(run_id) is RunState.CANCELED
    assert not process.is_alive(handle["process"])


def test_an_interrupt_from_the_keyboard_leaves_a_run_to_resume_and_no_process(
    engine: Engine, state: Path, tmp_path: Path, ir_of: Any
) -> None:
    slow = program("slow", "count('x'); time.sleep(100)", {})

    def p() -> None:
        slow()

    run_id = engine.create_run(ir_of(p), {})
    child = subprocess.Popen(
        [sys.executable, "-c", ENGINE, str(state), run_id, "0"],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    wait_for(lambda: (tmp_path / "side_effects").exists())
    child.send_signal(signal.SIGINT)
    assert child.communicate(timeout=20)[0].strip() == "CANCELED"
    store = Store.open(state, read_only=True)
    assert not process.is_alive(json.loads(store.attempts(run_id, "slow")[0].handle)["process"])


def test_a_timeout_of_the_platform_document_ends_a_task(engine: Engine, state: Path, ir_of: Any) -> None:
    from kfp import kubernetes

    slow = program("slow", "time.sleep(100)", {})

    def p() -> None:
        kubernetes.set_timeout(slow(), 1)

    run_id = engine.create_run(ir_of(p), {})
    assert engine.execute(run_id) is RunState.FAILED
    assert Store.open(state).task(run_id, "slow").reason == "timed out after 1 s"


def test_lightweight_python_components_run_as_they_are(
    engine: Engine, state: Path, tmp_path: Path, ir_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    # `python3 -m pip install` of the generated command would need the network; kfp is installed already.
    python = bin_folder / "python3"
    python.write_text(f'#!/bin/sh\n[ "$2" = pip ] && exit 0\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)

    @dsl.component(base_image="python:3.11")
    def double(x: int, scale: float = 2.0) -> float:
        return x * scale

    @dsl.component(base_image="python:3.11")
    def show(x: float, page: Output[dsl.HTML]) -> str:
        with open(page.path, "w") as stream:
            stream.write(f"<p>{x}</p>")
        page.metadata["x"] = x
        return f"got {x}"

    def p(x: int = 21):  # type: ignore[no-untyped-def]
        show(x=double(x=x).output)

    text = ir_of(p).replace("python3 ", f"{python} ")
    run_id = engine.create_run(text, {})
    assert engine.execute(run_id) is RunState.SUCCEEDED, Store.open(state).log_path(run_id, "double").read_text()
    task = Store.open(state).task(run_id, "show")
    assert task.outputs.parameters == {"Output": "got 42"}  # KFP, too, hands on 42.0 as 42
    (page,) = task.outputs.artifacts["page"]
    assert page.uri.endswith(".html") and Path(page.uri).read_text() == "<p>42</p>"
    assert page.metadata == {"x": 42}
