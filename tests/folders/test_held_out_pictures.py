"""`val/` is held out: it is fold 0, nothing else is, and no copy of it is learnt from."""

import pandas as pd
import pytest

from components.ingest import conflicts, folders, folds
from components.ingest.rows import open_rounds


def read(folder, *paths, structs=()):
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"seen only by name")
    return folders.read(open_rounds([{"name": "round1", "uri": str(folder)}]), list(structs))


def test_only_what_lies_in_val_is_held_out(tmp_path):
    reading = read(tmp_path, "train/cat/1.png", "train/dog/2.png", "Val/cat/3.png", "test/4.png")
    assert {row.path: row.held_out for row in reading.rows} == {
        "train/cat/1.png": False,
        "train/dog/2.png": False,
        "Val/cat/3.png": True,
        "test/4.png": False,
    }


def test_one_tree_holds_nothing_out(tmp_path):
    assert not any(row.held_out for row in read(tmp_path, "cat/1.png", "dog/2.png").rows)


@pytest.mark.parametrize(
    ("paths", "task"),
    [(["cat/1.png", "dog/2.png"], "binary"), (["cat/1.png", "cow/2.png", "dog/3.png"], "one_of_k")],
)
def test_the_folders_decide_the_task_where_the_recipe_leaves_it_open(tmp_path, paths, task):
    assert read(tmp_path, *paths, structs=[{"name": "class", "task": "auto"}]).attributes["class"].task == task
    assert read(tmp_path, *paths, structs=[{"name": "class"}]).attributes["class"].task == "one_of_k"


def test_captions_and_sounds_beside_the_pictures_are_left_out_and_said(tmp_path):
    reading = read(tmp_path, "cat/1.png", "cat/1.txt", "cat/1.ogg", "dog/2.png")
    assert [row.path for row in reading.rows] == ["cat/1.png", "dog/2.png"]
    assert reading.notes == ["2 files are no pictures by their names and left out: cat/1.ogg, ..."]


def frame(*rows):
    """Rows of (group, label, held_out)."""
    made = pd.DataFrame(rows, columns=["group", "label", "held_out"])
    names = [f"{i:03d}.png" for i in range(len(made))]
    return made.assign(image_id=names, attribute="class", kind="labelled", round=1, keep=True, reason="")


def test_the_held_out_are_fold_0_and_the_others_share_the_rest():
    table = frame(*((i, "yn" if i % 2 else "ny", i >= 40) for i in range(50)))
    found = folds.assign(table, 5, seed=0)
    assert set(found[40:]) == {0}
    assert sorted(set(found[:40])) == [1, 2, 3, 4]


def test_an_attribute_of_which_val_labels_nothing_is_cut_into_all_folds():
    judged = frame(*((i, "yn" if i % 2 else "ny", i >= 40) for i in range(50)))
    unjudged = frame(*((i, "yn" if i % 2 else "ny", False) for i in range(40))).assign(attribute="colour")
    table = pd.concat([judged, unjudged], ignore_index=True)
    found = folds.assign(table, 5, seed=0)
    assert list(found[:50]) == list(folds.assign(judged, 5, seed=0))
    assert sorted(set(found[50:])) == [0, 1, 2, 3, 4]


def test_an_attribute_whose_held_out_pictures_are_all_dropped_is_cut_into_all_folds():
    table = frame(*((i, "yn" if i % 2 else "ny", i >= 38) for i in range(40)))
    table.loc[38:, "keep"] = False
    assert sorted(set(folds.assign(table, 5, seed=0)[:38])) == [0, 1, 2, 3, 4]


def test_without_any_held_out_nothing_changes():
    table = frame(*((i, "yn", False) for i in range(30)))
    assert list(folds.assign(table, 5, 0)) == list(folds.assign(table.drop(columns="held_out"), 5, 0))


def test_a_copy_of_a_held_out_picture_is_not_learnt_from():
    table = frame((1, "yn", True), (1, "yn", False), (1, "ny", False), (2, "ny", False))
    conflicts.drop_held_out_copies(table)
    assert list(table.keep) == [True, False, False, True]
    assert set(table.reason[~table.keep]) == {"held out: shows the same as a picture of val"}
    assert list(folds.assign(table, 3, 0))[:3] == [0, 0, 0]


def test_a_copy_may_still_teach_what_the_held_out_picture_does_not_judge():
    table = frame((1, "yn", True), (1, "yn", False), (1, "ny", False))
    table.loc[2, "attribute"] = "colour"
    conflicts.drop_held_out_copies(table)
    assert list(table.keep) == [True, False, True]


@pytest.mark.parametrize(
    ("task", "before", "after"),
    [
        ("multi_label", ["yyn", "yny"], "ymm"),
        ("multi_label", ["ynn", "nny"], "mnm"),
        ("regression", ["3", "4"], "3.5"),
    ],
)
def test_copies_that_disagree_become_one_label_of_their_task(task, before, after):
    table = frame(*((1, label, False) for label in before))
    events = conflicts.settle(table, "drop", {"class": task})
    assert list(table.label) == [after, after]
    assert [event.outcome for event in events] == ["merged"]
    assert table.keep.all()


def test_pictures_without_any_class_are_spread_over_the_folds_too():
    table = frame(*((i, "nnn" if i < 20 else "yny", False) for i in range(40)))
    found = folds.assign(table, 4, 0)
    for fold in range(4):
        assert (found[:20] == fold).sum() == 5
        assert (found[20:] == fold).sum() == 5
