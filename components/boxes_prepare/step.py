"""The work of boxes_prepare, in memory that does not grow with the pixels."""

import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components import entry
from components.artifacts import boxes, storage, web
from components.boxes_prepare import masks, report
from components.boxes_prepare.render import Prepared, Row, prepare
from components.boxes_prepare.settings import Inputs, Settings
from components.errors import DataError
from components.progress import log, progress
from components.vision import duplicates, phash, window

CORNERS = ("x_min", "y_min", "x_max", "y_max")
_SHOWN = 12
_PROBLEMS_LOGGED = 20


@dataclass
class Tally:
    """What happened to the pictures: who is kept, with its boxes, and who is refused, and why."""

    kept: list[Prepared] = field(default_factory=list)
    rejected: list[dict[str, str]] = field(default_factory=list)
    shown: list[Prepared] = field(default_factory=list)


def run(settings: Settings, inputs: Inputs, outputs: entry.Outputs) -> entry.Summary:
    """Writes the prepared pictures with their boxes.

    Raises:
        DataError: boxes that have not been transferred, no picture that can be used, or a file of masks that is none.
    """
    cv2.setNumThreads(1)  # our own threads use the cores; OpenCV's would fight them
    given = boxes.read(inputs.transferred)
    if given.stage != "transferred":
        raise DataError(
            f"{inputs.transferred} is at the stage {given.stage!r}; expected 'transferred', give the result of transfer"
        )
    wanted = replace(given, boxes=_wanted(given.boxes, settings))
    tally = Tally()
    with tempfile.TemporaryDirectory(dir=_disk_of(inputs.data_root)) as folder:
        boxes.write_pictures(Path(folder), _pictures(wanted, inputs.transferred, settings, tally))
        if not tally.kept:
            raise DataError(f"none of {given.pictures.num_rows} pictures can be used: {_first_reason(tally)}")
        table = _table(wanted, settings, tally)
        made = boxes.write(inputs.data_root, table, _made_by(settings, inputs), shards=Path(folder))
    listed = _masks(settings, inputs, wanted, table)
    outputs.write_text("masks_list", masks.as_csv(listed))
    left_out = given.boxes.num_rows - wanted.boxes.num_rows
    numbers = report.numbers(table, left_out, len(tally.rejected))
    outputs.write_text("boxes_page", report.render(table, numbers, tally.shown, settings))
    about = {"reference": made, "masks": len(listed)}
    return entry.Summary({"boxes": made}, {"metrics": numbers, "masks_list": about})


def _wanted(found: pa.Table, settings: Settings) -> pa.Table:
    """Without the boxes that the settings leave out."""
    if settings.drop_group_of:
        found = found.filter(pc.invert(found["group_of"]))
    if settings.drop_depiction:
        found = found.filter(pc.invert(found["depiction"]))
    return found


def _rows(table: boxes.BoxTable, reference: str) -> Iterator[Row]:
    """The pictures in the table's order, each with the boxes that it has left."""
    downloads = boxes.downloads(reference)
    corners = np.stack([table.boxes[name].to_numpy() for name in CORNERS], axis=1)
    places: dict[str, list[int]] = {}
    for place, image_id in enumerate(table.boxes["image_id"].to_pylist()):
        places.setdefault(image_id, []).append(place)
    for row in table.pictures.select(["image_id", "url", "file", "rotation"]).to_pylist():
        own = corners[places.get(row["image_id"], [])]
        yield Row(row["image_id"], row["url"], storage.join(downloads, row["file"]), row["rotation"], own)


def _pictures(table: boxes.BoxTable, reference: str, settings: Settings, tally: Tally) -> Iterator[tuple[str, bytes]]:
    """Every usable picture as it is stored; keeps book of all."""
    total = table.pictures.num_rows
    work = partial(_prepared, settings=settings)
    done = window.in_order(work, _rows(table, reference), _workers(settings.workers, reference))
    for number, made in enumerate(done, start=1):
        progress(number, total, "pictures")
        if made.problem:
            _refuse(made, tally)
            continue
        if len(tally.shown) < _SHOWN and len(tally.kept) % max(1, total // _SHOWN) == 0:
            tally.shown.append(made)
        tally.kept.append(replace(made, encoded=b""))
        yield made.row.image_id, made.encoded


def _prepared(row: Row, settings: Settings) -> Prepared:
    return prepare(row, settings) if len(row.boxes) else Prepared(row, problem="no box left")


def _refuse(made: Prepared, tally: Tally) -> None:
    if len(tally.rejected) < _PROBLEMS_LOGGED:
        log(f"{made.row.image_id}: {made.problem}; left out")
    tally.rejected.append({"image_id": made.row.image_id, "url": made.row.url, "reason": made.problem})


def _table(table: boxes.BoxTable, settings: Settings, tally: Tally) -> boxes.BoxTable:
    """The kept pictures and boxes as they are now."""
    ids = pa.array([made.row.image_id for made in tally.kept], pa.string())
    pictures = table.pictures.filter(pc.is_in(table.pictures["image_id"], value_set=ids))
    side = np.full(len(ids), settings.size_px, np.int32)
    changed = {
        "width": side,
        "height": side,
        "rotation": np.zeros(len(ids), np.int16),
        "group": _groups(tally, settings),
    }
    return boxes.BoxTable(
        pictures=_with(pictures, changed),
        boxes=_boxes(table.boxes, ids, tally.kept),
        rejected=pa.concat_tables([table.rejected, boxes.rows(boxes.REJECTED, tally.rejected)]),
        classes=table.classes,
        stage="prepared",
        size_px=settings.size_px,
        labels=table.labels,
    )


def _boxes(found: pa.Table, ids: pa.Array, kept: Iterable[Prepared]) -> pa.Table:
    """The boxes of the kept pictures, picture after picture, with their new corners."""
    order = pc.index_in(found["image_id"], value_set=ids).combine_chunks()
    found = found.append_column("order", order).append_column("place", pa.array(range(found.num_rows)))
    found = found.filter(pc.is_valid(found["order"])).sort_by([("order", "ascending"), ("place", "ascending")])
    corners = np.concatenate([made.boxes for made in kept if made.boxes is not None])
    return _with(found, {name: corners[:, i] for i, name in enumerate(CORNERS)}).drop_columns(["order", "place"])


def _with(table: pa.Table, columns: dict[str, np.ndarray]) -> pa.Table:
    for name, values in columns.items():
        table = table.set_column(table.schema.get_field_index(name), name, pa.array(values))
    return table


def _groups(tally: Tally, settings: Settings) -> np.ndarray:
    """(n,) int64: equal for pictures that show the same."""
    looks = [made.look for made in tally.kept if made.look]
    thumbnails = np.stack([look.thumbnail for look in looks])
    found = duplicates.Looks(
        pixels=np.array([look.pixels for look in looks], dtype=object),
        width=np.array([look.width for look in looks], np.int32),
        height=np.array([look.height for look in looks], np.int32),
        phash=phash.hashes(thumbnails),
        is_flat=phash.is_flat(thumbnails),
        thumbnails=thumbnails,
    )
    return duplicates.find(found, settings).group


def _masks(settings: Settings, inputs: Inputs, wanted: boxes.BoxTable, made: boxes.BoxTable) -> list[tuple[Any, ...]]:
    if not settings.masks:
        return []
    kept = wanted.boxes.filter(pc.is_in(wanted.boxes["image_id"], value_set=made.pictures["image_id"].combine_chunks()))
    with tempfile.TemporaryDirectory() as folder:
        file = web.local_copy(web.address(settings.masks, inputs.source), Path(folder))
        return masks.listed(file, replace(wanted, boxes=kept))


def _first_reason(tally: Tally) -> str:
    reasons = Counter(row["reason"] for row in tally.rejected)
    return ", ".join(f"{count} x {reason}" for reason, count in reasons.most_common(3)) or "there are none"


def _made_by(settings: Settings, inputs: Inputs) -> dict[str, Any]:
    """Without the number of workers, which changes nothing: the whole index is the same bytes on every machine."""
    knobs = {name: value for name, value in asdict(settings).items() if name != "workers"}
    return {"step": "boxes_prepare", "settings": knobs, "parents": [Path(inputs.transferred).name]}


def _workers(wanted: int, reference: str) -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return wanted or cores * (4 if storage.is_remote(reference) else 1)


def _disk_of(data_root: str) -> Path | None:
    """Where the pictures are put together: beside a local data root's references, else among temporary files."""
    if storage.is_remote(data_root):
        return None
    aside = Path(data_root) / "unfinished"
    aside.mkdir(parents=True, exist_ok=True)
    return aside
