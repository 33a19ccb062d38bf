"""Reads rounds laid out as one folder per class: `{train,val}/{class}/*` or `{class}/*`.

`test/` holds the questions (in the order of their paths), `pool/` unlabelled pictures, with or without folders inside.
What lies in `val/` is held out: it judges and never trains. Without it the folds are cut here, grouped by duplicates.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from components.errors import DataError, SettingsError
from components.ingest import attributes, labels
from components.ingest.attributes import Attribute
from components.ingest.rows import Reading, Rejected, Round, Row

DEFAULT_NAME = "class"
# What lies beside pictures and would otherwise count as refused ones: captions, sounds, what programs leave behind.
_NO_PICTURES = (
    *(".txt", ".md", ".html", ".csv", ".json", ".xml", ".yaml", ".dat", ".db", ".ini", ".svg"),
    *(".wav", ".ogg", ".mp3", ".mp4"),
)
_TRAIN, _HELD_OUT = "train", ("val", "valid", "validation")
_UNLABELLED = {"test": "test", "tests": "test", "pool": "pool", "unlabelled": "pool", "unlabeled": "pool"}


class _File(NamedTuple):
    round: Round
    path: str
    kind: str
    folder: str
    held_out: bool = False


def read(rounds: list[Round], structs: list[Any]) -> Reading:
    """Reads every file of every round; the label of a picture is its folder.

    Args:
        rounds: oldest first.
        structs: at most one attribute. Its classes, if given, fix the order; a folder is called after a class or
            after its position. Otherwise the classes are the folder names of all rounds in alphabetical order.

    Raises:
        SettingsError: more than one attribute. DataError: fewer than two classes.
    """
    wanted = attributes.asked(structs)
    if len(wanted) > 1:
        raise SettingsError(f"a folder per class is one attribute; {len(wanted)} are given: {', '.join(wanted)}")
    name, struct = next(iter(wanted.items()), (DEFAULT_NAME, {}))
    strange: list[str] = []
    files = [file for round in rounds for file in _files(round, strange)]
    attribute = _attribute(name, struct, files)
    position = {str(i): i for i in range(len(attribute.classes))} | {c: i for i, c in enumerate(attribute.classes)}
    reading = Reading({name: attribute})
    if strange:
        reading.notes.append(f"{len(strange)} files are no pictures by their names and left out: {strange[0]}, ...")
    asked: set[str] = set()
    for file in files:
        _take(file, _fault(file, position, asked), position, reading)
    return reading


def _files(round: Round, strange: list[str]) -> Iterator[_File]:
    tops = {name.split("/")[0].lower() for name in round.files}
    for path in round.files:
        first, *rest = path.split("/")
        if not rest:
            continue  # a read-me beside the folders
        if PurePosixPath(path).suffix.lower() in _NO_PICTURES:
            strange.append(path)
        elif first.lower() in _UNLABELLED:
            yield _File(round, path, _UNLABELLED[first.lower()], "")
        elif _TRAIN not in tops:
            yield _File(round, path, "labelled", attributes.tidy(first))
        elif first.lower() in (_TRAIN, *_HELD_OUT) and len(rest) > 1:
            yield _File(round, path, "labelled", attributes.tidy(rest[0]), first.lower() in _HELD_OUT)


def _attribute(name: str, struct: dict[str, Any], files: list[_File]) -> Attribute:
    found = Counter(file.folder for file in files if file.kind == "labelled")
    classes = struct.get("classes") or sorted(found)
    if not found or len(classes) < 2:
        raise DataError(
            f"{len(found)} class folder(s) found: {sorted(found)}; expected two or more, as {{class}}/* or "
            "train/{class}/*"
        )
    return attributes.with_task(name, struct, sorted(found))


def _fault(file: _File, position: dict[str, int], asked: set[str]) -> str:
    """Why a file cannot be used, or "". `asked` collects the questions: a name can be answered only once."""
    if file.kind == "labelled" and file.folder not in position:
        return f"unknown class: folder {file.folder!r}"
    if file.kind == "test" and file.path in asked:
        return "repeated question: the first one is answered"
    if file.kind == "test":
        asked.add(file.path)
    return ""


def _take(file: _File, fault: str, position: dict[str, int], reading: Reading) -> None:
    name = f"{file.round.name}/{file.path}"
    attribute = next(iter(reading.attributes.values()))
    if fault:
        reading.rejected.append(Rejected(name, 0, file.path, attribute.name, fault))
        return
    label = labels.one_hot(position[file.folder], len(attribute.classes)) if file.kind == "labelled" else ""
    number, held_out = file.round.number, file.held_out
    reading.rows.append(Row(name, 0, number, file.kind, file.path, attribute.name, label, file.path, held_out))
