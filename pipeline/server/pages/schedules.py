"""`/schedules`: when does what run? Cron in words, the next times, the last runs; pause, edit, run now."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from pipeline.engine import schedule
from pipeline.engine.catalogue import COLUMNS, Catalogue, loaded_pipeline
from pipeline.engine.listing import Query
from pipeline.engine.records import Run
from pipeline.engine.recurring import RecurringRun, RecurringRuns, what_catch_up_would_launch
from pipeline.engine.ticker import Ticker
from pipeline.errors import NotFound, PipelineError
from pipeline.server import form_fields, rendering, schedule_form
from pipeline.server.schedule_form import Form

NEXT, LATEST, OFFERED_RUNS = 5, 5, 30
BY_NAME = Query(order=COLUMNS["display_name"], limit=200)


@dataclass(frozen=True)
class Row:
    """A recurring run as the list shows it. `missed`: times that a catch-up would launch now."""

    recurring: RecurringRun
    words: str
    next_times: list[float]
    runs: list[Run]
    missed: list[float]


def schedules(request: Request) -> Response:
    """All recurring runs."""
    rows = [_row(request, one) for one in _table(request).all()]
    return rendering.respond(request, "schedules.html", {"rows": rows})


def one(request: Request) -> Response:
    """One recurring run."""
    row = _row(request, _table(request).get(request.path_params["recurring_id"]))
    return rendering.respond(request, "schedule.html", {"row": row})


def new(request: Request) -> Response:
    """The form of a new one; its fields may stand in the address, so that the next times show before it is made."""
    given = dict(request.query_params)
    if run_id := given.pop("run", ""):
        given = _of_run(request, run_id) | given
    return _form(request, schedule_form.read(given, Form()), "")


def edit(request: Request) -> Response:
    """The form of one that exists."""
    found = _table(request).get(request.path_params["recurring_id"])
    form = schedule_form.read(dict(request.query_params), schedule_form.written(found.spec))
    return _form(request, form, found.recurring_id)


async def save(request: Request) -> Response:
    """Makes or changes one."""
    given = dict(await form_fields.read(request))
    recurring_id = request.path_params.get("recurring_id", "")
    return await run_in_threadpool(_save, request, given, recurring_id)


def _save(request: Request, given: Mapping[str, str], recurring_id: str) -> Response:
    table, now = _table(request), request.app.state.services.clock.now()
    form = schedule_form.read(given, Form())
    try:
        form = schedule_form.read(given, _kept(request, form.source, recurring_id))
        spec = schedule_form.spec(form, _pipeline(request, form.source))
        made = table.update(recurring_id, spec, now) if recurring_id else table.create(spec, now)
    except PipelineError as error:
        return _form(request, form, recurring_id, str(error))
    return RedirectResponse(f"/schedules/{made.recurring_id}", 303)


def _kept(request: Request, source: str, recurring_id: str) -> Form:
    """What holds where a field was not sent: what the schedule has, or what the run had that it is made from."""
    if recurring_id:
        return schedule_form.written(_table(request).get(recurring_id).spec)
    kind, _, run_id = source.partition(":")
    return schedule_form.read(_of_run(request, run_id) if kind == "run" else {}, Form())


async def act(request: Request) -> Response:
    """Pause, resume (with or without what was missed), run now, delete."""
    return await run_in_threadpool(_act, request)


def _act(request: Request) -> Response:
    recurring_id, what = request.path_params["recurring_id"], request.path_params["what"]
    services, table = request.app.state.services, _table(request)
    now = services.clock.now()
    match what:
        case "pause":
            table.disable(recurring_id, now)
        case "resume":
            table.enable(recurring_id, now)
        case "catch-up":
            table.enable(recurring_id, now, catch_up=True)
        case "delete":
            table.delete(recurring_id, now)
            return RedirectResponse("/schedules", 303)
        case "run-now":
            made = Ticker(services.store, services.engine, services.clock).run_now(recurring_id)
            return RedirectResponse(f"/runs/{made}", 303)
        case _:
            raise NotFound(f"a schedule cannot {what!r}; it can pause, resume, catch-up, run-now, delete")
    return RedirectResponse(f"/schedules/{recurring_id}", 303)


def _form(request: Request, form: Form, recurring_id: str, problem: str = "") -> Response:
    times: list[float] = []
    words = when_problem = ""
    try:
        trigger = schedule_form.trigger(form)
        words = schedule.in_words(trigger)
        times = schedule.next_times(trigger, request.app.state.services.clock.now(), NEXT)
    except PipelineError as error:
        when_problem = str(error)
    data: dict[str, Any] = {"form": form, "recurring_id": recurring_id, "problem": problem}
    data |= {"words": words, "next_times": times, "when_problem": when_problem, "sources": _sources(request, form)}
    return rendering.respond(
        request, "schedule_form.html", data, 400 if problem else 200, units=list(schedule_form.UNITS)
    )


def _sources(request: Request, form: Form) -> list[tuple[str, str]]:
    """What can be run again: pipelines of the catalogue (their newest version), and what earlier runs ran."""
    services = request.app.state.services
    listed = [loaded_pipeline(row) for row in Catalogue(services.store).list(BY_NAME).rows]
    found = [(f"pipeline:{p.pipeline_id}", f"{p.display_name}, its newest version") for p in listed]
    runs = services.reader.runs(limit=OFFERED_RUNS)
    found += [(f"run:{r.run_id}", f"{r.name}, as in run {r.run_id[:8]}") for r in runs]
    known = {value for value, _ in found}
    kept = [(form.source, "the pipeline it has now")] if form.source and form.source not in known else []
    return kept + found


def _of_run(request: Request, run_id: str) -> dict[str, str]:
    """The fields that schedule a run as it was."""
    run = request.app.state.services.reader.run(run_id)
    parameters = json.dumps(dict(run.parameters), indent=2, ensure_ascii=False)
    return {"display_name": run.name, "source": f"run:{run.run_id}", "parameters": parameters}


def _pipeline(request: Request, source: str) -> dict[str, str]:
    kind, _, value = source.partition(":")
    if kind == "run":
        store = request.app.state.services.store
        return {"pipeline_digest": store.keep_pipeline(store.pipeline_text(store.run(value).run_id))}
    names = {"pipeline": "pipeline_id", "version": "version_id", "digest": "pipeline_digest"}
    if kind not in names or not value:
        raise PipelineError("nothing to run is chosen; choose a pipeline or an earlier run")
    return {names[kind]: value}


def _row(request: Request, found: RecurringRun) -> Row:
    now = request.app.state.services.clock.now()
    upcoming = found.next_times(now, NEXT) if found.is_enabled else []
    runs = _table(request).runs(found.recurring_id, LATEST)
    return Row(found, schedule.in_words(found.spec.trigger), upcoming, runs, what_catch_up_would_launch(found, now))


def _table(request: Request) -> RecurringRuns:
    return RecurringRuns(request.app.state.services.store)


routes = [
    Route("/schedules", schedules),
    Route("/schedules/new", new),
    Route("/schedules/new", save, methods=["POST"]),
    Route("/schedules/{recurring_id}", one),
    Route("/schedules/{recurring_id}/edit", edit),
    Route("/schedules/{recurring_id}/edit", save, methods=["POST"]),
    Route("/schedules/{recurring_id}/{what}", act, methods=["POST"]),
]
