"""From what runs made back to the runs: which one made a report, which have a manifest, where their data lies."""

from dataclasses import dataclass

from pipeline.engine.reader import load
from pipeline.engine.records import Run, Task
from pipeline.engine.store import Store


@dataclass(frozen=True)
class WithManifest:
    """A run and the manifest that it made or reused."""

    run: Run
    manifest: str


class Lookup:
    """Asks indexes (see schema 0008), so that it takes no longer in a folder of ten thousand runs."""

    def __init__(self, store: Store) -> None:
        self._rows = store.database.rows

    def reported_by(self, report: str) -> Task | None:
        """The task that first made a report; equal reports are one reference, so later runs may have it too.

        Deleted runs are hidden, so they made nothing.
        """
        sql = (
            "SELECT tasks.* FROM tasks JOIN runs USING (run_id) WHERE made_report = ? AND kind = 'task' "
            "AND tasks.state = 'SUCCEEDED' AND NOT cached AND deleted = 0 ORDER BY tasks.ended LIMIT 1"
        )
        rows = self._rows(sql, (report,))
        return load(Task, rows[0]) if rows else None

    def data_roots(self) -> list[str]:
        """Folders and buckets that runs wrote their references into, in alphabetical order."""
        sql = "SELECT DISTINCT data_root FROM runs WHERE data_root IS NOT NULL AND data_root <> '' ORDER BY data_root"
        return [str(row["data_root"]) for row in self._rows(sql)]

    def with_manifest(self, most: int) -> list[WithManifest]:
        """Runs that have a manifest, the newest first."""
        sql = (
            "SELECT runs.*, made_manifest FROM tasks JOIN runs USING (run_id) "
            "WHERE made_manifest IS NOT NULL AND kind = 'task' AND deleted = 0 ORDER BY tasks.created DESC LIMIT ?"
        )
        return [WithManifest(load(Run, row), str(row["made_manifest"])) for row in self._rows(sql, (most,))]
