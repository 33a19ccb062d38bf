"""The drawn Open Images: what `quirks.json` says is true of the files, boxes lie around boats, a seed decides."""

import csv
import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.datasets import boats, harbour, openimages
from pipeline.datasets.boats import clockwise
from pipeline.errors import Conflict, PipelineError

IMAGES = 60
BOAT = "/m/019jd"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return boats.draw(tmp_path_factory.mktemp("boats") / "data", seed=3, images=IMAGES)


@pytest.fixture(scope="module")
def where(drawn: Path) -> dict[str, list[str]]:
    return json.loads((drawn / boats.QUIRKS).read_text())["where"]


def rows(drawn: Path, name: str) -> list[dict[str, str]]:
    with (drawn / name).open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def listed(drawn: Path) -> dict[str, dict[str, str]]:
    return {row["ImageID"]: row for row in rows(drawn, openimages.IMAGES_FILE)}


def file_of(drawn: Path, row: dict[str, str]) -> Path:
    return drawn / openimages.MIRROR / row["OriginalURL"].removeprefix("https://")


def tree_digest(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        total.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return total.hexdigest()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(drawn: Path, tmp_path: Path) -> None:
    again = boats.draw(tmp_path / "again", seed=3, images=IMAGES)
    other = boats.draw(tmp_path / "other", seed=4, images=IMAGES)
    assert tree_digest(again) == tree_digest(drawn) != tree_digest(other)


def test_the_files_have_the_columns_of_open_images(drawn: Path) -> None:
    heads = [(drawn / name).read_text().split("\n", 1)[0] for name in (openimages.BOXES_FILE, openimages.IMAGES_FILE)]
    assert heads[0].startswith(
        "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf"
    )
    assert heads[1].endswith("Author,Title,OriginalSize,OriginalMD5,Thumbnail300KURL,Rotation")
    assert {len(row) for row in csv.reader((drawn / openimages.BOXES_FILE).open())} == {21}


def test_size_and_md5_are_those_of_the_file_but_where_planted(
    drawn: Path, listed: dict[str, dict[str, str]], where: dict[str, list[str]]
) -> None:
    wrong: dict[str, set[str]] = {"wrong_size": set(), "wrong_md5": set(), "missing": set()}
    for name, row in listed.items():
        file = file_of(drawn, row)
        if not file.is_file():
            wrong["missing"].add(name)
            continue
        wrong["wrong_size"] |= {name} if file.stat().st_size != int(row["OriginalSize"]) else set()
        wrong["wrong_md5"] |= {name} if openimages.md5_of(file.read_bytes()) != row["OriginalMD5"] else set()
    assert wrong == {quirk: set(where[quirk]) for quirk in wrong}


def test_a_rotation_brings_sky_to_the_top(
    drawn: Path, listed: dict[str, dict[str, str]], where: dict[str, list[str]]
) -> None:
    """The sky is bright and the water dark: turning as the table says must bring the sky up."""
    for degrees in (90, 180, 270):
        (name,) = where[f"rotated_{degrees}"]
        assert float(listed[name]["Rotation"]) == degrees
        stored = cv2.imread(str(file_of(drawn, listed[name])), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)
        upright = np.rot90(stored, degrees // 90)
        tenth = len(upright) // 10
        assert upright[:tenth].mean() > upright[-tenth:].mean() + 20


def test_boxes_of_boats_lie_around_what_differs_from_the_water() -> None:
    scene = harbour.scene(np.random.default_rng(1), boats=1)
    (boat,) = [thing for thing in scene.things if thing.name == harbour.BOAT]
    x_min, y_min, x_max, y_max = (round(v) for v in boat.box)
    grey = cv2.cvtColor(scene.pixels, cv2.COLOR_RGB2GRAY).astype(float)
    rows_below = grey[y_max + 4 :]
    assert grey[y_min:y_max, x_min:x_max].std() > 2 * rows_below.std()


def test_special_boats_are_marked_in_the_table(drawn: Path, where: dict[str, list[str]]) -> None:
    found = [row for row in rows(drawn, openimages.BOXES_FILE) if row["LabelName"] == BOAT]
    for flag, quirk in (("IsGroupOf", "group"), ("IsDepiction", "depiction")):
        assert {row["ImageID"] for row in found if row[flag] == "1"} == set(where[quirk])
    assert {row["IsOccluded"] for row in found} == {row["IsTruncated"] for row in found} == {"0", "1"}


def test_duplicates_are_the_same_picture_in_the_same_or_other_bytes(
    drawn: Path, listed: dict[str, dict[str, str]], where: dict[str, list[str]]
) -> None:
    same = [file_of(drawn, listed[name]).read_bytes() for name in where["exact_duplicates"]]
    near = [file_of(drawn, listed[name]).read_bytes() for name in where["near_duplicates"]]
    assert same[0] == same[1] and near[0] != near[1]
    one, other = (cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).astype(float) for data in near)
    assert np.abs(one - other).mean() < 8


def test_pictures_without_boats_and_unlisted_ones_are_there(
    drawn: Path, listed: dict[str, dict[str, str]], where: dict[str, list[str]]
) -> None:
    boat = {row["ImageID"] for row in rows(drawn, openimages.BOXES_FILE) if row["LabelName"] == BOAT}
    assert not boat & set(where["without_boats"]) and set(where["without_boats"]) < set(listed)
    assert set(where["not_listed"]) == boat - set(listed)


def test_turning_a_box_four_times_brings_it_back() -> None:
    box, size = (10.0, 20.0, 50.0, 90.0), (200, 100)
    assert clockwise(box, size, 4) == box
    assert clockwise(box, size, 1) == (10.0, 10.0, 80.0, 50.0), "the lower edge is now on the left"


def test_addresses_begin_as_asked_for(tmp_path: Path) -> None:
    made = boats.draw(tmp_path / "data", images=IMAGES, sites=("http://127.0.0.1:8000",))
    assert {row["OriginalURL"][:22] for row in rows(made, openimages.IMAGES_FILE)} == {"http://127.0.0.1:8000/"}
    assert [path.name for path in (made / openimages.MIRROR).iterdir()] == ["127.0.0.1"]


@pytest.mark.parametrize("given", [{"images": 59}, {"seed": -1}])
def test_what_cannot_be_drawn_is_refused(given: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="draw 60 images or more"):
        boats.draw(tmp_path / "data", **given)


def test_a_folder_in_use_is_left_alone(drawn: Path) -> None:
    with pytest.raises(Conflict, match="exists already"):
        boats.draw(drawn, images=IMAGES)
