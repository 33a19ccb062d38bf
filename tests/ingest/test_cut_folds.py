"""Folds are stratified, seeded, and never tear a duplicate group apart."""

import warnings

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from components.ingest import folds, labels


def table(attributes, positions, groups, rounds=None, num_classes=6, keep=True):
    return pd.DataFrame(
        {
            "image_id": [f"{number:05}.jpg" for number in range(len(positions))],
            "attribute": attributes,
            "kind": "labelled",
            "group": groups,
            "round": 1 if rounds is None else rounds,
            "label": [labels.one_hot(p, num_classes) for p in positions],
            "keep": keep,
        }
    )


def spread(frame, fold):
    """The largest difference between two folds in the number of rows of one class of one attribute."""
    counts = pd.crosstab([frame.attribute, frame.label], fold)
    return int((counts.max(axis=1) - counts.min(axis=1)).max())


ROWS = st.lists(
    st.tuples(st.sampled_from(["coat", "neck", "pant"]), st.integers(0, 5), st.integers(0, 12)), min_size=1, max_size=80
)


@settings(max_examples=60)
@given(ROWS, st.integers(2, 8), st.integers(0, 5))
def test_no_group_spans_two_folds_whatever_its_attributes(rows, num_folds, seed):
    frame = table(*zip(*rows, strict=True))
    usable = folds.usable(frame, num_folds)
    frame["fold"] = folds.assign(frame, usable, seed)
    assert frame.groupby("group").fold.nunique().max() == 1
    assert frame.fold.between(0, usable - 1).all()
    assert set(frame.fold) == set(range(usable))


def test_single_pictures_are_spread_evenly_over_the_folds_class_by_class():
    rng = np.random.default_rng(0)
    frame = table(["coat"] * 503, rng.integers(0, 6, 503), range(503), rounds=rng.integers(1, 3, 503))
    fold = folds.assign(frame, 5, seed=0)
    assert spread(frame, fold) <= 1
    assert np.ptp(np.bincount(fold)) <= 5


def test_the_stratification_is_as_good_as_scikit_learns():
    rng = np.random.default_rng(1)
    frame = table(rng.choice(["coat", "neck"], 600), rng.integers(0, 6, 600), rng.integers(0, 250, 600))
    theirs = np.zeros(600, int)
    splits = StratifiedGroupKFold(5, shuffle=True, random_state=0).split(
        frame, frame.attribute + frame.label, frame.group
    )
    for number, (_, held_out) in enumerate(splits):
        theirs[held_out] = number
    assert spread(frame, folds.assign(frame, 5, seed=0)) <= spread(frame, theirs)


def test_the_seed_decides_and_the_same_seed_decides_the_same():
    frame = table(["coat"] * 60, [i % 6 for i in range(60)], range(60))
    assert np.array_equal(folds.assign(frame, 5, 3), folds.assign(frame, 5, 3))
    assert not np.array_equal(folds.assign(frame, 5, 3), folds.assign(frame, 5, 4))


@settings(max_examples=40)
@given(ROWS, ROWS, st.integers(2, 6))
def test_a_new_round_moves_no_older_picture_to_another_fold(older, newer, num_folds):
    rows = [*older, *newer]
    rounds = [1] * len(older) + [2] * len(newer)
    frame = table(*zip(*rows, strict=True), rounds=rounds)
    before = folds.assign(frame[: len(older)], num_folds, 0)
    assert np.array_equal(folds.assign(frame, num_folds, 0)[: len(older)], before)


def test_a_new_round_is_spread_evenly_by_itself():
    rng = np.random.default_rng(2)
    frame = table(["coat"] * 600, rng.integers(0, 6, 600), range(600), rounds=[1] * 400 + [2] * 200)
    fold = folds.assign(frame, 5, 0)
    assert spread(frame[400:], fold[400:]) <= 1


def test_a_class_without_examples_and_an_attribute_of_one_picture_are_survived():
    frame = table(["coat"] * 10 + ["neck"], [1] * 5 + [4] * 5 + [2], range(11))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fold = folds.assign(frame, 5, 0)
    assert sorted(np.bincount(fold[:5], minlength=5)) == [1, 1, 1, 1, 1]


def test_fewer_groups_than_folds_means_fewer_folds():
    frame = table(["coat"] * 4, [0, 1, 0, 1], [7, 7, 8, 8])
    assert folds.usable(frame, 5) == 2
    assert folds.usable(frame[:2], 5) == 1


def test_rows_that_are_not_kept_follow_their_group_and_unlabelled_rows_have_no_fold():
    frame = table(["coat"] * 4, [0, 0, 1, 1], [0, 0, 1, 2], keep=[True, False, True, True])
    frame.loc[3, ["kind", "label"]] = ["pool", ""]
    fold = folds.assign(frame, 2, 0)
    assert fold[0] == fold[1] != fold[2]
    assert fold[3] == -1
