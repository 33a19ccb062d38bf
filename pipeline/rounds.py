"""Rounds: deliveries of data, named by their content, in the order in which they came.

A round is a folder (or `gs://` prefix) in the contest's layout (`Annotations/`, `Images/`, `Tests/`, `Pool/`), in the
folder-per-class layout, or a folder of several such folders, as the contest's own `base/`, `web/`, `rank/` are.
"""

import csv
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import blake3

from components.artifacts import storage
from components.errors import DataError
from pipeline.errors import RecipeError

# The contest's own folder names (FashionAI, Tianchi race 231649): the first four belong to round 1.
FIRST_ROUND_FOLDERS = ("web", "base", "rank", "z_rank")
DELIVERY_MARKS = ("Annotations", "Tests", "Pool", "Images")
THREADS = 8
_TABLE = re.compile(r"(^|/)(Annotations/[^/]+|Tests/question)\.csv$", re.IGNORECASE)


def discover(data: str) -> list[dict[str, Any]]:
    """The rounds of a data folder, oldest first.

    A folder that holds `Annotations/`, `Tests/`, `Images/` or `Pool/` is itself the one round. Otherwise each of its
    folders is a round, in the natural order of their names (round2 before round10); the contest's `web`, `base`,
    `rank` and `z_rank` are together round 1 and whatever lies beside them is round 2. Folders that begin with a dot
    are left out.

    Raises:
        RecipeError: the folder does not exist or holds nothing.
    """
    if storage.is_remote(data):
        return [describe("round1", data)]
    root = Path(data)
    if not root.is_dir():
        raise RecipeError(f"--data {data} is not a folder; give the folder that holds the rounds")
    if _is_delivery(root):
        return [describe("round1", str(root.resolve()))]
    names = [p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith(".")]
    if not names:
        raise RecipeError(
            f"--data {data} holds no folders; expected one folder per round with Annotations/ and Images/"
        )
    if not any(_is_delivery(root / name) for name in names):
        return [describe(name, str((root / name).resolve())) for name in sorted(names, key=_natural)]
    return _contest_rounds(root, names)


def describe(name: str, uri: str, folders: Iterable[str] = ()) -> dict[str, Any]:
    """One round as the pipeline's `rounds` parameter carries it, with the digest of its content."""
    chosen = list(folders)
    about: dict[str, Any] = {"name": name, "uri": uri, "digest": digest(uri, chosen)}
    return about | ({"folders": chosen} if chosen else {})


def digest(uri: str, folders: Iterable[str] = ()) -> str:
    """A name for the content of a round: equal trees of equal bytes have equal digests, wherever they lie.

    Raises:
        RecipeError: nothing is there.
    """
    roots = [storage.join(uri, folder) for folder in folders] or [uri]
    files = [(storage.join(root, name), name) for root in roots for name in storage.list_files(root)]
    if not files:
        raise RecipeError(f"{uri} holds no files; check the address of the round")
    with ThreadPoolExecutor(THREADS) as pool:
        contents = list(pool.map(_content, [address for address, _ in files]))
    whole = blake3.blake3()
    for (_, name), content in zip(files, contents, strict=True):
        whole.update(f"{name}\0{content}\n".encode())
    return whole.hexdigest(16)


def attributes_in(rounds: Iterable[Mapping[str, Any]]) -> set[str]:
    """The attributes that occur in the label and question files of rounds in the contest's layout; else none."""
    found: set[str] = set()
    for round in rounds:
        roots = [storage.join(round["uri"], folder) for folder in round.get("folders", ())] or [round["uri"]]
        files = [storage.join(root, name) for root in roots for name in storage.list_files(root) if _TABLE.search(name)]
        for file in files:
            # Attribute names are ASCII, so any encoding of the rest will do here; ingest reads the files for real.
            content = storage.read_bytes(file)
            encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "latin-1"
            rows = csv.reader(content.decode(encoding, errors="replace").splitlines())
            found |= {row[1].strip() for row in rows if len(row) > 1}
    return found


def _content(address: str) -> str:
    try:
        return str(blake3.blake3(storage.read_bytes(address)).hexdigest(16))
    except DataError as error:
        raise RecipeError(
            f"{address} vanished while the round was read; try again when the delivery is complete"
        ) from error


def _contest_rounds(root: Path, names: list[str]) -> list[dict[str, Any]]:
    first = [name for name in FIRST_ROUND_FOLDERS if name in names]
    later = sorted((n for n in names if n not in first and _is_delivery(root / n)), key=_natural)
    place = str(root.resolve())
    if not first:
        return [describe(name, storage.join(place, name)) for name in later]
    second = [describe("round2", place, later)] if later else []
    return [describe("round1", place, first), *second]


def _is_delivery(folder: Path) -> bool:
    return any((folder / mark).is_dir() for mark in DELIVERY_MARKS)


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name) if part]
