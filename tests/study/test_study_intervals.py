"""What a study says of a difference: chance in pictures and in seeds, and never a difference without its interval."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.study import comparison
from components.study.comparison import Measured, _Sample, difference, widening
from components.study.settings import Settings
from components.study.trials import Variant

PICTURES, RESAMPLES = 300, 300
DRAWS = np.random.default_rng(7).multinomial(PICTURES, np.full(PICTURES, 1 / PICTURES), RESAMPLES).T / PICTURES


def same_draws(*right: np.ndarray) -> list[_Sample]:
    """Accuracy of (S, pictures) right answers of each variant, as it is and over the same resamples."""
    return [_Sample(one.mean(axis=1), one @ DRAWS) for one in right]


def drawn_variants(rng: np.random.Generator, seeds: int, spread: float) -> tuple[np.ndarray, np.ndarray]:
    """Two variants of equal merit: pictures of common difficulty, and for each seed a better or worse network."""
    hard = 1.5 * rng.normal(size=PICTURES)
    merit = 2 + rng.normal(0, spread, (2, seeds, 1)) + hard + rng.normal(0, 0.7, (2, seeds, PICTURES))
    first, second = (rng.random(merit.shape) < 1 / (1 + np.exp(-merit))).astype(float)
    return first, second


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("spread", [0.0, 0.5])
def test_the_interval_holds_the_truth_in_about_95_of_100_studies(seeds: int, spread: float) -> None:
    rng = np.random.default_rng(seeds)
    found = [difference(*same_draws(*drawn_variants(rng, seeds, spread)), seed=i) for i in range(200)]
    assert np.mean([one.low <= 0 <= one.high for one in found]) >= 0.92


def test_without_the_widening_three_seeds_would_promise_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "widening", lambda seeds: 1.0)
    rng = np.random.default_rng(3)
    found = [difference(*same_draws(*drawn_variants(rng, 3, 0.8)), seed=i) for i in range(200)]
    assert np.mean([one.low <= 0 <= one.high for one in found]) < 0.9


def test_a_variant_that_is_always_better_is_a_gain_and_the_other_way_round_a_loss() -> None:
    good, bad = np.ones((3, PICTURES)), np.zeros((3, PICTURES))
    good[:, :20], bad[:, :20] = 0, 1
    first, second = same_draws(good, bad)
    assert difference(first, second, seed=0).verdict == "gain"
    assert difference(second, first, seed=0).verdict == "loss"


def test_networks_that_answer_alike_differ_by_nothing_at_all() -> None:
    right = np.tile(np.arange(PICTURES) % 3 > 0, (3, 1)).astype(float)
    assert difference(*same_draws(right, right), seed=0).is_zero


def test_seeds_that_disagree_make_noise_of_what_the_pictures_alone_would_call_a_gain() -> None:
    """One variant's seeds: 90, 70 and 95 % right, the other's 75, 80 and 76 %."""

    def right(*shares: float) -> np.ndarray:
        return np.stack([np.arange(PICTURES) < share * PICTURES for share in shares]).astype(float)

    first, second = same_draws(right(0.9, 0.7, 0.95), right(0.75, 0.8, 0.76))
    assert difference(first, second, seed=0).verdict == "noise"
    steady = same_draws(right(0.85, 0.85, 0.85), right(0.77, 0.77, 0.77))
    assert difference(*steady, seed=0).verdict == "gain"


@given(st.integers(2, 50))
def test_fewer_seeds_widen_more_and_many_hardly(seeds: int) -> None:
    assert widening(seeds) > widening(seeds + 1) > 1
    assert widening(1) == 1


def test_the_deviation_over_seeds_is_that_of_a_sample() -> None:
    measured = Measured({1: 0.5, 2: 0.7}, None)
    assert measured.mean == pytest.approx(0.6)
    assert measured.sd == pytest.approx(0.1 * np.sqrt(2))
    assert np.isnan(Measured({1: 0.5}, None).sd)


def test_a_difference_that_no_resample_defines_is_none_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = iter([_Sample(np.array([value]), np.full((1, 9), np.nan)) for value in (0.5, 0.6, 0.5, 0.6)])
    monkeypatch.setattr(comparison, "_sample", lambda *_: next(samples))
    variants = [Variant(name, "", {}, {1: []}) for name in ("base", "other")]
    for measured in comparison.compare(variants, Settings(), 0)[1].values():
        assert measured.mean == 0.6 and measured.difference is None
