"""How much a request may send. Whoever sends more is told so before it is kept anywhere."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.errors import PipelineError
from pipeline.server.guard import refuse

MIB = 1 << 20
UPLOAD_BYTES = 32 * MIB  # KFP's limit
OTHER_BYTES = 8 * MIB
_THROWN_AWAY_BYTES = 64 * MIB  # so that a client which sends first and reads later gets its answer


class Limits:
    """ASGI middleware: refuses bodies that are too large, by what they declare and by what really comes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        limit = limit_of(headers)
        declared = headers.get("content-length", "0")
        if not declared.isdecimal() or len(declared) > 18:
            await refuse(400, f"content-length {declared[:40]!r} is no number of bytes", 3)(scope, receive, send)
        elif int(declared) > limit:
            await _throw_away(receive)
            await refuse(400, _too_large(limit), 3)(scope, receive, send)
        else:
            await self._app(scope, _counting(receive, limit), send)


def limit_of(headers: Headers) -> int:
    """Most bytes of a body: files may be larger than JSON and forms."""
    return UPLOAD_BYTES if headers.get("content-type", "").startswith("multipart/form-data") else OTHER_BYTES


def _counting(receive: Receive, limit: int) -> Receive:
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise PipelineError(_too_large(limit))
        return message

    return counted


async def _throw_away(receive: Receive) -> None:
    seen = 0
    while seen < _THROWN_AWAY_BYTES:
        message = await receive()
        seen += len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body"):
            return


def _too_large(limit: int) -> str:
    return f"the request is larger than {limit // MIB} MiB, the most that is taken; send less"
