"""Reads rounds laid out as one folder per class: `{train,val}/{class}/*` or `{class}/*`.

`test/` holds the questions (in the order of their paths), `pool/` unlabelled pictures, with or without folders inside.
What lies in `val/` is held out: it judges and never trains. Without it the folds are cut here, grouped by duplicates.
Nothing is left out in silence: files and folders that fit no rule are told in the reading's notes, links that cannot be
followed are refused.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from components.artifacts import storage
from components.errors import DataError, SettingsError
from components.ingest import attributes, labels
from components.ingest.attributes import Attribute
from components.ingest.rows import HELD_OUT, TRAIN, UNLABELLED, Reading, Rejected, Round, Row, unread

DEFAULT_NAME = "class"
# What lies beside pictures and would otherwise count as refused ones: captions, sounds, what programs leave behind.
_NO_PICTURES = (
    *(".txt", ".md", ".html", ".csv", ".json", ".xml", ".yaml", ".dat", ".db", ".ini", ".svg"),
    *(".wav", ".ogg", ".mp3", ".mp4"),
)
_NO_PICTURE, _STRAY = "no picture", "stray"


class _File(NamedTuple):
    """`kind` as of a row, or why it becomes none; `folder` the class of a labelled one."""

    round: Round
    path: str
    kind: str
    folder: str = ""
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
    files = [file for round in rounds for file in _files(round)]
    attribute = _attribute(name, struct, files)
    position = {str(i): i for i in range(len(attribute.classes))} | {c: i for i, c in enumerate(attribute.classes)}
    reading = Reading({name: attribute}, notes=[*_notes(files, position), *_bare_notes(rounds)])
    asked: set[str] = set()
    for file in files:
        if file.kind not in (_NO_PICTURE, _STRAY):
            _take(file, _fault(file, position, asked), position, reading)
    reading.rejected.extend(refused for round in rounds for refused in unread(round, name))
    return reading


def _files(round: Round) -> Iterator[_File]:
    is_split = bool(_parts_of_split(round))
    for path in round.files:
        first, *rest = path.split("/")
        top, suffix = first.lower(), PurePosixPath(path).suffix.lower()
        if suffix in _NO_PICTURES or not (rest or suffix):
            yield _File(round, path, _NO_PICTURE)
        elif rest and top in UNLABELLED:
            yield _File(round, path, UNLABELLED[top])
        elif rest and not is_split:
            yield _File(round, path, "labelled", attributes.class_name(first))
        elif len(rest) > 1 and top in (*TRAIN, *HELD_OUT):
            yield _File(round, path, "labelled", attributes.class_name(rest[0]), top in HELD_OUT)
        else:
            yield _File(round, path, _STRAY)


def _parts_of_split(round: Round) -> list[str]:
    """The folders that hold those of the classes; none where the classes lie right in the round."""
    tops = {path.split("/")[0] for path in round.files if path.count("/") > 1}
    is_split = any(top.lower() in TRAIN for top in tops)
    return sorted(top for top in tops if is_split and top.lower() in (*TRAIN, *HELD_OUT))


def _notes(files: list[_File], position: dict[str, int]) -> Iterator[str]:
    paths = {kind: [file.path for file in files if file.kind == kind] for kind in (_NO_PICTURE, _STRAY, "test")}
    if paths[_NO_PICTURE]:
        number, first = len(paths[_NO_PICTURE]), paths[_NO_PICTURE][0]
        yield f"{number} files are no pictures by their names and left out: {first}, ..."
    if paths[_STRAY]:
        counts = Counter(path.rpartition("/")[0].split("/")[0] or "the round's own folder" for path in paths[_STRAY])
        where = ", ".join(f"{number} in {folder}" for folder, number in sorted(counts.items()))
        yield (
            f"{len(paths[_STRAY])} files lie where no class, question or pool is expected and are left out ({where}): "
            f"{paths[_STRAY][0]}, ..."
        )
    told = [path for path in paths["test"] if {attributes.class_name(p) for p in path.split("/")[1:-1]} & {*position}]
    if told:
        yield f"{len(told)} questions lie in folders called like classes: these are not read as labels: {told[0]}, ..."


def _bare_notes(rounds: list[Round]) -> Iterator[str]:
    for round in rounds:
        for path in (path for folder in ("", *_parts_of_split(round)) for path in round.bare(folder)):
            yield f"{round.name}/{path} is empty: no class or part comes from it"


def _attribute(name: str, struct: dict[str, Any], files: list[_File]) -> Attribute:
    found = Counter(file.folder for file in files if file.kind == "labelled")
    classes = struct.get("classes") or sorted(found)
    if not found or len(classes) < 2:
        raise DataError(
            f"{len(found)} class folder(s) found in {', '.join(dict.fromkeys(file.round.name for file in files))}: "
            f"{sorted(found)}; expected two or more, as {{class}}/* or train/{{class}}/*{_hint(files)}"
        )
    return attributes.with_task(name, struct, sorted(found))


def _hint(files: list[_File]) -> str:
    """Where the classes probably are, if the one folder that was taken for a class holds several folders."""
    taken = [(file.round, file.path.split("/")) for file in files if file.kind == "labelled"]
    deeper = [(of, parts) for of, parts in taken if len(parts) > 2 and parts[0].lower() not in (*TRAIN, *HELD_OUT)]
    if len({parts[1] for _, parts in deeper}) < 2:
        return ""
    return f"; classes may lie deeper: give --data {storage.join(deeper[0][0].uri, deeper[0][1][0])}"


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
