"""The work of openimages_subset: two passes over files of any length, in memory that grows with the subset alone."""

import hashlib
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from components import entry
from components.artifacts import boxes, transfer_list, web
from components.errors import DataError
from components.openimages_subset import classes, csv_stream, page, tables
from components.openimages_subset.settings import Inputs, Settings
from components.progress import log, progress

Sift = Callable[[pa.Table], tuple[pa.Table, pa.Table]]
"""Rows of a file -> rows to keep, rows to refuse."""


@dataclass
class Lines:
    """Counts of lines by file name: all that were read, and those that could not be, see `csv_stream`."""

    read: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)


def run(settings: Settings, inputs: Inputs, outputs: entry.Outputs) -> entry.Summary:
    """Writes the subset, the list for the transfer and the page.

    Raises:
        SettingsError: a class that Open Images does not have.
        DataError: a file that is not there or not what it should be, or no picture in the end.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = _fetched(settings, inputs.source, Path(folder))
        lines = Lines()
        table = subset(settings, inputs.seed, files, lines)
    made_by = {"step": "openimages_subset", "settings": asdict(settings) | {"seed": inputs.seed}, "parents": []}
    made = boxes.write(inputs.data_root, table, made_by)
    outputs.write_text("subset_page", page.render(table, lines.read, lines.broken))
    listed = transfer_list.render(table.pictures)
    outputs.write_text("transfer_list", listed)
    numbers = {name: table.content[name] for name in ("pictures", "boxes", "rejected")}
    about = {"reference": made, "addresses": listed.count("\n") - 1}
    return entry.Summary({"boxes": made}, {"metrics": numbers, "transfer_list": about})


@dataclass(frozen=True)
class Files:
    """Local paths of the published files."""

    boxes: list[Path]
    images: list[Path]
    classes: Path
    hierarchy: Path | None


def _fetched(settings: Settings, source: str, folder: Path) -> Files:
    def local(uri: str) -> Path:
        # A folder each: files of two addresses may have one name.
        return web.local_copy(web.address(uri, source), folder / hashlib.sha256(uri.encode()).hexdigest()[:16])

    hierarchy = local(settings.hierarchy_json) if settings.hierarchy_json else None
    small = local(settings.classes_csv), hierarchy
    classes.wanted_labels(settings.class_names, classes.read_names(small[0]), None)  # before gigabytes are fetched
    return Files([*map(local, settings.boxes_csv)], [*map(local, settings.images_csv)], *small)


def subset(settings: Settings, seed: int, files: Files, lines: Lines) -> boxes.BoxTable:
    """Cuts the subset out of local files, and counts their lines."""
    tree = classes.read_hierarchy(files.hierarchy) if files.hierarchy else None
    labels = classes.wanted_labels(settings.class_names, classes.read_names(files.classes), tree)
    progress(0, 2, "passes")
    boxed, no_boxes = _sifted(files.boxes, tables.BOX_COLUMNS, lambda piece: tables.box_rows(piece, labels), lines)
    boxed, again = tables.distinct(boxed)
    progress(1, 2, "passes")
    ids = pc.unique(boxed["image_id"])
    listed, refused = _sifted(files.images, tables.IMAGE_COLUMNS, lambda p: tables.picture_rows(p, ids), lines)
    progress(2, 2, "passes")
    unlisted = _unlisted(ids, pa.concat_arrays([*listed["image_id"].chunks, *refused["image_id"].chunks]))
    pictures = _of_subset(_first_of_each(listed).sort_by("image_id"), settings.subset)
    pictures = _chosen(pictures, settings.max_pictures, seed)
    if not pictures.num_rows:
        names, where = ", ".join(settings.class_names), f" in the subset {settings.subset!r}" * bool(settings.subset)
        raise DataError(f"no picture of {names}{where}: {len(ids)} have boxes; check that boxes and pictures match")
    kept = boxed.filter(pc.is_in(boxed["image_id"], value_set=pictures["image_id"].combine_chunks()))
    _refuse_empty(kept, settings)
    rejected = pa.concat_tables([no_boxes, again, refused, unlisted])
    rejected = rejected.sort_by([("image_id", "ascending"), ("reason", "ascending")])
    kept, names = kept.sort_by("image_id"), tuple(settings.class_names)
    return boxes.BoxTable(pictures, kept, rejected, names, "subset", labels=labels)


def _sifted(paths: Sequence[Path], columns: Sequence[str], sift: Sift, lines: Lines) -> tuple[pa.Table, pa.Table]:
    """Reads files piece by piece; the rows to keep, and those to refuse."""
    found = [sift(pa.table({name: pa.array([], pa.string()) for name in columns}))]
    for path in paths:
        for piece in csv_stream.pieces(path, columns, lines.broken):
            found.append(sift(piece))
            lines.read[path.name] += piece.num_rows
        log(f"{path.name}: {lines.read[path.name]:,} lines")
    kept, refused = map(pa.concat_tables, zip(*found, strict=True))
    return kept, refused


def _refuse_empty(kept: pa.Table, settings: Settings) -> None:
    """A class without boxes would be learnt by nobody, and judged by nothing."""
    there = set(kept["class_index"].to_pylist())
    empty = [name for number, name in enumerate(settings.class_names) if number not in there]
    if empty:
        hint = "" if settings.hierarchy_json else ", or give hierarchy_json for those of its sub-classes"
        raise DataError(f"{empty[0]} has no box on the chosen pictures; leave it out of class_names{hint}")


def _first_of_each(listed: pa.Table) -> pa.Table:
    """Without the lines of a picture that another file, or the same one, has listed before."""
    ids = listed["image_id"].combine_chunks()
    first = pc.index_in(pc.unique(ids), value_set=ids)
    return listed.take(first)


def _unlisted(ids: pa.Array, listed: pa.Array) -> pa.Table:
    """Pictures that have boxes and no line in the files of pictures."""
    missing = ids.filter(pc.invert(pc.is_in(ids, value_set=listed)))
    rows = ({"image_id": name, "url": "", "reason": "no line in images_csv"} for name in missing.to_pylist())
    return boxes.rows(boxes.REJECTED, rows)


def _of_subset(pictures: pa.Table, subset: str) -> pa.Table:
    return pictures.filter(pc.equal(pictures["Subset"], subset)) if subset else pictures


def _chosen(pictures: pa.Table, most: int, seed: int) -> pa.Table:
    """At most so many: those whose lots are lowest. A picture keeps its lot when others come or go."""
    if not 0 < most < pictures.num_rows:
        return pictures
    lots = [hashlib.sha256(f"{seed} {name}".encode()).digest() for name in pictures["image_id"].to_pylist()]
    lowest = sorted(range(len(lots)), key=lots.__getitem__)[:most]
    return pictures.take(sorted(lowest))
