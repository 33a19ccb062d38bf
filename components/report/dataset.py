"""The data summary: what the manifest holds, by attribute and round."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from components.artifacts import manifest as manifests
from components.artifacts import reference, storage

COLUMNS = ("labelled", "fuzzy", "left out", "unlabelled", "questions", "duplicates")


def summary(manifest: pd.DataFrame, names: Sequence[str], rounds: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row for each attribute and round that has any picture.

    `labelled` counts what is kept, `fuzzy` those of it with an `m`, `left out` what ingest dropped, `duplicates` the
    kept rows that share their group with an earlier row of the attribute.
    """
    rows = []
    for name in names:
        of_attribute = manifest[manifest["attribute"] == name]
        repeated = of_attribute["keep"] & (of_attribute["group"] >= 0) & of_attribute.duplicated("group")
        for number, given in enumerate(rounds, 1):
            chosen = of_attribute["round"] == number
            if chosen.any():
                counts = _counts(of_attribute[chosen]) | {"duplicates": int(repeated[chosen].sum())}
                rows.append({"attribute": name, "round": str(given["name"]), **counts})
    return rows


def rejected(uri: str) -> int:
    """How many rows ingest refused as unreadable; 0 where the manifest has no list of them."""
    if not storage.exists(storage.join(uri, manifests.REJECTED_FILE)):
        return 0
    return int(pq.read_metadata(reference.open_file(uri, manifests.REJECTED_FILE)).num_rows)


def _counts(rows: pd.DataFrame) -> dict[str, int]:
    labelled = rows[rows["kind"] == "labelled"]
    kept = labelled[labelled["keep"]]
    return {
        "labelled": len(kept),
        "fuzzy": int(kept["label"].str.contains("m").sum()),
        "left out": len(labelled) - len(kept),
        "unlabelled": int((rows["kind"] == "pool").sum()),
        "questions": int((rows["kind"] == "test").sum()),
    }
