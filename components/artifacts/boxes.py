"""Boxes: reference of kind `boxes`, pictures with the boxes of the things on them, from the subset to the split.

Four steps hand one to the next, each with more known: `subset` (addresses), `transferred` (files), `prepared` (upright,
letter-boxed, the pictures themselves in shards) and `split`. Before `prepared` the pictures lie in
`<data_root>/downloads/<host>/<path>`, the layout that Google's Storage Transfer Service makes.
"""

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.artifacts import records, reference, storage
from components.artifacts.shards import Shard, opened

KIND = "boxes"
STAGES = ("subset", "transferred", "prepared", "split")
SPLITS = ("train", "validation", "test")
DOWNLOADS = "downloads"
IMAGE_ID, PICTURE = "image_id", "picture"
FLAGS = ("occluded", "truncated", "group_of", "depiction", "inside")
"""What Open Images says of a box besides its place."""


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns.items()])


PICTURES = _schema(
    image_id=pa.string(),
    url=pa.string(),
    bytes=pa.int64(),
    md5=pa.string(),
    rotation=pa.int16(),
    file=pa.string(),
    width=pa.int32(),
    height=pa.int32(),
    split=pa.string(),
    group=pa.int64(),
)
BOXES = _schema(
    image_id=pa.string(),
    class_index=pa.int16(),
    x_min=pa.float64(),
    y_min=pa.float64(),
    x_max=pa.float64(),
    y_max=pa.float64(),
    **dict.fromkeys(FLAGS, pa.bool_()),
)
REJECTED = _schema(image_id=pa.string(), url=pa.string(), reason=pa.string())
_FILES = (("pictures.parquet", PICTURES), ("boxes.parquet", BOXES), ("rejected.parquet", REJECTED))


@dataclass(frozen=True)
class BoxTable:
    """Pictures and their boxes.

    Attributes:
        pictures: schema PICTURES, one row a picture. bytes: -1 unknown. md5: hex, "" unknown. rotation: degrees
            counterclockwise by which picture (its stored pixels, EXIF ignored) and boxes are still to be turned, as
            Open Images gives it: 0, 90, 180 or 270; 0 once prepared. file: below the folder of downloads, "" before
            the transfer. width, height: pixels, 0 unknown; once prepared those of the letter-boxed picture. split: ""
            or one of SPLITS. group: equal for pictures that show the same, -1 unknown.
        boxes: schema BOXES, in shares of width and height, 0 to 1, of the picture as it is stored at this stage.
        rejected: schema REJECTED: pictures and boxes that are not in the other two, and why.
        classes: display names; `class_index` counts in them from 0.
        stage: one of STAGES.
        size_px: side of the letter-boxed pictures; 0 before they are prepared.
        labels: Open Images' label (machine identifier) to the class that its boxes count as; empty if nobody knows.
    """

    pictures: pa.Table
    boxes: pa.Table
    rejected: pa.Table
    classes: tuple[str, ...]
    stage: str
    size_px: int = 0
    labels: Mapping[str, int] = field(default_factory=dict)

    @property
    def content(self) -> dict[str, Any]:
        """What the index says of it."""
        return {
            "classes": list(self.classes),
            "labels": dict(self.labels),
            "stage": self.stage,
            "size_px": self.size_px,
            "pictures": self.pictures.num_rows,
            "boxes": self.boxes.num_rows,
            "rejected": self.rejected.num_rows,
        }


def rows(schema: pa.Schema, found: Iterable[dict[str, Any]]) -> pa.Table:
    """A table from one dict a row, each with every column of the schema."""
    return pa.Table.from_pylist(list(found), schema=schema)


def write(
    data_root: str, table: BoxTable, made_by: dict[str, Any], shards: Path | None = None, shards_of: str = ""
) -> str:
    """Writes a reference of kind `boxes`; equal tables and pictures give equal references.

    Args:
        data_root: folder or gs:// address of all references.
        table: each of its tables has at least the columns of its schema; others are left out.
        made_by: for the index: step, settings, parents.
        shards: folder with the files that `write_pictures` wrote.
        shards_of: or the reference whose shards are this one's, too.
    """
    with reference.draft(data_root, KIND) as draft:
        tables = table.pictures, table.boxes, table.rejected
        for (name, schema), found in zip(_FILES, tables, strict=True):
            pq.write_table(_as(schema, found), draft.folder / name, compression="zstd")
        for file in _shard_files(shards, shards_of):
            _link(file, draft.folder / file.name)
        files = sorted(draft.folder.glob("*.tfrecord"))
        listed = [{"name": file.name, "bytes": file.stat().st_size} for file in files]
        content = table.content | {"shards": listed}
        return draft.commit(content, made_by)


def read(uri: str) -> BoxTable:
    """The tables of a reference.

    Raises:
        DataError: no such reference, or one of another kind.
    """
    about = reference.read_index(uri, KIND)
    pictures, boxes, rejected = (pq.read_table(reference.open_file(uri, name)) for name, _ in _FILES)
    labels = about.get("labels", {})  # references of before it was kept have none
    return BoxTable(pictures, boxes, rejected, tuple(about["classes"]), about["stage"], about["size_px"], labels)


def write_pictures(folder: Path, pictures: Iterable[tuple[str, bytes]], per_shard: int = 1024) -> None:
    """Writes shards of (image_id, encoded picture), in the order of `pictures.parquet`, into an existing folder."""
    for number, members in groupby(enumerate(pictures), key=lambda entry: entry[0] // per_shard):
        with (folder / f"pictures-{number:05d}.tfrecord").open("wb") as file:
            for _, (image_id, picture) in members:
                file.write(records.frame(records.example({IMAGE_ID: image_id.encode(), PICTURE: picture})))


def pictures_of(uri: str, split: str = "") -> Iterator[tuple[str, bytes]]:
    """image_id and encoded picture of every prepared picture of a split ("" for all), in the table's order."""
    found = read(uri).pictures
    wanted = set(found.filter(pc.equal(found["split"], split))["image_id"].to_pylist()) if split else None
    for file in opened([Shard(uri, entry["name"], entry["bytes"]) for entry in _shards(uri)]):
        for record in records.read_records(file):
            features = records.parse_example(record)
            image_id = features[IMAGE_ID][0].decode()
            if wanted is None or image_id in wanted:
                yield image_id, features[PICTURE][0]


def downloads(uri: str) -> str:
    """The folder of downloaded pictures beside a reference: `<data_root>/downloads`."""
    return downloads_in(uri.rstrip("/").rsplit("/", 2)[0])


def downloads_in(data_root: str) -> str:
    """The folder of downloaded pictures of a data root."""
    return storage.join(data_root, DOWNLOADS)


def _as(schema: pa.Schema, table: pa.Table) -> pa.Table:
    """The schema's columns in its order, in one piece: equal rows give equal bytes, however they were gathered."""
    return table.select(schema.names).cast(schema).combine_chunks().replace_schema_metadata(None)


def _shards(uri: str) -> list[dict[str, Any]]:
    return list(reference.read_index(uri, KIND)["shards"])


def _shard_files(folder: Path | None, uri: str) -> Iterator[Path]:
    if folder:
        yield from sorted(folder.glob("*.tfrecord"))
    if uri:  # one by one: on gs:// a file is at hand only until the next is asked for
        yield from (reference.open_file(uri, entry["name"]) for entry in _shards(uri))


def _link(source: Path, target: Path) -> None:
    """Files of references never change, so two may share one; a copy where the file system cannot."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
