"""The cache key of a task, made of content only, and why two keys differ. Pure, but for hashing files.

In the key: command and arguments before placeholders are filled (paths differ from run to run), the identity of the
code (or the image's name where the caller knows no better), values of the declared inputs with defaults, digests of
input artifacts, and the output interface. Not in it: names, times, paths of artifacts, environment, resources.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.engine import ir
from pipeline.engine.resolve import settled, with_defaults
from pipeline.engine.values import Values, canonical
from pipeline.errors import PipelineError

_MAX_VALUE = 60


@dataclass(frozen=True)
class Fingerprint:
    """A cache key and what it was made of.

    Attributes:
        key: sha256 hex over all parts.
        parts: `command`, `code`, `parameters`, `artifacts`, `outputs`, each a JSON value.
    """

    key: str
    parts: Mapping[str, Any]


@dataclass(frozen=True)
class Explanation:
    """Why a task was reused or has to run.

    Attributes:
        hit: outputs of an earlier execution are used.
        run_id: that execution's run, or the run of the nearest earlier execution; empty when there is none.
        key: that execution's task.
        differences: on a miss, what differs from the nearest, for instance `parameter epochs 3 -> 4`.
    """

    hit: bool
    run_id: str = ""
    key: str = ""
    differences: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.hit:
            return f"cached: the same code and inputs ran as {self.key} in run {self.run_id[:8]}"
        if not self.run_id:
            return "not cached: " + ("; ".join(self.differences) or "never run before")
        return f"not cached: {'; '.join(self.differences)} (against {self.key} in run {self.run_id[:8]})"


def fingerprint(component: ir.Component, container: ir.Container, inputs: Values, code: str) -> Fingerprint:
    """Makes the cache key of a task.

    Args:
        component: its interface.
        container: what it runs.
        inputs: what the pipeline passes; what the component does not declare (KFP adds some for resources) is left out.
        code: identity of the code, empty to go by the image's name.
    """
    inputs = settled(with_defaults(component, inputs))
    parts = {
        "command": [*container.command, *container.args],
        "code": code or container.image,
        "parameters": {k: v for k, v in inputs.parameters.items() if k in component.parameters},
        "artifacts": {k: [a.digest for a in v] for k, v in inputs.artifacts.items() if k in component.artifacts},
        "outputs": {k: p.kind for k, p in component.output_parameters.items()}
        | {k: f"{a.kind}@{a.version}" for k, a in component.output_artifacts.items()},
    }
    return Fingerprint(digest_of_value(parts), parts)


def digest_of_value(value: Any) -> str:
    """sha256 hex of a JSON value, independent of the order of keys."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """What changed between the parts of two fingerprints, each in words; empty when nothing did."""
    found: list[str] = []
    if old["command"] != new["command"]:
        found.append("the command changed")
    elif old["code"] != new["code"]:
        found.append(f"code of {_module(new['command'])} changed")
    if old["outputs"] != new["outputs"]:
        found.append("the outputs it declares changed")
    found += _changed("parameter", old["parameters"], new["parameters"])
    changed = [
        k for k in sorted({*old["artifacts"], *new["artifacts"]}) if old["artifacts"].get(k) != new["artifacts"].get(k)
    ]
    return tuple(found + [f"input artifact {name} changed" for name in changed])


def _module(command: Sequence[str]) -> str:
    """`python -m components.train ...` -> `components.train`; else the first word."""
    after = [b for a, b in zip(command, command[1:], strict=False) if a == "-m"]
    return (after or list(command) or ["the command"])[0]


def _changed(what: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    lines: list[str] = []
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            lines += [line.replace(f"{what} ", f"{what} {name}.", 1) for line in _changed(what, before, after)]
        else:
            lines.append(f"{what} {name} {_short(before)} -> {_short(after)}")
    return lines


def _short(value: Any) -> str:
    text = "nothing" if value is None else value if isinstance(value, str) else canonical(value)
    # The end of a reference is its digest, which is what differs.
    return text if len(text) <= _MAX_VALUE else f"{text[:20]}...{text[-24:]}"


def nearest(parts: Mapping[str, Any], earlier: Sequence[tuple[str, str, Mapping[str, Any]]]) -> Explanation:
    """Explains a miss by the earlier execution that differs least; of equals the first, which should be the newest.

    Args:
        parts: of the task that has to run.
        earlier: (run id, key, parts) of executions of the same component, those with equal parts first.
    """
    best: tuple[tuple[str, ...], str, str] | None = None
    for run_id, key, old in earlier:
        found = differences(old, parts)
        if best is None or len(found) < len(best[0]):
            best = (found, run_id, key)
        if len(found) <= 1:  # equal ones come first, so it does not get nearer
            break
    if best is None:
        return Explanation(False)
    return Explanation(False, best[1], best[2], best[0] or ("its outputs are gone",))


def digest_of_path(path: Path) -> str:
    """sha256 hex of a file's bytes, or of a folder's files with their relative paths; modes do not count.

    Raises:
        PipelineError: nothing is there, or a folder holds a link to a folder.
    """
    if path.is_file():
        return _digest_of_file(path)
    if not path.is_dir():
        raise PipelineError(f"{path} does not exist, so it has no digest")
    lines = [f"{file.relative_to(path).as_posix()}\0{_digest_of_file(file)}\n" for file in files_below(path)]
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def files_below(folder: Path) -> list[Path]:
    """All files of a folder, sorted by relative path.

    Raises:
        PipelineError: it holds a link to a folder, which KFP cannot upload either.
    """
    found = sorted(folder.rglob("*"), key=lambda p: p.relative_to(folder).as_posix())
    linked = next((p for p in found if p.is_symlink() and p.is_dir()), None)
    if linked:
        raise PipelineError(f"{linked} is a link to a folder; copy the folder instead")
    return [p for p in found if p.is_file()]


def _digest_of_file(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
