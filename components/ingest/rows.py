"""What a reader hands on: good rows, refused rows, the attributes, and what the report should say about the reading."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from components.artifacts import round_files, storage
from components.artifacts.round_files import Look, Unread
from components.errors import DataError, SettingsError
from components.ingest.attributes import Attribute

# What archivers and desktops leave behind: `.DS_Store`, `__MACOSX/._a.jpg`.
_HIDDEN = re.compile(r"(^|/)(\.|__MACOSX/)")
# What folders and tables call the parts of a data set, in small letters; of the unlabelled ones with the kind of row.
TRAIN, HELD_OUT = ("train", "training"), ("val", "valid", "validation")
UNLABELLED = {"test": "test", "tests": "test", "pool": "pool", "unlabelled": "pool", "unlabeled": "pool"}


class Row(NamedTuple):
    """One picture and attribute.

    Attributes:
        label: a y/m/n string, or a number where the attribute is one; empty for kinds `pool` and `test`.
        held_out: the data set itself keeps it for validation.
    """

    file: str
    line: int
    round: int
    kind: str
    image_id: str
    attribute: str
    label: str
    path: str
    held_out: bool = False


class Rejected(NamedTuple):
    """A row that cannot be used. `reason` is a category, a colon, and the particulars."""

    file: str
    line: int
    image_id: str
    attribute: str
    reason: str


def category(reason: str) -> str:
    """A reason without its particulars."""
    return reason.split(":")[0]


@dataclass
class Reading:
    """All rows of all rounds.

    Attributes:
        attributes: name to attribute, in the order of the recipe (or of first appearance).
        rows: in the order of the rounds, files and lines; rows of kind `test` are in question order.
        rejected: refused rows, in the same order.
        ignored: attribute to the number of rows left out because nobody asked for it.
        notes: sentences for the report, for instance about a file's encoding.
    """

    attributes: dict[str, Attribute]
    rows: list[Row] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Round:
    """One delivery of data. `number` is 1 for the oldest; `folders`, where given, are all that belongs to it."""

    number: int
    name: str
    uri: str
    digest: str
    folders: tuple[str, ...] = ()

    @cached_property
    def files(self) -> list[str]:
        """All files below the round's folder, also behind links, relative and sorted."""
        found = [entry.name for entry in self._look.files if self._includes(entry.name)]
        if not found:
            raise DataError(f"round {self.name!r}: no file under {self.uri!r}; check the address")
        return sorted(found)

    @cached_property
    def unread(self) -> list[Unread]:
        """What lies there besides and cannot be read: broken links, links in a circle, and the like."""
        return [item for item in self._look.unread if self._includes(item.name)]

    @cached_property
    def _look(self) -> Look:
        return round_files.look(self.uri, self.folders)

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(self.files)

    def bare(self, folder: str = "") -> list[str]:
        """Folders right in a folder of the round in which no file is found, but for those that are told as unread."""
        depth = len(folder.split("/")) + 1 if folder else 1
        holding = {"/".join(name.split("/")[:depth]) for name in self.files if name.count("/") >= depth}
        told = holding | {item.name for item in self.unread}
        names = storage.folders(storage.join(self.uri, folder))
        inside = [f"{folder}/{name}" if folder else name for name in names]
        return [path for path in inside if path not in told and self._includes(f"{path}/")]

    def _includes(self, path: str) -> bool:
        return not _HIDDEN.search(path) and (not self.folders or path.split("/")[0] in self.folders)

    def absence(self, path: str) -> str:
        """Why a file is not part of the round, or "". What is not listed is not: the digest does not know it."""
        if path in self._names:
            return ""
        if hidden := _HIDDEN.search(path):
            return f"hidden: what {'begins with a dot' if hidden[2] == '.' else 'lies in __MACOSX'} is not read"
        holding = [path, *(str(folder) for folder in PurePosixPath(path).parents)]
        return next((self._reasons[name] for name in holding if name in self._reasons), f"missing file: no {path}")

    @cached_property
    def _reasons(self) -> dict[str, str]:
        return {item.name: item.reason for item in self.unread}


def unread(round: Round, attribute: str) -> Iterator[Rejected]:
    """What cannot be read of a round, as refused rows."""
    return (Rejected(f"{round.name}/{name}", 0, name, attribute, reason) for name, reason in round.unread)


def open_rounds(structs: list[dict[str, Any]]) -> list[Round]:
    """The rounds of the run, checked.

    Raises:
        SettingsError: none given, a round without a uri, or two with the same name.
    """
    if not structs:
        raise SettingsError('rounds is empty; give one or more, for instance [{"name": "round1", "uri": "data/r1"}]')
    rounds = list(_opened(structs))
    repeated = [name for name, times in Counter(r.name for r in rounds).items() if times > 1]
    if repeated:
        raise SettingsError(f"two rounds are called {repeated[0]!r}; give each its own name")
    return rounds


def _opened(structs: list[dict[str, Any]]) -> Iterator[Round]:
    for number, struct in enumerate(structs, 1):
        if not isinstance(struct, dict) or not struct.get("uri"):
            raise SettingsError(f"rounds[{number - 1}]={struct!r} has no uri; give a folder or a gs:// address")
        name = str(struct.get("name") or f"round{number}")
        folders = tuple(struct.get("folders", ()))
        yield Round(number, name, str(struct["uri"]), str(struct.get("digest", "")), folders)
