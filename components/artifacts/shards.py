"""Shards: TFRecord files of one attribute's pictures, each record one `tf.train.Example` with all views of a picture.

Written and read here without TensorFlow: the step that makes them needs 0.3 GB less and starts 4 s sooner. Whoever
trains parses them with `tf.io.parse_example` and the feature names below.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from components.artifacts import records, reference
from components.errors import DataError

KIND = "shards"
SCHEMA = 1
"""Version of the features and the index; a reader refuses a newer one."""

IMAGE_ID, LABEL, WEIGHT = "image_id", "label", "weight"
GROUP, FOLD, ROUND, WIDTH, HEIGHT = "group", "fold", "round", "width", "height"
ENCODINGS = ("jpeg", "png", "raw")
"""How a view's bytes are stored. raw is uint8 RGB, row by row, size_px x size_px x 3."""


_LABELLED = re.compile(r"labelled-f(\d+)-r(\d+)")


def view_feature(view: str) -> str:
    """The feature that holds a view's bytes: `view/flip`."""
    return f"view/{view}"


def group_name(kind: str, fold: int, round_number: int) -> str:
    """The group a picture belongs to: `labelled-f2-r1`, `pool-r2`, `test-r1`. Rounds count from 1."""
    return f"labelled-f{fold}-r{round_number}" if kind == "labelled" else f"{kind}-r{round_number}"


def labelled_groups(names: Iterable[str]) -> dict[str, tuple[int, int]]:
    """The groups of labelled pictures among `names`, in their order, with fold and round: `group_name` read back."""
    return {name: (int(m[1]), int(m[2])) for name in names if (m := _LABELLED.fullmatch(name))}


@dataclass(frozen=True)
class Record:
    """One picture.

    Attributes:
        image_id: the key of the picture, as in the manifest.
        label: y/m/n string, one letter a class; empty when unlabelled.
        weight: of the picture in the loss, 0 to 1.
        group: duplicate component over the whole data set.
        fold: validation fold, -1 when not labelled.
        round: 1-based.
        width: of the upright picture, pixels; 0 where the picture was undecodable (a question: its views are black).
        height: as width.
        views: view name to its encoded bytes.
    """

    image_id: str
    label: str
    weight: float
    group: int
    fold: int
    round: int
    width: int
    height: int
    views: dict[str, bytes]

    def features(self) -> dict[str, records.Value]:
        """The features of the record's Example."""
        features: dict[str, records.Value] = {
            IMAGE_ID: self.image_id.encode(),
            LABEL: self.label.encode(),
            WEIGHT: float(self.weight),
            GROUP: int(self.group),
            FOLD: int(self.fold),
            ROUND: int(self.round),
            WIDTH: int(self.width),
            HEIGHT: int(self.height),
        }
        return features | {view_feature(name): data for name, data in self.views.items()}


class Writer:
    """Writes one group's records into shards of at most `records_per_shard`; the file names are final after `close`.

    Use as a context manager: an error inside leaves `.part` files in a draft folder that is thrown away.
    """

    def __init__(self, folder: Path, group: str, records_per_shard: int) -> None:
        self.folder, self.group, self.limit = folder, group, records_per_shard
        self.counts: list[int] = []
        self.bytes: list[int] = []
        self._file: BinaryIO | None = None

    def write(self, record: Record) -> None:
        """Appends one record: one write, so that a shard never ends inside the framing of two."""
        file = self._file
        if file is None or self.counts[-1] == self.limit:
            file = self._open_next()
        data = records.frame(records.example(record.features()))
        file.write(data)
        self.counts[-1] += 1
        self.bytes[-1] += len(data)

    def close(self) -> dict[str, Any]:
        """Gives the shards their names and returns the group's entry in the index: count, shards."""
        self._close_file()
        total = len(self.counts)
        names = [f"{self.group}-{number:05d}-of-{total:05d}.tfrecord" for number in range(total)]
        for number, name in enumerate(names):
            self._part(number).rename(self.folder / name)
        shards = [
            {"name": name, "records": count, "bytes": size}
            for name, count, size in zip(names, self.counts, self.bytes, strict=True)
        ]
        return {"count": sum(self.counts), "shards": shards}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._file is not None:
            try:
                self._close_file()
            except OSError:
                if error is None:  # otherwise the flush of a full disk would hide the error that names it
                    raise

    def _open_next(self) -> BinaryIO:
        self._close_file()
        self._file = file = self._part(len(self.counts)).open("wb", buffering=1 << 20)
        self.counts.append(0)
        self.bytes.append(0)
        return file

    def _close_file(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _part(self, number: int) -> Path:
        return self.folder / f"{self.group}-{number:05d}.part"


def read_shards_index(shards: str) -> dict[str, Any]:
    """The content of a shards reference's index (attribute, classes, size_px, views, encoding, groups ...).

    Raises:
        DataError: no such reference, or one written by a newer version.
    """
    content = reference.read_index(shards, KIND)
    if content.get("schema", 0) > SCHEMA:
        raise DataError(f"{shards!r} has shards of schema {content['schema']}, not up to {SCHEMA}; update seamline")
    return content


def group_files(shards: str, groups: Iterable[str]) -> list[Path]:
    """Local paths of the shards of the named groups, in the order of the names; downloaded if they lie on GCS.

    Raises:
        DataError: a group the reference does not have, or a file that is not as long as when it was written.
    """
    wanted, known = list(groups), read_shards_index(shards)["groups"]
    missing = [name for name in wanted if name not in known]
    if missing:
        raise DataError(f"{shards!r} has no group {missing[0]!r}; it has {', '.join(sorted(known)) or 'none'}")
    return [_whole(shards, shard) for name in wanted for shard in known[name]["shards"]]


def read_examples(path: Path) -> Iterator[Record]:
    """The records of one shard, in order. Raises DataError like `read_records`."""
    for data in records.read_records(path):
        found = records.parse_example(data)
        views = {name.removeprefix("view/"): value[0] for name, value in found.items() if name.startswith("view/")}
        numbers = {name: found[name][0] for name in (WEIGHT, GROUP, FOLD, ROUND, WIDTH, HEIGHT)}
        yield Record(found[IMAGE_ID][0].decode(), found[LABEL][0].decode(), **numbers, views=views)


def _whole(shards: str, shard: dict[str, Any]) -> Path:
    """Checks the length: a file cut between two records has no wrong checksum."""
    path = reference.open_file(shards, shard["name"])
    size = path.stat().st_size
    if size != shard["bytes"]:
        mend = "remove this reference and run preprocess again"
        raise DataError(f"shard {path.name} of {shards} has {size} bytes, not {shard['bytes']} as written; {mend}")
    return path
