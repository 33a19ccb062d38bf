"""KFP's RecurringRunService."""

from collections.abc import Mapping
from typing import Any

from pipeline.engine.catalogue import Catalogue
from pipeline.engine.experiments import DEFAULT_ID
from pipeline.engine.listing import Column, Condition, Kind, Operation, page_in_memory
from pipeline.engine.recurring import RecurringRuns
from pipeline.engine.recurring_spec import RecurringRun, RecurringSpec
from pipeline.engine.schedule import CronSchedule, IntervalSchedule, Trigger
from pipeline.errors import NotFound, PipelineError
from pipeline.server.api import messages, paging, runs, specs
from pipeline.server.api.calls import Call, route
from pipeline.server.api.fields import Fields

ENABLE, DISABLE = "ENABLE", "DISABLE"
MODES = {"MODE_UNSPECIFIED": DISABLE, ENABLE: ENABLE, DISABLE: DISABLE, 0: DISABLE, 1: ENABLE, 2: DISABLE}
_EXPERIMENT = Column("experiment_id")
COLUMNS: Mapping[str, Column] = {
    "recurring_run_id": Column("recurring_run_id"),
    "display_name": Column("display_name"),
    "description": Column("description"),
    "status": Column("status"),
    "experiment_id": _EXPERIMENT,
    "created_at": Column("created_at", Kind.TIME),
    "updated_at": Column("updated_at", Kind.TIME),
}


def list_recurring_runs(call: Call) -> dict[str, Any]:
    """A page of recurring runs. The list is called `recurringRuns`, the one key that KFP writes in camel case."""
    wanted = paging.wanted(call)
    experiment = call.query("experiment_id")
    mine = [Condition(_EXPERIMENT, Operation.EQUALS, (experiment,))] if experiment else []
    page = page_in_memory(_recurring(call).all(), _values, "number", wanted.query(COLUMNS, mine))
    return wanted.answer("recurringRuns", [_shown(call, record, with_spec=False) for record in page.rows], page)


def create_recurring_run(call: Call) -> dict[str, Any]:
    """A new recurring run; without a mode it is disabled."""
    body = call.body
    text, _ = runs.source_of(call, body)
    parameters = specs.typed(text, body.within("runtime_config").within("parameters").values)
    inline = "pipeline_spec" in body
    reference = Fields({}) if inline else body.within("pipeline_version_reference")
    spec = RecurringSpec(
        display_name=body.name("display_name"),
        trigger=_trigger(body.within("trigger")),
        description=body.text("description"),
        experiment_id=runs.experiment_of(call, body),
        pipeline_id=reference.text("pipeline_id"),
        version_id=reference.text("pipeline_version_id") or ("" if inline else body.text("pipeline_version_id")),
        pipeline_digest=call.services.store.keep_pipeline(text) if inline else "",
        parameters=parameters,
        no_catchup=body.flag("no_catchup"),
        max_concurrency=body.whole("max_concurrency", 1),
    )
    enabled = body.choice("mode", MODES) == ENABLE
    return _shown(call, _recurring(call).create(spec, call.now, enabled))


def get_recurring_run(call: Call) -> dict[str, Any]:
    """One recurring run."""
    return _shown(call, _recurring(call).get(call.path("recurring_run_id")))


def enable_recurring_run(call: Call) -> dict[str, Any]:
    """Lets it launch from now on; what it missed while it was disabled does not fire."""
    _recurring(call).enable(call.path("recurring_run_id"), call.now)
    return {}


def disable_recurring_run(call: Call) -> dict[str, Any]:
    """Stops it from launching."""
    _recurring(call).disable(call.path("recurring_run_id"), call.now)
    return {}


def delete_recurring_run(call: Call) -> dict[str, Any]:
    """Its runs stay."""
    _recurring(call).delete(call.path("recurring_run_id"), call.now)
    return {}


def _recurring(call: Call) -> RecurringRuns:
    return RecurringRuns(call.services.store)


def _trigger(body: Fields) -> Trigger:
    cron, periodic = body.within("cron_schedule"), body.within("periodic_schedule")
    if bool(cron.values) == bool(periodic.values):
        raise PipelineError("a recurring run needs one trigger; give cron_schedule or periodic_schedule")
    if cron.values:
        return CronSchedule(cron.text("cron"), start=cron.time("start_time"), end=cron.time("end_time"))
    interval = periodic.whole("interval_second")
    return IntervalSchedule(interval, start=periodic.time("start_time"), end=periodic.time("end_time"))


def _values(record: RecurringRun) -> dict[str, Any]:
    return {
        "recurring_run_id": record.recurring_id,
        "display_name": record.spec.display_name,
        "description": record.spec.description,
        "status": str(record.mode),
        "experiment_id": record.spec.experiment_id or DEFAULT_ID,
        "created_at": record.created,
        "updated_at": record.updated,
        "number": int(record.created * 1e6),
    }


def _shown(call: Call, record: RecurringRun, with_spec: bool = True) -> dict[str, Any]:
    spec = record.spec
    text = _recurring(call).pipeline_of(spec)[0] if spec.pipeline_digest and with_spec else ""
    pipeline_id = spec.pipeline_id
    if spec.version_id and not pipeline_id:
        try:
            pipeline_id = Catalogue(call.services.store).version("", spec.version_id).pipeline_id
        except NotFound:
            pipeline_id = ""
    return messages.recurring_run(record, pipeline_id, text)


_ONE = "/recurringruns/{recurring_run_id}"
routes = [
    route("GET", "/recurringruns", list_recurring_runs),
    route("POST", "/recurringruns", create_recurring_run),
    route("POST", _ONE + ":enable", enable_recurring_run),
    route("POST", _ONE + ":disable", disable_recurring_run),
    route("GET", _ONE, get_recurring_run),
    route("DELETE", _ONE, delete_recurring_run),
]
