"""What lies in the folder of a round: its digest and its reader both look here, so neither knows a file of its own.

Links are followed, to files and to folders, wherever they lead: people link what they do not want to copy. The digest
of a round is therefore the same whether its pictures are copied or linked, and another when a linked one changes. What
cannot be followed without end, or at all, is told with its reason.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from components.artifacts import storage
from components.artifacts.storage import Entry


class Unread(NamedTuple):
    """Something that is no file to be read; `reason` is a category, a colon, and the particulars."""

    name: str
    reason: str


class Look(NamedTuple):
    """Files, and what else lies there but cannot be read; relative names, sorted by folder, hidden ones left out."""

    files: list[Entry]
    unread: list[Unread]


def look(uri: str, folders: Sequence[str] = ()) -> Look:
    """All files below a folder (or `gs://` prefix, which has no links); none where it does not exist.

    Args:
        uri: the folder.
        folders: where given, those right in it that count, in the order of the result. What is a link is decided from
            `uri` in either case.
    """
    if storage.is_remote(uri):
        return Look(_remote(uri, folders), [])
    place = {name: number for number, name in enumerate(folders)}
    found = sorted(
        _below(uri, "", folders, is_linked=False),
        key=lambda item: (place.get(item.name.partition("/")[0], 0), item.name),
    )
    return Look(
        [item for item in found if isinstance(item, Entry)],
        [item for item in found if isinstance(item, Unread)],
    )


def _remote(uri: str, folders: Sequence[str]) -> list[Entry]:
    parts = [(f"{folder}/", storage.join(uri, folder)) for folder in folders] or [("", uri)]
    return [entry._replace(name=prefix + entry.name) for prefix, part in parts for entry in storage.entries(part)]


def _below(folder: str, prefix: str, only: Sequence[str] = (), *, is_linked: bool) -> Iterator[Entry | Unread]:
    try:
        items = [item for item in os.scandir(folder) if not item.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):  # never there, or gone since it was listed
        return
    except OSError as error:
        yield Unread(prefix.rstrip("/"), f"unreadable folder: {error.strerror}")
        return
    for item in items:
        if not only or item.name in only:
            yield from _of(item, prefix + item.name, is_linked=is_linked)


def _of(item: os.DirEntry[str], name: str, *, is_linked: bool) -> Iterator[Entry | Unread]:
    try:
        about = item.stat()
    except OSError as error:
        if item.is_symlink():
            yield Unread(name, f"broken link: {error.strerror}")
        elif not isinstance(error, FileNotFoundError):
            yield Unread(name, f"unreadable file: {error.strerror}")
        return
    if stat.S_ISREG(about.st_mode):
        # The time of change too: a copy that keeps the file's own time is noticed.
        yield Entry(name, about.st_size, f"{about.st_mtime_ns} {about.st_ctime_ns}")
    elif not stat.S_ISDIR(about.st_mode):
        yield Unread(name, "special file: neither a file nor a folder")
    elif reason := _endless(item, is_linked=is_linked):
        yield Unread(name, reason)
    else:
        yield from _below(item.path, f"{name}/", is_linked=is_linked or item.is_symlink())


def _endless(item: os.DirEntry[str], *, is_linked: bool) -> str:
    """Why a folder is not entered, or "". Two folders that link each other would go on for ever."""
    if not item.is_symlink():
        return ""
    if is_linked:
        return "link behind a link: a linked folder is followed, folders linked in it are not; link them from here"
    target, here = os.path.realpath(item.path), os.path.realpath(os.path.dirname(item.path))
    is_circle = os.path.commonpath([target, here]) == target
    return "link in a circle: it leads to a folder that holds it" if is_circle else ""
