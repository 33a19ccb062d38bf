"""The digest behind a tag, over a registry on this machine that wants to know who asks."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipeline import image_pins, images, registry
from pipeline.errors import PipelineError

MANIFEST = b'{"schemaVersion": 2}'
DIGEST = "sha256:" + hashlib.sha256(MANIFEST).hexdigest()
IR = images.ROOT / "tests/dag/golden/demo.yaml"
BASIC = "Basic " + base64.b64encode(b"ann:secret").decode()


class Registry(ThreadingHTTPServer):
    """Has `team/steps:1`. `wants`: nothing, `Basic` or `Bearer`; `tells`: whether it names digests by itself."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.wants, self.tells, self.status, self.realm = "", True, 200, f"http://{self.host}/token"
        self.asked: list[str] = []

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Registry

    def do_HEAD(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        given = self.headers.get("authorization", "")
        if self.path.startswith("/token"):
            self.reply(200 if given == BASIC else 403, b'{"token": "short-lived"}')
        elif (
            self.server.wants and given not in {"Basic": (BASIC,), "Bearer": ("Bearer short-lived",)}[self.server.wants]
        ):
            self.reply(
                401, b"", **{"www-authenticate": f'{self.server.wants} realm="{self.server.realm}",service="me"'}
            )
        elif self.path != "/v2/team/steps/manifests/1":
            self.reply(404, b"")
        else:
            told = {"docker-content-digest": DIGEST} if self.server.tells else {}
            self.reply(self.server.status, MANIFEST, **told)

    do_GET = do_HEAD

    def reply(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        return


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Registry]:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    made = Registry()
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def logged_in(server: Registry, tmp_path: Path) -> None:
    """As after `docker login`."""
    auths = {server.host: {"auth": BASIC.removeprefix("Basic ")}}
    (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))


def test_a_registry_that_tells_is_asked_once(server: Registry) -> None:
    assert registry.digest(f"{server.host}/team/steps:1") == DIGEST
    assert server.asked == ["HEAD /v2/team/steps/manifests/1"]


def test_a_registry_that_does_not_tell_gives_the_manifest_whose_hash_it_is(server: Registry) -> None:
    server.tells = False
    assert registry.digest(f"{server.host}/team/steps:1") == DIGEST


@pytest.mark.parametrize("wants", ["Basic", "Bearer"])
def test_what_docker_login_has_kept_is_shown_when_it_is_asked_for(
    server: Registry, logged_in: None, wants: str
) -> None:
    server.wants = wants
    assert registry.digest(f"{server.host}/team/steps:1") == DIGEST


def test_a_token_is_asked_for_reading_this_repository_only(server: Registry, logged_in: None) -> None:
    server.wants = "Bearer"
    registry.digest(f"{server.host}/team/steps:1")
    assert "GET /token?service=me&scope=repository%3Ateam%2Fsteps%3Apull" in server.asked


@pytest.mark.parametrize("wants", ["Basic", "Bearer"])
def test_who_is_not_let_in_hears_how_to_log_in(server: Registry, wants: str) -> None:
    server.wants = wants
    with pytest.raises(
        PipelineError, match=f"does not let us read team/steps:1; log in with `docker login {server.host}`"
    ):
        registry.digest(f"{server.host}/team/steps:1")


def test_a_login_goes_nowhere_but_to_an_address_like_the_registrys_own(server: Registry, logged_in: None) -> None:
    server.wants, server.realm = "Bearer", "https://elsewhere.example/token"
    with pytest.raises(PipelineError, match="not safe"):
        registry.digest(f"{server.host}/team/steps:1")


def test_an_image_that_is_not_there_is_named(server: Registry) -> None:
    with pytest.raises(PipelineError, match="has no image team/other:latest; push it"):
        registry.digest(f"{server.host}/team/other")


def test_a_registry_in_trouble_is_said(server: Registry) -> None:
    server.status = 503
    with pytest.raises(PipelineError, match="answers 503 .* try again later"):
        registry.digest(f"{server.host}/team/steps:1")


def test_a_registry_that_does_not_answer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PipelineError, match="registry 127.0.0.1:9 cannot be asked .*; check the name, the network"):
        registry.digest("127.0.0.1:9/team/steps:1")
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere.pem")
    with pytest.raises(PipelineError, match="cannot be asked"):
        registry.digest("registry.invalid/team/steps:1")


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("python", ("docker.io", "library/python", "latest")),
        ("kfp/runtime:2", ("docker.io", "kfp/runtime", "2")),
        ("us-docker.pkg.dev/p/seamline/steps-cpu:0.2.0", ("us-docker.pkg.dev", "p/seamline/steps-cpu", "0.2.0")),
        ("localhost:5000/steps", ("localhost:5000", "steps", "latest")),
    ],
)
def test_a_name_has_dockers_defaults(image: str, parts: tuple[str, str, str]) -> None:
    assert registry._parts(image) == parts


def test_googles_credentials_go_to_googles_registries_only(monkeypatch: pytest.MonkeyPatch) -> None:
    import google.auth

    class Credentials:
        token = "of-google"

        def refresh(self, request: object) -> None:
            return

    monkeypatch.setattr(google.auth, "default", lambda scopes: (Credentials(), "project"))
    assert registry._google_token("us-docker.pkg.dev") == registry._google_token("eu.gcr.io") == "of-google"
    assert registry._google_token("evilgcr.io") == registry._google_token("pkg.dev.example.org") == ""


def test_a_pipeline_gets_the_digests_that_its_registries_tell_now() -> None:
    text = IR.read_text(encoding="utf-8")
    (image,) = image_pins.images_in(text)
    pinned = image_pins.by_registry(text, {image: DIGEST}.__getitem__)
    assert image_pins.images_in(pinned) == (f"{image.rpartition(':')[0]}@{DIGEST}",)
    assert image_pins.by_registry(pinned, {}.__getitem__) == pinned  # what does not move is not asked for


@pytest.mark.parametrize(
    "written", ['      image: "a.b:5000/x:1"\n', "      image: 'a.b:5000/x:1'\n", '{"image":"a.b:5000/x:1"}']
)
def test_images_are_found_however_they_are_quoted(written: str) -> None:
    assert image_pins.pinned(written, {"a.b:5000/x:1": "y@z"}) == written.replace("a.b:5000/x:1", "y@z")
