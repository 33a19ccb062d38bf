"""A folder of rounds that tests deliver into, a state folder, and clocks that tests move."""

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from components.artifacts import storage
from pipeline.engine.launch import ProcessLauncher
from pipeline.engine.records import Run
from pipeline.engine.round_log import RoundLog
from pipeline.engine.round_records import Launch, Source
from pipeline.engine.runner import Engine
from pipeline.engine.states import RunState
from pipeline.engine.store import Store
from pipeline.rounds import source as sources
from pipeline.rounds import views
from pipeline.rounds.landing import Instant
from pipeline.rounds.launching import Launcher, LocalLauncher
from pipeline.rounds.views import RoundView
from pipeline.rounds.watch import Watch

NAME = "skirt_length_labels"
RECIPE = """
name = "watched"
seed = 3
[attributes.skirt_length_labels]
[models.one.train]
backbone = "small_cnn"
[generations]
round2 = false
pseudo = false
"""


@dataclass
class Clock:
    """The wall clock and the machine's clock; `jump` moves only the first, as an administrator does."""

    now: Instant = Instant(1_700_000_000.0, "boot-a", 5_000.0)

    def __call__(self) -> Instant:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now = replace(self.now, wall=self.now.wall + seconds, steady=self.now.steady + seconds)

    def jump(self, seconds: float) -> None:
        self.now = replace(self.now, wall=self.now.wall + seconds)

    def on_another_machine(self) -> None:
        self.now = replace(self.now, boot="boot-b", steady=1.0)


@dataclass
class Place:
    """One source, seen through stores of one state folder."""

    folder: Path
    state: Path
    recipe: Path
    clock: Clock = field(default_factory=Clock)
    address: str = ""
    overrides: tuple[str, ...] = ()
    options: sources.Options = sources.Options(quiet_s=60.0)
    opened: list[Store] = field(default_factory=list)

    def deliver(
        self, name: str, pictures: range | list[int], label: str = "ynnnnn", extra: str = "", where: str = ""
    ) -> None:
        """Writes a round: one file for each number, equal numbers equal bytes, and the labels."""
        root = where or f"{self.address or self.folder}/{name}"
        for number in pictures:
            storage.write_bytes(f"{root}/Images/{NAME}/{number}.jpg", f"picture {number}".encode())
        lines = "".join(f"Images/{NAME}/{number}.jpg,{NAME},{label}\n" for number in pictures)
        storage.write_bytes(f"{root}/Annotations/label.csv", (lines + extra).encode())

    def mark(self, name: str, marker: str = "_SUCCESS") -> None:
        storage.write_bytes(f"{self.address or self.folder}/{name}/{marker}", b"")

    @property
    def source(self) -> Source:
        where = self.address or str(self.folder)
        return sources.describe(where, str(self.recipe), self.overrides, self.options, self.clock().wall)

    def store(self) -> Store:
        """A store of its own, as every process and thread has."""
        made = Store.open(self.state)
        if threading.current_thread() is threading.main_thread():  # another thread's goes with the thread
            self.opened.append(made)
        return made

    def watch(self, launcher: Launcher | None = None) -> Watch:
        """Another watcher of the same source, as after a restart."""
        store = self.store()
        log = RoundLog(store.database)
        log.put_source(self.source)
        hands = launcher or LocalLauncher(Engine(store, ProcessLauncher()), store)
        return Watch(log, self.source, hands, self.state, self.clock)

    def look(self, launcher: Launcher | None = None) -> list[Launch]:
        return self.watch(launcher).look()

    def land(self, launcher: Launcher | None = None) -> list[Launch]:
        """Looks, waits until everything is quiet, and looks again."""
        self.look(launcher)
        self.clock.passes(self.options.quiet_s)
        return self.look(launcher)

    @property
    def log(self) -> RoundLog:
        return RoundLog(self.store().database)

    def rounds(self) -> dict[str, RoundView]:
        return {view.name: view for view in views.list_rounds(self.log, self.source.source_id)}

    def runs(self) -> list[Run]:
        """Oldest first."""
        return self.store().runs()[::-1]

    def learnt(self) -> list[list[str]]:
        """The rounds of every run, oldest first."""
        return [[str(struct["name"]) for struct in run.parameters["rounds"]] for run in self.runs()]

    def end(self, run: Run, state: RunState = RunState.SUCCEEDED) -> None:
        store = self.store()
        store.move_run(run.run_id, RunState.RUNNING, self.clock().wall)
        store.move_run(run.run_id, state, self.clock().wall)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    recipe = tmp_path / "watched.toml"
    recipe.write_text(RECIPE)
    (tmp_path / "rounds").mkdir()
    made = Place(tmp_path / "rounds", tmp_path / "state", recipe)
    yield made
    for store in made.opened:
        store.close()


@pytest.fixture
def touch() -> Callable[[Path], None]:
    """Gives a file the times of the year 2001, as a copy with `cp -p` does."""
    return lambda path: os.utime(path, (1_000_000_000, 1_000_000_000))
