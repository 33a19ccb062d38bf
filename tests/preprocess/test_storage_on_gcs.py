"""storage and references on gs://: the same promises as on a disk. Against a fake server, offline."""

import tracemalloc
from pathlib import Path

import pytest

from components.artifacts import gcs_connection, reference, storage
from components.errors import DataError


def test_bytes_come_back_and_are_listed(bucket: str) -> None:
    storage.write_bytes(f"{bucket}/a/one.bin", b"\x00\xff" * 10)
    storage.write_bytes(f"{bucket}/a/b/two ä.txt", b"2")
    storage.write_bytes(f"{bucket}/ab/other", b"")
    assert storage.read_bytes(f"{bucket}/a/one.bin") == b"\x00\xff" * 10
    assert storage.read_bytes(f"{bucket}/ab/other") == b""
    assert list(storage.list_files(f"{bucket}/a")) == ["b/two ä.txt", "one.bin"]
    assert storage.exists(f"{bucket}/a/one.bin") and not storage.exists(f"{bucket}/a")
    assert storage.size(f"{bucket}/a/one.bin") == 20


def test_without_credentials_the_way_to_them_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    gcs_connection.connection.cache_clear()
    with pytest.raises(DataError, match="gcloud auth application-default login"):
        list(storage.list_files("gs://bucket/folder"))


def test_a_bucket_that_is_not_there_is_named(bucket: str) -> None:
    with pytest.raises(DataError, match="there is no bucket gs://nobody-has-this-one"):
        list(storage.list_files("gs://nobody-has-this-one/x"))


def test_a_folder_is_removed_with_everything_in_it_and_nothing_beside_it(bucket: str) -> None:
    for name in ("unfinished/a/x", "unfinished/a/deep/y", "unfinished/ab/z"):
        storage.write_bytes(f"{bucket}/{name}", b"1")
    storage.remove_folder(f"{bucket}/unfinished/a")
    storage.remove_folder(f"{bucket}/nowhere")
    assert list(storage.list_files(f"{bucket}/unfinished")) == ["ab/z"]


@pytest.mark.parametrize("ask", [storage.read_bytes, storage.size, lambda uri: storage.local_copy(uri, Path("x"))])
def test_a_missing_object_is_named(bucket: str, ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=f"{bucket}/nothing does not exist; check the address"):
        ask(f"{bucket}/nothing")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_large_file_goes_up_and_down_without_lying_whole_in_memory(bucket: str, tmp_path: Path) -> None:
    source = tmp_path / "large"
    with source.open("wb") as file:
        for number in range(64):
            file.write(bytes([number]) * (1 << 20))
    tracemalloc.start()
    storage.put_file(source, f"{bucket}/large")
    copy = storage.local_copy(f"{bucket}/large", tmp_path / "cache")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert not source.exists() and copy.stat().st_size == 64 << 20
    assert copy.read_bytes()[:: 1 << 20] == bytes(range(64))
    assert peak < 32 << 20


def test_a_local_copy_is_made_once(bucket: str, tmp_path: Path) -> None:
    storage.write_bytes(f"{bucket}/a", b"first")
    storage.local_copy(f"{bucket}/a", tmp_path)
    storage.write_bytes(f"{bucket}/a", b"second")
    assert storage.local_copy(f"{bucket}/a", tmp_path).read_bytes() == b"first"


def test_a_reference_is_the_same_on_gcs_and_on_disk(bucket: str, tmp_path: Path) -> None:
    def publish(data_root: str) -> str:
        with reference.draft(data_root, "shards") as draft:
            (draft.folder / "a.tfrecord").write_bytes(b"1234")
            return draft.commit({"x": 1}, {})

    remote, local = publish(bucket), publish(str(tmp_path))
    assert remote.removeprefix(bucket) == local.removeprefix(str(tmp_path))
    assert reference.read_index(remote, "shards") == {"x": 1}
    assert reference.open_file(remote, "a.tfrecord").read_bytes() == b"1234"


def test_a_reference_without_its_index_does_not_exist(bucket: str) -> None:
    storage.write_bytes(f"{bucket}/shards/abc/a.tfrecord", b"1234")
    with pytest.raises(DataError, match="is not a finished reference"):
        reference.read_index(f"{bucket}/shards/abc", "shards")
