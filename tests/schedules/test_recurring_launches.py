"""What the ticker launches: once for each time, whatever dies, however clocks jump."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.engine import schedule
from pipeline.engine.records import Run
from pipeline.engine.recurring import RecurringRuns, RecurringSpec
from pipeline.engine.runner import Engine
from pipeline.engine.schedule import CronSchedule, IntervalSchedule
from pipeline.engine.states import RunState
from pipeline.engine.store import Store
from pipeline.engine.ticker import Ticker
from pipeline.errors import NotFound


def newest(office: Any) -> Run:
    return office.store.runs(1)[0]  # type: ignore[no-any-return]


def test_what_is_due_is_launched_and_nothing_else(office: Any) -> None:
    office.add("0 2 * * *")
    assert office.tick_at("2026-11-22T01:59:59") == []
    (run_id,) = office.tick_at("2026-11-22T02:00:01")
    assert office.store.run(run_id).state is RunState.PENDING
    assert office.tick_at("2026-11-22T02:00:02") == []
    assert office.launched() == ["22 02:00"]


def test_a_launched_run_says_where_it_comes_from(office: Any, time_of: Any) -> None:
    made = office.add(
        description="d",
        cache=False,
        parameters={"day": "[[ScheduledTime.2006-01-02]] [[CurrentTime.15:04]] [[RunUUID]]", "lr": "0.[[Index]]"},
    )
    office.tick_at("2026-11-22T01:07")
    run = newest(office)
    assert (run.name, run.description, run.cache) == ("nightly-1", "d", False)
    assert (run.recurring_id, run.scheduled) == (made.recurring_id, time_of("2026-11-22T01:00"))
    assert run.run_key == f"recurring/{made.recurring_id}/2026-11-22T01:00:00+00:00"
    assert run.parameters == {"day": f"2026-11-22 01:07 {run.run_id}", "lr": 0.1, "extra": []}


def test_every_missed_time_is_caught_up_in_order(office: Any) -> None:
    office.add("0 * * * *")
    office.tick_at("2026-11-22T04:30")
    assert office.launched() == ["22 01:00", "22 02:00", "22 03:00", "22 04:00"]
    assert newest(office).name == "nightly-4"


def test_without_catching_up_only_the_latest_missed_time_is_launched(office: Any) -> None:
    office.add("0 * * * *", no_catchup=True)
    office.tick_at("2026-11-22T04:30")
    office.tick_at("2026-11-22T05:00")
    assert office.launched() == ["22 04:00", "22 05:00"]


def test_what_has_no_room_waits_and_is_launched_in_order(office: Any) -> None:
    office.add("0 * * * *", max_concurrency=2)
    assert len(office.tick_at("2026-11-22T05:30")) == 2
    assert office.ticker.tick() == []
    office.finish()
    assert len(office.ticker.tick()) == 2
    office.finish(RunState.FAILED)
    office.ticker.tick()
    assert office.launched() == ["22 01:00", "22 02:00", "22 03:00", "22 04:00", "22 05:00"]


def test_without_catching_up_what_had_no_room_gives_way_to_the_latest(office: Any) -> None:
    office.add("0 * * * *", max_concurrency=1, no_catchup=True)
    for hour in (1, 2, 3):
        office.tick_at(f"2026-11-22T0{hour}:00:01")
    office.finish()
    office.tick_at("2026-11-22T03:30")
    assert office.launched() == ["22 01:00", "22 03:00"]


def test_only_runs_of_its_own_count_against_the_limit(office: Any) -> None:
    office.add("0 * * * *", max_concurrency=1)
    office.add("0 * * * *", max_concurrency=1)
    assert len(office.tick_at("2026-11-22T01:00")) == 2


def test_a_disabled_one_launches_nothing_and_goes_on_from_when_it_is_enabled(office: Any) -> None:
    made = office.add(enabled=False)
    assert office.tick_at("2026-11-22T03:30") == []
    office.recurring.enable(made.recurring_id, office.clock.now())
    office.tick_at("2026-11-22T04:30")
    assert office.launched() == ["22 04:00"]


def test_an_interval_is_counted_from_its_making(office: Any) -> None:
    office.add(trigger=IntervalSchedule(5400))
    office.tick_at("2026-11-22T04:00")
    assert office.launched() == ["22 01:30", "22 03:00"]


def test_it_follows_the_newest_version_of_its_pipeline(office: Any) -> None:
    database = office.store.database
    with database.writing():
        database.insert("catalogue", {"pipeline_id": "p", "name": "p", "display_name": "p", "created": 1.0})
        for number in (1, 2):
            row = {"version_id": f"v{number}", "pipeline_id": "p", "name": f"v{number}", "display_name": "v"}
            database.insert("versions", row | {"created": float(number), "pipeline_digest": office.digest})
    office.add("0 * * * *", pipeline_digest="", pipeline_id="p")
    office.add("0 * * * *", pipeline_digest="", pipeline_id="p", version_id="v1")
    office.tick_at("2026-11-22T01:00")
    assert sorted(run.version_id for run in office.store.runs()) == ["v1", "v2"]


def test_one_that_cannot_launch_says_why_once_and_stops_no_other(office: Any) -> None:
    broken = office.add(display_name="broken")
    office.add(display_name="whole")
    with office.store.database.writing():  # as if its pipeline had been deleted
        office.store.database.rows(
            "UPDATE recurring_runs SET spec_json = REPLACE(spec_json, ?, 'gone') WHERE recurring_id = ?",
            (office.digest, broken.recurring_id),
        )
    office.tick_at("2026-11-22T01:00")
    office.ticker.tick()
    assert [run.name for run in office.store.runs()] == ["whole-1"]
    assert "no pipeline 'gone' is kept here" in office.recurring.get(broken.recurring_id).problem
    told = [e for e in office.store.events("") if e.detail.get("change") == "problem"]
    assert len(told) == 1
    office.edit(broken.recurring_id, pipeline_digest=office.digest)
    office.tick_at("2026-11-22T01:01")
    assert newest(office).name == "broken-1"
    assert office.recurring.get(broken.recurring_id).problem == ""


def test_an_error_that_nobody_foresaw_is_told_as_the_problem_of_one_and_stops_no_other(office: Any) -> None:
    broken = office.add(display_name="broken", description="falls over")
    office.add(display_name="whole")

    def read(spec: RecurringSpec) -> tuple[str, str]:
        if spec.description == "falls over":
            raise KeyError("no such thing")
        return office.recurring.pipeline_of(spec)  # type: ignore[no-any-return]

    office.clock.time += 3600
    assert len(Ticker(office.store, office.engine, office.clock, read).tick()) == 1
    assert [run.name for run in office.store.runs()] == ["whole-1"]
    assert "please report it: KeyError" in office.recurring.get(broken.recurring_id).problem


def test_a_folder_that_comes_to_a_system_without_time_zones_is_readable_and_says_what_is_missing(
    office: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = office.add("30 * * * *", trigger=CronSchedule("45 0 * * *", "Asia/Kathmandu"))
    office.add(display_name="whole")

    def nothing(name: str) -> None:
        raise schedule.zoneinfo.ZoneInfoNotFoundError(name)

    monkeypatch.setattr(schedule.zoneinfo, "ZoneInfo", nothing)
    monkeypatch.setattr(schedule, "_knows_zones", lambda: False)
    office.tick_at("2026-11-22T01:00")
    assert [run.name for run in office.store.runs()] == ["whole-1"]
    assert "`pip install tzdata` brings it" in office.recurring.get(made.recurring_id).problem
    assert schedule.in_words(office.recurring.get(made.recurring_id).trigger) == "At 00:45 (Asia/Kathmandu)"


def test_run_now_launches_at_once_whatever_the_schedule_and_the_limit_say(office: Any) -> None:
    made = office.add(enabled=False, max_concurrency=1)
    first, second = office.ticker.run_now(made.recurring_id), office.ticker.run_now(made.recurring_id)
    assert first != second
    assert [run.name for run in office.recurring.runs(made.recurring_id)] == ["nightly-2", "nightly-1"]
    assert newest(office).scheduled == office.clock.now()


def test_the_runs_of_a_deleted_one_stay_and_a_ticker_that_has_just_read_it_goes_on(office: Any) -> None:
    made = office.add()
    office.tick_at("2026-11-22T01:00")
    stale = office.recurring.get(made.recurring_id)
    office.recurring.delete(made.recurring_id, office.clock.now())
    office.ticker._records.enabled = lambda: [stale]
    assert office.tick_at("2026-11-22T02:00") == []
    assert len(office.store.runs()) == 1


# Crashes, two tickers, clocks


class Killed(BaseException):
    """What a kill looks like from inside: no handler of ours catches it."""


def killing(times: int, act: Callable[..., Any], after: bool) -> Callable[..., Any]:
    """The act, killed before or after it is done, that many times."""
    left = iter(range(times))

    def killed(*values: Any, **named: Any) -> Any:
        if after:
            result = act(*values, **named)
        for _ in left:
            raise Killed
        return result if after else act(*values, **named)

    return killed


STEPS = [(Engine, "create_run"), (RecurringRuns, "dealt_with"), (RecurringRuns, "take_index"), (Store, "add_run")]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("owner", "step"), STEPS, ids=[name for _, name in STEPS])
def test_a_ticker_killed_around_any_step_launches_each_time_once(
    office: Any, monkeypatch: pytest.MonkeyPatch, owner: type, step: str, after: bool
) -> None:
    office.add("0 * * * *")
    office.clock.sleep(3.5 * 3600)
    monkeypatch.setattr(owner, step, killing(2, getattr(owner, step), after))
    for _ in range(2):
        with pytest.raises(Killed):
            office.new_ticker().tick()
    office.new_ticker().tick()
    assert office.launched() == ["22 01:00", "22 02:00", "22 03:00"]
    names = [run.name for run in office.store.runs()]
    assert len(names) == len(set(names))


def test_two_tickers_that_look_at_once_launch_each_time_once(office: Any) -> None:
    office.add("*/5 * * * *", max_concurrency=10)
    office.add("*/7 * * * *", max_concurrency=3)
    office.clock.sleep(3600)
    together = threading.Barrier(4)

    def look() -> None:
        store = Store.open(office.store.directory)
        ticker = type(office).new_ticker(office, store)
        together.wait()
        for _ in range(3):
            ticker.tick()
        store.close()

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    runs = office.store.runs()
    assert len(runs) == 13 and len({run.run_key for run in runs}) == 13


def test_a_second_process_sees_what_the_first_has_launched(office: Any, second_store: Store) -> None:
    office.add()
    other = office.new_ticker(second_store)
    office.new_ticker()
    assert len(office.tick_at("2026-11-22T02:00")) == 2
    assert other.tick() == []


TICKING = """
import contextlib, sys, time
from pipeline.engine.runner import Engine
from pipeline.engine.states import RunState
from pipeline.engine.store import Store
from pipeline.engine.ticker import Ticker
from pipeline.errors import Conflict

class FastClock:
    def now(self):
        return float(sys.argv[2]) + (time.time() - float(sys.argv[3])) * 600

store = Store.open(sys.argv[1])
ticker = Ticker(store, Engine(store, None, clock=FastClock()), FastClock())
while True:
    ticker.tick()
    for run in store.unfinished():
        with contextlib.suppress(Conflict):  # the other process has just ended it
            store.move_run(run.run_id, RunState.RUNNING, 0.0)
            store.move_run(run.run_id, RunState.SUCCEEDED, 0.0)
"""


@pytest.mark.slow
def test_real_processes_that_are_killed_at_any_moment_launch_each_minute_once(office: Any) -> None:
    """Ten minutes pass in each second; five processes tick, and every half second the oldest is killed."""
    office.add("* * * * *", max_concurrency=10)
    arguments = [str(office.store.directory), str(office.clock.now()), str(time.time())]
    ticking = [subprocess.Popen([sys.executable, "-c", TICKING, *arguments]) for _ in range(4)]
    for number in range(16):
        if number < 12:
            ticking.append(subprocess.Popen([sys.executable, "-c", TICKING, *arguments]))
        time.sleep(0.5)
        oldest = ticking.pop(0)
        oldest.kill()
        assert oldest.wait() == -signal.SIGKILL
    minutes = [round((run.scheduled - office.clock.now()) / 60) for run in reversed(office.store.runs())]
    assert minutes == list(range(1, len(minutes) + 1)) and len(minutes) > 30
    indices = [run.name for run in office.store.runs()]
    assert len(indices) == len(set(indices))


def test_a_clock_that_goes_back_fires_nothing_twice(office: Any) -> None:
    office.add()
    for clock in ("01:00", "02:00", "00:30", "01:00", "02:00", "03:00"):
        office.tick_at(f"2026-11-22T{clock}")
    assert office.launched() == ["22 01:00", "22 02:00", "22 03:00"]


@pytest.mark.parametrize("restarted", [False, True])
def test_after_a_jump_years_ahead_and_back_the_schedule_goes_on(office: Any, restarted: bool) -> None:
    office.add("0 2 * * *", no_catchup=True)
    office.tick_at("2031-01-01T12:00")
    assert office.launched() == ["01 02:00"]
    if restarted:
        office.new_ticker()
    office.tick_at("2026-11-22T01:59")
    office.tick_at("2026-11-22T02:01")
    office.tick_at("2026-11-23T02:01")
    assert office.launched() == ["01 02:00", "22 02:00", "23 02:00"]


def test_a_clock_before_the_making_of_a_recurring_run_fires_nothing(office: Any) -> None:
    office.add()
    for moment in ("2000-01-01T00:00", "2000-01-01T05:00", "2026-11-22T00:30"):
        assert office.tick_at(moment) == []
    assert len(office.tick_at("2026-11-22T01:00")) == 1


def test_what_had_no_room_while_the_clock_was_back_is_not_lost(office: Any) -> None:
    office.add("0 2 * * *", no_catchup=True, max_concurrency=1)
    office.tick_at("2031-01-01T12:00")
    office.tick_at("2026-11-22T01:59")
    assert office.tick_at("2026-11-22T02:01") == []
    office.finish()
    office.tick_at("2026-11-22T02:30")
    assert office.launched() == ["01 02:00", "22 02:00"]


moves = st.lists(st.integers(-5 * 3600, 5 * 3600), min_size=1, max_size=12)


@pytest.fixture
def fresh(office: Any) -> Iterator[Callable[..., Any]]:
    """A new recurring run in the same folder, at the same hour."""

    def made(**values: Any) -> Any:
        office.finish()
        for one in office.recurring.all():
            office.recurring.delete(one.recurring_id, 0.0)
        office.clock.time = 1_800_000_000.0
        office.new_ticker()
        return office.add("*/20 * * * *", **values)

    yield made


@given(moves, st.booleans(), st.integers(1, 10), st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_clock_does_no_time_fires_twice_or_before_it_is_due(
    office: Any, fresh: Callable[..., Any], jumps: list[int], no_catchup: bool, room: int, data: st.DataObject
) -> None:
    made = fresh(no_catchup=no_catchup, max_concurrency=room)
    latest = office.clock.now()
    for jump in jumps:
        office.clock.sleep(jump)
        latest = max(latest, office.clock.now())
        office.ticker.tick()
        assert office.recurring.unfinished(made.recurring_id) <= room
        if data.draw(st.booleans()):
            office.finish()
        if data.draw(st.booleans()):
            office.new_ticker()
    times = [run.scheduled for run in office.recurring.runs(made.recurring_id, 0)]
    assert len(times) == len(set(times))
    assert all(made.created < due <= latest and due % 1200 == 0 for due in times)


def test_a_schedule_that_has_ended_launches_no_more(office: Any, time_of: Any) -> None:
    office.add(trigger=CronSchedule("0 * * * *", end=time_of("2026-11-22T02:00")))
    office.tick_at("2026-11-22T09:00")
    assert office.launched() == ["22 01:00", "22 02:00"]
    with pytest.raises(NotFound):
        office.ticker.run_now("unknown")
