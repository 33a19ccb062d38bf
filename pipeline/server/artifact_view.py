"""How a file or folder that a task left behind is shown in place: frame, table, pictures, text, list, or only saved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.engine.values import Artifact
from pipeline.errors import PipelineError
from pipeline.server import artifact_bytes, artifact_files, tables
from pipeline.server.artifact_files import Entry, Place

PICTURES_A_PAGE = 60
ENTRIES_A_PAGE = 200
MOST_TEXT_BYTES = 256 << 10
_FRAMED = (".html", ".htm", ".md", ".svg")
_TEXTS = (".txt", ".log", ".yaml", ".yml", ".toml")


@dataclass(frozen=True)
class View:
    """What the page shows of one place.

    Attributes:
        kind: frame, picture, table, text, folder or file.
        size: bytes of a file.
        sheet: of a table.
        text: of a text.
        pictures: names of a folder's pictures, this page of them.
        entries: of a folder, this page of them.
        total: how many entries or pictures the folder has.
        more: whether there is a next page.
        problem: why the file is only offered for saving.
    """

    kind: str
    size: int = 0
    sheet: tables.Sheet | None = None
    text: str = ""
    pictures: Sequence[str] = ()
    entries: Sequence[Entry] = ()
    total: int = 0
    more: bool = False
    problem: str = ""


@dataclass(frozen=True)
class Figures:
    """Metadata of a Metrics artifact.

    Attributes:
        numbers: name -> value.
        matrix: rows of a confusion matrix, the first one its heading.
        rest: whatever else stands there, as text.
    """

    numbers: Mapping[str, float]
    matrix: Sequence[Sequence[str]] = ()
    rest: Mapping[str, str] = field(default_factory=dict)


def view(place: Place, page: int = 0) -> View:
    """Looks at a file or folder.

    Raises:
        NotFound: nothing that can be shown lies there.
    """
    if artifact_files.is_folder(place):
        return _folder(place, page)
    ending = artifact_bytes.ending(place.parts[-1])
    stream, size = artifact_files.open_file(place)
    with stream:
        if ending in _FRAMED:
            return View("frame", size)
        if ending in artifact_bytes.PICTURES:
            return View("picture", size)
        try:
            if ending in tables.ENDINGS and (sheet := tables.read(stream, size, ending, page)):
                return View("table", size, sheet=sheet)
            if ending == ".json":
                stream.seek(0)
                return View("text", size, text=tables.json_text(stream, size))
        except PipelineError as error:
            return View("file", size, problem=str(error))
        if ending in _TEXTS or not ending:
            return _text(stream.read(MOST_TEXT_BYTES), size)
    return View("file", size, problem="this kind of file is not shown here")


def _text(start: bytes, size: int) -> View:
    if b"\0" in start:
        return View("file", size, problem="the file holds bytes, not text")
    note = f"the first {MOST_TEXT_BYTES >> 10} KiB of {size:,} bytes" if size > MOST_TEXT_BYTES else ""
    return View("text", size, text=start.decode("utf-8", "replace"), problem=note)


def _folder(place: Place, page: int) -> View:
    found = artifact_files.entries(place)
    pictures = [e.name for e in found if e.size is not None and artifact_bytes.ending(e.name) in _SEEN]
    others = [e for e in found if e.name not in set(pictures)]
    first_picture, first_entry = page * PICTURES_A_PAGE, page * ENTRIES_A_PAGE
    return View(
        "folder",
        pictures=pictures[first_picture : first_picture + PICTURES_A_PAGE],
        entries=others[first_entry : first_entry + ENTRIES_A_PAGE],
        total=len(found),
        more=len(pictures) > first_picture + PICTURES_A_PAGE or len(others) > first_entry + ENTRIES_A_PAGE,
    )


_SEEN = frozenset(artifact_bytes.PICTURES)


def figures(artifact: Artifact) -> Figures | None:
    """What a metrics artifact says; None for other kinds."""
    if "Metrics" not in artifact.type:
        return None
    numbers = {k: float(v) for k, v in artifact.metadata.items() if isinstance(v, int | float)}
    matrix = artifact.metadata.get("confusionMatrix")
    rest = {k: str(v) for k, v in artifact.metadata.items() if k not in numbers and k != "confusionMatrix"}
    return Figures(numbers, _matrix(matrix), rest)


def _matrix(body: Any) -> list[list[str]]:
    """KFP's form of a confusion matrix as rows of text; nothing where it has another form."""
    try:
        names = [str(spec["displayName"]) for spec in body["annotationSpecs"]]
        rows = [[name, *(f"{cell:g}" for cell in row["row"])] for name, row in zip(names, body["rows"], strict=True)]
    except (TypeError, KeyError, ValueError):
        return []
    return [["", *names], *rows]


def markdown(text: str) -> str:
    """Markdown as a page of its own; HTML in it is shown as text, and links that run code are none."""
    from markdown_it import MarkdownIt

    made = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    return _MARKDOWN_PAGE.replace("BODY", made)


_MARKDOWN_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark">
<style>body{font:15px/1.5 system-ui,sans-serif;margin:1rem;max-width:90ch}table{border-collapse:collapse}
td,th{border:1px solid #8886;padding:.3rem .6rem}pre{overflow:auto}img{max-width:100%}</style><body>BODY</body></html>
"""
