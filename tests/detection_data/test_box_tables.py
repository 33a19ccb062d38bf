"""References of kind `boxes`: what is written is read back, equal tables are one reference, shards are shared."""

from pathlib import Path

import pyarrow as pa
import pytest

from components.artifacts import boxes
from components.errors import DataError

IDS = [f"{number:016x}" for number in range(5)]
PICTURE = {"url": "", "bytes": -1, "md5": "", "rotation": 0, "file": "", "width": 32, "height": 32, "group": -1}
BOX = {"class_index": 0, "x_min": 0.1, "y_min": 0.2, "x_max": 0.3, "y_max": 0.4} | dict.fromkeys(boxes.FLAGS, False)


def a_table(stage: str = "prepared", splits: tuple[str, ...] = ("",) * 5) -> boxes.BoxTable:
    pictures = [PICTURE | {"image_id": name, "split": split} for name, split in zip(IDS, splits, strict=True)]
    rejected = [{"image_id": "f" * 16, "url": "http://x/y.jpg", "reason": "404"}]
    return boxes.BoxTable(
        boxes.rows(boxes.PICTURES, pictures),
        boxes.rows(boxes.BOXES, [BOX | {"image_id": name} for name in IDS]),
        boxes.rows(boxes.REJECTED, rejected),
        ("Boat",),
        stage,
        32,
    )


def with_shards(root: Path) -> str:
    folder = root / "work"
    folder.mkdir()
    boxes.write_pictures(folder, [(name, name[-1].encode() * 3) for name in IDS], per_shard=2)
    return boxes.write(str(root), a_table(), {"step": "boxes_prepare"}, shards=folder)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    read = boxes.read(boxes.write(str(tmp_path), a_table(), {}))
    assert (read.pictures, read.boxes, read.rejected) == (a_table().pictures, a_table().boxes, a_table().rejected)
    assert (read.classes, read.stage, read.size_px) == (("Boat",), "prepared", 32)


def test_equal_tables_are_one_reference_whoever_made_them_and_in_however_many_pieces(tmp_path: Path) -> None:
    whole = a_table()
    pieces = pa.concat_tables([whole.boxes.slice(0, 2), whole.boxes.slice(2)])
    cut = boxes.BoxTable(whole.pictures, pieces, whole.rejected, whole.classes, whole.stage, whole.size_px)
    assert boxes.write(str(tmp_path), whole, {"step": "a"}) == boxes.write(str(tmp_path), cut, {"step": "b"})


def test_another_stage_is_another_reference(tmp_path: Path) -> None:
    assert boxes.write(str(tmp_path), a_table("subset"), {}) != boxes.write(str(tmp_path), a_table("transferred"), {})


def test_pictures_come_back_in_the_order_of_the_table_from_several_shards(tmp_path: Path) -> None:
    prepared = with_shards(tmp_path)
    assert list(boxes.pictures_of(prepared)) == [(name, name[-1].encode() * 3) for name in IDS]
    assert len(list(Path(prepared).glob("*.tfrecord"))) == 3


def test_a_split_shares_the_shards_of_what_it_was_made_from(tmp_path: Path) -> None:
    prepared = with_shards(tmp_path)
    splits = ("train", "test", "train", "validation", "test")
    split = boxes.write(str(tmp_path), a_table("split", splits), {}, shards_of=prepared)
    assert [name for name, _ in boxes.pictures_of(split, "test")] == [IDS[1], IDS[4]]
    assert [name for name, _ in boxes.pictures_of(split)] == IDS
    assert [name for name, _ in boxes.pictures_of(prepared)] == IDS
    shard = "pictures-00000.tfrecord"
    assert Path(split, shard).samefile(Path(prepared, shard))


def test_downloads_lie_beside_the_references(tmp_path: Path) -> None:
    made = boxes.write(str(tmp_path), a_table(), {})
    assert boxes.downloads(made) == boxes.downloads_in(str(tmp_path)) == f"{tmp_path}/downloads"


def test_a_reference_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a finished reference"):
        boxes.read(f"{tmp_path}/boxes/{32 * '0'}")
