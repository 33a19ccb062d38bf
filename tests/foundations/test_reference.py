"""A reference is named by its content, is complete or absent, and says what made it."""

import os

import pytest

from components.artifacts import reference, storage
from components.errors import DataError
from components.images import TAG


def make(root, data=b"weights", content=None, made_by=None):
    with reference.draft(str(root), "checkpoints") as draft:
        (draft.folder / "weights").write_bytes(data)
        return draft.commit(content or {"classes": ["a"]}, made_by or {"step": "train"})


def test_equal_content_gets_an_equal_reference_whatever_made_it(tmp_path):
    first = make(tmp_path, made_by={"step": "train", "code": "1"})
    assert make(tmp_path, made_by={"step": "train", "code": "2"}) == first
    assert reference.read_made_by(first) == {"version": TAG, "step": "train", "code": "1"}


def test_other_bytes_or_other_content_get_another_reference(tmp_path):
    assert len({make(tmp_path), make(tmp_path, data=b"other"), make(tmp_path, content={"classes": ["b"]})}) == 3


def test_the_digest_does_not_depend_on_the_place(tmp_path):
    assert os.path.basename(make(tmp_path / "a")) == os.path.basename(make(tmp_path / "b"))


def test_a_reader_gets_the_content_and_the_files(tmp_path):
    made = make(tmp_path)
    assert reference.read_index(made, "checkpoints") == {"classes": ["a"]}
    assert reference.open_file(made, "weights").read_bytes() == b"weights"


def test_a_reference_without_its_index_does_not_exist(tmp_path):
    made = make(tmp_path)
    os.unlink(storage.join(made, "index.json"))
    with pytest.raises(DataError, match="not a finished reference"):
        reference.read_index(made, "checkpoints")


def test_a_reference_of_another_kind_is_refused(tmp_path):
    with pytest.raises(DataError, match="of kind 'checkpoints'; expected kind 'shards'"):
        reference.read_index(make(tmp_path), "shards")


def test_a_draft_that_is_not_committed_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), reference.draft(str(tmp_path), "shards") as draft:
        (draft.folder / "half").write_bytes(b"x")
        raise RuntimeError("killed in the middle")
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_files_appear_whole_and_the_index_last(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(storage, "put_file", lambda path, uri: seen.append(uri))
    monkeypatch.setattr(storage, "write_bytes", lambda uri, data: seen.append(uri))
    make(tmp_path)
    assert [os.path.basename(uri) for uri in seen] == ["weights", "index.json"]
