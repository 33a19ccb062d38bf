"""The manifest: one row for every picture and attribute, made once by ingest and carried forward by everybody else.

Three Parquet files under one reference of kind `manifests`: the manifest itself, the rows that were refused, and the
pairs of pictures that show the same thing.
"""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from components.artifacts import reference as references

KIND = "manifests"
FILE, REJECTED_FILE, DUPLICATES_FILE = "manifest.parquet", "rejected.parquet", "duplicates.parquet"


def _schema(columns: Iterable[tuple[str, pa.DataType]]) -> pa.Schema:
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns])


SCHEMA = _schema(
    [
        ("image_id", pa.string()),
        ("attribute", pa.string()),
        ("round", pa.int8()),
        ("kind", pa.string()),
        ("path", pa.string()),
        ("label", pa.string()),
        ("source_label", pa.string()),
        ("weight", pa.float32()),
        ("pixels", pa.string()),
        ("phash", pa.uint64()),
        ("group", pa.int64()),
        ("fold", pa.int8()),
        ("keep", pa.bool_()),
        ("reason", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
    ]
)
REJECTED_SCHEMA = _schema(
    [
        ("file", pa.string()),
        ("line", pa.int64()),
        ("image_id", pa.string()),
        ("attribute", pa.string()),
        ("reason", pa.string()),
    ]
)
DUPLICATES_SCHEMA = _schema(
    [
        ("image_a", pa.string()),
        ("image_b", pa.string()),
        ("round_a", pa.int8()),
        ("round_b", pa.int8()),
        ("kind", pa.string()),
        ("distance", pa.int8()),
        ("same_label", pa.string()),
        ("across", pa.string()),
    ]
)


def write(frame: pd.DataFrame, path: Path, schema: pa.Schema = SCHEMA) -> None:
    """Writes one of the three tables. Equal frames give equal bytes: no pandas metadata, fixed order of columns.

    Args:
        frame: at least the columns of the schema; others are left out.
        path: the local file to write.
        schema: `SCHEMA` (default), `REJECTED_SCHEMA` or `DUPLICATES_SCHEMA`.
    """
    table = pa.Table.from_pandas(frame[schema.names], schema=schema, preserve_index=False)
    pq.write_table(table.replace_schema_metadata(None), path, compression="zstd")


def read(reference: str) -> pd.DataFrame:
    """The manifest, in the order ingest wrote it; for rows of kind `test` that is question order.

    Returns:
        image_id: the CSV's own path, or the path relative to the round's folder.
        attribute, round (1-based int8), kind (`labelled|pool|test`), path (relative to the round's uri).
        label: one of y, m or n for every class, after merging; empty where unlabelled. source_label: before merging.
        weight: float32. pixels: SHA-256 of the upright RGB pixels, "" where the picture cannot be decoded.
        phash: uint64 perceptual hash. group: int64, equal for pictures that show the same, over the whole data set.
        fold: int8, -1 where unlabelled. keep, reason: whether the row is used, and what is to be said about it.
        width, height: int32 pixels, upright; 0 where the picture cannot be decoded.

    Raises:
        DataError: no such reference.
    """
    return _read(reference, FILE)


def read_rejected(reference: str) -> pd.DataFrame:
    """The refused rows: file, line (1-based, 0 where the file has no lines), image_id, attribute, reason."""
    return _read(reference, REJECTED_FILE)


def read_duplicates(reference: str) -> pd.DataFrame:
    """Pairs of duplicate pictures.

    Returns:
        image_a, image_b, round_a, round_b; kind `exact|near`; distance: bits between the perceptual hashes;
        same_label: `yes|no`, or "" where the two share no labelled attribute;
        across: those of `attribute`, `round`, `test` in which the two differ, joined with `+`.
    """
    return _read(reference, DUPLICATES_FILE)


def _read(reference: str, name: str) -> pd.DataFrame:
    return pq.read_table(references.open_file(reference, name)).to_pandas()
