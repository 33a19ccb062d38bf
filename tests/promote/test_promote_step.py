"""The step promote: registry, history, idempotence, the page."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components import entry
from components.artifacts import champions, ensembles, manifest, reference
from components.errors import DataError
from components.promote import settings, step

NAME = "sleeve_length_labels"


@dataclass
class House:
    """A data root with one manifest, and a clock that moves one hour with every look."""

    root: Path
    hours: Iterator[int] = field(default_factory=lambda: iter(range(24)))

    @property
    def data_root(self) -> str:
        return str(self.root / "state")

    def manifest(self, num_pictures: int = 120) -> str:
        rows = [self._row(i) for i in range(num_pictures)]
        with reference.draft(self.data_root, "manifests") as draft:
            manifest.write(pd.DataFrame(rows), draft.folder / manifest.FILE)
            return draft.commit({}, {})

    def ensemble(self, right: int, attribute: str = NAME, classes: tuple[str, ...] = ("a", "b")) -> str:
        """Right on the first `right` of the 60 validation pictures, which are the even ones."""
        names = [f"p{i:03}" for i in range(0, 120, 2)]
        probability = [[0.9, 0.1] if place < right else [0.4, 0.6] for place in range(len(names))]
        frame = pd.DataFrame(
            {
                "image_id": names,
                "split": "valid",
                "label": "yn",
                "group": np.arange(len(names)),
                "probability": probability,
            }
        )
        with reference.draft(self.data_root, "ensembles") as draft:
            pq.write_table(
                pa.Table.from_pandas(frame, ensembles.SCHEMA, preserve_index=False), draft.folder / ensembles.FILE
            )
            return draft.commit({"attribute": attribute, "classes": list(classes)}, {})

    def report(self, *ensembles: str, number: int = 1) -> str:
        covered = {reference.read_index(e, "ensembles")["attribute"]: Path(e).name for e in ensembles}
        with reference.draft(self.data_root, "reports") as draft:
            return draft.commit({"ensembles": covered, "number": number}, {})

    def promote(self, *ensembles: str, number: int = 1, report: str = "", **knobs: Any) -> dict[str, Any]:
        out = self.root / "decision.md"
        given = settings.Inputs(
            report or self.report(*ensembles, number=number), self.manifest(), list(ensembles), self.data_root, 0
        )
        chosen = settings.Settings(**({"resamples": 100} | knobs))
        summary = step.run(chosen, given, entry.Outputs({"decision_page": out}, ""), self._clock)
        return dict(json.loads(summary.results["decision"]))

    def registry(self, attribute: str = NAME) -> dict[str, Any]:
        return dict(json.loads((Path(self.data_root) / "champions" / f"{attribute}.json").read_text()))

    def _clock(self) -> datetime:
        return datetime(2026, 1, 1, next(self.hours), tzinfo=UTC)

    def _row(self, i: int) -> dict[str, Any]:
        return {
            "image_id": f"p{i:03}",
            "attribute": NAME,
            "round": 1,
            "kind": "labelled",
            "path": f"p{i:03}.jpg",
            "label": "yn",
            "source_label": "yn",
            "weight": 1.0,
            "pixels": f"{i:064x}",
            "phash": i,
            "group": i,
            "fold": i % 2,
            "keep": True,
            "reason": "",
            "width": 8,
            "height": 8,
        }


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_the_first_ensemble_becomes_champion_with_one_entry_that_says_why(house: House) -> None:
    first = house.ensemble(30)
    decision = house.promote(first)[NAME]
    assert decision["action"] == "promoted" and decision["difference"] is None
    assert house.registry()["current"]["ensemble"] == Path(first).name
    (entry_,) = house.registry()["history"]
    assert (entry_["number"], entry_["at"], entry_["champion"]) == (1, "2026-01-01T00:00:00+00:00", "")


def test_a_better_one_replaces_it_and_a_worse_one_does_not(house: House) -> None:
    house.promote(house.ensemble(30), number=1)
    better = house.ensemble(58)
    assert house.promote(better, number=2)[NAME]["action"] == "promoted"
    refused = house.promote(house.ensemble(20), number=3)[NAME]
    assert refused["action"] == "refused" and refused["high"] < 0
    assert house.registry()["current"]["ensemble"] == Path(better).name
    assert [e["decision"]["action"] for e in house.registry()["history"]] == ["promoted", "promoted", "refused"]


@pytest.mark.parametrize("right", [58, 20])
def test_the_same_report_promoted_twice_answers_the_same_and_makes_one_entry(house: House, right: int) -> None:
    house.promote(house.ensemble(30), number=1)
    first = house.promote(house.ensemble(right), number=2)
    before = house.registry()
    assert house.promote(house.ensemble(right), number=2) == first
    assert house.registry() == before


def test_the_champion_in_another_report_stays_and_makes_no_entry(house: House) -> None:
    house.promote(house.ensemble(30), number=1)
    again = house.promote(house.ensemble(30), number=2)[NAME]
    assert again["action"] == "kept" and "already" in again["reason"]
    assert len(house.registry()["history"]) == 1


def test_another_policy_is_another_question(house: House) -> None:
    house.promote(house.ensemble(30), number=1)
    assert house.promote(house.ensemble(31), number=2, policy="gain")[NAME]["action"] == "kept"
    assert house.promote(house.ensemble(31), number=2, policy="no_loss")[NAME]["action"] == "promoted"
    assert len(house.registry()["history"]) == 3


def test_each_attribute_has_its_own_champion(house: House) -> None:
    house.promote(house.ensemble(30), number=1)
    both = house.promote(house.ensemble(20), house.ensemble(20, "collar_design_labels"), number=2)
    assert (both[NAME]["action"], both["collar_design_labels"]["action"]) == ("refused", "promoted")


def test_an_ensemble_that_the_report_does_not_cover_is_an_error(house: House) -> None:
    report = house.report(house.ensemble(30))
    with pytest.raises(DataError, match="give the report of these ensembles"):
        house.promote(house.ensemble(58), report=report)


def test_a_champion_whose_ensemble_is_gone_is_not_replaced_silently(house: House) -> None:
    first = house.ensemble(30)
    house.promote(first, number=1)
    (Path(first) / "index.json").unlink()
    decision = house.promote(house.ensemble(58), number=2)[NAME]
    assert decision["action"] == "refused" and Path(first).name in decision["reason"]


def test_a_registry_of_a_newer_version_is_refused_and_left_alone(house: House) -> None:
    house.promote(house.ensemble(30), number=1)
    path = Path(house.data_root) / "champions" / f"{NAME}.json"
    path.write_text(json.dumps(house.registry() | {"version": 99}))
    before = path.read_bytes()
    with pytest.raises(DataError, match="version 99"):
        house.promote(house.ensemble(58), number=2)
    assert path.read_bytes() == before


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 1}'])
def test_a_file_that_is_no_registry_is_an_error_that_names_it(house: House, text: str) -> None:
    path = Path(house.data_root) / "champions" / f"{NAME}.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(DataError, match=f"{NAME}.json is not a champion file"):
        champions.read(house.data_root, NAME)


def test_the_page_has_a_row_for_every_attribute_and_no_time(house: House) -> None:
    house.promote(house.ensemble(30), number=1)
    house.promote(house.ensemble(20), house.ensemble(20, "collar_design_labels"), number=2)
    text = (house.root / "decision.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith(f"| {NAME}") or line.startswith("| collar")]
    assert len(rows) == 2 and "✕ refused" in rows[0] and "▲ promoted" in rows[1]
    assert "2026" not in text


def test_what_is_written_survives_reading(house: House) -> None:
    house.promote(house.ensemble(30), number=1)
    champion = champions.read(house.data_root, NAME)
    before = house.registry()
    champions.write(house.data_root, champion)
    assert house.registry() == before


def test_the_decision_does_not_depend_on_where_the_data_lies(tmp_path: Path) -> None:
    def histories(root: Path) -> list[dict[str, Any]]:
        house = House(root)
        return [house.promote(house.ensemble(r), number=n) for n, r in enumerate((30, 58, 20))]

    assert histories(tmp_path / "one") == histories(tmp_path / "two")


def test_a_repeated_run_does_not_bring_back_who_was_rolled_back(house: House) -> None:
    first, second = house.ensemble(30), house.ensemble(58)
    house.promote(first, number=1)
    house.promote(second, number=2)
    champions.roll_back(house.data_root, NAME, 0, "ann", "wrong on hems", "2026-01-02")
    before = house.registry()
    again = house.promote(second, number=2)[NAME]
    assert again["action"] == "refused" and "rolled back on 2026-01-02 by ann" in again["reason"]
    assert house.registry() == before and before["current"]["ensemble"] == Path(first).name
