"""Pseudo-labels: reference of kind `pseudo`, one row for every picture that the teachers labelled."""

import pyarrow as pa
import pyarrow.parquet as pq

from components.artifacts import reference

KIND = "pseudo"
FILE = "pseudo.parquet"
SCHEMA = pa.schema(
    [
        ("image_id", pa.string()),
        ("split", pa.string()),
        ("target", pa.list_(pa.float64())),
        ("weight", pa.float32()),
        ("confidence", pa.float64()),
        ("predicted", pa.int16()),
    ]
)


def read(uri: str) -> pa.Table:
    """The rows: image_id, split (`pool|test`), target (K float64, sum 1), weight (at most 1), confidence, predicted."""
    return pq.read_table(reference.open_file(uri, FILE))
