"""A full disk while writing shards: one clear line, exit code 2, nothing half-visible."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.artifacts import shards


def check(error: str, root: Path) -> None:
    assert error.startswith(f"error: the disk of {root} is full after ") and error.count("\n") == 1
    assert "MB are free; free some space, choose another data root, or lower preprocess.size_px" in error
    assert list((root / "unfinished").iterdir()) == [] and not (root / "shards").exists()


def test_a_write_that_finds_no_room_is_a_clear_line(data_set, preprocess, capsys, monkeypatch) -> None:
    data_set.fill()
    monkeypatch.setattr(shards.Writer, "_part", lambda *_: Path("/dev/full"))  # every write to it is ENOSPC
    with pytest.raises(SystemExit, match="2"):
        preprocess(data_set.inputs(), size_px=600)
    check(capsys.readouterr().err, Path(data_set.data_root))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 2 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = os.geteuid() == 0 and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(folder)], check=False, capture_output=True
    )
    if not mounted or mounted.returncode:
        pytest.skip("only root can mount a small disk; the test above stands in")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_real_disk_that_fills_up_is_left_as_it_was(data_set, preprocess, capsys, small_disk: Path) -> None:
    data_set.fill(labelled=12)
    data_set.data_root = str(small_disk)
    inputs = data_set.inputs()
    with pytest.raises(SystemExit, match="2"):
        preprocess(inputs, size_px=300)
    error = capsys.readouterr().err
    check(error, small_disk)
    assert "of 17 pictures: the shards need about 9.2 MB" in error  # 17 x 2 views x 300 x 300 x 3
    preprocess(inputs, size_px=64)  # what is left is enough for smaller ones
