"""All pictures of a run with what the ensemble says about each: columns, so that ten thousand take milliseconds.

References never change, so what was read and sorted once is kept for the next page.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.artifacts import reference
from components.vision import metrics
from pipeline.console import traces
from pipeline.console.changed_verdicts import in_words
from pipeline.server.domain import pictures as domain
from pipeline.server.domain.pictures import Choice, Tile

VERDICTS = {metrics.RIGHT: domain.RIGHT, metrics.WRONG: domain.WRONG, metrics.FUZZY: domain.FUZZY}
MEAN, STUDENT = "mean", "student"
_MOST_ATTRIBUTES = 8  # a picture may have a row for each
_NOBODY = 9  # no verdict
_KINDS = {"labelled": domain.LABELLED, "pool": domain.UNLABELLED, "test": domain.QUESTION}
_RANK = {metrics.WRONG: 0, metrics.FUZZY: 1, metrics.RIGHT: 2}
Table = Any  # pyarrow has no types
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Source:
    """What an album is made of: references. Equal sources are equal albums."""

    manifest: str
    ensembles: tuple[str, ...]
    predictions: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Album:
    """Columns over the rows of a manifest, in its order.

    Attributes:
        rows: the manifest.
        kind: of each row, one of the domain's KINDS.
        answer: the ensemble's class, -1 where it says nothing.
        confidence: its probability, NaN where it says nothing.
        verdict: RIGHT, WRONG, FUZZY as the metric has them; 9 where nobody can say.
        classes: of every attribute.
    """

    rows: Table
    kind: npt.NDArray[np.str_]
    answer: Integers
    confidence: npt.NDArray[np.float64]
    verdict: Integers
    classes: dict[str, tuple[str, ...]]


@lru_cache(maxsize=3)
def manifest_table(manifest: str) -> Table:
    """The whole manifest. Raises DataError where it is gone or in a bucket."""
    traces.refuse_bucket(manifest)
    return pq.read_table(reference.open_file(manifest, "manifest.parquet")).combine_chunks()


@lru_cache(maxsize=4)
def of(source: Source) -> Album:
    """The album of a run; an ensemble that is gone says nothing. Raises DataError where the manifest is gone."""
    rows = manifest_table(source.manifest)
    size = len(rows)
    album = Album(
        rows,
        _kinds(rows),
        np.full(size, -1, np.int64),
        np.full(size, np.nan),
        np.full(size, _NOBODY, np.int64),
        {
            name: tuple(about["classes"])
            for name, about in traces.content(source.manifest, "manifests")["attributes"].items()
        },
    )
    for where in source.ensembles:
        with contextlib.suppress(*traces.UNREADABLE):
            _judge(album, where)
    return album


@lru_cache(maxsize=32)
def chosen(source: Source, choice: Choice) -> Integers:
    """Places in the manifest of the pictures that a choice lets through, in its order."""
    album = of(source)
    keep = np.ones(len(album.rows), bool)
    if choice.attribute:
        keep &= _equal(album.rows["attribute"], choice.attribute)
    if choice.round:
        keep &= _equal(album.rows["round"], choice.round)
    if choice.kind:
        keep &= album.kind == choice.kind
    if choice.text:
        keep &= pc.match_substring(album.rows["image_id"], choice.text, ignore_case=True).to_numpy(zero_copy_only=False)
    if choice.order == domain.WRONG_FIRST:
        return _wrong_first(album, np.flatnonzero(keep & (album.verdict != _NOBODY)))
    if choice.order == domain.UNSURE_FIRST:
        places = np.flatnonzero(keep & ~np.isnan(album.confidence))
        return places[np.argsort(album.confidence[places], kind="stable")]
    if choice.order == domain.CHANGED_ONLY:
        keep &= changed(source)
    return np.flatnonzero(keep)


def tiles(source: Source, places: Integers) -> list[Tile]:
    """The pictures at some places."""
    album = of(source)
    found = album.rows.select(["image_id", "attribute", "round", "label"]).take(pa.array(places)).to_pylist()
    return [_tile(album, int(place), row) for place, row in zip(places, found, strict=True)]


@lru_cache(maxsize=4)
def changed(source: Source) -> npt.NDArray[np.bool_]:
    """Which rows the students, who learnt from pseudo-labels, answer otherwise than their teachers."""
    album = of(source)
    teachers = _Sum(album)
    students = _Sum(album)
    for where in source.predictions:
        with contextlib.suppress(*traces.UNREADABLE):
            about = traces.content(where, "predictions")
            (students if about["phase"] == STUDENT else teachers).add(where, str(about["attribute"]))
    both = (teachers.answer >= 0) & (students.answer >= 0)
    return np.asarray(both & (teachers.answer != students.answer))


def neighbours(source: Source, choice: Choice, image_id: str) -> tuple[str, str]:
    """The names before and after a picture in the order of a choice; empty at the ends, or where it isn't in it."""
    names = of(source).rows["image_id"].take(pa.array(chosen(source, choice)))
    at = pc.index(names, image_id).as_py()
    if at < 0:
        return "", ""
    last = at
    while last + 1 < len(names) and names[last + 1].as_py() == image_id:  # one row for each attribute
        last += 1
    return names[at - 1].as_py() if at else "", names[last + 1].as_py() if last + 1 < len(names) else ""


def named(manifest: str, text: str, limit: int) -> list[dict[str, Any]]:
    """The first rows whose picture's name contains a text."""
    rows = manifest_table(manifest)
    found = rows.filter(pc.match_substring(rows["image_id"], text, ignore_case=True)).slice(0, limit * _MOST_ATTRIBUTES)
    listed = found.select(["image_id", "attribute", "round", "kind", "keep"]).to_pylist()
    return [row | {"kind": _KINDS.get(row["kind"], row["kind"]) if row["keep"] else domain.LEFT_OUT} for row in listed]


def knows(manifest: str, image_id: str) -> bool:
    """Whether a manifest, or its list of refused rows, names a picture."""
    if pc.index(manifest_table(manifest)["image_id"], image_id).as_py() >= 0:
        return True
    rejected = pq.read_table(reference.open_file(manifest, "rejected.parquet"), columns=["image_id"])
    return bool(pc.index(rejected["image_id"], image_id).as_py() >= 0)


def attributes(source: Source) -> list[str]:
    """Of the data, in the manifest's order."""
    return list(dict.fromkeys(manifest_table(source.manifest)["attribute"].unique().to_pylist()))


class _Sum:
    """Probabilities of several models added up; `answer` is the class with the largest sum, -1 where none spoke."""

    def __init__(self, album: Album) -> None:
        self._album = album
        widest = max((len(names) for names in album.classes.values()), default=1)
        self._total = np.zeros((len(album.rows), widest))

    def add(self, where: str, attribute: str) -> None:
        path = reference.open_file(where, "predictions.parquet")
        table = pq.read_table(path, columns=["image_id", "probability"], filters=[("view", "==", MEAN)])
        values = matrix(table["probability"])
        places, at = _joined(self._album.rows, attribute, table["image_id"])
        self._total[places, : values.shape[1]] += values[at]

    @property
    def answer(self) -> Integers:
        return np.where(self._total.sum(axis=1) > 0, self._total.argmax(axis=1), -1)


def matrix(column: Table) -> npt.NDArray[np.float64]:
    """(n, K) of a list column whose lists are equally long."""
    whole = column.combine_chunks()
    flat = np.asarray(whole.flatten().to_numpy(zero_copy_only=False), np.float64)
    return flat.reshape(len(whole), -1) if len(whole) else np.empty((0, 0))


def _judge(album: Album, where: str) -> None:
    about = traces.content(where, "ensembles")
    attribute = str(about["attribute"])
    if about.get("task") == "regression":
        return  # a number is no class, and nothing about it is right or wrong
    table = pq.read_table(reference.open_file(where, "ensemble.parquet"), columns=["image_id", "label", "probability"])
    values = matrix(table["probability"])
    places, at = _joined(album.rows, attribute, table["image_id"])
    if not len(places):
        return
    album.answer[places] = values[at].argmax(axis=1)
    album.confidence[places] = values[at].max(axis=1)
    labels = np.asarray(table["label"].to_pylist(), object)[at]
    known = np.flatnonzero(labels != "")
    if len(known):
        album.verdict[places[known]] = metrics.judged(values[at[known]], list(labels[known]))[1]


def _joined(rows: Table, attribute: str, ids: Table) -> tuple[Integers, Integers]:
    """Places in the manifest, and in a table of pictures, that are the same picture and attribute."""
    places = np.flatnonzero(_equal(rows["attribute"], attribute))
    found = pc.index_in(rows["image_id"].take(pa.array(places)), value_set=ids.combine_chunks())
    at = found.fill_null(-1).to_numpy().astype(np.int64)
    return places[at >= 0], at[at >= 0]


def _wrong_first(album: Album, places: Integers) -> Integers:
    rank = np.vectorize(_RANK.get, otypes=[np.int64])(album.verdict[places]) if len(places) else places
    return places[np.lexsort((-album.confidence[places], rank))]


def _kinds(rows: Table) -> npt.NDArray[np.str_]:
    if not len(rows):
        return np.empty(0, "U16")
    coded = rows["kind"].combine_chunks().dictionary_encode()
    names = np.asarray([_KINDS.get(name, name) for name in coded.dictionary.to_pylist()])
    kept = rows["keep"].to_numpy()
    return np.where(kept.astype(bool), names[coded.indices.to_numpy()], domain.LEFT_OUT)


def _equal(column: Table, value: Any) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.equal(column, pa.scalar(value, column.type)).to_numpy(), bool)


def _tile(album: Album, place: int, row: dict[str, Any]) -> Tile:
    classes = album.classes.get(row["attribute"], ())
    answer = int(album.answer[place])
    return Tile(
        image_id=row["image_id"],
        attribute=row["attribute"],
        round=row["round"],
        kind=str(album.kind[place]),
        label=words(row["label"], classes),
        answer=classes[answer] if 0 <= answer < len(classes) else "",
        confidence=float(album.confidence[place]) if answer >= 0 else None,
        verdict=VERDICTS.get(int(album.verdict[place]), ""),
    )


def words(letters: str, classes: Sequence[str]) -> str:
    """A label as class names, the fuzzy ones in brackets; the letters where they do not fit the classes."""
    return in_words(letters, tuple(classes)) if len(letters) == len(classes) else letters
