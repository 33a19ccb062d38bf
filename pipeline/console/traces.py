"""What a run of our pipeline left behind: the references among its tasks' outputs. What they say is read once."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from components.artifacts import reference, storage
from components.errors import DataError, StepError
from pipeline.engine.records import Run
from pipeline.engine.store import Store

MANIFEST, SHARDS, PREDICTIONS, PSEUDO, ENSEMBLE, REPORT = (
    "manifest",
    "shards",
    "predictions",
    "pseudo",
    "ensemble",
    "report",
)
KIND_OF = {SHARDS: "shards", PREDICTIONS: "predictions", PSEUDO: "pseudo", ENSEMBLE: "ensembles"}
_KEPT = 1024
# What reading a reference raises that is gone, damaged, in a bucket, or none of ours.
UNREADABLE = (StepError, OSError, ValueError, LookupError)


@dataclass(frozen=True)
class Left:
    """A reference and the task that made or reused it."""

    key: str
    where: str


@dataclass(frozen=True)
class Traces:
    """The references of a run, in the order of its tasks. `rounds`: the addresses of its rounds, oldest first."""

    manifest: str
    shards: tuple[Left, ...]
    predictions: tuple[Left, ...]
    pseudo: tuple[Left, ...]
    ensembles: tuple[Left, ...]
    report: Left | None
    rounds: tuple[str, ...]


def of_run(store: Store, run: Run) -> Traces | None:
    """What a run left so far; None where it has no manifest, as runs of other pipelines."""
    found: dict[str, list[Left]] = {name: [] for name in (MANIFEST, *KIND_OF, REPORT)}
    for task in store.tasks(run.run_id):
        for name, lefts in found.items() if task.is_leaf else ():
            value = task.outputs.parameters.get(name)
            if isinstance(value, str) and value:
                lefts.append(Left(task.key, value))
    if not found[MANIFEST]:
        return None
    return Traces(
        manifest=found[MANIFEST][0].where,
        shards=tuple(found[SHARDS]),
        predictions=tuple(found[PREDICTIONS]),
        pseudo=tuple(found[PSEUDO]),
        ensembles=tuple(found[ENSEMBLE]),
        report=found[REPORT][0] if found[REPORT] else None,
        rounds=_rounds(run),
    )


@lru_cache(maxsize=_KEPT)
def content(where: str, kind: str) -> Mapping[str, Any]:
    """What a reference's index says. Raises DataError where it is gone, or lies in a bucket."""
    refuse_bucket(where)
    return reference.read_index(where, kind)


def of_attribute(lefts: tuple[Left, ...], kind: str, attribute: str) -> list[Left]:
    """Those about an attribute; what is gone says nothing any more and is left out."""
    return [left for left in lefts if attribute_of(left, kind) == attribute]


def attribute_of(left: Left, kind: str) -> str:
    """The attribute that a reference is about; empty where nothing can be said."""
    try:
        return str(content(left.where, kind)["attribute"])
    except UNREADABLE:
        return ""


def refuse_bucket(where: str) -> None:
    """Raises DataError for what lies in a bucket: a page must not wait for the network."""
    if storage.is_remote(where):
        raise DataError(f"{where} lies in a bucket; pictures are shown where the data lies on this machine")


def _rounds(run: Run) -> tuple[str, ...]:
    given = run.parameters.get("rounds")
    items = given if isinstance(given, list) else []
    return tuple(str(item.get("uri", "")) if isinstance(item, dict) else "" for item in items)
