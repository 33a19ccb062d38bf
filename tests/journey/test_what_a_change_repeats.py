"""A knob that one model sets for one phase repeats the tasks that read it, and those after them; nothing before."""

import json

import pytest


@pytest.mark.slow
def test_a_models_own_round_2_repeats_no_training_of_round_1(finished):
    here, _ = finished
    again = here.seamline("run", str(here.recipe), "--set", "models.two.round2.learning_rate=0.0005")
    tasks = here.seamline("show", again["run_id"])["tasks"]
    ran = {task["label"].split("/", 1)[-1] for task in tasks if not task["cached"]}
    assert "two/train-round2" in ran, json.dumps(tasks, indent=1)
    assert not ran & {"ingest", "preprocess", "one/train-round1", "two/train-round1", "one/train-round2"}
