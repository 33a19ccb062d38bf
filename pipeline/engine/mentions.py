"""What the runs of a state folder speak of: digests and run ids in all that is kept about them. For `seamline gc`."""

import re
from collections.abc import Iterator

from pipeline.engine.records import Run, Task
from pipeline.engine.states import TaskState
from pipeline.engine.store import Store

# References end in 32 hexadecimal digits, folders of artifacts are called by 64, runs by a UUID.
NAME = re.compile(r"(?<![0-9a-f])(?:[0-9a-f]{64}|[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?![0-9a-f])")

# Recurring runs and uploaded versions are about to make runs: what they name stays too.
_SPOKEN = (
    "SELECT run_id, parameters_json, labels_json, reuse_json, overrides_json FROM runs WHERE deleted = 0",
    "SELECT inputs_json, tasks.outputs_json, origin_json FROM tasks JOIN runs USING (run_id) WHERE deleted = 0",
    "SELECT spec_json FROM recurring_runs",
    "SELECT text FROM pipelines WHERE digest IN "
    "(SELECT pipeline_digest FROM runs WHERE deleted = 0 UNION SELECT pipeline_digest FROM versions)",
)


class Mentions:
    """Asks a state folder. Deleted runs are hidden for good, so they speak of nothing."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows = store.database.rows

    def names(self) -> set[str]:
        """Every digest and run id in what is kept about the runs."""
        return {name for sql in _SPOKEN for row in self._rows(sql) for cell in row for name in NAME.findall(cell)}

    def unended(self) -> Iterator[Task]:
        """Tasks of all runs that have not succeeded: a retry may go on with what they left unfinished."""
        for run in self._store.runs():
            yield from (t for t in self._store.tasks(run.run_id) if t.is_leaf and t.state is not TaskState.SUCCEEDED)

    def may_still_run(self) -> list[Run]:
        """Runs whose tasks nobody has seen the end of: their process may live although the engine's does not."""
        return [run for run in self._store.unfinished() if self._store.open_attempts(run.run_id)]
