"""What a cluster asks to see whether the server lives and may get requests."""

import shutil

import pytest
from starlette.testclient import TestClient

from pipeline.server.app import create_app
from pipeline.server.guard import Access
from pipeline.server.services import Services


@pytest.fixture
def probed(services: Services) -> TestClient:
    """The server with a token, asked by its address as a kubelet does, without the token."""
    return TestClient(create_app(services, Access("0123456789abcdef0123")), base_url="http://10.1.2.3:8080")


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_server_that_works_says_so_to_anybody(probed: TestClient, path: str) -> None:
    answer = probed.get(path)
    assert (answer.status_code, answer.text) == (200, "ok")


def test_a_server_whose_journal_is_gone_lives_but_is_not_ready(
    probed: TestClient, services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.rmtree(services.state_dir)
    services.state_dir.write_text("no folder any more")
    assert probed.get("/healthz").status_code == 200
    answer = probed.get("/readyz")
    assert (answer.status_code, answer.text.split(";")[0]) == (503, "the state folder cannot be read")
    assert str(services.state_dir) in caplog.text and str(services.state_dir) not in answer.text


def test_no_other_address_is_open(probed: TestClient) -> None:
    assert probed.get("/healthz/../runs", headers={"accept": "application/json"}).status_code == 401
