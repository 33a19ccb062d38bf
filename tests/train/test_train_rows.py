"""Which groups train, which judge, and that a leak is found."""

import numpy as np
import pytest

from components.artifacts import reference, shards
from components.errors import DataError
from components.train import rows
from components.train.settings import Settings
from components.vision import tasks

ONE_OF_K = tasks.TASKS[tasks.ONE_OF_K]
NAMES = [f"labelled-f{fold}-r{number}" for fold in range(3) for number in (1, 2, 10)] + ["pool-r1", "test-r10"]


def test_the_base_rounds_are_all_but_the_newest_by_number_not_by_name():
    groups = rows.choose_groups(NAMES, Settings(), "round1")
    assert groups.train == ["labelled-f1-r1", "labelled-f1-r2", "labelled-f2-r1", "labelled-f2-r2"]
    assert groups.valid == groups.fold == ["labelled-f0-r1", "labelled-f0-r10", "labelled-f0-r2"]


def test_the_newest_round_alone_judges_where_that_is_asked_for():
    groups = rows.choose_groups(NAMES, Settings(valid_rounds="newest"), "round1")
    assert groups.valid == ["labelled-f0-r10"] and len(groups.fold) == 3


def test_a_round_without_labelled_pictures_is_no_round():
    groups = rows.choose_groups(["labelled-f0-r1", "labelled-f1-r1", "pool-r2", "test-r2"], Settings(), "round2")
    assert groups.train == ["labelled-f1-r1"] and groups.valid == ["labelled-f0-r1"]


@pytest.mark.parametrize("fold", [0, 1, 2])
@pytest.mark.parametrize("phase", ["round1", "round2", "student"])
@pytest.mark.parametrize("which", ["auto", "base", "newest", "all"])
def test_the_validation_fold_never_trains(fold, phase, which):
    groups = rows.choose_groups(NAMES, Settings(fold=fold, rounds=which, valid_rounds="all"), phase)
    assert not any(f"-f{fold}-" in name for name in groups.train) and set(groups.valid) == set(groups.fold)
    assert not set(groups.train) & set(groups.fold)


def leaky(tmp_path, *, group: int, image_id: str = "b.jpg", split: str = "labelled") -> str:
    """Shards in which one training picture may share the duplicate group 7, or the name, of a validation picture."""
    raw = np.zeros((4, 4, 3), np.uint8).tobytes()
    entries = [
        ("labelled", 0, shards.Record("a.jpg", "yn", 1.0, 7, 0, 1, 4, 4, {"plain": raw})),
        ("labelled", 1, shards.Record("c.jpg", "ny", 1.0, 8, 1, 1, 4, 4, {"plain": raw})),
        (
            split,
            2,
            shards.Record(image_id, "yn" if split == "labelled" else "", 1.0, group, 2, 1, 4, 4, {"plain": raw}),
        ),
    ]
    with reference.draft(str(tmp_path / "data"), shards.KIND) as draft:
        groups = {}
        for kind, fold, record in entries:
            name = shards.group_name(kind, fold, 1)
            with shards.Writer(draft.folder, name, 10) as writer:
                writer.write(record)
                groups[name] = writer.close()
        content = {
            "attribute": "x",
            "classes": ["red", "green"],
            "ordinal": False,
            "size_px": 4,
            "views": ["plain"],
            "encoding": "raw",
        }
        return draft.commit(content | {"groups": groups, "schema": 1}, {})


def learnt_from(uri, groups, pseudo="", **knobs):
    settings = Settings(**knobs)
    labelled = rows.labelled_pictures(uri, groups, settings)
    return rows.training_set(uri, labelled, groups, settings, pseudo, ONE_OF_K)


@pytest.mark.parametrize(("group", "image_id", "leaks"), [(7, "b.jpg", True), (9, "a.jpg", True), (9, "b.jpg", False)])
def test_a_duplicate_of_a_validation_picture_among_the_training_pictures_is_a_leak(tmp_path, group, image_id, leaks):
    uri = leaky(tmp_path, group=group, image_id=image_id)
    groups = rows.choose_groups(list(shards.read_shards_index(uri)["groups"]), Settings(), "round1")
    if leaks:
        with pytest.raises(DataError, match=f"leak: 1 labelled training pictures, for instance {image_id}"):
            learnt_from(uri, groups)
    else:
        assert len(learnt_from(uri, groups).targets) == 2


def test_a_duplicate_of_a_validation_picture_among_the_pseudo_rows_is_a_leak(tmp_path, make_pseudo):
    uri = leaky(tmp_path, group=7, split="test")
    pseudo = make_pseudo([("b.jpg", "test", [1.0, 0.0], 1.0)], classes=["red", "green"])
    groups = rows.choose_groups(list(shards.read_shards_index(uri)["groups"]), Settings(), "student")
    with pytest.raises(DataError, match=r"leak: 1 pseudo training pictures, for instance b\.jpg"):
        learnt_from(uri, groups, pseudo)


def test_pseudo_rows_keep_their_targets_and_never_weigh_more_than_one(tmp_path, make_pseudo):
    uri = leaky(tmp_path, group=9, split="test")
    pseudo = make_pseudo([("b.jpg", "test", [0.25, 0.75], 3.0)], classes=["red", "green"])
    groups = rows.choose_groups(list(shards.read_shards_index(uri)["groups"]), Settings(), "student")
    found = learnt_from(uri, groups, pseudo, pseudo_weight=0.5)
    np.testing.assert_allclose(found.targets, [[0, 1], [0.25, 0.75]])
    np.testing.assert_allclose(found.weights, [1, 0.5])
