"""Champions as the console tells them: who is in force, why, and the way back."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from components.artifacts import champions
from components.artifacts.champions import Candidate, Decision
from pipeline.console.models import LocalModels
from pipeline.engine.store import Store
from pipeline.errors import Conflict, NotFound
from pipeline.server.domain.models import Champion

from .conftest import SKIRT, STUDENT, TEACHER, World

MODELS = LocalModels()
TERMS = {"metric": "ap", "seed": 1}


def candidate(ensemble: str, report: str) -> Candidate:
    return Candidate(Path(ensemble).name, Path(report).name, "m" * 32)


@pytest.fixture
def two(world: World) -> tuple[Candidate, Candidate]:
    """Two ensembles with their reports."""
    made = [world.predictions(phase, values) for phase, values in (("round2", TEACHER), ("round2", STUDENT))]
    found = [world.ensemble(made[0]), world.ensemble(made[1], STUDENT)]
    return candidate(found[0], world.report(found[0], 0.8)), candidate(found[1], world.report(found[1], 0.9))


def decide(world: World, challenger: Candidate, decision: Decision, at: str) -> None:
    before = champions.read(world.data_root, SKIRT)
    champions.write(world.data_root, before.with_decision(challenger, TERMS, decision, at))


@pytest.fixture
def history(world: World, two: tuple[Candidate, Candidate]) -> None:
    """The first was promoted, a worse one refused, the second promoted."""
    first, second = two
    decide(world, first, Decision("promoted", "first champion of this attribute"), "2026-01-01T12:00:00+00:00")
    decide(world, second, Decision("refused", "regression", -0.1, -0.2, -0.05, 40), "2026-01-02T12:00:00+00:00")
    decide(world, second, Decision("promoted", "gain", 0.1, 0.05, 0.2, 40), "2026-01-03T12:00:00+00:00")


def skirts(store: Store) -> Champion:
    return next(c for r in MODELS.registries(store) for c in r.champions if c.attribute == SKIRT)


def roll_back(world: World, store: Store, number: int = 0, attribute: str = SKIRT, data_root: str = "") -> None:
    MODELS.roll_back(store, data_root or world.data_root, attribute, number, "a test", "it was wrong")


def test_without_any_run_nobody_is_in_force(store: Store) -> None:
    assert [list(registry.champions) for registry in MODELS.registries(store)] == [[]]


@pytest.mark.usefixtures("history")
def test_the_champion_is_told_with_its_score_its_reason_and_its_models(store: Store) -> None:
    champion = skirts(store)
    assert champion.current is not None and champion.current.score is not None
    assert [champion.current.number, champion.current.reason] == [3, "gain"]
    assert champion.current.at == datetime(2026, 1, 3, 12, tzinfo=UTC).timestamp()
    assert [champion.current.score.value, champion.current.score.low] == [0.9, 0.8]
    assert [(m.name, m.weight, m.backbone, m.is_there) for m in champion.members] == [
        ("cnn round2", 1.0, "tiny_cnn", True)
    ]


@pytest.mark.usefixtures("history")
def test_every_decision_keeps_its_reason_and_its_interval(store: Store) -> None:
    refused = skirts(store).history[1]
    assert [refused.action, refused.reason, refused.difference, refused.low, refused.high, refused.pictures] == [
        "refused",
        "regression",
        -0.1,
        -0.2,
        -0.05,
        40,
    ]


@pytest.mark.usefixtures("history")
def test_only_who_was_in_force_and_is_not_now_may_return(store: Store) -> None:
    champion = skirts(store)
    assert [ruling.may_return for ruling in champion.history] == [True, False, False]
    assert champion.back is not None and champion.back.number == 1


def test_the_run_that_made_the_report_is_found_also_when_a_later_one_reused_it(world: World, store: Store) -> None:
    made = world.whole()
    first = world.run(made)
    world.run(made)
    decide(world, candidate(made["ensemble"], made["report"]), Decision("promoted", "first"), "2026-01-01T12:00:00Z")
    current = skirts(store).current
    assert current is not None and current.made is not None
    assert [current.made.run_id, current.made.key] == [first, "report"]


@pytest.mark.usefixtures("history")
def test_a_roll_back_puts_the_former_champion_in_force_and_is_an_entry_with_its_reason(
    world: World, store: Store, two: tuple[Candidate, Candidate]
) -> None:
    roll_back(world, store)
    champion = skirts(store)
    assert champions.read(world.data_root, SKIRT).current == two[0]
    assert champion.current is not None and champion.current.action == "rolled back"
    assert champion.current.reason == "back to entry 1 by a test: it was wrong" and champion.current.by == "a test"
    assert champion.back is None


@pytest.mark.usefixtures("history")
def test_who_was_rolled_back_can_be_put_in_force_again_by_the_number_of_its_entry(world: World, store: Store) -> None:
    roll_back(world, store)
    roll_back(world, store, 3)
    current = skirts(store).current
    assert current is not None and current.score is not None and current.score.value == 0.9


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize(
    ("number", "attribute", "data_root", "kind"),
    [
        (2, SKIRT, "", Conflict),
        (9, SKIRT, "", Conflict),
        (0, "../../secrets", "", NotFound),
        (0, SKIRT, "/etc", NotFound),
    ],
)
def test_what_cannot_be_rolled_back_is_refused_and_changes_nothing(
    world: World, store: Store, number: int, attribute: str, data_root: str, kind: type[Exception]
) -> None:
    before = champions.read(world.data_root, SKIRT)
    with pytest.raises(kind):
        roll_back(world, store, number, attribute, data_root)
    assert champions.read(world.data_root, SKIRT) == before


@pytest.mark.usefixtures("history")
def test_an_ensemble_in_force_whose_files_are_gone_is_a_loud_trouble(
    world: World, store: Store, two: tuple[Candidate, Candidate]
) -> None:
    Path(world.data_root, "ensembles", two[1].ensemble, "index.json").unlink()
    champion = skirts(store)
    assert "its files are gone" in champion.trouble and champion.current is not None


@pytest.mark.usefixtures("history")
def test_the_way_back_is_not_offered_to_files_that_are_gone(
    world: World, store: Store, two: tuple[Candidate, Candidate]
) -> None:
    Path(world.data_root, "ensembles", two[0].ensemble, "index.json").unlink()
    champion = skirts(store)
    assert champion.back is None and not any(ruling.may_return for ruling in champion.history)
    with pytest.raises(Conflict, match="is gone"):
        roll_back(world, store)


@pytest.mark.usefixtures("history")
def test_a_registry_that_cannot_be_read_does_not_hide_the_others(world: World, store: Store) -> None:
    Path(world.data_root, "champions", "broken.json").write_text("{")
    found = {c.attribute: c for r in MODELS.registries(store) for c in r.champions}
    assert "is not a champion file" in found["broken"].trouble and found[SKIRT].trouble == ""


@pytest.mark.usefixtures("history")
def test_a_registry_with_a_damaged_entry_says_so(world: World, store: Store) -> None:
    body = {"version": 1, "attribute": "odd", "current": None, "history": [{"number": 1}]}
    Path(world.data_root, "champions", "odd.json").write_text(json.dumps(body))
    found = {c.attribute: c.trouble for r in MODELS.registries(store) for c in r.champions}
    assert "is damaged" in found["odd"] and found[SKIRT] == ""


def test_a_bucket_is_named_and_not_asked(world: World, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(World, "data_root", "gs://bucket/data")
    world.run({"ensemble": "nothing"})
    found = {registry.data_root: registry.reason for registry in MODELS.registries(store)}
    assert "lies in a bucket" in found["gs://bucket/data"]
