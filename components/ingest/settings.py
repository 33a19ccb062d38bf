"""Reads all labels, decodes every picture once, finds duplicates, settles conflicts and cuts the folds."""

from dataclasses import dataclass
from typing import Any

from components.knobs import given, knob


@dataclass(frozen=True)
class Inputs:
    """What the pipeline hands over."""

    rounds: list[Any] = given(
        'the rounds, oldest first: [{"name": "round1", "uri": "/data/round1", "digest": "...", "folders": [...]}]'
    )
    data_root: str = given("folder or gs:// address under which references are written")
    attributes: list[Any] = given('[{"name": "...", "classes": [...], "ordinal": false}]; empty means all found', [])
    seed: int = given("seed of the folds", 0)


@dataclass(frozen=True)
class Settings:
    """The knobs."""

    layout: str = knob("auto", "how a round's folder is laid out", choices=("auto", "fashionai", "table", "folders"))
    max_rejected: float = knob(0.2, "largest share of refused label rows; more stops the run", at_least=0, at_most=1)
    max_megapixels: float = knob(
        64.0, "larger pictures are refused before decoding", unit="megapixels", at_least=0.001, at_most=89.0
    )
    threads: int = knob(2, "pictures decoded at the same time", at_least=1, at_most=64)
    near_duplicates: str = knob(
        "verified",
        "exact: only equal pixels; verified: also like hashes whose small grey pictures agree; hash: like hashes alone",
        choices=("exact", "verified", "hash"),
    )
    near_distance: int = knob(4, "perceptual hashes this close are like", unit="bits of 64", at_least=0, at_most=8)
    near_likeness: float = knob(
        0.993, "least correlation of the grey thumbnails of a verified pair", at_least=0, at_most=1
    )
    conflicts: str = knob(
        "drop", "what happens to copies whose labels contradict each other", choices=("drop", "keep_first", "majority")
    )
    exact_duplicates: str = knob(
        "keep_one", "exact copies with equal labels inside one attribute", choices=("keep_one", "keep_all")
    )
    test_leak: str = knob("keep", "labelled rows that show a question picture", choices=("keep", "drop"))
    folds: int = knob(5, "folds for validation; fewer where there are fewer groups", at_least=2, at_most=100)


RESULTS = {"manifest": "reference of the manifest: rows, folds, duplicate groups, refused rows"}
ARTIFACTS = {
    "data_report": ("HTML", "counts per attribute and round, duplicates, conflicts, refused rows"),
    "metrics": ("Metrics", "the counts of the data report"),
}
