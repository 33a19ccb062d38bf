"""Server-sent events: pages hear that something changed and fetch themselves anew; nothing is polled by the browser."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

LOOK_S = 0.5
KEEP_ALIVE_S = 15.0


def stream(events: AsyncIterator[str]) -> StreamingResponse:
    """A response of server-sent events."""
    return StreamingResponse(events, media_type="text/event-stream", headers={"cache-control": "no-store"})


def event(name: str, data: Any, identifier: str = "") -> str:
    """One event; `identifier` comes back in `Last-Event-ID` when the browser connects again."""
    line = f"id: {identifier}\n" if identifier else ""
    return f"{line}event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


async def when_changed(
    request: Request, look: Callable[[], str], name: str = "changed", seen: str = ""
) -> AsyncIterator[str]:
    """Yields an event whenever `look` (called in a thread) answers something new; ends with the connection."""
    quiet = 0.0
    while not await request.is_disconnected() and not request.app.state.stopping.is_set():
        latest = await run_in_threadpool(look)
        if latest != seen:
            seen, quiet = latest, 0.0
            yield event(name, latest, latest)
        elif quiet >= KEEP_ALIVE_S:
            quiet = 0.0
            yield ": still here\n\n"
        await asyncio.sleep(LOOK_S)
        quiet += LOOK_S


async def live(request: Request) -> StreamingResponse:
    """`/live?run=ID`: an event whenever the run (or, without one, anything) has changed."""
    services = request.app.state.services
    run_id = request.query_params.get("run", "")
    seen = request.headers.get("last-event-id", "")
    return stream(when_changed(request, lambda: services.reader.pulse(run_id), seen=seen))


routes = [Route("/live", live)]
