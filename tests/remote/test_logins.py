"""Logins at an endpoint: each kind against what it is for, renewed in the middle of a wait, and never told."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline import remote_auth
from pipeline.errors import PipelineError
from pipeline.remote import Endpoint
from tests.remote import gates
from tests.remote.dex_gates import Gate
from tests.remote.gates import CLIENT_ID, TOKEN, Asked, Google, Iap, Kfp, Site, Told, endpoint

pytestmark = pytest.mark.usefixtures("nothing_of_this_machine")


def wants_token(kfp: Kfp, valid: Callable[[], str]) -> Callable[[Asked], Told]:
    """A gate that lets in who brings the token that is valid just now, and repeats a wrong one in its error."""

    def answer(asked: Asked) -> Told:
        given = asked.headers.get("authorization", "")
        if given == f"Bearer {valid()}":
            return kfp.answer(asked)
        return Told.json({"code": 16, "message": f"Unauthenticated: {given}"}, 401)

    return answer


def test_a_token_from_a_file_lets_us_in(site: Any, token: Path) -> None:
    gate = site(wants_token(Kfp(), lambda: TOKEN))
    assert [run.run_id for run in endpoint(gate.address, f"token:{token}").runs()] == ["r"]


def test_a_file_of_several_lines_is_no_token_and_is_not_told(site: Any, token: Path) -> None:
    token.write_text("first-secret\nsecond-secret\n")
    with pytest.raises(PipelineError, match="has several lines") as refused:
        endpoint("http://127.0.0.1:9", f"token:{token}")
    assert "secret-" not in str(refused.value) and "first" not in str(refused.value)


def test_a_token_that_the_kubelet_renews_during_a_wait_is_read_again(site: Any, token: Path) -> None:
    kfp, looks = Kfp("RUNNING", "RUNNING", "SUCCEEDED"), []

    def valid() -> str:
        looks.append(1)
        if len(looks) == 2:  # the kubelet writes the new one, and the old one ends
            token.write_text("the-second")
        return "the-second" if len(looks) > 1 else TOKEN

    gate = site(wants_token(kfp, valid))
    waited = list(endpoint(gate.address, f"serviceaccount:{token}").wait("r", poll_s=0.01))
    assert [now.run.state for now in waited] == ["RUNNING", "SUCCEEDED"]


def test_a_token_that_ends_during_a_wait_and_is_not_renewed_ends_it_with_one_line(site: Any, token: Path) -> None:
    kfp, valid = Kfp("RUNNING"), [TOKEN, "another"]
    gate = site(wants_token(kfp, lambda: valid.pop(0) if len(valid) > 1 else valid[0]))
    with pytest.raises(PipelineError) as refused:
        list(endpoint(gate.address, f"token:{token}").wait("r", poll_s=0.01))
    assert str(refused.value) == (f"{gate.address} does not accept who we are (401); put a valid token into {token}")


def test_kfps_own_place_of_a_service_accounts_token_is_known(
    site: Any, token: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KF_PIPELINES_SA_TOKEN_PATH", str(token))
    gate = site(wants_token(Kfp(), lambda: TOKEN))
    assert endpoint(gate.address, "serviceaccount").run("r").state == "SUCCEEDED"


def test_a_service_account_gets_through_iap_with_an_id_token_for_its_client(site: Any, service_account: Google) -> None:
    gate = site(Iap(Kfp(), service_account, CLIENT_ID).answer)
    there = endpoint(gate.address, f"iap:{CLIENT_ID}")
    assert there.run("r").state == "SUCCEEDED" and there.run("r").state == "SUCCEEDED"
    assert len(service_account.given) == 1, "a token that lives for an hour was made anew"


def test_an_id_token_that_ends_during_a_wait_is_made_anew(site: Any, service_account: Google) -> None:
    kfp = Kfp("RUNNING", "RUNNING", "RUNNING", "SUCCEEDED")
    iap = Iap(kfp, service_account, CLIENT_ID)

    def forgetful(asked: Asked) -> Told:
        if len(kfp.states) == 2:  # the gate does not take the first token any more
            service_account.given += ["forgotten"] if len(service_account.given) == 1 else []
        return iap.answer(asked)

    gate = site(forgetful)
    waited = list(endpoint(gate.address, f"iap:{CLIENT_ID}").wait("r", poll_s=0.01))
    assert waited[-1].run.state == "SUCCEEDED"
    assert len(service_account.given) == 3


def test_a_token_that_soon_ends_is_renewed_before_it_is_used(site: Any, service_account: Google) -> None:
    service_account.lives_s = 60
    gate = site(Iap(Kfp(), service_account, CLIENT_ID).answer)
    there = endpoint(gate.address, f"iap:{CLIENT_ID}")
    there.run("r")
    there.run("r")
    assert len(service_account.given) == 2
    assert {asked.headers["authorization"] for asked in gate.seen} == {f"Bearer {t}" for t in service_account.given}


def test_what_kfps_client_has_kept_of_a_user_makes_an_id_token_too(site: Any, tmp_path: Path) -> None:
    google = Google()
    tokens = site(google.answer)
    kept = {"other_client_id": "desktop", "other_client_secret": "s", "refresh_token": "r"}
    (tmp_path / "credentials.json").write_text(json.dumps({CLIENT_ID: kept}))
    gate = site(Iap(Kfp(), google, CLIENT_ID).answer)
    login = remote_auth.iap(CLIENT_ID, tmp_path, f"{tokens.address}/token")
    assert Endpoint(gate.address, login).run("r").state == "SUCCEEDED"
    assert tokens.seen[0].form["audience"] == CLIENT_ID and tokens.seen[0].form["grant_type"] == "refresh_token"


def test_without_any_account_iap_is_refused_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "nothing.json"))
    with pytest.raises(PipelineError, match="no ID token can be made here .* GOOGLE_APPLICATION_CREDENTIALS"):
        endpoint("http://127.0.0.1:9", f"iap:{CLIENT_ID}").run("r")


def test_the_namespace_of_a_login_goes_with_every_list(site: Any, tmp_path: Path) -> None:
    kept = tmp_path / ".config" / "kfp"
    kept.mkdir(parents=True)
    (kept / "context.json").write_text('{"client_authentication_cookie": "c=1", "namespace": "team-a"}')
    gate = site(Kfp().answer)
    endpoint(gate.address, "kfp").runs()
    Endpoint(gate.address, remote_auth.login("kfp", gate.address), namespace="team-b").runs()
    assert [asked.query["namespace"] for asked in gate.seen] == [["team-a"], ["team-b"]]


def test_an_html_page_with_status_200_is_no_endpoint(site: Any) -> None:
    gate = site(lambda asked: Told.page())
    with pytest.raises(PipelineError, match="answers text/html instead of KFP's JSON: a login page, or the address"):
        endpoint(gate.address, "").run("r")


def test_forbidden_says_what_the_endpoint_says_and_what_to_do(site: Any, token: Path) -> None:
    gate = site(lambda asked: Told.json({"message": f"no access for {TOKEN}"}, 403))
    with pytest.raises(PipelineError, match=r"forbids runs/r: no access for \[hidden\]; put a valid token into"):
        endpoint(gate.address, f"token:{token}").run("r")


def test_json_of_something_else_is_no_endpoint(site: Any) -> None:
    gate = site(lambda asked: Told.json({"hello": "world"}))
    with pytest.raises(PipelineError, match="the answer has no run_id; check that --host is an endpoint of KFP 2"):
        endpoint(gate.address, "").run("r")


def test_no_secret_is_told_in_an_error_or_a_log(
    site: Any, token: Path, caplog: pytest.LogCaptureFixture, service_account: Google, dex_gate: tuple[Gate, str, Path]
) -> None:
    caplog.set_level(logging.DEBUG)
    _, with_dex, file = dex_gate
    file.write_text("user@example.com\nwrong-one")
    closed = site(wants_token(Kfp(), lambda: "another")).address
    iap = site(Iap(Kfp(), service_account, "another client").answer).address
    away = "http://127.0.0.1:9"
    errors = []
    for host, auth in (
        (closed, f"token:{token}"),
        (away, f"token:{token}"),
        (iap, f"iap:{CLIENT_ID}"),
        (with_dex, f"dex:{file}"),
    ):
        with pytest.raises(PipelineError) as refused:
            endpoint(host, auth).run("r")
        errors.append(str(refused.value))
    assert len(service_account.given) == 2
    told = "\n".join([*errors, caplog.text])
    assert not [secret for secret in (TOKEN, "wrong-one", *service_account.given) if secret in told]
    assert "SECRETSTATE" not in "\n".join(errors)


def test_a_proxy_from_the_environment_is_used_and_no_proxy_heeded(
    site: Any, token: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = site(wants_token(Kfp(), lambda: TOKEN))
    proxy = site(gates.forwarding)
    monkeypatch.setenv("HTTP_PROXY", proxy.address)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert endpoint(gate.address, f"token:{token}").run("r").state == "SUCCEEDED"
    assert len(proxy.seen) == 1
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    endpoint(gate.address, f"token:{token}").run("r")
    assert len(proxy.seen) == 1 and len(gate.seen) == 2


def test_certificates_of_ones_own_are_trusted_when_they_are_named(
    tmp_path: Path, token: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = gates.self_signed(tmp_path)
    gate = Site(wants_token(Kfp(), lambda: TOKEN), certificate)
    try:
        monkeypatch.setattr("pipeline.remote_connection.time.sleep", lambda seconds: None)
        with pytest.raises(PipelineError, match="CERTIFICATE_VERIFY_FAILED.*; name its certificates in SSL_CERT_FILE"):
            endpoint(gate.address, f"token:{token}").run("r")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert endpoint(gate.address, f"token:{token}").run("r").state == "SUCCEEDED"
    finally:
        gate.close()


def test_certificates_of_ones_own_that_cannot_be_read_are_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(PipelineError, match="cannot be spoken to: .*; check SSL_CERT_FILE and the proxies"):
        Endpoint("https://kfp.example.com")


@pytest.mark.parametrize(
    ("auth", "message"),
    [
        ("iap", "--auth iap is no way to log in; expected token:FILE, iap:CLIENT_ID"),
        ("basic:me", "--auth basic is no way to log in"),
        ("token:/no/such/file", "/no/such/file cannot be read: No such file or directory"),
        ("kfp", "--auth kfp finds no client_authentication_cookie"),
    ],
)
def test_a_login_that_cannot_be_is_one_clear_line(auth: str, message: str) -> None:
    with pytest.raises(PipelineError) as refused:
        remote_auth.login(auth, "http://h")
    assert message in str(refused.value) and "\n" not in str(refused.value)


def test_a_wait_outlives_an_endpoint_that_is_away_for_a_while(monkeypatch: pytest.MonkeyPatch, site: Any) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("pipeline.remote_connection.time.sleep", pauses.append)
    answers = [Told.json({"message": "upgrading"}, 503)] * 12
    kfp = Kfp()
    gate = site(lambda asked: answers.pop() if answers else kfp.answer(asked))
    assert [now.run.state for now in endpoint(gate.address, "").wait("r")] == ["SUCCEEDED"]
    assert max(pauses) == 16.0  # 2 s between looks, doubled for each look in vain
