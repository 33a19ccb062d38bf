"""What is a round in a folder of rounds, and the name of its content.

A round is a folder (or `gs://` prefix) in the contest's layout (`Annotations/`, `Images/`, `Tests/`, `Pool/`), in the
folder-per-class layout, or a folder of several such folders, as the contest's own `base/`, `web/`, `rank/` are.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import blake3

from components.artifacts import round_files, storage
from components.artifacts.storage import Entry
from components.errors import DataError
from pipeline.errors import RecipeError

# The contest's own folder names (FashionAI, Tianchi race 231649): the first four belong to round 1.
FIRST_ROUND_FOLDERS = ("web", "base", "rank", "z_rank")
DELIVERY_MARKS = ("Annotations", "Tests", "Pool", "Images")
# A round with a table of labels, and one split into folders of classes (`train/cat/1.jpg`).
TABLE, TRAIN = "labels.csv", ("train", "training")
_NO_ATTRIBUTES = {"image", "split"}  # the table's other columns, see `components.ingest.csv_table`
# A file whose name ends so says that the delivery is complete; it is no part of the content.
MARKER = "_SUCCESS"
THREADS = 8
_PIECE = 1 << 20  # bytes read at a time: a table of Open Images is as large as some memories
_TABLE = re.compile(r"(^|/)(Annotations/[^/]+|Tests/question)\.csv$", re.IGNORECASE)


@dataclass(frozen=True)
class Delivery:
    """One round as a look at the folders finds it.

    Attributes:
        name: of the round.
        uri: its folder.
        folders: where given, the folders of `uri` that belong to it.
        entries: its files, without markers; names relative to `uri`.
        marker: stamps of its markers; empty where nobody has marked it complete.
    """

    name: str
    uri: str
    folders: tuple[str, ...]
    entries: tuple[Entry, ...]
    marker: str

    @property
    def fingerprint(self) -> str:
        """Changes with any name, size or stamp; costs no look into a file."""
        whole = blake3.blake3()
        for entry in self.entries:
            whole.update(f"{entry.name}\0{entry.size}\0{entry.stamp}\n".encode())
        return str(whole.hexdigest(16))

    def content_name(self, path: str) -> str:
        """A file's name as it counts for the digest: below its own folder."""
        return path.partition("/")[2] if self.folders else path

    def struct(self, content: str) -> dict[str, Any]:
        """As the pipeline's `rounds` parameter carries it."""
        about: dict[str, Any] = {"name": self.name, "uri": self.uri, "digest": content}
        return about | ({"folders": list(self.folders)} if self.folders else {})


def deliveries(address: str) -> list[Delivery]:
    """The rounds in a watched folder or prefix, in natural order, as far as they have arrived.

    As `discover`, but that every folder beside the contest's own four is a round by itself, so that the next one to
    come does not change the rounds before it.

    Raises:
        DataError: the address cannot be listed.
    """
    names = storage.folders(address)
    if _is_delivery(names) or _is_marked(address, names):
        return _delivered([("round1", address, ())])
    first = tuple(name for name in FIRST_ROUND_FOLDERS if name in names)
    later = sorted((name for name in names if name not in first), key=natural)
    own = [("round1", address, first)] if first else []
    found = _delivered([*own, *((name, storage.join(address, name), ()) for name in later)])
    in_layout = [delivery for delivery in found if delivery.folders or _has_mark(delivery)]
    return in_layout or found


def listed_again(delivery: Delivery) -> Delivery:
    """The same round as a look finds it now."""
    return _delivery(delivery.name, delivery.uri, delivery.folders)


def content_digest(contents: Iterable[tuple[str, str]]) -> str:
    """The digest of a round from names and digests of its files, in the order of the listing."""
    whole = blake3.blake3()
    for name, content in contents:
        whole.update(f"{name}\0{content}\n".encode())
    return str(whole.hexdigest(16))


def is_marker(name: str) -> bool:
    """Whether a file only says that a delivery is complete: `_SUCCESS`, `round2_SUCCESS`."""
    return name.endswith(MARKER)


def discover(data: str) -> list[dict[str, Any]]:
    """The rounds of a data folder, oldest first.

    A folder that holds `Annotations/`, `Tests/`, `Images/` or `Pool/` is itself the one round, so is one with a
    `labels.csv` or a folder `train/` or `training/`, and one whose folders hold files only: those are classes.
    Otherwise each of its folders is a round, in the natural order of their names (round2 before round10); the contest's
    `web`, `base`, `rank` and `z_rank` are together round 1 and whatever lies beside them is round 2. Folders that begin
    with a dot are left out.

    Raises:
        RecipeError: the folder does not exist or holds nothing.
    """
    if not storage.is_remote(data) and not Path(data).is_dir():
        raise RecipeError(f"--data {data} is not a folder; give the folder that holds the rounds")
    place = data.rstrip("/") if storage.is_remote(data) else str(Path(data).resolve())
    names = storage.folders(place)
    if _is_delivery(names) or _is_marked(place, names):
        return [describe("round1", place)]
    if not names:
        raise RecipeError(
            f"--data {data} holds no folders; expected one folder per round with Annotations/ and Images/"
        )
    delivered = [name for name in names if _is_delivery(storage.folders(storage.join(place, name)))]
    if not delivered and _is_tree(place, names):
        return [describe("round1", place)]
    if not delivered:
        return [describe(name, storage.join(place, name)) for name in sorted(names, key=natural)]
    return _contest_rounds(place, names, delivered)


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
    found = _delivery("", uri, tuple(folders))
    if not found.entries:
        raise RecipeError(f"{uri} holds no files; check the address of the round")
    names = [entry.name for entry in found.entries]
    with ThreadPoolExecutor(THREADS) as pool:
        contents = list(pool.map(content_of, [storage.join(uri, name) for name in names]))
    return content_digest(zip(map(found.content_name, names), contents, strict=True))


def attributes_in(rounds: Iterable[Mapping[str, Any]]) -> set[str]:
    """The attributes in the label and question files of the contest's layout, or in a `labels.csv`; else none."""
    found: set[str] = set()
    for round in rounds:
        if storage.exists(storage.join(round["uri"], TABLE)):
            found |= _columns(storage.join(round["uri"], TABLE)) - _NO_ATTRIBUTES
            continue
        names = [entry.name for entry in round_files.look(round["uri"], round.get("folders", ())).files]
        for file in (storage.join(round["uri"], name) for name in names if _TABLE.search(name)):
            # Attribute names are ASCII, so any encoding of the rest will do here; ingest reads the files for real.
            rows = csv.reader(_text(file, "latin-1").splitlines())
            found |= {row[1].strip() for row in rows if len(row) > 1}
    return found


def _columns(table: str) -> set[str]:
    try:
        return {
            " ".join(name.split()) for name in next(csv.reader(io.StringIO(_text(table, "utf-8-sig"), newline="")), [])
        }
    except csv.Error as error:
        raise RecipeError(f"{table} begins with no names of columns: {error}; save it as CSV again") from error


def _text(file: str, encoding: str) -> str:
    content = storage.read_bytes(file)
    return content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else encoding, errors="replace")


def content_of(address: str) -> str:
    """The digest of one file. Raises RecipeError where it has vanished."""
    whole = blake3.blake3()
    try:
        if storage.is_remote(address):
            whole.update(storage.read_bytes(address))
        else:
            with open(address, "rb") as file:
                while piece := file.read(_PIECE):
                    whole.update(piece)
    except (DataError, FileNotFoundError) as error:
        raise RecipeError(
            f"{address} vanished while the round was read; try again when the delivery is complete"
        ) from error
    return str(whole.hexdigest(16))


def _contest_rounds(place: str, names: list[str], delivered: list[str]) -> list[dict[str, Any]]:
    first = [name for name in FIRST_ROUND_FOLDERS if name in names]
    later = sorted((name for name in delivered if name not in first), key=natural)
    if not first:
        return [describe(name, storage.join(place, name)) for name in later]
    second = [describe("round2", place, later)] if later else []
    return [describe("round1", place, first), *second]


def _delivered(places: Iterable[tuple[str, str, tuple[str, ...]]]) -> list[Delivery]:
    """Those of the places that hold a file."""
    found = [_delivery(name, uri, chosen) for name, uri, chosen in places]
    return [delivery for delivery in found if delivery.entries]


def _delivery(name: str, uri: str, chosen: tuple[str, ...]) -> Delivery:
    listed = round_files.look(uri, chosen).files
    marker = " ".join(entry.stamp for entry in listed if is_marker(entry.name))
    return Delivery(name, uri, chosen, tuple(entry for entry in listed if not is_marker(entry.name)), marker)


def _has_mark(delivery: Delivery) -> bool:
    return any(entry.name.split("/")[0] in DELIVERY_MARKS for entry in delivery.entries)


def _is_marked(place: str, names: Iterable[str]) -> bool:
    """Whether a folder is a round by what lies right in it, in the layouts beside the contest's."""
    return any(name.lower() in TRAIN for name in names) or storage.exists(storage.join(place, TABLE))


def _is_tree(place: str, names: Iterable[str]) -> bool:
    """Whether the folders are classes: without folders or a table of labels in them."""
    inner = [storage.join(place, name) for name in names]
    return not any(storage.folders(folder) or storage.exists(storage.join(folder, TABLE)) for folder in inner)


def _is_delivery(names: Iterable[str]) -> bool:
    return any(mark in names for mark in DELIVERY_MARKS)


def natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts round2 before round10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name) if part]
