"""A run in KFP's JSON. `run_details` carries the logical tree: groups (loops, conditions, pipelines) and tasks."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.engine.experiments import DEFAULT_ID
from pipeline.engine.records import Event, Run, Task
from pipeline.engine.states import RunState, TaskState
from pipeline.engine.values import Values
from pipeline.server.api.messages import message, spec_of, status, time

PIPELINE_ROOT = "pipeline_root"
SERVICE_ACCOUNT = "service_account"


@dataclass(frozen=True)
class Details:
    """What only a single run is shown with. `text`: its IR, empty when it was made from a version."""

    tasks: Sequence[Task]
    events: Sequence[Event]
    text: str = ""


def run(record: Run, pipeline_id: str = "", details: Details | None = None) -> dict[str, Any]:
    """KFP's Run.

    Args:
        record: as it is kept.
        pipeline_id: of its version; empty when that is gone or there is none.
        details: for a single run; lists leave them out.
    """
    reference = message(pipeline_id=pipeline_id, pipeline_version_id=record.version_id)
    config = message(parameters=dict(record.parameters), pipeline_root=str(record.labels.get(PIPELINE_ROOT, "")))
    return message(
        run_id=record.run_id,
        experiment_id=record.experiment_id or DEFAULT_ID,
        display_name=record.name,
        description=record.description,
        storage_state="ARCHIVED" if record.archived else "AVAILABLE",
        pipeline_version_id=record.version_id,
        pipeline_version_reference=reference,
        runtime_config=config,
        service_account=str(record.labels.get(SERVICE_ACCOUNT, "")),
        created_at=time(record.created),
        scheduled_at=time(record.scheduled or record.created),
        finished_at=time(record.ended),
        state=str(record.state),
        error=status(_reason(record, details)) if record.state is RunState.FAILED else None,
        recurring_run_id=record.recurring_id,
        **(_detailed(record, details) if details else {}),
    )


def _detailed(record: Run, details: Details) -> dict[str, Any]:
    histories: dict[str, list[Event]] = defaultdict(list)
    for event in details.events:
        if event.kind in ("run", "task") and "state" in event.detail:
            histories[event.key].append(event)
    children: dict[str, list[str]] = defaultdict(list)
    for task in details.tasks:
        children[task.parent].append(task.key)
    tasks = [_task(task, histories[task.key], children[task.key]) for task in details.tasks]
    return {
        "pipeline_spec": spec_of(details.text),
        "state_history": _history(histories[""]),
        "run_details": {"task_details": tasks},
    }


def _task(task: Task, history: Iterable[Event], children: Sequence[str]) -> dict[str, Any]:
    return message(
        run_id=task.run_id,
        task_id=task.key,
        display_name=task.label,
        create_time=time(task.created),
        start_time=time(task.started),
        end_time=time(task.ended),
        state=str(task.state),
        error=status(task.reason) if task.state is TaskState.FAILED else None,
        inputs=_artifact_ids(task.inputs),
        outputs=_artifact_ids(task.outputs),
        parent_task_id=task.parent,
        state_history=_history(history),
        child_tasks=[{"task_id": key} for key in children] or None,
    )


def _history(events: Iterable[Event]) -> list[dict[str, Any]]:
    return [
        message(
            update_time=time(event.time),
            state=event.detail["state"],
            error=status(str(event.detail.get("reason", ""))) if event.detail["state"] == "FAILED" else None,
        )
        for event in events
    ]


def _artifact_ids(values: Values) -> Mapping[str, Any]:
    return {
        name: {"artifact_ids": [artifact.digest or artifact.uri for artifact in listed]}
        for name, listed in values.artifacts.items()
    }


def _reason(record: Run, details: Details | None) -> str:
    """Which tasks failed; for a single run also why the first one did."""
    tasks = details.tasks if details else ()
    first = next((t for t in tasks if t.is_leaf and t.state is TaskState.FAILED and t.reason), None)
    text = record.reason or "failed"
    return f"{text}; {first.label}: {first.reason}" if first and first.reason not in text else text
