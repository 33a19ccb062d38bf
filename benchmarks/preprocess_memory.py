"""Peak memory of preprocess for many pictures. Usage: python benchmarks/preprocess_memory.py FOLDER [PICTURES]

Draws 400 JPEG files of 400x500 pixels, lists them over and over in a manifest, and runs the step by hand at 299 px with
four views. 65,504 pictures write about 12 GB into FOLDER.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from components.artifacts import manifest, reference

FILES = 400
ATTRIBUTE = "skirt_length_labels"
CLASSES = ["Invisible", "Short", "Knee", "Midi", "Ankle", "Floor"]


def draw(folder: Path) -> None:
    """Smooth random pictures with a little noise: about as hard to decode as photographs of that size."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(FILES):
        smooth = cv2.resize(rng.integers(0, 256, (25, 20, 3), dtype=np.uint8), (400, 500))
        noise = rng.integers(0, 12, smooth.shape, dtype=np.uint8)
        cv2.imwrite(str(folder / f"{number}.jpg"), cv2.add(smooth, noise), [cv2.IMWRITE_JPEG_QUALITY, 90])


def list_pictures(data_root: Path, pictures: int) -> str:
    """Writes the manifest and returns its reference."""
    numbers = np.arange(pictures)
    same = {"attribute": ATTRIBUTE, "round": 1, "kind": "labelled", "label": "nynnnn", "source_label": "nynnnn"}
    same |= {"weight": 1.0, "pixels": "", "keep": True, "reason": "", "width": 400, "height": 500}
    each = {"image_id": [f"{n}" for n in numbers], "path": [f"{n % FILES}.jpg" for n in numbers]}
    each |= {"phash": numbers.astype(np.uint64), "group": numbers, "fold": numbers % 5}
    with reference.draft(str(data_root), manifest.KIND) as draft:
        manifest.write(pd.DataFrame(each).assign(**same), draft.folder / manifest.FILE)
        attributes = {ATTRIBUTE: {"classes": CLASSES, "ordinal": True, "counts": {}}}
        return draft.commit({"attributes": attributes, "rounds": [], "folds": 5, "seed": 0}, {})


def main(folder: Path, pictures: int) -> None:
    """Prints pictures, peak resident memory, wall and CPU seconds."""
    draw(folder / "round1")
    knobs = {
        "manifest": list_pictures(folder / "data", pictures),
        "rounds": json.dumps([{"name": "round1", "uri": str(folder / "round1")}]),
        "attribute": json.dumps({"name": ATTRIBUTE}),
        "data-root": str(folder / "data"),
        "size-px": "299",
        "views": "plain,flip,equalise,stretch",
        "workers": "2",
        "out": str(folder / "out"),
    }
    flags = [word for name, value in knobs.items() for word in (f"--{name}", value)]
    start = time.perf_counter()
    step = subprocess.Popen([sys.executable, "-m", "components.preprocess", *flags], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(step.pid, 0)
    wall, cpu = time.perf_counter() - start, usage.ru_utime + usage.ru_stime
    print(f"{pictures:,} pictures, status {status}: peak {usage.ru_maxrss // 1024} MB, {wall:.0f} s, {cpu:.0f} CPU s")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), int(sys.argv[2]) if len(sys.argv) > 2 else 65_504)
