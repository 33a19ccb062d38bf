"""A state folder in memory's stead: a clock that stands until told, and runs that end when the test says so."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.engine.launch import Exit, Job
from pipeline.engine.recurring import RecurringRun, RecurringRuns, RecurringSpec
from pipeline.engine.runner import Engine
from pipeline.engine.schedule import CronSchedule
from pipeline.engine.states import RunState
from pipeline.engine.store import Store
from pipeline.engine.ticker import Ticker

PIPELINE = """
pipelineInfo: {name: retrain}
schemaVersion: 2.1.0
sdkVersion: kfp-2.17.0
root:
  dag: {tasks: {train: {taskInfo: {name: train}, componentRef: {name: comp-train}, cachingOptions: {}}}}
  inputDefinitions:
    parameters:
      day: {parameterType: STRING, isOptional: true, defaultValue: today}
      lr: {parameterType: NUMBER_DOUBLE, isOptional: true, defaultValue: 0.1}
      extra: {parameterType: LIST, isOptional: true, defaultValue: []}
components: {comp-train: {executorLabel: exec-train}}
deploymentSpec: {executors: {exec-train: {container: {image: "img:1", command: [train]}}}}
"""


def at(text: str) -> float:
    """Seconds of an ISO time, UTC where it names no zone."""
    time = datetime.fromisoformat(text)
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


class StandingClock:
    """Shows what the test sets."""

    def __init__(self, time: float) -> None:
        self.time = time

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


class NoLauncher:
    """Runs are only made here, never executed."""

    def start(self, job: Job) -> str:
        raise AssertionError(job)

    def release(self, handle: str) -> None:
        raise AssertionError(handle)

    def poll(self, handle: str) -> Exit | None:
        raise AssertionError(handle)

    def signal(self, handle: str, kill: bool) -> None:
        raise AssertionError((handle, kill))


class Office:
    """A state folder, its recurring runs and a ticker, with shortcuts for tests."""

    def __init__(self, directory: Path) -> None:
        self.clock = StandingClock(at("2026-11-22T00:00"))
        self.store = Store.open(directory)
        self.recurring = RecurringRuns(self.store)
        self.digest = self.store.keep_pipeline(PIPELINE)
        self.ticker = self.new_ticker()

    def new_ticker(self, store: Store | None = None) -> Ticker:
        """One that remembers nothing, as after a restart."""
        store = store or self.store
        self.engine = Engine(store, NoLauncher(), clock=self.clock)
        self.ticker = Ticker(store, self.engine, self.clock)
        return self.ticker

    def spec(self, cron: str = "0 * * * *", **values: Any) -> RecurringSpec:
        defaults = {"display_name": "nightly", "trigger": CronSchedule(cron), "pipeline_digest": self.digest}
        return RecurringSpec(**{**defaults, "max_concurrency": 10, **values})

    def add(self, cron: str = "0 * * * *", enabled: bool = True, **values: Any) -> RecurringRun:
        return self.recurring.create(self.spec(cron, **values), self.clock.now(), enabled)

    def edit(self, recurring_id: str, **values: Any) -> RecurringRun:
        spec = replace(self.recurring.get(recurring_id).spec, **values)
        return self.recurring.update(recurring_id, spec, self.clock.now())

    def tick_at(self, text: str) -> list[str]:
        self.clock.time = at(text)
        return self.ticker.tick()

    def launched(self) -> list[str]:
        """Scheduled times of all runs, in the order of their making, shortened to day and time."""
        runs = reversed(self.store.runs())
        return [datetime.fromtimestamp(run.scheduled, UTC).strftime("%d %H:%M") for run in runs]

    def finish(self, state: RunState = RunState.SUCCEEDED, reason: str = "") -> None:
        """Ends every run."""
        for run in self.store.unfinished():
            self.store.move_run(run.run_id, RunState.RUNNING, self.clock.now())
            self.store.move_run(run.run_id, state, self.clock.now(), reason)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path / "state")
    yield made
    made.store.close()


@pytest.fixture
def second_store(office: Office) -> Iterator[Store]:
    """What another process has open."""
    store = Store.open(office.store.directory)
    yield store
    store.close()


@pytest.fixture
def time_of() -> Callable[[str], float]:
    return at
