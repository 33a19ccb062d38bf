"""Predictions of one model for one attribute: reference of kind `predictions`, file `predictions.parquet`.

One row per picture and view, plus the view `mean` (the weighted mean over the views). Rows are ordered by split
(valid, pool, test), then as the manifest orders the pictures, then by view. Probabilities and logits are float64,
unrounded.
A checkpoint's `validation.parquet` has the same columns with split `valid` and view `plain`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from components.artifacts import reference
from components.errors import DataError

FILE = "predictions.parquet"
SPLITS = ("valid", "pool", "test")
MEAN = "mean"
SCHEMA = pa.schema(
    [
        ("image_id", pa.string()),
        ("split", pa.string()),
        ("view", pa.string()),
        ("label", pa.string()),
        ("group", pa.int64()),
        ("fold", pa.int8()),
        ("round", pa.int8()),
        ("probability", pa.list_(pa.float64())),
        ("logit", pa.list_(pa.float64())),
    ]
)
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Pictures:
    """What is known about n pictures besides their predictions.

    Attributes:
        image_id: n names.
        label: n strings of y, m, n; "" where unknown.
        group: (n,) int64, number of the duplicate component.
        fold: (n,) int8, -1 where not labelled.
        round: (n,) int8, from 1.
    """

    image_id: Sequence[str]
    label: Sequence[str]
    group: npt.NDArray[np.int64]
    fold: npt.NDArray[np.int8]
    round: npt.NDArray[np.int8]


def frame_of(
    split: str, pictures: Pictures, views: Sequence[str], probabilities: Floats, logits: Floats
) -> pd.DataFrame:
    """Makes the rows of one split.

    Args:
        split: `valid`, `pool` or `test`.
        pictures: n pictures, in the order of the rows to come.
        views: v names.
        probabilities: (v, n, K) float64.
        logits: (v, n, K) float64.

    Returns:
        n * v rows with SCHEMA's columns, all views of a picture together.
    """
    n, v = len(pictures.image_id), len(views)
    shape = (v, n) + probabilities.shape[2:]
    if split not in SPLITS or probabilities.shape != shape or logits.shape != shape:
        raise DataError(f"split {split!r}, {probabilities.shape} and {logits.shape}; expected {SPLITS} and {shape}")
    columns: dict[str, Any] = {
        "image_id": np.repeat(np.asarray(pictures.image_id, dtype=object), v),
        "split": split,
        "view": list(views) * n,
        "label": np.repeat(np.asarray(pictures.label, dtype=object), v),
        "group": np.repeat(np.asarray(pictures.group, dtype=np.int64), v),
        "fold": np.repeat(np.asarray(pictures.fold, dtype=np.int8), v),
        "round": np.repeat(np.asarray(pictures.round, dtype=np.int8), v),
        "probability": list(probabilities.swapaxes(0, 1).reshape(n * v, -1)) if n else [],
        "logit": list(logits.swapaxes(0, 1).reshape(n * v, -1)) if n else [],
    }
    return pd.DataFrame(columns, index=range(n * v), columns=SCHEMA.names)


def write(frame: pd.DataFrame, path: Path) -> None:
    """Writes predictions, the same bytes for the same rows. Raises DataError for a number that is not finite."""
    for column in ("probability", "logit"):
        flat = np.concatenate(list(frame[column])) if len(frame) else np.empty(0)
        if not np.isfinite(flat).all():
            raise DataError(f"predictions hold a {column} that is not a finite number; look at the model's training")
    arrays = [pa.array(frame[f.name].tolist(), type=f.type) for f in SCHEMA]
    pq.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA), path, compression="zstd")


def read(uri: str) -> pd.DataFrame:
    """All rows of a `predictions` reference. Raises DataError for anything else."""
    reference.read_index(uri, "predictions")
    return read_file(reference.open_file(uri, FILE))


def read_file(path: Path) -> pd.DataFrame:
    """All rows of one file with SCHEMA's columns, for instance a checkpoint's `validation.parquet`."""
    table = pq.read_table(path)
    missing = [name for name in SCHEMA.names if name not in table.column_names]
    if missing:
        raise DataError(f"{path.name} has no column {missing[0]}; expected {', '.join(SCHEMA.names)}")
    frame: pd.DataFrame = table.select(SCHEMA.names).to_pandas()
    return frame


def select(frame: pd.DataFrame, split: str, view: str = MEAN) -> pd.DataFrame:
    """The rows of one split and view, one per picture, in order.

    Raises:
        DataError: the split has pictures, but none with this view.
    """
    of_split = frame[frame["split"] == split]
    chosen = of_split[of_split["view"] == view]
    if len(of_split) and not len(chosen):
        known = ", ".join(map(str, of_split["view"].unique()))
        raise DataError(f"no predictions of view {view!r}; expected one of {known}")
    return chosen.reset_index(drop=True)


def stacked(rows: pd.DataFrame, column: str = "probability") -> Floats:
    """(n, K) float64 of a list column; (0, 0) without rows."""
    return np.stack(list(rows[column])).astype(np.float64) if len(rows) else np.empty((0, 0))


def matrix(frame: pd.DataFrame, split: str, view: str = MEAN) -> tuple[list[str], Floats, list[str]]:
    """Predictions of one split and view.

    Returns:
        n image ids, (n, K) float64 probabilities, n labels ("" where unknown).
    """
    rows = select(frame, split, view)
    return list(rows["image_id"]), stacked(rows), list(rows["label"])
