"""The list of masks: those whose box is one of the kept boxes, found by the box's corners."""

import csv
import io
from pathlib import Path

import pytest

from components.boxes_prepare import masks
from components.errors import DataError

from .conftest import png, scene

BOX, OTHER = (0.2, 0.25, 0.5, 0.75), (0.6, 0.1, 0.9, 0.4)
HEAD = "MaskPath,ImageID,LabelName,BoxID,BoxXMin,BoxXMax,BoxYMin,BoxYMax,PredictedIoU,Clicks"


def line(mask: str, image_id: str, box: tuple[float, float, float, float], label: str = "/m/019jd") -> str:
    x_min, y_min, x_max, y_max = box
    return f"{mask},{image_id},{label},1a2b,{x_min},{x_max},{y_min},{y_max},0.8,0.1 0.2 1;0.3 0.4 0"


@pytest.fixture
def write(tmp_path: Path):
    def write(*lines: str, head: str = HEAD) -> str:
        (tmp_path / "masks.csv").write_text("\n".join([head, *lines, ""]))
        return "masks.csv"

    return write


def listed(made) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(made.page("masks_list"))))


def test_masks_of_kept_boxes_are_listed_with_class_and_corners(subset, prepare, write, tmp_path: Path) -> None:
    subset.add("a", png(scene(1)), BOX, OTHER)
    subset.add("lost", None, BOX)
    near = tuple(value + 0.0004 for value in BOX)
    name = write(
        line("a_1.png", "a", near), line("a_2.png", "a", (0, 0, 1, 1)), line("l.png", "lost", BOX), line("x", "x", BOX)
    )
    made = prepare(subset, source=str(tmp_path), masks=name)
    (row,) = listed(made)
    assert (row["image_id"], row["class"], row["mask"]) == ("a", "Boat", "a_1.png")
    assert [float(row[corner]) for corner in ("x_min", "y_min", "x_max", "y_max")] == list(BOX)
    assert made.metadata["masks_list"]["masks"] == 1


def test_of_two_classes_in_one_place_a_mask_belongs_to_that_of_its_label(
    subset, prepare, write, tmp_path: Path
) -> None:
    subset.classes, subset.labels = ("Boat", "Canoe"), {"/m/019jd": 0, "/m/0ph39": 1}
    subset.add("a", png(scene(1)), BOX, BOX)
    subset.boxes[-1]["class_index"] = 1
    masks = [("boat.png", "/m/019jd"), ("canoe.png", "/m/0ph39"), ("person.png", "/m/01g317")]
    made = prepare(subset, source=str(tmp_path), masks=write(*(line(mask, "a", BOX, of) for mask, of in masks)))
    assert [(row["mask"], row["class"]) for row in listed(made)] == [("boat.png", "Boat"), ("canoe.png", "Canoe")]
    assert made.table.labels == subset.labels


def test_without_masks_there_is_the_head_alone(subset, prepare) -> None:
    subset.add("a", png(scene(1)), BOX)
    made = prepare(subset)
    assert made.page("masks_list") == ",".join(masks.HEAD) + "\n" and made.metadata["masks_list"]["masks"] == 0


def test_a_mask_without_corners_is_nobody_s(subset, prepare, write, tmp_path: Path) -> None:
    subset.add("a", png(scene(1)), BOX)
    name = write("a.png,a,/m/019jd,1a2b,,0.5,0.25,0.75,0.8,")
    assert listed(prepare(subset, source=str(tmp_path), masks=name)) == []


def test_another_kind_of_file_is_refused_in_a_line(subset, prepare, write, tmp_path: Path) -> None:
    subset.add("a", png(scene(1)), BOX)
    name = write("1,2", head="some,thing")
    with pytest.raises(
        DataError, match=r"masks.csv is no CSV of masks .* expected the columns MaskPath, ImageID"
    ) as error:
        prepare(subset, source=str(tmp_path), masks=name)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_is_named(subset, prepare, tmp_path: Path) -> None:
    subset.add("a", png(scene(1)), BOX)
    with pytest.raises(DataError, match=r"nowhere.csv"):
        prepare(subset, source=str(tmp_path), masks="nowhere.csv")
