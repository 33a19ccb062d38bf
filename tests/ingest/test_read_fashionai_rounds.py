"""What ingest takes, refuses and ignores of label files in the contest's format."""

import csv
import gzip
from pathlib import Path

import pytest

from components.errors import DataError, SettingsError
from components.ingest import attributes, fashionai, labels
from components.ingest.rows import open_rounds

NECK = "neck_design_labels"


REAL_ANSWERS = Path(__file__).parents[3] / "shared/data/fashionai/answers_round1.csv.gz"


def read(*deliveries, structs=()):
    return fashionai.read(open_rounds([d.struct for d in deliveries]), list(structs))


def put_pictures(delivery, *names):
    return [delivery.put(f"Images/{NECK}/{name}", b"seen only by name") for name in names]


def refusals(reading):
    return [(row.line, row.reason.split(":")[0]) for row in reading.rejected]


def test_label_files_have_no_header_and_lose_no_first_row(delivery):
    first, second = put_pictures(delivery, "a.jpg", "b.jpg")
    delivery.labels(f"{first},{NECK},ynnnn", f"{second},{NECK},nnmyn")
    assert [(row.image_id, row.label, row.kind, row.round) for row in read(delivery).rows] == [
        (first, "ynnnn", "labelled", 1),
        (second, "nnmyn", "labelled", 1),
    ]


def test_a_fourth_column_is_accepted_and_a_fifth_is_not(delivery):
    paths = put_pictures(delivery, "a.jpg", "b.jpg", "c.jpg")
    delivery.labels(f"{paths[0]},{NECK},ynnnn,0", f"{paths[1]},{NECK},ynnnn,0,1", f"{paths[2]},{NECK}")
    reading = read(delivery)
    assert [row.image_id for row in reading.rows] == [paths[0]]
    assert refusals(reading) == [(2, "wrong number of columns"), (3, "wrong number of columns")]


@pytest.mark.parametrize(
    ("encoded", "name"),
    [
        (lambda text: b"\xef\xbb\xbf" + text.encode(), "UTF-8 with BOM"),
        (lambda text: text.encode("cp1252"), "Windows-1252"),
        (lambda text: text.encode("utf-16"), "UTF-16"),
    ],
    ids=["bom", "windows", "utf-16"],
)
def test_other_encodings_are_read_and_reported(delivery, encoded, name):
    path = put_pictures(delivery, "müller – 1.jpg")[0]
    delivery.put("Annotations/label.csv", encoded(f"{path},{NECK},ynnnn\n"))
    reading = read(delivery)
    assert [row.path for row in reading.rows] == [path]
    assert name in reading.notes[0]


@pytest.mark.parametrize("newline", ["\r\n", "\r"], ids=["dos", "old-mac"])
def test_line_ends_of_other_systems_do_not_reach_the_label(delivery, newline):
    paths = put_pictures(delivery, "a.jpg", "b.jpg")
    delivery.labels(*(f"{path},{NECK},ynnnn" for path in paths), newline=newline)
    assert [row.label for row in read(delivery).rows] == ["ynnnn", "ynnnn"]


def test_white_space_and_quotes_around_fields_and_empty_lines_mean_nothing(delivery):
    path = put_pictures(delivery, "a.jpg")[0]
    delivery.labels("", f' "{path}" ,\t{NECK} , ynnnn ', "  ,")
    assert [(row.path, row.line) for row in read(delivery).rows] == [(path, 2)]


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("nny", "wrong length"),
        ("nnnnyn", "wrong length"),
        ("ynnny", "more than one y"),
        ("nnmmn", "no y"),
        ("nnxyn", "strange character"),
        ("NNNYN", "strange character"),
    ],
)
def test_faulty_labels_are_refused_with_their_line(delivery, label, reason):
    paths = put_pictures(delivery, "a.jpg", "b.jpg")
    delivery.labels(f"{paths[0]},{NECK},ynnnn", f"{paths[1]},{NECK},{label}")
    reading = read(delivery, structs=[{"name": NECK}])
    assert refusals(reading) == [(2, reason)]
    assert (reading.rejected[0].file, reading.rejected[0].image_id) == ("round1/Annotations/label.csv", paths[1])
    assert label in reading.rejected[0].reason


@pytest.mark.parametrize("path", ["../secret.jpg", "/etc/passwd", "Images/../../secret.jpg", "C:\\secret.jpg"])
def test_a_path_that_leaves_the_round_is_refused(delivery, path):
    inside = put_pictures(delivery, "a.jpg")[0]
    (delivery.folder.parent / "secret.jpg").write_bytes(b"not ours")
    delivery.labels(f"{inside},{NECK},ynnnn", f"{path},{NECK},ynnnn")
    assert refusals(read(delivery)) == [(2, "path leaves the round's folder")]


def test_backslashes_in_a_path_find_the_picture_and_stay_in_its_name(delivery):
    path = put_pictures(delivery, "a.jpg")[0]
    delivery.labels(f"Images\\{NECK}\\a.jpg,{NECK},ynnnn")
    assert [(row.image_id, row.path) for row in read(delivery).rows] == [(f"Images\\{NECK}\\a.jpg", path)]


def test_missing_files_empty_names_and_repeated_rows_are_refused(delivery):
    path = put_pictures(delivery, "a.jpg")[0]
    row = f"{path},{NECK},ynnnn"
    delivery.labels(row, f"Images/{NECK}/gone.jpg,{NECK},ynnnn", f",{NECK},ynnnn", row)
    assert refusals(read(delivery)) == [(2, "missing file"), (3, "empty name"), (4, "duplicate row")]


def test_a_repeated_row_with_another_label_is_a_conflict_to_be_settled_not_a_repeat(delivery):
    path = put_pictures(delivery, "a.jpg")[0]
    delivery.labels(f"{path},{NECK},ynnnn", f"{path},{NECK},nynnn")
    assert [row.label for row in read(delivery).rows] == ["ynnnn", "nynnn"]


def test_rows_of_attributes_nobody_asked_for_are_counted_not_refused(delivery):
    paths = put_pictures(delivery, "a.jpg", "b.jpg")
    delivery.labels(f"{paths[0]},{NECK},ynnnn", f"{paths[1]},sleeve_length_labels,nynnnnnnn")
    reading = read(delivery, structs=[{"name": NECK}])
    assert (len(reading.rows), reading.rejected, dict(reading.ignored)) == (1, [], {"sleeve_length_labels": 1})


def test_no_attributes_asked_for_means_all_known_ones_found_and_a_typing_error_is_refused(delivery):
    paths = put_pictures(delivery, "a.jpg", "b.jpg", "c.jpg")
    delivery.labels(
        f"{paths[0]},{NECK},ynnnn", f"{paths[1]},sleeve_length_labels,nynnnnnnn", f"{paths[2]},nek_design_labels,ynnnn"
    )
    reading = read(delivery)
    assert set(reading.attributes) == {NECK, "sleeve_length_labels"}
    assert refusals(reading) == [(3, "unknown attribute")]


def test_the_contests_classes_are_known_and_a_recipe_may_order_them_otherwise(delivery):
    path = put_pictures(delivery, "a.jpg")[0]
    delivery.labels(f"{path},coat_length_labels,nynnnnnn")
    assert read(delivery).attributes["coat_length_labels"].classes[3:5] == ("Long", "Micro")
    other = ["Invisible", "High Waist", "Regular", "Micro", "Long", "Knee", "Midi", "Ankle&Floor"]
    struct = {"name": "coat_length_labels", "classes": other}
    assert read(delivery, structs=[struct]).attributes["coat_length_labels"].classes == tuple(other)


@pytest.mark.parametrize("name", ["coat_length_labels", "quality"])
@pytest.mark.parametrize(("wish", "task"), [({"task": "ordinal"}, "ordinal"), ({"ordinal": True}, "one_of_k")])
def test_ranks_need_no_naming_since_the_letters_stand_in_an_order(delivery, name, wish, task):
    path = put_pictures(delivery, "a.jpg")[0]
    delivery.labels(f"{path},coat_length_labels,nynnnnnn", f"{path},quality,ynn")
    found = read(delivery, structs=[{"name": name, **wish}]).attributes[name]
    assert (found.task, found.ordinal) == (task, True)
    assert name != "quality" or found.classes == ("0", "1", "2")


def test_the_table_of_the_contest_has_54_classes_and_lengths_are_ordinal():
    known = attributes.known()
    assert (len(known), sum(len(a.classes) for a in known.values())) == (8, 54)
    assert {a.classes[0] for a in known.values()} == {"Invisible"}
    assert {name for name, a in known.items() if a.ordinal} == {
        name for name in known if name.endswith("_length_labels")
    }


def test_an_attribute_of_ones_own_without_classes_takes_their_number_from_its_labels(delivery):
    paths = put_pictures(delivery, "a.jpg", "b.jpg", "c.jpg")
    delivery.labels(f"{paths[0]},colour,nyn", f"{paths[1]},colour,ynn", f"{paths[2]},colour,yn")
    reading = read(delivery)
    assert reading.attributes["colour"].classes == ("0", "1", "2")
    assert refusals(reading) == [(3, "wrong length")]


def test_white_space_inside_class_names_is_normalised(delivery):
    path = put_pictures(delivery, "a.jpg")[0]
    delivery.labels(f"{path},cut,yn")
    structs = [{"name": "cut", "classes": ["One\tShoulder  Neckline", " Two "]}]
    assert read(delivery, structs=structs).attributes["cut"].classes == ("One Shoulder Neckline", "Two")


def test_an_empty_label_makes_the_row_part_of_the_pool(delivery):
    paths = put_pictures(delivery, "a.jpg", "b.jpg")
    delivery.labels(f"{paths[0]},{NECK},ynnnn", f"{paths[1]},{NECK},")
    assert [row.kind for row in read(delivery).rows] == ["labelled", "pool"]


def test_the_pool_folder_belongs_to_the_attribute_it_names_or_else_to_all(delivery):
    path = put_pictures(delivery, "a.jpg")[0]
    delivery.labels(f"{path},{NECK},ynnnn", f"{path},lapel_design_labels,ynnnn")
    delivery.put(f"Pool/{NECK}/p.jpg", b"x")
    delivery.put("Pool/q.jpg", b"x")
    delivery.put("Pool/pant_length_labels/r.jpg", b"x")
    reading = read(delivery, structs=[{"name": NECK}, {"name": "lapel_design_labels"}])
    pool = [(row.path, row.attribute) for row in reading.rows if row.kind == "pool"]
    assert pool == [(f"Pool/{NECK}/p.jpg", NECK), ("Pool/q.jpg", NECK), ("Pool/q.jpg", "lapel_design_labels")]
    assert reading.ignored == {"pant_length_labels": 1}


def test_questions_keep_their_order_and_stay_even_without_a_picture(delivery):
    path = put_pictures(delivery, "a.jpg")[0]
    delivery.labels(f"{path},{NECK},ynnnn")
    delivery.labels(f"Images/z.jpg,{NECK},", f"Images/b.jpg,{NECK},", f"../c.jpg,{NECK},", file="Tests/question.csv")
    asked = [row for row in read(delivery).rows if row.kind == "test"]
    assert [row.image_id for row in asked] == ["Images/z.jpg", "Images/b.jpg", "../c.jpg"]
    assert asked[2].path == ""


def test_a_question_asked_twice_is_answered_once_and_said_so(delivery):
    path = put_pictures(delivery, "a.jpg")[0]
    delivery.labels(f"{path},{NECK},ynnnn")
    delivery.labels(f"Images/z.jpg,{NECK},", f"Images/z.jpg,{NECK},", file="Tests/question.csv")
    assert refusals(read(delivery)) == [(2, "repeated question")]


def test_answers_beside_the_questions_are_never_read(delivery):
    path = put_pictures(delivery, "a.jpg")[0]
    delivery.labels(f"{path},{NECK},ynnnn")
    delivery.labels(f"{path},{NECK},nynnn,0", file="Tests/answer.csv")
    assert [row.label for row in read(delivery).rows] == ["ynnnn"]


def test_a_round_may_be_several_folders_side_by_side(delivery):
    for folder in ("base", "web"):
        delivery.put(f"{folder}/Images/{NECK}/{folder}.jpg", b"x")
        delivery.labels(f"Images/{NECK}/{folder}.jpg,{NECK},ynnnn", file=f"{folder}/Annotations/label.csv")
    rows = read(delivery).rows
    assert [row.image_id for row in rows] == [f"Images/{NECK}/base.jpg", f"Images/{NECK}/web.jpg"]
    assert [row.path for row in rows] == [f"base/Images/{NECK}/base.jpg", f"web/Images/{NECK}/web.jpg"]


def test_pictures_behind_a_linked_folder_are_found(delivery, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.jpg").write_bytes(b"x")
    (delivery.folder / "Images").symlink_to(tmp_path / "elsewhere")
    delivery.labels(f"Images/a.jpg,{NECK},ynnnn")
    assert [row.path for row in read(delivery).rows] == ["Images/a.jpg"]


def test_an_attribute_without_any_row_names_what_the_data_has(delivery):
    path = put_pictures(delivery, "a.jpg")[0]
    delivery.labels(f"{path},{NECK},ynnnn")
    with pytest.raises(DataError, match=f"'neck_design_label' has no labelled row; did you mean {NECK}"):
        read(delivery, structs=[{"name": "neck_design_label"}])


@pytest.mark.parametrize(
    ("structs", "message"),
    [
        ([{"name": NECK}, {"name": NECK}], "given twice"),
        ([{"classes": ["a", "b"]}], "has no name"),
        ([{"name": "x", "classes": ["a", "a"]}], "two or more different names"),
    ],
)
def test_attributes_that_cannot_be_told_apart_are_refused(structs, message):
    with pytest.raises(SettingsError, match=message):
        attributes.asked(structs)


@pytest.mark.parametrize(
    ("rounds", "message"),
    [
        ([], "rounds is empty"),
        ([{"name": "a"}], "has no uri"),
        ([{"name": "a", "uri": "x"}, {"name": "a", "uri": "y"}], "own name"),
    ],
)
def test_rounds_that_cannot_be_used_are_refused(rounds, message):
    with pytest.raises(SettingsError, match=message):
        open_rounds(rounds)


def test_what_archivers_and_desktops_leave_behind_is_no_picture(delivery):
    path = put_pictures(delivery, "a.jpg")[0]
    delivery.labels(f"{path},{NECK},ynnnn")
    for litter in ("__MACOSX/Annotations/label.csv", ".cache/Annotations/label.csv", "Pool/.DS_Store", "Pool/._a.jpg"):
        delivery.put(litter, b"x")
    reading = read(delivery)
    assert (len(reading.rows), reading.rejected) == (1, [])


def test_every_row_of_the_contests_released_answers_is_sound():
    if not REAL_ANSWERS.exists():
        pytest.skip("the released answers lie outside the project and are not on this machine")
    with gzip.open(REAL_ANSWERS, "rt", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert {labels.fault(label, attributes.known()[name]) for _, name, label, _ in rows} == {""}
    assert (len(rows), sum("m" in row[2] for row in rows)) == (19_818, 449)
