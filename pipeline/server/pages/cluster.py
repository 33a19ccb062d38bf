"""`/cluster`: the KFP endpoint that the server was started with (`--kfp URL`): its runs, and what can be done there."""

from collections.abc import Mapping

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from pipeline.errors import NotFound, PipelineError
from pipeline.server import form_fields, rendering
from pipeline.server.domain.cluster import Cluster


def cluster(request: Request) -> Response:
    """The newest runs there."""
    there = _there(request)
    return rendering.respond(request, "cluster.html", {"address": there.address, "runs": there.runs()})


def run(request: Request) -> Response:
    """One run: its state, its tasks as far as the endpoint tells, and buttons."""
    there, run_id = _there(request), request.path_params["run_id"]
    found = there.run(run_id)
    data = {"address": there.address, "run": found, "rows": there.rows(run_id)}
    return rendering.respond(request, "cluster_run.html", data)


def terminate(request: Request) -> Response:
    """Stops a run."""
    _there(request).terminate(request.path_params["run_id"])
    return RedirectResponse(f"/cluster/runs/{request.path_params['run_id']}", 303)


def retry(request: Request) -> Response:
    """Goes on with a failed run."""
    _there(request).retry(request.path_params["run_id"])
    return RedirectResponse(f"/cluster/runs/{request.path_params['run_id']}", 303)


def rerun(request: Request) -> Response:
    """Choosing a task, its changes, and the plan."""
    there, run_id = _there(request), request.path_params["run_id"]
    task, changes = _asked(request.query_params)
    rows, problem = [], ""
    if task:
        try:
            rows = list(there.plan(run_id, task, _changes(changes)))
        except PipelineError as error:
            problem = str(error)
    data = {"run": there.run(run_id), "tasks": there.tasks(run_id), "task": task, "changes": changes}
    data |= {"rows": rows, "problem": problem, "address": there.address}
    return rendering.respond(request, "cluster_rerun.html", data, status=400 if problem else 200)


async def rerun_now(request: Request) -> Response:
    """Starts the new run."""
    task, changes = _asked(await form_fields.read(request))
    made = await run_in_threadpool(_there(request).rerun, request.path_params["run_id"], task, _changes(changes))
    return RedirectResponse(f"/cluster/runs/{made}", 303)


def send(request: Request) -> Response:
    """The parity report of a run of this machine, before it is started there."""
    reader = request.app.state.services.reader
    found = reader.run(request.query_params.get("run", ""))
    there = _there(request)
    notes = there.parity(reader.pipeline_text(found.run_id), found)
    return rendering.respond(request, "cluster_send.html", {"address": there.address, "run": found, "notes": notes})


async def send_now(request: Request) -> Response:
    """Starts a run of this machine there."""
    name = (await form_fields.read(request)).get("run", "")

    def start() -> str:
        reader = request.app.state.services.reader
        found = reader.run(name)
        return _there(request).send(reader.pipeline_text(found.run_id), found)

    return RedirectResponse(f"/cluster/runs/{await run_in_threadpool(start)}", 303)


def _there(request: Request) -> Cluster:
    there: Cluster | None = request.app.state.services.domain.cluster
    if there is None:
        raise NotFound("this console looks at no cluster; start it with `seamline serve --kfp URL`")
    return there


def _asked(given: Mapping[str, str]) -> tuple[str, str]:
    return given.get("task", ""), given.get("changes", "")


def _changes(text: str) -> Mapping[str, str]:
    """Lines `input=value`."""
    found: dict[str, str] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, equals, value = line.partition("=")
        if not equals or not name.strip():
            raise PipelineError(f"{line!r} changes nothing; expected one input=value on each line")
        found[name.strip()] = value.strip()
    return found


routes = [
    Route("/cluster", cluster),
    Route("/cluster/send", send),
    Route("/cluster/send", send_now, methods=["POST"]),
    Route("/cluster/runs/{run_id}", run),
    Route("/cluster/runs/{run_id}/rerun", rerun),
    Route("/cluster/runs/{run_id}/rerun", rerun_now, methods=["POST"]),
    Route("/cluster/runs/{run_id}/terminate", terminate, methods=["POST"]),
    Route("/cluster/runs/{run_id}/retry", retry, methods=["POST"]),
]
