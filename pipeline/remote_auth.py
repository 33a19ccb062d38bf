"""Who we are to a KFP endpoint: a token, Google's IAP, Dex or another cookie, a Kubernetes service account.

One text chooses (`--auth`, `SEAMLINE_AUTH`). A secret is read or made again when the endpoint refuses it, so that a
wait of days outlives a token of an hour. No secret gets into a message or a log.
"""

import json
import os
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from pipeline import dex
from pipeline.errors import PipelineError

SERVICE_ACCOUNT_ENV = "KF_PIPELINES_SA_TOKEN_PATH"
SERVICE_ACCOUNT_TOKEN = Path("/var/run/secrets/kubeflow/pipelines/token")  # where kfp's own client looks, too
KFP_FOLDER = Path("~/.config/kfp")
GOOGLE_TOKENS = "https://oauth2.googleapis.com/token"
TIMEOUT_S = 30.0
_EARLY_S = 120.0  # a token that ends sooner is renewed before it is used
_HIDDEN = "[hidden]"
Fetch = Callable[[bool], str]


@dataclass
class Login(httpx.Auth):
    """Puts a secret into every request; two where one gate stands behind another.

    Attributes:
        fetch: gives the secret; its argument asks for a fresh one, because the last was refused.
        fix: what the user can do when it is refused for good.
        header: where the secret goes.
        prefix: what stands before it there.
        namespace: the Kubernetes namespace that comes with this login, empty for none.
        behind: the login of the gate behind this one, in another header; None where there is none.
    """

    fetch: Fetch
    fix: str
    header: str = "authorization"
    prefix: str = "Bearer "
    namespace: str = ""
    behind: "Login | None" = None
    _sent: str = ""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sends; once more with a fresh secret where the first was refused, which had no effect."""
        for fresh in (False, True):
            if not self._sign(request, fresh) and fresh:
                return
            response = yield request
            if not is_refusal(response):
                return

    def _sign(self, request: httpx.Request, fresh: bool) -> bool:
        """Whether any secret is another than the one that was sent last."""
        secret, before = self.fetch(fresh), self._sent
        self._sent = secret
        request.headers[self.header] = self.prefix + secret
        is_other_behind = self.behind is not None and self.behind._sign(request, fresh)
        return secret != before or is_other_behind

    def hide(self, text: str) -> str:
        """The text without the secrets, should an endpoint repeat them in an error."""
        shown = text.replace(self._sent, _HIDDEN) if self._sent else text
        return self.behind.hide(shown) if self.behind else shown


def is_refusal(response: httpx.Response) -> bool:
    """Whether somebody in front of the endpoint wants to know who we are: 401, a way to a login page, or the page.

    oauth2-proxy shows its page with 403 at the address that was asked for; KFP's own 403 is JSON.
    """
    is_page = response.headers.get("content-type", "").startswith("text/html")
    is_login_page = response.status_code == httpx.codes.FORBIDDEN and is_page
    return response.status_code == httpx.codes.UNAUTHORIZED or response.is_redirect or is_login_page


def login_of(auth: str, token: Path | None, host: str) -> Login | None:
    """Reads `--auth` and `--token-file`: together, IAP's token and that of the console behind it.

    IAP looks into `Proxy-Authorization` first, and hands on `Authorization` unread when it finds its token there:
    https://cloud.google.com/iap/docs/authentication-howto#authenticating_from_proxy-authorization_header

    Raises:
        PipelineError: what `login` refuses, or a token beside another `--auth` than IAP's.
    """
    gate = login(auth, host)
    if token is None:
        return gate
    inner = token_file(token)
    if gate is None:
        return inner
    if not auth.startswith("iap:"):
        raise PipelineError(
            f"--token-file {token} goes with --auth iap:CLIENT_ID only, not with {auth.partition(':')[0]}; "
            "give one of the two"
        )
    return replace(gate, header="proxy-authorization", fix=f"{gate.fix}; {inner.fix}", behind=inner)


def login(text: str, host: str) -> Login | None:
    """Reads `--auth`.

    Args:
        text: `token:FILE`, `iap:CLIENT_ID`, `dex:FILE`, `cookie:FILE`, `serviceaccount[:FILE]` or `kfp`; empty for
            none.
        host: the endpoint, where `dex` logs in.

    Raises:
        PipelineError: another text, or a file that cannot be read.
    """
    kind, _, value = text.partition(":")
    path = Path(value).expanduser()
    match kind:
        case "":
            return None
        case "token" if value:
            return token_file(path)
        case "iap" if value:
            return iap(value)
        case "dex" if value:
            return _dex(host, path)
        case "cookie" if value:
            return cookie_file(path)
        case "serviceaccount":
            return token_file(path if value else _service_account())
        case "kfp" if not value:
            return _kfp_context()
    raise PipelineError(
        f"--auth {kind or text} is no way to log in; expected token:FILE, iap:CLIENT_ID, dex:FILE, cookie:FILE, "
        "serviceaccount or kfp"
    )


def token_file(path: Path) -> Login:
    """A token that somebody else renews in its file, as the kubelet does: it is read for every request."""
    _line(path)
    return Login(lambda fresh: _line(path), f"put a valid token into {path}")


def cookie_file(path: Path) -> Login:
    """The `Cookie` header of a browser that has logged in."""
    _line(path)
    fix = f"log in with a browser and put its cookie into {path}"
    return Login(lambda fresh: _line(path), fix, header="cookie", prefix="")


def iap(client_id: str, kfp_folder: Path = KFP_FOLDER, tokens: str = GOOGLE_TOKENS) -> Login:
    """ID tokens for Google's Identity-Aware Proxy.

    Made from the refresh token that KFP's own client has kept for this OAuth client, else by the application default
    credentials of a service account (its key file, impersonation, or the machine's metadata server).
    """
    kept = _json(kfp_folder.expanduser() / "credentials.json").get(client_id, {})
    made = _by_refresh_token(client_id, kept, tokens) if kept.get("refresh_token") else _by_default(client_id)
    fix = f"give this account the role IAP-secured Web App User, and check the OAuth client id {client_id}"
    return Login(_cached(made), fix)


def _dex(host: str, path: Path) -> Login:
    lines = [line.strip() for line in _read(path).splitlines()]
    if len(lines) not in (2, 3) or not all(lines):
        raise PipelineError(
            f"--auth dex:{path} needs two lines in the file: the user's e-mail address and the password; and in a "
            "third one the host of a Dex that is not at the endpoint's own"
        )
    user, password, dex_host = (*lines, "")[:3]
    kept: dict[str, str] = {}

    def fetch(fresh: bool) -> str:
        if fresh or not kept:
            kept["cookie"] = dex.session(host, user, password, dex_host)
        return kept["cookie"]

    return Login(fetch, f"check the user and the password in {path}", header="cookie", prefix="")


def _kfp_context() -> Login:
    """What KFP's own client keeps: the cookie of its login and the namespace."""
    file = KFP_FOLDER.expanduser() / "context.json"
    cookie = str(_json(file).get("client_authentication_cookie") or "")
    if not cookie:
        raise PipelineError(
            f"--auth kfp finds no client_authentication_cookie in {file}; log in with KFP's client first"
        )
    namespace = str(_json(file).get("namespace") or "")
    fetch: Fetch = lambda fresh: str(_json(file).get("client_authentication_cookie") or cookie)  # noqa: E731
    return Login(fetch, "log in with KFP's client again", header="cookie", prefix="", namespace=namespace)


def _service_account() -> Path:
    return Path(os.environ.get(SERVICE_ACCOUNT_ENV) or SERVICE_ACCOUNT_TOKEN)


def _cached(make: Callable[[], tuple[str, float]]) -> Fetch:
    """Keeps a token until shortly before its end; `make` gives a token and the seconds that it lives."""
    token, ends = "", 0.0

    def fetch(fresh: bool) -> str:
        nonlocal token, ends
        if fresh or time.monotonic() > ends - _EARLY_S:
            token, lives = make()
            ends = time.monotonic() + lives
        return token

    return fetch


def _by_refresh_token(client_id: str, kept: dict[str, Any], tokens: str) -> Callable[[], tuple[str, float]]:
    asked = {
        "client_id": kept.get("other_client_id"),
        "client_secret": kept.get("other_client_secret"),
        "refresh_token": kept["refresh_token"],
        "grant_type": "refresh_token",
        "audience": client_id,
    }

    def make() -> tuple[str, float]:
        try:
            body = httpx.post(tokens, data=asked, timeout=TIMEOUT_S).raise_for_status().json()
            return str(body["id_token"]), float(body.get("expires_in", 3600))
        except (httpx.HTTPError, ValueError, KeyError) as error:
            where = urlsplit(tokens).hostname
            raise PipelineError(
                f"{where} gives no ID token for the login that KFP's client has kept ({type(error).__name__}); "
                "log in with KFP's client again"
            ) from None

    return make


def _by_default(client_id: str) -> Callable[[], tuple[str, float]]:
    def make() -> tuple[str, float]:
        from google.auth.exceptions import GoogleAuthError
        from google.auth.transport.requests import Request
        from google.oauth2 import id_token

        try:
            request = Request()
            made: Any = id_token.fetch_id_token_credentials(client_id, request=request)  # type: ignore[no-untyped-call]
            made.refresh(request)
        except GoogleAuthError as error:
            raise PipelineError(
                f"--auth iap: no ID token can be made here ({str(error).splitlines()[0]}); "
                "name a service account's key in GOOGLE_APPLICATION_CREDENTIALS, or log in with KFP's client once"
            ) from None
        return str(made.token), made.expiry.timestamp() - _utc_now(made.expiry)

    return make


def _utc_now(like: Any) -> float:
    """Now, as a naive UTC time such as Google's library uses tells it."""
    from datetime import UTC, datetime

    now = datetime.now(UTC)
    return (now if like.tzinfo else now.replace(tzinfo=None)).timestamp()


def _line(path: Path) -> str:
    text = _read(path)
    if "\n" in text:
        raise PipelineError(f"{path} has several lines; expected the secret alone, on one line")
    return text


def _read(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise PipelineError(f"{path} cannot be read: {getattr(error, 'strerror', '') or 'it is no text'}") from None
    if not text or not all(line.isascii() and line.isprintable() for line in text.splitlines()):
        raise PipelineError(f"{path} holds no usable secret; expected plain letters")
    return text


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
