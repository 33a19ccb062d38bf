"""When a round has landed: nobody writes to it any more. Pure; what was observed is given.

The watcher's own observations count, not the times of files, which a copy may set to anything. How long a listing has
stood still is measured by the clock of the machine since its start, which no one can set; only where two looks
were made on different machines, or with a restart between them, the wall clock must do.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline import words
from pipeline.engine.round_records import Sighting, Version
from pipeline.rounds.folders import Delivery

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Instant:
    """A moment by the wall clock, and by a machine's clock since its start (`boot` names that start)."""

    wall: float
    boot: str
    steady: float


Instants = Callable[[], Instant]


def instant() -> Instant:
    """Now."""
    boot = _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""
    return Instant(time.time(), boot, time.clock_gettime(time.CLOCK_BOOTTIME) if boot else time.monotonic())


def sighted(source_id: str, delivery: Delivery, before: Sighting | None, now: Instant) -> Sighting:
    """The sighting of a round: the one before if nothing has changed, else a new one that begins now."""
    if before and before.fingerprint == delivery.fingerprint and _still_s(before, now) >= 0:
        return before
    size = sum(entry.size for entry in delivery.entries)
    return Sighting(
        source_id,
        delivery.name,
        delivery.fingerprint,
        len(delivery.entries),
        size,
        now.wall,
        now.boot,
        now.steady,
    )


def unfinished(sighting: Sighting, delivery: Delivery, latest: Version | None, quiet_s: float, now: Instant) -> str:
    """Why a round has not landed yet, in words; empty where it has.

    A marker that an earlier version came with says nothing about the files that came after it.
    """
    is_stale = latest is not None and latest.fingerprint != delivery.fingerprint and latest.marker == delivery.marker
    if delivery.marker and not is_stale:
        return ""
    still_s = _still_s(sighting, now)
    if still_s >= quiet_s:
        return ""
    how = "its files changed after its _SUCCESS" if delivery.marker else "no _SUCCESS"
    return f"quiet for {words.duration(still_s)} of {words.duration(quiet_s)}; {how}"


def _still_s(sighting: Sighting, now: Instant) -> float:
    """Seconds since the listing changed; negative where a clock that was set back says so."""
    same_machine = bool(now.boot) and sighting.boot == now.boot
    return now.steady - sighting.steady if same_machine else now.wall - sighting.since
