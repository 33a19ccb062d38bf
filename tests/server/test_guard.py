"""Who may talk to the server, and what browsers may do with its pages."""

import pytest
from starlette.testclient import TestClient

from pipeline.server.app import create_app
from pipeline.server.guard import Access

TOKEN = "0123456789abcdef0123"


@pytest.fixture
def guarded(services):
    with TestClient(
        create_app(services, Access(TOKEN)), base_url="http://10.0.0.5:8080", follow_redirects=False
    ) as made:
        yield made


def test_a_request_for_a_foreign_host_name_is_refused_because_it_may_be_dns_rebinding(client):
    assert client.get("/", headers={"host": "attacker.example"}).status_code == 403
    assert client.get("/", headers={"host": "localhost:8080"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://attacker.example"},
        {"sec-fetch-site": "cross-site"},
        {"origin": "null"},
        {"origin": "http://["},
    ],
)
def test_a_write_that_another_sites_page_sends_is_refused(client, headers):
    assert client.post("/login", headers=headers, data={"token": "x"}).status_code == 403


def test_a_write_of_a_program_without_browser_headers_is_let_in(client):
    assert client.post("/logout").status_code == 303


def test_with_a_token_nothing_is_shown_without_it(guarded):
    assert guarded.get("/apis/v2beta1/healthz").status_code == 401
    assert guarded.get("/", headers={"accept": "text/html"}).headers["location"] == "/login"
    assert guarded.get("/", headers={"authorization": f"Bearer {TOKEN[:-1]}x"}).status_code == 401
    assert guarded.get("/", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_the_token_is_traded_for_a_cookie_that_scripts_cannot_read(guarded):
    wrong = guarded.post("/login", data={"token": "nonsense-nonsense"})
    assert wrong.status_code == 403 and "set-cookie" not in wrong.headers
    right = guarded.post("/login", data={"token": TOKEN})
    assert right.status_code == 303
    assert {"httponly", "samesite=strict"} <= {part.strip().lower() for part in right.headers["set-cookie"].split(";")}
    assert guarded.get("/").status_code == 200


def test_the_token_in_the_address_opens_nothing(guarded):
    assert guarded.get("/", params={"token": TOKEN}).status_code == 401


def test_every_answer_forbids_foreign_scripts_and_framing(client):
    for path in ("/", "/nowhere", "/login"):
        policy = client.get(path).headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy


def test_an_unknown_address_is_a_page_for_people_and_json_for_programs(client):
    assert "<h1>Not found</h1>" in client.get("/nowhere", headers={"accept": "text/html"}).text
    assert client.get("/apis/v2beta1/nowhere").json()["code"] == 5
