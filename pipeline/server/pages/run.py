"""`/runs/{run_id}`: how far, how good, what next? The board first."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from pipeline import words
from pipeline.engine import irtext, rerun, spending
from pipeline.engine.records import Run, Task
from pipeline.engine.run_list import RunList
from pipeline.engine.run_pages import RunPages
from pipeline.engine.states import RUN_ENDED
from pipeline.engine.whereabouts import whereabouts
from pipeline.errors import NotFound, PipelineError
from pipeline.server import form_fields, rendering, run_board, run_dag, run_facts, run_parameters, run_tasks, task_view
from pipeline.server.domain.results import Board
from pipeline.server.services import Services

CAUSES_SHOWN = 3
EVENTS = 200
REPORT_POLICY = "sandbox; default-src 'none'; img-src data: 'self'; style-src 'unsafe-inline'; frame-ancestors 'self'"


@dataclass(frozen=True)
class View:
    """What the tabs of one page work with; read once a request."""

    request: Request
    services: Services
    run: Run
    tasks: Sequence[Task]
    board: Board | None
    report: Path | None
    now: float

    @property
    def listed(self) -> RunList:
        """Bulk questions."""
        return RunList(self.services.store)

    @property
    def before(self) -> Run | None:
        """The run to compare with: the source of a rerun, else the one of the same pipeline before it."""
        if self.run.source:
            return self.services.reader.run(self.run.source)
        return self.listed.previous(self.run)


def page(request: Request) -> Response:
    """A run with one of its tabs."""
    services: Services = request.app.state.services
    run = services.reader.run(request.path_params["run_id"])
    if run.run_id != request.path_params["run_id"]:
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"/runs/{run.run_id}{query}", 307)
    view = _view(request, services, run)
    tabs = _tabs(view)
    asked = request.query_params.get("tab", "")
    tab = asked if asked in tabs else next(iter(tabs))
    shown, extra = _TABS[tab](view)
    return rendering.respond(
        request, "run.html", {**_heading(view), "tab": tab, **shown}, tabs=tabs, **_actions(view), **extra
    )


def _view(request: Request, services: Services, run: Run) -> View:
    results, reader = services.domain.results, services.reader
    tasks = reader.tasks(run.run_id)
    return View(
        request,
        services,
        run,
        tasks,
        results.board(reader, run, tasks),
        results.report(reader, run),
        services.clock.now(),
    )


def _tabs(view: View) -> dict[str, str]:
    """Tab -> what it is called. A pipeline that is not ours has no board."""
    tabs = {"board": "Board"} if view.board else {}
    tabs |= {"dag": "Graph", "tasks": "Tasks"}
    tabs |= {"report": "Report"} if view.report else {}
    return tabs | {"parameters": "Parameters", "cost": "Cost", "events": "Events"}


def _heading(view: View) -> dict[str, Any]:
    reader, run = view.services.reader, view.run
    found = run_facts.causes(reader, view.tasks)
    return {
        "run": run,
        "word": run_facts.word(run),
        "interrupted": _is_interrupted(view),
        "progress": run_facts.progress(reader, view.tasks, view.now),
        "seconds": run_facts.seconds(run, view.now),
        "recipe": run_facts.recipe_name(run),
        "rounds": view.services.domain.results.rounds(run),
        "headline": view.services.domain.results.headline(reader, run),
        "causes": found[:CAUSES_SHOWN],
        "failed_tasks": len(found),
    }


def _is_interrupted(view: View) -> bool:
    running = words.run_word(view.run) in ("running", "stopping")
    return running and not view.services.engine.is_executing(view.run)


def _actions(view: View) -> dict[str, Any]:
    """What the buttons will do, in numbers."""
    executing = view.services.engine.is_executing(view.run)
    actions = []
    if run_facts.can_retry(view.run, executing):
        plan = rerun.plan_retry(view.run.run_id, view.tasks, lambda _: None)
        actions = [row.action for row in plan.rows]
    return {
        "can_stop": view.run.state not in RUN_ENDED and not view.run.stop_requested,
        "can_retry": bool(run_facts.can_retry(view.run, executing)),
        "retry_runs": actions.count(rerun.RUN),
        "retry_keeps": actions.count(rerun.REUSE),
    }


Shown = tuple[Mapping[str, Any], Mapping[str, Any]]  # what is data, and what only the template needs


def _board(view: View) -> Shown:
    if view.board is None:
        return {}, {}
    shown = {"board": run_board.table(view.board), "before": view.board.before, "after": view.board.after}
    return shown, {"brief": run_board.brief}


def _dag(view: View) -> Shown:
    pipeline = irtext.read(view.services.reader.pipeline_text(view.run.run_id))
    opened = run_dag.Opened.read(view.request.query_params.getlist("open"))
    drawing = run_dag.draw(pipeline, view.tasks, opened, f"/runs/{view.run.run_id}")
    return {"graph": [box.item for box in drawing.boxes]}, {"drawing": drawing}


def _tasks(view: View) -> Shown:
    query = view.request.query_params
    wanted = run_tasks.Wanted(query.get("state", ""), query.get("name", ""), query.get("q", ""))
    found = run_tasks.bars(view.run, view.tasks, wanted, view.now)
    first = _whole_number(query.get("from", "0"), "from")
    names = list(dict.fromkeys(task.name for task in view.tasks if task.is_leaf))
    bars = found[first : first + run_tasks.PAGE]
    ran_as = {attempt.key: whereabouts(attempt.handle) for attempt in view.listed.attempts(view.run.run_id)}
    extra = {
        "names": names,
        "states": list(words.SHAPES),
        "page_size": run_tasks.PAGE,
        "shortened": task_view.shortened,
    }
    return {"bars": bars, "ran_as": ran_as, "first": first, "matching": len(found), "wanted": wanted}, extra


def _report(view: View) -> Shown:
    return {"report": f"/runs/{view.run.run_id}/report"}, {}


def _parameters(view: View) -> Shown:
    pipeline = irtext.read(view.services.reader.pipeline_text(view.run.run_id))
    names = view.services.domain.results.groups(view.run)
    before = view.before
    groups = run_parameters.grouped(view.run, pipeline.root.parameters, before, names)
    changed = run_facts.changes(view.run, before) if before else []
    overridden = run_facts.overridden(view.run)
    return {
        "groups": groups,
        "against": before.run_id if before else "",
        "changes": changed,
        "overridden": overridden,
    }, {"against_name": before.name if before else ""}


def _cost(view: View) -> Shown:
    attempts = view.listed.attempts(view.run.run_id)
    found = run_tasks.costs(view.services.reader, view.run, view.tasks, attempts, view.now)
    budget = {"gpu_hours": spending.limit(view.run.parameters), "currency": spending.prices_of(view.run).currency}
    return {"costs": found, "total": run_tasks.total(found), **budget}, {}


def _events(view: View) -> Shown:
    before = _whole_number(view.request.query_params.get("before", "0"), "before")
    found = view.listed.events(view.run.run_id, before, EVENTS + 1)
    labels = {task.key: task for task in view.tasks}
    older = found[EVENTS - 1].sequence if len(found) > EVENTS else 0
    return {"events": found[:EVENTS], "older": older}, {"labels": labels, "before": before}


_TABS: Mapping[str, Callable[[View], Shown]] = {
    "board": _board,
    "dag": _dag,
    "tasks": _tasks,
    "report": _report,
    "parameters": _parameters,
    "cost": _cost,
    "events": _events,
}


def _whole_number(text: str, name: str) -> int:
    if not text.isdecimal() or len(text) > 18:
        raise PipelineError(f"{name}={text!r} is no whole number; give 0 or more")
    return int(text)


def report(request: Request) -> Response:
    """The report's page by itself, with no rights at all."""
    services: Services = request.app.state.services
    run = services.reader.run(request.path_params["run_id"])
    found = services.domain.results.report(services.reader, run)
    if found is None:
        raise NotFound(f"run {run.run_id[:8]} has no report on this machine; it is made by the last step but one")
    return HTMLResponse(found.read_bytes(), headers={"content-security-policy": REPORT_POLICY})


def terminate(request: Request) -> Response:
    """Asks whoever executes the run to stop it."""
    services: Services = request.app.state.services
    run = services.reader.run(request.path_params["run_id"])
    services.engine.terminate(run.run_id)
    return RedirectResponse(f"/runs/{run.run_id}", 303)


def retry(request: Request) -> Response:
    """Makes the run ready to go on; the dispatcher takes it up."""
    services: Services = request.app.state.services
    run = services.reader.run(request.path_params["run_id"])
    services.engine.retry(run.run_id)
    return RedirectResponse(f"/runs/{run.run_id}", 303)


async def archive(request: Request) -> Response:
    """Puts a run away; `archived=0` takes it back."""
    away = (await form_fields.read(request)).get("archived", "1") != "0"
    return await run_in_threadpool(_put_away, request, away)


def _put_away(request: Request, away: bool) -> Response:
    services: Services = request.app.state.services
    run = services.reader.run(request.path_params["run_id"])
    pages, now = RunPages(services.store), services.clock.now()
    (pages.archive if away else pages.unarchive)(run.run_id, now)
    return RedirectResponse(f"/runs/{run.run_id}", 303)


routes = [
    Route("/runs/{run_id}", page),
    Route("/runs/{run_id}/report", report),
    Route("/runs/{run_id}/terminate", terminate, methods=["POST"]),
    Route("/runs/{run_id}/retry", retry, methods=["POST"]),
    Route("/runs/{run_id}/archive", archive, methods=["POST"]),
]
