"""Our own server-sent events: a log, learning curves and the journal, as they are written.

Every stream begins where `Last-Event-ID` (or a number in the query) says, so that nothing is lost or repeated when a
connection breaks. It ends with the event `end`; the client closes it then.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from pipeline.engine.states import RUN_ENDED, TASK_ENDED
from pipeline.errors import PipelineError
from pipeline.server import logs
from pipeline.server.api import extensions
from pipeline.server.api.calls import Call, streaming
from pipeline.server.api.fields import Fields
from pipeline.server.live import KEEP_ALIVE_S, LOOK_S, event, stream
from pipeline.server.rendering import plain

MOST_AT_ONCE = 500  # events of one look


@dataclass(frozen=True)
class Look:
    """What one look found.

    Attributes:
        events: whole server-sent events.
        place: where the next look begins.
        state: of what is watched, once it has ended and everything was sent; else empty.
    """

    events: tuple[str, ...]
    place: int
    state: str = ""


Looking = Callable[[int], Look]


async def log_stream(request: Request) -> Response:
    """A task's log."""
    call = Call(request, Fields({}))
    attempt = call.whole("attempt", 0)

    def look(place: int) -> Look:
        reader = call.services.reader
        run = extensions.run_named(call)
        task = extensions.task_named(call, run)
        watched.number = watched.number or task.attempts
        piece = logs.read(reader, run.run_id, task.key, watched.number, max(0, place))
        sent = (event("log", {"text": piece.text, "offset": piece.offset}, str(piece.offset)),) if piece.text else ()
        return Look(sent, piece.offset, piece.state if piece.complete else "")

    watched = _Attempt(max(0, attempt))
    return await _answer(call, "offset", look)


@dataclass
class _Attempt:
    """Which attempt a stream follows: the last one at its beginning, also when another one is started."""

    number: int


async def metric_stream(request: Request) -> Response:
    """A task's learning curves, point by point."""
    call = Call(request, Fields({}))

    def look(place: int) -> Look:
        task = extensions.task_named(call, extensions.run_named(call))
        points = extensions.points_of(call.services.reader, task)
        new = points[place : place + MOST_AT_ONCE]
        sent = tuple(
            event("metric", {"step": p.step, "values": dict(p.values), "attempt": p.attempt}, str(number))
            for number, p in enumerate(new, place + 1)
        )
        place += len(new)
        return Look(sent, place, str(task.state) if task.state in TASK_ENDED and place >= len(points) else "")

    return await _answer(call, "after", look)


async def event_stream(request: Request) -> Response:
    """The journal of a run, line by line."""
    call = Call(request, Fields({}))

    def look(place: int) -> Look:
        run = extensions.run_named(call)
        found = call.services.reader.events(run.run_id, place)
        new = found[:MOST_AT_ONCE]
        sent = tuple(event("journal", plain(e), str(e.sequence)) for e in new)
        ended = run.state in RUN_ENDED and len(new) == len(found)
        return Look(sent, new[-1].sequence if new else place, str(run.state) if ended else "")

    return await _answer(call, "after", look)


async def _answer(call: Call, place_name: str, look: Looking) -> Response:
    """The first look is taken before the answer begins: what does not exist is a 404, not an empty stream."""
    last = call.request.headers.get("last-event-id", "")
    place = int(last) if last.isdecimal() and last.isascii() and len(last) < 18 else call.whole(place_name, 0)
    first = await run_in_threadpool(look, max(0, place))
    return stream(_events(call.request, look, first))


async def _events(request: Request, look: Looking, found: Look) -> AsyncIterator[str]:
    quiet = 0.0
    while not await request.is_disconnected() and not request.app.state.stopping.is_set():
        for one in found.events:
            yield one
        if found.state:
            yield event("end", {"state": found.state})
            return
        if found.events:
            quiet = 0.0
        else:
            await asyncio.sleep(LOOK_S)
            quiet += LOOK_S
        if quiet >= KEEP_ALIVE_S:
            quiet = 0.0
            yield ": still here\n\n"
        found = await _next(look, found)


async def _next(look: Looking, found: Look) -> Look:
    """The next look; the run may have been deleted meanwhile."""
    try:
        return await run_in_threadpool(look, found.place)
    except PipelineError:
        return replace(found, events=(), state="GONE")


_ONE = "/runs/{run_id}"
routes: list[Any] = [
    streaming(_ONE + "/log/stream", log_stream),
    streaming(_ONE + "/metrics/stream", metric_stream),
    streaming(_ONE + "/events/stream", event_stream),
]
