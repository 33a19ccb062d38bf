"""The rows of the manifest as one table, and the table of duplicate pairs."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import pandas as pd

from components.ingest.pictures import Pictures
from components.ingest.rows import Round, Row
from components.vision.duplicates import Duplicates


def build(rows: list[Row], rounds: list[Round], pictures: Pictures, found: Duplicates) -> pd.DataFrame:
    """One line per row, in reading order, with what its picture showed.

    Returns:
        The manifest's columns (fold still -1), and besides: `picture`, the picture's number, and `first_copy`, the
        number of the first picture with equal pixels, and `held_out`.
    """
    numbers = np.array([pictures.number[row.round, row.path] for row in rows], np.int64)
    columns = {name: [getattr(row, name) for row in rows] for name in ("attribute", "round", "kind", "path", "label")}
    return pd.DataFrame(
        {"image_id": _unique_ids(rows, rounds)}
        | columns
        | {
            "source_label": columns["label"],
            "weight": np.float32(1.0),
            "pixels": pictures.pixels[numbers],
            "phash": pictures.phash[numbers],
            "group": found.group[numbers],
            "fold": np.int8(-1),
            "keep": True,
            "reason": pictures.reason[numbers],
            "width": pictures.width[numbers],
            "height": pictures.height[numbers],
            "picture": numbers,
            "first_copy": found.first[numbers],
            "held_out": [row.held_out for row in rows],
        }
    )


def _unique_ids(rows: list[Row], rounds: list[Round]) -> list[str]:
    """A name that an earlier row gave to another picture gets its round's name before it; questions keep theirs."""
    taken: dict[tuple[str, str], tuple[int, str]] = {}
    ids = []
    for row in rows:
        owner = taken.setdefault((row.attribute, row.image_id), (row.round, row.path)) if row.kind != "test" else None
        is_free = owner is None or owner == (row.round, row.path)
        ids.append(row.image_id if is_free else f"{rounds[row.round - 1].name}/{row.path}")
    return ids


def pairs(table: pd.DataFrame, found: Duplicates) -> pd.DataFrame:
    """The duplicate pairs, exact before near: the columns of `manifest.DUPLICATES_SCHEMA`.

    Labels are compared as they were read, before merging.
    """
    concerned = table[table.picture.isin(np.concatenate([found.exact, found.near]).ravel())]
    rows_of: dict[int, list[dict[str, str]]] = defaultdict(list)
    for record in concerned[["picture", "image_id", "attribute", "round", "kind", "source_label"]].to_dict("records"):
        rows_of[record["picture"]].append(record)
    lines = []
    for kind, first, second, distance in _all(found):
        a, b = rows_of[first], rows_of[second]
        lines.append(
            {
                "image_a": a[0]["image_id"],
                "image_b": b[0]["image_id"],
                "round_a": a[0]["round"],
                "round_b": b[0]["round"],
                "kind": kind,
                "distance": distance,
                "same_label": _same_label(a, b),
                "across": "+".join(_across(a, b)),
            }
        )
    columns = ["image_a", "image_b", "round_a", "round_b", "kind", "distance", "same_label", "across"]
    return pd.DataFrame(lines, columns=columns)


def _all(found: Duplicates) -> Iterator[tuple[str, int, int, int]]:
    for first, second in found.exact.tolist():
        yield "exact", first, second, 0
    for (first, second), distance in zip(found.near.tolist(), found.distance.tolist(), strict=True):
        yield "near", first, second, distance


def _same_label(a: list[dict[str, str]], b: list[dict[str, str]]) -> str:
    first, second = ({row["attribute"]: row["source_label"] for row in rows if row["source_label"]} for rows in (a, b))
    shared = first.keys() & second.keys()
    if not shared:
        return ""
    return "yes" if all(first[name] == second[name] for name in shared) else "no"


def _across(a: list[dict[str, str]], b: list[dict[str, str]]) -> Iterator[str]:
    if {row["attribute"] for row in a} != {row["attribute"] for row in b}:
        yield "attribute"
    if a[0]["round"] != b[0]["round"]:
        yield "round"
    if {row["kind"] == "test" for row in a} != {row["kind"] == "test" for row in b}:
        yield "test"
