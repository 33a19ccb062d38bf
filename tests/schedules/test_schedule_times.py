"""When schedules fire: cron text and intervals, time zones, changed clocks."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.engine import cron, schedule
from pipeline.engine.schedule import CronSchedule, IntervalSchedule, Trigger, due_times, next_times
from pipeline.errors import PipelineError

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()  # a Sunday
DAY = 86_400.0


def shown(trigger: Trigger, after: float, count: int, zone: str = "UTC") -> list[str]:
    return [datetime.fromtimestamp(t, ZoneInfo(zone)).isoformat() for t in next_times(trigger, after, count)]


@pytest.mark.parametrize(
    ("text", "first", "second"),
    [
        ("30 2 * * *", "2026-11-23T02:30:00", "2026-11-24T02:30:00"),
        ("15 30 2 * * *", "2026-11-23T02:30:15", "2026-11-24T02:30:15"),
        ("0 0 2 ? * MON-FRI", "2026-11-23T02:00:00", "2026-11-24T02:00:00"),
        ("0 0 1 jan ?", "2027-01-01T00:00:00", "2028-01-01T00:00:00"),
        ("0 0/20 * * * *", "2026-11-22T12:20:00", "2026-11-22T12:40:00"),
        ("5-15/10 12 * * *", "2026-11-22T12:05:00", "2026-11-22T12:15:00"),
        ("0 12 * * 7", "2026-11-29T12:00:00", "2026-12-06T12:00:00"),
        ("0 0 29 2 *", "2028-02-29T00:00:00", "2032-02-29T00:00:00"),
        ("@hourly", "2026-11-22T13:00:00", "2026-11-22T14:00:00"),
        ("@daily", "2026-11-23T00:00:00", "2026-11-24T00:00:00"),
        ("@weekly", "2026-11-29T00:00:00", "2026-12-06T00:00:00"),
        ("@Monthly", "2026-12-01T00:00:00", "2027-01-01T00:00:00"),
        ("@annually", "2027-01-01T00:00:00", "2028-01-01T00:00:00"),
    ],
)
def test_cron_text_is_read_as_robfig_reads_it(text: str, first: str, second: str) -> None:
    assert shown(CronSchedule(text), NOON, 2) == [first + "+00:00", second + "+00:00"]


def test_when_both_day_fields_are_set_either_one_suffices() -> None:
    days = [text[8:10] for text in shown(CronSchedule("0 0 1,25 * FRI"), NOON, 4)]
    assert days == ["25", "27", "01", "04"]


@pytest.mark.parametrize("prefix", ["CRON_TZ=Asia/Tokyo ", "TZ=Asia/Tokyo "])
def test_a_time_zone_in_front_of_the_text_goes_before_the_field(prefix: str) -> None:
    trigger = CronSchedule(prefix + "0 9 * * *", "Europe/Berlin")
    assert shown(trigger, NOON, 1) == ["2026-11-23T00:00:00+00:00"]
    assert trigger.zone_name == "Asia/Tokyo"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cron '' has 0 fields; expected 5 (minute hour day month weekday) or 6 with the second first"),
        ("* * * * * * 2027", "cron '* * * * * * 2027' has 7 fields"),
        ("61 * * * *", "cron '61 * * * *': '61' is no minute; expected 0 to 59"),
        ("0 0 * 13 *", "'13' is no month; expected 1 to 12 or JAN to DEC"),
        ("0 0 L * *", "'L' is no day of month; expected 1 to 31"),
        ("0 0 * * MON#2", "'MON#2' is no day of week"),
        ("0 0 * * FRI-MON", "'FRI-MON' is no day of week; the range ends before it begins; write it as two"),
        ("*/0 * * * *", "'*/0' is no minute; expected a step from 1 to 59"),
        ("1,,2 * * * *", "'' is no minute"),
        ("*-5 * * * *", "'*-5' is no minute"),
        ("٣ * * * *", "'٣' is no minute"),
        ("@noon", "cron '@noon' is not known; expected one of @yearly"),
        ("@every 1h", "cron '@every 1h' is an interval; give it as an interval in seconds instead"),
        ("0 0 30 2 *", "cron '0 0 30 2 *' never comes: none of its months has that day"),
        ("0 0 31 4,6,9,11 *", "never comes"),
        (
            "TZ=Mars/Base @daily",
            "time zone 'Mars/Base' is not known; expected an IANA name such as Europe/Berlin or UTC",
        ),
    ],
)
def test_bad_cron_text_is_refused_with_one_line(text: str, message: str) -> None:
    with pytest.raises(PipelineError) as refused:
        CronSchedule(text)
    assert message in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("zone", ["", "Mars/Base", "Europe", "../etc/passwd", "/etc/localtime", "Europe/Berlin\0"])
def test_a_time_zone_that_does_not_exist_is_refused(zone: str) -> None:
    with pytest.raises(PipelineError, match="is not known; expected an IANA name"):
        CronSchedule("@daily", zone)


def test_a_system_without_time_zone_data_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> None:
        raise schedule.zoneinfo.ZoneInfoNotFoundError(name)

    monkeypatch.setattr(schedule.zoneinfo, "ZoneInfo", nothing)
    monkeypatch.setattr(schedule, "_knows_zones", lambda: False)
    with pytest.raises(PipelineError, match="no time zone data; `pip install tzdata` brings it, or use UTC"):
        CronSchedule("@daily", "Europe/Berlin")
    assert CronSchedule("@daily", "UTC").zone_name == "UTC"


# Daylight saving


def test_a_daily_job_in_the_hour_that_spring_skips_fires_once_and_later_by_the_gap() -> None:
    before = datetime(2026, 3, 28, 12, tzinfo=UTC).timestamp()
    assert shown(CronSchedule("30 2 * * *", "Europe/Berlin"), before, 2, "Europe/Berlin") == [
        "2026-03-29T03:30:00+02:00",
        "2026-03-30T02:30:00+02:00",
    ]


def test_a_daily_job_in_the_hour_that_autumn_repeats_fires_once_the_first_time() -> None:
    before = datetime(2026, 10, 24, 12, tzinfo=UTC).timestamp()
    assert shown(CronSchedule("30 2 * * *", "Europe/Berlin"), before, 2, "Europe/Berlin") == [
        "2026-10-25T02:30:00+02:00",
        "2026-10-26T02:30:00+01:00",
    ]


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
def test_a_job_every_quarter_of_an_hour_goes_on_every_quarter_when_clocks_change(day: str) -> None:
    begin = datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() - 1
    times = due_times(CronSchedule("*/15 * * * *", "Europe/Berlin"), begin, begin + DAY)
    assert times == [begin + 1 + 900 * number for number in range(96)]


def test_a_day_that_a_country_skipped_is_fired_a_day_later_and_not_twice() -> None:
    before = datetime(2011, 12, 28, 22, tzinfo=UTC).timestamp()  # Samoa had no 30 December 2011
    assert shown(CronSchedule("0 9 * * *", "Pacific/Apia"), before, 3, "Pacific/Apia") == [
        "2011-12-29T09:00:00-10:00",
        "2011-12-31T09:00:00+14:00",
        "2012-01-01T09:00:00+14:00",
    ]


CHANGES = {  # zone -> days on which its clocks change, and quiet ones
    "Europe/Berlin": ("2026-03-29", "2026-10-25", "2026-07-01"),
    "America/New_York": ("2026-03-08", "2026-11-01"),
    "Australia/Lord_Howe": ("2026-04-05", "2026-10-04"),  # by half an hour
    "Antarctica/Troll": ("2026-03-29", "2026-10-25"),  # by two hours
    "Asia/Kathmandu": ("2026-03-29",),  # 5:45 ahead of UTC
    "UTC": ("2026-02-28",),
}


@st.composite
def fields(draw: st.DrawFn, low: int, high: int) -> tuple[str, frozenset[int]]:
    """A cron field and the numbers that it means."""
    kind = draw(st.sampled_from(["all", "step", "list", "range"]))
    if kind == "all":
        return draw(st.sampled_from(["*", "?"])), frozenset(range(low, high + 1))
    if kind == "step":
        step = draw(st.integers(1, high))
        return f"*/{step}", frozenset(range(low, high + 1, step))
    if kind == "list":
        numbers = draw(st.sets(st.integers(low, high), min_size=1, max_size=4))
        return ",".join(map(str, sorted(numbers))), frozenset(numbers)
    begin = draw(st.integers(low, high))
    end = draw(st.integers(begin, high))
    return f"{begin}-{end}", frozenset(range(begin, end + 1))


days = st.sampled_from([(zone, day) for zone, found in CHANGES.items() for day in found])


def matching_minutes(
    zone: str, begin: float, end: float, minutes: frozenset[int], hours: frozenset[int]
) -> list[float]:
    """What the rule in words says, worked out minute by minute without any cron library."""
    place = ZoneInfo(zone)
    if len(hours) == 24:  # follows the clock on the wall through real time
        real = [begin + 60 * number for number in range(1, int((end - begin) // 60) + 1)]
        return [t for t in real if datetime.fromtimestamp(t, place).minute in minutes]
    first = datetime.fromtimestamp(begin, UTC).replace(tzinfo=None) - timedelta(days=2)
    walls = (first + timedelta(minutes=number) for number in range(int((end - begin) // 60) + 4 * 1440))
    named = (wall for wall in walls if wall.hour in hours and wall.minute in minutes)
    return sorted({t for t in (wall.replace(tzinfo=place).timestamp() for wall in named) if begin < t <= end})


@given(days, fields(0, 59), fields(0, 23))
@settings(max_examples=60)
def test_times_are_those_that_a_walk_over_every_minute_finds(
    day: tuple[str, str], minutes: tuple[str, frozenset[int]], hours: tuple[str, frozenset[int]]
) -> None:
    zone, date = day
    begin = datetime.fromisoformat(date).replace(tzinfo=UTC).timestamp() - DAY
    end = begin + 3 * DAY
    found = due_times(CronSchedule(f"{minutes[0]} {hours[0]} * * *", zone), begin, end)
    assert found == matching_minutes(zone, begin, end, minutes[1], hours[1])


expressions = st.tuples(fields(0, 59), fields(0, 59), fields(0, 23), fields(1, 28), fields(1, 12), fields(0, 6)).map(
    lambda found: " ".join(text for text, _ in found)
)
crons = st.builds(lambda text, day: CronSchedule(text, day[0]), expressions, days)
intervals = st.builds(IntervalSchedule, st.integers(1, 100_000), st.floats(0, 2e9).map(round))
moments = st.floats(1.5e9, 2.0e9, allow_nan=False)


@given(crons | intervals, moments)
def test_the_next_times_increase_and_come_after_the_moment(trigger: Trigger, after: float) -> None:
    times = next_times(trigger, after, 20)
    assert len(times) == 20 and times[0] > after
    assert all(a < b for a, b in zip(times, times[1:], strict=False))


@given(crons, moments, st.data())
def test_every_time_satisfies_all_fields_of_the_text(trigger: CronSchedule, after: float, data: st.DataObject) -> None:
    utc = CronSchedule(trigger.cron)  # in a zone whose clocks never change, so without exception
    plain = cron.read(trigger.cron).expression.split()
    allowed = [cron.numbers(text, field) for text, field in zip(plain, cron.FIELDS, strict=True)]
    for instant in next_times(utc, after, 10):
        t = datetime.fromtimestamp(instant, UTC)
        assert (t.second in allowed[0], t.minute in allowed[1], t.hour in allowed[2], t.month in allowed[4]) == (
            True,
        ) * 4
        by_day, by_weekday = t.day in allowed[3], t.isoweekday() % 7 in allowed[5] or t.isoweekday() in allowed[5]
        both_set = plain[3] != "*" and plain[5] != "*"
        assert (by_day or by_weekday) if both_set else (by_day and by_weekday)


@given(crons | intervals, moments, st.lists(st.floats(0, 40_000), min_size=2, max_size=2))
def test_what_is_due_in_two_spans_is_what_is_due_in_both_together(
    trigger: Trigger, a: float, spans: list[float]
) -> None:
    b, c = a + spans[0] / 10, a + spans[0] / 10 + spans[1] / 10
    assert due_times(trigger, a, b) + due_times(trigger, b, c) == due_times(trigger, a, c)


@given(crons | intervals, moments, st.floats(0, 20_000))
def test_the_latest_due_time_is_the_last_of_all_that_are_due(trigger: Trigger, last: float, span: float) -> None:
    found = due_times(trigger, last, last + span)
    assert schedule.latest_due(trigger, last, last + span) == (found[-1] if found else None)


def test_the_latest_of_a_year_of_seconds_is_found_without_counting_them() -> None:
    assert schedule.latest_due(CronSchedule("* * * * * *"), NOON - 365 * DAY, NOON + 0.5) == NOON


# Bounds and intervals


def test_a_cron_schedule_fires_at_its_start_and_at_its_end_and_not_outside() -> None:
    bounded = CronSchedule("0 * * * *", "UTC", start=NOON, end=NOON + 7200)
    assert due_times(bounded, 0.0, NOON + DAY) == [NOON, NOON + 3600, NOON + 7200]
    assert next_times(bounded, NOON + 7200, 5) == []


def test_the_last_time_before_a_distant_next_one_is_not_lost_at_the_end() -> None:
    yearly = CronSchedule("@yearly", "Europe/Berlin", end=datetime(2027, 1, 1, tzinfo=UTC).timestamp())
    assert shown(yearly, NOON, 5) == ["2026-12-31T23:00:00+00:00"]


def test_an_interval_fires_first_one_interval_after_its_start() -> None:
    assert next_times(IntervalSchedule(90, start=NOON), NOON - DAY, 2) == [NOON + 90, NOON + 180]
    assert next_times(IntervalSchedule(90, start=NOON, end=NOON + 100), NOON - DAY, 5) == [NOON + 90]
    assert next_times(IntervalSchedule(90, start=NOON), NOON + 90, 1) == [NOON + 180]


@pytest.mark.parametrize("seconds", [0, -5, 0.5, True])
def test_an_interval_below_a_second_is_refused(seconds: int) -> None:
    with pytest.raises(PipelineError, match="expected whole seconds, at least 1"):
        IntervalSchedule(seconds)


def test_an_end_before_the_start_is_refused() -> None:
    with pytest.raises(PipelineError, match=r"ends \(2026-11-22 12:00:00 UTC\) before it starts"):
        CronSchedule("@daily", start=NOON + 1, end=NOON)


@pytest.mark.parametrize("after", [-1e12, -5.0, 0.0, 253_402_300_800.0, 1e15])
def test_moments_beyond_the_calendar_break_nothing(after: float) -> None:
    assert len(next_times(CronSchedule("@daily", "Asia/Tokyo"), after, 1)) <= 1


# For people and for the store


@pytest.mark.parametrize(
    ("trigger", "words"),
    [
        (CronSchedule("30 2 * * MON-FRI", "Europe/Berlin"), "At 02:30, Monday through Friday (Europe/Berlin)"),
        (CronSchedule("TZ=Asia/Tokyo 0 0/10 * ? * *"), "Every 10 minutes (Asia/Tokyo)"),
        (CronSchedule("@monthly"), "At 00:00, on day 1 of the month (UTC)"),
        (IntervalSchedule(90), "Every 1 min 30 s"),
        (IntervalSchedule(2 * 86_400), "Every 2 days"),
        (IntervalSchedule(3600, end=NOON), "Every 1 h, until 2026-11-22 12:00:00 UTC"),
    ],
)
def test_a_schedule_is_said_in_words_with_its_time_zone(trigger: Trigger, words: str) -> None:
    assert schedule.in_words(trigger) == words


@given(crons | intervals)
def test_every_schedule_has_words_and_survives_the_store(trigger: Trigger) -> None:
    assert schedule.in_words(trigger)
    assert schedule.from_json(schedule.to_json(trigger)) == trigger
