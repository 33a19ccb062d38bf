"""KFP's RunService."""

from typing import Any

from pipeline.engine.catalogue import Catalogue
from pipeline.engine.experiments import DEFAULT_ID, Experiments
from pipeline.engine.listing import Condition, Operation
from pipeline.engine.records import About, Run
from pipeline.engine.run_pages import COLUMNS, EXPERIMENT, RunPages, loaded
from pipeline.engine.states import RunState
from pipeline.errors import Conflict, NotFound, PipelineError
from pipeline.server.api import paging, run_messages, specs
from pipeline.server.api.calls import Call, route
from pipeline.server.api.fields import Fields
from pipeline.server.api.run_messages import PIPELINE_ROOT, SERVICE_ACCOUNT


def list_runs(call: Call) -> dict[str, Any]:
    """A page of runs, archived ones too, as KFP's backend; a filter on `storage_state` leaves them out."""
    wanted = paging.wanted(call)
    experiment = call.query("experiment_id")
    mine = [Condition(EXPERIMENT, Operation.EQUALS, (experiment,))] if experiment else []
    page = RunPages(call.services.store).list(wanted.query(COLUMNS, mine))
    runs = [loaded(row) for row in page.rows]
    pipelines = {version_id: _pipeline_id(call, version_id) for version_id in {run.version_id for run in runs}}
    return wanted.answer("runs", [run_messages.run(run, pipelines[run.version_id]) for run in runs], page)


def create_run(call: Call) -> dict[str, Any]:
    """A run of a version, of a pipeline's newest version, or of a pipeline in the body."""
    body = call.body
    text, version_id = source_of(call, body)
    config = body.within("runtime_config")
    parameters = specs.typed(text, config.within("parameters").values)
    about = About(description=body.text("description"), experiment_id=experiment_of(call, body), version_id=version_id)
    kept = {PIPELINE_ROOT: config.text("pipeline_root"), SERVICE_ACCOUNT: body.text("service_account")}
    labels = {name: value for name, value in kept.items() if value}
    run_id = call.services.engine.create_run(text, parameters, body.name("display_name"), labels, about=about)
    return _shown(call, call.services.reader.run(run_id))


def source_of(call: Call, body: Fields) -> tuple[str, str]:
    """What a request wants to run: IR text, and the version it is of (empty for a pipeline in the body).

    Raises:
        NotFound: no such pipeline or version.
        PipelineError: neither a reference nor a pipeline, or one that cannot run.
    """
    if "pipeline_spec" in body:
        return specs.from_json(body.get("pipeline_spec")), ""
    reference = body.within("pipeline_version_reference")
    pipeline_id = reference.text("pipeline_id")
    version_id = reference.text("pipeline_version_id") or body.text("pipeline_version_id")
    if not (pipeline_id or version_id):
        raise PipelineError("nothing to run; give pipeline_version_reference or pipeline_spec")
    catalogue = Catalogue(call.services.store)
    version = catalogue.version(pipeline_id, version_id) if version_id else catalogue.latest(pipeline_id)
    return catalogue.text(version), version.version_id


def experiment_of(call: Call, body: Fields) -> str:
    """The experiment that a request names, or the default one.

    Raises:
        NotFound: there is none.
        Conflict: it is archived.
    """
    experiments = Experiments(call.services.store)
    asked = body.text("experiment_id")
    found = experiments.get(asked) if asked and asked != DEFAULT_ID else experiments.default(call.now)
    if found.archived:
        raise Conflict(f"experiment {found.display_name!r} is archived; unarchive it, or name another one")
    return found.experiment_id


def get_run(call: Call) -> dict[str, Any]:
    """One run with its tasks."""
    return _shown(call, run_of(call))


def terminate_run(call: Call) -> dict[str, Any]:
    """Asks whoever executes the run to stop it."""
    call.services.engine.terminate(run_of(call).run_id)
    return {}


def retry_run(call: Call) -> dict[str, Any]:
    """The same run goes on: what succeeded stays."""
    run = run_of(call)
    if run.state not in (RunState.FAILED, RunState.CANCELED):
        raise Conflict(f"run {run.run_id[:8]} is {run.state}; only one that failed or was canceled can be retried")
    call.services.engine.retry(run.run_id)
    return {}


def archive_run(call: Call) -> dict[str, Any]:
    """Puts it away."""
    RunPages(call.services.store).archive(run_of(call).run_id, call.now)
    return {}


def unarchive_run(call: Call) -> dict[str, Any]:
    """Takes it out again."""
    RunPages(call.services.store).unarchive(run_of(call).run_id, call.now)
    return {}


def delete_run(call: Call) -> dict[str, Any]:
    """Hides it; see `RunPages.delete`."""
    RunPages(call.services.store).delete(run_of(call).run_id, call.now)
    return {}


def run_of(call: Call) -> Run:
    """The run that the address names by its whole id: here a beginning could delete the wrong one.

    Raises:
        NotFound: there is none.
    """
    run_id = call.path("run_id")
    run = call.services.reader.run(run_id) if run_id else None
    if run is None or run.run_id != run_id:
        raise NotFound(f"no run {run_id!r}; GET /apis/v2beta1/runs lists them")
    return run


def _shown(call: Call, run: Run) -> dict[str, Any]:
    reader = call.services.reader
    text = "" if run.version_id else reader.pipeline_text(run.run_id)
    details = run_messages.Details(reader.tasks(run.run_id), reader.events(run.run_id), text)
    return run_messages.run(run, _pipeline_id(call, run.version_id), details)


def _pipeline_id(call: Call, version_id: str) -> str:
    """The pipeline of a version; empty when either is gone."""
    try:
        return Catalogue(call.services.store).version("", version_id).pipeline_id if version_id else ""
    except NotFound:
        return ""


_ONE = "/runs/{run_id}"
routes = [
    route("GET", "/runs", list_runs),
    route("POST", "/runs", create_run),
    route("POST", _ONE + ":terminate", terminate_run),
    route("POST", _ONE + ":retry", retry_run),
    route("POST", _ONE + ":archive", archive_run),
    route("POST", _ONE + ":unarchive", unarchive_run),
    route("GET", _ONE, get_run),
    route("DELETE", _ONE, delete_run),
]
