"""What the round log keeps, as frozen dataclasses. Times are seconds since 1970 (UTC), 0 where not yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

WAITING, REJECTED, LANDED, LAUNCHED = "waiting", "rejected", "landed", "launched"
INTENDED = "INTENDED"  # a launch whose run is not made yet; afterwards it has the state of its run


@dataclass(frozen=True)
class Source:
    """A folder or prefix of rounds together with the recipe that learns from it.

    Attributes:
        recipe: a name or an absolute path.
        pipeline: the recipe's own name.
        overrides: texts `table.key=value`.
        options: see `pipeline.rounds.source.Options`.
        registered: a server's sensor looks at it, as long as it is enabled.
        looked: when somebody looked last.
        trouble: why the last look was in vain.
    """

    source_id: str
    address: str
    recipe: str
    pipeline: str
    overrides: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    registered: bool = False
    enabled: bool = True
    created: float = 0.0
    looked: float = 0.0
    trouble: str = ""


@dataclass(frozen=True)
class Sighting:
    """The present listing of a round and since when it is as it is.

    Attributes:
        since: by the wall clock, which may jump.
        boot, steady: by the clock of a machine since its start, which does not.
        waiting: what the round waits for; empty: nothing.
    """

    source_id: str
    name: str
    fingerprint: str
    files: int
    bytes: int
    since: float
    boot: str
    steady: float
    waiting: str = ""


@dataclass(frozen=True)
class Version:
    """What one content of a round was found to be.

    Attributes:
        version: 1, 2, ... A corrected round is a new version.
        struct: as the pipeline's `rounds` parameter carries it.
        state: WAITING (for more pictures), REJECTED, LANDED or LAUNCHED.
        checked: under which terms it was examined; under others it is examined again.
        seen: when it was first examined.
        pictures: different pictures that its labels name.
        new_pictures: of them in no other round.
        labelled: label rows that ingest takes.
        reasons: category of refusal to how many rows and the first of them.
        run_key: of the launch that took it up.
    """

    source_id: str
    name: str
    version: int
    digest: str
    fingerprint: str
    marker: str
    struct: Mapping[str, Any]
    state: str
    reason: str
    checked: str
    seen: float
    files: int
    bytes: int
    landed: float = 0.0
    pictures: int = 0
    new_pictures: int = 0
    labelled: int = 0
    rejected: int = 0
    reasons: Mapping[str, Any] = field(default_factory=dict)
    run_key: str = ""


@dataclass(frozen=True)
class Launch:
    """A run that rounds have launched.

    Attributes:
        name: of the run; the same for the same launch.
        rounds: `{"name", "version", "struct"}`, oldest first.
        state: INTENDED, later the state of the run.
        reason: why the run could not be made yet, or how it ended.
        verdict: attribute to decision, as the step promote gave it.
    """

    run_key: str
    source_id: str
    name: str
    rounds: Sequence[Mapping[str, Any]]
    state: str
    intended: float
    run_id: str = ""
    reason: str = ""
    verdict: Mapping[str, Any] = field(default_factory=dict)
    created: float = 0.0
    ended: float = 0.0
