"""Ensembles: reference of kind `ensembles`, one for each attribute.

`ensemble.parquet` holds one row for every validation and test picture with the averaged probabilities, unrounded;
`stages.parquet` holds the gain table: what every stage is worth, and its paired difference to the one before.
"""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from components.artifacts import reference

KIND = "ensembles"
FILE, STAGES_FILE = "ensemble.parquet", "stages.parquet"
SCHEMA = pa.schema(
    [
        ("image_id", pa.string()),
        ("split", pa.string()),
        ("label", pa.string()),
        ("group", pa.int64()),
        ("probability", pa.list_(pa.float64())),
    ]
)
STAGES_SCHEMA = pa.schema(
    [
        ("attribute", pa.string()),
        ("stage", pa.string()),
        ("model", pa.string()),
        ("ap", pa.float64()),
        ("basic_precision", pa.float64()),
        ("accuracy", pa.float64()),
        ("rows", pa.int64()),
        ("against", pa.string()),
        ("difference", pa.float64()),
        ("ci_low", pa.float64()),
        ("ci_high", pa.float64()),
        ("p_noise", pa.string()),
        ("accuracy_difference", pa.float64()),
        ("accuracy_low", pa.float64()),
        ("accuracy_high", pa.float64()),
        ("accuracy_verdict", pa.string()),
    ]
)


def read(uri: str) -> pd.DataFrame:
    """The rows of `ensemble.parquet`: image_id, split (`valid|test`), label, group, probability (K float64)."""
    return _table(uri, FILE)


def read_stages(uri: str) -> pd.DataFrame:
    """The rows of `stages.parquet`; undefined numbers are null. `p_noise` is the verdict: `gain|noise|loss|unknown`."""
    return _table(uri, STAGES_FILE)


def _table(uri: str, name: str) -> pd.DataFrame:
    frame: pd.DataFrame = pq.read_table(reference.open_file(uri, name)).to_pandas()
    return frame
