"""transfer: pictures that it refuses before it asks anybody, and pictures that share a file."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components import entry
from components.artifacts import boxes
from components.errors import DataError
from tests.detection_data.fault_server import FaultServer

Run = Callable[..., entry.Summary]


def fetched(done: entry.Summary) -> boxes.BoxTable:
    return boxes.read(done.results["boxes"])


def subset_of(root: Path, *pictures: dict[str, Any], stage: str = "subset") -> str:
    """Reference of a subset of pictures; what is not said of one is not known."""
    plain: dict[str, Any] = dict.fromkeys(boxes.PICTURES.names, 0) | {"bytes": -1, "md5": "", "file": "", "split": ""}
    empty = boxes.rows(boxes.BOXES, []), boxes.rows(boxes.REJECTED, [])
    rows = boxes.rows(boxes.PICTURES, (plain | picture for picture in pictures))
    return boxes.write(str(root), boxes.BoxTable(rows, *empty, ("Boat",), stage), {})


@pytest.mark.parametrize("stage", boxes.STAGES[1:])
def test_pictures_of_a_later_stage_are_refused(run_transfer: Run, tmp_path: Path, stage: str) -> None:
    given = subset_of(tmp_path, {"image_id": "a", "url": "https://h/a"}, stage=stage)
    with pytest.raises(DataError, match=f"at the stage '{stage}'; expected 'subset', give the result of openimages"):
        run_transfer(given, tmp_path)


def test_what_the_disk_has_no_room_for_is_not_begun(run_transfer: Run, site: FaultServer, tmp_path: Path) -> None:
    site.files = {"/a.jpg": b"boat"}
    rows = [{"image_id": "a", "url": f"{site.url}/a.jpg", "bytes": 10**18}]
    with pytest.raises(OSError, match="No space left on device for 1,000,000,000,000,000,000 bytes") as failed:
        run_transfer(subset_of(tmp_path, *rows), tmp_path)
    assert (failed.value.errno in entry.DISK_ERRORS, site.log) == (True, [])


def test_two_pictures_may_have_one_address_if_they_are_published_alike(
    run_transfer: Run, site: FaultServer, tmp_path: Path
) -> None:
    site.files = {"/a.jpg": b"boat"}
    sizes = {"one": 4, "two": 4, "odd": 5}
    rows = [{"image_id": name, "url": f"{site.url}/a.jpg", "bytes": size} for name, size in sizes.items()]
    table = fetched(run_transfer(subset_of(tmp_path, *rows), tmp_path, max_missing=0.5))
    assert table.pictures["image_id"].to_pylist() == ["one", "two"]
    reason = "another picture with the same file name has another size or MD5"
    assert table.rejected["reason"].to_pylist() == [reason]
    assert site.asked() == {"/a.jpg": 1}


@pytest.mark.parametrize("md5", ["", hashlib.md5(b"boat").hexdigest()])
def test_addresses_that_differ_by_their_query_share_a_file_only_if_the_md5_says_so(
    run_transfer: Run, site: FaultServer, tmp_path: Path, md5: str
) -> None:
    site.files = {"/a.jpg?n=1": b"boat", "/a.jpg?n=2": b"boat" if md5 else b"ship"}
    rows = [{"image_id": path[-1], "url": site.url + path, "bytes": 4, "md5": md5} for path in site.files]
    table = fetched(run_transfer(subset_of(tmp_path, *rows), tmp_path, max_missing=0.5))
    assert table.pictures["image_id"].to_pylist() == (["1", "2"] if md5 else ["1"])
    assert all("has another address, and no MD5" in reason for reason in table.rejected["reason"].to_pylist())
    assert site.asked() == {"/a.jpg?n=1": 1}


def test_an_address_that_leads_out_of_the_folder_is_listed_and_never_asked_for(
    run_transfer: Run, site: FaultServer, tmp_path: Path
) -> None:
    site.files = {"/a.jpg": b"boat"}
    urls = [f"{site.url}/a.jpg", "https://../boxes/abc/index.json", "http://[/a"]
    subset = subset_of(tmp_path, *({"image_id": url, "url": url} for url in urls))
    table = fetched(run_transfer(subset, tmp_path, max_missing=0.7))
    assert table.pictures["image_id"].to_pylist() == urls[:1]
    assert table.rejected["reason"].to_pylist() == ["its address gives no safe file name"] * 2


def test_a_file_that_another_picture_needs_as_a_folder_is_refused(
    run_transfer: Run, site: FaultServer, tmp_path: Path
) -> None:
    site.files = {"/a.jpg": b"boat", "/a.jpg/large.jpg": b"boats"}
    rows = [{"image_id": path, "url": site.url + path} for path in site.files]
    table = fetched(run_transfer(subset_of(tmp_path, *rows), tmp_path, max_missing=0.5))
    assert table.pictures["image_id"].to_pylist() == ["/a.jpg"]
    assert table.rejected["reason"].to_pylist() == ["part of its name is another picture's file"]
