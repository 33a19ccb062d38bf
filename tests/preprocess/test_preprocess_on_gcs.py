"""preprocess from gs:// to gs://: the same bytes as on a disk."""

from pathlib import Path

from components.artifacts import shards, storage


def test_pictures_and_shards_may_both_lie_on_gcs(data_set, preprocess, bucket: str) -> None:
    data_set.fill()
    local = preprocess(data_set.inputs())
    data_set.rows.clear()
    data_set.pictures, data_set.data_root = f"{bucket}/pictures", f"{bucket}/data"
    data_set.fill()
    remote = preprocess(data_set.inputs())
    assert remote.startswith(f"{bucket}/data/shards/") and Path(remote).name == Path(local).name
    names = list(storage.list_files(remote))
    assert names == list(storage.list_files(local))
    assert all(storage.read_bytes(f"{remote}/{n}") == storage.read_bytes(f"{local}/{n}") for n in names)
    found = [record.image_id for record in shards.read_examples(shards.group_files(remote, ["test-r2"]))]
    assert found == ["Images/q0.jpg", "Images/q1.jpg", "Images/q2.jpg"]


def test_a_picture_missing_on_gcs_is_like_a_missing_file(data_set, preprocess, bucket: str) -> None:
    data_set.pictures, data_set.data_root = f"{bucket}/pictures", f"{bucket}/data"
    data_set.fill()
    data_set.add("Images/missing.jpg", None, kind="test", number=2)
    assert shards.read_shards_index(preprocess(data_set.inputs()))["black"] == 1
