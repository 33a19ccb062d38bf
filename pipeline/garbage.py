"""What no run refers to, and how it is removed: references, artifacts, folders of deleted runs, unfinished work.

Kept is what a run that was not deleted names anywhere, what a champion's history names, and whatever the index of
something kept names in turn. Nothing young is removed, whoever refers to it: a run may be about to.
"""

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from components import entry
from components.artifacts import champions, reference, storage
from components.errors import DataError, SettingsError, StepError
from pipeline.engine import graph
from pipeline.engine.lookup import Lookup
from pipeline.engine.mentions import NAME, Mentions
from pipeline.engine.records import Task
from pipeline.engine.store import Store
from pipeline.errors import Conflict
from pipeline.recipe_steps import STEPS

DAY_S = 86_400.0
YEAR_2015_US = 1_420_070_400 * 10**6
ARTIFACTS, RUNS, UNFINISHED = "artifacts", "runs", "unfinished"


@dataclass(frozen=True)
class Garbage:
    """A folder that nothing refers to. `kind`: of a reference, or `artifacts`, `runs`, `unfinished`; `size`: bytes."""

    kind: str
    address: str
    size: int


def own_roots(store: Store) -> tuple[list[str], list[str]]:
    """Data roots of the runs: those inside the state folder, and those that others may write into as well."""
    known = {str(store.directory / "data"), *Lookup(store).data_roots()}
    inside = {root for root in known if not storage.is_remote(root) and Path(root).is_relative_to(store.directory)}
    return sorted(inside), sorted(known - inside)


def find(store: Store, roots: Sequence[str], keep_days: float, now: float | None = None) -> list[Garbage]:
    """Looks for what can go. The caller holds the folder's lock until it is gone.

    Args:
        store: the state folder.
        roots: data roots to look into.
        keep_days: what was written less long ago stays.
        now: seconds since 1970, by default the present.

    Raises:
        Conflict: a task may still run that no engine watches.
    """
    mentions = Mentions(store)
    if adrift := mentions.may_still_run():
        raise Conflict(
            f"run {adrift[0].run_id[:8]} was interrupted and its tasks may still run; "
            "`seamline retry` or `seamline terminate` it first"
        )
    names = mentions.names()
    going_on = {name for task in mentions.unended() for name in _unfinished_names(task)}
    folders = {kind: str(store.directory / kind) for kind in (ARTIFACTS, RUNS)}
    found = [(kind, folder, name) for kind, folder in folders.items() for name in _names(folder) if name not in names]
    for root in roots:
        kept = _with_parents(root, names | _crowned(root))
        found += [(k, storage.join(root, k), name) for k in reference.KINDS for name in _folders(root, k) - kept]
        found += [(UNFINISHED, storage.join(root, UNFINISHED), n) for n in _folders(root, UNFINISHED) - going_on]
    before = (time.time() if now is None else now) - keep_days * DAY_S
    return [one for place in sorted(found) if (one := _old(*place, before))]


def remove(garbage: Iterable[Garbage]) -> list[tuple[Garbage, str]]:
    """Removes it. Of a reference the index goes first: whoever is interrupted leaves none that looks whole.

    Returns:
        What is still there, wholly or in part, and why; it stops nothing else from going.
    """
    stayed = []
    for one in garbage:
        try:
            storage.remove_folder(one.address, first=reference.INDEX)
        except OSError as error:
            stayed.append((one, f"{error.filename or one.address}: {error.strerror or error}"))
        except StepError as error:  # of gs://
            stayed.append((one, str(error)))
    return stayed


def _names(folder: str) -> list[str]:
    try:
        return storage.folders(folder)
    except DataError:  # nothing was ever written there
        return []


def _folders(root: str, kind: str) -> set[str]:
    return set(_names(storage.join(root, kind)))


def _crowned(root: str) -> set[str]:
    """Whatever the champions' histories name: a roll back needs the former ones too."""
    folder = storage.join(root, champions.FOLDER)
    files = [storage.join(folder, name) for name in storage.list_files(folder) if name.endswith(".json")]
    return {name for file in files for name in NAME.findall(storage.read_bytes(file).decode())}


def _with_parents(root: str, names: set[str]) -> set[str]:
    """The names, and those that the indices of the references among them name, and so on."""
    places = {name: storage.join(root, kind, name) for kind in reference.KINDS for name in _folders(root, kind)}
    known, fresh = set(names), names & places.keys()
    while fresh:
        told = {name for one in fresh for name in NAME.findall(_index(places[one]))}
        fresh = (told - known) & places.keys()
        known |= told
    return known


def _index(address: str) -> str:
    try:
        return storage.read_bytes(storage.join(address, reference.INDEX)).decode()
    except DataError:  # half written, or half removed
        return ""


def _unfinished_names(task: Task) -> Iterator[str]:
    """What a task calls its unfinished work: by what it does, see `components.entry`."""
    step = graph.function_of(task.component)
    if step not in STEPS or not task.inputs.parameters:
        return
    try:
        inputs, settings = entry.resolve(STEPS[step], task.inputs.parameters)
    except SettingsError:  # it failed by them, so it has begun nothing
        return
    yield entry.fingerprint(step, inputs, settings)


def _old(kind: str, folder: str, name: str, before: float) -> Garbage | None:
    """The folder, unless something in it was written after a moment. Nothing in it means that it is just being made."""
    address = storage.join(folder, name)
    files = storage.entries(address)
    newest = max((_written(file) for file in files), default=_made(address))
    return Garbage(kind, address, sum(file.size for file in files)) if newest < before else None


def _written(file: storage.Entry) -> float:
    """Seconds since 1970: a disk tells nanoseconds; a generation is made of microseconds, or else counts as young."""
    first = int(file.stamp.split()[0])
    return first / 1e9 if " " in file.stamp else first / 1e6 if first > YEAR_2015_US else math.inf


def _made(address: str) -> float:
    """When a folder without files was made; on gs:// there are none."""
    return time.time() if storage.is_remote(address) else Path(address).stat().st_mtime


def by_kind(garbage: Iterable[Garbage]) -> Mapping[str, tuple[int, int]]:
    """Kind to how many folders and how many bytes."""
    found: dict[str, tuple[int, int]] = {}
    for one in garbage:
        count, size = found.get(one.kind, (0, 0))
        found[one.kind] = count + 1, size + one.size
    return found
