"""A web server of pictures that plays faults: it cuts answers, is busy or slow, changes files, and keeps a log."""

import hashlib
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import IO, Any, Self

Fault = Callable[["Answer"], None]


@dataclass
class Answer:
    """What the server is about to say. A fault changes it."""

    status: int
    headers: dict[str, str]
    body: bytes
    only: int = -1  # bytes of the body that are sent before the connection is cut; -1 for all
    stall: threading.Event | None = None  # waited for after those bytes
    drips: bool = False  # meanwhile the next bytes come one by one


def cut(after: int) -> Fault:
    """The connection breaks after so many bytes of the body."""
    return lambda answer: setattr(answer, "only", after)


def stalls(after: int, until: threading.Event) -> Fault:
    """Nothing comes after so many bytes, until an event."""

    def fault(answer: Answer) -> None:
        answer.only, answer.stall = after, until

    return fault


def drips(after: int, until: threading.Event) -> Fault:
    """After so many bytes they come one by one, never silent for long, until an event."""

    def fault(answer: Answer) -> None:
        answer.only, answer.stall, answer.drips = after, until, True

    return fault


def status(code: int, **headers: str) -> Fault:
    """Another status, without a body of use."""

    def fault(answer: Answer) -> None:
        answer.status, answer.body = code, b"sorry"
        answer.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    return fault


def without(header: str) -> Fault:
    """An answer that lacks a header."""
    return lambda answer: answer.headers.pop(header, None)  # type: ignore[return-value,func-returns-value]


@dataclass
class FaultServer:
    """Serves `files` (path to bytes). Of a path's `faults` each request takes the first one away; `always` stay."""

    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    always: dict[str, Fault] = field(default_factory=dict)
    log: list[tuple[str, dict[str, str], int]] = field(default_factory=list)
    most_at_a_time: int = 0
    ranges: bool = True

    def __enter__(self) -> Self:
        self._lock, self._busy = threading.Lock(), 0
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def reset(self, files: dict[str, bytes]) -> None:
        """Serves other files, without a fault and without a log."""
        self.files, self.faults, self.always, self.log = files, {}, {}, []
        self.most_at_a_time, self.ranges = 0, True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def asked(self) -> Counter[str]:
        """How often each path was asked for."""
        return Counter(path for path, _, _ in self.log)

    def answer(self, path: str, headers: dict[str, str]) -> Answer:
        if path not in self.files:
            return self._logged(path, headers, Answer(404, {}, b"gone"))
        body = self.files[path]
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        made = Answer(200, {"ETag": etag}, body)
        asked = headers.get("Range", "")
        if self.ranges and asked and headers.get("If-Range", etag) == etag:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            made = Answer(
                206, {"ETag": etag, "Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"}, body[start:]
            )
            if start >= len(body):
                made = Answer(416, {}, b"")
        if path in self.always:
            self.always[path](made)
        if self.faults.get(path):
            self.faults[path].pop(0)(made)
        return self._logged(path, headers, made)

    def enter(self, by: int) -> None:
        with self._lock:
            self._busy += by
            self.most_at_a_time = max(self.most_at_a_time, self._busy)

    def _logged(self, path: str, headers: dict[str, str], answer: Answer) -> Answer:
        self.log.append((path, headers, answer.status))
        return answer


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A client that has gone is no news."""


def _drip(answer: Answer, until: threading.Event, file: IO[bytes]) -> None:
    for byte in answer.body[answer.only :]:
        if until.wait(0.05):
            break
        file.write(bytes([byte]))


def _handler(server: FaultServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            server.enter(1)
            try:
                self._say(server.answer(self.path, dict(self.headers)))
            finally:
                server.enter(-1)

        def _say(self, answer: Answer) -> None:
            self.send_response(answer.status)
            for name, value in ({"Content-Length": str(len(answer.body))} | answer.headers).items():
                if value:
                    self.send_header(name, value)
            self.end_headers()
            sent = answer.body if answer.only < 0 else answer.body[: answer.only]
            self.wfile.write(sent)
            if answer.stall:
                self.wfile.flush()
                _drip(answer, answer.stall, self.wfile) if answer.drips else answer.stall.wait(30)
            if answer.only >= 0:
                self.close_connection = True
                self.connection.close() if answer.stall else None

        def log_message(self, *_: Any) -> None:
            pass

    return Handler
