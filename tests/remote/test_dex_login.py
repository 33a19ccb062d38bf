"""A login at Dex with a password, through each gate that Kubeflow has had before it."""

import json
from pathlib import Path

import httpx
import pytest

from pipeline import dex
from pipeline.errors import PipelineError
from tests.remote.dex_gates import AuthService, Gate, OAuth2Proxy
from tests.remote.gates import endpoint

pytestmark = pytest.mark.usefixtures("nothing_of_this_machine")


def test_without_a_login_the_gate_is_told_in_one_clear_line_and_no_html(dex_gate: tuple[Gate, str, Path]) -> None:
    gate, address, _ = dex_gate
    with pytest.raises(PipelineError) as refused:
        endpoint(address, "").run("r")
    fix = "say who you are with --auth (see docs/remote.md)"
    if isinstance(gate, AuthService):
        assert str(refused.value) == f"{address} wants a login at {address}/dex/auth; {fix}"
    else:
        code = 401 if gate.api_routes else 403
        assert str(refused.value) == f"{address} does not accept who we are ({code}); {fix}"


def test_dex_is_logged_in_to_with_a_password(dex_gate: tuple[Gate, str, Path]) -> None:
    gate, address, file = dex_gate
    there = endpoint(address, f"dex:{file}")
    assert there.run("r").state == "RUNNING" and there.run("r").state == "RUNNING"
    assert gate.logins == 1


def test_below_the_path_that_kubeflow_gives_its_pipelines_too(dex_gate: tuple[Gate, str, Path]) -> None:
    gate, address, file = dex_gate
    assert endpoint(f"{address}/pipeline", f"dex:{file}").run("r").state == "RUNNING"
    assert gate.logins == 1


def test_a_session_that_ends_during_a_wait_is_opened_again(dex_gate: tuple[Gate, str, Path]) -> None:
    gate, address, file = dex_gate
    waited = []
    for now in endpoint(address, f"dex:{file}").wait("r", poll_s=0.01):
        waited.append(now.run.state)
        gate.sessions.clear()
    assert waited == ["RUNNING", "SUCCEEDED"] and gate.logins == 2


def test_a_wrong_password_is_one_clear_line(dex_gate: tuple[Gate, str, Path]) -> None:
    _, address, file = dex_gate
    file.write_text("user@example.com\nwrong-one\n")
    with pytest.raises(PipelineError) as refused:
        endpoint(address, f"dex:{file}").run("r")
    assert str(refused.value) == f"Dex at {address}/dex/auth/local/login refuses this user and password"


def test_the_session_is_all_that_is_kept_of_a_login(dex_gate: tuple[Gate, str, Path]) -> None:
    gate, address, _ = dex_gate
    kept = dex.session(address, "user@example.com", "a-password")
    assert f"{gate.cookie}=s1" in kept.split("; ")


def test_the_cookie_of_a_browser_or_of_kfps_client_is_a_login(dex_gate: tuple[Gate, str, Path], tmp_path: Path) -> None:
    gate, address, _ = dex_gate
    gate.sessions.add("from-a-browser")
    cookie = f"{gate.cookie}=from-a-browser"
    (tmp_path / "cookie").write_text(cookie)
    assert endpoint(address, f"cookie:{tmp_path / 'cookie'}").run("r").state == "RUNNING"
    kept = tmp_path / ".config" / "kfp"
    kept.mkdir(parents=True)
    context = {"client_authentication_cookie": cookie, "namespace": "team-a"}
    (kept / "context.json").write_text(json.dumps(context))
    assert endpoint(address, "kfp").run("r").state == "RUNNING"


def test_the_fake_proxy_lets_in_nobody_who_has_not_begun_at_its_own_page(dex_gate: tuple[Gate, str, Path]) -> None:
    gate, address, _ = dex_gate
    if isinstance(gate, OAuth2Proxy):
        assert httpx.get(f"{address}/oauth2/callback?code=x&state=y:/").status_code == 403
    assert gate.sessions == set()
