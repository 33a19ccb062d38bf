"""The step predict on tiny shards and an untrained model: order, views, weights, what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from components import entry
from components.artifacts import checkpoint, predictions, reference, shards
from components.errors import DataError, SettingsError
from components.predict import pictures, settings, step, views
from components.vision import bootstrap, calibration, inference
from components.vision import model as models

SIDE, CLASSES, VIEWS = 24, ["a", "b", "c"], ["plain", "flip", "black"]
GROUPS = {"labelled-f0-r1": 5, "labelled-f0-r2": 9, "labelled-f1-r2": 4, "pool-r1": 3, "pool-r2": 2, "test-r1": 4}


def record(group, number, rng):
    pixels = rng.integers(1, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    if group == "test-r1" and number == 2:
        pixels[:] = 0
    kind, fold, round_number = group.split("-")[0], group.split("-f")[-1][0], int(group[-1])
    return shards.Record(
        image_id=f"{group}/{number}.jpg",
        label=["ynn", "nyn", "nmy"][number % 3] if kind == "labelled" else "",
        weight=1.0,
        group=first_group(group) + number,
        fold=int(fold) if kind == "labelled" else -1,
        round=round_number,
        width=SIDE,
        height=SIDE,
        views={"plain": pixels.tobytes(), "flip": pixels[:, ::-1].tobytes(), "black": bytes(pixels.nbytes)},
    )


def first_group(group):
    return 100 * list(GROUPS).index(group)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return str(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def shards_reference(root):
    rng = np.random.default_rng(0)
    with reference.draft(root, "shards") as draft:
        groups = {}
        for group, count in GROUPS.items():
            with shards.Writer(draft.folder, group, 3) as writer:
                for number in range(count):
                    writer.write(record(group, number, rng))
                groups[group] = writer.close()
        about = {"attribute": "length", "classes": CLASSES, "ordinal": False, "size_px": SIDE, "channels": 3}
        return draft.commit(about | {"views": VIEWS, "encoding": "raw", "folds": 2, "groups": groups, "schema": 1}, {})


@pytest.fixture(scope="module")
def checkpoint_reference(root):
    about = {"attribute": "length", "classes": CLASSES, "ordinal": False, "size_px": SIDE, "backbone": "small_cnn"}
    about |= {"model": "tiny", "phase": "round2", "fold": 0, "views": VIEWS}
    with reference.draft(root, "checkpoints") as draft:
        arrays = models.export_weights(models.build("small_cnn", SIDE, 3, seed=1))
        checkpoint.write_weights(draft.folder / checkpoint.WEIGHTS, arrays, about)
        return draft.commit(about, {})


def run(root, shards_reference, checkpoint_reference, **knobs):
    inputs = settings.Inputs(shards_reference, checkpoint_reference, {"name": "length"}, {"name": "tiny"}, root, 0)
    outputs = entry.Outputs({"metrics": Path(root) / "metrics"}, f"{root}/unfinished/x")
    return step.run(settings.Settings(resamples=100, **knobs), inputs, outputs)


@pytest.fixture(scope="module")
def summary(root, shards_reference, checkpoint_reference):
    return run(root, shards_reference, checkpoint_reference)


@pytest.fixture(scope="module")
def frame(summary):
    return predictions.read(summary.results["predictions"])


def test_every_picture_of_the_fold_the_pool_and_the_questions_is_there_in_order(frame):
    ids = {split: predictions.matrix(frame, split)[0] for split in predictions.SPLITS}
    assert ids["valid"] == [f"labelled-f0-r{r}/{i}.jpg" for r, n in ((1, 5), (2, 9)) for i in range(n)]
    assert ids["pool"] == [f"pool-r{r}/{i}.jpg" for r, n in ((1, 3), (2, 2)) for i in range(n)]
    assert ids["test"] == [f"test-r1/{i}.jpg" for i in range(4)]
    assert list(frame["view"][:4]) == ["plain", "flip", "black", "mean"]


def test_a_view_is_what_the_model_says_about_its_pixels(frame, shards_reference, checkpoint_reference):
    loaded = inference.load(checkpoint_reference)
    records = list(shards.read_examples(shards.group_files(shards_reference, ["test-r1"])[:1]))
    for view in ("plain", "flip"):
        pixels = np.stack([np.frombuffer(r.views[view], np.uint8).reshape(SIDE, SIDE, 3) for r in records])
        expected = calibration.softmax(inference.logits(loaded.model, pixels))
        assert predictions.matrix(frame, "test", view)[1][:3] == pytest.approx(expected, abs=1e-6)


def test_the_mean_is_the_weighted_mean_of_the_views_of_the_index(frame, summary):
    content = reference.read_index(summary.results["predictions"], "predictions")
    weights = content["view_weights"]
    assert set(weights) == set(VIEWS)
    assert sum(weights.values()) == pytest.approx(1)
    fused = sum(w * predictions.matrix(frame, "test", view)[1] for view, w in weights.items())
    rows = predictions.select(frame, "test")
    assert predictions.stacked(rows) == pytest.approx(fused, abs=1e-12)
    assert calibration.softmax(predictions.stacked(rows, "logit")) == pytest.approx(fused, abs=1e-9)


def test_a_black_picture_is_predicted_but_named_in_the_index(summary):
    content = reference.read_index(summary.results["predictions"], "predictions")
    assert content["black"] == {"test": ["test-r1/2.jpg"]}
    assert (content["model"], content["phase"], content["fold"]) == ("tiny", "round2", 0)


def test_the_metrics_are_finite_and_compare_the_plain_view_with_the_mean(summary):
    metrics = summary.metadata["metrics"]
    json.dumps(metrics, allow_nan=False)
    assert {"plain_ap", "ap", "plain_accuracy", "accuracy", "temperature", "ece_before", "ece_after"} <= set(metrics)
    assert (metrics["valid_pictures"], metrics["test_pictures"]) == (5 + 9, 4)


def test_the_same_task_gives_the_same_reference_whatever_the_threads(
    summary, root, shards_reference, checkpoint_reference
):
    assert run(root, shards_reference, checkpoint_reference, threads=1).results == summary.results


def test_chosen_views_splits_and_equal_weights_are_obeyed(root, shards_reference, checkpoint_reference):
    made = run(root, shards_reference, checkpoint_reference, views=["flip", "plain"], splits=["test"], weights="equal")
    frame = predictions.read(made.results["predictions"])
    assert list(frame["view"].unique()) == ["plain", "flip", "mean"]
    assert set(frame["split"]) == {"test"}
    content = reference.read_index(made.results["predictions"], "predictions")
    assert content["view_weights"] == {"plain": 0.5, "flip": 0.5}


def test_views_that_the_shards_lack_are_refused(root, shards_reference, checkpoint_reference):
    with pytest.raises(SettingsError, match="'flop'; the shards have plain, flip, black"):
        run(root, shards_reference, checkpoint_reference, views=["plain", "flop"])


def test_a_checkpoint_of_other_shards_is_refused(root, shards_reference):
    about = {"attribute": "length", "classes": ["b", "a", "c"], "size_px": SIDE}
    with reference.draft(root, "checkpoints") as draft:
        (draft.folder / "x").write_text("")
        other = draft.commit(about, {})
    with pytest.raises(DataError, match="the checkpoint has classes .*give the shards that it was trained on"):
        run(root, shards_reference, other)


def test_validation_rounds_are_the_newest_or_all():
    assert pictures.groups_of("valid", GROUPS, 0, "newest") == ["labelled-f0-r2"]
    assert pictures.groups_of("valid", GROUPS, 0, "all") == ["labelled-f0-r1", "labelled-f0-r2"]
    assert pictures.groups_of("valid", GROUPS, 3, "all") == []
    assert pictures.groups_of("pool", [*GROUPS, "pool-r10"], 0, "all") == ["pool-r1", "pool-r2", "pool-r10"]


def spread(qualities, rows=400):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, rows)
    noise = rng.normal(size=(len(qualities), rows, 3)) * 2
    stack = calibration.softmax(noise + np.array(qualities)[:, None, None] * np.eye(3)[truth])
    return stack, ["".join("y" if k == t else "n" for k in range(3)) for t in truth], np.arange(rows)


def test_a_useless_view_loses_its_weight_and_validation_rows_stay_honest():
    stack, labels, groups = spread([3.0, 3.0, 0.0])
    found = views.choose(stack, labels, groups, settings.Settings(), seed=0)
    assert found.kind == "fitted"
    assert found.weights[2] < 0.1
    assert found.against_equal.verdict == "gain"
    own = np.tensordot(found.weights, stack, axes=1)
    assert not np.array_equal(found.valid, own)  # those of the other half were used
    assert abs(bootstrap.exact(found.valid, labels) - bootstrap.exact(own, labels)) < 0.01


def test_weights_that_lose_out_of_fold_are_dropped(monkeypatch):
    """A fit that always trusts the worst view."""
    stack, labels, groups = spread([3.0, 0.0])
    monkeypatch.setattr(views.fusion, "fit_weights", lambda *_: np.array([0.0, 1.0]))
    found = views.choose(stack, labels, groups, settings.Settings(), seed=0)
    assert (found.kind, found.against_equal.verdict) == ("equal", "loss")
    assert found.weights.tolist() == [0.5, 0.5]


def test_without_validation_rows_all_views_weigh_the_same():
    found = views.choose(np.empty((2, 0, 3)), [], np.empty(0, dtype=np.int64), settings.Settings(), seed=0)
    assert (found.kind, found.weights.tolist(), found.valid.shape) == ("equal", [0.5, 0.5], (0, 3))
    assert views.calibrated(found.valid, []) == {}
