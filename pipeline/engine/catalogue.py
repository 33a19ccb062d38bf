"""The catalogue: pipelines that were uploaded, and their versions. Versions share the text of equal pipelines."""

import json
import sqlite3
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from pipeline.engine.database import to_json
from pipeline.engine.listing import Column, Condition, Kind, Operation, Page, Query, page
from pipeline.engine.store import Store
from pipeline.errors import Conflict, NotFound

T = TypeVar("T")
_NAMES = {
    "name": Column("name"),
    "display_name": Column("display_name"),
    "description": Column("description"),
    "created_at": Column("created", Kind.TIME),
}
COLUMNS: Mapping[str, Column] = {"pipeline_id": Column("pipeline_id"), **_NAMES}
VERSION_COLUMNS: Mapping[str, Column] = {"pipeline_version_id": Column("version_id"), **_NAMES}


@dataclass(frozen=True)
class CataloguePipeline:
    """An uploaded pipeline; what runs are its versions. `name` is unique."""

    pipeline_id: str
    name: str
    display_name: str
    description: str = ""
    created: float = 0.0
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Version:
    """One compiled pipeline of the catalogue. `name` is unique in its pipeline, `pipeline_digest` finds the text."""

    version_id: str
    pipeline_id: str
    name: str
    display_name: str
    description: str = ""
    created: float = 0.0
    pipeline_digest: str = ""
    code_source_url: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Labels:
    """What people call a pipeline or version."""

    name: str
    display_name: str = ""
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    code_source_url: str = ""


class Catalogue:
    """The catalogue of a state folder. One object per thread, as the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._database = store.database

    # Pipelines

    def create(self, labels: Labels, now: float, text: str = "", version: Labels | None = None) -> CataloguePipeline:
        """Makes a pipeline and, with a text, its first version.

        Args:
            labels: of the pipeline.
            now: the time.
            text: IR of the first version, empty for a pipeline without versions.
            version: labels of the first version, by default those of the pipeline.

        Raises:
            Conflict: there is one of that name.
        """
        made = CataloguePipeline(str(uuid.uuid4()), *_named(labels), now, labels.tags)
        digest = self._store.keep_pipeline(text) if text else ""
        try:
            with self._database.writing() as journal:
                self._database.insert("catalogue", _row(made))
                if digest:
                    first = _version(made.pipeline_id, version or labels, digest, now)
                    self._database.insert("versions", _row(first))
                journal(now, "", "", "pipeline", {"change": "created", "pipeline_id": made.pipeline_id})
        except sqlite3.IntegrityError:
            raise Conflict(
                f"there is a pipeline {labels.name!r} already; upload a version of it, or give another name"
            ) from None
        return made

    def get(self, pipeline_id: str) -> CataloguePipeline:
        """A pipeline by its id.

        Raises:
            NotFound: there is none.
        """
        return self._one(CataloguePipeline, "catalogue", "pipeline_id", pipeline_id, "pipeline")

    def named(self, name: str) -> CataloguePipeline:
        """A pipeline by its name.

        Raises:
            NotFound: there is none.
        """
        return self._one(CataloguePipeline, "catalogue", "name", name, "pipeline named")

    def list(self, query: Query) -> Page:
        """One page of pipelines; `loaded_pipeline` reads its rows."""
        return page(self._database, "catalogue", "rowid", query)

    def update(self, pipeline_id: str, changes: Mapping[str, Any], now: float) -> CataloguePipeline:
        """Changes `display_name`, `description` or `tags`.

        Raises:
            NotFound: there is none.
        """
        self.get(pipeline_id)
        self._change("catalogue", "pipeline_id", pipeline_id, changes, now)
        return self.get(pipeline_id)

    def delete(self, pipeline_id: str, now: float, cascade: bool = False) -> None:
        """Removes a pipeline; runs made of it keep their text.

        Raises:
            NotFound: there is none.
            Conflict: it has versions and `cascade` is not given, as in KFP.
        """
        with self._database.writing() as journal:
            was = self.get(pipeline_id)
            sql = "SELECT COUNT(*) AS count FROM versions WHERE pipeline_id = ?"
            count = self._database.rows(sql, (pipeline_id,))[0]["count"]
            if count and not cascade:
                raise Conflict(
                    f"pipeline {was.display_name!r} has {count} version(s); delete them first, or ask with cascade=true"
                )
            self._database.rows("DELETE FROM catalogue WHERE pipeline_id = ?", (pipeline_id,))
            journal(now, "", "", "pipeline", {"change": "deleted", "pipeline_id": pipeline_id})

    # Versions

    def add_version(self, pipeline_id: str, labels: Labels, text: str, now: float) -> Version:
        """Makes a version of a pipeline.

        Raises:
            NotFound: no such pipeline.
            Conflict: it has a version of that name.
        """
        parent = self.get(pipeline_id)
        made = _version(pipeline_id, labels, self._store.keep_pipeline(text), now)
        try:
            with self._database.writing() as journal:
                self._database.insert("versions", _row(made))
                journal(now, "", "", "pipeline", {"change": "version", "pipeline_id": pipeline_id})
        except sqlite3.IntegrityError:
            raise Conflict(
                f"pipeline {parent.display_name!r} has a version {labels.name!r} already; give another name"
            ) from None
        return made

    def version(self, pipeline_id: str, version_id: str) -> Version:
        """A version by its id; an empty `pipeline_id` asks for any pipeline's.

        Raises:
            NotFound: there is none, or it belongs to another pipeline.
        """
        found = self._one(Version, "versions", "version_id", version_id, "pipeline version")
        if pipeline_id and found.pipeline_id != pipeline_id:
            raise NotFound(f"pipeline {pipeline_id!r} has no version {version_id!r}; it belongs to another pipeline")
        return found

    def latest(self, pipeline_id: str) -> Version:
        """The version that was made last.

        Raises:
            NotFound: no such pipeline, or it has none.
        """
        newest = Query(_NAMES["created_at"], descending=True, limit=1)
        rows = self.versions(pipeline_id, newest).rows
        if not rows:
            raise NotFound(f"pipeline {self.get(pipeline_id).display_name!r} has no version; upload one")
        return loaded_version(rows[0])

    def versions(self, pipeline_id: str, query: Query) -> Page:
        """One page of a pipeline's versions; `loaded_version` reads its rows.

        Raises:
            NotFound: no such pipeline.
        """
        self.get(pipeline_id)
        mine = Condition(Column("pipeline_id"), Operation.EQUALS, (pipeline_id,))
        both = Query(query.order, (mine, *query.conditions), query.descending, query.after, query.limit)
        return page(self._database, "versions", "rowid", both)

    def text(self, version: Version) -> str:
        """The IR of a version."""
        sql = "SELECT text FROM pipelines WHERE digest = ?"
        return str(self._database.rows(sql, (version.pipeline_digest,))[0]["text"])

    def update_version(self, pipeline_id: str, version_id: str, changes: Mapping[str, Any], now: float) -> Version:
        """Changes `display_name`, `description` or `tags`.

        Raises:
            NotFound: there is none.
        """
        self.version(pipeline_id, version_id)
        self._change("versions", "version_id", version_id, changes, now)
        return self.version(pipeline_id, version_id)

    def delete_version(self, pipeline_id: str, version_id: str, now: float) -> None:
        """Removes a version; runs made of it keep their text.

        Raises:
            NotFound: there is none.
        """
        self.version(pipeline_id, version_id)
        with self._database.writing() as journal:
            self._database.rows("DELETE FROM versions WHERE version_id = ?", (version_id,))
            journal(now, "", "", "pipeline", {"change": "version deleted", "pipeline_id": pipeline_id})

    def _one(self, kind: type[T], table: str, column: str, value: str, what: str) -> T:
        rows = self._database.rows(f"SELECT * FROM {table} WHERE {column} = ?", (value,))
        if not rows:
            raise NotFound(f"no {what} {value!r}; it was deleted, or its id is wrong")
        return _loaded(kind, rows[0])

    def _change(self, table: str, column: str, value: str, changes: Mapping[str, Any], now: float) -> None:
        cells = {("tags_json" if k == "tags" else k): (to_json(v) if k == "tags" else v) for k, v in changes.items()}
        if not cells:
            return
        with self._database.writing() as journal:
            self._database.update(table, cells, {column: value})
            journal(now, "", "", "pipeline", {"change": "edited", column: value})


def loaded_pipeline(row: sqlite3.Row) -> CataloguePipeline:
    """A row of `Catalogue.list`."""
    return _loaded(CataloguePipeline, row)


def loaded_version(row: sqlite3.Row) -> Version:
    """A row of `Catalogue.versions`."""
    return _loaded(Version, row)


def _version(pipeline_id: str, labels: Labels, digest: str, now: float) -> Version:
    name, display_name, description = _named(labels)
    return Version(
        str(uuid.uuid4()),
        pipeline_id,
        name,
        display_name,
        description,
        now,
        digest,
        labels.code_source_url,
        labels.tags,
    )


def _named(labels: Labels) -> tuple[str, str, str]:
    return labels.name, labels.display_name or labels.name, labels.description


def _loaded(kind: type[T], row: sqlite3.Row) -> T:
    columns = {f.name: f.name for f in fields(kind)} | {"tags": "tags_json"}  # type: ignore[arg-type]
    return kind(**{name: json.loads(row[c]) if name == "tags" else row[c] for name, c in columns.items()})


def _row(record: CataloguePipeline | Version) -> dict[str, Any]:
    values = {f.name: getattr(record, f.name) for f in fields(record)}
    return {k: v for k, v in values.items() if k != "tags"} | {"tags_json": to_json(record.tags)}
