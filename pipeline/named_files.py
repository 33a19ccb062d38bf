"""The content of the files that settings name, as parameters of a run: whoever changes a file changes its tasks."""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import Any

from components.artifacts import gcs, storage
from pipeline import recipe_loops
from pipeline.recipe import Recipe
from pipeline.recipe_loops import Item
from pipeline.recipe_steps import FILES, FILES_DIGEST, FILES_OF_LOOPS, GROUPS, SOURCE, STEPS
from pipeline.recipe_tables import LOOPS
from pipeline.rounds import folders

Content = Callable[[str], str]


def of_recipe(recipe: Recipe, given: Mapping[str, Any]) -> dict[str, Any]:
    """What `digests` adds to a run of a recipe that is given some parameters, for instance its `source`."""
    knobs = {f"{group}_{name}": value for group in recipe.active for name, value in vars(recipe.groups[group]).items()}
    items = {loop: recipe_loops.for_tasks(loop, getattr(recipe, loop), recipe.generations) for loop in LOOPS}
    return digests(knobs | items | dict(given))


def digests(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The content of every file that the parameters of a run name.

    Args:
        parameters: `source`, `<group>_<knob>` for every knob, `attributes` and `models` as `recipe_loops.for_tasks`
            makes them; groups and loops that are not there are left out.

    Returns:
        Root parameter to digest, empty where a group names nothing that can be read from here: the web is not asked,
        and what is missing is for the step to say. And a loop whose items name files, with the digests in its items.

    Raises:
        DataError: gs:// is named and cannot be asked, for instance without credentials.
    """
    there = [group for group, names in FILES.items() if f"{group}_{names[0]}" in parameters]
    found: dict[str, Any] = {f"{group}_{FILES_DIGEST}": _digest(list(_contents(group, parameters))) for group in there}
    content = functools.cache(_of_file)  # a study's models all name the same one
    for loop in LOOPS:
        before = parameters.get(loop) or []
        after = [_with_digests(item, parameters if loop == "models" else {}, content) for item in before]
        found |= {loop: after} if after != before else {}
    return found


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


def _with_digests(item: Item, for_all: Mapping[str, Any], content: Content) -> Item:
    """An attribute or a model, each group with the digest of its own files, or else of those for all."""
    return item | {
        group: _with_digest(group, item[group], for_all, content) for group in FILES_OF_LOOPS if group in item
    }


def _with_digest(group: str, body: Item, for_all: Mapping[str, Any], content: Content) -> Item:
    own = (body.get(GROUPS[group]) or {}) | (body.get(group) or {})
    named = [(knob, str(own.get(knob) or for_all.get(f"{group}_{knob}", ""))) for knob in FILES_OF_LOOPS[group]]
    digest = _digest([(knob, content(uri)) for knob, uri in named])  # none of a reference: its name tells its bytes
    rest = {key: value for key, value in body.items() if key != FILES_DIGEST}
    return rest | ({FILES_DIGEST: digest} if digest else {})


def _content(address: str) -> str:
    return _of_file(address) or _of_folder(address)


def _of_file(address: str) -> str:
    """Empty for what is none. A relative path is none either: a step runs in a folder of its own."""
    if storage.is_remote(address):
        return gcs.content(address) if storage.exists(address) else ""
    return folders.content_of(address) if address.startswith("/") and storage.exists(address) else ""


def _of_folder(address: str) -> str:
    """Of a folder of pictures names and sizes must do: they are gigabytes, and a step that copies from a mirror checks
    each. On gs:// there are generations too.
    """
    remote = storage.is_remote(address)
    found = storage.entries(address) if remote or address.startswith("/") else []
    return folders.content_digest((e.name, f"{e.size} {e.stamp if remote else ''}") for e in found) if found else ""
