"""Draws a folder-per-class data set: collars by their design, in `train/` and `val/`, and questions in `test/`."""

from pathlib import Path

import numpy as np

from pipeline.datasets import dataset, drawing, encoding
from pipeline.datasets.wardrobe import ATTRIBUTES, example
from pipeline.errors import PipelineError

IMAGES = 240
SMALLEST = 40
_ATTRIBUTE = "collar_design_labels"
_HELD_OUT, _ASKED = 4, 8  # every so many pictures one of val, and one question on top
_SIDE_PX = (90, 130)


def draw(out: Path, seed: int = 0, images: int = IMAGES) -> Path:
    """Draws the data set; the same arguments give the same bytes.

    Args:
        out: a folder that does not exist yet, or is empty.
        seed: 0 or more.
        images: labelled pictures, a quarter of them in `val/`; an eighth as many questions come on top.

    Returns:
        `out`, with `{train,val}/{class}/*.jpg` and `test/*.jpg`.

    Raises:
        PipelineError: fewer than 40 images, a negative seed, or `out` is in use.
    """
    if images < SMALLEST or seed < 0:
        raise PipelineError(f"images={images}, seed={seed}: draw {SMALLEST} images or more, with a seed of 0 or more")
    dataset.write_whole(out, lambda folder: _fill(folder, seed, images))
    return out


def _fill(folder: Path, seed: int, images: int) -> None:
    rng = np.random.default_rng([seed, 4])
    for number in range(images + images // _ASKED):
        look, label = example(_ATTRIBUTE, flat=bool(rng.integers(2)), fuzzy_share=0.0, rng=rng)
        height, width = (int(side) for side in rng.integers(*_SIDE_PX, 2))
        kind = ATTRIBUTES[_ATTRIBUTE].classes[label.index("y")].lower().replace(" ", "_")
        split = "val" if number % _HELD_OUT == 0 else "train"
        place = folder / split / kind if number < images else folder / "test"
        place.mkdir(parents=True, exist_ok=True)
        pixels = drawing.draw(look, height, width, rng)
        (place / f"{number:04d}.jpg").write_bytes(encoding.jpeg(pixels, 90))
