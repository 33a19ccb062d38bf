"""Who may talk to the server, and what browsers may do with its pages."""

import html
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from pipeline.server import login
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
    assert guarded.get("/", headers={"accept": "text/html"}).headers["location"] == "/login?next=%2F"
    assert guarded.get("/", headers={"authorization": f"Bearer {TOKEN[:-1]}x"}).status_code == 401
    assert guarded.get("/", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_the_token_is_traded_for_a_cookie_that_scripts_cannot_read(guarded):
    wrong = guarded.post("/login", data={"token": "nonsense-nonsense"})
    assert wrong.status_code == 403 and "set-cookie" not in wrong.headers
    right = guarded.post("/login", data={"token": TOKEN})
    assert right.status_code == 303
    assert {"httponly", "samesite=strict"} <= {part.strip().lower() for part in right.headers["set-cookie"].split(";")}
    assert guarded.get("/").status_code == 200


def test_after_the_token_comes_the_page_that_was_asked_for(guarded):
    asked = "/runs/latest?tab=tasks&q=a%26b%20c"
    sent_to = guarded.get(asked, headers={"accept": "text/html"}).headers["location"]
    form = guarded.get(sent_to).text
    value = html.unescape(form.split('name="next" value="')[1].split('"')[0])
    assert value == asked
    assert 'value="/runs/latest' in guarded.post("/login", data={"token": "wrong", "next": value}).text
    assert guarded.post("/login", data={"token": TOKEN, "next": value}).headers["location"] == asked


@pytest.mark.parametrize(
    "foreign",
    ["https://attacker.example/", "//attacker.example", "/\\attacker.example", "/\t/attacker.example", "/\n/a.example",
     "javascript:alert(1)", "attacker.example", "", "/runs\r\nset-cookie: a=b", "/é"],
)  # fmt: skip
def test_after_the_token_nobody_is_sent_to_another_site(guarded, foreign):
    assert guarded.post("/login", data={"token": TOKEN, "next": foreign}).headers["location"] == "/"
    assert 'name="next" value="/"' in guarded.get("/login", params={"next": foreign}).text


@given(st.text(max_size=30) | st.text("/\\.:@ \t\n\0a", max_size=12))
def test_whatever_is_asked_for_stays_on_this_host(asked):
    base = "http://10.0.0.5:8080/login"
    found = urlsplit(urljoin(base, login.wanted(asked).replace("\\", "/")))  # as browsers read an address
    assert (found.scheme, found.netloc) == ("http", "10.0.0.5:8080")


def test_a_field_that_is_sent_as_a_file_is_refused_in_one_line(client):
    for path, name in (("/login", "token"), ("/seen", "until"), ("/submit", "recipe"), ("/schedules/new", "source")):
        answer = client.post(path, files={name: ("a.txt", b"text")}, headers={"accept": "application/json"})
        assert (answer.status_code, answer.json()["message"]) == (
            400,
            f"the field '{name}' was sent as a file; send it as text",
        )


def test_the_token_in_the_address_opens_nothing(guarded):
    assert guarded.get("/", params={"token": TOKEN}).status_code == 401


def test_every_answer_forbids_foreign_scripts_and_framing(client):
    for path in ("/", "/nowhere", "/login"):
        policy = client.get(path).headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy


def test_an_unknown_address_is_a_page_for_people_and_json_for_programs(client):
    assert "<h1>Not found</h1>" in client.get("/nowhere", headers={"accept": "text/html"}).text
    assert client.get("/apis/v2beta1/nowhere").json()["code"] == 5
