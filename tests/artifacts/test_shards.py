"""shards: the bytes that TensorFlow would write, and no silent damage."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.artifacts import records, reference, shards
from components.errors import DataError

int64 = st.integers(-(1 << 63), (1 << 63) - 1)
record = st.builds(
    shards.Record,
    image_id=st.text(max_size=20),
    label=st.text("ymn", max_size=10),
    weight=st.floats(0, 1, width=32),
    group=int64,
    fold=st.integers(-1, 20),
    round=st.integers(1, 100),
    width=st.integers(0, 1 << 31),
    height=st.integers(0, 1 << 31),
    views=st.dictionaries(st.text(min_size=1, max_size=9), st.binary(max_size=300), max_size=4),
)


def one(number: int) -> shards.Record:
    views = {"plain": bytes([number]) * 50, "flip": b"f"}
    return shards.Record(f"{number}.jpg", "nym", 0.5, 70 + number, -1, 1, 300, 400, views)


def written(folder: Path, count: int, group: str = "labelled-f0-r1", per_shard: int = 3) -> dict:
    with shards.Writer(folder, group, per_shard) as writer:
        for number in range(count):
            writer.write(one(number))
        return writer.close()


def published(root: Path, **content: object) -> str:
    with reference.draft(str(root), shards.KIND) as draft:
        groups = {group: written(draft.folder, count, group) for group, count in {"pool-r1": 4, "test-r1": 2}.items()}
        return draft.commit({"schema": shards.SCHEMA, "groups": groups} | content, {})


def test_the_name_of_a_labelled_group_is_read_back_and_other_groups_are_none() -> None:
    names = [shards.group_name("labelled", 3, 12), shards.group_name("pool", -1, 1), shards.group_name("test", -1, 2)]
    assert shards.labelled_groups(names) == {"labelled-f3-r12": (3, 12)}


def shard(path: Path) -> shards.Shard:
    return shards.Shard(str(path.parent), path.name, path.stat().st_size)


def raw_records(path: Path) -> list[bytes]:
    with path.open("rb") as file:
        return list(records.read_records(file))


@given(st.lists(record, max_size=4))
def test_records_read_back_as_written(tmp_path_factory: pytest.TempPathFactory, given_records: list) -> None:
    path = tmp_path_factory.mktemp("shards") / "a.tfrecord"
    path.write_bytes(b"".join(records.frame(records.example(one.features())) for one in given_records))
    assert list(shards.read_examples([shard(path)])) == given_records


@pytest.mark.slow
def test_bytes_are_those_of_tensorflow(tmp_path: Path) -> None:
    import tensorflow as tf

    def feature(value: records.Value) -> "tf.train.Feature":
        if isinstance(value, bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        if isinstance(value, float):
            return tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        for number in range(5):
            features = {name: feature(value) for name, value in one(number).features().items()}
            example = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(example.SerializeToString(deterministic=True))
    written(tmp_path, 5, "ours", per_shard=5)
    ours = tmp_path / "ours-00000-of-00001.tfrecord"
    assert ours.read_bytes() == (tmp_path / "theirs").read_bytes()

    spec = {
        shards.IMAGE_ID: tf.io.FixedLenFeature([], tf.string),
        shards.FOLD: tf.io.FixedLenFeature([], tf.int64),
        shards.WEIGHT: tf.io.FixedLenFeature([], tf.float32),
        shards.view_feature("plain"): tf.io.FixedLenFeature([], tf.string),
    }
    parsed = tf.io.parse_example(list(tf.data.TFRecordDataset(str(ours))), spec)
    assert parsed[shards.IMAGE_ID].numpy().tolist() == [f"{number}.jpg".encode() for number in range(5)]
    assert parsed[shards.FOLD].numpy().tolist() == [-1] * 5 and parsed[shards.WEIGHT].numpy().tolist() == [0.5] * 5
    assert parsed["view/plain"].numpy()[3] == one(3).views["plain"]


def test_unpacked_numbers_are_read_too() -> None:
    # Feature{int64_list{value: 3 value: -1}} with one varint field each, as protobuf 2 wrote them
    minus_one = b"\xff" * 9 + b"\x01"
    feature = b"\x1a" + bytes([2 + 11]) + b"\x08\x03" + b"\x08" + minus_one
    entry = b"\x0a\x01n" + b"\x12" + bytes([len(feature)]) + feature
    example = b"\x0a" + bytes([len(entry) + 2]) + b"\x0a" + bytes([len(entry)]) + entry
    assert records.parse_example(example) == {"n": [3, -1]}


def test_shards_hold_so_many_records_and_know_how_many_they_are(tmp_path: Path) -> None:
    entry = written(tmp_path, 7, per_shard=3)
    names = [f"labelled-f0-r1-0000{number}-of-00003.tfrecord" for number in range(3)]
    assert [path.name for path in sorted(tmp_path.iterdir())] == names
    assert entry["count"] == 7 and [shard["records"] for shard in entry["shards"]] == [3, 3, 1]
    assert [shard["bytes"] for shard in entry["shards"]] == [(tmp_path / name).stat().st_size for name in names]
    assert list(shards.read_examples([shard(tmp_path / name) for name in names])) == [one(n) for n in range(7)]


def test_groups_are_named_by_kind_fold_and_round() -> None:
    assert shards.group_name("labelled", 3, 2) == "labelled-f3-r2"
    assert shards.group_name("pool", -1, 1) == "pool-r1" and shards.group_name("test", -1, 2) == "test-r2"


@given(st.data())
def test_one_changed_byte_never_goes_unseen(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("shards")
    written(folder, 3)
    path = next(folder.iterdir())
    damaged = bytearray(path.read_bytes())
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(damaged)
    with pytest.raises(DataError, match=rf"{path.name}: record [012] "):
        raw_records(path)


def test_a_cut_shard_names_itself_and_the_record(tmp_path: Path) -> None:
    written(tmp_path, 3)
    path = next(tmp_path.iterdir())
    whole = path.read_bytes()
    length = len(whole) // 3
    for cut in (length + 1, length + 8, length + 11, length + 12, length + 30, 2 * length - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(DataError, match=f"{path.name}: record 1 is truncated"):
            raw_records(path)


def test_files_of_groups_come_in_the_order_asked_for(tmp_path: Path) -> None:
    given = shards.group_files(published(tmp_path), iter(["test-r1", "pool-r1"]))
    names = ["test-r1-00000-of-00001", "pool-r1-00000-of-00002", "pool-r1-00001-of-00002"]
    assert [found.path.stem for found in given] == names


def test_an_unknown_group_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no group 'pool-r2'; it has pool-r1, test-r1"):
        shards.group_files(published(tmp_path), ["pool-r2"])


def test_a_shard_cut_between_two_records_is_refused_by_its_length(tmp_path: Path) -> None:
    made = published(tmp_path)
    path = Path(made) / "test-r1-00000-of-00001.tfrecord"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert len(raw_records(path)) == 1
    with pytest.raises(DataError, match="test-r1-00000-of-00001.tfrecord .* bytes, not .* as written"):
        shards.group_files(made, ["test-r1"])


def test_shards_of_a_newer_version_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="schema 2, not up to 1; update seamline"):
        shards.read_shards_index(published(tmp_path, schema=2))
