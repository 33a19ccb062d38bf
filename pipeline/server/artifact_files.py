"""Where the files of a task's outputs lie, and how they are opened so that nothing leads anywhere else.

Shown is only what a task of this state folder made: artifacts below the folder's `artifacts/`, and references (folders
`ROOT/KIND/DIGEST` with an `index.json`) below the state folder or below the `data_root` that the run itself was given.
Every step of a path is opened without following links, so what is opened is what was checked.
"""

import errno
import itertools
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from pipeline.engine.records import Run, Task
from pipeline.engine.values import Artifact
from pipeline.errors import NotFound, PipelineError

REFERENCE = re.compile(r"^(?P<root>.*)/(?P<kind>[a-z][a-z_]*)/(?P<digest>[0-9a-f]{32})$")
INDEX = "index.json"
MOST_ENTRIES = 20_000
_COMMITTED = re.compile(r"/(artifacts/[0-9a-f]{64}/[^/]+)$")
_NOT_BELOW = (Path("/"), Path.home())  # as a data_root these would show everything
_STEP = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a FIFO must not keep a thread waiting


@dataclass(frozen=True)
class Place:
    """A file or folder that may be shown: `parts` below `root`, which nothing may leave."""

    root: Path
    parts: tuple[str, ...]

    def below(self, path: str) -> "Place":
        """A file or folder inside; an empty path is the place itself.

        Raises:
            PipelineError: the path could lead out.
        """
        parts = tuple(path.split("/")) if path else ()
        for part in parts:
            if part in ("", ".", "..") or "\0" in part:
                raise PipelineError(f"path {path!r} could lead out of the artifact; give one like images/1.png")
        return Place(self.root, (*self.parts, *parts))


@dataclass(frozen=True)
class Entry:
    """One line of a folder's list. `size` in bytes, None for a folder."""

    name: str
    size: int | None


def place_of(state_dir: Path, run: Run, task: Task, name: str, number: int = 0) -> Place:
    """Where an output of a task lies.

    Args:
        state_dir: the state folder.
        run: the task's run.
        task: the task.
        name: an output artifact, or an output parameter that is a reference.
        number: which artifact of a list.

    Raises:
        NotFound: no such output, or it lies where this server shows nothing.
    """
    artifacts = task.outputs.artifacts.get(name, ())
    if number < len(artifacts):
        return _of_artifact(state_dir.absolute(), artifacts[number])
    value = task.outputs.parameters.get(name)
    if isinstance(value, str) and (place := of_reference(state_dir, run, value)):
        return place
    known = ", ".join([*task.outputs.artifacts, *task.outputs.parameters]) or "none"
    raise NotFound(f"{task.label} has no output {name!r} that can be shown; its outputs: {known}")


def _of_artifact(state_dir: Path, artifact: Artifact) -> Place:
    path = local_path(artifact.uri)
    if path is None:
        raise NotFound(f"{artifact.name} lies at {artifact.uri}, which is not on this machine; fetch it from there")
    found = _COMMITTED.search(path)
    # By its digest, not by where the state folder once stood: a folder that was moved keeps its artifacts.
    if not found or ".." in path:
        raise NotFound(f"{artifact.name} lies at {path}, outside of the state folder; only artifacts/ in it is shown")
    return Place(state_dir, tuple(found[1].split("/")))


def of_reference(state_dir: Path, run: Run, value: str) -> Place | None:
    """The folder of a reference; None when it is none, is remote, or lies where this server shows nothing."""
    found = REFERENCE.match(value)
    if not found or not value.startswith("/") or ".." in value.split("/"):
        return None
    roots = [state_dir.absolute()]
    given = run.parameters.get("data_root")
    if isinstance(given, str) and given.startswith("/") and Path(given).resolve() not in _NOT_BELOW:
        roots.append(Path(given))
    root = next((r for r in roots if Path(value).is_relative_to(r)), None)
    if root is None:
        return None
    place = Place(root, Path(value).relative_to(root).parts)
    return place if _is_file(place.below(INDEX)) else None


def local_path(uri: str) -> str | None:
    """The path of a local artifact; None for `gs://` and the like."""
    if uri.startswith("/"):
        return uri
    parts = urlsplit(uri)
    return unquote(parts.path) if parts.scheme == "file" and parts.netloc in ("", "localhost") else None


def is_folder(place: Place) -> bool:
    """Whether a folder lies there, not a file.

    Raises:
        NotFound: neither a folder nor a regular file.
    """
    descriptor = _open(place)
    try:
        return stat.S_ISDIR(os.fstat(descriptor).st_mode)
    finally:
        os.close(descriptor)


def entries(place: Place) -> list[Entry]:
    """What a folder holds, folders first, up to `MOST_ENTRIES`; links and devices are left out.

    Raises:
        NotFound: nothing there, or no folder.
    """
    descriptor = _open(place)
    try:
        with os.scandir(descriptor) as listed:
            some = itertools.islice(listed, MOST_ENTRIES)
            found = [_entry(e) for e in some if e.is_dir(follow_symlinks=False) or e.is_file(follow_symlinks=False)]
    except NotADirectoryError:
        raise NotFound(f"{place.parts[-1]} is no folder") from None
    finally:
        os.close(descriptor)
    return sorted(found, key=lambda e: (e.size is not None, e.name))


def _entry(entry: os.DirEntry[str]) -> Entry:
    return Entry(entry.name, None if entry.is_dir(follow_symlinks=False) else entry.stat(follow_symlinks=False).st_size)


def open_file(place: Place) -> tuple[BinaryIO, int]:
    """Opens a regular file and says how many bytes it has.

    Raises:
        NotFound: nothing there, a link, a folder, a device or a FIFO.
    """
    descriptor = _open(place)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise NotFound(f"{place.parts[-1]} is a folder; open one of its files")
    return os.fdopen(descriptor, "rb"), status.st_size


def _is_file(place: Place) -> bool:
    try:
        return not is_folder(place)
    except NotFound:
        return False


def _open(place: Place) -> int:
    """A descriptor of a regular file or folder, reached from the root without following any link."""
    descriptor = _step(place.root, None, place)
    for part in place.parts:
        above = descriptor
        try:
            descriptor = _step(part, above, place)
        finally:
            os.close(above)
    mode = os.fstat(descriptor).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        os.close(descriptor)
        raise NotFound(f"{_shown(place.parts)} is neither a file nor a folder, so it is not shown")
    return descriptor


def _step(name: str | Path, above: int | None, place: Place) -> int:
    flags = _STEP if above is not None else os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    try:
        return os.open(name, flags, dir_fd=above)
    except (OSError, ValueError) as error:
        number = getattr(error, "errno", 0)
        why = {errno.ELOOP: "is a link, and links are not followed", errno.EACCES: "may not be read"}
        raise NotFound(f"{_shown(place.parts)} {why.get(number or 0, 'is not there (any more)')}") from None


def _shown(parts: Sequence[str]) -> str:
    return "/".join(parts)
