"""One landed round launches one run: across restarts, two watchers, deaths in between, corrections, backfills."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from pipeline.engine.database import Database
from pipeline.engine.round_log import RoundLog
from pipeline.engine.states import RunState
from pipeline.errors import Conflict, NotFound
from pipeline.remote import RemoteRun
from pipeline.rounds import folders
from pipeline.rounds import source as sources
from pipeline.rounds.launching import RemoteLauncher


def test_a_round_launches_one_run_however_often_it_is_looked_at(place):
    place.deliver("round1", range(5))
    assert len(place.land()) == 1
    for _ in range(3):
        assert place.look() == []
    assert len(place.runs()) == 1


def test_the_run_knows_what_launched_it_and_gets_the_rounds_oldest_first(place):
    place.deliver("round10", range(5))
    place.deliver("round2", range(5, 9))
    place.land()
    (run,) = place.runs()
    assert [(r["name"], r["uri"]) for r in run.parameters["rounds"]] == [
        ("round2", str(place.folder / "round2")),
        ("round10", str(place.folder / "round10")),
    ]
    assert run.labels["rounds"] == "round2, round10" and run.labels["source"] == str(place.folder)
    assert run.description == "launched by round2, round10"
    assert run.run_key.startswith(f"rounds/{place.source.source_id}/")
    assert place.rounds()["round10"].launch.run_id == run.run_id


def test_rounds_that_land_together_are_one_run_by_default(place):
    for number in (1, 2, 3):
        place.deliver(f"round{number}", range(number * 5, number * 5 + 5))
    place.land()
    assert place.learnt() == [["round1", "round2", "round3"]]


def test_rounds_that_land_together_are_a_run_each_when_queued(place):
    place.options = replace(place.options, mode=sources.QUEUE)
    for number in (1, 2, 3):
        place.deliver(f"round{number}", range(number * 5, number * 5 + 5))
    assert len(place.land()) == 3
    assert place.learnt() == [["round1"], ["round1", "round2"], ["round1", "round2", "round3"]]


def test_the_next_round_learns_together_with_those_before_it(place):
    place.deliver("round1", range(5))
    place.land()
    place.deliver("round2", range(5, 9))
    place.land()
    assert place.learnt() == [["round1"], ["round1", "round2"]]


def test_a_round_that_comes_late_does_not_lose_those_after_it(place):
    place.deliver("round1", range(5))
    place.deliver("round3", range(5, 9))
    place.land()
    place.deliver("round2", range(9, 12))
    place.land()
    assert place.learnt()[-1] == ["round1", "round2", "round3"]


def test_a_corrected_round_is_a_new_version_that_says_so_and_launches_again(place):
    place.deliver("round1", range(5))
    place.deliver("round2", range(5, 9))
    place.land()
    place.deliver("round2", range(5, 10))
    place.look()
    assert place.rounds()["round2"].reason.startswith("a correction of round2 is arriving: quiet for")
    place.clock.passes(60)
    (launch,) = place.look()
    view = place.rounds()["round2"]
    assert (view.label, view.reason, view.state) == ("round2 v2", "corrected: replaces round2", "launched")
    assert [v.label for v in view.earlier] == ["round2"] and "round2 v2" in launch.name
    assert place.learnt() == [["round1", "round2"], ["round1", "round2"]]
    assert place.runs()[1].labels["rounds"] == "round1, round2 v2"


def test_a_correction_that_is_taken_back_finds_the_run_of_the_first_version(place):
    place.deliver("round1", range(5))
    place.land()
    extra = place.folder / "round1/Images/skirt_length_labels/9.jpg"
    extra.write_bytes(b"new")
    place.land()
    extra.unlink()
    place.land()
    view = place.rounds()["round1"]
    assert (view.version, view.state) == (3, "launched") and len(place.runs()) == 2
    assert view.launch.run_id == place.runs()[0].run_id


def test_a_round_that_was_spoilt_teaches_nothing_until_it_is_mended(place):
    place.deliver("round1", range(5))
    place.land()
    place.deliver("round1", range(5), label="y")
    place.deliver("round2", range(5, 9))
    place.land()
    assert place.rounds()["round1"].state == "rejected" and place.rounds()["round1"].version == 2
    assert place.learnt() == [["round1"], ["round2"]]
    place.deliver("round1", range(6))
    place.land()
    assert place.learnt()[-1] == ["round1", "round2"]


def test_nothing_is_launched_while_an_older_round_is_being_changed(place):
    place.deliver("round1", range(5))
    place.land()
    place.deliver("round2", range(5, 9))
    place.mark("round2")
    place.deliver("round1", range(6))
    assert place.look() == []
    assert place.rounds()["round2"].reason == "waits for round1, which is being changed"
    place.clock.passes(60)
    place.look()
    assert place.learnt()[-1] == ["round1", "round2"]


def test_the_same_files_written_again_launch_nothing(place):
    place.deliver("round1", range(5))
    place.land()
    place.deliver("round1", range(5))
    place.land()
    assert len(place.runs()) == 1 and place.rounds()["round1"].version == 1


def test_other_settings_of_the_recipe_do_not_relaunch_what_was_launched(place):
    place.deliver("round1", range(5))
    place.land()
    place.overrides = ("round1.epochs=3",)
    place.land()
    assert len(place.runs()) == 1


def test_another_recipe_is_another_source(place):
    place.deliver("round1", range(5))
    place.land()
    place.recipe.write_text(place.recipe.read_text().replace('"watched"', '"second"'))
    place.land()
    assert [run.pipeline for run in place.runs()] == ["watched", "second"]


class Dies(Exception):
    """Stands for a `kill -9`: nothing after it happens."""


class Deadly:
    """A launcher in whose hands the watcher dies, before or after the run is made."""

    def __init__(self, launcher, after):
        self.launcher, self.after = launcher, after

    def launch(self, order):
        if self.after:
            self.launcher.launch(order)
        raise Dies

    def outcome(self, run_id):
        return self.launcher.outcome(run_id)


@pytest.mark.parametrize("after", [False, True])
def test_a_watcher_that_dies_around_making_the_run_is_finished_by_the_next(place, after):
    place.deliver("round1", range(5))
    place.look()
    place.clock.passes(60)
    with pytest.raises(Dies):
        place.look(Deadly(place.watch()._launcher, after))
    assert len(place.runs()) == int(after)
    (launch,) = place.look()
    assert [run.run_id for run in place.runs()] == [launch.run_id]


def test_two_watchers_that_decide_at_the_same_moment_make_one_run(place, monkeypatch):
    """Both have seen the round landed, and neither the other's launch, when they begin to write."""
    place.deliver("round1", range(5))
    place.look()
    place.clock.passes(60)
    together = threading.Barrier(2)
    intend = RoundLog.intend

    def late(self, launch, taking_up):
        together.wait()
        return intend(self, launch, taking_up)

    monkeypatch.setattr(RoundLog, "intend", late)
    with ThreadPoolExecutor(2) as watchers:
        seen = [watcher.result() for watcher in [watchers.submit(place.look) for _ in range(2)]]
    assert {launch.run_id for launches in seen for launch in launches} == {run.run_id for run in place.runs()}
    assert len(place.runs()) == 1 and len(place.log.launches(place.source.source_id)) == 1


def test_two_watchers_with_other_settings_make_one_run(place):
    place.deliver("round1", range(5))
    place.look()
    place.clock.passes(60)
    place.look()
    place.overrides = ("round1.epochs=7",)
    place.look()
    assert len(place.runs()) == 1


def test_what_stands_in_the_way_of_a_launch_is_said_and_tried_again(place):
    place.deliver("round1", range(5))

    class Refusing:
        def launch(self, order):
            raise Conflict("the endpoint is away")

        def outcome(self, run_id):
            raise AssertionError

    assert place.land(Refusing()) == []
    assert place.rounds()["round1"].reason == "its run cannot be made yet: the endpoint is away"
    assert len(place.look()) == 1
    assert place.rounds()["round1"].reason == ""


# Backfills


def backfill(place, *names, mode=sources.COALESCE):
    return place.watch().backfill(list(names), mode)


@pytest.fixture
def three(place):
    for number in (1, 2, 3):
        place.deliver(f"round{number}", range(number * 5, number * 5 + 5))
    place.land()
    return place


def test_a_backfill_learns_from_exactly_the_chosen_rounds(three):
    backfill(three, "round3", "round1")
    assert three.learnt()[1:] == [["round1", "round3"]]


def test_a_queued_backfill_is_one_run_for_each_chosen_round_with_those_before_it(three):
    backfill(three, "round1", "round2", mode=sources.QUEUE)
    assert three.learnt()[1:] == [["round1"], ["round1", "round2"]]


def test_a_backfill_is_not_repeated_unless_the_settings_are_others(three):
    (first,) = backfill(three, "round1")
    (again,) = backfill(three, "round1")
    assert again.run_id == first.run_id
    three.overrides = ("round1.epochs=3",)
    (other,) = backfill(three, "round1")
    assert other.run_id != first.run_id
    assert three.rounds()["round1"].state == "launched"


def test_a_backfill_of_what_was_just_launched_is_that_run(three):
    (launch,) = backfill(three, "round1", "round2", "round3")
    assert [launch.run_id] == [run.run_id for run in three.runs()]


def test_only_rounds_that_have_landed_are_backfilled(three):
    with pytest.raises(NotFound, match="no round 'round9'.*it has round1, round2, round3"):
        backfill(three, "round9")
    three.deliver("round4", range(40, 43), label="y")
    three.land()
    with pytest.raises(Conflict, match="round round4 is rejected"):
        backfill(three, "round4")


# How it ended


def test_the_end_of_the_run_and_what_promote_decided_are_kept_with_the_round(place):
    place.deliver("round1", range(5))
    place.land()
    (run,) = place.runs()
    place.end(run, RunState.FAILED)
    place.look()
    launch = place.rounds()["round1"].launch
    assert (launch.state, launch.ended) == ("FAILED", place.clock().wall)
    assert place.look() == [] and len(place.runs()) == 1, "a failed run is for people to retry"


def test_a_failed_run_that_somebody_retried_is_followed_to_its_end(place):
    place.deliver("round1", range(5))
    place.land()
    (run,) = place.runs()
    place.end(run, RunState.FAILED)
    place.look()
    store = place.store()
    store.reset_for_retry(store.run(run.run_id), 1.0, "retry")
    place.end(run)
    place.look()
    assert place.rounds()["round1"].launch.state == "SUCCEEDED"


def test_files_that_change_while_they_are_read_make_the_round_wait(place, monkeypatch):
    place.deliver("round1", range(5))
    place.look()
    place.clock.passes(60)
    content_of = folders.content_of

    def meddled(address):
        (place.folder / "round1/Images/late.jpg").write_bytes(b"late")
        return content_of(address)

    with monkeypatch.context() as patched:
        patched.setattr(folders, "content_of", meddled)
        assert place.look() == []
    assert place.rounds()["round1"].reason == "its files changed while they were read"
    assert len(place.land()) == 1


class Cluster:
    """A KFP endpoint: the same order twice is two runs."""

    def __init__(self):
        self.submitted = []

    def find_run(self, name):
        return next((f"run-{i}" for i, known in enumerate(self.submitted) if known == name), None)

    def submit_version(self, text, parameters, name, experiment=""):
        assert "pipelineInfo" in text and parameters["rounds"]
        self.submitted.append(name)
        return f"run-{len(self.submitted) - 1}"

    def run(self, run_id):
        return RemoteRun(run_id, "", "SUCCEEDED", "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z")


class Dying(Cluster):
    """Takes the order, and the watcher dies before it hears of it."""

    def submit_version(self, text, parameters, name, experiment=""):
        super().submit_version(text, parameters, name, experiment)
        raise Dies


def test_an_endpoint_that_makes_a_run_of_every_order_gets_one_order(place):
    place.deliver("round1", range(5))
    place.look()
    place.clock.passes(60)
    cluster = Dying()
    with pytest.raises(Dies):
        place.look(RemoteLauncher(cluster, place.state))
    healed = Cluster()
    healed.submitted = cluster.submitted
    (launch,) = place.look(RemoteLauncher(healed, place.state))
    place.look(RemoteLauncher(healed, place.state))
    assert healed.submitted == [launch.name]
    assert place.rounds()["round1"].launch.state == "SUCCEEDED"
    assert place.runs() == []


def test_every_write_of_the_log_is_whole(place):
    """The rows of a launch and of the rounds it takes up change together or not at all."""
    place.deliver("round1", range(5))
    place.look()
    place.clock.passes(60)
    watch = place.watch()
    insert = Database.insert

    def full(self, table, values):
        if table == "round_launches":
            raise Dies
        insert(self, table, values)

    with pytest.MonkeyPatch.context() as patched, pytest.raises(Dies):
        patched.setattr(Database, "insert", full)
        watch.look()
    assert place.rounds()["round1"].state == "landed"
    assert len(place.look()) == 1
