"""`/rounds`: what data do we have, and what did it start?"""

from dataclasses import fields
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from pipeline.errors import NotFound, PipelineError
from pipeline.server import form_fields, rendering
from pipeline.server.domain.rounds import Rounds, Wish


def rounds(request: Request) -> Response:
    """All rounds of all watched folders."""
    return _page(request, Wish())


async def watch(request: Request) -> Response:
    """Has the server watch a folder."""
    given = await form_fields.read(request)
    wish = Wish(**{f.name: given[f.name] for f in fields(Wish) if f.name in given})
    return await run_in_threadpool(_watch, request, wish)


def _watch(request: Request, wish: Wish) -> Response:
    services = request.app.state.services
    try:
        source_id = _known(request).watch(services.store, wish, services.clock.now())
        _known(request).look(services.store, source_id)
    except PipelineError as error:
        return _page(request, wish, str(error))
    return RedirectResponse("/rounds", 303)


async def act(request: Request) -> Response:
    """Look now, pause, resume, forget, backfill."""
    form = await form_fields.read(request)
    chosen, mode = form.getlist("round"), form.get("mode", "coalesce")
    return await run_in_threadpool(_act, request, chosen, mode)


def _act(request: Request, chosen: list[str], mode: str) -> Response:
    store, source_id = request.app.state.services.store, request.path_params["source_id"]
    known = _known(request)
    match request.path_params["what"]:
        case "look":
            known.look(store, source_id)
        case "pause":
            known.pause(store, source_id, True)
        case "resume":
            known.pause(store, source_id, False)
        case "remove":
            known.remove(store, source_id)
        case "backfill":
            made = known.backfill(store, source_id, chosen, mode)
            return RedirectResponse(f"/runs/{made[0]}" if len(made) == 1 else "/rounds", 303)
        case what:
            raise NotFound(f"a folder cannot {what!r}; it can look, pause, resume, remove, backfill")
    return RedirectResponse("/rounds", 303)


def _page(request: Request, wish: Wish, problem: str = "") -> Response:
    known = _known(request)
    folders = known.folders(request.app.state.services.store)
    data: dict[str, Any] = {"folders": folders, "problem": problem}
    status = 400 if problem else 200
    return rendering.respond(request, "rounds.html", data, status, wish=wish, recipes=known.recipes())


def _known(request: Request) -> Rounds:
    known: Rounds = request.app.state.services.domain.rounds
    return known


routes = [
    Route("/rounds", rounds),
    Route("/rounds", watch, methods=["POST"]),
    Route("/rounds/{source_id}/{what}", act, methods=["POST"]),
]
