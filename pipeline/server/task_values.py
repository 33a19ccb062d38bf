"""Inputs and outputs of a task as people read them: links to who made them, digests to copy, settings apart."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from pipeline.engine.records import Run, Task
from pipeline.engine.values import Artifact, Values
from pipeline.server import artifact_bytes, artifact_files, artifact_view
from pipeline.server.artifact_view import Figures

MOST_CHARACTERS = 400


@dataclass(frozen=True)
class Item:
    """One value.

    Attributes:
        name: of the input or output; of a list several items have it.
        kind: `system.HTML`, `checkpoints` (of a reference), or empty for a plain value.
        text: the value, cut where it is long.
        full: the whole value, to copy.
        digest: of an artifact or reference.
        tasks: (label, key) of who made an input, or of who takes an output.
        view: address of the page that shows it, empty where it cannot be shown.
        frame: address of its bytes when they are a page to be framed.
        figures: of a metrics artifact.
    """

    name: str
    kind: str
    text: str
    full: str
    digest: str = ""
    tasks: Sequence[tuple[str, str]] = ()
    view: str = ""
    frame: str = ""
    figures: Figures | None = None


@dataclass(frozen=True)
class Shown:
    """All values of a task: `given` and `made` are what passes between tasks, `settings` the rest of the inputs."""

    given: Sequence[Item]
    settings: Sequence[Item]
    made: Sequence[Item]


def shown(state_dir: Path, run: Run, task: Task, tasks: Sequence[Task]) -> Shown:
    """The inputs and outputs of a task, joined with the other tasks of its run."""
    look = _Look(state_dir, run, task, tasks)
    given = [*look.items(task.inputs, look.makers, None)]
    return Shown(
        given=[item for item in given if item.kind],
        settings=[item for item in given if not item.kind],
        made=[*look.items(task.outputs, look.takers, task)],
    )


class _Look:
    """One task among the others of its run."""

    def __init__(self, state_dir: Path, run: Run, task: Task, tasks: Sequence[Task]) -> None:
        self._state_dir = state_dir
        self._run = run
        others = [t for t in tasks if t.is_leaf and t.key != task.key]
        self.makers = _by_value(others, lambda t: t.outputs)
        self.takers = _by_value(others, lambda t: t.inputs)

    def items(self, values: Values, ends: Mapping[str, Sequence[Task]], owner: Task | None) -> Iterable[Item]:
        """Artifacts first, then parameters. `owner`: the task whose outputs these are."""
        for name, artifacts in values.artifacts.items():
            for number, artifact in enumerate(artifacts):
                yield self._artifact(name, number, artifact, ends.get(artifact.uri, ()), owner)
        for name, value in values.parameters.items():
            references = [v for v in _listed(value) if artifact_files.REFERENCE.match(v)]
            if references:
                yield from (self._reference(name, v, ends.get(v, ()), owner) for v in references)
            else:
                yield _plain(name, value)

    def _artifact(self, name: str, number: int, artifact: Artifact, ends: Sequence[Task], owner: Task | None) -> Item:
        maker = owner or next(iter(ends), None)
        found = _output_of(maker, artifact) if maker else None
        at = artifact_files.local_path(artifact.uri)
        figures = artifact_view.figures(artifact)
        shown = bool(maker and found and at and not figures)
        address = self._address(maker, found[0], found[1]) if shown and maker and found else ("", "")
        is_frame = artifact_bytes.ending(artifact.uri) in (".html", ".htm", ".md")
        return Item(
            name + (f"[{number}]" if number else ""),
            artifact.type,
            artifact.uri,
            artifact.uri,
            artifact.digest,
            _named(ends),
            view=address[0],
            frame=(address[1] + ("&as=page" if artifact.uri.endswith(".md") else "")) if is_frame else "",
            figures=figures,
        )

    def _reference(self, name: str, value: str, ends: Sequence[Task], owner: Task | None) -> Item:
        found = artifact_files.REFERENCE.match(value)
        kind, digest = (found["kind"], found["digest"]) if found else ("", "")
        maker = owner or next(iter(ends), None)
        output = next((k for k, v in maker.outputs.parameters.items() if v == value), "") if maker else ""
        seen = output and artifact_files.of_reference(self._state_dir, self._run, value)
        view = self._address(maker, output, 0)[0] if maker and seen else ""
        return Item(name, kind, value, value, digest, _named(ends), view)

    def _address(self, maker: Task, name: str, number: int) -> tuple[str, str]:
        """Page and bytes of an output."""
        query = {"key": maker.key, "name": name} | ({"number": number} if number else {})
        base = f"/runs/{maker.run_id}/artifact"
        return f"{base}/view?{urlencode(query)}", f"{base}?{urlencode(query)}"


def _by_value(tasks: Sequence[Task], side: Any) -> dict[str, list[Task]]:
    """Which tasks have a reference or artifact among their inputs or outputs."""
    found: dict[str, list[Task]] = {}
    for task in tasks:
        values = side(task)
        uris = [a.uri for listed in values.artifacts.values() for a in listed]
        for value in dict.fromkeys([*uris, *(v for p in values.parameters.values() for v in _listed(p))]):
            found.setdefault(value, []).append(task)
    return found


def _listed(value: Any) -> list[str]:
    """The texts in a value that could be references."""
    values = value if isinstance(value, list) else [value]
    return [v for v in values if isinstance(v, str) and "/" in v]


def _output_of(maker: Task, artifact: Artifact) -> tuple[str, int] | None:
    places = (
        (n, i) for n, listed in maker.outputs.artifacts.items() for i, a in enumerate(listed) if a.uri == artifact.uri
    )
    return next(places, None)


def _named(tasks: Sequence[Task]) -> list[tuple[str, str]]:
    return [(t.label, t.key) for t in tasks]


def _plain(name: str, value: Any) -> Item:
    full = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = full if len(full) <= MOST_CHARACTERS else full[:MOST_CHARACTERS] + "…"
    return Item(name, "", text, full)
