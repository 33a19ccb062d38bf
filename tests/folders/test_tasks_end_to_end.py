"""Every row of the task table, from a `labels.csv` to the report: it learns, and each file says what it should."""

import json

import numpy as np
import pytest

from components.artifacts import ensembles, manifest, predictions

pytestmark = pytest.mark.slow


def scores_of(journey, name):
    return json.loads((journey.report / "scores.json").read_text())["attributes"][name]


def submitted(journey):
    lines = (journey.report / "submission.csv").read_text().splitlines()
    return {line.split(",")[0]: [float(p) for p in line.split(",")[2].split(";")] for line in lines}


def test_binary_learns_one_sigmoid_and_answers_with_two_probabilities(delivery, travel):
    journey = travel(delivery, {"name": "red", "task": "binary"})
    assert journey.index("train", "checkpoints")["task"] == "binary"
    assert scores_of(journey, "red")["accuracy"]["value"] > 0.9
    probability = predictions.stacked(predictions.read(journey.references["predict"]))
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    assert all(len(answer) == 2 for answer in submitted(journey).values())
    assert "Confusion" in journey.page


def test_multi_label_decides_every_class_by_itself(delivery, travel):
    journey = travel(delivery, {"name": "bars", "task": "auto"})
    assert journey.index("train", "checkpoints")["task"] == "multi_label"
    found = scores_of(journey, "bars")
    assert found["own"]["class_map"]["value"] > 0.9
    assert found["accuracy"]["value"] > 0.9
    low, value, high = (found["own"]["exact_match"][k] for k in ("low", "value", "high"))
    assert low <= value <= high
    answers = submitted(journey)
    assert len(answers) == 15
    assert {len(answer) for answer in answers.values()} == {3}
    assert any(abs(sum(answer) - 1) > 0.2 for answer in answers.values())
    assert "Class by class" in journey.page
    assert "Labels that look wrong" in journey.page and "Not looked for" not in journey.page
    assert "Confusion" not in journey.page
    asked = journey.table("questions_answers.parquet")
    assert set(asked["question"]) >= {"most_confident", "least_confident"}
    assert asked["labelled"].str.contains("|", regex=False).any()


def test_ordinal_learns_the_ranks_as_cumulative_sigmoids(delivery, travel):
    sizes = ["1 small", "2 middle", "3 large", "4 huge"]
    journey = travel(delivery, {"name": "size", "task": "ordinal", "classes": sizes}, epochs=14)
    about = journey.index("train", "checkpoints")
    assert (about["task"], about["ordinal"], len(about["classes"])) == ("ordinal", True, 4)
    found = scores_of(journey, "size")
    assert found["own"]["rank_error"]["value"] < 0.4
    assert np.array(found["confusion"]).shape == (4, 4)
    probability = predictions.stacked(predictions.read(journey.references["predict"]))
    assert probability.min() >= 0
    np.testing.assert_allclose(probability.sum(axis=1), 1)


def test_regression_answers_with_numbers_and_is_measured_by_its_errors(delivery, travel):
    journey = travel(delivery, {"name": "amount", "task": "regression"}, epochs=14, l2=0.0)
    found = scores_of(journey, "amount")
    assert found["ap"]["value"] is None
    assert found["own"]["mae"]["value"] < 25, "guessing the mean is off by 41 on average"
    assert found["own"]["mae"]["value"] <= found["own"]["rmse"]["value"]
    ensemble = ensembles.read(journey.references["ensemble"])
    values = np.stack(list(ensemble["probability"]))
    assert 60 < values.mean() < 290
    assert {len(answer) for answer in submitted(journey).values()} == {1}
    assert "Predicted and true numbers" in journey.page
    assert "Not looked for: these labels are numbers" in journey.page
    cut = manifest.read(journey.references["ingest"]).query("keep and fold > 0").label.astype(float)
    scale = journey.index("train", "checkpoints")["scale"]
    assert scale == pytest.approx([cut.mean(), cut.std(ddof=0)]), "fold 0 judges, so it says nothing here"
    assert "Confusion" not in journey.page
    assert set(journey.table("questions_answers.parquet")["question"]) == {"closest", "farthest"}
    history = journey.index("train", "checkpoints")["metrics"]
    assert {"valid_mae", "valid_rmse", "valid_loss"} == set(history)


def test_what_is_held_out_judges_and_nothing_else_does(delivery, travel):
    journey = travel(delivery, {"name": "red", "task": "binary"}, epochs=1)
    rows = predictions.read(journey.references["predict"])
    judged = set(rows[rows["split"] == "valid"]["image_id"])
    assert judged == {f"pictures/{n:03d}.png" for n in range(150) if n % 5 == 1}
