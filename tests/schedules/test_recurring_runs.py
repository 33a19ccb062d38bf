"""Recurring runs in the store: made, edited, paused, deleted, each change in the journal."""

from dataclasses import replace
from typing import Any

import pytest

from pipeline.engine.recurring import Mode, RecurringSpec, what_catch_up_would_launch
from pipeline.engine.recurring_spec import spec_from_json, spec_to_json
from pipeline.engine.schedule import CronSchedule, IntervalSchedule
from pipeline.errors import NotFound, PipelineError

HOUR = 3600.0


def changes(office: Any) -> list[str]:
    return [event.detail["change"] for event in office.store.events("") if event.kind == "recurring"]


def test_a_recurring_run_is_kept_with_everything_that_was_said(office: Any) -> None:
    made = office.add(
        "TZ=Asia/Tokyo 0 30 2 ? * MON",
        description="every week",
        parameters={"lr": 0.3, "day": "[[ScheduledTime]]"},
        cache=False,
        no_catchup=True,
        max_concurrency=3,
    )
    assert office.recurring.get(made.recurring_id) == made
    assert made.mode is Mode.ENABLED and made.created == made.updated == office.clock.now()
    assert spec_from_json(spec_to_json(made.spec)) == made.spec


def test_the_list_is_newest_first_and_knows_the_disabled_ones(office: Any) -> None:
    first, second = office.add(display_name="a"), office.add(display_name="b", enabled=False)
    assert [one.spec.display_name for one in office.recurring.all()] == ["b", "a"]
    assert office.recurring.enabled() == [first]
    assert not second.is_enabled


@pytest.mark.parametrize("limit", [0, 11, -1, True])
def test_max_concurrency_is_one_to_ten(office: Any, limit: int) -> None:
    with pytest.raises(PipelineError, match="is not possible; expected 1 to 10 runs at a time"):
        office.spec(max_concurrency=limit)


@pytest.mark.parametrize("values", [{}, {"pipeline_digest": "d", "pipeline_id": "p"}])
def test_there_is_exactly_one_pipeline(values: dict[str, str]) -> None:
    with pytest.raises(PipelineError, match="needs one pipeline; give pipeline_id, version_id or a pipeline in line"):
        RecurringSpec("n", CronSchedule("@daily"), **values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"parameters": {"rate": 1}}, "pipeline retrain has no parameter 'rate'"),
        ({"parameters": {"lr": "fast"}}, "lr"),
        ({"pipeline_digest": "gone"}, "no pipeline 'gone' is kept here"),
        ({"pipeline_digest": "", "version_id": "v9"}, "no pipeline version 'v9'"),
        ({"pipeline_digest": "", "pipeline_id": "p9"}, "pipeline 'p9' has no version to launch"),
        ({"experiment_id": "e9"}, "no experiment 'e9'; leave it out for the default one"),
    ],
)
def test_what_could_not_be_launched_is_refused_when_it_is_made_and_when_it_is_edited(
    office: Any, values: dict[str, Any], message: str
) -> None:
    made = office.add()
    with pytest.raises(PipelineError, match=message):
        office.add(**values)
    with pytest.raises(PipelineError, match=message):
        office.edit(made.recurring_id, **values)
    assert office.recurring.all() == [made]


def test_a_macro_may_stand_for_a_number(office: Any) -> None:
    assert office.add(parameters={"lr": "0.[[Index]]"}).spec.parameters == {"lr": "0.[[Index]]"}


def test_everything_can_be_edited_and_the_journal_says_what_was_changed(office: Any) -> None:
    made = office.add()
    office.clock.sleep(60)
    edited = office.edit(made.recurring_id, display_name="hourly", max_concurrency=2, parameters={"lr": 1.0})
    assert (edited.spec.display_name, edited.spec.max_concurrency) == ("hourly", 2)
    assert edited.updated == made.created + 60
    detail = office.store.events("")[-1].detail
    assert detail["was"] == {"display_name": "nightly", "max_concurrency": 10, "parameters": {}}
    assert detail["now"] == {"display_name": "hourly", "max_concurrency": 2, "parameters": {"lr": 1.0}}


def test_every_change_is_in_the_journal(office: Any) -> None:
    made = office.add()
    office.recurring.disable(made.recurring_id, office.clock.now())
    office.recurring.disable(made.recurring_id, office.clock.now())  # changes nothing, so says nothing
    office.recurring.enable(made.recurring_id, office.clock.now())
    office.recurring.delete(made.recurring_id, office.clock.now())
    assert changes(office) == ["created", "disabled", "enabled", "deleted"]


def test_what_is_deleted_is_gone_and_says_so(office: Any) -> None:
    made = office.add()
    office.recurring.delete(made.recurring_id, 0.0)
    for act in (office.recurring.get, lambda one: office.recurring.delete(one, 0.0), office.ticker.run_now):
        with pytest.raises(NotFound, match="it was deleted, or its id is wrong"):
            act(made.recurring_id)


# What was missed


def test_a_start_in_the_past_makes_the_missed_times_due_as_in_kfp(office: Any, time_of: Any) -> None:
    trigger = CronSchedule("0 * * * *", start=time_of("2026-11-21T22:00"))
    now = time_of("2026-11-22T00:30")
    due = what_catch_up_would_launch(office.add(trigger=trigger), now)
    assert due == [time_of("2026-11-21T22:00"), time_of("2026-11-21T23:00"), time_of("2026-11-22T00:00")]
    assert what_catch_up_would_launch(office.add(trigger=trigger, no_catchup=True), now) == due[-1:]


def test_without_a_start_nothing_before_its_making_is_due(office: Any) -> None:
    now = office.clock.now()
    assert what_catch_up_would_launch(office.add("0 * * * *"), now) == []
    every = office.add(trigger=IntervalSchedule(100))
    assert what_catch_up_would_launch(every, now + 250) == [now + 100, now + 200]


def test_enabling_again_does_not_fire_what_was_missed_unless_asked(office: Any) -> None:
    one, other = office.add(), office.add()
    for made in (one, other):
        office.recurring.disable(made.recurring_id, office.clock.now())
    office.clock.sleep(3 * HOUR)
    now = office.clock.now()
    paused = office.recurring.get(other.recurring_id)
    assert len(what_catch_up_would_launch(paused, now)) == 3
    assert what_catch_up_would_launch(office.recurring.enable(one.recurring_id, now), now) == []
    caught_up = office.recurring.enable(other.recurring_id, now, catch_up=True)
    assert len(what_catch_up_would_launch(caught_up, now)) == 3


def test_a_new_trigger_begins_now_and_other_edits_keep_what_is_due(office: Any) -> None:
    made = office.add()
    office.clock.sleep(2 * HOUR)
    now = office.clock.now()
    edited = office.edit(made.recurring_id, display_name="new")
    assert len(what_catch_up_would_launch(edited, now)) == 2
    moved = office.edit(made.recurring_id, trigger=CronSchedule("*/10 * * * *"))
    assert what_catch_up_would_launch(moved, now) == []
    every = office.edit(made.recurring_id, trigger=IntervalSchedule(60))
    assert what_catch_up_would_launch(every, now + 60) == [now + 60]


def test_the_preview_of_a_long_pause_is_bounded(office: Any) -> None:
    made = office.add("* * * * * *")
    assert len(what_catch_up_would_launch(made, office.clock.now() + 365 * 24 * HOUR)) == 1000


def test_what_is_dealt_with_stays_so_when_somebody_slower_says_less(office: Any) -> None:
    made = office.add()
    for due in (made.created + 2 * HOUR, made.created + HOUR):
        office.recurring.dealt_with(made.recurring_id, due)
    assert office.recurring.get(made.recurring_id).last_due == made.created + 2 * HOUR


def test_the_next_five_times_are_shown_also_for_a_disabled_one(office: Any, time_of: Any) -> None:
    made = office.add("30 */6 * * *", enabled=False)
    times = ["2026-11-22T00:30", "2026-11-22T06:30", "2026-11-22T12:30", "2026-11-22T18:30", "2026-11-23T00:30"]
    assert made.next_times(office.clock.now()) == [time_of(text) for text in times]


def test_a_spec_is_not_changed_by_replacing_a_part(office: Any) -> None:
    spec = office.spec()
    assert replace(spec, max_concurrency=2) != spec == office.spec()
