"""What a hostile user types: unusable folders, signals, pipes. One line, the right exit code, no remains."""

import errno
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner
from kfp import compiler, dsl

from pipeline import local, running, show
from pipeline.cli import main
from pipeline.engine.budget import Demand
from pipeline.engine.store import Store
from pipeline.errors import NotFound
from pipeline.server import log_view

TICK = 'echo begun; i=0; while [ $i -lt "$1" ]; do sleep 0.1; i=$((i+1)); done; mkdir -p "$(dirname "$2")"; echo > "$2"'


@dsl.container_component
def first(ticks: int, out: dsl.OutputPath(str)):
    return dsl.ContainerSpec(image="img:1", command=["sh", "-c", TICK, "first"], args=[ticks, out])


@dsl.container_component
def second(word: str, ticks: int, out: dsl.OutputPath(str)):
    return dsl.ContainerSpec(image="img:1", command=["sh", "-c", TICK, "second"], args=[ticks, out])


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def seamline(state, monkeypatch):
    monkeypatch.setenv("SEAMLINE_STATE", str(state))
    return lambda *arguments: CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture
def waiting(tmp_path, state):
    """A function that makes a run of two tasks, one after the other, of some tenths of a second each."""

    @dsl.pipeline(name="slow")
    def slow(ticks: int):
        second(word=first(ticks=ticks).outputs["out"], ticks=ticks)

    compiler.Compiler().compile(slow, str(tmp_path / "slow.yaml"))

    def make(ticks):
        return local.open_engine(state).create_run((tmp_path / "slow.yaml").read_text(), {"ticks": ticks})

    return make


@pytest.fixture
def started(state):
    """A function that executes a run in another process and returns the process once the first task runs."""
    processes = []

    def start(run_id):
        command = [sys.executable, "-m", "pipeline", "retry", run_id, "--state", str(state)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=hear_signals
        )
        processes.append(process)
        reader = Store.open(state, read_only=True)
        until(lambda: [t for t in reader.tasks(run_id) if t.is_leaf and t.attempts and has_begun(reader, t)])
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def has_begun(reader, task):
    """An attempt is recorded before its command runs: only what it says shows that it does."""
    log = reader.log_path(task.run_id, task.key)
    return log.exists() and log.read_text() != ""


def hear_signals():
    """Undoes what a shell does to what it runs in the background, and nohup to everything."""
    for number in running.STOP_SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def until(happens, seconds=20):
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def refusal(done):
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.output
    return done.exit_code, done.stderr


@pytest.mark.parametrize("command", [["terminate", "x"], ["retry", "x"], ["rerun", "x", "--task", "y"], ["runs"]])
def test_only_run_makes_a_state_folder(seamline, state, command):
    code, said = refusal(seamline(*command))
    assert (code, "there is no state in" in said, state.exists()) == (2, True, False)


def test_a_file_in_place_of_the_state_folder_is_said_before_data_is_drawn(seamline, state):
    state.write_text("")
    code, said = refusal(seamline("run", "demo"))
    assert (code, f"{state} is a file; give a folder with --state" in said) == (2, True)


def test_a_file_in_place_of_the_data_root_is_said_before_data_is_drawn(seamline, state, tmp_path):
    (tmp_path / "file").write_text("")
    for root in (tmp_path / "file", tmp_path / "file" / "data"):
        code, said = refusal(seamline("run", "demo", "--set", f"data_root={root}"))
        assert (code, f"data_root={root} is, or lies in, a file; give a folder" in said) == (2, True)
    assert not (state / "datasets").exists()


def test_a_data_set_in_a_file_is_refused(seamline, tmp_path):
    (tmp_path / "file").write_text("")
    code, said = refusal(seamline("demo-data", tmp_path / "file" / "data"))
    assert (code, f"would lie in {tmp_path / 'file'}, which is no folder; name another place" in said) == (2, True)


@pytest.mark.parametrize("root", ["nowhere", "file"])
def test_a_rollback_makes_no_folder_where_no_champions_are(seamline, tmp_path, root):
    (tmp_path / "file").write_text("")
    for given in (("--data-root", tmp_path / root), ("--state", tmp_path / root)):
        code, said = refusal(seamline("rollback", "skirt", *given))
        assert (code, "is not a folder, so it has no champions" in said) == (2, True)
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("command", [["submit", "demo"], ["runs"], ["terminate", "latest"]])
def test_an_empty_address_does_not_mean_this_machine(seamline, command):
    code, said = refusal(seamline(*command, "--host", ""))
    assert (code, "'' is no address; expected http://HOST:PORT" in said) == (2, True)


@pytest.mark.parametrize("number", ["nan", "inf"])
@pytest.mark.parametrize(
    "command",
    [
        ["gc", "--keep-days"],
        ["watch", ".", "--recipe", "demo", "--every"],
        ["watch", ".", "--recipe", "demo", "--quiet-s"],
    ]
    + [["retry", "x", "--gpu-hours"], ["run", "demo", "--gpu-hours"]],
)
def test_what_nobody_can_count_with_is_no_number(seamline, command, number):
    done = seamline(*command, number)
    assert done.exit_code == 2 and f"{number} is not finite; give a number" in done.stderr


def test_nothing_is_drawn_into_a_state_folder_of_a_newer_version(seamline, state):
    state.mkdir()
    with sqlite3.connect(state / "seamline.db") as database:
        database.execute("PRAGMA user_version = 99")
    code, said = refusal(seamline("run", "demo"))
    assert (code, "has version 99" in said, (state / "datasets").exists()) == (2, True, False)
    found = {row["name"]: row for row in json.loads(seamline("doctor", "--json").output)}
    assert (found["state folder"]["state"], "version 99" in found["state folder"]["detail"]) == ("missing", True)


def test_a_database_that_is_still_being_made_reads_as_no_state(seamline, state):
    state.mkdir()
    (state / "seamline.db").touch()
    assert "there is no state in" in refusal(seamline("runs"))[1]


def test_a_full_disk_is_one_line_and_exit_code_1(seamline, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/x")

    monkeypatch.setattr(local, "prepare", full)
    assert refusal(seamline("run", "demo")) == (1, "error: /data/x: No space left on device\n")


def test_streams_that_the_shell_closed_are_no_error(seamline, state, waiting):
    waiting(1)
    command = f"{sys.executable} -m pipeline runs --state {state} >&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_attributes_that_the_data_lacks_are_named(tmp_path, seamline, monkeypatch):
    labels = tmp_path / "data" / "Annotations" / "label.csv"
    labels.parent.mkdir(parents=True)
    labels.write_text("Images/a.jpg,skirt_length_labels,ynnnnn\n")
    monkeypatch.setattr(running, "execute", lambda *_: None)
    done = seamline("run", "demo", "--data", tmp_path / "data")
    assert (done.exit_code, done.stderr) == (
        0,
        "not in the data, left out: sleeve_length_labels, collar_design_labels\n",
    )


def test_relative_rounds_and_data_root_begin_where_the_command_was_given(tmp_path, seamline, state, monkeypatch):
    monkeypatch.chdir(tmp_path)
    labels = tmp_path / "r1" / "Annotations" / "label.csv"
    labels.parent.mkdir(parents=True)
    labels.write_text("Images/a.jpg,skirt_length_labels,ynnnnn\n", encoding="utf-16")
    monkeypatch.setattr(running, "execute", lambda *_: None)
    done = seamline("run", "fashionai", "--set", "data.rounds=r1", "--set", "data_root=out")
    assert done.exit_code == 0, done.output
    given = json.loads(seamline("show", "latest", "--json").output)["parameters"]
    assert (given["rounds"][0]["uri"], given["data_root"]) == (str(tmp_path / "r1"), str(tmp_path / "out"))
    assert [item["name"] for item in given["attributes"]] == ["skirt_length_labels"]


def test_plans_for_machines_are_json(seamline, waiting):
    run_id = waiting(0)
    assert json.loads(seamline("retry", run_id, "--plan", "--json").stdout) == {
        "run_id": run_id,
        "tasks": [],
        "seconds": 0.0,
    }
    assert seamline("retry", run_id).exit_code == 0
    planned = json.loads(seamline("rerun", run_id, "--task", "second", "--plan", "--json").stdout)
    assert [(row["label"], row["action"]) for row in planned["tasks"]] == [("first", "reuse"), ("second", "run")]


def test_a_plan_of_a_run_that_never_started_says_so(seamline, waiting):
    assert "has not been started yet: all its tasks will run" in seamline("retry", waiting(0), "--plan").stdout


def test_terminate_names_the_run_and_speaks_json(seamline, waiting):
    run_id = waiting(0)
    assert json.loads(seamline("terminate", "latest", "--json").stdout) == {"run_id": run_id, "state": "CANCELED"}
    run_id = waiting(0)
    assert seamline("terminate", "latest").stdout == f"run {run_id[:8]}: asked to stop, now stopped\n"


def test_a_busy_state_folder_is_refused_before_another_run_is_made(seamline, state, waiting, started):
    seamline("retry", waiting(0))
    done = Store.open(state, read_only=True).run("latest").run_id
    started(waiting(100))
    count = len(Store.open(state, read_only=True).runs())
    for command in (["run", "demo"], ["rerun", done, "--task", "second"]):
        busy = seamline(*command)
        assert (busy.exit_code, "is executing runs in process" in busy.stderr) == (2, True)
    assert len(Store.open(state, read_only=True).runs()) == count


def test_an_interrupted_run_is_called_so_with_the_way_on(seamline, waiting, started):
    run_id = waiting(100)
    process = started(run_id)
    process.kill()
    process.wait()
    assert "running, interrupted" in seamline("runs").stdout
    assert f"seamline retry {run_id[:8]} goes on where it stopped" in seamline("show", run_id).stdout
    assert json.loads(seamline("show", run_id, "--json").stdout)["interrupted"] is True
    assert seamline("logs", run_id, "first", "-f").stdout == "begun\n"  # and does not wait for ever
    assert seamline("terminate", run_id).exit_code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_the_tasks_says_so_and_leaves_a_run_to_go_on_with(seamline, waiting, started, number):
    run_id = waiting(100)
    process = started(run_id)
    process.send_signal(number)
    output, progress = process.communicate(timeout=20)
    assert process.returncode == 1
    assert f"seamline retry {run_id[:8]} goes on where it stopped" in output
    assert "first stopped" in progress
    assert json.loads(seamline("show", run_id, "--json").stdout)["state"] == "CANCELED"


def test_following_a_task_waits_for_its_start_and_ends_with_it(seamline, state, waiting, started):
    run_id = waiting(15)
    process = started(run_id)
    followed = seamline("logs", run_id, "second", "-f")
    assert (followed.exit_code, followed.stdout) == (0, "begun\n")
    assert followed.stderr == "second has not started: waits for first\n"
    assert process.wait(timeout=20) == 0


def test_an_attempt_that_never_was_is_refused(seamline, state, waiting):
    run_id = waiting(0)
    seamline("retry", run_id)
    with pytest.raises(NotFound, match="task first has no attempt 4; it has 1"):
        Store.open(state, read_only=True).log_path(run_id, "first", 4)
    assert seamline("logs", run_id, "first", "--attempt", "-1").exit_code == 2


def test_a_failure_is_shown_without_what_machines_say(state, waiting):
    noise = "I0000 00:00:1795307235.650577   25879 port.cc:153] oneDNN custom operations are on."
    for line in (noise, '::progress {"done": 1}', "WARNING: All log messages before absl::InitializeLog() is called"):
        assert log_view.MACHINE_LINE.match(line)
    assert not log_view.MACHINE_LINE.match("Image 0001 is broken")
    assert show.run_state(Store.open(state).run(waiting(0))).plain == "· waiting"


def test_a_state_that_cannot_be_written_is_one_line_and_exit_code_1(seamline, monkeypatch):
    def full(*_):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(local, "prepare", full)
    code, said = refusal(seamline("run", "demo"))
    assert (code, "database or disk is full; mend that, and `seamline retry` goes on" in said) == (1, True)


def test_a_step_gets_no_thousands_of_threads():
    assert int(local.environment(Demand(cpu_slots=9999))["OMP_NUM_THREADS"]) == 64
    assert int(local.environment(Demand(cpu_slots=0.5))["OMP_NUM_THREADS"]) == 1


def test_ctrl_c_while_compiling_is_one_line_and_130(seamline, state, monkeypatch):
    def interrupted(recipe):
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.compile.compile_recipe", interrupted)
    ended = seamline("run", "demo")
    assert ended.exit_code == 130
    assert ended.stderr.splitlines()[-1] == "interrupted by Ctrl-C; `seamline runs` shows the runs that were made"
    assert not state.exists()
