"""A folder or a picture that becomes no class, question or pool is told: nothing vanishes in silence."""

import unicodedata

import pytest

from components.errors import SettingsError
from components.ingest import folders, rows
from components.ingest.rows import open_rounds
from pipeline.rounds import folders as landing

CLASSES = ["train/cat/1.png", "train/dog/2.png"]


@pytest.fixture
def read(delivery):
    """Reads a round of files that are seen by name only; what is said about it, and its rows."""

    def reading(*paths, structs=()):
        for path in paths:
            delivery.put(path, b"seen only by name")
        return folders.read(open_rounds([delivery.struct]), list(structs))

    return reading


def test_a_tidy_data_set_needs_no_notes(read):
    assert read(*CLASSES, "val/cat/3.png", "test/4.png", "pool/deep/5.png").notes == []


def test_training_and_validation_are_train_and_val(read):
    reading = read("training/cat/1.png", "training/dog/2.png", "validation/cat/3.png")
    assert [(row.label, row.held_out) for row in reading.rows] == [("yn", False), ("ny", False), ("yn", True)]


def test_pictures_beside_the_classes_and_folders_of_unknown_names_are_counted(read):
    reading = read(*CLASSES, "train/loose.png", "dev/cat/3.png", "dev/dog/4.png", "cover.png")
    assert reading.notes == [
        "4 files lie where no class, question or pool is expected and are left out "
        "(2 in dev, 1 in the round's own folder, 1 in train): cover.png, ..."
    ]
    assert len(reading.rows) == 2


def test_what_is_no_picture_by_its_name_is_told_wherever_it_lies(read):
    reading = read(*CLASSES, "README.md", "LICENSE", "train/cat/1.txt")
    assert reading.notes == ["3 files are no pictures by their names and left out: LICENSE, ..."]


def test_empty_classes_and_parts_are_told(read, delivery, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    for empty in ("train/ant", "train/.cache", "train/__MACOSX"):
        (delivery.folder / empty).mkdir(parents=True)
    (delivery.folder / "val").symlink_to(tmp_path / "elsewhere")
    reading = read(*CLASSES)
    assert reading.notes == [f"round1/{path} is empty: no class or part comes from it" for path in ("val", "train/ant")]
    assert reading.attributes["class"].classes == ("cat", "dog")


def test_an_empty_class_of_a_tree_without_train_is_told_too(read, delivery):
    (delivery.folder / "ant").mkdir()
    assert [note.split(" is ")[0] for note in read("cat/1.png", "dog/2.png").notes] == ["round1/ant"]


def test_a_class_may_be_called_train_where_it_holds_pictures(read):
    assert read("bus/1.png", "train/2.png").attributes["class"].classes == ("bus", "train")


def test_classes_of_questions_are_not_read_and_that_is_told(read):
    reading = read(*CLASSES, "test/cat/3.png", "test/odd/4.png", "test/5.png")
    assert reading.notes == [
        "1 questions lie in folders called like classes: these are not read as labels: test/cat/3.png, ..."
    ]
    assert [row.label for row in reading.rows if row.kind == "test"] == ["", "", ""]


def test_an_accent_makes_one_class_however_a_disk_writes_it(read):
    composed, taken_apart = unicodedata.normalize("NFC", "\u00e9"), unicodedata.normalize("NFD", "\u00e9")
    reading = read(f"train/{composed}/1.png", "train/b/2.png", f"val/{taken_apart}/3.png")
    assert reading.attributes["class"].classes == ("b", composed)
    assert [row.path for row in reading.rows if row.held_out] == [f"val/{taken_apart}/3.png"]


@pytest.mark.parametrize(
    ("wish", "words"), [({"task": "ordinal"}, "task=ordinal"), ({"ordinal": True, "task": "auto"}, "ordinal=true")]
)
def test_names_of_folders_are_no_ranks(read, wish, words):
    paths = [f"{rank}/1.png" for rank in (1, 2, 10)]
    with pytest.raises(SettingsError, match=rf"{words} needs classes, the lowest first; found: .'1', '10', '2'"):
        read(*paths, structs=[{"name": "grade", **wish}])
    ranked = read(*paths, structs=[{"name": "grade", **wish, "classes": ["1", "2", "10"]}]).attributes["grade"]
    assert ranked.classes == ("1", "2", "10") and ranked.ordinal


def test_the_report_and_the_log_tell_the_notes_and_the_classes(delivery, ingest, capfd):
    for number, path in enumerate(("train/cat/a.png", "train/dog/b.png", "train/dog/c.png", "train/loose.png")):
        delivery.picture(path, number)
    page = ingest(delivery, attributes=[{"name": "class", "task": "auto"}]).page
    log = capfd.readouterr().out
    assert "1 files lie where no class" in page and "1 files lie where no class" in log
    assert "class: binary of 2 (cat, dog)" in log


def test_a_class_that_only_val_has_and_one_in_other_letters_are_told(delivery, ingest):
    paths = ["train/Cat/0.png", "train/Cat/1.png", "train/dog/2.png", "val/cat/3.png", "val/emu/4.png"]
    for number, path in enumerate(paths):
        delivery.picture(path, number)
    page = ingest(delivery).page
    assert "class has no example of cat, emu outside val: no model can learn it" in page
    assert "class has classes that differ in small and large letters only: Cat, cat" in page


def test_ingest_says_nothing_about_the_size_of_numbers_since_it_does_not_know_which_fold_will_judge(delivery, ingest):
    for number in range(4):
        delivery.picture(f"{number}.png", number)
    delivery.labels("image,price", "0.png,1", "1.png,3", "2.png,100", "3.png,900", file="labels.csv")
    about = ingest(delivery, attributes=[{"name": "price", "task": "regression"}]).index["attributes"]["price"]
    assert about["task"] == "regression" and "scale" not in about


def test_a_picture_listed_in_train_and_val_is_not_learnt_from(delivery, ingest):
    for number in range(3):
        delivery.picture(f"{number}.png", number)
    delivery.labels(*("image,kind,split", "0.png,x,train", "0.png,x,val", "1.png,x,", "2.png,y,"), file="labels.csv")
    rows = ingest(delivery).rows
    assert [(row.image_id, row.fold) for row in rows[rows.keep].itertuples() if row.fold == 0] == [("0.png", 0)]
    assert sorted(rows.image_id[rows.keep]) == ["0.png", "1.png", "2.png"]


def test_landing_rounds_and_ingest_know_training_folders_by_the_same_names() -> None:
    assert landing.TRAIN == rows.TRAIN
