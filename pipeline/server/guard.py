"""Who may talk to the server, and what a browser may do with its pages.

On this machine alone (127.0.0.1) there is no password: whoever can connect is the user. What can then still go wrong
is another page in the user's browser, so requests that name a foreign host (DNS rebinding) or come from a foreign page
(cross-site writes) are refused. Any other address needs a token: `Authorization: Bearer`, or a cookie after `/login`.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.server.assets import content_policy

COOKIE = "seamline"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN_PATHS = ("/login", "/static/", "/healthz", "/readyz")  # no secret there, and asked before there is a cookie
HEADERS: Mapping[str, str] = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


@dataclass(frozen=True)
class Access:
    """Who may talk to the server. `token` empty: this machine only."""

    token: str = ""

    def admits(self, headers: Headers, cookie: str) -> bool:
        """Whether a request carries the token, if one is needed."""
        if not self.token:
            return True
        scheme, _, given = headers.get("authorization", "").partition(" ")
        return self.is_token(given.strip() if scheme.lower() == "bearer" else cookie)

    def is_token(self, given: str) -> bool:
        """Compares in constant time."""
        return hmac.compare_digest(given.encode(), self.token.encode())


class Guard:
    """ASGI middleware: refuses what may not in, and adds the security headers to what goes out."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("content-security-policy", content_policy())
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._access.token and _without_port(host) not in LOOPBACK:
            return refuse(403, f"host {host!r} is not this machine; open http://127.0.0.1")
        if scope["method"] not in SAFE_METHODS and _is_foreign(headers, host):
            return refuse(403, "a page of another site sent this; use the console itself")
        if scope["path"].startswith(OPEN_PATHS) or self._access.admits(headers, _cookie(headers)):
            return None
        if "text/html" in headers.get("accept", "") and scope["method"] == "GET":
            return RedirectResponse("/login?" + urlencode({"next": _asked_for(scope)}), 303)
        return refuse(401, "this server needs its token; send it as `Authorization: Bearer TOKEN`, or open /login", 16)


def refuse(status: int, message: str, code: int = 7) -> Response:
    """An error in the API's form; `code` is gRPC's (7 permission denied, 16 unauthenticated)."""
    return JSONResponse({"code": code, "message": message, "details": []}, status)


def _asked_for(scope: Scope) -> str:
    """Path and query of a request, as they were sent."""
    path: bytes = (scope.get("raw_path") or scope["path"].encode()).partition(b"?")[0]
    query: bytes = scope["query_string"]
    return (path + b"?" + query if query else path).decode("latin-1")


def _cookie(headers: Headers) -> str:
    """The token in the cookie. http.cookies gives up at the first odd cookie of another program on the same host."""
    pairs = (part.strip().partition("=") for part in headers.get("cookie", "").split(";"))
    return next((value for name, _, value in pairs if name == COOKIE), "")


def _is_foreign(headers: Headers, host: str) -> bool:
    """Whether a browser says that another site's page made it send this."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2] != host


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name.lower() if colon and port.isdigit() else host.lower()
