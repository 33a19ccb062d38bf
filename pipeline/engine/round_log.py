"""What is remembered about rounds of data: the folders watched, what was seen in them, what landed and was launched.

Contract. A launch is recorded before its run is made, together with the rounds it takes up and only if none of them
has been taken up yet (`intend`): of two watchers that decide the same, one records it and the other finds it recorded.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any, TypeVar

from pipeline.engine.database import Database, to_json
from pipeline.engine.round_records import LAUNCHED, Launch, Sighting, Source, Version

Record = Source | Sighting | Version | Launch
T = TypeVar("T", Source, Sighting, Version, Launch)
_JSON = {"overrides", "options", "struct", "reasons", "rounds", "verdict"}
_BATCH = 500


class RoundLog:
    """The tables of rounds in a state folder. One per thread, as the store that it belongs to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # Sources

    def sources(self) -> list[Source]:
        """All folders that were ever watched, in the order in which they came."""
        return [_loaded(Source, row) for row in self._database.rows("SELECT * FROM watched_sources ORDER BY rowid")]

    def source(self, source_id: str) -> Source | None:
        """A source by its id."""
        rows = self._database.rows("SELECT * FROM watched_sources WHERE source_id = ?", (source_id,))
        return _loaded(Source, rows[0]) if rows else None

    def put_source(self, source: Source) -> None:
        """Adds a source, or changes what is watched for; who registered it and when it came stay."""
        with self._database.writing():
            if self.source(source.source_id):
                changed = {name: _columns(source)[name] for name in ("recipe", "overrides_json", "options_json")}
                self._database.update("watched_sources", changed, {"source_id": source.source_id})
            else:
                self._database.insert("watched_sources", _columns(source))

    def mark_source(self, source_id: str, **columns: Any) -> None:
        """Changes `registered`, `enabled`, `looked` or `trouble`."""
        with self._database.writing():
            self._database.update("watched_sources", columns, {"source_id": source_id})

    # What is seen

    def sightings(self, source_id: str) -> dict[str, Sighting]:
        """Round name to its present listing."""
        rows = self._database.rows("SELECT * FROM round_sightings WHERE source_id = ?", (source_id,))
        return {row["name"]: _loaded(Sighting, row) for row in rows}

    def put_sighting(self, sighting: Sighting) -> None:
        """Replaces the listing of a round."""
        where = {"source_id": sighting.source_id, "name": sighting.name}
        with self._database.writing():
            self._delete("round_sightings", where)
            self._database.insert("round_sightings", _columns(sighting))

    def forget_sighting(self, source_id: str, name: str) -> None:
        """A round that is not there any more."""
        with self._database.writing():
            self._delete("round_sightings", {"source_id": source_id, "name": name})

    def file_digests(self, source_id: str, round: str) -> dict[str, tuple[int, str, str]]:
        """Path to size, stamp and digest of the files of a round that have been read."""
        sql = "SELECT path, size, stamp, digest FROM round_files WHERE source_id = ? AND round = ?"
        rows = self._database.rows(sql, (source_id, round))
        return {row["path"]: (row["size"], row["stamp"], row["digest"]) for row in rows}

    def put_file_digests(self, source_id: str, round: str, found: Iterable[tuple[str, int, str, str]]) -> None:
        """Remembers path, size, stamp and digest of files."""
        with self._database.writing():
            for path, size, stamp, digest in found:
                key = {"source_id": source_id, "round": round, "path": path}
                self._delete("round_files", key)
                self._database.insert("round_files", key | {"size": size, "stamp": stamp, "digest": digest})

    def forget_files(self, source_id: str, round: str, paths: Iterable[str]) -> None:
        """Files that are not there any more."""
        with self._database.writing():
            for path in paths:
                self._delete("round_files", {"source_id": source_id, "round": round, "path": path})

    def contents_elsewhere(self, source_id: str, rounds: Sequence[str], digests: Iterable[str]) -> set[str]:
        """Those of the digests that files of the given rounds have too."""
        wanted, found = list(digests), set()
        names = ", ".join("?" * len(rounds))
        for start in range(0, len(wanted) if rounds else 0, _BATCH):
            part = wanted[start : start + _BATCH]
            marks = ", ".join("?" * len(part))
            sql = f"SELECT DISTINCT digest FROM round_files WHERE source_id = ? AND round IN ({names})"
            rows = self._database.rows(f"{sql} AND digest IN ({marks})", (source_id, *rounds, *part))
            found |= {str(row["digest"]) for row in rows}
        return found

    # Versions

    def versions(self, source_id: str) -> list[Version]:
        """All versions of all rounds, each round's oldest first."""
        sql = "SELECT * FROM round_versions WHERE source_id = ? ORDER BY name, version"
        return [_loaded(Version, row) for row in self._database.rows(sql, (source_id,))]

    def put_version(self, version: Version) -> None:
        """Adds a version or replaces it, unless a launch has taken it up meanwhile."""
        where = {"source_id": version.source_id, "name": version.name, "version": version.version}
        with self._database.writing():
            if self._taken_up(where):
                return
            self._delete("round_versions", where)
            self._database.insert("round_versions", _columns(version))

    def refresh_version(self, version: Version, fingerprint: str, marker: str) -> None:
        """The same content under new stamps."""
        where = {"source_id": version.source_id, "name": version.name, "version": version.version}
        with self._database.writing():
            self._database.update("round_versions", {"fingerprint": fingerprint, "marker": marker}, where)

    # Launches

    def launches(self, source_id: str) -> list[Launch]:
        """The launches of a source, oldest first."""
        sql = "SELECT * FROM round_launches WHERE source_id = ? ORDER BY intended, rowid"
        return [_loaded(Launch, row) for row in self._database.rows(sql, (source_id,))]

    def intend(self, launch: Launch, taking_up: Sequence[Version]) -> bool:
        """Records that a run will be made, before it is.

        Args:
            launch: what will be launched.
            taking_up: versions that no launch has taken up yet; empty for a backfill.

        Returns:
            False where somebody else was faster: the launch is recorded, or one of the versions is taken up.
        """
        keys = [{"source_id": v.source_id, "name": v.name, "version": v.version} for v in taking_up]
        with self._database.writing():
            known = self._database.rows("SELECT 1 FROM round_launches WHERE run_key = ?", (launch.run_key,))
            if any(self._taken_up(key) for key in keys):
                return False
            for key in keys:
                self._database.update("round_versions", {"state": LAUNCHED, "run_key": launch.run_key}, key)
            if not known:
                self._database.insert("round_launches", _columns(launch))
        return not known

    def move_launch(self, run_key: str, **columns: Any) -> None:
        """Records what became of a launch: fields of `Launch`."""
        encoded = {_column(name): to_json(value) if name in _JSON else value for name, value in columns.items()}
        with self._database.writing():
            self._database.update("round_launches", encoded, {"run_key": run_key})

    def _taken_up(self, where: Mapping[str, Any]) -> bool:
        sql = "SELECT 1 FROM round_versions WHERE source_id = ? AND name = ? AND version = ? AND run_key <> ''"
        return bool(self._database.rows(sql, (where["source_id"], where["name"], where["version"])))

    def _delete(self, table: str, where: Mapping[str, Any]) -> None:
        condition = " AND ".join(f"{name} = ?" for name in where)
        self._database.rows(f"DELETE FROM {table} WHERE {condition}", tuple(where.values()))


def _column(name: str) -> str:
    return f"{name}_json" if name in _JSON else name


def _columns(record: Record) -> dict[str, Any]:
    return {_column(name): to_json(value) if name in _JSON else value for name, value in asdict(record).items()}


def _loaded(cls: type[T], row: Any) -> T:
    values: dict[str, Any] = {}
    for one in fields(cls):
        raw = row[_column(one.name)]
        values[one.name] = json.loads(raw) if one.name in _JSON else raw
    return cls(**values | _as_declared(values))


def _as_declared(values: Mapping[str, Any]) -> dict[str, Any]:
    """SQLite has no booleans, JSON no tuples."""
    told = {name: bool(values[name]) for name in ("registered", "enabled") if name in values}
    return told | ({"overrides": tuple(values["overrides"])} if "overrides" in values else {})
