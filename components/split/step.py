"""The work of split: each duplicate group draws a lot, which no other picture changes."""

import hashlib
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from components import entry, page
from components.artifacts import boxes
from components.errors import DataError
from components.split.settings import Inputs, Settings


def run(settings: Settings, inputs: Inputs, outputs: entry.Outputs) -> entry.Summary:
    """Writes the same boxes and pictures with a split for each.

    Raises:
        DataError: boxes that have not been prepared, or no picture in a split that has a share.
    """
    given = boxes.read(inputs.prepared)
    if given.stage != "prepared":
        raise DataError(
            f"{inputs.prepared} is at the stage {given.stage!r}; expected 'prepared', give the result of boxes_prepare"
        )
    ids, groups = given.pictures["image_id"].to_pylist(), given.pictures["group"].to_pylist()
    chosen = splits(ids, groups, settings, inputs.seed)
    _refuse_empty(chosen, settings, inputs.seed)
    place = given.pictures.schema.get_field_index("split")
    table = replace(given, pictures=given.pictures.set_column(place, "split", pa.array(chosen)), stage="split")
    made_by = {"step": "split", "settings": asdict(settings) | {"seed": inputs.seed}}
    parents = {"parents": [Path(inputs.prepared).name]}
    made = boxes.write(inputs.data_root, table, made_by | parents, shards_of=inputs.prepared)
    counted = _counted(table)
    outputs.write_text("split_page", _page(table, counted))
    numbers = {f"{split}_{what}": n for split, row in counted.items() for what, n in row.items()}
    return entry.Summary({"boxes": made}, {"metrics": numbers})


def splits(image_ids: list[str], groups: list[int], settings: Settings, seed: int) -> list[str]:
    """The split of every picture.

    A group's lot is a hash of the seed and the first of its ids: pictures that come or go move no others, but for those
    of their own group.

    Args:
        image_ids: one a picture.
        groups: equal for pictures that show the same; -1 for one that is like no other.
        settings: the shares.
        seed: another one, another split.
    """
    keys = [
        f"group {group}" if group >= 0 else f"picture {name}" for name, group in zip(image_ids, groups, strict=True)
    ]
    first: dict[str, str] = {}
    for key, name in zip(keys, image_ids, strict=True):
        first[key] = min(first.get(key, name), name)
    bounds = np.cumsum([settings.train_share, settings.validation_share]).round(9)
    return [boxes.SPLITS[int(np.searchsorted(bounds, _lot(first[key], seed), side="right"))] for key in keys]


def _refuse_empty(chosen: list[str], settings: Settings, seed: int) -> None:
    """Now, not when hours of training are over and there is nothing to test on, or nobody has chosen the weights.

    Lots stay as they are drawn: a picture forced into an empty split would move with every other that comes or goes.
    """
    wanted = ("train", *(["validation"] if settings.validation_share else []), "test")
    empty = [split for split in wanted if split not in chosen]
    if empty:
        shares = f"train_share={settings.train_share:g}, validation_share={settings.validation_share:g}, seed={seed}"
        raise DataError(
            f"{' and '.join(empty)} got none of {len(chosen)} pictures ({shares}); give other shares, another seed, or "
            "more pictures"
        )


def _lot(name: str, seed: int) -> float:
    """A number from 0 up to 1, as good as drawn."""
    digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def _counted(table: boxes.BoxTable) -> dict[str, dict[str, int]]:
    """Split to its numbers of pictures, boxes and groups."""
    split = np.asarray(table.pictures["split"].to_pylist(), dtype=object)
    groups = table.pictures["group"].to_numpy()
    of_picture = dict(zip(table.pictures["image_id"].to_pylist(), split, strict=True))
    of_box = np.array([of_picture[name] for name in table.boxes["image_id"].to_pylist()], dtype=object)
    return {
        name: {
            "pictures": int((split == name).sum()),
            "boxes": int((of_box == name).sum()),
            "groups": len(np.unique(groups[split == name])),
        }
        for name in boxes.SPLITS
    }


def _page(table: boxes.BoxTable, counted: dict[str, dict[str, int]]) -> str:
    total = table.pictures.num_rows
    rows = [(name, *row.values(), f"{row['pictures'] / total:.1%}") for name, row in counted.items()]
    about = "Pictures that show the same are one group and stay together, so that the test shows nothing learnt."
    head = ["split", "pictures", "boxes", "groups", "share"]
    return page.render("Training, validation and test", about, [page.table("Splits", head, rows)])
