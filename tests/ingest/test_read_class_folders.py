"""What ingest makes of one folder per class."""

import pytest

from components.errors import DataError, SettingsError
from components.ingest import folders
from components.ingest.rows import open_rounds


def read(*deliveries, structs=()):
    return folders.read(open_rounds([d.struct for d in deliveries]), list(structs))


def put(delivery, *paths):
    for path in paths:
        delivery.put(path, b"seen only by name")


def test_classes_are_the_folder_names_in_alphabetical_order(delivery):
    put(delivery, "dog/2.png", "cat/1.png", "cow/3.png")
    reading = read(delivery)
    assert reading.attributes["class"].classes == ("cat", "cow", "dog")
    assert {row.image_id: row.label for row in reading.rows} == {
        "cat/1.png": "ynn",
        "cow/3.png": "nyn",
        "dog/2.png": "nny",
    }


def test_train_and_val_are_both_labelled_and_other_folders_beside_them_are_not_classes(delivery):
    put(delivery, "train/cat/1.png", "train/dog/2.png", "val/dog/3.png", "docs/about/readme.txt", "README.md")
    assert [(row.path, row.label) for row in read(delivery).rows] == [
        ("train/cat/1.png", "yn"),
        ("train/dog/2.png", "ny"),
        ("val/dog/3.png", "ny"),
    ]


def test_test_and_pool_folders_hold_questions_and_unlabelled_pictures(delivery):
    put(delivery, "cat/1.png", "dog/2.png", "test/b.png", "test/a.png", "Pool/deep/c.png")
    kinds = {row.path: (row.kind, row.label) for row in read(delivery).rows if row.kind != "labelled"}
    assert kinds == {"Pool/deep/c.png": ("pool", ""), "test/a.png": ("test", ""), "test/b.png": ("test", "")}


def test_a_question_that_a_later_round_asks_under_the_same_name_is_refused_and_said(delivery, later):
    put(delivery, "cat/1.png", "dog/2.png", "test/a.png")
    put(later, "cat/1.png", "test/a.png", "test/b.png", "pool/a.png")
    reading = read(delivery, later)
    assert [(row.round, row.path) for row in reading.rows if row.kind == "test"] == [
        (1, "test/a.png"),
        (2, "test/b.png"),
    ]
    assert [(row.file, row.reason) for row in reading.rejected] == [
        ("round2/test/a.png", "repeated question: the first one is answered")
    ]
    assert [row.round for row in reading.rows if row.path == "cat/1.png"] == [1, 2]


def test_a_class_that_only_a_later_round_has_is_a_class_of_all(delivery, later):
    put(delivery, "cat/1.png", "dog/2.png")
    put(later, "ant/3.png", "cat/4.png")
    reading = read(delivery, later)
    assert reading.attributes["class"].classes == ("ant", "cat", "dog")
    assert [(row.round, row.label) for row in reading.rows] == [(1, "nyn"), (1, "nny"), (2, "ynn"), (2, "nyn")]


def test_given_classes_fix_the_order_and_folders_may_be_called_by_position(delivery):
    put(delivery, "0/1.png", "trousers/2.png", "hats/3.png")
    reading = read(delivery, structs=[{"name": "garment", "classes": ["trousers", "T-shirt/top"]}])
    assert [(row.path, row.label) for row in reading.rows] == [("0/1.png", "yn"), ("trousers/2.png", "yn")]
    assert [row.reason for row in reading.rejected] == ["unknown class: folder 'hats'"]


def test_a_single_class_or_none_is_refused(delivery):
    put(delivery, "cat/1.png")
    with pytest.raises(DataError, match="expected two or more"):
        read(delivery)


def test_classes_that_lie_a_folder_deeper_are_pointed_at(delivery):
    put(delivery, "domestic/cat/1.png", "domestic/dog/2.png")
    with pytest.raises(DataError, match=rf"classes may lie deeper: give --data {delivery.folder}/domestic$"):
        read(delivery)


@pytest.mark.parametrize("paths", [("cat/1.png", "cat/2.png"), ("cat/a/1.png", "cat/a/2.png"), ("train/cat/1.png",)])
def test_a_single_class_that_holds_no_folders_is_only_counted(delivery, paths):
    put(delivery, *paths)
    with pytest.raises(DataError, match=r"as \{class\}/\* or train/\{class\}/\*$"):
        read(delivery)


def test_two_attributes_are_refused(delivery):
    put(delivery, "cat/1.png", "dog/1.png")
    with pytest.raises(SettingsError, match="a folder per class is one attribute"):
        read(delivery, structs=[{"name": "a"}, {"name": "b"}])


def test_what_val_holds_is_fold_0_and_its_copy_in_train_is_left_out_and_said(delivery, ingest):
    for number, kind in enumerate("ababab"):
        delivery.picture(f"train/{kind}/{number}.png", number)
    delivery.picture("val/a/6.png", 6)
    delivery.picture("val/b/7.png", 1)  # shows what train/b/1.png shows
    result = ingest(delivery)
    assert {row.path: (row.fold, row.keep) for row in result.rows.itertuples() if row.fold == 0} == {
        "train/b/1.png": (0, False),
        "val/a/6.png": (0, True),
        "val/b/7.png": (0, True),
    }
    assert "1 pictures to learn from show the same as one of val and are left out" in result.page
