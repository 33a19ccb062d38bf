"""The champion gate: what it promotes, keeps and refuses, and why."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from components.promote import gate
from components.promote.gate import Contender
from components.promote.settings import Settings

CLASSES = ("a", "b", "c")
SETTINGS = Settings(resamples=200, min_overlap=30)


def manifest_of(num_pictures: int = 300, folds: int = 3) -> pd.DataFrame:
    numbers = np.arange(num_pictures)
    return pd.DataFrame(
        {
            "image_id": [f"p{i:03}" for i in numbers],
            "kind": "labelled",
            "keep": True,
            "fold": numbers % folds,
            "pixels": [f"px{i:03}" for i in numbers],
            "group": numbers,
        }
    )


def contender(right: float, manifest: pd.DataFrame | None = None, fold: int = 0) -> Contender:
    """Validates on one fold and is right on the share `right` of it, surer where it is right."""
    rows = manifest_of() if manifest is None else manifest
    valid = rows[rows["fold"] == fold]
    sure = np.random.default_rng(0).permutation(len(valid)) < right * len(valid)
    probability = [[0.9, 0.05, 0.05] if s else [0.2, 0.6, 0.2] for s in sure]
    frame = pd.DataFrame(
        {"image_id": valid["image_id"], "label": "ynn", "group": valid["group"], "probability": probability}
    )
    return Contender(CLASSES, frame.reset_index(drop=True), rows)


def test_the_first_of_its_attribute_is_promoted() -> None:
    assert gate.decide(None, contender(0.5), SETTINGS, 0).action == "promoted"


def test_a_gain_is_promoted_with_its_interval() -> None:
    decision = gate.decide(contender(0.5), contender(0.9), SETTINGS, 0)
    assert decision.action == "promoted" and decision.pictures == 100
    assert decision.difference is not None and 0 < decision.low < decision.difference < decision.high  # type: ignore[operator]


def test_a_regression_is_refused() -> None:
    decision = gate.decide(contender(0.9), contender(0.5), SETTINGS, 0)
    assert decision.action == "refused" and "regression" in decision.reason


POLICIES = [("no_loss", "promoted"), ("gain", "kept")]


@pytest.mark.parametrize(("policy", "action"), POLICIES)
def test_noise_is_promoted_or_kept_as_the_policy_says(policy: str, action: str) -> None:
    decision = gate.decide(contender(0.9), contender(0.89), replace(SETTINGS, policy=policy), 0)
    assert decision.action == action and "the interval spans zero" in decision.reason


@pytest.mark.parametrize(("policy", "action"), POLICIES)
def test_a_challenger_that_answers_as_the_champion_does_is_called_the_same_result(policy: str, action: str) -> None:
    decision = gate.decide(contender(0.9), contender(0.9), replace(SETTINGS, policy=policy), 0)
    assert decision.action == action and decision.reason.startswith("the same result")
    assert (decision.difference, decision.low, decision.high) == (0, 0, 0)


def test_an_overlap_that_is_too_small_is_refused_and_says_how_small() -> None:
    short = contender(0.9)
    short = replace(short, valid=short.valid.head(12))
    decision = gate.decide(contender(0.5), short, SETTINGS, 0)
    assert decision.action == "refused" and "12 validation pictures" in decision.reason and "30" in decision.reason


def test_other_classes_are_refused() -> None:
    decision = gate.decide(contender(0.5), replace(contender(0.9), classes=("a", "c", "b")), SETTINGS, 0)
    assert decision.action == "refused" and "classes" in decision.reason


def test_training_on_a_picture_of_the_champions_validation_is_a_leak() -> None:
    moved = manifest_of()
    moved.loc[0, "fold"] = 1  # p000 validates the champion; the challenger holds out fold 0 and so trains on it
    decision = gate.decide(contender(0.5), contender(0.9, moved), SETTINGS, 0)
    assert decision.action == "refused" and "leak" in decision.reason and "p000" in decision.reason


def test_the_same_pixels_under_another_name_are_a_leak() -> None:
    renamed = manifest_of()
    renamed.loc[1, "pixels"] = "px000"
    decision = gate.decide(contender(0.5), contender(0.9, renamed), SETTINGS, 0)
    assert decision.action == "refused" and "p001" in decision.reason


def test_a_near_duplicate_by_group_is_a_leak() -> None:
    grouped = manifest_of()
    grouped.loc[1, "group"] = grouped.loc[0, "group"]
    decision = gate.decide(contender(0.5), contender(0.9, grouped), SETTINGS, 0)
    assert decision.action == "refused" and "p001" in decision.reason


def test_a_challenger_that_leaks_into_its_own_validation_is_refused_even_as_the_first() -> None:
    grouped = manifest_of()
    grouped.loc[4, "group"] = grouped.loc[3, "group"]
    decision = gate.decide(None, contender(0.9, grouped), SETTINGS, 0)
    assert decision.action == "refused" and "p004" in decision.reason


def test_pictures_that_were_not_used_are_no_leak() -> None:
    unused = manifest_of()
    unused.loc[1, ["pixels", "keep"]] = ["px000", False]
    unused.loc[2, ["pixels", "kind"]] = ["px000", "test"]
    assert gate.decide(contender(0.5), contender(0.9, unused), SETTINGS, 0).action == "promoted"


def test_pictures_that_cannot_be_decoded_are_not_all_the_same_picture() -> None:
    broken = manifest_of()
    broken.loc[[0, 1], "pixels"] = ""
    assert gate.decide(contender(0.5, broken), contender(0.9, broken), SETTINGS, 0).action == "promoted"


def test_leaks_can_be_left_out_of_the_comparison_instead() -> None:
    moved = manifest_of()
    moved.loc[0, "fold"] = 1
    decision = gate.decide(contender(0.5), contender(0.9, moved), replace(SETTINGS, leak="exclude"), 0)
    assert decision.action == "promoted" and decision.pictures == 99


def test_a_file_that_was_replaced_is_not_the_same_picture() -> None:
    replaced = manifest_of()
    replaced.loc[0, "pixels"] = "new"
    assert len(gate.in_common(contender(0.5), contender(0.9, replaced))) == 99


def test_the_newer_labels_judge_both() -> None:
    corrected = contender(1.0)
    corrected = replace(corrected, valid=corrected.valid.assign(label="nyn"))
    decision = gate.decide(contender(1.0), corrected, replace(SETTINGS, metric="accuracy"), 0)
    assert decision.difference == 0


def test_a_metric_that_is_undefined_is_refused() -> None:
    fuzzy = contender(1.0)
    fuzzy = replace(fuzzy, valid=fuzzy.valid.assign(label="myn"))
    decision = gate.decide(contender(1.0), fuzzy, SETTINGS, 0)
    assert decision.action == "refused" and "undefined" in decision.reason
