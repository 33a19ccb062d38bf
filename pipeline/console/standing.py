"""How an attribute stands: its registry's entries with what their reports measured and which runs made them."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from components.artifacts import champions, reference, storage
from components.errors import DataError
from pipeline.engine.lookup import Lookup
from pipeline.engine.store import Store
from pipeline.server.domain.models import ROLLED_BACK, Champion, Made, Member, Ruling
from pipeline.server.domain.results import Score

METRICS = {"ap": "AP on validation pictures", "basic_precision": "basic precision", "accuracy": "accuracy"}
IN_FORCE = ("promoted", ROLLED_BACK)
ENSEMBLES, PREDICTIONS, CHECKPOINTS = "ensembles", "predictions", "checkpoints"  # kinds of references
_KEPT = 512


class Makers:
    """Who made reports and checkpoints; what was asked once in a page is not asked again."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._of_report: dict[str, Made | None] = {}
        self._of_checkpoint: dict[str, dict[str, str]] = {}

    def of_report(self, report: str) -> Made | None:
        """The task that first made a report."""
        if report not in self._of_report:
            task = Lookup(self._store).reported_by(report)
            name = self._store.run(task.run_id).name if task else ""
            self._of_report[report] = Made(task.run_id, name, task.key) if task else None
        return self._of_report[report]

    def of_checkpoint(self, made: Made | None, where: str) -> Made | None:
        """The task of the run that made a report which trained a checkpoint."""
        if made is None:
            return None
        if made.run_id not in self._of_checkpoint:
            tasks = [t for t in self._store.tasks(made.run_id) if t.is_leaf]
            self._of_checkpoint[made.run_id] = {str(t.outputs.parameters.get("checkpoint")): t.key for t in tasks}
        key = self._of_checkpoint[made.run_id].get(where)
        return Made(made.run_id, made.run_name, key) if key else None


def of(makers: Makers, data_root: str, registry: champions.Champion) -> Champion:
    """The registry of an attribute with all that is known about it."""
    history = [_ruling(makers, data_root, registry, entry) for entry in registry.history]
    in_force = registry.current.ensemble if registry.current else ""
    current = next((r for r in reversed(history) if r.action in IN_FORCE and r.ensemble == in_force), None)
    champion = Champion(registry.attribute, data_root, current, history, back=_back(registry, history))
    if not in_force:
        return champion
    if not _is_there(data_root, ENSEMBLES, in_force):
        gone = f"ensemble {in_force[:12]} is in force, but its files are gone; restore them, or go back to another one"
        return replace(champion, trouble=gone)
    about = _index(storage.join(data_root, ENSEMBLES, in_force), ENSEMBLES)
    made = current.made if current else None
    members = [_member(makers, data_root, name, about, made) for name in about["members"]]
    return replace(champion, members=members, classes=about["classes"])


def _ruling(makers: Makers, data_root: str, registry: champions.Champion, entry: Mapping[str, Any]) -> Ruling:
    decision, challenger, terms = entry["decision"], entry["challenger"], entry["terms"]
    metric = str(terms.get("metric", "ap"))
    report = storage.join(data_root, "reports", challenger["report"])
    in_force = registry.current.ensemble if registry.current else ""
    return Ruling(
        number=int(entry["number"]),
        at=_seconds(str(entry["at"])),
        action=decision["action"],
        reason=decision["reason"],
        ensemble=challenger["ensemble"],
        against=entry["champion"],
        difference=decision["difference"],
        low=decision["low"],
        high=decision["high"],
        pictures=decision["pictures"],
        metric=metric,
        score=_score(report, registry.attribute, metric),
        made=makers.of_report(report),
        may_return=decision["action"] in IN_FORCE
        and challenger["ensemble"] != in_force
        and _is_there(data_root, ENSEMBLES, challenger["ensemble"]),
        by=str(terms.get("by", "")),
    )


def _back(registry: champions.Champion, history: list[Ruling]) -> Ruling | None:
    """Where a roll back without further words would lead, asked of the registry itself."""
    try:
        number = int(registry.rolled_back(0, "", "", "").history[-1]["terms"]["to"])
    except DataError:
        return None
    found = next((ruling for ruling in history if ruling.number == number), None)
    return found if found and found.may_return else None


def _member(makers: Makers, data_root: str, name: str, about: Mapping[str, Any], made: Made | None) -> Member:
    weight = float(about["weights"].get(name, 0.0))
    predicted = str(about["members"][name])
    if not _is_there(data_root, PREDICTIONS, predicted):
        return Member(name, weight, "", "", False, None)
    digest = str(_index(storage.join(data_root, PREDICTIONS, predicted), PREDICTIONS)["checkpoint"])
    where = storage.join(data_root, CHECKPOINTS, digest)
    there = _is_there(data_root, CHECKPOINTS, digest)
    backbone = str(_index(where, CHECKPOINTS).get("backbone", "")) if there else ""
    return Member(name, weight, backbone, digest, there, makers.of_checkpoint(made, where))


def _is_there(data_root: str, kind: str, digest: str) -> bool:
    return storage.exists(storage.join(data_root, kind, digest, reference.INDEX))


def _score(report: str, attribute: str, metric: str) -> Score | None:
    try:
        found = _scores(report).get("attributes", {}).get(attribute, {}).get(metric)
    except (DataError, ValueError):
        return None
    if not isinstance(found, dict) or found.get("value") is None:
        return None
    return Score(METRICS.get(metric, metric), found["value"], found.get("low"), found.get("high"))


@lru_cache(maxsize=_KEPT)
def _scores(report: str) -> Mapping[str, Any]:
    """What a report measured; references never change, so it is read once."""
    return dict(json.loads(storage.read_bytes(storage.join(report, "scores.json"))))


@lru_cache(maxsize=_KEPT)
def _index(where: str, kind: str) -> Mapping[str, Any]:
    return reference.read_index(where, kind)


def _seconds(text: str) -> float:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return 0.0
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
