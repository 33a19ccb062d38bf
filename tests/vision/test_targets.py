import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.errors import DataError
from components.vision import targets

POLICIES = sorted(targets.POLICIES)


@st.composite
def label_lists(draw) -> list[str]:
    num_classes = draw(st.integers(1, 10))
    labels = []
    for _ in range(draw(st.integers(1, 6))):
        letters = draw(st.lists(st.sampled_from("mn"), min_size=num_classes, max_size=num_classes))
        letters[draw(st.integers(0, num_classes - 1))] = "y"
        labels.append("".join(letters))
    return labels


@given(label_lists(), st.sampled_from(POLICIES), st.floats(0, 0.9), st.booleans())
def test_every_policy_gives_shares_that_sum_to_one_and_are_never_negative(labels, policy, smoothing, ordinal):
    found = targets.soft_targets(labels, policy, smoothing=smoothing, ordinal=ordinal)
    assert found.shape == (len(labels), len(labels[0])) and found.dtype == np.float64
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)
    assert (found >= 0).all()


@given(label_lists(), st.sampled_from([p for p in POLICIES if p != "ordinal"]))
def test_the_sure_class_never_gets_less_than_a_fuzzy_one_and_a_refused_class_gets_nothing(labels, policy):
    for label, row in zip(labels, targets.soft_targets(labels, policy), strict=True):
        assert row[label.index("y")] >= row.max() - 1e-12 or label.count("m") > 3
        assert all(row[i] == 0 for i, letter in enumerate(label) if letter == "n")


@pytest.mark.parametrize(
    ("policy", "label", "expected"),
    [
        ("hard", "nymnn", [0, 1, 0, 0, 0]),
        ("y60m40", "nynnn", [0, 1, 0, 0, 0]),
        ("y60m40", "nymnn", [0, 0.6, 0.4, 0, 0]),
        ("y60m40", "mymnn", [0.3, 0.4, 0.3, 0, 0]),
        ("y60m40", "mymmn", [0.2, 0.4, 0.2, 0.2, 0]),
        ("m10", "mymnn", [0.1, 0.8, 0.1, 0, 0]),
        ("josephpai", "nymnn", [0, 0.75, 0.25, 0, 0]),
        ("josephpai", "mymnn", [0.1, 0.8, 0.1, 0, 0]),
        ("josephpai", "mymmn", [0.1, 0.7, 0.1, 0.1, 0]),
    ],
)
def test_the_published_shares_come_out(policy, label, expected):
    np.testing.assert_allclose(targets.soft_targets([label], policy)[0], expected, atol=1e-12)


def test_label_smoothing_gives_the_seed_notebooks_numbers():
    found = targets.soft_targets(["ynnnn"], "hard", smoothing=0.1)
    np.testing.assert_allclose(found[0], [0.92, 0.02, 0.02, 0.02, 0.02], atol=1e-12)


def test_ordinal_targets_spread_over_the_scale_and_leave_invisible_out():
    found = targets.soft_targets(["nnnynn", "ynnnnn"], "ordinal", ordinal=True)
    np.testing.assert_allclose(found[0, 1:], [0.067451, 0.183350, 0.498398, 0.183350, 0.067451], atol=1e-6)
    np.testing.assert_allclose(found[1], [1, 0, 0, 0, 0, 0])
    assert found[0, 0] == 0


def test_ordinal_falls_back_to_hard_where_the_classes_are_no_scale():
    np.testing.assert_array_equal(targets.soft_targets(["nyn"], "ordinal", ordinal=False), [[0, 1, 0]])


@pytest.mark.parametrize("labels", [["nnn"], ["yyn"], ["nxy"], ["ynn", "yn"]])
def test_a_label_that_cannot_be_learnt_is_named(labels):
    with pytest.raises(DataError, match=labels[-1]):
        targets.soft_targets(labels, "hard")


def test_no_labels_give_no_rows():
    assert len(targets.soft_targets([], "y60m40")) == 0
