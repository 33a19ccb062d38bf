"""A local copy of a file from the web: as patient as needed, and an address is taken as it is meant."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from components.artifacts import web
from components.errors import DataError, Unreachable
from tests.detection_data.fault_server import FaultServer, cut, status

DATA = bytes(range(256)) * 800  # 204,800
PATH = "/0001/boat.jpg"


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer({PATH: DATA}) as running:
        yield running


def test_a_copy_of_a_web_file_survives_cuts_as_long_as_it_gets_on(server: FaultServer, tmp_path: Path) -> None:
    server.faults[PATH] = [cut(20_000 * n) for n in range(1, 9)]
    got = web.local_copy(server.url + PATH, tmp_path, sleep=lambda _: None)
    assert got == tmp_path / "boat.jpg"
    assert got.read_bytes() == DATA


def test_a_copy_gives_up_when_nothing_comes_several_times(server: FaultServer, tmp_path: Path) -> None:
    server.always[PATH] = status(503)
    with pytest.raises(Unreachable, match="HTTP 503, 6 times in a row"):
        web.local_copy(server.url + PATH, tmp_path, sleep=lambda _: None)


def test_a_copy_waits_no_longer_than_two_minutes_whatever_is_asked(server: FaultServer, tmp_path: Path) -> None:
    server.faults[PATH] = [status(503, Retry_After="99999999999")]
    slept: list[float] = []
    assert web.local_copy(server.url + PATH, tmp_path, sleep=slept.append).read_bytes() == DATA
    assert slept == [120]


def test_a_copy_of_what_is_not_there_is_one_line(server: FaultServer, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"/no\.csv: HTTP 404; check the address"):
        web.local_copy(f"{server.url}/no.csv", tmp_path)


@pytest.mark.parametrize(
    ("uri", "source", "full"),
    [
        ("a/b.csv", "/data", "/data/a/b.csv"),
        ("a/b.csv", "gs://bucket/x/", "gs://bucket/x/a/b.csv"),
        ("/a/b.csv", "/data", "/a/b.csv"),
        ("https://x/b.csv", "/data", "https://x/b.csv"),
        ("a/b.csv", "", "a/b.csv"),
    ],
)
def test_a_relative_address_is_below_the_source(uri: str, source: str, full: str) -> None:
    assert web.address(uri, source) == full
