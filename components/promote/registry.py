"""Who is in force, since when and why: `<data_root>/champions/<attribute>.json`, replaced as a whole."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from components.artifacts import storage
from components.errors import DataError

FOLDER = "champions"
VERSION = 1


@dataclass(frozen=True)
class Candidate:
    """What stands for election: digests of an ensemble, of the report about it and of its manifest."""

    ensemble: str
    report: str
    manifest: str


@dataclass(frozen=True)
class Decision:
    """What was decided about a challenger.

    Attributes:
        action: `promoted`, `kept` (the champion stays, nothing is wrong with the challenger) or `refused`.
        reason: in words.
        difference: challenger minus champion in the metric; None where nothing was compared.
        low: lower end of its 95 % paired interval, or None.
        high: upper end, or None.
        pictures: validation pictures compared.
    """

    action: str
    reason: str
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    pictures: int = 0


@dataclass(frozen=True)
class Champion:
    """The registry of one attribute. `current` is None before the first promotion; `history` is oldest first."""

    attribute: str
    current: Candidate | None = None
    history: tuple[dict[str, Any], ...] = field(default=())

    def decided(self, challenger: Candidate, terms: dict[str, Any]) -> Decision | None:
        """The recorded decision where the same question was asked before: same challenger, champion and terms."""
        for entry in reversed(self.history):
            same = entry["challenger"] == asdict(challenger) and entry["terms"] == terms
            if same and (entry["champion"] == self._standing() or self.current == challenger):
                return Decision(**entry["decision"])
        return None

    def with_decision(self, challenger: Candidate, terms: dict[str, Any], decision: Decision, at: str) -> "Champion":
        """The registry after a decision: one more entry, and a new champion where it was promoted."""
        entry = {
            "number": len(self.history) + 1,
            "at": at,
            "challenger": asdict(challenger),
            "champion": self._standing(),
            "terms": terms,
            "decision": asdict(decision),
        }
        current = challenger if decision.action == "promoted" else self.current
        return Champion(self.attribute, current, (*self.history, entry))

    def _standing(self) -> str:
        return self.current.ensemble if self.current else ""


def read(data_root: str, attribute: str) -> Champion:
    """The registry of an attribute, empty where there is none.

    Raises:
        DataError: a file that is no registry, or one of a newer version.
    """
    uri = _address(data_root, attribute)
    if not storage.exists(uri):
        return Champion(attribute)
    try:
        body = json.loads(storage.read_bytes(uri))
        if body["version"] > VERSION:
            raise DataError(f"{uri} is of version {body['version']}; this seamline reads up to {VERSION}: upgrade it")
        current = Candidate(**body["current"]) if body["current"] else None
        return Champion(body["attribute"], current, tuple(body["history"]))
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{uri} is not a champion file ({error!r}); expected JSON that promote wrote, restore it"
        ) from error


def write(data_root: str, champion: Champion) -> None:
    """Replaces the registry of an attribute."""
    body = {"version": VERSION, **asdict(champion)}
    text = json.dumps(body, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    storage.write_bytes(_address(data_root, champion.attribute), text.encode())


@contextmanager
def locked(data_root: str) -> Iterator[None]:
    """Keeps two promotions on one machine apart, from reading the champion to writing the next. Not for gs://."""
    if storage.is_remote(data_root):
        yield
        return
    folder = Path(data_root) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _address(data_root: str, attribute: str) -> str:
    return storage.join(data_root, FOLDER, f"{attribute}.json")
