"""`/search`: runs, tasks and pictures by a piece of their name."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from pipeline.engine.records import Run
from pipeline.engine.run_list import Filter, RunList
from pipeline.errors import NotFound
from pipeline.server import rendering
from pipeline.server.services import Services

SHOWN = 20
SHORTEST_ID = 6  # characters of a run's id that open it at once


def search(request: Request) -> Response:
    """What is called like that; the beginning of a run's id opens the run."""
    services: Services = request.app.state.services
    text = request.query_params.get("q", "").strip()
    run = _named(services, text)
    if run and not rendering.wants_json(request):
        return RedirectResponse(f"/runs/{run.run_id}", 303)
    listed = RunList(services.store)
    page = listed.page(Filter(text=text), size=SHOWN) if text else None
    tasks = listed.tasks_like(text, SHOWN) if text else []
    data = {
        "text": text,
        "runs": page.runs if page else [],
        "matching_runs": page.matching if page else 0,
        "tasks": [{"run": run, "task": task} for run, task in tasks],
        "pictures": services.domain.pictures.find(services.store, text, SHOWN) if text else [],
    }
    return rendering.respond(request, "search.html", data, most=SHOWN)


def _named(services: Services, text: str) -> Run | None:
    if len(text) < SHORTEST_ID:
        return None
    try:
        return services.reader.run(text)
    except NotFound:
        return None


routes = [Route("/search", search)]
