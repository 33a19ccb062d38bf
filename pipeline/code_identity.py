"""What code a task would run, as one hash: the cache key's part that says whether the code is still the same.

For `python -m components.<step>` it covers the step's modules and everything of this project that they import, found by
reading the sources (nothing is imported), the data files beside them, and the versions of the libraries that decide
results. An edit elsewhere changes nothing for the task. An import computed at run time isn't seen: there are none here.
"""

import ast
import hashlib
import json
import sys
from functools import cache
from importlib import metadata
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "components"
LIBRARIES = (
    "cleanlab",
    "keras",
    "numba",
    "numpy",
    "opencv-python-headless",
    "pandas",
    "pillow",
    "pyarrow",
    "safetensors",
    "scipy",
    "simplejpeg",
    "tensorflow",
)
DATA_FILES = (".css", ".csv", ".html", ".js", ".json", ".toml")


def identity(command: list[str], root: Path = ROOT) -> str:
    """A hash of what a command runs.

    Args:
        command: the container's command, for instance `["python", "-m", "components.train"]`, arguments or not.
        root: the folder that holds the package `components`.

    Returns:
        64 hex digits. Any other command than `python -m components.<step>` is known by its own words only.
    """
    module = _module(command)
    if module is None:
        return _hash(command)
    files = {str(path.relative_to(root)): _digest(path, _stamp(path)) for path in sources(module, root)}
    return _hash({"files": files, "libraries": _versions()})


def sources(module: str, root: Path = ROOT) -> list[Path]:
    """The files that `python -m MODULE` depends on, sorted: project modules and the data files of their folders."""
    found: set[Path] = set()
    waiting = [f"{module}.__main__", module]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if "." in name:
            waiting.append(name.rpartition(".")[0])
        path = _file(name, root)
        if path:
            found.add(path)
            waiting.extend(_imports(path, _stamp(path)))
    folders = {path.parent for path in found} - {root / PACKAGE}
    return sorted(found | {data for folder in folders for data in folder.iterdir() if data.suffix in DATA_FILES})


def _module(command: list[str]) -> str | None:
    for flag, name in pairwise(command):
        if flag == "-m" and name.startswith(f"{PACKAGE}."):
            return name
    return None


def _file(name: str, root: Path) -> Path | None:
    path = root.joinpath(*name.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _stamp(path: Path) -> tuple[int, int]:
    """Changes when the file does, so that a long-lived server notices an edit."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size


@cache
def _digest(path: Path, stamp: tuple[int, int]) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@cache
def _imports(path: Path, stamp: tuple[int, int]) -> frozenset[str]:
    """Project modules that a file imports anywhere, also inside functions; `from a import b` may mean `a.b`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(name for name in names if name.split(".")[0] == PACKAGE)


@cache
def _versions() -> dict[str, str]:
    found = {"python": f"{sys.version_info.major}.{sys.version_info.minor}"}
    for library in LIBRARIES:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            found[library] = "absent"
    return found


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
