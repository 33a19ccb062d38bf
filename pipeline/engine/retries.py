"""How often a failed attempt is repeated: each class of failures has a budget of its own. Pure.

Failures are counted from the store, so that a crash of the engine does not give a task its budget back.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.engine.failures import Failure, FailureKind
from pipeline.engine.ir import Retry

PREEMPTED = Retry(limit=5, backoff_s=10.0, factor=2.0, backoff_max_s=300.0)
"""Not the task's fault, so it costs none of its retries; but what takes its machine down is not tried for ever."""
DISK_FULL = Retry(limit=3, backoff_s=60.0, factor=2.0, backoff_max_s=300.0)
UNREACHABLE = Retry(limit=3, backoff_s=60.0, factor=3.0, backoff_max_s=600.0)
"""The step itself has tried for minutes."""
OUT_OF_MEMORY = Retry(limit=1)
"""One more attempt, with nothing beside it."""
NEVER = Retry()
LONGEST_WAIT_S = max(policy.backoff_max_s for policy in (PREEMPTED, DISK_FULL, UNREACHABLE))
_OF_THE_TASK = frozenset({FailureKind.TIMEOUT, FailureKind.BUG})  # share the task's own `set_retry`


@dataclass(frozen=True)
class Circumstances:
    """Under which an attempt failed.

    Attributes:
        policy: the task's `set_retry`.
        on_gpu: it had a GPU to itself.
        had_company: other tasks ran beside it, so that it would have more memory alone.
    """

    policy: Retry
    on_gpu: bool = False
    had_company: bool = False


def policy_for(failure: Failure, around: Circumstances) -> Retry:
    """How often and after how long a wait an attempt that failed like this is repeated."""
    match failure.kind:
        case FailureKind.PREEMPTED:
            return PREEMPTED
        case FailureKind.DISK_FULL:
            return DISK_FULL
        case FailureKind.UNREACHABLE:
            return UNREACHABLE
        case FailureKind.OUT_OF_MEMORY:  # a GPU is never shared, so another attempt would meet the same
            return OUT_OF_MEMORY if around.had_company and not failure.on_gpu else NEVER
        case FailureKind.TIMEOUT:
            return around.policy
        case FailureKind.BUG:
            return NEVER if around.on_gpu else around.policy
        case FailureKind.BAD_DATA | FailureKind.NOT_STARTED:
            return NEVER


def count(failures: Sequence[Failure], kind: FailureKind) -> int:
    """How many of a task's failures were paid from the same budget."""
    same = _OF_THE_TASK if kind in _OF_THE_TASK else {kind}
    return sum(failure.kind in same for failure in failures)


def wait_s(policy: Retry, number: int) -> float:
    """Seconds before a repetition, the first of which is number 1."""
    try:
        return float(min(policy.backoff_s * policy.factor ** (number - 1), policy.backoff_max_s))
    except OverflowError:  # the 1,025th repetition of a factor of 2
        return policy.backoff_max_s


def needs_room(failures: Sequence[Failure]) -> bool:
    """Whether the next attempt runs with nothing beside it."""
    return any(failure.kind is FailureKind.OUT_OF_MEMORY for failure in failures)
