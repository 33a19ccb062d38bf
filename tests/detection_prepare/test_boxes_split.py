"""split: shares hold, what shows the same stays together, and pictures that come or go move no others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.artifacts import boxes
from components.errors import DataError
from components.split.settings import Settings
from components.split.step import splits

from .conftest import png, scene

BOX = (0.2, 0.25, 0.5, 0.75)
DEFAULT = Settings()
ids = st.integers(0, 10**9).map("{:x}".format)


@st.composite
def grouped(draw: st.DrawFn) -> tuple[list[str], list[int]]:
    """Different ids, some of them of one group; -1: like no other."""
    names = draw(st.lists(ids, min_size=1, max_size=40, unique=True))
    groups = draw(st.lists(st.integers(-1, 8), min_size=len(names), max_size=len(names)))
    return names, groups


@given(grouped(), st.integers(0, 5))
def test_a_group_is_never_torn(given_pictures: tuple[list[str], list[int]], seed: int) -> None:
    names, groups = given_pictures
    found = splits(names, groups, DEFAULT, seed)
    for group in set(groups) - {-1}:
        assert len({split for split, own in zip(found, groups, strict=True) if own == group}) == 1


@given(grouped(), grouped())
def test_new_pictures_move_no_other_groups(
    before: tuple[list[str], list[int]], added: tuple[list[str], list[int]]
) -> None:
    names, groups = before
    fresh = [(name, group + 100 if group >= 0 else -1) for name, group in zip(*added, strict=True) if name not in names]
    more = [*names, *(name for name, _ in fresh)], [*groups, *(group for _, group in fresh)]
    assert splits(*more, DEFAULT, 3)[: len(names)] == splits(names, groups, DEFAULT, 3)


@given(grouped(), st.randoms(use_true_random=False))
def test_order_and_numbering_of_the_groups_do_not_matter(
    given_pictures: tuple[list[str], list[int]], random: object
) -> None:
    names, groups = given_pictures
    found = dict(zip(names, splits(names, groups, DEFAULT, 1), strict=True))
    order = list(range(len(names)))
    random.shuffle(order)  # type: ignore[attr-defined]
    other = splits(
        [names[i] for i in order], [groups[i] * 7 if groups[i] > 0 else groups[i] for i in order], DEFAULT, 1
    )
    assert [found[names[i]] for i in order] == other


def test_the_shares_hold_up_to_chance() -> None:
    found = splits([f"{i:016x}" for i in range(20_000)], [-1] * 20_000, DEFAULT, 0)
    shares = {name: found.count(name) / len(found) for name in boxes.SPLITS}
    assert shares == pytest.approx({"train": 0.8, "validation": 0.1, "test": 0.1}, abs=0.01)


def test_another_seed_is_another_split_and_the_same_seed_the_same() -> None:
    names = [f"{i:016x}" for i in range(300)]
    first, again, other = (splits(names, [-1] * 300, DEFAULT, seed) for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize(
    ("shares", "kinds"),
    [
        ({"train_share": 1.0, "validation_share": 0.0}, {"train"}),
        ({"train_share": 0.0, "validation_share": 1.0}, {"validation"}),
        ({"train_share": 0.0, "validation_share": 0.0}, {"test"}),
        ({"train_share": 0.7, "validation_share": 0.3}, {"train", "validation"}),
    ],
)
def test_a_share_of_nothing_gets_nothing(shares: dict[str, float], kinds: set[str]) -> None:
    assert set(splits([str(i) for i in range(500)], [-1] * 500, Settings(**shares), 0)) == kinds


def test_shares_beyond_the_whole_are_a_contradiction() -> None:
    assert "add up to 1.2" in Settings(train_share=0.8, validation_share=0.4).contradiction()
    assert Settings(train_share=0.8, validation_share=0.1).contradiction() == ""


@pytest.mark.parametrize(
    ("train", "validation", "said"),
    [
        (0.0, 1.0, "train_share=0 leaves no picture to learn from; give more than 0"),
        (0.9, 0.1, "train_share=0.9 and validation_share=0.1 leave no picture for the test; lower one of them"),
    ],
)
def test_shares_that_leave_nothing_to_learn_from_or_to_test_on_are_a_contradiction(
    train: float, validation: float, said: str
) -> None:
    assert Settings(train_share=train, validation_share=validation).contradiction() == said


def test_the_step_writes_splits_and_nothing_else_anew(subset, prepare, split) -> None:
    picture = scene(0, 200, 120, BOX)
    for number in range(40):
        subset.add(f"p{number:02d}", png(picture if number % 10 == 0 else scene(number, 80, 60, BOX)), BOX)
    prepared = prepare(subset)
    done = split(prepared.reference)
    before, after = prepared.table.pictures, done.table.pictures
    assert after.drop_columns(["split"]) == before.drop_columns(["split"])
    assert (done.table.boxes, done.table.rejected) == (prepared.table.boxes, prepared.table.rejected)
    assert done.table.stage == "split" and set(after["split"].to_pylist()) <= set(boxes.SPLITS)
    assert len({after["split"][i].as_py() for i in range(0, 40, 10)}) == 1
    assert list(boxes.pictures_of(done.reference)) == list(boxes.pictures_of(prepared.reference))
    numbers = done.metadata["metrics"]
    assert sum(numbers[f"{name}_pictures"] for name in boxes.SPLITS) == 40
    assert sum(numbers[f"{name}_groups"] for name in boxes.SPLITS) == len(np.unique(before["group"].to_numpy())) == 37
    assert "validation" in done.page("split_page")


def test_the_pictures_of_a_split_are_those_of_the_table(subset, prepare, split) -> None:
    for number in range(30):
        subset.add(f"p{number:02d}", png(scene(number, 80, 60, BOX)), BOX)
    done = split(prepare(subset).reference, train_share=0.4, validation_share=0.3)
    of = dict(zip(*(done.table.pictures[name].to_pylist() for name in ("image_id", "split")), strict=True))
    for name in boxes.SPLITS:
        assert [image_id for image_id, _ in boxes.pictures_of(done.reference, name)] == [i for i in of if of[i] == name]


def test_boxes_that_are_not_prepared_are_refused(subset, split) -> None:
    subset.add("a", png(scene(1)), BOX)
    with pytest.raises(DataError, match="is at the stage 'transferred'; expected 'prepared'"):
        split(subset.write())


@pytest.mark.parametrize(
    ("train", "validation", "empty"),
    [
        (1.0, 0.0, "test"),
        (0.7, 0.3, "test"),
        (0.0, 0.5, "train"),
        (0.0, 1.0, "train and test"),
        (0.8, 0.001, "validation"),
        (0.999, 0.0005, "validation and test"),
    ],
)
def test_a_split_that_has_a_share_and_no_picture_is_refused_in_one_line(
    subset, prepare, split, train: float, validation: float, empty: str
) -> None:
    for number in range(12):
        subset.add(f"p{number:02d}", png(scene(number, 80, 60, BOX)), BOX)
    shares = f"train_share={train:g}, validation_share={validation:g}, seed=0"
    with pytest.raises(DataError, match=rf"^{empty} got none of 12 pictures \({shares}\); .*$"):
        split(prepare(subset).reference, train_share=train, validation_share=validation)


def test_without_a_share_for_validation_it_may_be_empty(subset, prepare, split) -> None:
    for number in range(12):
        subset.add(f"p{number:02d}", png(scene(number, 80, 60, BOX)), BOX)
    made = split(prepare(subset).reference, train_share=0.7, validation_share=0.0)
    assert made.metadata["metrics"]["validation_pictures"] == 0
