"""What the step hands on: its variation to what is learnt and to nothing else, its batch to the check of the memory."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components import entry
from components.train import settings, step
from components.vision import augment, learner, memory, view_index
from components.vision.batches import Pictures

FEW_BYTES = 50_000_000
# Of make_shards: 24 pictures of round 1 with two views are learnt, the 24 plain ones of both rounds' fold 0 judge.
LEARNT, JUDGED, BYTES = 24 * 2, 24, 16 * 16 * 3


@pytest.fixture
def from_pipeline(tmp_path: Path) -> Callable[..., int]:
    """Runs the step through its entry, as KFP's launcher would; gives the exit code."""

    def run(shards: str, **knobs: Any) -> int:
        values = {"shards": shards, "attribute": {"name": "colour_labels"}, "model": {"name": "small"}, "seed": 1}
        artifacts = {name: {"artifacts": [{"uri": str(tmp_path / name)}]} for name in settings.ARTIFACTS}
        message = {
            "inputs": {"parameterValues": values | {"data_root": str(tmp_path / "data")} | knobs},
            "outputs": {"outputFile": str(tmp_path / "executor_output.json"), "artifacts": artifacts},
        }
        try:
            entry.main(settings, step.run, ["--executor-input", json.dumps(message)])
        except SystemExit as ended:
            return int(ended.code or 0)
        return 0

    return run


def test_a_batch_far_beyond_the_memory_ends_the_task_with_2_and_a_batch_size_before_the_first_step(
    make_shards, from_pipeline, monkeypatch, capsys
):
    monkeypatch.setattr(memory, "available", lambda: FEW_BYTES)
    monkeypatch.setattr(learner.Learner, "step", lambda *_: pytest.fail("a step was made"))
    assert from_pipeline(make_shards(), backbone="lean_17k", weights="none", batch_size=2**20) == 2
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("error:"))
    assert re.search(r"batch_size=1048576 takes about .* GB of the 0.05 GB of memory.*; set batch_size=\d+, or", line)


def test_the_pictures_that_are_kept_count_against_the_memory_those_that_judge_too(make_shards, train, monkeypatch):
    asked = []
    monkeypatch.setattr(
        memory, "check_batch", lambda _, batch_size, *replicas, **kept: asked.append((batch_size, kept))
    )
    uri = make_shards()
    train(uri, epochs=1, batch_size=8)
    train(uri, epochs=1, batch_size=6, cache_mb=0)
    assert asked == [(8, {"kept_bytes": (LEARNT + JUDGED) * BYTES}), (6, {"kept_bytes": 0})]


@pytest.mark.parametrize("kind", ["shift_flip", "shift_flip_rotate_zoom"])
def test_what_is_learnt_is_varied_as_asked_and_what_judges_never_is(make_shards, train, monkeypatch, kind):
    asked, learnt, judged = [], [], []

    def painted(pictures: np.ndarray, kind: str, generator: np.random.Generator) -> np.ndarray:
        asked.append(kind)
        return np.full_like(pictures, 77)

    learn, evaluate = learner.Learner.step, learner.Learner.evaluate

    def recorded(pupil, batches):
        judged.extend(batches)
        return evaluate(pupil, iter(judged))

    monkeypatch.setattr(augment, "augmented", painted)
    monkeypatch.setattr(learner.Learner, "step", lambda self, *a: learnt.append(a[0].pictures) or learn(self, *a))
    monkeypatch.setattr(learner.Learner, "evaluate", recorded)
    uri = make_shards()
    train(uri, augment=kind, epochs=1, batch_size=8)
    assert asked == [kind] * (LEARNT // 8) and (np.concatenate(learnt) == 77).all()
    held_out = view_index.find(uri, ["labelled-f0-r1", "labelled-f0-r2"], ["plain"])
    plain = Pictures(held_out, 10, 1).get(np.arange(JUDGED), np.zeros(JUDGED, int))
    np.testing.assert_array_equal(np.concatenate(judged), plain)
