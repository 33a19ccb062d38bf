"""A training that is not finished: its state on disk, and what a termination signal does to it.

A preempted machine gives notice (SIGTERM, some 25 seconds before the end on a spot machine). The state is saved at the
next step, in the middle of an epoch too, and another attempt goes on with exactly the next batch.
"""

import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from components import progress
from components.artifacts import checkpoint
from components.errors import Damaged
from components.vision.learner import Learner

History = list[dict[str, float]]


@dataclass(frozen=True)
class Epoch:
    """A part of an epoch: loss and rows that were right of each step, numbers or tensors."""

    losses: list[Any] = field(default_factory=list)
    right: list[Any] = field(default_factory=list)

    @property
    def steps(self) -> int:
        """How many steps of it are done."""
        return len(self.losses)

    def as_json(self) -> dict[str, list[float]]:
        """As plain numbers, which waits for the GPU."""
        return {"losses": [float(loss) for loss in self.losses], "right": [float(count) for count in self.right]}


@dataclass(frozen=True)
class Progress:
    """How far the training is. Goes into the state file. `part` is of the epoch after `epoch`."""

    epoch: int = 0
    best_epoch: int = 0
    best_rank: tuple[float, float] = (-math.inf, -math.inf)
    waited: int = 0
    history: History = field(default_factory=list)
    part: Epoch = Epoch()

    @staticmethod
    def from_json(body: dict[str, Any]) -> "Progress":
        """What the state file has."""
        part = Epoch(**body.get("part", {}))
        return Progress(**body | {"best_rank": tuple(body["best_rank"]), "part": part})


class Asked(Exception):
    """The process is to end, and what it does just now is not worth waiting for."""


class Unfinished:
    """The state of this training in `folder`; `identity` says whose it is, so that no other goes on with it.

    `unit` is what the training counts: epochs, or iterations; `clock` gives seconds since some moment.
    """

    def __init__(
        self,
        folder: str,
        identity: dict[str, Any],
        unit: str = "epoch",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder, self.identity, self.unit = folder, identity, unit
        self._writing, self._asked, self._unsaved, self._version = False, False, False, 0
        self._clock, self._begun, self._earlier_s = clock, clock(), 0.0

    @property
    def seconds(self) -> float:
        """Spent on this training so far, by all attempts; what one lost when it was killed is not known."""
        return self._earlier_s + self._clock() - self._begun

    def load(self, learner: Learner) -> tuple[Progress, dict[str, np.ndarray]]:
        """Where the last attempt stopped and its best weights; a fresh start where there is nothing to go on with."""
        try:
            found = checkpoint.load_state(self.folder)
        except Damaged as error:  # not one that may not be read just now
            progress.log(f"starting afresh: {error}")
            checkpoint.discard_state(self.folder)
            found = None
        if found is None:
            return Progress(), {}
        arrays, about, self._version = found.arrays, found.about, found.version
        state = {name.removeprefix("state/"): a for name, a in arrays.items() if name.startswith("state/")}
        if about["identity"] != self.identity or not learner.fits(state):
            progress.log("starting afresh: the unfinished training found was made by other settings, data or software")
            return Progress(), {}
        learner.restore(state)
        done = Progress.from_json(about["progress"])
        self._earlier_s = about.get("seconds", 0.0)
        steps = f", step {done.part.steps}" if done.part.steps else ""
        progress.log(f"going on after {self.unit} {done.epoch}{steps}")
        return done, {name.removeprefix("best/"): a for name, a in arrays.items() if name.startswith("best/")}

    def save(self, learner: Learner, done: Progress, best: dict[str, np.ndarray]) -> None:
        """Replaces the state file. A termination signal meanwhile takes effect afterwards."""
        arrays = {f"state/{n}": a for n, a in learner.state().items()} | {f"best/{n}": a for n, a in best.items()}
        told = asdict(replace(done, part=Epoch())) | {"part": done.part.as_json()}
        about = {"identity": self.identity, "progress": told, "seconds": self.seconds}
        self._writing = True
        self._version = checkpoint.save_state(self.folder, arrays, about, self._version)
        self._writing, self._unsaved = False, False
        if self._asked:
            _leave()

    def heed(self, learner: Learner, done: Progress, best: dict[str, np.ndarray]) -> None:
        """To be called after every step: saves and ends the process if it was asked to end."""
        self._unsaved = True
        if self._asked:
            self.save(learner, done, best)

    def until_asked(self, batches: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        """The batches; raises Asked in between once the process is to end."""
        for batch in batches:
            if self._asked:
                raise Asked
            yield batch

    @contextmanager
    def leaving_cleanly(self) -> Iterator[None]:
        """SIGTERM (a preempted node) ends the process at the next step, its state saved; at once where all is saved."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGTERM, self._terminate)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def _terminate(self, *_: Any) -> None:
        self._asked = True
        if not self._writing and not self._unsaved:
            _leave()


def _leave() -> None:
    progress.log("terminated; what is learnt is kept, another attempt goes on from there")
    sys.exit(128 + signal.SIGTERM)
