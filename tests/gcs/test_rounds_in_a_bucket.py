"""A folder of rounds in a bucket is read as the same folder on a disk."""

from pathlib import Path

import pytest

from components.artifacts import storage
from pipeline.errors import RecipeError
from pipeline.rounds import folders

LAYOUTS = {
    "one round": ["Annotations/label.csv", "Images/a/1.jpg"],
    "a round in each folder": ["round10/Annotations/x.csv", "round2/Annotations/x.csv", "notes/read.me"],
    "the contest's own": ["base/Annotations/x.csv", "web/Images/a/1.jpg", "rank/Tests/q.csv", "new/Annotations/x.csv"],
    "classes as folders": ["one/cat/1.jpg", "two/dog/2.jpg"],
}


@pytest.mark.parametrize("files", LAYOUTS.values(), ids=LAYOUTS)
def test_the_rounds_are_the_same_with_the_same_digests(bucket: str, tmp_path: Path, files: list[str]) -> None:
    there, here = f"{bucket}/rounds", str(tmp_path / "rounds")
    for name in files:
        storage.write_bytes(f"{there}/{name}", name.encode())
        storage.write_bytes(f"{here}/{name}", name.encode())
    remote = [round | {"uri": round["uri"].replace(there, here)} for round in folders.discover(there)]
    assert remote == folders.discover(here)


def test_a_prefix_that_holds_nothing_is_refused(bucket: str) -> None:
    with pytest.raises(RecipeError, match="holds no folders; expected one folder per round"):
        folders.discover(f"{bucket}/nothing")
