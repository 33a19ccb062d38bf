"""The JSON of both APIs as JSON Schema, for the OpenAPI document. All objects may have more fields than are named."""

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
TIME: Schema = {"type": "string", "format": "date-time"}
WHOLE: Schema = {"type": "integer"}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
ANYTHING: Schema = {"type": "object"}
NULLABLE_OBJECT: Schema = {"type": ["object", "null"]}
TEXTS: Schema = {"type": "object", "additionalProperties": TEXT}
WHOLE_OR_TEXT: Schema = {"anyOf": [WHOLE, {"type": "string", "pattern": "^-?[0-9]{1,18}$"}]}


def words(*known: str) -> Schema:
    """One of some words."""
    return {"type": "string", "enum": list(known)}


def ref(name: str) -> Schema:
    """Another schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def several(item: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": item}


def thing(*required: str, **properties: Schema) -> Schema:
    """An object."""
    made: Schema = {"type": "object", "properties": properties}
    return made | ({"required": list(required)} if required else {})


def page(name: str, item: str) -> Schema:
    """One page of a list; an empty list is left out, as KFP's backend does."""
    return thing(**{name: several(ref(item))}, total_size=WHOLE, next_page_token=TEXT)


STATE = words("PENDING", "RUNNING", "SUCCEEDED", "SKIPPED", "FAILED", "CANCELING", "CANCELED", "PAUSED")
STORAGE_STATE = words("AVAILABLE", "ARCHIVED")
_REFERENCE = thing(pipeline_id=TEXT, pipeline_version_id=TEXT)
_CONFIG = thing(parameters=ANYTHING, pipeline_root=TEXT)
_NAMED = {"display_name": TEXT, "name": TEXT, "description": TEXT, "created_at": TIME, "tags": TEXTS}
_BOUNDS = {"start_time": TIME, "end_time": TIME}
_HISTORY = several(thing("update_time", "state", update_time=TIME, state=STATE, error=ref("Error")))

SCHEMAS: dict[str, Schema] = {
    "Error": thing("code", "message", code=WHOLE, message=TEXT, details=several(ANYTHING)),
    "Empty": thing(),
    "Health": thing("multi_user", multi_user=FLAG),
    "Pipeline": thing(pipeline_id=TEXT, error=ref("Error"), **_NAMED),
    "Version": thing(
        pipeline_id=TEXT, pipeline_version_id=TEXT, code_source_url=TEXT, pipeline_spec=ANYTHING, **_NAMED
    ),
    "PipelineAndVersion": thing(
        "pipeline", "pipeline_version", pipeline=ref("Pipeline"), pipeline_version=ref("Version")
    ),
    "Experiment": thing(
        experiment_id=TEXT,
        display_name=TEXT,
        description=TEXT,
        created_at=TIME,
        storage_state=STORAGE_STATE,
        last_run_created_at=TIME,
    ),
    "TaskDetail": thing(
        "run_id",
        "task_id",
        run_id=TEXT,
        task_id=TEXT,
        display_name=TEXT,
        create_time=TIME,
        start_time=TIME,
        end_time=TIME,
        state=STATE,
        error=ref("Error"),
        inputs=ANYTHING,
        outputs=ANYTHING,
        parent_task_id=TEXT,
        state_history=_HISTORY,
        child_tasks=several(thing(task_id=TEXT)),
    ),
    "Run": thing(
        run_id=TEXT,
        experiment_id=TEXT,
        display_name=TEXT,
        description=TEXT,
        storage_state=STORAGE_STATE,
        pipeline_spec=ANYTHING,
        pipeline_version_id=TEXT,
        pipeline_version_reference=_REFERENCE,
        runtime_config=_CONFIG,
        service_account=TEXT,
        created_at=TIME,
        scheduled_at=TIME,
        finished_at=TIME,
        state=STATE,
        error=ref("Error"),
        run_details=thing(task_details=several(ref("TaskDetail"))),
        recurring_run_id=TEXT,
        state_history=_HISTORY,
    ),
    "RecurringRun": thing(
        recurring_run_id=TEXT,
        display_name=TEXT,
        description=TEXT,
        experiment_id=TEXT,
        pipeline_spec=ANYTHING,
        pipeline_version_reference=_REFERENCE,
        runtime_config=_CONFIG,
        trigger=thing(
            cron_schedule=thing(cron=TEXT, **_BOUNDS),
            periodic_schedule=thing(interval_second=WHOLE_OR_TEXT, **_BOUNDS),
        ),
        mode=words("MODE_UNSPECIFIED", "ENABLE", "DISABLE"),
        status=words("ENABLED", "DISABLED"),
        created_at=TIME,
        updated_at=TIME,
        max_concurrency=WHOLE_OR_TEXT,
        no_catchup=FLAG,
        error=ref("Error"),
    ),
    "Pipelines": page("pipelines", "Pipeline"),
    "Versions": page("pipeline_versions", "Version"),
    "Experiments": page("experiments", "Experiment"),
    "Runs": page("runs", "Run"),
    "RecurringRuns": page("recurringRuns", "RecurringRun"),
    "Artifact": thing("data", data={"type": "string", "contentEncoding": "base64"}),
    "Tasks": thing(
        "tasks",
        run_id=TEXT,
        state=STATE,
        word=TEXT,
        tasks=several(thing("key", "label", "state", "word", key=TEXT, label=TEXT, state=STATE, word=TEXT)),
    ),
    "Rounds": thing("sources", sources=several(ANYTHING)),
    "State": thing("folder", "device", "inode", folder=TEXT, device=WHOLE, inode=WHOLE),
    "Log": thing("text", "offset", "size", "ended", text=TEXT, offset=WHOLE, size=WHOLE, ended=FLAG, attempt=WHOLE),
    "Metrics": thing(
        "series",
        "count",
        series={"type": "object", "additionalProperties": thing("x", "y", x=several(NUMBER), y=several(NUMBER))},
        count=WHOLE,
    ),
    "Events": thing("events", "next", events=several(thing("sequence", "kind", sequence=WHOLE, kind=TEXT)), next=WHOLE),
    "Cache": thing(
        "explanation",
        explanation=TEXT,
        cached=FLAG,
        fingerprint=TEXT,
        parts=ANYTHING,
        origin=NULLABLE_OBJECT,
        nearest=NULLABLE_OBJECT,
        differences=several(TEXT),
    ),
    "Plan": thing(
        "rows",
        "seconds",
        run_id=TEXT,
        rows=several(thing("key", "action", "reason", key=TEXT, label=TEXT, action=words("reuse", "run", "skip"))),
        seconds=NUMBER,
    ),
    "RerunRequest": thing("task", task=TEXT, overrides=ANYTHING),
    "Rerun": thing("run_id", "plan", run_id=TEXT, plan=ref("Plan")),
}
