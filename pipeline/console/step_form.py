"""The settings of one task that ran, as a rerun may change them, and the commands that do what a form does."""

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from components.entry import LAYERS
from pipeline.console import fields
from pipeline.engine import graph
from pipeline.engine.records import Task
from pipeline.recipe_steps import STEPS
from pipeline.server.domain.recipes import Field, Form


def knobs_of(task: Task) -> Sequence[Field]:
    """The knobs of the task's step with the values that it had.

    A knob that the attribute or the model sets for itself is named by that path, since that is what counts.
    """
    step = graph.function_of(task.component)
    if step not in STEPS:
        return []
    given = task.inputs.parameters
    settings = STEPS[step].Settings
    usual = settings()
    return [
        _knob(empty, given, (step, str(given.get("phase"))), getattr(usual, name))
        for name, empty in fields.of_settings(settings).items()
    ]


def _knob(empty: Field, given: Mapping[str, Any], tables: tuple[str, str], usual: Any) -> Field:
    value, name = given.get(empty.name, usual), empty.name
    for layer in LAYERS:
        for table in tables:
            own = (given.get(layer) or {}).get(table) or {}
            if empty.name in own:
                value, name = own[empty.name], f"{layer}.{table}.{empty.name}"
    field = dataclasses.replace(empty, name=name)
    return fields.filled(field, default=usual, earlier=value, given=None, start=fields.as_text(value))


def command(form: Form, cache: bool) -> str:
    """What does the same in the terminal."""
    if form.source.kind == "recipe":
        words = ["seamline", "run", form.source.name]
        words += ["--data", form.data] if form.data else []
        words += [word for one in form.fields if one.is_changed for word in ("--set", f"{one.name}={one.value}")]
        words += [] if cache else ["--no-cache"]
        return shlex.join(words)
    if form.source.kind == "version":
        changed = [f"{one.name}={one.value}" for one in form.fields if one.value and one.value != one.default]
        ids = ["-p", form.source.pipeline_id, "-v", form.source.name]
        return shlex.join(["kfp", "run", "create", "-e", "Default", *ids, *changed])
    sent = [f"clone={form.source.name}", *([] if cache else ["cache=false"])]
    sent += [f"data={form.data}"] if form.data else []
    sent += [f"set.{one.name}={one.value}" for one in form.fields if one.differs_from_earlier]
    return 'curl "$KF_PIPELINES_ENDPOINT/submit" ' + " ".join(f"-d {shlex.quote(text)}" for text in sent)
