"""`/models`: what is in force, since when, why?"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from pipeline.errors import PipelineError
from pipeline.server import form_fields, history_chart, rendering
from pipeline.server.domain.models import Champion, Registry
from pipeline.server.services import Services

BY = "the console"
LONGEST_WHY = 500  # characters
SHOWN = 20  # entries of a history, unless all are asked for
_UNITS = (("day", 86400), ("hour", 3600), ("minute", 60))


@dataclass(frozen=True)
class Shown:
    """A champion with what only the page needs: its place on the page, its chart, what a roll back says and does."""

    champion: Champion
    anchor: str
    chart: history_chart.Chart
    back: str
    command: str


def models(request: Request) -> Response:
    """The champions of every data root, each with its history."""
    services: Services = request.app.state.services
    query = request.query_params
    registries = services.domain.models.registries(services.store, query.get("bucket", ""))
    own = str(services.store.directory / "data")
    now = services.clock.now()
    shown = [(registry, [_shown(champion, own, now) for champion in registry.champions]) for registry in registries]
    extra: dict[str, Any] = {
        "shown": [pair for pair in shown if pair[1] or pair[0].reason],
        "entries": 0 if query.get("all") else SHOWN,
        "commands": [item.command for _, items in shown for item in items if item.command],
        "quoted": quote,
    }
    return rendering.respond(request, "models.html", {"registries": _with_something(registries)}, **extra)


async def roll_back(request: Request) -> Response:
    """Puts an earlier champion of an attribute in force again."""
    services: Services = request.app.state.services
    form = await form_fields.read(request)
    given = {name: form.get(name, "") for name in ("data_root", "attribute", "number", "why")}
    number = _number(given["number"])
    if len(given["why"]) > LONGEST_WHY:
        raise PipelineError(f"the reason has {len(given['why'])} characters; give up to {LONGEST_WHY}")

    def put_back() -> None:
        where, why = (given["data_root"], given["attribute"]), " ".join(given["why"].split())
        services.domain.models.roll_back(services.store, *where, number, BY, why)

    await run_in_threadpool(put_back)
    return RedirectResponse(f"/models#{quote(given['attribute'])}", 303)


def ago(seconds: float) -> str:
    """`3 days ago`, rounded down; under a minute `a moment ago`."""
    for unit, size in _UNITS:
        if seconds >= size:
            return rendering.count(int(seconds // size), unit) + " ago"
    return "a moment ago"


def _shown(champion: Champion, own: str, now: float) -> Shown:
    back = champion.back
    return Shown(
        champion,
        anchor=champion.attribute,
        chart=history_chart.draw(champion.history),
        back=f"Put the champion of {ago(now - back.at)} back in force" if back else "",
        command=_command(champion, own) if back else "",
    )


def _command(champion: Champion, own: str) -> str:
    elsewhere = f" --data-root {shlex.quote(champion.data_root)}" if champion.data_root != own else ""
    return f"seamline rollback {shlex.quote(champion.attribute)}{elsewhere}"


def _with_something(registries: Sequence[Registry]) -> list[Registry]:
    return [registry for registry in registries if registry.champions or registry.reason]


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise PipelineError(f"number={text!r} is no entry of the history; give a whole number from 1, or 0")
    return int(text)


routes = [Route("/models/rollback", roll_back, methods=["POST"]), Route("/models", models)]
