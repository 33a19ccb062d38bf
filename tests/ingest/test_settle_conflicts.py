"""What happens when pictures that show the same carry different labels."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.ingest import conflicts, labels


def table(*rows, attribute="neck"):
    """Rows of (group, round, label) or (group, round, label, kind); every picture is an exact copy within its group."""
    full = [(*row, "labelled")[:4] for row in rows]
    frame = pd.DataFrame(full, columns=["group", "round", "label", "kind"])
    return frame.assign(
        attribute=attribute,
        source_label=frame.label,
        keep=True,
        reason="",
        picture=range(len(frame)),
        first_copy=frame.group,
    )


@pytest.mark.parametrize(
    ("first", "second", "merged"),
    [
        ("nnynn", "nnmyn", "nnymn"),  # the three real fuzzy neighbours of the contest's round 1
        ("nnnnnnyn", "nnnnnymn", "nnnnnmyn"),
        ("nnynnn", "nnmynn", "nnymnn"),
        ("nnynn", "nnymn", "nnymn"),
        ("nnymn", "mnynn", "mnymn"),
    ],
)
def test_labels_that_agree_within_their_doubt_become_one_soft_label(first, second, merged):
    frame = table((0, 1, first), (0, 1, second))
    events = conflicts.settle(frame, "drop")
    assert list(frame.label) == [merged, merged]
    assert list(frame.keep) == [True, True]
    assert [event.outcome for event in events] == ["merged"]


@pytest.mark.parametrize(("first", "second"), [("nynnnnnnnn", "nnnnnnnnyn"), ("nnnyn", "nynnn"), ("nmynn", "nnnmy")])
def test_labels_that_contradict_each_other_are_dropped(first, second):
    frame = table((0, 1, first), (0, 1, second))
    conflicts.settle(frame, "drop")
    assert list(frame.keep) == [False, False]
    assert first in frame.reason[0] and second in frame.reason[0]


def test_the_merged_y_is_the_majoritys():
    frame = table((0, 1, "nymn"), (0, 1, "nmyn"), (0, 2, "nnyn"))
    conflicts.settle(frame, "drop")
    assert set(frame.label) == {"nmyn"}


def test_a_tie_goes_to_the_oldest_round_then_to_the_first_row():
    frame = table((0, 2, "nmyn"), (0, 1, "nymn"))
    conflicts.settle(frame, "drop")
    assert set(frame.label) == {"nymn"}
    frame = table((0, 1, "nmyn"), (0, 1, "nymn"))
    conflicts.settle(frame, "drop")
    assert set(frame.label) == {"nmyn"}


def test_keep_first_keeps_the_row_of_the_oldest_round():
    frame = table((0, 2, "ynn"), (0, 1, "nny"), (0, 1, "nyn"))
    conflicts.settle(frame, "keep_first")
    assert list(frame.keep) == [False, True, False]


def test_majority_keeps_the_agreeing_rows_and_merges_their_doubt():
    frame = table((0, 1, "ynn"), (0, 1, "nny"), (0, 1, "nmy"))
    conflicts.settle(frame, "majority")
    assert list(frame.keep) == [False, True, True]
    assert list(frame.label[1:]) == ["nmy", "nmy"]


def test_groups_and_attributes_do_not_mix_and_unlabelled_rows_have_no_say():
    frame = pd.concat(
        [
            table((0, 1, "yn"), (1, 1, "ny"), (0, 1, "", "test"), (0, 1, "", "pool")),
            table((0, 1, "ny"), attribute="coat"),
        ],
        ignore_index=True,
    )
    assert conflicts.settle(frame, "drop") == []
    assert frame.keep.all()


def test_of_exact_copies_with_equal_labels_the_oldest_rounds_first_one_stays():
    frame = table((0, 2, "yn"), (0, 1, "yn"), (0, 1, "yn"), (1, 1, "yn"))
    conflicts.drop_copies(frame, "keep_one")
    assert list(frame.keep) == [False, True, False, True]


def test_keep_all_keeps_copies_but_never_two_rows_about_one_file():
    frame = table((0, 1, "yn"), (0, 1, "yn"), (0, 1, "yn")).assign(picture=[0, 1, 0])
    conflicts.drop_copies(frame, "keep_all")
    assert list(frame.keep) == [True, True, False]


def test_copies_across_attributes_stay():
    frame = pd.concat([table((0, 1, "yn")), table((0, 1, "yn"), attribute="coat")], ignore_index=True)
    conflicts.drop_copies(frame, "keep_one")
    assert frame.keep.all()


@pytest.mark.parametrize(("rule", "kept"), [("keep", [True, True]), ("drop", [False, True])])
def test_a_labelled_row_that_shows_a_question_is_counted_and_dropped_on_request(rule, kept):
    frame = table((0, 1, "yn"), (1, 1, "yn"), (0, 2, "", "test"))
    assert conflicts.drop_leaks(frame, rule) == 1
    assert list(frame.keep[:2]) == kept
    assert frame.keep[2]


LABELS = st.integers(0, 4).flatmap(
    lambda y: st.text("mn", min_size=5, max_size=5).map(lambda text: text[:y] + "y" + text[y + 1 :])
)


@given(st.lists(LABELS, min_size=2, max_size=6), st.sampled_from(["drop", "keep_first", "majority"]))
def test_after_settling_the_kept_rows_of_a_group_agree_and_stay_valid(group, rule):
    frame = table(*((0, 1, label) for label in group))
    conflicts.settle(frame, rule)
    kept = frame.label[frame.keep]
    assert kept.nunique() <= 1
    assert all(label.count("y") == 1 and len(label) == 5 for label in kept)
    assert rule == "drop" or len(kept) > 0


@given(LABELS, LABELS)
def test_being_neighbours_is_mutual(first, second):
    assert labels.neighbours(first, second) == labels.neighbours(second, first)
    assert labels.neighbours(first, first)
