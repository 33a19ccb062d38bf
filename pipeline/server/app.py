"""The server: KFP's API, our extensions, the console. Put together here; the work is in the modules."""

import contextlib
import importlib
import pkgutil
import threading
from collections.abc import AsyncIterator, Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute

from pipeline.errors import Conflict, NotFound, PipelineError
from pipeline.server import api, assets, health, live, login, pages, rendering
from pipeline.server.guard import Access, Guard
from pipeline.server.limits import Limits
from pipeline.server.services import Services

API_PREFIXES = ("/apis/", "/seamline/")
_STATUS: Sequence[tuple[type[PipelineError], int, int]] = (  # error, HTTP status, gRPC code
    (NotFound, 404, 5),
    (Conflict, 409, 9),
    (PipelineError, 400, 3),
)


def create_app(services: Services, access: Access, stopping: threading.Event | None = None) -> Starlette:
    """The whole server as an ASGI application.

    Args:
        services: the state folder and what is known of our own pipelines.
        access: who may talk to it.
        stopping: set when the server is about to end, so that streams end.
    """
    app = Starlette(
        routes=[*_routes(), *live.routes, *login.routes, *health.routes, *assets.routes],
        middleware=[Middleware(Guard, access=access), Middleware(Limits)],
        exception_handlers={PipelineError: refused, HTTPException: unknown, ClientDisconnect: gone},
        lifespan=_lifespan,
    )
    app.state.services = services
    app.state.access = access
    app.state.stopping = stopping or threading.Event()
    return app


def _routes() -> list[BaseRoute]:
    """The routes of every module of `api` and `pages`; a module is found by being there."""
    found: list[BaseRoute] = []
    for package in (api, pages):
        for module in sorted(m.name for m in pkgutil.iter_modules(package.__path__)):
            found += getattr(importlib.import_module(f"{package.__name__}.{module}"), "routes", [])
    return found


@contextlib.asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    yield
    app.state.stopping.set()


def refused(request: Request, error: Exception) -> Response:
    """What the user can mend, in one line: as JSON for programs, as a page for people."""
    status, code = next((s, c) for kind, s, c in _STATUS if isinstance(error, kind))
    return failure(request, status, code, str(error))


def unknown(request: Request, error: Exception) -> Response:
    """An address that does not exist, or a method that it does not know."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = f"there is nothing at {request.url.path}" if status == 404 else str(getattr(error, "detail", error))
    return failure(request, status, {404: 5, 405: 12}.get(status, 3), detail)


def gone(request: Request, error: Exception) -> Response:
    """Whoever asked hung up while sending: nobody reads this answer, and it is no error of ours to log."""
    return PlainTextResponse("the request ended before all of it was sent", 400)


def failure(request: Request, status: int, code: int, message: str) -> Response:
    """An error in the form that whoever asked can read."""
    if request.url.path.startswith(API_PREFIXES) or rendering.wants_json(request):
        return JSONResponse({"code": code, "message": message, "details": []}, status)
    return rendering.respond(request, "failure.html", {"status": status, "message": message}, status)
