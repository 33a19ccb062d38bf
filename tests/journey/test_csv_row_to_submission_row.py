"""One picture's way through all files: label row, manifest, shards, predictions, ensemble, submission row."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from components.artifacts import manifest, predictions, shards

pytestmark = pytest.mark.slow
ATTRIBUTE = "skirt_length_labels"


@pytest.fixture(scope="module")
def files(finished):
    """Task label -> its output references, of the finished run."""
    here, said = finished
    tasks = here.seamline("show", said["run_id"])["tasks"]
    return {task["label"]: task["outputs"] for task in tasks}


@pytest.fixture(scope="module")
def question(finished):
    """The third question row as it stands in the data set."""
    here, _ = finished
    file = next((here.state / "datasets").glob("demo-*/round2/Tests/question.csv"))
    with file.open() as rows:
        return next(row for i, row in enumerate(csv.reader(rows)) if i == 2)


def test_the_question_is_a_manifest_row_under_its_own_name(files, question):
    rows = manifest.read(files["ingest"]["manifest"])
    row = rows[rows.image_id == question[0]].iloc[0]
    assert (row.kind, row.attribute, row.fold) == ("test", ATTRIBUTE, -1)


def test_its_record_in_the_shards_carries_every_view(files, question):
    reference = files[f"{ATTRIBUTE}/preprocess"]["shards"]
    index = shards.read_shards_index(reference)
    found = [
        record
        for record in shards.read_examples(shards.group_files(reference, ["test-r2"]))
        if record.image_id == question[0]
    ]
    assert len(found) == 1
    assert index["views"] == ["plain", "flip"]
    # A record finds its views by name; their order is the index's.
    assert found[0].views.keys() == set(index["views"]) and all(found[0].views.values())
    assert found[0].label == ""


def test_every_model_of_both_generations_predicts_it_in_every_view(files, question):
    made = [outputs["predictions"] for outputs in files.values() if "predictions" in outputs]
    assert len(made) == 4
    for reference in made:
        frame = predictions.read(reference)
        mine = frame[frame.image_id == question[0]]
        assert set(mine.view) == {"plain", "flip", "mean"}
        assert np.allclose(np.stack(mine.probability).sum(axis=1), 1)


def test_its_row_in_the_submission_is_the_ensembles_probability_unrounded_to_8_decimals(finished, files, question):
    import pandas as pd

    _, said = finished
    with open(said["submission"]) as rows:
        submitted = {row[0]: row[2] for row in csv.reader(rows)}
    ensemble = pd.read_parquet(Path(files[f"{ATTRIBUTE}/ensemble"]["ensemble"]) / "ensemble.parquet")
    probability = ensemble[ensemble.image_id == question[0]].probability.iloc[0]
    assert submitted[question[0]] == ";".join(f"{p:.8f}" for p in probability)


def test_the_submission_has_every_question_once_in_the_order_of_the_file(finished):
    here, said = finished
    with next((here.state / "datasets").glob("demo-*/round2/Tests/question.csv")).open() as rows:
        asked = [row[0] for row in csv.reader(rows)]
    with open(said["submission"]) as rows:
        assert [row[0] for row in csv.reader(rows)] == asked


def test_the_run_is_scored_against_the_hidden_answers(finished):
    _, said = finished
    assert 0 < said["hidden_answers"]["map"] <= 1
    assert json.dumps(said["scores"]["total"])


def test_the_same_recipe_again_reuses_everything_but_the_decision(finished):
    here, first = finished
    second = here.seamline("run", str(here.recipe))
    assert (second["executed"], second["submission"]) == (1, first["submission"])


def test_one_student_with_another_learning_rate_reruns_only_what_depends_on_it(finished):
    here, first = finished
    changed = ("--task", "two/train-student", "--set", "learning_rate=0.0005")
    again = here.seamline("rerun", first["run_id"], *changed)
    tasks = here.seamline("show", again["run_id"])["tasks"]
    ran = {task["label"].removeprefix(f"{ATTRIBUTE}/") for task in tasks if not task["cached"]}
    assert ran == {"two/train-student", "two/predict-students", "ensemble", "report", "promote"}
