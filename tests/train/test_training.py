"""The step as a whole, on pictures whose class is their colour."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from components.artifacts import checkpoint, predictions, shards
from components.errors import DataError, SettingsError, StepError
from components.train import rows, step
from components.train.settings import Settings
from components.vision import batches, inference, tasks, view_index

SURE = [0.0, 0.0, 1.0]


def files(uri: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(uri).iterdir()}


def test_it_learns_colours_and_says_so_everywhere(make_shards, train, capsys):
    found = train(make_shards(), epochs=4, targets="hard")
    assert found.metrics["valid_accuracy"] == 1.0 and found.index["metrics"] == found.metrics
    frame = predictions.read_file(Path(found.reference) / checkpoint.VALIDATION)
    assert set(frame["split"]) == {"valid"} and set(frame["view"]) == {"plain"} and set(frame["fold"]) == {0}
    assert set(frame["round"]) == {1, 2} and len(frame) == 24
    for chart in ("<svg", "valid_map", "prefers-color-scheme", "<table", "<caption>"):
        assert chart in found.page
    assert "http" not in found.page and "<script" not in found.page
    points = [json.loads(line[9:]) for line in capsys.readouterr().out.splitlines() if line.startswith("::metric ")]
    assert [point["step"] for point in points] == [1, 2, 3, 4]
    expected = {"loss", "accuracy", "valid_loss", "valid_map", "valid_accuracy", "learning_rate", "images_per_second"}
    assert all(expected <= set(point) for point in points)


def test_the_loaded_checkpoint_repeats_the_validation_predictions(make_shards, train):
    found = train(make_shards(), ema=0.9, valid_rounds="newest")
    loaded = inference.load(found.reference)
    assert (loaded.classes, loaded.size_px) == (["red", "green", "blue"], 16)
    assert loaded.about["settings"]["ema"] == 0.9 and loaded.about["attribute"] == "colour_labels"
    frame = predictions.read_file(Path(found.reference) / checkpoint.VALIDATION)
    source = view_index.find(
        str(Path(found.reference).parents[1] / "shards" / found.index["shards"]), ["labelled-f0-r2"], ["plain"]
    )
    logits = inference.logits(loaded.model, batches.in_order(batches.Pictures(source, 10, 1), 0, 5))
    np.testing.assert_allclose(predictions.stacked(frame, "logit"), logits, atol=1e-5)
    assert list(frame["image_id"]) == list(source.image_id)


def test_the_same_training_gives_the_same_bytes_and_another_seed_does_not(make_shards, train):
    uri = make_shards()
    knobs = {"augment": "shift_flip_cutout", "mixup": 0.2, "ema": 0.9, "view_sampling": "one"}
    first = train(uri, **knobs)
    before = files(first.reference)
    second = train(uri, **knobs, cache_mb=0, threads=1)
    assert (
        second.reference == first.reference
        and files(second.reference)["weights.safetensors"] == before["weights.safetensors"]
    )
    assert train(uri, **knobs, seed=2).reference != first.reference


def test_nothing_but_the_result_remains_and_no_path_is_in_it(make_shards, train, tmp_path):
    found = train(make_shards())
    assert not found.unfinished.exists()
    assert sorted(files(found.reference)) == [
        "history.parquet",
        "index.json",
        "validation.parquet",
        "weights.safetensors",
    ]
    assert not any(
        str(tmp_path).encode() in body for name, body in files(found.reference).items() if name != "index.json"
    )
    assert str(tmp_path) not in json.dumps(found.index)


@pytest.mark.parametrize(
    ("phase", "knobs", "pictures"),
    [
        ("round1", {}, 48),
        ("round2", {}, 24),
        ("student", {}, 24),
        ("round2", {"rounds": "all"}, 72),
        ("round1", {"rounds": "newest"}, 24),
    ],
)
def test_each_phase_learns_from_its_rounds(make_shards, train, capsys, phase, knobs, pictures):
    train(make_shards(rounds=3), phase=phase, epochs=1, **knobs)
    assert f"{pictures} pictures, {2 * pictures} rows" in capsys.readouterr().out


def test_with_one_round_every_phase_learns_from_it(make_shards, train, capsys):
    train(make_shards(rounds=1), epochs=1)
    assert "24 pictures" in capsys.readouterr().out


def test_chosen_views_are_learnt_and_recorded(make_shards, train, capsys):
    found = train(make_shards(encoding="jpeg"), views=["plain"], epochs=1)
    assert "24 pictures, 24 rows" in capsys.readouterr().out and found.index["views"] == ["plain"]
    with pytest.raises(DataError, match="no view 'face'"):
        train(make_shards(), views=["face"])


def test_round_two_goes_on_from_round_one(make_shards, train):
    uri = make_shards()
    first = train(uri, epochs=3)
    second = train(uri, phase="round2", start=first.reference, epochs=1, learning_rate=1e-6, frozen_epochs=0)
    assert second.index["parent"] == Path(first.reference).name and second.metrics["valid_accuracy"] == 1.0
    fresh = train(uri, phase="round2", start=first.reference, restart=True, epochs=1, learning_rate=1e-6)
    assert fresh.index["parent"] == "" and fresh.metrics["valid_accuracy"] < 1.0


def test_a_frozen_backbone_does_not_move_not_even_its_statistics(make_shards, train):
    uri = make_shards()
    first = train(uri)
    second = train(uri, phase="round2", start=first.reference, epochs=2, frozen_epochs=2)
    before, after = (checkpoint.read_weights(found.reference)[0] for found in (first, second))
    for name in before:
        assert np.array_equal(before[name], after[name]) == name.startswith("backbone/"), name


def test_a_freed_backbone_moves(make_shards, train):
    uri = make_shards()
    first = train(uri)
    knobs = {"phase": "round2", "start": first.reference, "epochs": 2, "frozen_epochs": 1, "monitor": "loss"}
    second = train(uri, **knobs)
    before, after = (checkpoint.read_weights(found.reference)[0] for found in (first, second))
    assert second.index["best_epoch"] == 2
    assert not any(np.array_equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"backbone": "small_separable"}, "has backbone 'tiny', this training 'small_separable'"),
        ({"fold": 1}, "kept fold 0 back, this training keeps fold 1"),
    ],
)
def test_a_start_that_does_not_fit_is_refused(make_shards, train, changed, message):
    uri = make_shards()
    first = train(uri, epochs=1)
    with pytest.raises(DataError, match=message):
        train(uri, phase="round2", start=first.reference, **changed)


def test_a_start_with_other_classes_is_refused(make_shards, train):
    first = train(make_shards(), epochs=1)
    with pytest.raises(DataError, match="has classes"):
        train(make_shards(classes=["red", "blue", "green"]), phase="round2", start=first.reference)


def test_a_start_that_learnt_from_pictures_that_would_judge_it_is_refused(make_shards, train, capsys):
    first = train(make_shards(), epochs=1)
    # Cut into two folds, the same pictures stand in other folds than before.
    recut = make_shards(folds=2, per_fold=18)
    for knobs in ({"start": first.reference}, {"weights": first.reference}):
        with pytest.raises(DataError, match="may have learnt from 36 of the 36 pictures that would judge it"):
            train(recut, phase="round2", fold=1, **knobs)
    assert train(recut, phase="round2", fold=1, start=first.reference, restart=True, epochs=1).index["parent"] == ""


def test_a_start_of_older_data_is_fine_where_only_new_pictures_judge(make_shards, train):
    first = train(make_shards(rounds=1), epochs=1)
    grown = make_shards(rounds=2)
    assert train(grown, phase="round2", start=first.reference, epochs=1).index["parent"] == Path(first.reference).name


def test_a_start_whose_shards_are_gone_is_taken_and_that_is_said(make_shards, train, capsys):
    gone = make_shards(rounds=1)
    first = train(gone, epochs=1)
    shutil.rmtree(gone)
    train(make_shards(rounds=2), phase="round2", start=first.reference, epochs=1)
    assert "nobody can tell whether it knows pictures that judge here" in capsys.readouterr().out


def test_a_student_starts_from_its_own_teacher_and_learns_pseudo_rows(make_shards, train, make_pseudo, capsys):
    uri = make_shards()
    teacher = train(uri, epochs=1)
    pseudo = make_pseudo([("Images/78.jpg", "pool", SURE, 0.5)], teachers={"small": Path(teacher.reference).name})
    capsys.readouterr()
    student = train(uri, phase="student", pseudo=pseudo, epochs=1)
    said = capsys.readouterr().out
    assert "1 pseudo rows" in said and "25 pictures" in said
    assert student.index["parent"] == Path(teacher.reference).name and student.index["pseudo"] == Path(pseudo).name
    other = train(uri, phase="student", pseudo=pseudo, model={"name": "large"}, epochs=1)
    assert other.index["parent"] == "" and "no teacher of the pseudo set" in capsys.readouterr().out


def test_pseudo_rows_teach(make_shards, train, make_pseudo):
    """The pool is said to be blue whatever it shows: a model that believes it calls more pictures blue."""
    uri = make_shards(pool=30)
    pool = [f"Images/{n}.jpg" for n in (*range(36, 66), *range(102, 132))]
    pseudo = make_pseudo([(name, "pool", SURE, 1.0) for name in pool])
    plain, fooled = (
        train(uri, phase="student", epochs=3),
        train(uri, phase="student", pseudo=pseudo, epochs=3, patience=0),
    )
    blue = [
        float(predictions.stacked(predictions.read_file(Path(t.reference) / checkpoint.VALIDATION))[:, 2].mean())
        for t in (plain, fooled)
    ]
    assert blue[1] > blue[0] + 0.05
    weightless = train(uri, phase="student", pseudo=pseudo, epochs=3, pseudo_weight=0.0)
    assert weightless.metrics["valid_accuracy"] > fooled.metrics["valid_accuracy"]


def test_an_empty_pseudo_set_trains_on_labelled_rows_and_says_so(make_shards, train, make_pseudo, capsys):
    found = train(make_shards(), phase="student", pseudo=make_pseudo([]), epochs=1)
    assert "the pseudo set is empty" in capsys.readouterr().out and found.metrics


def test_pseudo_rows_of_other_shards_are_refused(make_shards, train, make_pseudo):
    with pytest.raises(DataError, match="1 pseudo rows of the pool, 0 pictures"):
        train(make_shards(), phase="student", pseudo=make_pseudo([("Images/nowhere.jpg", "pool", SURE, 1.0)]))


def test_a_class_without_examples_survives(make_shards, train):
    found = train(make_shards(kinds=2), epochs=3)
    assert found.metrics["valid_accuracy"] == 1.0
    rows = predictions.stacked(predictions.read_file(Path(found.reference) / checkpoint.VALIDATION))
    assert rows.shape == (24, 3) and (rows[:, 2] < 0.5).all()


def test_without_validation_pictures_the_last_epoch_counts_and_no_metric_is_claimed(make_shards, train, capsys):
    found = train(make_shards(folds=2), fold=7, epochs=3, patience=1)
    assert found.metrics == {} and found.index["best_epoch"] == 3 and found.index["epochs"] == 3
    assert len(predictions.read_file(Path(found.reference) / checkpoint.VALIDATION)) == 0
    assert "no picture judges" in capsys.readouterr().out


def test_an_attribute_of_one_picture_trains_if_it_may(make_shards, train):
    uri = make_shards(per_fold=1, folds=1, rounds=1, pool=0)
    with pytest.raises(DataError, match=r"no labelled pictures outside fold 0.*leave the attribute out"):
        train(uri)
    assert train(uri, fold=1, epochs=1).metrics == {}


def test_training_stops_when_nothing_gets_better(make_shards, train):
    found = train(make_shards(), epochs=30, patience=2, learning_rate=0.0)
    assert (found.index["best_epoch"], found.index["epochs"]) == (1, 3)


def test_a_loss_that_is_no_number_stops_with_its_step_and_a_remedy(make_shards, train):
    with pytest.raises(StepError, match=r"the loss is (nan|inf) at step \d+ \(epoch \d+\).*lower learning_rate"):
        train(make_shards(), optimiser="sgd", learning_rate=1e30, warmup_epochs=0.0, epochs=3)


def test_batches_that_leave_a_gpu_without_a_row_are_refused(make_shards):
    uri = make_shards()
    groups = rows.choose_groups(list(shards.read_shards_index(uri)["groups"]), Settings(), "round1")
    settings = Settings(views=["plain"])
    labelled = rows.labelled_pictures(uri, groups, settings)
    training = rows.training_set(uri, labelled, groups, settings, "", tasks.TASKS[tasks.ONE_OF_K])
    step.refuse_small_batches(training, batches.Order(0, batch_size=4), replicas=4)
    with pytest.raises(SettingsError, match=r"batch_size=3 gives batches of 3 rows to 4 GPUs; raise it to 4 or more"):
        step.refuse_small_batches(training, batches.Order(0, batch_size=3), replicas=4)


@pytest.mark.parametrize("optimiser", ["adam", "adamw", "sgd"])
def test_every_optimiser_learns(make_shards, train, optimiser):
    rate = 0.1 if optimiser == "sgd" else 0.02
    knobs = {"weight_decay": 1e-3, "clip_norm": 1.0, "l2": 1e-4, "schedule": "steps", "label_smoothing": 0.1}
    found = train(make_shards(), optimiser=optimiser, learning_rate=rate, epochs=4, **knobs)
    assert found.metrics["valid_accuracy"] > 0.9


def test_weights_may_come_from_a_checkpoint_with_other_classes(make_shards, train):
    first = train(make_shards(), epochs=1)
    other = make_shards(classes=["warm", "cold", "none"])
    found = train(other, weights=first.reference, epochs=1, frozen_epochs=1)
    before, after = (checkpoint.read_weights(t.reference)[0] for t in (first, found))
    assert np.array_equal(before["backbone/0000/kernel"], after["backbone/0000/kernel"])
    assert found.index["settings"]["weights"] == f"checkpoint {Path(first.reference).name}"


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_mixed_precision_learns_and_saves_float32(make_shards, train, precision):
    found = train(make_shards(), precision=precision, epochs=3)
    assert found.metrics["valid_accuracy"] > 0.9
    assert {a.dtype for a in checkpoint.read_weights(found.reference)[0].values()} == {np.dtype(np.float32)}
