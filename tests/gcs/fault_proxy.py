"""A proxy between a storage client and server that counts the requests and plays faults on them.

It forwards whole requests and answers. A fault is played on the first request that matches it, as often as it says.
"""

import http.client
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date"}
_CLASS_A = {"upload", "list"}
_NAME = re.compile(rb'"name": "([^"]*)"')


@dataclass(frozen=True)
class Message:
    """An answer: status, headers, body."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Seen:
    """A request: kind (`download`, `upload`, `chunk`, `stat`, `list`, `bucket`, `delete`), object, bytes each way."""

    kind: str
    name: str
    status: int
    bytes_up: int
    bytes_down: int
    target: str

    @property
    def cost_class(self) -> str:
        """A or B as Google bills operations, empty for what is free. Chunks belong to the upload that began them."""
        if self.kind in ("chunk", "delete"):
            return ""
        return "A" if self.kind in _CLASS_A else "B"


@dataclass
class Fault:
    """What happens to requests of a kind.

    Attributes:
        kind: of the requests, as in Seen.
        name: what the object's name contains.
        times: how many of them.
        after: so many of them pass unharmed first.
        instead: is answered, and nothing forwarded.
        request: changes the body before it is forwarded.
        answer: changes the answer.
        cut_up: bytes of the body after which the connection is cut; nothing is forwarded.
        cut_down: bytes of the answer's body after which the connection is cut.
        drip_s: pause after each byte of the answer's body, up to `drip_bytes`.
        drip_bytes: so many bytes come drop by drop, then nothing more.
    """

    kind: str
    times: int = 1
    name: str = ""
    after: int = 0
    instead: Message | None = None
    request: Callable[[bytes], bytes] | None = None
    answer: Callable[[Message], Message] | None = None
    cut_up: int | None = None
    cut_down: int | None = None
    drip_s: float = 0
    drip_bytes: int = 0


class FaultProxy:
    """The proxy; `url` is where it listens, `seen` what it has answered."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.seen: list[Seen] = []
        self.faults: list[Fault] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def play(self, *faults: Fault) -> None:
        """From now on these faults happen, and only these."""
        with self._lock:
            self.seen.clear()
            self.faults[:] = faults

    def kinds(self) -> list[str]:
        """The kinds of the requests since the faults were set, in order."""
        return [seen.kind for seen in self.seen]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                return

            def handle_any(self) -> None:
                with suppress(ConnectionError):  # the client may have had enough
                    proxy.serve(self)

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = handle_any

        return Handler

    def serve(self, asked: BaseHTTPRequestHandler) -> None:
        kind, name = _kind(asked.command, asked.path)
        fault = self._next_fault(kind, name)
        length = int(asked.headers.get("Content-Length", 0))
        if fault.cut_up is not None:
            asked.rfile.read(min(length, fault.cut_up))
            self._note(kind, name, 0, fault.cut_up, 0, asked.path)
            return _cut(asked)
        body = asked.rfile.read(length)
        if kind == "upload" and (told := _NAME.search(body, 0, 1000)):
            name = told[1].decode()
        answer = fault.instead or self._forward(asked, fault.request(body) if fault.request else body)
        answer = fault.answer(answer) if fault.answer else answer
        self._note(kind, name, answer.status, len(body), len(answer.body), asked.path)
        _send(asked, answer, fault)

    def _next_fault(self, kind: str, name: str) -> Fault:
        with self._lock:
            for fault in self.faults:
                if fault.kind != kind or fault.name not in name:
                    continue
                if fault.after:
                    fault.after -= 1
                elif fault.times:
                    fault.times -= 1
                    return fault
        return Fault("")

    def _forward(self, asked: BaseHTTPRequestHandler, body: bytes) -> Message:
        there = http.client.HTTPConnection(urlsplit(self.upstream).netloc, timeout=60)
        headers = {k: v for k, v in asked.headers.items() if k.lower() not in (*_HOP, "host")}
        there.request(asked.command, asked.path, body, headers | {"Content-Length": str(len(body))})
        got = there.getresponse()
        kept = {k: v for k, v in got.getheaders() if k.lower() not in _HOP}
        if "Location" in kept:
            kept["Location"] = kept["Location"].replace(self.upstream, self.url)
        return Message(got.status, kept, got.read())

    def _note(self, kind: str, name: str, status: int, up: int, down: int, target: str) -> None:
        with self._lock:
            self.seen.append(Seen(kind, name, status, up, down, target))


def status(code: int, **headers: str) -> Message:
    """An answer that says nothing but its code."""
    return Message(code, {name.replace("_", "-"): value for name, value in headers.items()}, b'{"error": {}}')


def flipped(data: bytes, at: int = -1) -> bytes:
    """The same bytes but for one bit."""
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


def damaged(answer: Message) -> Message:
    """An answer with one bit changed."""
    return replace(answer, body=flipped(answer.body))


def without(header: str) -> Callable[[Message], Message]:
    """Leaves out a header of an answer."""
    return lambda answer: replace(answer, headers={k: v for k, v in answer.headers.items() if k != header})


def _kind(method: str, target: str) -> tuple[str, str]:
    url = urlsplit(target)
    name = unquote(url.path.rpartition("/o/")[2]) if "/o/" in url.path else ""
    if method == "PUT" or "upload_id=" in url.query:
        return "chunk", "".join(parse_qs(url.query).get("name", []))
    if method == "POST":
        return "upload", name
    if method == "DELETE":
        return "delete", name
    if "alt=media" in url.query:
        return "download", name
    if name:
        return "stat", name
    return ("list", "") if url.path.endswith("/o") else ("bucket", "")


def _send(asked: BaseHTTPRequestHandler, answer: Message, fault: Fault) -> None:
    asked.send_response(answer.status)
    for name, value in answer.headers.items():
        asked.send_header(name, value)
    asked.send_header("Content-Length", str(len(answer.body)))
    asked.end_headers()
    if fault.cut_down is not None or fault.drip_bytes:
        for begin in range(fault.drip_bytes):
            asked.wfile.write(answer.body[begin : begin + 1])
            time.sleep(fault.drip_s)
        asked.wfile.write(answer.body[: fault.cut_down or 0])
        return _cut(asked)
    asked.wfile.write(answer.body)


def _cut(asked: BaseHTTPRequestHandler) -> None:
    asked.close_connection = True
    with suppress(OSError):
        asked.wfile.flush()
        asked.connection.shutdown(2)
