"""The folders of this machine that a person may pick data from: under the home, the working and the state folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import NotFound

MOST = 500


@dataclass(frozen=True)
class Folder:
    """A folder and what is in it.

    Attributes:
        path: absolute.
        parent: the folder above, empty where it may not be looked into.
        folders: names of the folders in it.
        files: how many files lie in it.
        roots: where looking may begin.
    """

    path: str
    parent: str
    folders: Sequence[str]
    files: int
    roots: Sequence[str]


def roots(state_dir: Path) -> list[Path]:
    """Where looking may begin, each once."""
    found = [Path.cwd(), Path.home(), state_dir.resolve()]
    return [p for i, p in enumerate(found) if p not in found[:i] and p.is_dir()]


def look(at: str, state_dir: Path) -> Folder:
    """What is in a folder; links that lead out of the roots are not followed.

    Raises:
        NotFound: it is no folder, or lies elsewhere.
    """
    allowed = roots(state_dir)
    folder = Path(at).expanduser().resolve() if at else allowed[0]
    if not any(folder.is_relative_to(root) for root in allowed):
        known = ", ".join(map(str, allowed))
        raise NotFound(f"{at} is not below {known}; type its address instead, which is not limited")
    try:
        entries = sorted(folder.iterdir(), key=lambda p: p.name)
    except OSError as error:
        raise NotFound(f"{at} cannot be listed: {error.strerror}") from error
    names = [p.name for p in entries if p.is_dir() and not p.name.startswith(".")]
    files = sum(1 for p in entries if p.is_file())
    above = folder.parent
    parent = str(above) if any(above.is_relative_to(root) for root in allowed) else ""
    return Folder(str(folder), parent, names[:MOST], files, [str(root) for root in allowed])
