"""A launch: what run a set of rounds asks for, and who makes it, exactly once.

On this machine the state folder makes a run of a key only once. A KFP endpoint takes the same order twice as two runs;
there the run's name, which is the same for the same launch, is looked up first, under a lock that the kernel frees
when its holder dies.
"""

import fcntl
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from pipeline import compile as compiling
from pipeline import cost, local
from pipeline.engine.records import About
from pipeline.engine.round_records import Launch
from pipeline.engine.runner import Engine
from pipeline.engine.states import RUN_ENDED
from pipeline.engine.store import Store
from pipeline.recipe import Recipe

PROMOTE, DECISION = "promote", "decision"
LOCK = "rounds.lock"
ENDED = {*RUN_ENDED, "SKIPPED"}  # the last only at a KFP endpoint


@dataclass(frozen=True)
class Order:
    """A run that is asked for.

    Attributes:
        run_key: two orders of one key are one run.
        name: of the run; made of the key, so that it can be found again.
    """

    run_key: str
    name: str
    ir_text: str
    parameters: Mapping[str, Any]
    description: str = ""
    labels: Mapping[str, Any] = field(default_factory=dict)
    experiment: str = ""


@dataclass(frozen=True)
class Outcome:
    """How a launched run stands.

    Attributes:
        state: in KFP's words.
        verdict: attribute to the decision of the step promote, once it has decided.
    """

    state: str
    reason: str = ""
    verdict: Mapping[str, Any] = field(default_factory=dict)
    ended: float = 0.0


class Launcher(Protocol):
    """Makes runs and says how they stand."""

    def launch(self, order: Order) -> str:
        """Makes the run, or finds the one that was made before, and returns its id."""

    def outcome(self, run_id: str) -> Outcome:
        """How a run stands."""


class LocalLauncher:
    """Runs in the state folder; whoever holds its lock executes them."""

    def __init__(self, engine: Engine, store: Store) -> None:
        self._engine = engine
        self._store = store

    def launch(self, order: Order) -> str:
        """See Launcher."""
        return self._engine.create_run(
            order.ir_text,
            order.parameters,
            name=order.name,
            labels=order.labels,
            about=About(description=order.description, run_key=order.run_key),
        )

    def outcome(self, run_id: str) -> Outcome:
        """See Launcher."""
        run = self._store.run(run_id)
        made = [t.outputs.parameters.get(DECISION) for t in self._store.tasks(run_id) if t.name == PROMOTE]
        verdict: dict[str, Any] = next((json.loads(str(text)) for text in made if text), {})
        return Outcome(str(run.state), run.reason, verdict, run.ended)


class RemoteRun(Protocol):
    """A run as an endpoint tells it; `state` is KFP's word, `problem` an error message."""

    @property
    def state(self) -> str: ...

    @property
    def problem(self) -> str: ...

    @property
    def finished_at(self) -> str: ...


class Endpoint(Protocol):
    """What is needed of a KFP endpoint; `pipeline.remote.Endpoint` is one."""

    def find_run(self, name: str) -> str | None:
        """The id of the newest run with exactly this name."""

    def submit_version(self, text: str, parameters: Mapping[str, Any], name: str, experiment: str = "") -> str:
        """Makes a run of the pipeline's version, which is made when missing, and returns its id."""

    def run(self, run_id: str) -> RemoteRun:
        """One run."""


class RemoteLauncher:
    """Runs at a KFP endpoint; watchers with the same state folder share a lock.

    Args:
        endpoint: where the runs are made.
        state_dir: holds the lock.
        check: refuses parameters that the endpoint cannot use.
        pinned: compiled pipeline -> the same with images by names that do not move.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        state_dir: Path,
        check: Callable[[Mapping[str, Any]], None] = lambda given: None,
        pinned: Callable[[str], str] = str,
    ) -> None:
        self._endpoint = endpoint
        self._lock = state_dir / LOCK
        self._check = check
        self._pinned = pinned

    def launch(self, order: Order) -> str:
        """See Launcher. An order whose answer was lost may have arrived: it is looked up before it is sent again."""
        self._check(order.parameters)
        with _locked(self._lock):
            if found := self._endpoint.find_run(order.name):
                return found
            text = self._pinned(order.ir_text)
            return self._endpoint.submit_version(text, order.parameters, order.name, order.experiment)

    def outcome(self, run_id: str) -> Outcome:
        """See Launcher. What promote decided stands in the champions' registry, not here."""
        run = self._endpoint.run(run_id)
        ended = datetime.fromisoformat(run.finished_at).timestamp() if has_ended(run.state) and run.finished_at else 0.0
        return Outcome(run.state, run.problem, {}, ended)


def order_of(launch: Launch, recipe: Recipe, labels: Mapping[str, Any], state_dir: Path) -> Order:
    """What a recorded launch asks for, with the recipe as it stands now.

    Raises:
        PipelineError: the recipe does not fit the data.
    """
    structs = [dict(round["struct"]) for round in launch.rounds]
    return Order(
        run_key=launch.run_key,
        name=launch.name,
        ir_text=compiling.compile_recipe(recipe),
        parameters=local.parameters(recipe, structs, state_dir),
        description=f"launched by {told(launch.rounds)}",
        labels={**labels, **cost.label(recipe.prices), "rounds": told(launch.rounds)},
    )


def told(rounds: Sequence[Mapping[str, Any]]) -> str:
    """`round1, round2 v2`: rounds in words; a corrected round says so."""
    versions = ((round["name"], round["version"]) for round in rounds)
    return ", ".join(name if version == 1 else f"{name} v{version}" for name, version in versions)


def has_ended(state: str) -> bool:
    """Whether a run in this state does nothing more by itself."""
    return state in ENDED


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
