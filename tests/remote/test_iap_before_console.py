"""Google's IAP in front of our own console, which has a token of its own: a program brings both."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from pipeline.cli import main
from pipeline.engine.launch import ProcessLauncher
from pipeline.engine.runner import Engine
from pipeline.engine.store import Store
from pipeline.errors import PipelineError
from pipeline.server.app import create_app
from pipeline.server.guard import Access
from pipeline.server.services import Services
from pipeline.serving import domain
from tests.remote.gates import CLIENT_ID, TOKEN, Asked, Google, Iap, Kfp, Site, Told, endpoint

pytestmark = pytest.mark.usefixtures("nothing_of_this_machine")


class Console:
    """Our own server with a token, as what stands behind a gate."""

    def __init__(self, client: TestClient) -> None:
        self._client = client

    def answer(self, asked: Asked) -> Told:
        passed = {k: v for k, v in asked.headers.items() if k in ("authorization", "proxy-authorization", "accept")}
        got = self._client.request(asked.method, asked.target, headers=passed, content=asked.body)
        return Told(got.status_code, got.text, {"content-type": got.headers["content-type"]})


@pytest.fixture
def gate(site: Any, tmp_path: Path, service_account: Google) -> Iterator[Site]:
    state = tmp_path / "state"
    Store.open(state).close()
    services = Services(state, lambda store: Engine(store, ProcessLauncher()), domain())
    with TestClient(create_app(services, Access(TOKEN)), base_url="http://console") as client:
        yield site(Iap(Console(client), service_account, CLIENT_ID).answer)


def test_both_tokens_pass_iap_and_the_console_behind_it(gate: Site, token: Path, service_account: Google) -> None:
    assert endpoint(gate.address, f"iap:{CLIENT_ID}", token).runs() == []
    (asked,) = gate.seen
    assert asked.headers["proxy-authorization"] == f"Bearer {service_account.given[-1]}"
    assert asked.headers["authorization"] == f"Bearer {TOKEN}"


def test_iaps_token_alone_stops_at_the_console_and_the_consoles_alone_at_iap(gate: Site, token: Path) -> None:
    for auth, file in ((f"iap:{CLIENT_ID}", None), ("", token)):
        with pytest.raises(PipelineError, match=r"does not accept who we are \(401\)"):
            endpoint(gate.address, auth, file).runs()


def test_either_is_renewed_when_it_is_refused(gate: Site, token: Path, service_account: Google) -> None:
    there = endpoint(gate.address, f"iap:{CLIENT_ID}", token)
    there.runs()
    service_account.given.append("forgotten")  # IAP does not take the first one any more
    there.runs()
    token.write_text("not-yet-the-right-one")
    with pytest.raises(PipelineError, match="IAP-secured Web App User.*; put a valid token into") as refused:
        there.runs()
    assert not [secret for secret in (TOKEN, "not-yet", *service_account.given) if secret in str(refused.value)]
    token.write_text(TOKEN)
    assert there.runs() == []


def test_the_commands_take_both(gate: Site, token: Path) -> None:
    words = ["runs", "--host", gate.address, "--auth", f"iap:{CLIENT_ID}", "--token-file", str(token), "--json"]
    told = CliRunner().invoke(main, words)
    assert (told.exit_code, told.output.strip()) == (0, "[]")


@pytest.mark.parametrize("auth", ["cookie:FILE", "dex:FILE", "token:FILE", "serviceaccount:FILE"])
def test_a_token_beside_another_login_than_iaps_is_refused_in_one_line(auth: str, token: Path) -> None:
    file = token.with_name("secret")
    file.write_text("user@example.com\na-password" if auth.startswith("dex") else "a-secret")
    with pytest.raises(PipelineError) as refused:
        endpoint("http://127.0.0.1:9", auth.replace("FILE", str(file)), token)
    assert "goes with --auth iap:CLIENT_ID only, not with " + auth.partition(":")[0] in str(refused.value)
    assert "\n" not in str(refused.value) and "a-secret" not in str(refused.value)


def test_a_token_file_wins_over_another_login_in_the_environment(
    gate: Site, token: Path, site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["runs", "--token-file", str(token), "--json", "--host"]
    monkeypatch.setenv("SEAMLINE_AUTH", f"cookie:{token}")
    open_one = site(Kfp().answer)
    told = CliRunner().invoke(main, [*words, open_one.address])
    assert told.exit_code == 0, told.output
    assert open_one.seen[0].headers["authorization"] == f"Bearer {TOKEN}" and "cookie" not in open_one.seen[0].headers
    told = CliRunner().invoke(main, [*words, open_one.address, "--auth", f"cookie:{token}"])
    assert told.exit_code == 2 and "goes with --auth iap:CLIENT_ID only, not with cookie" in told.output
    monkeypatch.setenv("SEAMLINE_AUTH", f"iap:{CLIENT_ID}")
    told = CliRunner().invoke(main, [*words, gate.address])
    assert (told.exit_code, told.output.strip()) == (0, "[]")
