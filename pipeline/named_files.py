"""The content of the files that settings name, as parameters of a run: whoever changes a file changes its tasks."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from components.artifacts import gcs, storage
from pipeline.recipe import Recipe
from pipeline.recipe_steps import FILES, FILES_DIGEST, GROUPS, SOURCE, STEPS
from pipeline.rounds import folders


def of_recipe(recipe: Recipe, source: str) -> dict[str, str]:
    """The digests for a run of a recipe, see `digests`; `source` is the folder or address of its data."""
    knobs = {f"{group}_{name}": value for group in recipe.active for name, value in vars(recipe.groups[group]).items()}
    return digests(knobs | {SOURCE: source})


def digests(parameters: Mapping[str, Any]) -> dict[str, str]:
    """The content of every file that the parameters of a run name.

    Args:
        parameters: `source` and `<group>_<knob>` for every knob; groups that are not there are left out.

    Returns:
        Root parameter to digest, empty where a group names nothing that can be read from here: the web is not asked,
        and what is missing is for the step to say.

    Raises:
        DataError: gs:// is named and cannot be asked, for instance without credentials.
    """
    there = [group for group, names in FILES.items() if f"{group}_{names[0]}" in parameters]
    return {f"{group}_{FILES_DIGEST}": _digest(list(_contents(group, parameters))) for group in there}


def _digest(contents: list[tuple[str, str]]) -> str:
    return folders.content_digest(contents) if any(content for _, content in contents) else ""


def _contents(group: str, parameters: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Knob and content of what it names, in the order of the names."""
    from components.artifacts import web  # loads a client for http, which a command that only looks need not wait for

    has_source = SOURCE in {f.name for f in fields(STEPS[GROUPS[group]].Inputs)}
    source = str(parameters.get(SOURCE) or "") if has_source else ""
    for knob in FILES[group]:
        named = parameters[f"{group}_{knob}"]
        for uri in named if isinstance(named, list) else [named]:
            yield knob, _content(web.address(uri, source)) if uri else ""


def _content(address: str) -> str:
    """Of a local file its bytes are read. Of a folder of pictures names and sizes must do: they are gigabytes, and a
    step that copies from a mirror checks each. Of gs:// the storage's own checksum, or generations, is content enough.
    """
    remote = storage.is_remote(address)
    if "://" in address and not remote:
        return ""
    if storage.exists(address):
        return gcs.content(address) if remote else folders.content_of(address)
    found = storage.entries(address)
    return folders.content_digest((e.name, f"{e.size} {e.stamp if remote else ''}") for e in found) if found else ""
