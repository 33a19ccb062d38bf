"""`/runs`: which run was that?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pipeline import words
from pipeline.engine.reader import Reader
from pipeline.engine.records import Run
from pipeline.engine.run_list import Filter, Order, RunList
from pipeline.engine.states import RUN_ENDED, RunState
from pipeline.errors import PipelineError
from pipeline.server import rendering
from pipeline.server.domain.results import Results, Score
from pipeline.server.run_facts import Change, changes, overridden, progress, recipe_name, seconds, word
from pipeline.server.services import Services

CHANGES_SHOWN = 2
DOWN_FIRST = ("started", "took")  # what is sorted the largest first


@dataclass(frozen=True)
class Row:
    """One line of the list.

    Attributes:
        run: the run.
        word: its state.
        share: how much is done, of a run that has not ended.
        seconds: how long it took, or has taken.
        recipe: the recipe's name.
        rounds: names of its rounds of data.
        score: its headline metric.
        against: the run that it is compared with: its source, else the one of the same pipeline before it.
        changes: what differs from that.
    """

    run: Run
    word: str
    share: float | None
    seconds: float
    recipe: str
    rounds: Sequence[str]
    score: Score | None
    against: str
    changes: Sequence[Change]


def runs(request: Request) -> Response:
    """Runs, filtered, sorted and paged."""
    services: Services = request.app.state.services
    query = request.query_params
    listed = RunList(services.store)
    wanted, order = _filter(query), _order(query)
    page = listed.page(wanted, order)
    now = services.clock.now()
    data = {
        "rows": [_row(services.reader, listed, services.domain.results, run, now) for run in page.runs],
        "matching": page.matching,
        "filter": wanted,
        "order": order,
        "next": _address(query, after=page.after) if page.after else "",
    }
    extra: dict[str, Any] = {
        "recipes": listed.recipes(),
        "experiments": listed.experiments(),
        "states": list(dict.fromkeys(words.RUN_WORDS.values())),
        "chosen_state": query.get("state", ""),
        "sorted_by": {
            name: _address(query, sort=_turned(order, name), after="") for name in ("started", "name", "took")
        },
        "first": _address(query, after="") if order.after else "",
        "is_filtered": replace(wanted, archived=False) != Filter(),
        "changes_shown": CHANGES_SHOWN,
    }
    return rendering.respond(request, "runs.html", data, **extra)


def _row(reader: Reader, listed: RunList, results: Results, run: Run, now: float) -> Row:
    ended = run.state in RUN_ENDED
    before = None if run.source else listed.previous(run)
    return Row(
        run=run,
        word=word(run),
        share=None if ended else progress(reader, reader.tasks(run.run_id), now).share,
        seconds=seconds(run, now),
        recipe=recipe_name(run),
        rounds=results.rounds(run),
        score=results.headline(reader, run),
        against=run.source or (before.run_id if before else ""),
        changes=overridden(run) if run.source else changes(run, before) if before else [],
    )


def _filter(query: QueryParams) -> Filter:
    return Filter(
        states=_states(query.get("state", "")),
        recipe=query.get("recipe", ""),
        pipeline=query.get("pipeline", ""),
        experiment_id=query.get("experiment", ""),
        text=query.get("q", "").strip(),
        tag=query.get("tag", "").strip(),
        archived=query.get("archived", "") not in ("", "0"),
    )


def _states(text: str) -> tuple[RunState, ...]:
    found = tuple(state for state, shown in words.RUN_WORDS.items() if shown == text)
    if text and not found:
        raise PipelineError(f"no run is ever {text!r}; give one of {', '.join(words.RUN_WORDS.values())}")
    return found


def _order(query: QueryParams) -> Order:
    """`sort=name` or `sort=-name` for the other way round; without it the newest first."""
    sort = query.get("sort", "-started")
    return Order(sort.removeprefix("-"), sort.startswith("-"), query.get("after", ""))


def _turned(order: Order, name: str) -> str:
    """What a click on a heading sorts by: the other way round if it is sorted by that already."""
    descending = not order.descending if order.by == name else name in DOWN_FIRST
    return ("-" if descending else "") + name


def _address(query: QueryParams, **changed: str) -> str:
    """This list with something of its address changed; empty values are left out."""
    values = {name: value for name, value in ({**query, **changed}).items() if value and name != "format"}
    return "/runs" + ("?" + urlencode(values) if values else "")


routes = [Route("/runs", runs)]
