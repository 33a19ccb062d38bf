"""A login at Dex with a password, through each gate that Kubeflow has had before it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipeline import dex
from pipeline.errors import PipelineError
from tests.remote.dex_gates import BUTTON_PAGE, FORM_PAGE, AuthService, Dex, Gate, OAuth2Proxy
from tests.remote.gates import Asked, Kfp, Site, Told, endpoint, self_signed

pytestmark = pytest.mark.usefixtures("nothing_of_this_machine")

USER, PASSWORD = "user@example.com", "a-password"


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


def posts(site: Site) -> list[str]:
    return [asked.path for asked in site.seen if asked.method == "POST"]


def netloc(address: str) -> str:
    return address.partition("://")[2]


def refusal(address: str, file: Path, *lines: str) -> str:
    """What a login is refused with, in one line and without the password."""
    file.write_text("\n".join((USER, PASSWORD, *lines)))
    with pytest.raises(PipelineError) as refused:
        endpoint(address, f"dex:{file}").run("r")
    told = str(refused.value)
    assert "\n" not in told and PASSWORD not in told and "SECRETSTATE" not in told
    return told


@pytest.fixture(params=[AuthService, OAuth2Proxy])
def apart(request: pytest.FixtureRequest, site: Any) -> tuple[Gate, str, Site]:
    """A gate, its address, and the Dex that it leads to, at another host."""
    its = Dex(USER, PASSWORD)
    other = site(its.answer)
    other.address = other.address.replace("127.0.0.1", "localhost")
    gate = request.param(Kfp("RUNNING"), its)
    its.address, its.gate = other.address, site(gate.answer).address
    return gate, its.gate, other


def test_a_dex_at_another_host_gets_no_password(apart: tuple[Gate, str, Site], tmp_path: Path) -> None:
    _, address, other = apart
    told = refusal(address, tmp_path / "dex")
    assert told.startswith(f"{other.address}/dex/auth") and "no password is sent there" in told
    assert f"if Dex is, write {netloc(other.address)} into the third line of the file of --auth dex:FILE" in told
    assert posts(other) == []
    assert "is not at the endpoint's host" in refusal(address, tmp_path / "dex", "dex.example.com")
    assert posts(other) == []


def test_a_dex_at_another_host_gets_it_where_the_user_has_named_that_host(
    apart: tuple[Gate, str, Site], tmp_path: Path
) -> None:
    gate, address, other = apart
    file = tmp_path / "dex"
    file.write_text(f"{USER}\n{PASSWORD}\n{netloc(other.address).upper()}\n")
    assert endpoint(address, f"dex:{file}").run("r").state == "RUNNING"
    assert posts(other) == ["/dex/auth/local/login"] and gate.logins == 1


def leading_to(address: str) -> Callable[[Asked], Told]:
    """oauth2-proxy before another login than Dex's."""

    def answer(asked: Asked) -> Told:
        return Told.to(address) if asked.path == "/oauth2/start" else Told.page(BUTTON_PAGE, 403)

    return answer


def test_the_login_of_github_gets_no_password_even_where_its_host_is_named(site: Any, tmp_path: Path) -> None:
    github = site(lambda asked: Told.page(FORM_PAGE))
    gate = site(leading_to(f"{github.address}/login?return_to=%2Flogin%2Foauth"))
    where = f"{github.address}/login"
    assert refusal(gate.address, tmp_path / "dex").startswith(f"{where} is not at the endpoint's host")
    told = refusal(gate.address, tmp_path / "dex", netloc(github.address))
    assert told == f"{where} is no login page of Dex; give --auth cookie:FILE instead"
    assert posts(github) == posts(gate) == []


def test_the_button_of_another_host_is_not_pushed(site: Any, tmp_path: Path) -> None:
    other = site(lambda asked: Told.page(BUTTON_PAGE, 403))
    gate = site(lambda asked: Told.to(f"{other.address}/"))
    told = refusal(gate.address, tmp_path / "dex", netloc(other.address))
    assert told.startswith(f"{other.address}/ is no login page of Dex")
    assert [asked.path for asked in other.seen] == ["/"]


def test_a_page_without_dexs_inputs_gets_no_password(site: Any, tmp_path: Path) -> None:
    path = "/dex/auth/local/login"
    page = Told.page("<input name='login'><textarea name='password'></textarea>")
    gate = site(lambda asked: page if asked.path == path else Told.to(path))
    told = refusal(gate.address, tmp_path / "dex")
    assert told == f"{gate.address}{path} is no login page of Dex; give --auth cookie:FILE instead"
    assert posts(gate) == []


def test_an_endpoint_of_tls_does_not_lead_out_of_it(site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    plain = site(Dex(USER, PASSWORD).answer)
    gate = Site(lambda asked: Told.to(f"{plain.address}/dex/auth/local/login"), certificate)
    try:
        with pytest.raises(PipelineError) as refused:
            dex.session(gate.address, USER, PASSWORD, netloc(plain.address))
    finally:
        gate.close()
    assert str(refused.value) == (
        f"{plain.address}/dex/auth/local/login is not https as {gate.address}/ is; no password is sent there"
    )
    assert posts(plain) == []


@pytest.mark.parametrize("path", ["/dex/auth/local/login", "/dex/approval"])
def test_a_form_that_hands_its_answer_on_hands_on_nothing_that_was_posted(site: Any, path: str) -> None:
    other = site(lambda asked: Told.page())

    def answer(asked: Asked) -> Told:
        if asked.method == "POST":
            return Told(307, "", {"location": f"{other.address}{path}"})
        return Told.page(FORM_PAGE) if asked.path == "/dex/auth/local/login" else Told.to("/dex/auth/local/login")

    gate = site(answer)
    dex.session(gate.address, USER, PASSWORD)
    assert posts(gate) == ["/dex/auth/local/login"] and posts(other) == []
    assert not any(asked.body for asked in other.seen)


def test_what_is_forbidden_without_a_page_has_no_button(site: Any) -> None:
    gate = site(lambda asked: Told.json({"message": "no"}, 403))
    with pytest.raises(PipelineError, match="is no login page of Dex"):
        dex.session(gate.address, USER, PASSWORD)
    assert [asked.path for asked in gate.seen] == ["/"]


@pytest.mark.parametrize("text", [USER, f"{USER}\n\nhost", f"{USER}\n{PASSWORD}\nhost\nmore"])
def test_another_number_of_lines_is_refused_and_not_told(tmp_path: Path, text: str) -> None:
    file = tmp_path / "dex"
    file.write_text(text)
    with pytest.raises(PipelineError, match="needs two lines in the file: .* and in a third one the host") as refused:
        endpoint("http://127.0.0.1:9", f"dex:{file}")
    assert USER not in str(refused.value) and PASSWORD not in str(refused.value)
