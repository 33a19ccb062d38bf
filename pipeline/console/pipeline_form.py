"""A compiled pipeline as a form: one field a root parameter, typed by the IR; of our own parameters more is known."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from components import knobs
from components.errors import SettingsError
from pipeline.console import data_source, fields, recipe_form
from pipeline.engine import ir, irtext, values
from pipeline.engine.records import Run
from pipeline.errors import PipelineError
from pipeline.recipe_steps import FILES, FILES_DIGEST, GROUPS, PIPELINES, ROUNDS, SOURCE, STEPS, Pipeline
from pipeline.server.domain import recipes as forms
from pipeline.server.domain.recipes import Field, Form, Group, Source

# The components that tell our pipelines from others: the first, the one in the middle and the last.
OWN_COMPONENTS = {
    "main": frozenset({"comp-ingest", "comp-train", "comp-report"}),
    "detection": frozenset({"comp-openimages-subset", "comp-boxes-prepare", "comp-detect-test"}),
}
DATA_ROOT = "data_root"
MADE_HERE = {f"{group}_{FILES_DIGEST}" for group in FILES}  # nobody types a digest
_KINDS = {
    values.INTEGER: forms.INTEGER,
    values.DOUBLE: forms.NUMBER,
    values.BOOLEAN: forms.BOOLEAN,
    values.LIST: forms.LIST,
    values.STRUCT: forms.STRUCT,
}


def own_pipeline(pipeline: ir.Pipeline) -> Pipeline | None:
    """Which of our pipelines it was compiled from; None for one of somebody else."""
    found = (PIPELINES[name] for name, needed in OWN_COMPONENTS.items() if set(pipeline.components) >= needed)
    return next(found, None)


def form(source: Source, text: str, given: Mapping[str, str], data: str, clone: Run | None) -> Form:
    """The form of a compiled pipeline.

    Args:
        source: what it is made from.
        text: the IR.
        given: what somebody filled in.
        data: folder or gs:// address of the rounds or of the data's files, for a pipeline of ours.
        clone: the run whose parameters are the starting values.
    """
    pipeline = irtext.read(text)
    ours = own_pipeline(pipeline)
    own = ours is not None
    before = clone.parameters if clone else {}
    asked = [p for p in pipeline.root.parameters.values() if not (own and p.name in MADE_HERE)]
    made = [_field(p, own, given, before, bool(data)) for p in asked]
    data_kind = ours.data if ours and ours.data in pipeline.root.parameters else ""
    groups = _grouped(made) if own else [Group("parameters", "Parameters", made, shown=tuple(f.name for f in made))]
    return Form(
        source=source,
        groups=[group for group in groups if group.fields],
        data_kind=data_kind,
        data=data,
        data_said=_data_said(before) if data_kind else "",
        data_error=data_source.problem(data) if data_kind and data else "",
        earlier_run=clone.run_id if clone else "",
        notes=tuple(_notes(pipeline, clone)),
    )


def parameters(form: Form, text: str) -> dict[str, Any]:
    """The parameters of the run; what is left empty and may be is left out. Raises PipelineError."""
    declared = irtext.read(text).root.parameters
    given = {one.name: one.value for one in form.fields if one.value != "" or one.default == ""}
    if form.data:
        given.pop(form.data_kind, None)
    return {name: parsed(value, declared[name]) for name, value in given.items()}


def parsed(text: str, parameter: ir.Parameter) -> Any:
    """What a person typed as the value of a parameter. A list may be written with commas.

    Raises:
        ValueProblem: it is not of the parameter's type, or none of its choices.
    """
    if parameter.kind == values.LIST and not text.lstrip().startswith("["):
        value: Any = knobs.parse(text, list)
    else:
        value = values.parse_given(text, parameter.kind, parameter.name)
    if parameter.choices and value not in parameter.choices:
        known = ", ".join(map(fields.as_text, parameter.choices))
        raise values.ValueProblem(f"{parameter.name}={text} is not one of {known}")
    return value


def _field(
    parameter: ir.Parameter, own: bool, given: Mapping[str, str], before: Mapping[str, Any], has_data: bool
) -> Field:
    default = None if parameter.default is ir.ABSENT else parameter.default
    start = before.get(parameter.name)
    field = fields.filled(
        _empty(parameter, own),
        default,
        start,
        given.get(parameter.name),
        None if start is None else fields.as_text(start),
    )
    return dataclasses.replace(field, error=_error(field, parameter, own, has_data))


def _empty(parameter: ir.Parameter, own: bool) -> Field:
    known = _knob_field(parameter.name) if own else None
    if known:
        return dataclasses.replace(known, name=parameter.name)
    choices = tuple(map(fields.as_text, parameter.choices))
    kind = forms.CHOICE if choices else _KINDS.get(parameter.kind, forms.TEXT)
    return Field(parameter.name, parameter.name, kind, "", help=parameter.description, choices=choices)


def _knob_field(name: str) -> Field | None:
    found = _knob_of(name)
    return fields.of_settings(STEPS[GROUPS[found[0]]].Settings)[found[1]] if found else None


def _knob_of(name: str) -> tuple[str, str] | None:
    """Group and knob of a root parameter `<group>_<knob>` of ours."""
    for group, step in GROUPS.items():
        knob = name.removeprefix(group + "_")
        if knob != name and knob in knobs.types_of(STEPS[step].Settings):
            return group, knob
    return None


def _error(field: Field, parameter: ir.Parameter, own: bool, has_data: bool) -> str:
    if own and parameter.name in (ROUNDS, DATA_ROOT) and not field.value:
        needed = parameter.name == ROUNDS and not has_data
        return "give the rounds, or a folder of them under Data" if needed else ""
    if field.value == "" and field.default is None:
        return "" if parameter.optional else f"needs a value ({parameter.kind})"
    try:
        value = parsed(field.value, parameter)
        if own and (knob := _knob_of(parameter.name)):
            knobs.from_mapping(STEPS[GROUPS[knob[0]]].Settings, {knob[1]: value})
    except (PipelineError, SettingsError) as error:
        return str(error)
    return ""


def _grouped(made: list[Field]) -> list[Group]:
    by_group: dict[str, list[Field]] = {"pipeline": [], **{group: [] for group in GROUPS}}
    for field in made:
        found = _knob_of(field.name)
        by_group[found[0] if found else "pipeline"].append(field)
    return [Group(name, recipe_form.title_of(name), listed, shown=_shown(listed)) for name, listed in by_group.items()]


def _shown(made: list[Field]) -> tuple[str, ...]:
    return tuple(field.name for wanted in recipe_form.WORTH_A_LOOK for field in made if field.label == wanted)


def _data_said(before: Mapping[str, Any]) -> str:
    named = [str(r.get("name", "")) for r in before.get(ROUNDS) or []] or [str(before.get(SOURCE, ""))]
    return f"{', '.join(named)} as in the run that is cloned" if any(named) else ""


def _notes(pipeline: ir.Pipeline, clone: Run | None) -> list[str]:
    if not clone:
        return []
    declared = pipeline.root.parameters
    gone = [f"{name}={json.dumps(value)[:60]}" for name, value in clone.parameters.items() if name not in declared]
    new = [name for name in declared if name not in clone.parameters]
    notes = [f"Left out, this version has no such parameter: {', '.join(gone)}"] if gone else []
    notes += [f"New in this version, with its default: {', '.join(new)}"] if new else []
    changed = [f"{key}: {', '.join(given)}" for key, given in clone.overrides.items()]
    return notes + ([f"Not cloned, changed by a rerun for single tasks: {'; '.join(changed)}"] if changed else [])
