"""One attempt at a file: it ends whole and as published, or leaves what came for the next attempt, or says why not."""

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from components.artifacts import web
from components.errors import DataError, Unreachable
from tests.detection_data.fault_server import FaultServer, cut, stalls, status, without

DATA = bytes(range(256)) * 800  # 204,800
PATH = "/0001/boat.jpg"
HALF = 100_000


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer({PATH: DATA}) as running:
        yield running


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with web.client(silence_s=5.0) as made:
        yield made


def wanted(server: FaultServer, **known: object) -> web.Wanted:
    return web.Wanted(**({"url": server.url + PATH, "size": len(DATA), "md5": hashlib.md5(DATA).hexdigest()} | known))  # type: ignore[arg-type]


def test_a_file_arrives_whole_and_nothing_else_is_left(
    server: FaultServer, client: httpx.Client, tmp_path: Path
) -> None:
    web.attempt(client, wanted(server), tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == DATA
    assert [path.name for path in tmp_path.iterdir()] == ["part"]


@pytest.mark.parametrize("known", [{}, {"size": -1}, {"md5": ""}, {"size": -1, "md5": ""}])
def test_after_a_cut_only_the_rest_is_asked_for(
    server: FaultServer, client: httpx.Client, tmp_path: Path, known: dict[str, object]
) -> None:
    server.faults[PATH] = [cut(HALF)]
    with pytest.raises(web.Later):
        web.attempt(client, wanted(server, **known), tmp_path / "part")
    kept = (tmp_path / "part").stat().st_size
    web.attempt(client, wanted(server, **known), tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == DATA
    assert 0 < kept <= HALF
    assert server.log[1][1]["Range"] == f"bytes={kept}-"
    assert server.log[1][1]["If-Range"].startswith('"')


def test_halves_of_two_versions_are_never_put_together(
    server: FaultServer, client: httpx.Client, tmp_path: Path
) -> None:
    server.faults[PATH] = [cut(HALF)]
    with pytest.raises(web.Later):
        web.attempt(client, wanted(server, md5="", size=-1), tmp_path / "part")
    server.files[PATH] = DATA[::-1]
    web.attempt(client, wanted(server, md5="", size=-1), tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == DATA[::-1]


def test_without_validator_and_md5_a_cut_file_is_begun_anew(
    server: FaultServer, client: httpx.Client, tmp_path: Path
) -> None:
    server.always[PATH] = without("ETag")
    server.faults[PATH] = [cut(HALF)]
    for _ in range(2):
        try:
            web.attempt(client, wanted(server, md5=""), tmp_path / "part")
        except web.Later:
            continue
    assert (tmp_path / "part").read_bytes() == DATA
    assert "Range" not in server.log[1][1]


def test_a_server_that_knows_no_ranges_sends_it_all_again(
    server: FaultServer, client: httpx.Client, tmp_path: Path
) -> None:
    server.faults[PATH] = [cut(HALF)]
    with pytest.raises(web.Later):
        web.attempt(client, wanted(server), tmp_path / "part")
    server.ranges = False
    web.attempt(client, wanted(server), tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == DATA


def test_a_resumed_file_with_a_wrong_md5_gets_another_chance(
    server: FaultServer, client: httpx.Client, tmp_path: Path
) -> None:
    (tmp_path / "part").write_bytes(b"x" * HALF)  # of another file
    with pytest.raises(web.Later, match="wrong MD5"):
        web.attempt(client, wanted(server), tmp_path / "part")
    web.attempt(client, wanted(server), tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == DATA


def test_a_part_that_is_whole_already_is_not_asked_for(
    server: FaultServer, client: httpx.Client, tmp_path: Path
) -> None:
    (tmp_path / "part").write_bytes(DATA)
    web.attempt(client, wanted(server), tmp_path / "part")
    assert server.log == []


def test_an_empty_file_is_a_file(server: FaultServer, client: httpx.Client, tmp_path: Path) -> None:
    server.files[PATH] = b""
    web.attempt(client, wanted(server, size=0, md5=hashlib.md5(b"").hexdigest()), tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == b""


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({"size": 7}, "wrong size: 204800 bytes, not 7 as published"),
        ({"md5": "0" * 32}, "wrong MD5"),
        ({"size": -1, "md5": "", "largest": 1000}, "too large: 204800 bytes, more than 1000"),
    ],
)
def test_a_file_that_is_not_as_published_is_gone_for_good(
    server: FaultServer, client: httpx.Client, tmp_path: Path, known: dict[str, object], said: str
) -> None:
    with pytest.raises(web.Gone, match=said):
        web.attempt(client, wanted(server, **known), tmp_path / "part")
    assert not (tmp_path / "part").exists()


def test_a_file_of_unknown_length_ends_when_it_grows_too_large(
    server: FaultServer, client: httpx.Client, tmp_path: Path
) -> None:
    server.always[PATH] = lambda answer: answer.headers.update({"Content-Length": "", "Connection": "close"})
    with pytest.raises(web.Gone, match="too large: more than 1000 bytes"):
        web.attempt(client, wanted(server, size=-1, md5="", largest=1000), tmp_path / "part")


@pytest.mark.parametrize("code", [301, 400, 401, 403, 404, 410, 204])
def test_what_a_server_refuses_for_good_is_gone(
    server: FaultServer, client: httpx.Client, tmp_path: Path, code: int
) -> None:
    server.always[PATH] = status(code)
    with pytest.raises(web.Gone, match=f"HTTP {code}"):
        web.attempt(client, wanted(server), tmp_path / "part")


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_for_later_with_the_pause_that_is_asked_for(
    server: FaultServer, client: httpx.Client, tmp_path: Path, code: int
) -> None:
    server.always[PATH] = status(code, Retry_After="17")
    with pytest.raises(web.Later, match=f"HTTP {code}") as failed:
        web.attempt(client, wanted(server), tmp_path / "part")
    assert failed.value.pause_s == 17


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0), ("Fri, 31 Dec 2100 23:59:59 GMT", 1e9, 1e10), ("soon", 0, 0), ("", 0, 0)],
)
def test_a_retry_after_may_name_a_time_or_nonsense(
    server: FaultServer, client: httpx.Client, tmp_path: Path, text: str, low: float, high: float
) -> None:
    server.always[PATH] = status(503, Retry_After=text)
    with pytest.raises(web.Later) as failed:
        web.attempt(client, wanted(server), tmp_path / "part")
    assert low <= failed.value.pause_s <= high


def test_silence_ends_an_attempt_and_what_came_is_kept(server: FaultServer, tmp_path: Path) -> None:
    awake = threading.Event()
    server.faults[PATH] = [stalls(HALF, awake)]
    with web.client(silence_s=0.2) as impatient:
        with pytest.raises(web.Later, match="ReadTimeout"):
            web.attempt(impatient, wanted(server), tmp_path / "part")
        awake.set()
        web.attempt(impatient, wanted(server), tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == DATA
    assert server.log[1][2] == 206


def test_an_answer_that_takes_too_long_as_a_whole_is_cut_by_us(
    server: FaultServer, client: httpx.Client, tmp_path: Path
) -> None:
    with pytest.raises(web.Later, match="too slow"):
        web.attempt(client, wanted(server), tmp_path / "part", longest_s=0)
    assert (tmp_path / "part").stat().st_size > 0


def test_a_redirect_to_a_notice_is_told_by_its_size(server: FaultServer, client: httpx.Client, tmp_path: Path) -> None:
    server.files["/unavailable.png"] = b"this picture is unavailable"
    server.always[PATH] = status(302, Location="/unavailable.png")
    with pytest.raises(web.Gone, match="wrong size: 27 bytes"):
        web.attempt(client, wanted(server), tmp_path / "part")


@pytest.mark.parametrize(
    ("location", "said"), [(PATH, "TooManyRedirects"), ("ftp://127.0.0.1/x", "UnsupportedProtocol")]
)
def test_a_redirect_that_leads_nowhere_is_gone(
    server: FaultServer, client: httpx.Client, tmp_path: Path, location: str, said: str
) -> None:
    server.always[PATH] = status(302, Location=location)
    with pytest.raises(web.Gone, match=said):
        web.attempt(client, wanted(server), tmp_path / "part")


def test_nobody_there_is_for_later(client: httpx.Client, tmp_path: Path) -> None:
    with pytest.raises(web.Later, match="ConnectError"):
        web.attempt(client, web.Wanted("http://127.0.0.1:1/x.jpg"), tmp_path / "part")


def test_a_copy_of_a_web_file_survives_cuts_as_long_as_it_gets_on(server: FaultServer, tmp_path: Path) -> None:
    server.faults[PATH] = [cut(20_000 * n) for n in range(1, 9)]
    got = web.local_copy(server.url + PATH, tmp_path, sleep=lambda _: None)
    assert got == tmp_path / "boat.jpg"
    assert got.read_bytes() == DATA


def test_a_copy_gives_up_when_nothing_comes_several_times(server: FaultServer, tmp_path: Path) -> None:
    server.always[PATH] = status(503)
    with pytest.raises(Unreachable, match="HTTP 503, 6 times in a row"):
        web.local_copy(server.url + PATH, tmp_path, sleep=lambda _: None)


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
