"""openimages_subset: of everything published, the pictures and boxes of a few classes, nothing dropped in silence."""

import base64
import csv
import gzip
import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from components import entry, knobs
from components.artifacts import boxes
from components.errors import DataError, SettingsError
from components.openimages_subset import classes, settings, tables
from pipeline.datasets import openimages

BOAT = "/m/019jd"
Run = Callable[..., entry.Summary]
Subset = Callable[..., boxes.BoxTable]


def published(drawn: Path, name: str) -> list[dict[str, str]]:
    with (drawn / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def subset(run_subset: Run) -> Subset:
    return lambda root, **changed: boxes.read(run_subset(root, **changed).results["boxes"])


@pytest.fixture(scope="module")
def found(subset: Subset, tmp_path_factory: pytest.TempPathFactory) -> boxes.BoxTable:
    return subset(tmp_path_factory.mktemp("subset"))


def test_every_box_of_the_class_is_taken_with_its_corners_in_our_order(drawn: Path, found: boxes.BoxTable) -> None:
    listed = {row["ImageID"] for row in published(drawn, openimages.IMAGES_FILE)}
    rows = [row for row in published(drawn, openimages.BOXES_FILE) if row["LabelName"] == BOAT]
    sound = [row for row in rows if row["ImageID"] in listed and row["XMin"] < row["XMax"] and row["XMax"] > ""]
    sound = [row for row in sound if float(row["YMax"]) <= 1]
    expected = [(r["ImageID"], *(float(r[c]) for c in ("XMin", "YMin", "XMax", "YMax"))) for r in sound]
    columns = ("image_id", "x_min", "y_min", "x_max", "y_max")
    assert sorted(zip(*(found.boxes[c].to_pylist() for c in columns), strict=True)) == sorted(expected)


def test_flags_of_boxes_are_carried(found: boxes.BoxTable, planted: dict[str, list[str]]) -> None:
    for flag, quirk in (("group_of", "group"), ("depiction", "depiction")):
        assert found.boxes.filter(found.boxes[flag])["image_id"].to_pylist() == sorted(planted[quirk])


ONE_BOX = dict.fromkeys(tables.BOX_COLUMNS, "0") | {"ImageID": "a", "LabelName": BOAT, "XMax": "0.5", "YMax": "0.5"}


@pytest.mark.parametrize(
    ("word", "is_group"),
    [
        ("1", True),
        ("True", True),
        ("yes", True),
        ("1.0", True),
        ("0", False),
        ("false", False),
        ("-1", False),
        ("", False),
    ],
)
def test_flags_may_be_words(word: str, is_group: bool) -> None:
    made, refused = tables.box_rows(pa.table({k: [v] for k, v in (ONE_BOX | {"IsGroupOf": word}).items()}), {BOAT: 0})
    assert made["group_of"].to_pylist() == [is_group] and refused.num_rows == 0


def test_a_flag_that_says_neither_yes_nor_no_refuses_its_row() -> None:
    made, refused = tables.box_rows(pa.table({k: [v] for k, v in (ONE_BOX | {"IsGroupOf": "2"}).items()}), {BOAT: 0})
    assert made.num_rows == 0
    assert refused["reason"].to_pylist() == ["unknown flag: IsGroupOf=2; expected 0, 1 or -1"]


def test_the_labels_of_the_classes_are_kept(found: boxes.BoxTable) -> None:
    assert found.labels == {BOAT: 0}


def test_a_name_that_two_classes_have_is_refused_and_its_labels_are_taken() -> None:
    described = {"/m/1": "Jaguar", "/m/2": "Jaguar", "/m/3": "jaguar cub"}
    said = "'Jaguar' is the name of 2 classes, /m/1, /m/2; give the label of the one you want instead"
    with pytest.raises(SettingsError, match=said):
        classes.wanted_labels(["Jaguar"], described, None)
    assert classes.wanted_labels(["/m/2", "Jaguar Cub"], described, None) == {"/m/2": 0, "/m/3": 1}


def test_pictures_carry_address_size_md5_and_rotation(drawn: Path, found: boxes.BoxTable) -> None:
    published_rows = {row["ImageID"]: row for row in published(drawn, openimages.IMAGES_FILE)}
    assert found.pictures["image_id"].to_pylist() == sorted(set(found.boxes["image_id"].to_pylist()))
    for picture in found.pictures.to_pylist():
        row = published_rows[picture["image_id"]]
        assert (picture["url"], picture["bytes"]) == (row["OriginalURL"], int(row["OriginalSize"]))
        assert bytes.fromhex(picture["md5"]) == base64.b64decode(row["OriginalMD5"])
        assert picture["rotation"] == int(float(row["Rotation"] or 0))
    assert {90, 180, 270} < set(found.pictures["rotation"].to_pylist())


def test_what_is_not_taken_is_listed_with_its_reason(found: boxes.BoxTable, planted: dict[str, list[str]]) -> None:
    reasons = [(row["image_id"], row["reason"].split(":")[0]) for row in found.rejected.to_pylist()]
    crooked = [(name, "no box") for name in planted["crooked_boxes"]]
    assert sorted(reasons) == sorted([*crooked, *((n, "no line in images_csv") for n in planted["not_listed"])])


def test_the_classes_of_the_hierarchy_count_only_when_it_is_given(subset: Subset, drawn: Path, tmp_path: Path) -> None:
    labels = Counter(row["LabelName"] for row in published(drawn, openimages.BOXES_FILE))
    plain = subset(tmp_path, class_names=["Canoe", "Bird"])
    nested = subset(tmp_path, class_names=["Vehicle", "Canoe", "Bird"], hierarchy_json=openimages.HIERARCHY_FILE)
    assert Counter(plain.boxes["class_index"].to_pylist()) == {0: labels["/m/0ph39"], 1: labels["/m/015p6"]}
    counted = Counter(nested.boxes["class_index"].to_pylist())
    assert counted[1] == labels["/m/0ph39"], "a canoe belongs to the nearest wanted class"
    assert counted[0] > 60, "boats are vehicles"


@pytest.mark.parametrize(
    ("name", "hint"),
    [("Boats", "did you mean Boat"), ("boat house", "did you mean"), ("Quasar", "there are 7, none with such a name")],
)
def test_an_unknown_class_is_one_line_with_close_names(subset: Subset, tmp_path: Path, name: str, hint: str) -> None:
    with pytest.raises(SettingsError, match=f"{name!r} is not a class of Open Images; .*{hint}"):
        subset(tmp_path, class_names=[name])


def test_a_class_is_found_whatever_its_case(subset: Subset, tmp_path: Path, found: boxes.BoxTable) -> None:
    assert subset(tmp_path, class_names=["boat"]).boxes == found.boxes


def test_a_choice_is_seeded_and_keeps_what_it_chose_when_more_may_be_chosen(subset: Subset, tmp_path: Path) -> None:
    few, more = (set(subset(tmp_path, max_pictures=n).pictures["image_id"].to_pylist()) for n in (10, 20))
    other = set(subset(tmp_path, max_pictures=10, seed=1).pictures["image_id"].to_pylist())
    assert len(few) == 10 and len(more) == 20 and few < more and other != few


def test_boxes_of_pictures_that_were_not_chosen_go_with_them(subset: Subset, tmp_path: Path) -> None:
    few = subset(tmp_path, max_pictures=5)
    assert set(few.boxes["image_id"].to_pylist()) == set(few.pictures["image_id"].to_pylist())


def test_the_transfer_list_is_sorted_by_the_bytes_of_the_address(run_subset: Run, drawn: Path, tmp_path: Path) -> None:
    run_subset(tmp_path)
    head, *lines = (tmp_path / "out" / "transfer_list").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines]
    assert head == "TsvHttpData-1.0"
    assert [row[0] for row in rows] == sorted((row[0] for row in rows), key=str.encode)
    whole = next(row for row in rows if (drawn / "mirror" / row[0].removeprefix("https://")).is_file())
    data = (drawn / "mirror" / whole[0].removeprefix("https://")).read_bytes()
    assert whole[1:] == [str(len(data)), base64.b64encode(hashlib.md5(data).digest()).decode()]


def test_the_same_files_give_the_same_reference_packed_or_not_and_in_one_piece_or_two(
    run_subset: Run, drawn: Path, tmp_path: Path
) -> None:
    for name in (openimages.BOXES_FILE, openimages.IMAGES_FILE):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress((drawn / name).read_bytes()))
    lines = (drawn / openimages.IMAGES_FILE).read_text().splitlines(keepends=True)
    (tmp_path / "a.csv").write_text("".join(lines[:30]))
    (tmp_path / "b.csv").write_text("".join([lines[0], *lines[25:]]))  # five pictures are in both
    whole = run_subset(tmp_path / "root")
    packed = run_subset(
        tmp_path / "root",
        boxes_csv=[f"{tmp_path}/{openimages.BOXES_FILE}.gz"],
        images_csv=[f"{tmp_path}/{openimages.IMAGES_FILE}.gz"],
    )
    halves = run_subset(tmp_path / "root", images_csv=[f"{tmp_path}/a.csv", f"{tmp_path}/b.csv"])
    assert whole.results == packed.results == halves.results


def test_broken_lines_are_counted_and_do_not_stop_the_step(run_subset: Run, drawn: Path, tmp_path: Path) -> None:
    text = (drawn / openimages.BOXES_FILE).read_text() + "cut,xclick\n"
    (tmp_path / "boxes.csv").write_text(text)
    run_subset(tmp_path / "root", boxes_csv=[f"{tmp_path}/boxes.csv"])
    page = (tmp_path / "root" / "out" / "subset_page").read_text()
    assert f"<td>boxes.csv</td><td class=n>{text.count(chr(10)) - 2:,}</td><td class=n>1</td>" in page


def test_a_line_with_a_byte_that_is_no_text_is_left_out_alone(
    run_subset: Run, drawn: Path, tmp_path: Path, found: boxes.BoxTable
) -> None:
    data = (drawn / openimages.IMAGES_FILE).read_bytes()
    bad = found.pictures.to_pylist()[3]
    (tmp_path / "images.csv").write_bytes(data.replace(bad["url"].encode(), bad["url"].encode() + b"?\xff"))
    made = boxes.read(run_subset(tmp_path / "root", images_csv=[f"{tmp_path}/images.csv"]).results["boxes"])
    assert set(found.pictures["image_id"].to_pylist()) - set(made.pictures["image_id"].to_pylist()) == {bad["image_id"]}
    assert bad["image_id"] in made.rejected["image_id"].to_pylist()
    lines = len(published(drawn, openimages.IMAGES_FILE)) - 1
    page = (tmp_path / "root" / "out" / "subset_page").read_text()
    assert f"<td>images.csv</td><td class=n>{lines:,}</td><td class=n>1</td>" in page


def test_a_box_counts_once_however_often_it_is_listed(
    run_subset: Run, drawn: Path, tmp_path: Path, found: boxes.BoxTable
) -> None:
    twice = run_subset(tmp_path, boxes_csv=[openimages.BOXES_FILE, str(drawn / openimages.BOXES_FILE)])
    made = boxes.read(twice.results["boxes"])
    assert made.boxes.equals(found.boxes) and made.pictures.equals(found.pictures)
    reasons = Counter(made.rejected["reason"].to_pylist())
    assert reasons["the same box again"] >= found.boxes.num_rows
    page = (tmp_path / "out" / "subset_page").read_text()
    assert f"<td>the same box again</td><td class=n>{reasons['the same box again']:,}</td>" in page


@pytest.mark.parametrize(
    ("names", "more", "hint"),
    [(["Boat", "Vehicle"], {}, ", or give hierarchy_json"), (["Canoe", "Bird"], {"max_pictures": 1}, "")],
)
def test_a_class_without_a_box_is_refused_in_one_line(
    subset: Subset, tmp_path: Path, names: list[str], more: dict[str, int], hint: str
) -> None:
    said = f"has no box on the chosen pictures; leave it out of class_names{hint}"
    with pytest.raises(DataError, match=said) as refused:
        subset(tmp_path, class_names=names, **more)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "nan", "NaN", "NAN", "0", "0.0"])
def test_a_rotation_that_is_not_known_is_none(text: str) -> None:
    row = dict.fromkeys(tables.IMAGE_COLUMNS, "") | {"ImageID": "a", "OriginalURL": "https://a.example/1.jpg"}
    read, refused = tables.picture_rows(pa.Table.from_pylist([row | {"Rotation": text}]), pa.array(["a"]))
    assert read["rotation"].to_pylist() == [0] and not refused.num_rows


@pytest.mark.parametrize(
    ("knob", "content", "said"),
    [
        ("boxes_csv", "a,b\n1,2\n", "expected a CSV with the columns ImageID"),
        ("images_csv", "ImageID,Subset\nx,train\n", "expected a CSV with the columns ImageID"),
        ("boxes_csv", "", "expected a CSV with the columns ImageID"),
        ("classes_csv", "just text\n", "has no line LabelName,DisplayName"),
        ("hierarchy_json", "[]", "has no LabelName at its top"),
        ("hierarchy_json", "{", "is no JSON"),
        ("hierarchy_json", "\xff", "is no JSON"),
        ("classes_csv", "\xff\xfe,Boat\n", "is no CSV of text"),
    ],
)
def test_a_file_that_is_something_else_is_refused_in_one_line(
    subset: Subset, tmp_path: Path, knob: str, content: str, said: str
) -> None:
    (tmp_path / "odd").write_text(content, encoding="latin-1")
    value: Any = f"{tmp_path}/odd"
    with pytest.raises(DataError, match=said) as refused:
        subset(tmp_path, **{knob: [value] if knob.endswith("s_csv") and knob != "classes_csv" else value})
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "damage", [lambda data: data[: len(data) // 2], lambda data: data[:50] + b"?" * 99 + data[149:]]
)
def test_a_damaged_packed_file_is_refused(
    subset: Subset, drawn: Path, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    packed = gzip.compress((drawn / openimages.BOXES_FILE).read_bytes())
    (tmp_path / "boxes.csv.gz").write_bytes(damage(packed))
    with pytest.raises(DataError, match=r"boxes\.csv\.gz: "):
        subset(tmp_path, boxes_csv=[f"{tmp_path}/boxes.csv.gz"])


def test_a_file_that_is_not_there_is_refused(subset: Subset, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        subset(tmp_path, boxes_csv=["nowhere.csv"])


def test_no_picture_at_all_is_an_error_that_says_where_was_looked(subset: Subset, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no picture of Boat in the subset 'test': 60 have boxes"):
        subset(tmp_path, subset="test")


def test_parts_of_a_thing_are_not_its_sub_classes() -> None:
    tree = {"LabelName": "a", "Subcategory": [{"LabelName": "b"}], "Part": [{"LabelName": "c"}]}
    assert classes.wanted_labels(["A"], {"a": "A", "b": "B", "c": "C"}, tree) == {"a": 0, "b": 0}


@pytest.mark.parametrize(
    "given",
    [
        *({"class_names": names} for names in ([], ["Boat", "Boat"], ["Boat", "boat"])),
        {"boxes_csv": []},
        {"images_csv": []},
    ],
)
def test_contradictions_are_said(given: dict[str, list[str]]) -> None:
    assert knobs.from_mapping(settings.Settings, given).contradiction()


def test_the_tables_have_the_schemas_of_the_reference(found: boxes.BoxTable) -> None:
    assert isinstance(found.pictures, pa.Table)
    assert (found.pictures.schema, found.boxes.schema, found.stage) == (boxes.PICTURES, boxes.BOXES, "subset")
