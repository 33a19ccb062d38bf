"""Time and memory of openimages_subset on files as long as the real ones. Usage: openimages_subset.py FOLDER [BOXES]

Draws FOLDER's files once (14.6 million boxes on 1.74 million pictures: 1.9 GB), then runs the step in a process of its
own and prints its seconds and its largest resident memory.
"""

import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

from pipeline.datasets import openimages

BOXES, PICTURES_SHARE = 14_610_229, 0.119
BOAT, BOAT_SHARE, CLASSES = "/m/019jd", 0.0054, 600
_PIECE = 1_000_000


def boxes_of(rng: np.random.Generator, first: int, count: int) -> pa.Table:
    """Some lines of the file of boxes, on pictures from `first` on."""
    corners = np.sort(rng.random((2, 2, count)), axis=0).round(6)
    labels = np.where(
        rng.random(count) < BOAT_SHARE, BOAT, np.char.add("/m/0", rng.integers(0, CLASSES, count).astype("U3"))
    )
    ids = np.sort(first + rng.integers(0, max(1, int(count * PICTURES_SHARE)), count))
    text = [
        pa.array([f"{n:016x}" for n in ids]),
        pa.array(["xclick"] * count),
        pa.array(labels),
        pa.array(["1"] * count),
    ]
    shares = [pa.array(values) for values in (corners[0, 0], corners[1, 0], corners[0, 1], corners[1, 1])]
    flags = [pa.array(rng.integers(0, 2, count)) for _ in range(5)]
    clicks = [pa.array(rng.random(count).round(6)) for _ in range(8)]
    return pa.table([*text, *shares, *flags, *clicks], names=list(openimages.BOX_COLUMNS))


def pictures_of(first: int, count: int) -> pa.Table:
    """Some lines of the file of pictures."""
    ids = [f"{n:016x}" for n in range(first, first + count)]
    urls = [f"https://farm{n % 8}.pictures.example/{n % 9999}/{name}_o.jpg" for n, name in enumerate(ids)]
    plain = ["https://creativecommons.org/licenses/by/2.0/", "https://pictures.example/p/1", "A, B", 'A "boat"\nat sea']
    rows = [["train"] * count, urls, urls, *([text] * count for text in plain)]
    return pa.table(
        [ids, *rows, [1_500_000] * count, ["wHENa08V36iPYAsOa2JAdw=="] * count, urls, ["0.0"] * count],
        names=list(openimages.IMAGE_COLUMNS),
    )


def draw(folder: Path, count: int) -> None:
    """Writes the three files, unless they are there."""
    if (folder / openimages.CLASSES_FILE).exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    with (folder / openimages.BOXES_FILE).open("wb") as boxes, (folder / openimages.IMAGES_FILE).open("wb") as pictures:
        for done in range(0, count, _PIECE):
            size = min(_PIECE, count - done)
            first = int(done * PICTURES_SHARE)
            head = csv.WriteOptions(include_header=done == 0)
            csv.write_csv(boxes_of(rng, first, size), boxes, head)
            csv.write_csv(pictures_of(first, int(size * PICTURES_SHARE)), pictures, head)
    (folder / openimages.CLASSES_FILE).write_text(f"{BOAT},Boat\n/m/01,Other\n", encoding="utf-8")


def main(folder: Path, count: int) -> None:
    """Draws, runs, and prints one line."""
    draw(folder, count)
    files = {
        "boxes-csv": openimages.BOXES_FILE,
        "images-csv": openimages.IMAGES_FILE,
        "classes-csv": openimages.CLASSES_FILE,
    }
    arguments = [word for name, file in files.items() for word in (f"--{name}", str(folder / file))]
    places = ["--data-root", str(folder / "data"), "--out", str(folder / "out")]
    began = time.perf_counter()
    command = [sys.executable, "-m", "components.openimages_subset", *arguments, *places]
    subprocess.run(command, check=True, capture_output=True)
    seconds = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    size = sum((folder / file).stat().st_size for file in files.values())
    print(
        f"{platform.machine()}, {os.cpu_count()} cores: {count:,} boxes, {size / 1e9:.2f} GB, {seconds:.0f} s "
        f"({used.ru_utime + used.ru_stime:.0f} s of processor time), {used.ru_maxrss / 1024:.0f} MB at most"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else BOXES)
