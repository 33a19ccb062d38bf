"""What stands before a KFP endpoint, on localhost: a gate that wants a token, Google, IAP, a proxy."""

import base64
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from pipeline import remote_auth
from pipeline.remote import Endpoint

Json = dict[str, Any]
TOKEN = "a-token-that-nobody-may-see"
CLIENT_ID = "1234.apps.googleusercontent.com"
LOGIN_PAGE = "<!doctype html><title>Log in</title><form method='post'></form>"


@dataclass(frozen=True)
class Asked:
    """A request as it came in; `path` without its query."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes = b""
    target: str = ""

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}


@dataclass(frozen=True)
class Told:
    """An answer."""

    status: int = 200
    body: str = "{}"
    headers: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def json(body: Json, status: int = 200) -> "Told":
        return Told(status, json.dumps(body), {"content-type": "application/json"})

    @staticmethod
    def page(text: str = LOGIN_PAGE, status: int = 200) -> "Told":
        return Told(status, text, {"content-type": "text/html"})

    @staticmethod
    def to(address: str, **headers: str) -> "Told":
        return Told(302, "", {"location": address, **headers})


class Site:
    """A server of its own thread on localhost that answers as a function says; `seen` are the requests."""

    def __init__(self, answer: Callable[[Asked], Told], certificate: Path | None = None) -> None:
        self.seen: list[Asked] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                parts = urlsplit(self.path)
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(length)
                asked = Asked(self.command, parts.path, parse_qs(parts.query), headers, body, self.path)
                site.seen.append(asked)
                told = answer(asked)
                self.send_response(told.status)
                for name, value in told.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(told.body.encode())))
                self.end_headers()
                self.wfile.write(told.body.encode())

            do_GET = do_POST = handle_one

            def log_message(self, *_: Any) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.address = f"http{'s' if certificate else ''}://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def self_signed(folder: Path) -> Path:
    """A file with a key and a certificate for 127.0.0.1 that no authority has signed."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kfp")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    kind = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, *kind) + made.public_bytes(serialization.Encoding.PEM)
    file = folder / "certificate.pem"
    file.write_bytes(pem)
    return file


class Kfp:
    """A KFP that has one run, which passes through `states`, one a look."""

    def __init__(self, *states: str) -> None:
        self.states = list(states) or ["SUCCEEDED"]

    def answer(self, asked: Asked) -> Told:
        if asked.path.endswith("/runs"):
            return Told.json({"runs": [self._run("r")]})
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return Told.json({**self._run("r"), "state": state})

    def _run(self, run_id: str) -> Json:
        return {"run_id": run_id, "display_name": "one", "state": self.states[0], "created_at": "2026-01-01T00:00:00Z"}


def id_token(audience: str, number: int, lives_s: float = 3600) -> str:
    """An ID token as Google's would look; nobody here checks its signature."""
    parts: list[Json] = [{"alg": "RS256"}, {"aud": audience, "exp": int(time.time() + lives_s), "n": number}]
    return (
        ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + ".c2ln"
    )


class Google:
    """Google's token service: gives ID tokens, each other than the last. `lives_s`: seconds that they live."""

    def __init__(self, lives_s: float = 3600) -> None:
        self.lives_s = lives_s
        self.given: list[str] = []

    def answer(self, asked: Asked) -> Told:
        form = asked.form
        audience = form.get("audience") or _claims(form["assertion"])["target_audience"]
        self.given.append(id_token(audience, len(self.given), self.lives_s))
        return Told.json({"id_token": self.given[-1], "expires_in": self.lives_s})


def _claims(token: str) -> Json:
    part = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


class Behind(Protocol):
    """What stands behind a gate."""

    def answer(self, asked: Asked) -> Told: ...


class Iap:
    """Google's Identity-Aware Proxy: lets in who brings the newest token for its client id, and forgets older ones.

    A good token in `Proxy-Authorization` leaves `Authorization` to what is behind; otherwise that one is IAP's own,
    and what is behind sees neither.
    """

    def __init__(self, behind: Behind, google: Google, client_id: str) -> None:
        self.behind, self.google, self.client_id = behind, google, client_id

    def answer(self, asked: Asked) -> Told:
        given = [asked.headers.get(name, "") for name in ("proxy-authorization", "authorization")]
        if not any(given):
            return Told.to("https://accounts.google.com/o/oauth2/v2/auth?client_id=x&state=SECRETSTATE")
        passed = {name: value for name, value in asked.headers.items() if name != "proxy-authorization"}
        if not self._admits(given[0]):
            if not self._admits(given[1]):
                return Told.page(f"Invalid IAP credentials: {' '.join(given)}", 401)
            del passed["authorization"]
        return self.behind.answer(replace(asked, headers=passed))

    def _admits(self, given: str) -> bool:
        token = given.removeprefix("Bearer ")
        return token in self.google.given[-1:] and _claims(token)["aud"] == self.client_id


def forwarding(asked: Asked) -> Told:
    """A plain HTTP proxy: fetches what stands in the request line."""
    kept = {name: value for name, value in asked.headers.items() if name in ("authorization", "content-type", "accept")}
    with httpx.Client(trust_env=False) as client:
        got = client.request(asked.method, asked.target, headers=kept, content=asked.body)
    return Told(got.status_code, got.text, {"content-type": got.headers.get("content-type", "")})


def endpoint(host: str, auth: str, token: Path | None = None) -> Endpoint:
    """An endpoint as `--host`, `--auth` and `--token-file` make it."""
    return Endpoint(host, remote_auth.login_of(auth, token, host))
