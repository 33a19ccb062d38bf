"""`/runs/{id}/rerun?key=...` and `/runs/{id}/retry`: what will happen if it runs again?"""

import shlex
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from pipeline import words
from pipeline.engine import graph
from pipeline.engine.records import Run, Task
from pipeline.errors import NotFound
from pipeline.server import form_fields, plan_view, rendering, rerun_form, task_view
from pipeline.server.rerun_form import Filled
from pipeline.server.services import Services


@dataclass(frozen=True)
class Asked:
    """A rerun that somebody thinks about."""

    run: Run
    task: Task
    form: Filled


def page(request: Request) -> Response:
    """The form with the values in the address, and the plan that they make."""
    asked = _asked(request, rerun_form.asked(request.query_params.items()))
    return _page(request, asked)


async def start(request: Request) -> Response:
    """Makes the new run and goes to it; a form with errors comes back as it was filled in."""
    given = rerun_form.asked((await form_fields.read(request)).items())
    return await run_in_threadpool(_start, request, given)


def _start(request: Request, given: dict[str, str]) -> Response:
    asked = _asked(request, given)
    if asked.form.errors:
        return _page(request, asked, 400)
    services: Services = request.app.state.services
    made = services.engine.rerun(asked.run.run_id, asked.task.key, asked.form.overrides)
    if rendering.wants_json(request):
        return rendering.respond(request, "", {"run_id": made}, 201)
    return RedirectResponse(f"/runs/{made}", 303)


def _asked(request: Request, given: dict[str, str]) -> Asked:
    services: Services = request.app.state.services
    run = services.reader.run(request.path_params["run_id"])
    key = request.query_params.get("key", "")
    if not key:
        raise NotFound("a rerun needs a task; give its key, as in /runs/RUN/rerun?key=KEY")
    task = services.reader.task(run.run_id, key)
    _, component = graph.component_of_key(task_view.pipeline_of(services.reader, run), task.key)
    return Asked(run, task, rerun_form.read(services.domain.recipes, task, component, given))


def _page(request: Request, asked: Asked, status: int = 200) -> Response:
    services: Services = request.app.state.services
    plan = services.engine.plan_rerun(asked.run.run_id, asked.task.key, asked.form.overrides)
    shown = plan_view.shown(plan)
    data = {
        "run": _named(asked.run),
        "task": {"key": asked.task.key, "label": asked.task.label, "word": words.task_word(asked.task)},
        "form": asked.form,
        "plan": shown,
        "button": shown.headline,
    }
    changes = [f"--set={path}={text}" for path, text in asked.form.changes.items()]
    command = shlex.join(["seamline", "rerun", asked.run.run_id[:8], "--task", asked.task.label, *changes])
    here = f"/runs/{asked.run.run_id}/rerun?{urlencode({'key': asked.task.key})}"
    extra: dict[str, Any] = {"command": command, "here": here, "prefix": rerun_form.PREFIX, "long": rerun_form.LONG}
    return rendering.respond(request, "rerun.html", data, status, **extra)


def retry(request: Request) -> Response:
    """What a retry of the run would do; the button does it."""
    services: Services = request.app.state.services
    run = services.reader.run(request.path_params["run_id"])
    if run.run_id != request.path_params["run_id"]:
        return RedirectResponse(f"/runs/{run.run_id}/retry", 303)
    shown = plan_view.shown(services.engine.plan_retry(run.run_id))
    data = {"run": _named(run), "plan": shown, "button": shown.headline}
    return rendering.respond(request, "retry.html", data, command=f"seamline retry {run.run_id[:8]}")


def _named(run: Run) -> dict[str, str]:
    return {"run_id": run.run_id, "name": run.name, "word": words.run_word(run), "reason": run.reason}


routes = [
    Route("/runs/{run_id}/rerun", page),
    Route("/runs/{run_id}/rerun", start, methods=["POST"]),
    Route("/runs/{run_id}/retry", retry),
]
