"""The predictions file: one schema, one order, the same bytes for the same rows."""

import numpy as np
import pytest

from components.artifacts import predictions, reference
from components.errors import DataError


def pictures(count, label="yn"):
    numbers = np.arange(count)
    return predictions.Pictures([f"{i}.jpg" for i in numbers], [label] * count, numbers, numbers % 5, numbers * 0 + 1)


def frame(count=3, split="valid"):
    values = np.arange(2 * count * 2, dtype=float).reshape(2, count, 2)
    return predictions.frame_of(split, pictures(count), ["plain", "mean"], values, -values)


def test_all_views_of_a_picture_stand_together_in_view_order():
    rows = frame()
    assert list(rows["image_id"]) == ["0.jpg", "0.jpg", "1.jpg", "1.jpg", "2.jpg", "2.jpg"]
    assert list(rows["view"]) == ["plain", "mean"] * 3
    assert rows["probability"][2].tolist() == [2, 3]
    assert rows["probability"][3].tolist() == [8, 9]


def test_what_is_written_is_read_back_and_equal_rows_give_equal_bytes(tmp_path):
    for name in ("first", "second"):
        predictions.write(frame(), tmp_path / name)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    ids, probabilities, labels = predictions.matrix(predictions.read_file(tmp_path / "first"), "valid", "plain")
    assert (ids, labels) == (["0.jpg", "1.jpg", "2.jpg"], ["yn"] * 3)
    assert probabilities.dtype == np.float64
    assert probabilities.tolist() == [[0, 1], [2, 3], [4, 5]]


def test_a_reference_is_read_by_its_kind(tmp_path):
    with reference.draft(str(tmp_path), "predictions") as draft:
        predictions.write(frame(), draft.folder / predictions.FILE)
        uri = draft.commit({"views": ["plain"]}, {})
    assert set(predictions.read(uri)["view"]) == {"plain", "mean"}
    with pytest.raises(DataError, match="expected one of kind 'predictions'"):
        predictions.read(str(tmp_path / "nothing"))


def test_an_empty_split_is_an_empty_matrix():
    ids, probabilities, labels = predictions.matrix(frame(), "test")
    assert (ids, labels, probabilities.shape) == ([], [], (0, 0))


def test_an_unknown_view_is_refused():
    with pytest.raises(DataError, match="no predictions of view 'flip'; expected one of plain, mean"):
        predictions.matrix(frame(), "valid", "flip")


def test_a_number_that_is_not_finite_is_never_written(tmp_path):
    rows = frame()
    rows["logit"][0][1] = np.inf
    with pytest.raises(DataError, match="hold a logit that is not a finite number"):
        predictions.write(rows, tmp_path / "file")


def test_no_rows_at_all_can_be_written_and_read(tmp_path):
    predictions.write(frame(0), tmp_path / "file")
    assert len(predictions.read_file(tmp_path / "file")) == 0
