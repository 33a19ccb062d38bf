"""The detection pipeline as a user runs it: from published tables to a tested detector, and what a change repeats."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.datasets import boats, openimages
from tests.detection_data.fault_server import FaultServer

from .conftest import Place

TINY = {
    "data.images": 60,
    "boxes_prepare.size_px": 64,
    "detect_train.iterations": 6,
    "detect_train.checkpoint_every": 3,
}
LEAST_AP50 = 0.85


def changed(**more: object) -> list[str]:
    settings = TINY | {name.replace("__", "."): value for name, value in more.items()}
    return [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    yield Place(Path("boats_demo"), tmp_path_factory.mktemp("boats") / "state")


@pytest.fixture(scope="module")
def first(here: Place) -> dict:
    return here.seamline("run", str(here.recipe), *changed())


def executed(here: Place, run: dict) -> set[str]:
    return {task["label"] for task in here.seamline("show", run["run_id"])["tasks"] if not task["cached"]}


@pytest.mark.slow
def test_all_six_steps_run_and_the_report_is_the_page_of_the_test(first: dict) -> None:
    assert (first["state"], first["executed"], first["failed"]) == ("SUCCEEDED", 6, [])
    assert "<svg" in Path(first["report"]).read_text() and first["submission"] is None
    assert {"ap50", "ap50_95", "recall"} <= first["scores"].keys()


@pytest.mark.slow
def test_another_split_repeats_the_split_and_what_learns_from_it(here: Place, first: dict) -> None:
    again = here.seamline("run", str(here.recipe), *changed(split__train_share=0.7))
    assert executed(here, again) == {"split", "detect-train", "detect-test"}


@pytest.mark.slow
def test_a_table_that_was_cut_under_its_name_is_read_again(here: Place, first: dict) -> None:
    drawn = next((here.state / "datasets").glob("boats*"))
    table = drawn / "train-annotations-bbox.csv"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(lines[: len(lines) * 3 // 4]))
    again = here.seamline("run", str(here.recipe), *changed(), "--data", str(drawn))
    table.write_text("".join(lines))
    assert executed(here, again) >= {"openimages-subset", "transfer", "boxes-prepare", "split", "detect-train"}


@pytest.mark.slow
def test_the_test_alone_can_be_repeated_with_another_setting(here: Place, first: dict) -> None:
    again = here.seamline("rerun", first["run_id"], "--task", "detect-test", "--set", "score_threshold=0.9")
    assert executed(here, again) == {"detect-test"}, json.dumps(again)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_drawn_boats_are_learnt(tmp_path: Path) -> None:
    ran = Place(Path("boats_demo"), tmp_path / "state", timeout_s=850).seamline("run", "boats_demo")
    assert ran["scores"]["ap50"] >= LEAST_AP50


@pytest.mark.slow
def test_pictures_are_fetched_from_where_the_tables_say_they_lie(tmp_path: Path) -> None:
    with FaultServer() as site:
        drawn = boats.draw(tmp_path / "boats", seed=4, images=boats.SMALLEST, sites=(site.url,))
        mirror = (drawn / openimages.MIRROR / "127.0.0.1").rename(tmp_path / "published")
        site.reset({f"/{path.relative_to(mirror)}": path.read_bytes() for path in mirror.rglob("*.jpg")})
        place = Place(Path("boats_demo"), tmp_path / "state")
        ran = place.seamline("run", "boats_demo", *changed(transfer__mirror=""), "--data", str(drawn))
    assert (ran["state"], ran["failed"]) == ("SUCCEEDED", []) and ran["scores"]["pictures"] > 0
    fetched = {path for path, _, status in site.log if status == 200}
    assert not any(drawn.rglob("*.jpg")) and len(fetched) > boats.SMALLEST // 2
