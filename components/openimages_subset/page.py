"""The page of the subset: how many pictures and boxes of each class, where from, and what was refused."""

from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np

from components import page
from components.artifacts import boxes

_CROWDS = {"1": 1, "2": 2, "3 to 4": 3, "5 to 8": 5, "9 to 16": 9, "17 or more": 17}


def render(table: boxes.BoxTable, lines: Mapping[str, int], broken: Mapping[str, int]) -> str:
    """One self-contained HTML page.

    Args:
        table: the subset.
        lines: file name to its number of lines.
        broken: file name to the number of its lines that could not be read.
    """
    sizes = np.asarray(table.pictures["bytes"])
    size = sizes[sizes >= 0].sum() / 1e6
    about = f"{table.pictures.num_rows:,} pictures ({size:,.1f} MB), {table.boxes.num_rows:,} boxes."
    rotations = Counter(table.pictures["rotation"].to_pylist())
    reasons = Counter(reason.split(":")[0] for reason in table.rejected["reason"].to_pylist())
    flags = [flag.replace("_", " ") for flag in boxes.FLAGS]
    turns = [(f"{degrees} degrees", rotations[degrees]) for degrees in sorted(rotations)]
    files = [(name, lines[name], broken.get(name, 0)) for name in lines]
    sections = [
        page.table("Classes", ["class", "boxes", "pictures", *flags], _classes(table)),
        page.table("Crowds", ["boxes in a picture", "pictures"], _crowds(table)),
        page.table("Rotation", ["to be turned by", "pictures"], turns),
        page.table("Refused", ["because", "rows"], reasons.most_common() or [("nothing was refused", 0)]),
        page.table("Files", ["file", "lines", "broken lines"], files),
    ]
    return page.render(f"Open Images: {', '.join(table.classes)}", about, sections)


def _classes(table: boxes.BoxTable) -> Iterator[tuple[object, ...]]:
    numbers, ids = np.asarray(table.boxes["class_index"]), np.asarray(table.boxes["image_id"])
    flags = [np.asarray(table.boxes[flag]) for flag in boxes.FLAGS]
    for number, name in enumerate(table.classes):
        mine = numbers == number
        yield name, int(mine.sum()), len(set(ids[mine])), *(int(flag[mine].sum()) for flag in flags)


def _crowds(table: boxes.BoxTable) -> list[tuple[object, ...]]:
    _, counts = np.unique(np.asarray(table.boxes["image_id"], dtype=str), return_counts=True)
    pictures = np.histogram(counts, [*_CROWDS.values(), np.inf])[0]
    return list(zip(_CROWDS, pictures.tolist(), strict=True))
