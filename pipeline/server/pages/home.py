"""`/`: is anything wrong, is anything running?"""

import math
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from pipeline.engine.reader import Reader
from pipeline.engine.records import Run
from pipeline.engine.run_list import Filter, RunList
from pipeline.engine.states import RUN_ENDED
from pipeline.errors import PipelineError
from pipeline.server import coming, form_fields, rendering
from pipeline.server.domain.results import Score
from pipeline.server.run_facts import Cause, Progress, causes, progress, recipe_name
from pipeline.server.services import Services

SEEN = "seamline_seen"  # cookie: failures until then were seen, in seconds since 1970
SHOWN = 5
YEAR_S = 365 * 86400


@dataclass(frozen=True)
class Running:
    """A run that has not ended."""

    run: Run
    progress: Progress
    recipe: str


@dataclass(frozen=True)
class Failed:
    """A run that failed since somebody last said that they had seen it; `failed_tasks` counts its failed tasks."""

    run: Run
    cause: Cause | None
    failed_tasks: int


@dataclass(frozen=True)
class Ended:
    """A run that ended well, or was stopped."""

    run: Run
    score: Score | None


@dataclass(frozen=True)
class InForce:
    """The champion of an attribute: since when, with which metric, made by which run (empty: none of this folder)."""

    attribute: str
    data_root: str
    since: float
    score: Score | None
    run_id: str


def home(request: Request) -> Response:
    """What runs, what failed, what comes next, who is in force."""
    services: Services = request.app.state.services
    reader, listed = services.reader, RunList(services.store)
    now = services.clock.now()
    failed = listed.failed_since(_seen(request), SHOWN + 1)
    page = listed.page(Filter(), size=2 * SHOWN)
    ended = [run for run in page.runs if run.state in RUN_ENDED]
    data: dict[str, Any] = {
        "running": [_running(reader, run, now) for run in reader.unfinished()],
        "failures": [_failed(reader, run) for run in failed[:SHOWN]],
        "more_failures": len(failed) > SHOWN,
        "ended": [Ended(run, services.domain.results.headline(reader, run)) for run in ended[:SHOWN]],
        "runs": page.matching,
        "due": coming.due(services.store, now),
        "watched": coming.watched(services.store),
        "champions": _champions(services),
    }
    metrics = {champion.score.name for champion in data["champions"] if champion.score}
    return rendering.respond(request, "home.html", data, champion_metric=metrics.pop() if len(metrics) == 1 else "")


def _champions(services: Services) -> list[InForce]:
    """Who is in force, of the data roots on this machine; buckets are read on their own page only."""
    registries = services.domain.models.registries(services.store)
    found = [champion for registry in registries for champion in registry.champions]
    return [
        InForce(
            c.attribute, c.data_root, c.current.at, c.current.score, c.current.made.run_id if c.current.made else ""
        )
        for c in found
        if c.current
    ]


def _running(reader: Reader, run: Run, now: float) -> Running:
    return Running(run, progress(reader, reader.tasks(run.run_id), now), recipe_name(run))


def _failed(reader: Reader, run: Run) -> Failed:
    found = causes(reader, reader.tasks(run.run_id), with_lines=False)
    return Failed(run, found[0] if found else None, len(found))


def _seen(request: Request) -> float:
    return _time(request.cookies.get(SEEN, "")) or 0.0


def _time(text: str) -> float | None:
    """Seconds since 1970; None for anything else."""
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


async def seen(request: Request) -> Response:
    """Puts away the failures that were shown; runs that fail later are shown again."""
    given = (await form_fields.read(request)).get("until", "")
    until = _time(given)
    if until is None:
        raise PipelineError(f"until={given!r} is no time; give seconds since 1970")
    answer = RedirectResponse("/", 303)
    answer.set_cookie(SEEN, repr(until), max_age=YEAR_S, httponly=True, samesite="strict")
    return answer


routes = [Route("/", home), Route("/seen", seen, methods=["POST"])]
