"""Where data sets come from: local, or downloaded once, gone on with after a cut, and checked."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipeline.datasets import sources
from pipeline.datasets.sources import Source
from pipeline.errors import PipelineError

BODY = bytes(range(256)) * 4000
MD5 = hashlib.md5(BODY, usedforsecurity=False).hexdigest()
CUT = 300_000


class Server(BaseHTTPRequestHandler):
    """Serves BODY with ranges; the first whole answer of /cut.bin breaks off. Counts what it is asked."""

    asked: list[tuple[str, str]] = []

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        self.asked.append((self.path, wanted))
        if self.path == "/missing":
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{len(BODY) - 1}/{len(BODY)}")
        self.send_header("Content-Length", str(len(BODY) - start))
        self.send_header("ETag", '"one"')
        self.end_headers()
        cut = self.path == "/cut.bin" and not wanted
        self.wfile.write(BODY[start:CUT] if cut else BODY[start:])
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    Server.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("kind", ["md5", "sha256"])
def test_a_file_is_downloaded_once_and_checked(tmp_path: Path, address: str, kind: str) -> None:
    source = Source(f"{address}/data.bin", f"{kind}={hashlib.new(kind, BODY).hexdigest()}")
    for _ in range(2):
        assert sources.fetch(source, tmp_path).read_bytes() == BODY
    assert len(Server.asked) == 1


def test_a_download_that_broke_off_is_gone_on_with(tmp_path: Path, address: str) -> None:
    assert sources.fetch(Source(f"{address}/cut.bin", f"md5={MD5}"), tmp_path).read_bytes() == BODY
    (_, first), (_, second) = Server.asked
    assert not first and 0 < int(second.removeprefix("bytes=").removesuffix("-")) <= CUT


def test_other_bytes_than_the_checksum_tells_are_refused_and_not_kept(tmp_path: Path, address: str) -> None:
    wrong = "0" * 64
    with pytest.raises(PipelineError, match=f"has sha256 {hashlib.sha256(BODY).hexdigest()}, expected {wrong}"):
        sources.fetch(Source(f"{address}/data.bin", f"sha256={wrong}"), tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(PipelineError, match="give its path as data.source"):
        sources.fetch(Source(f"{address}/data.bin", "md5=" + "0" * 32), tmp_path)


def test_without_a_network_one_line_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="get it elsewhere and give its path as data.source") as refused:
        sources.fetch(Source("http://127.0.0.1:9/cifar-10-binary.tar.gz", f"md5={MD5}"), tmp_path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("digest", ["", "md5", "md5=12", "crc=00"])
def test_an_address_without_checksum_is_refused(tmp_path: Path, digest: str) -> None:
    with pytest.raises(PipelineError, match="has no checksum; add one as http://host/a.tar#sha256=HEX"):
        sources.archive(f"http://host/a.tar#{digest}", sources.CIFAR10, tmp_path)


def test_a_place_on_this_machine_is_taken_as_it_is(tmp_path: Path) -> None:
    assert sources.archive(str(tmp_path), sources.CALTECH256, tmp_path / "downloads") == tmp_path
    assert sources.idx_folder(str(tmp_path), tmp_path / "downloads") == tmp_path
    assert not (tmp_path / "downloads").exists()
