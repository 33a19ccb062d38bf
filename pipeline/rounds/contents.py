"""The content of a round: digests of its files, read once and remembered by name, size and stamp."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from components.artifacts import storage
from components.artifacts.storage import Entry
from pipeline.engine.round_log import RoundLog
from pipeline.rounds import folders
from pipeline.rounds.folders import Delivery

_CHUNK = 512  # files between two writes: what a killed watcher has read is mostly kept


def digests(log: RoundLog, source_id: str, delivery: Delivery) -> dict[str, str]:
    """Path to digest of all files of a round; only what is new or changed is read.

    Raises:
        RecipeError: a file vanished meanwhile.
    """
    known = log.file_digests(source_id, delivery.name)
    stale = [e for e in delivery.entries if known.get(e.name, (0, "", ""))[:2] != (e.size, e.stamp)]
    found = {path: digest for path, (_, _, digest) in known.items()}
    with ThreadPoolExecutor(folders.THREADS) as pool:
        for chunk in _chunks(stale):
            read = pool.map(folders.content_of, [storage.join(delivery.uri, entry.name) for entry in chunk])
            fresh = {entry.name: digest for entry, digest in zip(chunk, read, strict=True)}
            rows = [(entry.name, entry.size, entry.stamp, fresh[entry.name]) for entry in chunk]
            log.put_file_digests(source_id, delivery.name, rows)
            found |= fresh
    names = {entry.name for entry in delivery.entries}
    log.forget_files(source_id, delivery.name, [path for path in known if path not in names])
    return {path: digest for path, digest in found.items() if path in names}


def digest(delivery: Delivery, of_files: dict[str, str]) -> str:
    """The digest of a round from those of its files; the same as `folders.digest`."""
    return folders.content_digest((delivery.content_name(e.name), of_files[e.name]) for e in delivery.entries)


def _chunks(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    waiting = iter(entries)
    while chunk := list(islice(waiting, _CHUNK)):
        yield chunk
