"""`seamline serve --public-url`: links in notifications lead where people open the console."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue

import pytest
from click.testing import CliRunner

from pipeline import serving
from pipeline.cli import main
from pipeline.engine.outbox import Outbox
from pipeline.engine.store import Store


class Received(BaseHTTPRequestHandler):
    """A webhook that keeps what it is told."""

    def do_POST(self) -> None:
        self.server.told.put(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        return


@pytest.fixture
def webhook() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Received)
    server.told = Queue()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("public", "link"), [("https://pictures.example.org", "https://pictures.example.org"), ("", "http://10.0.0.7:8080")]
)
def test_a_webhook_gets_links_that_people_can_open(engine, state_dir, two_steps_ir, webhook, monkeypatch, public, link):
    store = Store.open(state_dir)
    Outbox(store).add(f"http://127.0.0.1:{webhook.server_address[1]}/hook", "ended", 0.0)
    run_id = engine.create_run(two_steps_ir, {})
    engine.execute(run_id)
    stopping = threading.Event()
    monkeypatch.setattr(serving, "_again", lambda work, stopping: work())
    serving._notify(serving._Around(state_dir, stopping, public or link, lambda store: engine))
    told = webhook.told.get(timeout=10)
    assert told["link"] == f"{link}/runs/{run_id}"
    assert told["link"] in told["text"]


@pytest.mark.parametrize(
    ("given", "understood"),
    [
        ("https://pictures.example.org", "https://pictures.example.org"),
        ("https://pictures.example.org/", "https://pictures.example.org"),
        ("http://10.0.0.7:8080", "http://10.0.0.7:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("", ""),
    ],
)
def test_scheme_host_and_port_are_understood(monkeypatch, state_dir, given, understood):
    seen = []
    monkeypatch.setattr(serving, "serve", lambda state_dir, address, *rest: seen.append(address.public_url))
    monkeypatch.setenv("SEAMLINE_PUBLIC_URL", given)
    assert CliRunner().invoke(main, ["serve", "--state", str(state_dir)]).exit_code == 0
    assert seen == [understood]


@pytest.mark.parametrize(
    "url",
    [
        "pictures.example.org",
        "ftp://pictures.example.org",
        "https://",
        "https://pictures.example.org/console",
        "https://pictures.example.org/?a=b",
        "https://pictures.example.org#top",
        "https://ann:secret@pictures.example.org",
        "https://pictures.example.org:port",
        "https://pictures .example.org",
        "javascript:alert(1)",
        "https://a\nb",
    ],
)
def test_anything_else_is_one_clear_line(state_dir, url):
    told = CliRunner().invoke(main, ["serve", "--public-url", url, "--state", str(state_dir)])
    assert (told.exit_code, told.stdout) == (2, "")
    assert "is no address of a console; expected http://HOST[:PORT] or https://HOST[:PORT]" in told.stderr
    assert not (state_dir / "seamline.lock").exists()
