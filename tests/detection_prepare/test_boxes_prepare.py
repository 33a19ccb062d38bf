"""boxes_prepare: every picture comes out upright and square with its boxes where the things are, or says why not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.artifacts import boxes, reference
from components.boxes_prepare import settings as prepare_settings
from components.boxes_prepare import step
from components.errors import DataError
from components.vision import decode
from components.vision.detection.letterbox import turned, turned_picture

from .conftest import RED, jpeg, png, scene

BOX = (0.2, 0.25, 0.5, 0.75)
Prepare = Callable[..., Any]


def redness(picture: np.ndarray) -> np.ndarray:
    """(h, w) bool: what a scene has in its boxes."""
    return np.abs(picture.astype(int) - RED).max(axis=2) < 60


def boxed_and_red(picture: np.ndarray, box: np.ndarray) -> tuple[float, float]:
    """Share of the box that is red, and share of the red that is in the box."""
    left, top, right, bottom = np.rint(box * picture.shape[0]).astype(int)
    red = redness(picture)
    inside = red[top:bottom, left:right]
    return inside.mean(), inside.sum() / red.sum()


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize(("width", "height"), [(200, 120), (90, 150), (40, 40)])
def test_a_box_stays_on_its_thing(subset, prepare: Prepare, rotation: int, width: int, height: int) -> None:
    upright = scene(1, width, height, BOX)
    stored = turned_picture(upright, -rotation)
    subset.add("boat", png(stored), turned(np.array([BOX]), -rotation)[0], rotation=rotation)
    made = prepare(subset, size_px=96)
    ((image_id, data),) = boxes.pictures_of(made.reference)
    picture, (box,) = decode.rgb(data), made.boxes_of("boat")
    assert image_id == "boat" and picture.shape == (96, 96, 3)
    assert min(boxed_and_red(picture, box)) > 0.9
    (row,) = made.table.pictures.to_pylist()
    assert (row["width"], row["height"], row["rotation"], row["split"]) == (96, 96, 0, "")


def test_the_camera_s_own_orientation_is_left_out_of_account(subset, prepare: Prepare) -> None:
    from pipeline.datasets import encoding

    stored = jpeg(scene(1, 120, 80, BOX))
    subset.add("plain", stored, BOX)
    subset.add("noted", encoding.with_orientation(stored, 6), BOX)
    made = prepare(subset)
    pictures = dict(boxes.pictures_of(made.reference))
    assert pictures["plain"] == pictures["noted"]
    assert np.array_equal(made.boxes_of("plain"), made.boxes_of("noted"))


def test_pictures_that_cannot_be_used_are_refused_with_the_reason_after_those_refused_before(
    subset, prepare: Prepare
) -> None:
    whole = jpeg(scene(1, 120, 80, BOX))
    subset.add("good", whole, BOX)
    subset.add("cut", whole[: len(whole) // 2], BOX)
    subset.add("text", b"not found", BOX)
    subset.add("absent", None, BOX)
    made = prepare(subset)
    refused = {row["image_id"]: row["reason"] for row in made.table.rejected.to_pylist()}
    expected = {"gone": "404", "cut": "truncated JPEG", "text": "not an image", "absent": "no such file"}
    assert refused == expected
    assert made.table.pictures["image_id"].to_pylist() == ["good"]
    assert set(made.table.boxes["image_id"].to_pylist()) == {"good"}
    assert made.metadata["metrics"]["rejected"] == 3 and "truncated JPEG" in made.page("boxes_page")


@pytest.mark.parametrize(
    ("knobs", "left"),
    [
        ({}, {"one": 2, "crowd": 1, "toy": 1}),
        ({"drop_group_of": True}, {"one": 2, "toy": 1}),
        ({"drop_depiction": True}, {"one": 2, "crowd": 1}),
        ({"drop_group_of": True, "drop_depiction": True}, {"one": 2}),
    ],
)
def test_groups_and_depictions_are_left_out_where_asked_and_pictures_without_a_box_with_them(
    subset, prepare: Prepare, knobs: dict[str, bool], left: dict[str, int]
) -> None:
    subset.add("one", png(scene(1)), BOX, (0.6, 0.6, 0.9, 0.9))
    subset.add("crowd", png(scene(2)), BOX, group_of=True)
    subset.add("toy", png(scene(3)), BOX, depiction=True)
    made = prepare(subset, **knobs)
    assert {name: len(made.boxes_of(name)) for name in made.table.pictures["image_id"].to_pylist()} == left
    assert made.metadata["metrics"]["boxes_left_out"] == 4 - sum(left.values())
    reasons = [row["reason"] for row in made.table.rejected.to_pylist()]
    assert reasons.count("no box left") == 3 - len(left)


def test_flags_and_classes_stay_with_their_boxes_when_pictures_between_them_go(subset, prepare: Prepare) -> None:
    subset.add("a", png(scene(1)), BOX, (0, 0, 0.1, 0.1), occluded=True)
    subset.add("b", b"broken", BOX, truncated=True)
    subset.add("c", png(scene(3)), BOX, inside=True)
    subset.boxes.reverse()  # whatever their order in the table
    made = prepare(subset)
    rows = [(row["image_id"], row["occluded"], row["truncated"], row["inside"]) for row in made.table.boxes.to_pylist()]
    assert rows == [("a", True, False, False)] * 2 + [("c", False, False, True)]
    assert made.boxes_of("a")[0][2] < 0.2  # the reversed order is kept within a picture


def test_what_shows_the_same_is_one_group(subset, prepare: Prepare) -> None:
    picture = scene(1, 240, 160, BOX)
    subset.add("first", png(picture), BOX)
    subset.add("other", png(scene(7, 240, 160, BOX)), BOX)
    subset.add("again", png(picture), BOX)
    subset.add("recompressed", jpeg(picture, 70), BOX)
    made = prepare(subset)
    first, other, again, recompressed = made.table.pictures["group"].to_pylist()
    assert first == again == recompressed != other
    assert made.metadata["metrics"]["duplicate_groups"] == 1 and made.metadata["metrics"]["duplicates"] == 2
    exact = prepare(subset, near_duplicates="exact").table.pictures["group"].to_pylist()
    assert exact[0] == exact[2] != exact[3]


def test_the_result_is_the_same_bytes_with_any_number_of_threads(subset, prepare: Prepare) -> None:
    for number in range(20):
        subset.add(f"p{number}", png(scene(number, 80, 50 + number, BOX)), BOX)
    assert prepare(subset, workers=1).reference == prepare(subset, workers=5).reference


def test_jpeg_and_png_show_the_same_and_png_keeps_every_bit(subset, prepare: Prepare) -> None:
    picture = scene(1, 64, 64, BOX)
    subset.add("boat", png(picture), BOX)
    exact, close = (
        decode.rgb(next(boxes.pictures_of(prepare(subset, encoding=encoding).reference))[1])
        for encoding in ("png", "jpeg")
    )
    assert np.array_equal(exact, picture) and np.abs(close.astype(int) - picture).mean() < 4


def test_the_page_shows_pictures_with_their_boxes_drawn(subset, prepare: Prepare) -> None:
    for number in range(30):
        subset.add(f"p{number}", png(scene(number, 80, 50, BOX)), BOX)
    page = prepare(subset).page("boxes_page")
    assert page.count("<img") == 12 and "p0: 1 boxes" in page and "http" not in page
    assert "30 % and more" in page


def test_a_hostile_name_is_shown_as_text(subset, prepare: Prepare) -> None:
    subset.add("<script>x", png(scene(1)), BOX)
    assert "<script>x" not in prepare(subset).page("boxes_page")


def test_nothing_usable_ends_the_step_with_the_reasons(subset, prepare: Prepare) -> None:
    subset.add("a", None, BOX)
    subset.add("b", None, BOX)
    with pytest.raises(DataError, match="none of 2 pictures can be used: 2 x no such file"):
        prepare(subset)


@pytest.mark.parametrize("stage", ["subset", "prepared", "split"])
def test_boxes_of_another_stage_are_refused(subset, prepare: Prepare, stage: str) -> None:
    subset.add("a", png(scene(1)), BOX)
    with pytest.raises(DataError, match=f"is at the stage '{stage}'; expected 'transferred'"):
        prepare(subset, stage=stage)


def test_a_side_that_the_networks_cannot_divide_is_a_contradiction() -> None:
    assert "no multiple of 32" in prepare_settings.Settings(size_px=100).contradiction()
    assert prepare_settings.Settings(size_px=608).contradiction() == ""


def test_the_index_says_who_made_it_and_not_with_how_many_threads(subset, prepare: Prepare) -> None:
    subset.add("a", png(scene(1)), BOX)
    made = prepare(subset)
    about = reference.read_made_by(made.reference)
    assert about["step"] == "boxes_prepare" and "workers" not in about["settings"]
    assert reference.read_index(made.reference, "boxes")["size_px"] == 64


def test_unfinished_folders_are_gone_afterwards(subset, prepare: Prepare) -> None:
    subset.add("a", png(scene(1)), BOX)
    prepare(subset)
    assert sorted(path.name for path in subset.root.iterdir()) == ["boxes", "downloads", "unfinished"]
    assert list((subset.root / "unfinished").iterdir()) == []


def test_pictures_are_not_held_in_memory(subset, prepare: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a kept picture nothing is left but its boxes and a thumbnail once it is written."""
    tallies: list[step.Tally] = []
    plain = step._table
    monkeypatch.setattr(
        step, "_table", lambda table, settings, tally: tallies.append(tally) or plain(table, settings, tally)
    )
    for number in range(30):
        subset.add(f"p{number}", png(scene(number)), BOX)
    prepare(subset)
    assert [made.encoded for made in tallies[0].kept] == [b""] * 30 and len(tallies[0].shown) == 12


def test_a_data_root_that_does_not_exist_yet_is_made(subset, prepare: Prepare, tmp_path: Path) -> None:
    subset.add("a", png(scene(1)), BOX)
    given = subset.write()
    inputs = prepare_settings.Inputs(given, str(tmp_path / "new"))
    from .conftest import _outputs

    done = step.run(prepare_settings.Settings(size_px=32), inputs, _outputs(prepare_settings, tmp_path))
    assert done.results["boxes"].startswith(str(tmp_path / "new"))
