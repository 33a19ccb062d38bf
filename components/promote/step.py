"""The work of the step promote: every challenger meets its champion; the registry keeps the decision."""

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from components import entry, knobs
from components.artifacts import champions, ensembles, manifest, reference, storage
from components.artifacts.champions import Candidate, Champion, Decision
from components.errors import DataError
from components.progress import log
from components.promote import gate, page
from components.promote.gate import Contender
from components.promote.settings import Inputs, Settings
from components.vision import tasks

Clock = Callable[[], datetime]


def run(
    settings: Settings, inputs: Inputs, outputs: entry.Outputs, clock: Clock = lambda: datetime.now(UTC)
) -> entry.Summary:
    """Decides about every attribute. Asked the same again, it answers the same and writes nothing."""
    challengers = _challengers(inputs)
    decisions = {name: _decided(name, c, settings, inputs, clock) for name, c in challengers.items()}
    for name, decision in decisions.items():
        log(f"{name}: {decision.action} ({decision.reason})")
    outputs.write_text("decision_page", page.write(decisions, settings, reference.digest_of(inputs.report)))
    return entry.Summary({"decision": _as_text(decisions)})


def _challengers(inputs: Inputs) -> dict[str, Candidate]:
    """Attribute to challenger. Every ensemble must stand in the report: what was not measured is not promoted."""
    covered = reference.read_index(inputs.report, "reports")["ensembles"]
    found: dict[str, Candidate] = {}
    for uri in inputs.ensembles:
        name = reference.read_index(uri, "ensembles")["attribute"]
        if covered.get(name) != reference.digest_of(uri):
            raise DataError(f"{uri} ({name}) is not in report {inputs.report}; give the report of these ensembles")
        found[name] = Candidate(
            reference.digest_of(uri), reference.digest_of(inputs.report), reference.digest_of(inputs.manifest)
        )
    return found


def _decided(name: str, challenger: Candidate, settings: Settings, inputs: Inputs, clock: Clock) -> Decision:
    terms = knobs.as_mapping(settings) | {"seed": inputs.seed}
    made: list[Decision] = []

    def judged(champion: Champion) -> Champion:
        known = champion.decided(challenger, terms)
        if not known and champion.current and champion.current.ensemble == challenger.ensemble:
            known = Decision("kept", "this very ensemble is the champion already")
        made.append(known or _decide(name, champion, challenger, settings, inputs))
        at = clock().isoformat(timespec="seconds")
        return champion if known else champion.with_decision(challenger, terms, made[-1], at)

    champions.update(inputs.data_root, name, judged)
    return made[-1]


def _decide(name: str, champion: Champion, challenger: Candidate, settings: Settings, inputs: Inputs) -> Decision:
    new = _contender(inputs.data_root, challenger, name)
    if champion.current is None:
        return gate.decide(None, new, settings, inputs.seed)
    try:
        old = _contender(inputs.data_root, champion.current, name)
    except DataError:
        gone = f"ensemble {champion.current.ensemble} or manifest {champion.current.manifest}"
        return Decision(
            "refused", f"the champion's {gone} is gone; restore it, or remove the champion's file to start over"
        )
    return gate.decide(old, new, settings, inputs.seed)


def _contender(data_root: str, candidate: Candidate, attribute: str) -> Contender:
    ensemble = storage.join(data_root, "ensembles", candidate.ensemble)
    content = reference.read_index(ensemble, "ensembles")
    rows = ensembles.read(ensemble)
    table = manifest.read(storage.join(data_root, "manifests", candidate.manifest))
    valid, own = rows[rows["split"] == "valid"], table[table["attribute"] == attribute]
    return Contender(tuple(content["classes"]), valid, own, tasks.of(content))


def _as_text(decisions: dict[str, Decision]) -> str:
    plain: dict[str, Any] = {name: asdict(decision) for name, decision in decisions.items()}
    return json.dumps(plain, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
