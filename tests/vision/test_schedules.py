import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.vision.schedules import KINDS, Schedule
from components.vision.train_loop import Plan


@given(st.sampled_from(KINDS), st.integers(1, 500), st.data())
def test_the_rate_rises_to_its_peak_and_never_rises_again(kind, total, data):
    warmup = data.draw(st.integers(0, total))
    schedule = Schedule(kind, 0.1, total, warmup)
    rates = [schedule.rate(step) for step in range(total + 5)]
    assert all(a < b for a, b in zip(rates[:warmup], rates[1:warmup], strict=False))
    assert all(a >= b for a, b in zip(rates[warmup:], rates[warmup + 1 :], strict=False))
    assert max(rates) == pytest.approx(0.1)


def test_cosine_is_half_way_in_the_middle_and_ends_at_its_share():
    schedule = Schedule("cosine", 2.0, 100, final_share=0.1)
    assert schedule.rate(50) == pytest.approx(2.0 * 0.55)
    assert schedule.rate(100) == schedule.rate(1000) == pytest.approx(0.2)


def test_steps_fall_by_their_factor_at_their_places():
    schedule = Schedule("steps", 1.0, 100, decay_at=(0.5, 0.75), decay_factor=0.1)
    assert [schedule.rate(s) for s in (49, 50, 74, 75)] == pytest.approx([1, 0.1, 0.1, 0.01])


def test_the_head_learns_at_its_own_rate_while_the_backbone_is_frozen():
    plan = Plan(5, 2, 1e-4, 1e-2, "cosine", 1.0, 0.0, (), 0.1, "map", 0)
    assert [plan.rate(step, 10) for step in (0, 19)] == [1e-2, 1e-2]
    assert plan.rate(20, 10) == pytest.approx(1e-5) and plan.rate(29, 10) == pytest.approx(1e-4)
    assert plan.rate(49, 10) < 2e-6
