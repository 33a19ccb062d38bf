"""Who is in force, since when and why: `<data_root>/champions/<attribute>.json`, replaced as a whole."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from components.artifacts import reference, storage
from components.errors import DataError, Missing

FOLDER = "champions"
VERSION = 1
ROLLED_BACK = "rolled back"


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
        action: `promoted`, `kept` (the champion stays, nothing is wrong with the challenger), `refused`, or
            `rolled back` (somebody put an earlier champion in force again).
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
        """The recorded decision where the same question was asked before: same challenger, champion and terms.

        Whoever was rolled back is refused whatever the terms, so that no repeated run brings it back unseen.
        """
        withdrawn = self.withdrawal(challenger)
        if withdrawn:
            return Decision("refused", _why_withdrawn(withdrawn))
        for entry in reversed(self.history):
            same = entry["challenger"] == asdict(challenger) and entry["terms"] == terms
            if same and (entry["champion"] == self._standing() or self.current == challenger):
                return Decision(**entry["decision"])
        return None

    def withdrawal(self, candidate: Candidate) -> dict[str, Any] | None:
        """The entry by which an ensemble was rolled back, unless it has come into force again since."""
        found = None
        for entry in self.history:
            if entry["decision"]["action"] == ROLLED_BACK and entry["champion"] == candidate.ensemble:
                found = entry
            elif _puts_in_force(entry) and entry["challenger"]["ensemble"] == candidate.ensemble:
                found = None
        return found

    def rolled_back(self, number: int, by: str, why: str, at: str) -> "Champion":
        """The registry after a roll back, with one more entry.

        Args:
            number: of the entry that once put the wanted champion in force; 0: the one before the present champion.
            by: who asks for it.
            why: in words.
            at: the time, ISO 8601.

        Raises:
            DataError: nothing to go back to, or that entry put nobody in force.
        """
        wanted = self._put_in_force(number) if number else self._before()
        target = Candidate(**wanted["challenger"])
        if target == self.current:
            raise DataError(f"{self.attribute}: entry {wanted['number']} is in force already; nothing is changed")
        reason = f"back to entry {wanted['number']} by {by}" + (f": {why}" if why else "")
        decision = Decision(ROLLED_BACK, reason)
        entry = self._entry(target, {"by": by, "why": why, "to": wanted["number"]}, decision, at)
        return Champion(self.attribute, target, (*self.history, entry))

    def with_decision(self, challenger: Candidate, terms: dict[str, Any], decision: Decision, at: str) -> "Champion":
        """The registry after a decision: one more entry, and a new champion where it was promoted."""
        current = challenger if decision.action == "promoted" else self.current
        return Champion(self.attribute, current, (*self.history, self._entry(challenger, terms, decision, at)))

    def _entry(self, challenger: Candidate, terms: dict[str, Any], decision: Decision, at: str) -> dict[str, Any]:
        return {
            "number": len(self.history) + 1,
            "at": at,
            "challenger": asdict(challenger),
            "champion": self._standing(),
            "terms": terms,
            "decision": asdict(decision),
        }

    def _put_in_force(self, number: int) -> dict[str, Any]:
        """The entry of a number, if it made somebody champion."""
        able = {entry["number"]: entry for entry in self.history if _puts_in_force(entry)}
        if number not in able:
            known = ", ".join(map(str, able)) or "none"
            raise DataError(f"{self.attribute}: entry {number} put nobody in force; give one of these: {known}")
        return able[number]

    def _before(self) -> dict[str, Any]:
        """The entry that put in force whom the present champion replaced when it was promoted.

        Its promotion counts, not a roll back to it: going back twice leads two champions back, not to and fro.
        """
        promoted = [e for e in self.history if e["decision"]["action"] == "promoted"]
        own = [e for e in promoted if self.current and e["challenger"]["ensemble"] == self.current.ensemble]
        former = own[-1]["champion"] if own else ""
        entries = [e for e in promoted if e["challenger"]["ensemble"] == former]
        if not entries:
            raise DataError(f"{self.attribute} has no champion before the present one; nothing to go back to")
        return entries[-1]

    def _standing(self) -> str:
        return self.current.ensemble if self.current else ""


def read(data_root: str, attribute: str) -> Champion:
    """The registry of an attribute, empty where there is none.

    Raises:
        DataError: a file that is no registry, or one of a newer version.
    """
    uri = _address(data_root, attribute)
    try:
        return _parsed(storage.read_bytes(uri), uri)
    except Missing:
        return Champion(attribute)


def update(data_root: str, attribute: str, change: Callable[[Champion], Champion]) -> Champion:
    """Changes the registry of an attribute and returns it; of two changes at the same time none is lost.

    Args:
        data_root: where all references lie.
        attribute: whose registry.
        change: what stands to what shall stand. Called again where somebody else was faster, with what they wrote.
    """
    uri = _address(data_root, attribute)
    made: list[Champion] = []

    def changed(data: bytes | None) -> bytes | None:
        before = Champion(attribute) if data is None else _parsed(data, uri)
        made.append(change(before))
        return None if made[-1] is before else _as_bytes(made[-1])

    storage.update(uri, changed)
    return made[-1]


def roll_back(data_root: str, attribute: str, number: int, by: str, why: str, at: str) -> Champion:
    """Puts an earlier champion of an attribute in force and returns the registry; see `Champion.rolled_back`.

    Raises:
        DataError: nothing to go back to, or the earlier champion's ensemble is gone.
    """

    def back(champion: Champion) -> Champion:
        after = champion.rolled_back(number, by, why, at)
        if after.current and not storage.exists(_index_of(data_root, after.current)):
            raise DataError(f"{attribute}: ensemble {after.current.ensemble} is gone; restore it, or go back further")
        return after

    return update(data_root, attribute, back)


def write(data_root: str, champion: Champion) -> None:
    """Replaces the registry of an attribute, whatever stood there; `update` is for whoever has read it before."""
    storage.write_bytes(_address(data_root, champion.attribute), _as_bytes(champion))


def _as_bytes(champion: Champion) -> bytes:
    body = {"version": VERSION, **asdict(champion)}
    return (json.dumps(body, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _parsed(data: bytes, uri: str) -> Champion:
    try:
        body = json.loads(data)
        if body["version"] > VERSION:
            raise DataError(f"{uri} is of version {body['version']}; this seamline reads up to {VERSION}: upgrade it")
        current = Candidate(**body["current"]) if body["current"] else None
        return Champion(body["attribute"], current, tuple(body["history"]))
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{uri} is not a champion file ({error!r}); expected JSON that promote wrote, restore it"
        ) from error


def _address(data_root: str, attribute: str) -> str:
    return storage.join(data_root, FOLDER, f"{attribute}.json")


def _index_of(data_root: str, candidate: Candidate) -> str:
    return storage.join(data_root, "ensembles", candidate.ensemble, reference.INDEX)


def _puts_in_force(entry: dict[str, Any]) -> bool:
    return entry["decision"]["action"] in ("promoted", ROLLED_BACK)


def _why_withdrawn(entry: dict[str, Any]) -> str:
    terms = entry["terms"]
    why = f" ({terms['why']})" if terms["why"] else ""
    return f"it was rolled back on {entry['at']} by {terms['by']}{why}; `seamline rollback --to` brings it back"
