"""What the store keeps, in KFP's JSON: snake_case, times in RFC 3339, empty fields left out."""

from functools import lru_cache
from typing import Any

from pipeline.engine import irtext
from pipeline.engine.catalogue import CataloguePipeline, Version
from pipeline.engine.experiments import Experiment
from pipeline.engine.recurring_spec import Mode, RecurringRun
from pipeline.engine.schedule import CronSchedule, Trigger
from pipeline.server.rendering import iso

UNKNOWN_CODE = 2  # gRPC's, for what failed without a code of its own


def message(**values: Any) -> dict[str, Any]:
    """A message without its empty fields, as KFP's backend sends it; 0 and False are kept."""
    return {name: value for name, value in values.items() if value is not None and value != "" and value != {}}


def time(seconds: float) -> str | None:
    """RFC 3339, None for a time that has not come."""
    return iso(seconds) if seconds else None


def status(text: str, code: int = UNKNOWN_CODE) -> dict[str, Any] | None:
    """An error inside a message, None where there is none."""
    return {"code": code, "message": text, "details": []} if text else None


def pipeline(record: CataloguePipeline) -> dict[str, Any]:
    """KFP's Pipeline."""
    return message(
        pipeline_id=record.pipeline_id,
        display_name=record.display_name,
        name=record.name,
        description=record.description,
        created_at=time(record.created),
        tags=dict(record.tags),
    )


def version(record: Version, text: str = "") -> dict[str, Any]:
    """KFP's PipelineVersion; with the text of its IR it carries `pipeline_spec`."""
    return message(
        pipeline_id=record.pipeline_id,
        pipeline_version_id=record.version_id,
        display_name=record.display_name,
        name=record.name,
        description=record.description,
        created_at=time(record.created),
        code_source_url=record.code_source_url,
        pipeline_spec=spec_of(text),
        tags=dict(record.tags),
    )


def spec_of(text: str) -> Any:
    """IR text as JSON: the IR itself, or with its platform `{"pipeline_spec", "platform_spec"}`; None without text."""
    return _spec_of(text) if text else None


@lru_cache(maxsize=32)
def _spec_of(text: str) -> Any:
    """Clients ask for the same run every second. The text was checked when it came."""
    return irtext.api_spec(text)


def experiment(record: Experiment) -> dict[str, Any]:
    """KFP's Experiment."""
    return message(
        experiment_id=record.experiment_id,
        display_name=record.display_name,
        description=record.description,
        created_at=time(record.created),
        storage_state="ARCHIVED" if record.archived else "AVAILABLE",
        last_run_created_at=time(record.last_run),
    )


def recurring_run(record: RecurringRun, pipeline_id: str, text: str) -> dict[str, Any]:
    """KFP's RecurringRun.

    Args:
        record: as it is kept.
        pipeline_id: of its version, empty when it has none.
        text: IR of a pipeline given in line, else empty.
    """
    spec = record.spec
    reference = message(pipeline_id=pipeline_id, pipeline_version_id=spec.version_id)
    return message(
        recurring_run_id=record.recurring_id,
        display_name=spec.display_name,
        description=spec.description,
        experiment_id=spec.experiment_id,
        pipeline_version_reference=reference,
        pipeline_spec=spec_of(text),
        runtime_config={"parameters": dict(spec.parameters)} if spec.parameters else None,
        trigger=trigger(spec.trigger),
        mode="ENABLE" if record.mode is Mode.ENABLED else "DISABLE",
        status=str(record.mode),
        created_at=time(record.created),
        updated_at=time(record.updated),
        max_concurrency=str(spec.max_concurrency),
        no_catchup=spec.no_catchup,
        error=status(record.problem),
    )


def trigger(found: Trigger) -> dict[str, Any]:
    """KFP's Trigger."""
    bounds = message(start_time=time(found.start), end_time=time(found.end))
    if isinstance(found, CronSchedule):
        return {"cron_schedule": {"cron": _cron(found), **bounds}}
    return {"periodic_schedule": {"interval_second": str(found.interval_s), **bounds}}


def _cron(found: CronSchedule) -> str:
    """KFP has no field for the time zone; robfig's cron text has a place for it."""
    own = found.zone_name == found.time_zone and found.time_zone != "UTC" and "TZ=" not in found.cron
    return f"CRON_TZ={found.time_zone} {found.cron}" if own else found.cron
