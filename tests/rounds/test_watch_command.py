"""The commands as users and cron type them; real processes, two at once, killed at the worst moments."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from components.artifacts import champions, reference
from components.artifacts.champions import Candidate, Champion, Decision
from pipeline import watch_command
from pipeline.command_errors import OneLineErrors
from pipeline.engine.store import Store

NAME = "skirt_length_labels"
COMMAND = """
import click, os, signal, sys
from pipeline import watch_command
from pipeline.command_errors import OneLineErrors
from pipeline.engine.round_log import RoundLog
from pipeline.rounds.launching import LocalLauncher
{spoilt}
main = OneLineErrors()
main.add_command(watch_command.watch)
main(sys.argv[1:])
"""
DIE = "lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)"
# Where a `kill -9` hits, told as what is replaced by death.
DEATHS = {
    "before the launch is recorded": f"RoundLog.intend = {DIE}",
    "between recorded and made": f"LocalLauncher.launch = {DIE}",
    "between made and recorded as made": f"RoundLog.move_launch = {DIE}",
    "while a version is recorded": f"RoundLog.put_version = {DIE}",
    "while digests are kept": f"RoundLog.put_file_digests = {DIE}",
}


@pytest.fixture
def seamline(place):
    main = OneLineErrors()
    main.add_command(watch_command.watch)
    main.add_command(watch_command.rollback)

    def invoke(*arguments):
        return CliRunner().invoke(main, [*map(str, arguments), "--state", str(place.state)])

    return invoke


@pytest.fixture
def process(place):
    """A function that starts `seamline watch --once --no-wait` in a process of its own."""

    def start(spoilt="", *arguments):
        code = COMMAND.format(spoilt=spoilt)
        manner = ["--recipe", str(place.recipe), "--once", "--no-wait", "--quiet-s", "0", "--state", str(place.state)]
        command = [sys.executable, "-c", code, "watch", str(place.folder), *manner, *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start


def once(seamline, place, *arguments):
    return seamline("watch", place.folder, "--recipe", place.recipe, "--once", "--no-wait", *arguments)


def runs(place):
    return Store.open(place.state).runs()


def test_once_says_why_nothing_is_launched_and_ends_with_0(seamline, place):
    place.deliver("round1", range(5))
    done = once(seamline, place)
    assert done.exit_code == 0
    assert "round1       waiting   5 files" not in done.output
    assert "round1       waiting   6 files; quiet for 0.0 s of 1 min 00 s; no _SUCCESS" in done.output
    assert runs(place) == []


def test_once_launches_what_has_landed(seamline, place):
    place.deliver("round1", range(5))
    place.mark("round1")
    done = once(seamline, place)
    (run,) = runs(place)
    assert f"round1       launched  5 pictures, 5 new; run {run.run_id[:8]} pending" in done.output


def test_json_tells_machines_the_same(seamline, place):
    place.deliver("round1", range(5), extra="Images/x.jpg,skirt_length_labels,ynnnnn\n")
    body = json.loads(once(seamline, place, "--quiet-s", 0, "--json").stdout)
    (view,) = body["rounds"]
    assert (view["label"], view["state"], view["rejected"]) == ("round1", "launched", 1)
    assert view["launch"]["run_id"] == body["launches"][0]["run_id"] == runs(place)[0].run_id


def test_a_folder_that_is_not_there_is_a_usage_error(seamline, place, tmp_path):
    done = seamline("watch", tmp_path / "nowhere", "--recipe", place.recipe, "--once")
    assert done.exit_code == 2 and "is not a folder; check the address" in done.stderr


def test_backfill_launches_chosen_rounds_again(seamline, place):
    for number in (1, 2):
        place.deliver(f"round{number}", range(number * 5, number * 5 + 5))
    once(seamline, place, "--quiet-s", 0)
    once(seamline, place, "--backfill", "round1")
    assert [len(run.parameters["rounds"]) for run in runs(place)] == [1, 2]


def test_register_leaves_the_watching_to_the_server(seamline, place):
    place.deliver("round1", range(5))
    done = seamline("watch", place.folder, "--recipe", place.recipe, "--register", "--quiet-s", 0)
    assert done.exit_code == 0 and "watched by the server" in done.output
    (source,) = place.log.sources()
    assert source.registered and runs(place) == []


def test_watching_by_hand_registers_nothing(seamline, place):
    once(seamline, place)
    assert [source.registered for source in place.log.sources()] == [False]


def test_several_watchers_at_once_make_one_run_of_one_round(process, place):
    place.deliver("round1", range(40))
    watchers = [process() for _ in range(3)]
    ends = [watcher.communicate(timeout=120) for watcher in watchers]
    assert [watcher.returncode for watcher in watchers] == [0, 0, 0], ends
    assert len(runs(place)) == 1


@pytest.mark.parametrize("moment", DEATHS)
def test_a_watcher_killed_at_a_moment_is_finished_by_the_next_one(process, place, moment):
    place.deliver("round1", range(5))
    dead = process(DEATHS[moment])
    dead.communicate(timeout=120)
    assert dead.returncode == -signal.SIGKILL
    next_one = process()
    told = next_one.communicate(timeout=120)
    assert next_one.returncode == 0, told
    (run,) = runs(place)
    assert place.rounds()["round1"].launch.run_id == run.run_id


@pytest.mark.slow
def test_watchers_killed_at_any_time_make_one_run_of_each_round(process, place):
    for number in range(1, 9):
        place.deliver(f"round{number}", range(number * 20, number * 20 + 20))
        watcher = process("", "--queue")
        time.sleep(number * 0.2)  # not a wait for anything: where it hits is the point
        watcher.kill()
        watcher.communicate()
    last = process("", "--queue")
    told = last.communicate(timeout=120)
    assert last.returncode == 0, told
    launched = [view.launch.run_id for view in place.rounds().values()]
    assert len(launched) == 8 and {run.run_id for run in runs(place)} == set(launched)


@pytest.mark.slow
@pytest.mark.timeout(900)  # three runs
def test_a_second_and_a_third_round_are_retrained_on_and_promoted_by_one_command(seamline, place, tmp_path):
    """With the defaults of every knob that decides who judges and who is promoted."""
    from pipeline.datasets import demo

    made = demo.draw(tmp_path / "drawn", seed=5, images=220, attributes=[NAME])
    place.recipe.write_text(SMALL)
    for folder in ("base", "round2"):
        (Path(made.folder) / folder).rename(place.folder / folder)
    done = seamline("watch", place.folder, "--recipe", place.recipe, "--once", "--quiet-s", 0, "--json")
    assert done.exit_code == 0, done.output
    body = json.loads(done.stdout)
    (launch,) = body["launches"]
    assert launch["state"] == "SUCCEEDED"
    assert launch["verdict"][NAME]["reason"] == "first champion of this attribute"
    again = seamline("watch", place.folder, "--recipe", place.recipe, "--once", "--quiet-s", 0)
    assert again.exit_code == 0 and len(runs(place)) == 1

    for number in (3, 4):
        more = demo.draw(tmp_path / f"more{number}", seed=3 + number, images=60, attributes=[NAME])
        (Path(more.folder) / "base").rename(place.folder / f"round{number}")
        how = ("--once", "--quiet-s", 0, "--set", "generations.start=champion", "--json")
        done = seamline("watch", place.folder, "--recipe", place.recipe, *how)
        assert done.exit_code == 0, done.output
        launch = json.loads(done.stdout)["launches"][0]
        assert launch["rounds"] == [f"round{n}" for n in range(1, number + 1)]
        verdict = launch["verdict"][NAME]
        assert (verdict["action"], verdict["pictures"] >= 30) == ("promoted", True), verdict
    reader = Store.open(place.state)
    (trained,) = [task for task in reader.tasks(launch["run_id"]) if task.label.endswith("train-round1")]
    assert "from the champion: " in reader.log_path(launch["run_id"], trained.key).read_text()


SMALL = """
name = "watched"
seed = 3
[attributes.skirt_length_labels]
[models.one.train]
backbone = "small_cnn"
[preprocess]
size_px = 32
encoding = "png"
[train]
weights = "none"
frozen_epochs = 0
batch_size = 16
epochs = 1
learning_rate = 1e-4
[generations]
pseudo = false
[placement.cpu]
ingest = 1
preprocess = 1
train = 1
predict = 1
[placement.memory_gb]
ingest = 1
preprocess = 1
train = 2
predict = 2
"""


# The way back


@pytest.fixture
def throne(place):
    """Three champions in a row: a, b, c."""
    root = str(place.state / "data")
    champion = Champion(NAME)
    for number, letter in enumerate("abc"):
        with reference.draft(root, "ensembles") as draft:
            made = draft.commit({"letter": letter}, {})
        candidate = Candidate(reference.digest_of(made), f"report {letter}", f"manifest {letter}")
        champion = champion.with_decision(candidate, {}, Decision("promoted", "better"), f"day {number}")
    champions.write(root, champion)
    return root


def in_force(root):
    return champions.read(root, NAME).current.report.split()[-1]


def test_rollback_puts_the_champion_before_in_force_and_twice_goes_two_back(seamline, throne):
    done = seamline("rollback", NAME, "--why", "wrong on hems")
    assert done.exit_code == 0 and "entry 4" in done.output and in_force(throne) == "b"
    assert seamline("rollback", NAME).exit_code == 0 and in_force(throne) == "a"
    done = seamline("rollback", NAME)
    assert done.exit_code == 2 and "no champion before the present one" in done.stderr


def test_rollback_to_an_entry_also_leads_forward_again(seamline, throne):
    seamline("rollback", NAME)
    done = seamline("rollback", NAME, "--to", 3, "--json")
    assert json.loads(done.stdout)["decision"]["action"] == "rolled back" and in_force(throne) == "c"


def test_the_history_says_who_and_why(seamline, throne):
    seamline("rollback", NAME, "--why", "wrong on hems")
    entry = champions.read(throne, NAME).history[-1]
    assert entry["terms"]["why"] == "wrong on hems" and entry["terms"]["by"]
    assert entry["decision"]["reason"].startswith("back to entry 2 by ")


def test_what_cannot_be_rolled_back_to_is_said(seamline, throne):
    assert "entry 9 put nobody in force; give one of these: 1, 2, 3" in seamline("rollback", NAME, "--to", 9).stderr
    assert "entry 3 is in force already" in seamline("rollback", NAME, "--to", 3).stderr
    assert "nothing to go back to" in seamline("rollback", "collar_design_labels").stderr
    gone = champions.read(throne, NAME).history[1]["challenger"]["ensemble"]
    (Path(throne) / "ensembles" / gone / "index.json").unlink()
    assert "is gone; restore it, or go back further" in seamline("rollback", NAME).stderr
    assert in_force(throne) == "c"
