"""The script of the option `notifications`, run against a real server."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from pipeline.engine.launch import ProcessLauncher
from pipeline.engine.outbox import Outbox
from pipeline.engine.runner import Engine
from pipeline.engine.store import Store
from pipeline.server.app import create_app
from pipeline.server.guard import Access
from pipeline.server.services import Services
from pipeline.serving import domain
from tests.k8s.manifests import K8S

SCRIPT = K8S / "options/notifications/register.py"
TOKEN = "a-token-of-the-test"


@pytest.fixture
def console(tmp_path: Path) -> Iterator[str]:
    services = Services(tmp_path / "state", lambda store: Engine(store, ProcessLauncher()), domain())
    Store.open(tmp_path / "state")
    server = uvicorn.Server(uvicorn.Config(create_app(services, Access(TOKEN)), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


def register(console: str, tmp_path: Path, url: str, token: str = TOKEN) -> subprocess.CompletedProcess[str]:
    (tmp_path / "token").write_text(token + "\n", encoding="utf-8")
    given = {"CONSOLE": console, "TOKEN_FILE": str(tmp_path / "token"), "MOMENT": "failed"}
    environment = {**os.environ, **given, "WEBHOOK_URL": url, "WEBHOOK_SECRET": "s3cret"}
    return subprocess.run([sys.executable, SCRIPT], env=environment, capture_output=True, text=True, check=False)


def test_a_webhook_is_added_once(console: str, tmp_path: Path) -> None:
    first = register(console, tmp_path, "https://hooks.example.com/services/T/B/x")
    assert (first.returncode, first.stdout) == (0, "https://hooks.example.com is told of runs that have failed\n")
    second = register(console, tmp_path, "https://hooks.example.com/services/T/B/x")
    assert (second.returncode, second.stdout.split(";")[0]) == (0, "https://hooks.example.com is told already")
    (receiver,) = Outbox(Store.open(tmp_path / "state")).receivers()
    assert (receiver.url, receiver.secret) == ("https://hooks.example.com/services/T/B/x", "s3cret")


def test_a_wrong_token_is_told_in_one_line_without_the_webhook_s_path(console: str, tmp_path: Path) -> None:
    refused = register(console, tmp_path, "https://hooks.example.com/services/T/B/x", "some-other-token")
    assert refused.returncode == 1 and "401" in refused.stderr
    assert "Traceback" not in refused.stderr and "services" not in refused.stderr


def test_an_unusable_address_is_refused_with_the_console_s_words(console: str, tmp_path: Path) -> None:
    refused = register(console, tmp_path, "ftp://hooks.example.com")
    assert refused.returncode == 1 and "expected http://" in refused.stderr
