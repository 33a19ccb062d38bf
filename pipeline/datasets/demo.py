"""Draws the demo: a small data set in the FashionAI contest's format with the real one's quirks, planted and counted.

Round 1 shows clothes on a figure; in round 2, and so in the questions, most clothes lie flat: as in the contest, a
model of round 1 alone meets pictures it does not know. Lengths near a bound between two classes carry an honest `m`.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.datasets import dataset, drawing, encoding, quirks
from pipeline.datasets.dataset import DataSet
from pipeline.datasets.quirks import Collection, Row
from pipeline.datasets.wardrobe import ATTRIBUTES, example
from pipeline.errors import PipelineError

IMAGES = 640
SMALLEST = 60
BASE, ROUND2 = "base", "round2"
QUIRKS = "quirks.json"
_FLAT = {BASE: 0.0, ROUND2: 0.65}
_FUZZY = {BASE: 0.06, ROUND2: 0.12}
_MISLABELLED = 0.03


def draw(out: Path, seed: int = 0, images: int = IMAGES, attributes: Sequence[str] = tuple(ATTRIBUTES)) -> DataSet:
    """Draws the demo data set; the same arguments give the same bytes.

    Args:
        out: a folder that does not exist yet, or is empty.
        seed: 0 or more.
        images: training pictures for each attribute, both rounds together; a third as many questions come on top.
        attributes: which to draw.

    Raises:
        PipelineError: fewer than 60 images, a negative seed, an attribute that cannot be drawn, or `out` is in use.
    """
    if images < SMALLEST or seed < 0:
        raise PipelineError(f"images={images}, seed={seed}: draw {SMALLEST} images or more, with a seed of 0 or more")
    unknown = sorted(set(attributes) - set(ATTRIBUTES))
    if unknown or not attributes:
        raise PipelineError(f"attributes={','.join(unknown) or 'none'} cannot be drawn; known: {', '.join(ATTRIBUTES)}")
    return dataset.whole_or_nothing(out, lambda folder: _fill(folder, seed, images, list(attributes)))


def quirk_counts(folder: Path) -> dict[str, int]:
    """How often each quirk was planted in a drawn data set."""
    counts: dict[str, int] = json.loads((folder / QUIRKS).read_text(encoding="utf-8"))["counts"]
    return counts


@dataclass
class _Artist:
    """Draws row after row; every round and attribute has its own stream of random numbers."""

    folder: Path
    seed: int
    streams: dict[tuple[str, str], np.random.Generator] = field(default_factory=dict)
    drawn: Counter[str] = field(default_factory=Counter)

    def name(self, attribute: str) -> str:
        self.drawn[attribute] += 1
        digest = hashlib.md5(f"{self.seed} {attribute} {self.drawn[attribute]}".encode(), usedforsecurity=False)
        return f"Images/{attribute}/{digest.hexdigest()}.jpg"

    def row(self, round_: str, attribute: str, test: bool = False) -> Row:
        """Draws and writes one sound picture."""
        key = [self.seed, (BASE, ROUND2).index(round_), list(ATTRIBUTES).index(attribute)]
        rng = self.streams.setdefault((round_, attribute), np.random.default_rng(key))
        look, label = example(attribute, rng.random() < _FLAT[round_], _FUZZY[round_], rng)
        height, width = _size(attribute, rng)
        row = Row(round_, test, self.name(attribute), attribute, label, look)
        target = self.folder / round_ / row.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(encoding.jpeg(drawing.draw(look, height, width, rng), int(rng.integers(82, 96))))
        return row


def _size(attribute: str, rng: np.random.Generator) -> tuple[int, int]:
    long_side, aspect = int(rng.integers(90, 161)), float(rng.uniform(*ATTRIBUTES[attribute].aspect))
    return (long_side, round(long_side * aspect)) if aspect < 1 else (round(long_side / aspect), long_side)


def _fill(folder: Path, seed: int, images: int, attributes: list[str]) -> None:
    artist = _Artist(folder, seed)
    older = images * 3 // 5
    wanted = [(BASE, False, older), (ROUND2, False, images - older), (ROUND2, True, images // 3)]
    rows = [artist.row(r, a, test) for r, test, count in wanted for a in attributes for _ in range(count)]

    def fresh(round_: str, attribute: str) -> Row:
        collection.rows.append(artist.row(round_, attribute))
        return collection.rows[-1]

    collection = Collection(folder, artist.name, fresh, rows)
    rng = np.random.default_rng([seed, 2])
    quirks.plant(collection, attributes, [BASE, ROUND2], rng)
    quirks.mislabel(collection, _MISLABELLED, rng)
    _write(collection, attributes, {"dataset": "demo", "seed": seed, "images": images}, rng)


def _write(collection: Collection, attributes: list[str], made_by: dict[str, Any], rng: np.random.Generator) -> None:
    folder = collection.folder
    order = rng.permutation(len(collection.rows))
    shuffled = [collection.rows[i] for i in order]
    for round_, extra in ((BASE, []), (ROUND2, ["0"])):
        rows = [[r.path, r.attribute, r.label, *extra] for r in shuffled if r.round == round_ and not r.test]
        dataset.write_rows(folder / round_ / "Annotations" / "label.csv", rows)
    questions = sorted((r for r in shuffled if r.test), key=lambda r: attributes.index(r.attribute))
    dataset.write_rows(folder / ROUND2 / "Tests" / "question.csv", [[r.path, r.attribute, ""] for r in questions])
    dataset.write_rows(folder / "answers.csv", [[r.path, r.attribute, r.label, "0"] for r in questions])
    _write_book(collection)
    about = [{"name": a, "classes": list(ATTRIBUTES[a].classes), "ordinal": ATTRIBUTES[a].ordinal} for a in attributes]
    dataset.write_about(folder, {"round1": BASE, "round2": ROUND2}, about, made_by)


def _write_book(collection: Collection) -> None:
    fuzzy = Counter(f"{r.round}/{r.attribute}" for r in collection.rows if "m" in r.label and not r.test)
    rows = Counter(f"{r.round}/{r.attribute}/{'test' if r.test else 'labelled'}" for r in collection.rows)
    body = {
        "counts": {quirk: len(places) for quirk, places in sorted(collection.book.items())},
        "rows": dict(sorted(rows.items())),
        "fuzzy": dict(sorted(fuzzy.items())),
        "where": {quirk: places for quirk, places in sorted(collection.book.items())},
    }
    (collection.folder / QUIRKS).write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
