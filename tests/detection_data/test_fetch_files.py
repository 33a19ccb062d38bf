"""One attempt at a file: it ends whole and as published, or leaves what came for the next attempt, or says why not."""

import errno
import hashlib
import resource
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from components.artifacts import web
from tests.detection_data.fault_server import Answer, FaultServer, cut, stalls, status, without

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
        ({"size": 0}, "wrong size: 204800 bytes, not 0 as published"),
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


@pytest.mark.parametrize(("known", "most"), [({"size": -1, "md5": "", "largest": 1000}, 1000), ({"size": 0}, 0)])
def test_a_file_of_unknown_length_ends_when_it_grows_too_large(
    server: FaultServer, client: httpx.Client, tmp_path: Path, known: dict[str, object], most: int
) -> None:
    server.always[PATH] = lambda answer: answer.headers.update({"Content-Length": "", "Connection": "close"})
    with pytest.raises(web.Gone, match=f"too large: more than {most} bytes"):
        web.attempt(client, wanted(server, **known), tmp_path / "part")


def test_a_disk_that_takes_no_more_is_not_the_files_fault(
    server: FaultServer, client: httpx.Client, tmp_path: Path
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(DATA) - 1, before[1]))  # the last write takes all but a byte
    try:
        with pytest.raises(OSError) as failed:
            web.attempt(client, wanted(server, size=-1, md5=""), tmp_path / "part")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert failed.value.errno == errno.EFBIG
    web.attempt(client, wanted(server, size=-1, md5=""), tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == DATA


def test_a_part_that_nobody_asked_for_is_no_file(server: FaultServer, client: httpx.Client, tmp_path: Path) -> None:
    server.always[PATH] = status(206, Content_Range="bytes 5-9/10")
    with pytest.raises(web.Gone, match="HTTP 206"):
        web.attempt(client, wanted(server, size=-1, md5=""), tmp_path / "part")


def test_less_than_the_rest_is_no_end(server: FaultServer, client: httpx.Client, tmp_path: Path) -> None:
    def shorter(answer: Answer) -> None:
        if answer.status == 206:
            answer.body = answer.body[:10]
            start = int(answer.headers["Content-Range"].split()[1].split("-")[0])
            answer.headers["Content-Range"] = f"bytes {start}-{start + 9}/{len(DATA)}"

    server.faults[PATH] = [cut(HALF), shorter]
    for said in ("RemoteProtocolError", "another range than asked for"):
        with pytest.raises(web.Later, match=said):
            web.attempt(client, wanted(server, size=-1, md5=""), tmp_path / "part")
    web.attempt(client, wanted(server, size=-1, md5=""), tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == DATA


def test_a_validator_that_cannot_be_sent_back_is_none(
    server: FaultServer, client: httpx.Client, tmp_path: Path
) -> None:
    server.always[PATH] = lambda answer: answer.headers.update({"ETag": '"caf\xe9"'})
    server.faults[PATH] = [cut(HALF)]
    with pytest.raises(web.Later):
        web.attempt(client, wanted(server, md5=""), tmp_path / "part")
    web.attempt(client, wanted(server, md5=""), tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == DATA
    assert "Range" not in server.log[1][1]


@pytest.mark.parametrize("code", [301, 400, 401, 403, 404, 410, 204])
def test_what_a_server_refuses_for_good_is_gone(
    server: FaultServer, client: httpx.Client, tmp_path: Path, code: int
) -> None:
    server.always[PATH] = status(code)
    with pytest.raises(web.Gone, match=f"HTTP {code}"):
        web.attempt(client, wanted(server), tmp_path / "part")


@pytest.mark.parametrize("code", [408, 425, 429, 500, 501, 502, 503, 504, 505, 507, 520])
def test_what_may_pass_is_for_later_with_the_pause_that_is_asked_for(
    server: FaultServer, client: httpx.Client, tmp_path: Path, code: int
) -> None:
    server.always[PATH] = status(code, Retry_After="17")
    with pytest.raises(web.Later, match=f"HTTP {code}") as failed:
        web.attempt(client, wanted(server), tmp_path / "part")
    assert failed.value.pause_s == 17


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0), ("Fri, 31 Dec 2100 23:59:59 GMT", 1e9, 1e10), ("soon", 0, 0), ("", 0, 0)]
    + [("\xb2", 0, 0), ("Fri, 31 Dec 99999999999999999999 23:59:59 GMT", 0, 0), ("9" * 400, 1e300, float("inf"))],
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


@pytest.mark.parametrize("address", [f"http://{'a' * 70}.com/x", "http://../x", "http://xn--/x", "http://h:port/x"])
def test_an_address_that_nobody_can_have_is_gone(
    server: FaultServer, client: httpx.Client, tmp_path: Path, address: str
) -> None:
    with pytest.raises(web.Gone, match="cannot be asked for: "):
        web.attempt(client, web.Wanted(address), tmp_path / "part")


@pytest.mark.parametrize("address", [f"http://{'a' * 70}.com/x", "http://../x", "http://xn--/x"])
def test_a_redirect_to_an_address_that_nobody_can_have_is_gone(
    server: FaultServer, client: httpx.Client, tmp_path: Path, address: str
) -> None:
    server.always[PATH] = status(302, Location=address)
    with pytest.raises(web.Gone, match="cannot be asked for: "):
        web.attempt(client, wanted(server), tmp_path / "part")


def test_nobody_there_is_for_later(client: httpx.Client, tmp_path: Path) -> None:
    with pytest.raises(web.Later, match="ConnectError"):
        web.attempt(client, web.Wanted("http://127.0.0.1:1/x.jpg"), tmp_path / "part")
