"""What the store keeps, as frozen dataclasses. Times are seconds since 1970 (UTC), 0 where not yet."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.engine.failures import Failure
from pipeline.engine.states import RunState, TaskState
from pipeline.engine.values import Values


@dataclass(frozen=True)
class Run:
    """A run.

    Attributes:
        pipeline: name of its pipeline.
        labels: whatever the caller wants to remember, for instance the recipe's path.
        source: the run that a rerun started from, else empty.
        reuse: task key -> (run id, task key) whose outputs are taken without asking the cache.
        forced: task keys that run even if cached.
        overrides: task key -> input -> value, set by a rerun.
        cache: False switches the cache off for the whole run.
        executor: identity of the process that executes or executed it.
        stop_requested: somebody asked to terminate it.
        description: free text.
        experiment_id: the experiment it belongs to, empty for the default one.
        version_id: the uploaded pipeline version it was made from, else empty.
        recurring_id: the recurring run that launched it, else empty.
        scheduled: the time it was due, which a late start does not change.
        archived: put away; lists leave it out unless asked.
        run_key: no two runs of a state folder have the same, so that a launch by key happens once; empty: no key.
    """

    run_id: str
    name: str
    pipeline: str
    state: RunState
    reason: str = ""
    created: float = 0.0
    started: float = 0.0
    ended: float = 0.0
    parameters: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    reuse: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    forced: tuple[str, ...] = ()
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    cache: bool = True
    executor: str = ""
    stop_requested: bool = False
    description: str = ""
    experiment_id: str = ""
    version_id: str = ""
    recurring_id: str = ""
    scheduled: float = 0.0
    archived: bool = False
    run_key: str = ""


@dataclass(frozen=True)
class About:
    """Where a new run comes from and belongs; the fields are those of `Run`."""

    description: str = ""
    experiment_id: str = ""
    version_id: str = ""
    recurring_id: str = ""
    scheduled: float = 0.0
    run_key: str = ""


ABOUT_NOTHING = About()


@dataclass(frozen=True)
class Task:
    """An instance of a task or group in a run; see `expand.Node` for key, label, kind, parent.

    Attributes:
        cached: its outputs come from `origin`, it did not run here.
        origin: (run id, task key) of the execution that made the outputs.
        attempts: how many times its command was started in this run.
        fingerprint: cache key, empty when caching is off or it has not started.
        explanation: why it ran or did not.
        progress: the latest `::progress`, for instance {"done": 3, "total": 10, "unit": "epochs"}.
        note: what the engine wants to say about it, for instance that there is no GPU.
        retry_at: when its next attempt may start.
        counted_from: failures of attempts up to this one do not count any more; a retry of the run moves it.
    """

    run_id: str
    key: str
    label: str
    name: str
    kind: str
    parent: str
    component: str
    state: TaskState
    reason: str = ""
    cached: bool = False
    origin: tuple[str, str] | None = None
    attempts: int = 0
    created: float = 0.0
    started: float = 0.0
    ended: float = 0.0
    fingerprint: str = ""
    parts: Mapping[str, Any] = field(default_factory=dict)
    explanation: str = ""
    inputs: Values = Values()
    outputs: Values = Values()
    progress: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    retry_at: float = 0.0
    counted_from: int = 0

    @property
    def is_leaf(self) -> bool:
        """Has a command or an importer of its own."""
        return self.kind in ("task", "importer")

    @property
    def seconds(self) -> float:
        """How long it ran, 0 while it runs or when it never did."""
        return max(0.0, self.ended - self.started) if self.started and self.ended else 0.0


@dataclass(frozen=True)
class Attempt:
    """One start of a task's command.

    Attributes:
        number: 1, 2, ...
        state: RUNNING, SUCCEEDED, FAILED, CANCELED; PENDING means lost with its engine.
        directory: absolute path of its folder, with `log`.
        handle: what the launcher needs to find it again.
        exit_code: None when it was killed or lost.
        log_offset: bytes of the log whose progress and metrics are recorded.
        usage: `max_rss_bytes`, `cpu_s`, `wall_s`, `oom_kills` where the launcher knows them.
        began: from when it has held what it asked for; 0 while it queues in a cluster.
        failure: class, cause and likely fix, when it failed; the last lines are at the end of its log.
    """

    run_id: str
    key: str
    number: int
    state: TaskState
    directory: str
    handle: str = ""
    exit_code: int | None = None
    started: float = 0.0
    ended: float = 0.0
    reason: str = ""
    log_offset: int = 0
    usage: Mapping[str, Any] = field(default_factory=dict)
    failure: Failure | None = None
    began: float = 0.0

    def seconds(self, now: float) -> float:
        """How long it has held what it asked for; as its place measured it, where an end was noticed late."""
        held = max(0.0, (self.ended or now) - self.began) if self.began else 0.0
        return min(held, float(self.usage.get("wall_s", held)))


@dataclass(frozen=True)
class Event:
    """One line of the journal. `sequence` is 0 for what is only announced (progress, metrics) and not journalled."""

    sequence: int
    time: float
    run_id: str
    key: str
    kind: str
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Metric:
    """One point of a learning curve, from a `::metric` line."""

    run_id: str
    key: str
    attempt: int
    time: float
    step: float
    values: Mapping[str, float]
