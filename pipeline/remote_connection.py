"""The wire to a KFP endpoint: what is sent again, and what an answer that is not KFP's means."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from pipeline.errors import Conflict, NotFound, PipelineError
from pipeline.remote_auth import Login, is_refusal

PREFIX = "/apis/v2beta1"
TIMEOUT_S = 30.0
TRIES = 4
MULTI_USER = "multi-user mode"  # stands in every refusal of KFP's for want of a namespace
NEEDS_NAMESPACE = "; name your profile with --namespace (`seamline serve`: --kfp-namespace)"
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout)  # the request has not arrived, so repeating it is safe
_BUSY = (429, 502, 503, 504)


class Unreachable(PipelineError):
    """The endpoint does not answer now; it may do so later."""


class Connection:
    """Speaks JSON to one endpoint.

    Proxies (`HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`) and own certificates (`SSL_CERT_FILE`) come from the environment.

    Args:
        host: its address, for instance `http://127.0.0.1:8080`; a path in it is kept.
        login: who we are, None for nobody.
        client: an HTTP client to use instead of an own one.

    Raises:
        PipelineError: no address, or certificates that cannot be read.
    """

    def __init__(self, host: str, login: Login | None = None, client: httpx.Client | None = None) -> None:
        self.host = _checked(host)
        self.login = login
        try:
            self._client = client or httpx.Client(base_url=self.host, timeout=TIMEOUT_S)
        except (OSError, ValueError, httpx.InvalidURL) as error:  # ssl.SSLError is an OSError
            raise PipelineError(f"{host} cannot be spoken to: {error}; check SSL_CERT_FILE and the proxies") from error
        if login:
            self._client.auth = login

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """Looks at something."""
        return self._answer(self.send("GET", PREFIX + path, params=query), path)

    def look(self, path: str) -> dict[str, Any]:
        """What another API than KFP's says at the same address; empty where there is none."""
        answer = self.send("GET", path)
        if is_refusal(answer):
            raise PipelineError(self._refusal(answer))
        return (_object(answer) if answer.is_success else None) or {}

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Makes or changes something."""
        return self._answer(self.send("POST", PREFIX + path, json=body or {}), path)

    def upload(self, path: str, text: str, **query: str) -> dict[str, Any]:
        """Sends a compiled pipeline as a file."""
        files = {"uploadfile": ("pipeline.yaml", text.encode(), "application/yaml")}
        return self._answer(self.send("POST", PREFIX + path, params=query, files=files), path)

    def send(self, method: str, path: str, **what: Any) -> httpx.Response:
        """Sends; repeats what cannot have had an effect: a look, or what has not arrived."""
        for attempt in range(1, TRIES + 1):
            try:
                answer = self._client.request(method, path, **what)
                if method != "GET" or answer.status_code not in _BUSY or attempt == TRIES:
                    return answer
            except httpx.HTTPError as error:
                if attempt == TRIES or not (method == "GET" or isinstance(error, _UNSENT)):
                    told = self._hidden(str(error) or type(error).__name__)
                    raise Unreachable(f"{self.host} does not answer ({told}); {self._way(told)}") from None
            time.sleep(0.1 * 2**attempt)
        raise AssertionError("unreachable")

    def _way(self, told: str) -> str:
        """What to look at when nobody answers. A proxy is named without user and password."""
        if "CERTIFICATE_VERIFY" in told:
            return "name its certificates in SSL_CERT_FILE"
        parts = urlsplit(self.host)
        proxy = urlsplit(getproxies().get(parts.scheme, "")).hostname
        if proxy and not proxy_bypass(parts.hostname or ""):
            return f"check --host and the proxy {proxy}, or name the host in NO_PROXY"
        return "check --host, and that it runs"

    def _hidden(self, text: str) -> str:
        return self.login.hide(text) if self.login else text

    def _answer(self, answer: httpx.Response, path: str) -> dict[str, Any]:
        if is_refusal(answer):
            raise PipelineError(self._refusal(answer))
        body = _object(answer)
        if answer.is_success:
            if body is None:
                kind = answer.headers.get("content-type", "nothing").partition(";")[0]
                raise PipelineError(
                    f"{self.host} answers {kind} instead of KFP's JSON: a login page, or the address of something "
                    "else; check --host (Kubeflow's own ends in /pipeline) and --auth"
                )
            return body
        raise self._error(answer, path, str((body or {}).get("message") or answer.reason_phrase or answer.status_code))

    def _error(self, answer: httpx.Response, path: str, message: str) -> PipelineError:
        message, code = self._hidden(message), answer.status_code
        if code == httpx.codes.NOT_FOUND:
            return NotFound(f"{self.host} has no {path.strip('/')}: {message}")
        if code == httpx.codes.FORBIDDEN:
            return PipelineError(f"{self.host} forbids {path.strip('/')}: {message}; {self._fix()}")
        kind = Conflict if code == httpx.codes.CONFLICT else Unreachable if code in _BUSY else PipelineError
        fix = NEEDS_NAMESPACE if MULTI_USER in message else ""
        return kind(f"{self.host} refused {path.strip('/')}: {message}{fix}")

    def _refusal(self, answer: httpx.Response) -> str:
        if answer.is_redirect:
            there = answer.next_request.url if answer.next_request else httpx.URL(self.host)
            return f"{self.host} wants a login at {there.scheme}://{there.netloc.decode()}{there.path}; {self._fix()}"
        return f"{self.host} does not accept who we are ({answer.status_code}); {self._fix()}"

    def _fix(self) -> str:
        return self.login.fix if self.login else "say who you are with --auth (see docs/remote.md)"


def _checked(host: str) -> str:
    """The address, without a slash at its end."""
    expected = "expected http://HOST:PORT or https://HOST, with a path where Kubeflow has one"
    try:
        parts = urlsplit(host)
        (parts.hostname or "").encode("idna")
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port out of range, a name too long, half a bracket
        is_address = False
    if not is_address or not host.isprintable() or " " in host:
        raise PipelineError(f"{host!r} is no address; {expected}")
    if "@" in parts.netloc:
        raise PipelineError("--host holds a user or a password, which every message would show; give --auth instead")
    if parts.query or parts.fragment:
        raise PipelineError(f"--host {host}: what begins with ? or # is no part of an endpoint's address; {expected}")
    return host.rstrip("/")


def named(name: str) -> str:
    """KFP's filter for exactly this display name."""
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": "display_name", "stringValue": name}]})


def id_of(body: Mapping[str, Any], key: str) -> str:
    """The id in an answer.

    Raises:
        PipelineError: there is none: the endpoint speaks JSON, but not KFP's v2beta1.
    """
    if not body.get(key):
        raise PipelineError(f"the answer has no {key}; check that --host is an endpoint of KFP 2 (v2beta1)")
    return str(body[key])


def found_or_made(find: Callable[[], str], make: Callable[[], str]) -> str:
    """The id of what there may be one of only; looked for again when somebody else has made it meanwhile.

    Args:
        find: gives the id, empty while there is none.
        make: makes one and gives its id.

    Raises:
        Conflict: the endpoint has it, and does not show it.
    """
    found = find()
    if found:
        return found
    try:
        return make()
    except Conflict:
        found = find()
        if not found:
            raise
        return found


def _object(answer: httpx.Response) -> dict[str, Any] | None:
    """The JSON object of an answer; None for anything else."""
    try:
        body = answer.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None
