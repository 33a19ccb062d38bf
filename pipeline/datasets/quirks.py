"""Plants the faults of real deliveries into a drawn data set, and keeps book of every one.

The book (`quirks.json`) is what tests and the data report are measured against. A picture takes part in one quirk at
most. Rows that a reader must refuse are extra ones, so the number of sound rows stays as asked for.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from pipeline.datasets import encoding
from pipeline.datasets.drawing import Look
from pipeline.datasets.wardrobe import ATTRIBUTES, label_string

Place = tuple[str, str]


@dataclass(frozen=True)
class Row:
    """One line of a label or question file with what was drawn for it.

    Attributes:
        round: the round's folder name.
        test: a question; its label is the answer.
        path: the picture, relative to the round's folder.
        attribute: key of ATTRIBUTES.
        label: as the file says, right or wrong.
        look: what the picture shows.
    """

    round: str
    test: bool
    path: str
    attribute: str
    label: str
    look: Look

    @property
    def place(self) -> Place:
        """Round and path: unique in a data set."""
        return self.round, self.path


@dataclass
class Collection:
    """The rows so far and the book of quirks.

    Attributes:
        folder: the data set's folder.
        names: endless new paths for an attribute, given its name.
        fresh: draws and writes one more picture: (round, attribute) to its row.
        rows: every row, in the order of drawing.
        book: quirk name to the places (for duplicates: groups of places) it was planted at.
    """

    folder: Path
    names: Callable[[str], str]
    fresh: Callable[[str, str], Row]
    rows: list[Row]
    book: dict[str, list[list[Place]]] = field(default_factory=dict)
    used: set[Place] = field(default_factory=set)

    def note(self, quirk: str, *places: Place) -> None:
        """Writes one occurrence into the book."""
        self.book.setdefault(quirk, []).append(list(places))
        self.used.update(places)

    def take(self, round_: str, attribute: str, test: bool = False) -> Row:
        """The next sound row that no quirk uses, with a plain label."""
        for row in self.rows:
            plain = "m" not in row.label and row.place not in self.used
            if plain and (row.round, row.attribute, row.test) == (round_, attribute, test):
                return row
        raise ValueError(f"no sound row left in {round_} for {attribute}; draw more pictures")

    def file(self, row: Row) -> Path:
        """The picture's file."""
        return self.folder / row.round / row.path

    def add_copy(self, row: Row, encoded: bytes, **changes: object) -> Row:
        """A new row for the same picture, under a new name, with some fields changed."""
        copy = replace(row, **changes)  # type: ignore[arg-type]
        copy = replace(copy, path=self.names(copy.attribute))
        self.file(copy).parent.mkdir(parents=True, exist_ok=True)
        self.file(copy).write_bytes(encoded)
        self.rows.append(copy)
        return copy

    def relabel(self, row: Row, label: str) -> None:
        """Changes what the file says of a row."""
        self.rows[self.rows.index(row)] = replace(row, label=label)


def plant(collection: Collection, attributes: list[str], rounds: list[str], rng: np.random.Generator) -> None:
    """Plants every quirk; which pictures are hit depends on `rng` only where classes are drawn.

    Args:
        collection: the sound data set, changed in place, on disk too.
        attributes: its attributes.
        rounds: folder names, oldest first; the last holds the questions.
        rng: for wrong labels.
    """
    for attribute in attributes:
        _duplicates(collection, attribute, rounds)
        _conflicts(collection, attribute, rounds[0], rng)
    _across_attributes(collection, attributes, rounds[0])
    turns = _round_robin(attributes)
    for quirk, encode in encoding.ODD.items():
        for round_ in rounds:
            row = collection.take(round_, next(turns))
            collection.file(row).write_bytes(encode(encoding.pixels_of(collection.file(row).read_bytes())))
            collection.note(quirk, row.place)
    _broken_pictures(collection, turns, rounds)
    _broken_labels(collection, turns, rounds[0])


def _round_robin(names: list[str]) -> Iterator[str]:
    while True:
        yield from names


def _duplicates(collection: Collection, attribute: str, rounds: list[str]) -> None:
    first, last = rounds[0], rounds[-1]
    same: list[tuple[str, Callable[[bytes], bytes]]] = [("exact_duplicates", bytes)] * 2
    same += [("exact_duplicates", encoding.commented)]
    near = [("near_duplicates", encoding.recompressed), ("near_duplicates", encoding.resized)]
    for quirk, change in same + near:
        row = collection.take(first, attribute)
        collection.note(quirk, row.place, collection.add_copy(row, change(collection.file(row).read_bytes())).place)
    for _ in range(2):
        row = collection.take(first, attribute)
        copy = collection.add_copy(row, collection.file(row).read_bytes(), round=last)
        collection.note("across_rounds", row.place, copy.place)
        row = collection.take(last, attribute, test=True)
        copy = collection.add_copy(row, collection.file(row).read_bytes(), test=False)
        collection.note("train_test_duplicates", row.place, copy.place)


def _conflicts(collection: Collection, attribute: str, round_: str, rng: np.random.Generator) -> None:
    for _ in range(2):
        row = _take_visible(collection, round_, attribute)
        other, count = _beside(attribute, row), len(row.label)
        encoded = collection.file(row).read_bytes()
        doubtful = collection.add_copy(row, encoded, label=label_string(count, other, [row.label.index("y")]))
        collection.note("fuzzy_conflicts", row.place, doubtful.place)
        row = _take_visible(collection, round_, attribute)
        encoded = collection.file(row).read_bytes()
        wrong = collection.add_copy(row, encoded, label=_wrong(row, rng))
        collection.note("real_conflicts", row.place, wrong.place)


def _take_visible(collection: Collection, round_: str, attribute: str) -> Row:
    """A row whose class is not Invisible, so that it has a neighbour in the sense of its attribute."""
    skipped: list[Place] = []
    row = collection.take(round_, attribute)
    while row.label[0] == "y":
        skipped.append(row.place)
        collection.used.add(row.place)
        row = collection.take(round_, attribute)
    collection.used.difference_update(skipped)
    return row


def _beside(attribute: str, row: Row) -> int:
    index = row.label.index("y")
    if not ATTRIBUTES[attribute].ordinal:
        return 0
    return index - 1 if index > 1 else index + 1


def _wrong(row: Row, rng: np.random.Generator) -> str:
    """Another class, one that occurs: nobody mistakes a sleeve for one that is never seen."""
    weights = ATTRIBUTES[row.attribute].weights
    others = [i for i, letter in enumerate(row.label) if letter == "n" and weights[i] > 0]
    return label_string(len(row.label), int(rng.choice(others)))


def _across_attributes(collection: Collection, attributes: list[str], round_: str) -> None:
    """A picture of the sleeve shows collar and skirt as well: it is delivered twice, each time with a true label."""
    source = "sleeve_length_labels"
    for other in (a for a in attributes if source in attributes and a != source):
        row = collection.take(round_, source)
        label = label_string(len(ATTRIBUTES[other].classes), ATTRIBUTES[other].shown(row.look))
        copy = collection.add_copy(row, collection.file(row).read_bytes(), attribute=other, label=label)
        collection.note("across_attributes", row.place, copy.place)


def _broken_pictures(collection: Collection, turns: Iterator[str], rounds: list[str]) -> None:
    for quirk, encode in encoding.BROKEN.items():
        for round_ in rounds:
            row = collection.fresh(round_, next(turns))
            collection.file(row).write_bytes(encode(encoding.pixels_of(collection.file(row).read_bytes())))
            collection.note(quirk, row.place)
    row = collection.fresh(rounds[0], next(turns))
    collection.file(row).unlink()
    collection.note("missing_file", row.place)
    row = collection.take(rounds[-1], next(turns), test=True)
    collection.file(row).write_bytes(
        encoding.BROKEN["truncated"](encoding.pixels_of(collection.file(row).read_bytes()))
    )
    collection.note("truncated_question", row.place)


def _broken_labels(collection: Collection, turns: Iterator[str], round_: str) -> None:
    faults: dict[str, Callable[[str], str]] = {
        "wrong_length_label": lambda label: label + "n",
        "two_y": lambda label: label.replace("n", "y", 1),
        "no_y": lambda label: label.replace("y", "n"),
    }
    for quirk, fault in faults.items():
        row = collection.fresh(round_, next(turns))
        collection.relabel(row, fault(row.label))
        collection.note(quirk, row.place)


def mislabel(collection: Collection, share: float, rng: np.random.Generator) -> None:
    """Gives `share` of the sound training rows a wrong label, as tired annotators do."""
    for row in list(collection.rows):
        if not row.test and row.place not in collection.used and rng.random() < share:
            collection.relabel(row, _wrong(row, rng))
            collection.note("mislabelled", row.place)
