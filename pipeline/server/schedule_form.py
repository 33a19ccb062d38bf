"""The form of a recurring run: texts that a person typed <-> `RecurringSpec`. What is wrong stays in its field."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any

from pipeline.engine.recurring_spec import RecurringSpec
from pipeline.engine.schedule import CronSchedule, IntervalSchedule, Trigger, zone_named
from pipeline.errors import PipelineError

UNITS = {"minutes": 60, "hours": 3600, "days": 86_400}
_LOCAL = "%Y-%m-%dT%H:%M"


@dataclass(frozen=True)
class Form:
    """What stands in the fields, as text; the names are those of the inputs.

    Attributes:
        kind: `cron` or `interval`.
        source: what runs: `run:ID` (the pipeline of that run), `pipeline:ID` (its newest version), `version:ID`,
            or `digest:TEXT` (as it was given).
        start, end: `2026-11-22T08:30` on the clock of `time_zone`, or empty.
        parameters: a JSON object.
        catch_up: `all` or `latest` of the times missed while no server ran.
    """

    display_name: str = ""
    source: str = ""
    kind: str = "cron"
    cron: str = "0 3 * * *"
    time_zone: str = "UTC"
    every: str = "1"
    unit: str = "days"
    start: str = ""
    end: str = ""
    parameters: str = "{}"
    catch_up: str = "latest"
    max_concurrency: str = "1"
    description: str = ""
    experiment_id: str = ""
    cache: str = "on"


def read(given: Mapping[str, Any], default: Form) -> Form:
    """The fields of a request; what is not in it is taken from `default`."""
    if not given:
        return default
    names = {f.name for f in fields(Form)}
    return replace(default, **{name: str(value) for name, value in given.items() if name in names})


def trigger(form: Form) -> Trigger:
    """When it fires.

    Raises:
        PipelineError: a field that cannot be read.
    """
    zone = "UTC" if form.kind == "interval" else form.time_zone
    start, end = _moment("start", form.start, zone), _moment("end", form.end, zone)
    if form.kind == "cron":
        return CronSchedule(form.cron, form.time_zone, start, end)
    if form.unit not in UNITS:
        raise PipelineError(f"unit {form.unit!r} is not known; expected {', '.join(UNITS)}")
    return IntervalSchedule(_whole("every", form.every) * UNITS[form.unit], start, end)


def spec(form: Form, pipeline: Mapping[str, str]) -> RecurringSpec:
    """All of it.

    Args:
        form: the fields.
        pipeline: what runs, as the field of `RecurringSpec` that says it.

    Raises:
        PipelineError: a field that cannot be read.
    """
    return RecurringSpec(
        display_name=form.display_name,
        trigger=trigger(form),
        description=form.description,
        experiment_id=form.experiment_id,
        parameters=_object(form.parameters),
        cache=form.cache == "on",
        no_catchup=form.catch_up != "all",
        max_concurrency=_whole("runs at a time", form.max_concurrency),
        **pipeline,
    )


def written(found: RecurringSpec) -> Form:
    """The fields of a recurring run that exists."""
    when = asdict(found.trigger)
    form = Form(
        display_name=found.display_name,
        source=_source(found),
        parameters=json.dumps(dict(found.parameters), indent=2, ensure_ascii=False),
        catch_up="latest" if found.no_catchup else "all",
        max_concurrency=str(found.max_concurrency),
        description=found.description,
        experiment_id=found.experiment_id,
        cache="on" if found.cache else "",
    )
    if isinstance(found.trigger, CronSchedule):
        zone = found.trigger.zone_name
        form = replace(form, cron=found.trigger.cron, time_zone=zone)
        return replace(form, start=_written(when["start"], zone), end=_written(when["end"], zone))
    whole = [u for u, size in UNITS.items() if found.trigger.interval_s % size == 0]
    unit = whole[-1] if whole else ""
    if not unit:  # made through the API, in odd seconds; the form counts minutes
        return replace(form, kind="interval", every=f"{found.trigger.interval_s / 60:g}", unit="minutes")
    form = replace(form, kind="interval", every=str(found.trigger.interval_s // UNITS[unit]), unit=unit)
    return replace(form, start=_written(when["start"], "UTC"), end=_written(when["end"], "UTC"))


def _source(found: RecurringSpec) -> str:
    if found.version_id:
        return f"version:{found.version_id}"
    return f"pipeline:{found.pipeline_id}" if found.pipeline_id else f"digest:{found.pipeline_digest}"


def _moment(name: str, text: str, zone: str) -> float:
    if not text.strip():
        return 0.0
    try:
        return datetime.strptime(text.strip(), _LOCAL).replace(tzinfo=zone_named(zone)).timestamp()
    except ValueError as error:
        raise PipelineError(f"{name} {text!r} is no time; expected for instance 2026-11-22T08:30") from error


def _written(seconds: float, zone: str) -> str:
    return datetime.fromtimestamp(seconds, zone_named(zone)).strftime(_LOCAL) if seconds else ""


def _whole(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise PipelineError(f"{name}={text!r} is no whole number; give for instance 1") from error


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise PipelineError(f"the parameters are no JSON: {error}") from error
    if not isinstance(found, dict):
        raise PipelineError('the parameters are no JSON object; expected {"name": value}')
    return found
