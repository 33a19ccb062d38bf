"""The champion gate compares like with like, whatever is asked of a picture."""

import numpy as np
import pandas as pd
import pytest

from components.promote.gate import Contender, decide
from components.promote.settings import Settings
from components.vision import tasks

COUNT = 60
SETTINGS = Settings(resamples=200)
NUMBER = tasks.of({"task": "regression", "scale": [0.0, 1.0]})
MULTI = tasks.TASKS["multi_label"]
RNG = np.random.default_rng(0)
VALUES = RNG.normal(size=COUNT)
LETTERS = ["".join(RNG.choice(["y", "n"], 3)) for _ in range(COUNT)]
PRESENT = np.array([[letter == "y" for letter in label] for label in LETTERS], float)


def contender(task, labels, probability, classes):
    names = [f"{i}.png" for i in range(COUNT)]
    valid = pd.DataFrame({"image_id": names, "label": labels, "group": range(COUNT), "probability": list(probability)})
    rows = pd.DataFrame(
        {"image_id": names, "kind": "labelled", "keep": True, "fold": 0, "pixels": names, "group": range(COUNT)}
    )
    return Contender(classes, valid, rows, task)


def numbers(noise):
    guesses = (VALUES + noise * RNG.normal(size=COUNT))[:, None]
    return contender(NUMBER, [str(v) for v in VALUES], guesses, ("value",))


def several(noise):
    guesses = np.clip(PRESENT * 0.6 + 0.2 + noise * RNG.normal(size=PRESENT.shape), 0, 1)
    return contender(MULTI, LETTERS, guesses, ("a", "b", "c"))


@pytest.mark.parametrize("make", [numbers, several])
def test_a_better_challenger_replaces_the_champion_and_a_worse_one_is_refused(make):
    good, bad = make(0.1), make(0.8)
    assert decide(bad, good, SETTINGS, 0).action == "promoted"
    refused = decide(good, bad, SETTINGS, 0)
    assert (refused.action, "regression: the interval lies below zero" in refused.reason) == ("refused", True)


def test_answers_to_another_question_are_not_compared():
    ranks = contender(tasks.TASKS["one_of_k"], ["ynn"] * COUNT, np.eye(3)[[0] * COUNT], ("a", "b", "c"))
    assert decide(several(0.1), ranks, SETTINGS, 0).action == "refused"
