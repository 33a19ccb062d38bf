"""The work of preprocess. Without TensorFlow, and in memory that does not grow with the number of pictures."""

import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import cv2

from components import entry
from components.artifacts import manifest, reference, shards, storage
from components.errors import DataError
from components.preprocess import disk, page, render
from components.preprocess.settings import Inputs, Settings
from components.progress import log, progress
from components.vision import tasks, window

_PICTURES_SHOWN = 6
_PROBLEMS_LOGGED = 20
_KINDS = ("labelled", "pool", "test")
_COLUMNS = ["image_id", "round", "kind", "path", "label", "weight", "group", "fold"]


@dataclass
class Tally:
    """What happened to the pictures."""

    done: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    shown: list[shards.Record] = field(default_factory=list)
    first_problem: str = ""


def run(settings: Settings, inputs: Inputs, outputs: entry.Outputs) -> entry.Summary:
    """Writes the shards of one attribute.

    Raises:
        DataError: an attribute the manifest lacks, no readable labelled picture, or a full disk.
    """
    cv2.setNumThreads(1)  # our own threads use the cores; OpenCV's would fight them
    name = inputs.attribute["name"]
    about = reference.read_index(inputs.manifest, manifest.KIND)
    if name not in about["attributes"]:
        raise DataError(f"attribute {name!r} is not in the manifest; it has {', '.join(sorted(about['attributes']))}")
    rows = rows_of(inputs, name)
    tally = Tally()
    volume = disk.Volume(_disk_of(inputs.data_root), len(rows))
    with volume.watched(), reference.draft(inputs.data_root, shards.KIND) as draft:
        groups = _write(rows, settings, inputs, draft.folder, volume, tally)
        content = _content(name, about, settings, groups, tally)
        made = draft.commit(content, _made_by(settings, inputs))
    outputs.write_text("views_page", page.render(name, tally.shown, settings))
    return entry.Summary({"shards": made})


def rows_of(inputs: Inputs, attribute: str) -> list[render.Row]:
    """The attribute's kept rows, group after group, each group in the manifest's order.

    Raises:
        DataError: no rows, or rows of a round that is not among the inputs.
    """
    table = manifest.read(inputs.manifest)
    table = table.loc[(table["attribute"] == attribute) & table["keep"], _COLUMNS]
    if table.empty:
        raise DataError(f"the manifest keeps no picture of {attribute!r}; see its data report for the reasons")
    newest = int(table["round"].max())
    if newest > len(inputs.rounds):
        raise DataError(f"the manifest has pictures of round {newest}, but only {len(inputs.rounds)} rounds are given")
    rows = [_row(entry, inputs.rounds) for entry in table.itertuples(index=False)]
    return sorted(rows, key=lambda row: (_KINDS.index(row.kind), row.fold, row.round))  # stable: keeps manifest order


def _row(found: Any, rounds: list[dict[str, str]]) -> render.Row:
    uri = storage.join(rounds[found.round - 1]["uri"], found.path)
    numbers = float(found.weight), int(found.group), int(found.fold), int(found.round)
    return render.Row(found.image_id, found.kind, found.label, *numbers, uri=uri)


def _write(
    rows: list[render.Row], settings: Settings, inputs: Inputs, folder: Path, volume: disk.Volume, tally: Tally
) -> dict[str, Any]:
    work = partial(render.render, settings=settings, knobs=render.knobs_of(settings, inputs.seed))
    rendered = window.in_order(work, rows, _workers(settings.workers, inputs.rounds))
    groups = {}
    for group, members in groupby(rendered, key=lambda made: made.row.shard_group):
        with shards.Writer(folder, group, settings.records_per_shard) as writer:
            for record in _counted(members, len(rows), tally):
                writer.write(record)
                volume.add(sum(map(len, record.views.values())))
            if writer.counts:
                groups[group] = writer.close()
    labelled = sum(row.kind == "labelled" for row in rows)
    if labelled and tally.skipped["labelled"] == labelled:
        raise DataError(
            f"none of {labelled} labelled pictures can be read ({tally.first_problem}); check the rounds' uri"
        )
    return groups


def _counted(members: Iterable[render.Rendered], total: int, tally: Tally) -> Iterator[shards.Record]:
    shown_every = max(1, total // _PICTURES_SHOWN)
    for made in members:
        if made.problem:
            tally.first_problem = tally.first_problem or made.problem
            tally.skipped[made.row.kind] += 1
            if tally.skipped.total() <= _PROBLEMS_LOGGED:
                log(f"{made.row.image_id}: {made.problem}; {'black views' if made.record else 'skipped'}")
        if made.record:
            if tally.done % shown_every == 0 and len(tally.shown) < _PICTURES_SHOWN:
                tally.shown.append(made.record)
            yield made.record
        tally.done += 1
        progress(tally.done, total, "pictures")


def _content(
    name: str, about: dict[str, Any], settings: Settings, groups: dict[str, Any], tally: Tally
) -> dict[str, Any]:
    return {
        "schema": shards.SCHEMA,
        "attribute": name,
        "classes": about["attributes"][name]["classes"],
        "ordinal": about["attributes"][name]["ordinal"],
        **tasks.carried(about["attributes"][name]),
        "size_px": settings.size_px,
        "channels": 3,
        "views": settings.views,
        "encoding": settings.encoding,
        "folds": about["folds"],
        "groups": groups,
        "skipped": {kind: tally.skipped[kind] for kind in ("labelled", "pool")},
        "black": tally.skipped["test"],
    }


def _made_by(settings: Settings, inputs: Inputs) -> dict[str, Any]:
    """Without the number of workers, which changes nothing: the whole index is the same bytes on every machine."""
    knobs = {name: value for name, value in asdict(settings).items() if name != "workers"}
    return {"step": "preprocess", "settings": knobs | {"seed": inputs.seed}, "parents": [Path(inputs.manifest).name]}


def _workers(wanted: int, rounds: list[dict[str, str]]) -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return wanted or cores * (4 if any(storage.is_remote(a_round["uri"]) for a_round in rounds) else 1)


def _disk_of(data_root: str) -> Path:
    """Where drafts lie: beside a local data root, else in the folder for temporary files."""
    return Path(tempfile.gettempdir() if storage.is_remote(data_root) else data_root)
