"""From a request to a handler and back: handlers are plain functions of a `Call`, and run in threads."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pipeline.errors import PipelineError
from pipeline.server.api import fields
from pipeline.server.services import Services

PREFIX = "/apis/v2beta1"
OWN = "/seamline/v1"
Handler = Callable[["Call"], Any]


@dataclass(frozen=True)
class Call:
    """One request: its services, what its address says, and its JSON body (an empty object when there is none)."""

    request: Request
    body: fields.Fields

    @property
    def services(self) -> Services:
        """The state folder and what is known of our own pipelines."""
        services: Services = self.request.app.state.services
        return services

    @property
    def now(self) -> float:
        """The time."""
        return self.services.clock.now()

    def path(self, name: str) -> str:
        """A part of the path."""
        return str(self.request.path_params[name])

    def query(self, name: str) -> str:
        """A value of the query, empty when missing."""
        return str(self.request.query_params.get(name, ""))

    def whole(self, name: str, default: int) -> int:
        """A whole number of the query.

        Raises:
            PipelineError: it is none.
        """
        text = self.query(name)
        if not text:
            return default
        if len(text) > 18 or not text.lstrip("-").isdecimal() or not text.isascii():
            raise PipelineError(f"{name}={text[:40]!r} is no whole number")
        try:
            return int(text)
        except ValueError:
            raise PipelineError(f"{name}={text[:40]!r} is no whole number") from None


def route(method: str, path: str, handler: Handler, prefix: str = PREFIX) -> Route:
    """A route whose handler answers with what becomes JSON, or with a response of its own."""

    async def endpoint(request: Request) -> Response:
        call = Call(request, fields.Fields(await _body(request)))
        answer = await run_in_threadpool(handler, call)
        return answer if isinstance(answer, Response) else JSONResponse(answer)

    endpoint.__doc__ = handler.__doc__
    return Route(prefix + path, endpoint, methods=[method], name=handler.__name__)


def streaming(path: str, endpoint: Callable[[Request], Coroutine[Any, Any, Response]]) -> Route:
    """A route of our own that answers with server-sent events."""
    return Route(OWN + path, endpoint, methods=["GET"], name=endpoint.__name__)


async def _body(request: Request) -> Any:
    raw = await request.body() if request.method in ("POST", "PUT", "PATCH") else b""
    return fields.read(raw, "the body") if raw.strip() else {}
