"""When a recurring run is due: cron text or an interval -> times. Pure; times are seconds since 1970 (UTC).

Daylight saving, for cron schedules whose time zone has it. A schedule that names hours (`30 2 * * *`) fires exactly
once for each wall-clock time: one that the clocks skip in spring fires as much later as they were put forward (02:30
becomes 03:30), one that comes twice in autumn fires the first time. A schedule for every hour (`*/5 * * * *`) follows
the wall clock minute by minute: nothing is skipped and nothing doubled in real time.
"""

import functools
import heapq
import itertools
import zoneinfo
from collections.abc import Iterator, Mapping
from dataclasses import InitVar, asdict, dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from pipeline.engine import cron as crontext
from pipeline.errors import PipelineError

_DAY_S = 86_400.0
_LATEST_S = 253_370_000_000.0  # late in the year 9998, near the end of datetime


@dataclass(frozen=True)
class CronSchedule:
    """Fires when a clock on the wall of a time zone shows what the cron text says.

    Attributes:
        cron: see `pipeline.engine.cron`; a `CRON_TZ=` in front goes before `time_zone`.
        time_zone: an IANA name such as `Europe/Berlin`.
        start: fires at this time at the earliest; 0: no bound.
        end: fires at this time at the latest; 0: no bound.
        needs_zone: False takes a time zone that this system does not know, until times are asked for.

    Raises:
        PipelineError: bad cron text, an unknown time zone, or an end that is not after the start.
    """

    cron: str
    time_zone: str = "UTC"
    start: float = 0.0
    end: float = 0.0
    needs_zone: InitVar[bool] = True

    def __post_init__(self, needs_zone: bool) -> None:
        name = self.zone_name  # reads the text, too
        if needs_zone:
            zone_named(name)
        _check_bounds(self.start, self.end)

    @property
    def zone_name(self) -> str:
        """The time zone that holds."""
        return crontext.read(self.cron).time_zone or self.time_zone


@dataclass(frozen=True)
class IntervalSchedule:
    """Fires every `interval_s` seconds: first one interval after `start`, as in KFP.

    Attributes:
        interval_s: whole seconds, at least 1.
        start: where the intervals are counted from; a recurring run puts its own creation for 0.
        end: fires at this time at the latest; 0: no bound.

    Raises:
        PipelineError: the interval is less than 1 s, or the end is not after the start.
    """

    interval_s: int
    start: float = 0.0
    end: float = 0.0

    def __post_init__(self) -> None:
        if isinstance(self.interval_s, bool) or self.interval_s != int(self.interval_s) or self.interval_s < 1:
            raise PipelineError(f"interval of {self.interval_s} s is not possible; expected whole seconds, at least 1")
        _check_bounds(self.start, self.end)


Trigger = CronSchedule | IntervalSchedule


def times(trigger: Trigger, after: float) -> Iterator[float]:
    """When it fires, strictly after a time: increasing, possibly without end."""
    found = _cron_times(trigger, after) if isinstance(trigger, CronSchedule) else _interval_times(trigger, after)
    return itertools.takewhile(lambda t: t <= _end(trigger), found)


@functools.lru_cache(maxsize=4096)
def first_after(trigger: Trigger, after: float) -> float | None:
    """The first of `times`; remembered, because a ticker asks the same every second."""
    return next(times(trigger, after), None)


def next_times(trigger: Trigger, after: float, count: int) -> list[float]:
    """The next `count` times strictly after a time; fewer when it ends before."""
    return list(itertools.islice(times(trigger, after), count))


def due_times(trigger: Trigger, last: float, now: float) -> list[float]:
    """All times after `last` up to and including `now`; `due(a, b) + due(b, c) == due(a, c)`."""
    return list(itertools.takewhile(lambda t: t <= now, times(trigger, last)))


def latest_due(trigger: Trigger, last: float, now: float) -> float | None:
    """The last of `due_times`, without counting through all of them; None when there is none."""
    window = 60.0
    while True:
        begin = max(last, now - window)
        if found := due_times(trigger, begin, now):
            return found[-1]
        if begin <= last:
            return None
        window *= 8


def zone_named(name: str) -> tzinfo:
    """A time zone by its IANA name.

    Raises:
        PipelineError: there is none of that name, or this system knows no time zones.
    """
    if name in ("UTC", "Etc/UTC"):
        return UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        if not _knows_zones():
            raise PipelineError(
                f"time zone {name!r} cannot be used: this system has no time zone data; "
                "`pip install tzdata` brings it, or use UTC"
            ) from error
        raise PipelineError(
            f"time zone {name!r} is not known; expected an IANA name such as Europe/Berlin or UTC"
        ) from error


def in_words(trigger: Trigger) -> str:
    """A sentence for people: `At 02:30, Monday through Friday (Europe/Berlin)`."""
    if isinstance(trigger, IntervalSchedule):
        return f"Every {_span(trigger.interval_s)}" + _bounds_in_words(trigger, "UTC")
    return f"{_cron_in_words(trigger)} ({trigger.zone_name})" + _bounds_in_words(trigger, trigger.zone_name)


def to_json(trigger: Trigger) -> dict[str, Any]:
    """As JSON, with `kind` cron or interval."""
    return {"kind": "cron" if isinstance(trigger, CronSchedule) else "interval", **asdict(trigger)}


def from_json(found: Mapping[str, Any]) -> Trigger:
    """What `to_json` wrote, perhaps on a system that knew more time zones."""
    values = {name: value for name, value in found.items() if name != "kind"}
    return CronSchedule(**values, needs_zone=False) if found["kind"] == "cron" else IntervalSchedule(**values)


def _check_bounds(start: float, end: float) -> None:
    if end and end <= start:
        raise PipelineError(f"the schedule ends ({_stamp(end)}) before it starts ({_stamp(start)}); give a later end")


def _end(trigger: Trigger) -> float:
    return trigger.end or _LATEST_S


def _interval_times(trigger: IntervalSchedule, after: float) -> Iterator[float]:
    done = max(0, int((after - trigger.start) // trigger.interval_s))
    return (trigger.start + trigger.interval_s * number for number in itertools.count(done + 1))


def _cron_times(trigger: CronSchedule, after: float) -> Iterator[float]:
    last = max(after, trigger.start - 1.0) if trigger.start else after
    for instant in _ordered_instants(trigger, last):
        if instant > last and instant >= trigger.start:
            last = instant
            yield instant


def _ordered_instants(trigger: CronSchedule, after: float) -> Iterator[float]:
    """Wall-clock times in order -> instants in order, which is not the same where clocks are changed."""
    every_hour = crontext.read(trigger.cron).every_hour
    zone = zone_named(trigger.zone_name)
    waiting: list[float] = []
    for wall in _walls(trigger, after, zone):
        # No later wall-clock time gives an earlier instant than this.
        earliest = _seconds(wall) - max(_offsets(_seconds(wall), zone))
        while waiting and waiting[0] < earliest:
            yield heapq.heappop(waiting)
        for instant in _instants(wall, zone, every_hour):
            heapq.heappush(waiting, instant)
    yield from sorted(waiting)


def _walls(trigger: CronSchedule, after: float, zone: tzinfo) -> Iterator[datetime]:
    """What the wall clock shows, without zone, from a little before an instant on."""
    from croniter import croniter

    if not -_DAY_S < after < _LATEST_S:
        after = 0.0 if after < _LATEST_S else _LATEST_S
    begin = datetime(1970, 1, 1) + timedelta(seconds=int(after) + min(_offsets(after, zone)) - 1)
    calendar = croniter(crontext.read(trigger.cron).expression, begin, ret_type=datetime, second_at_beginning=True)
    last_day = min(_end(trigger), _LATEST_S) + 2 * _DAY_S
    return itertools.takewhile(lambda wall: _seconds(wall) < last_day, iter(calendar.get_next, None))


def _instants(wall: datetime, zone: tzinfo, every_hour: bool) -> set[float]:
    """When the wall clock of a zone shows a time, by the rule of this module for changed clocks."""
    first, second = (wall.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if not every_hour:
        return {first.timestamp()}  # in a gap: with the offset before it, so later by the gap
    both = {first.timestamp(), second.timestamp()}
    return {t for t in both if datetime.fromtimestamp(t, zone).replace(tzinfo=None, fold=0) == wall}


def _offsets(instant: float, zone: tzinfo) -> list[float]:
    """Seconds that the zone is ahead of UTC around a time, a day and a bit to both sides."""
    if zone is UTC:
        return [0.0]
    around = (instant - 1.1 * _DAY_S, instant, instant + 1.1 * _DAY_S)
    shown = [datetime.fromtimestamp(t, zone).utcoffset() for t in around]
    return [offset.total_seconds() for offset in shown if offset is not None]


def _seconds(wall: datetime) -> float:
    return (wall - datetime(1970, 1, 1)).total_seconds()


@functools.cache
def _knows_zones() -> bool:
    return bool(zoneinfo.available_timezones())


def _cron_in_words(trigger: CronSchedule) -> str:
    from cron_descriptor import ExpressionDescriptor, Options

    options = Options()
    options.use_24hour_time_format = True
    expression = crontext.read(trigger.cron).expression
    return str(ExpressionDescriptor(expression, options).get_full_description())


def _bounds_in_words(trigger: Trigger, zone: str) -> str:
    begins = f", from {_stamp(trigger.start, zone_named(zone))}" if trigger.start else ""
    return begins + (f", until {_stamp(trigger.end, zone_named(zone))}" if trigger.end else "")


def _stamp(seconds: float, zone: tzinfo = UTC) -> str:
    return datetime.fromtimestamp(seconds, zone).strftime("%Y-%m-%d %H:%M:%S %Z")


def _span(seconds: int) -> str:
    """`1 day 2 h`, `90 min` as `1 h 30 min`, `45 s`."""
    parts = []
    for unit, size in (("day", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}" + ("s" if unit == "day" and count > 1 else ""))
    return " ".join(parts)
