"""The step ensemble: method and generation decided out of fold, the gain table, what is refused."""

import json

import numpy as np
import pytest

from components import entry
from components.artifacts import ensembles, predictions, reference
from components.ensemble import members, methods, settings, step
from components.errors import DataError
from components.vision import bootstrap, fusion, metrics


@pytest.fixture
def run(world, tmp_path):
    def run(teachers, students=(), earlier=(), **knobs):
        inputs = settings.Inputs({"name": "length"}, list(teachers), list(students), list(earlier), world.root)
        outputs = entry.Outputs({"metrics": tmp_path / "metrics"}, f"{tmp_path}/unfinished/x")
        summary = step.run(settings.Settings(**{"resamples": 200, **knobs}), inputs, outputs)
        json.dumps(summary.metadata, allow_nan=False)
        made = summary.results["ensemble"]
        frame = ensembles.read(made)
        table = ensembles.read_stages(made)
        return reference.read_index(made, "ensembles"), frame, table

    return run


def rows_of(frame, split):
    return frame[frame["split"] == split].reset_index(drop=True)


def test_equal_models_are_averaged_equally_for_validation_and_test(world, run):
    uris = [world.predict(f"m{i}", seed=i) for i in range(3)]
    content, frame, _ = run(uris)
    assert content["method"] == "equal"
    assert content["weights"] == pytest.approx({f"m{i} round2": 1 / 3 for i in range(3)})
    for split in ("valid", "test"):
        parts = [predictions.matrix(predictions.read(uri), split) for uri in uris]
        rows = rows_of(frame, split)
        assert list(rows["image_id"]) == parts[0][0]
        assert predictions.stacked(rows) == pytest.approx(np.mean([p[1] for p in parts], axis=0), abs=1e-12)
    assert set(frame["split"]) == {"valid", "test"}


def test_averaging_models_with_errors_of_their_own_beats_the_best_of_them(world, run):
    content, frame, _ = run([world.predict(f"m{i}", seed=i) for i in range(3)])
    assert content["metrics"]["over_best_low"] > 0
    rows = rows_of(frame, "valid")
    score = metrics.average_precision(predictions.stacked(rows), list(rows["label"]))
    assert content["metrics"]["ap"] == pytest.approx(score.ap)


@pytest.mark.parametrize("method", ["auto", "fitted", "greedy"])
def test_a_useless_model_makes_fitted_weights_win_and_they_are_used(world, run, method):
    uris = [world.predict("good", quality=3.0, seed=0), world.predict("noise", quality=0.0, seed=1)]
    content, _, table = run(uris, method=method)
    assert content["method"] in ("fitted", "greedy")
    assert content["weights"]["good round2"] > 0.8
    assert content["methods_against_equal"][content["method"]]["verdict"] == "gain"
    assert content["metrics"]["ap"] == table[table["stage"] == "ensemble"]["ap"].item()


@pytest.mark.parametrize("method", ["auto", "fitted", "greedy"])
def test_fitted_weights_that_do_not_beat_equal_ones_are_not_used(world, run, method):
    content, _, _ = run([world.predict(f"m{i}", seed=i) for i in range(2)], method=method)
    assert content["method"] == "equal"
    assert all(c["verdict"] != "gain" for c in content["methods_against_equal"].values())


def test_the_geometric_mean_is_used_when_asked_for(world, run):
    uris = [world.predict(f"m{i}", seed=i) for i in range(2)]
    content, frame, _ = run(uris, method="geometric")
    assert (content["method"], content["mean"]) == ("geometric", "geometric")
    parts = np.stack([predictions.matrix(predictions.read(uri), "test")[1] for uri in uris])
    expected = fusion.weighted_mean(parts, np.array([0.5, 0.5]), "geometric")
    assert predictions.stacked(rows_of(frame, "test")) == pytest.approx(expected)


def test_validation_rows_of_fitted_weights_are_those_of_the_other_half(world, run):
    qualities = {"a": 3.0, "b": 3.0, "noise": 0.0}
    uris = [world.predict(name, quality=q, seed=i) for i, (name, q) in enumerate(qualities.items())]
    content, frame, _ = run(uris, method="fitted")
    parts = np.stack([predictions.matrix(predictions.read(uri), "valid")[1] for uri in uris])
    weights = np.array([content["weights"][f"{name} round2"] for name in qualities])
    own = fusion.weighted_mean(parts, weights)
    honest = predictions.stacked(rows_of(frame, "valid"))
    assert content["method"] == "fitted"
    assert 1e-4 < np.abs(honest - own).max() < 0.2


def test_students_that_lose_are_dropped(world, run):
    teachers = [world.predict("small", quality=3.0, seed=0)]
    content, _, table = run(teachers, [world.predict("small", "student", 0.5, seed=1)])
    assert content["generation"] == "teachers"
    assert content["why"] == "the students lose against the teachers"
    assert list(content["weights"]) == ["small round2"]
    by_stage = table.set_index("stage")
    assert by_stage.loc["students + views", "p_noise"] == "loss"
    assert by_stage.loc["ensemble", "against"] == "best single model"


def test_students_whose_difference_is_noise_are_dropped_unless_no_loss_is_enough(world, run):
    pair = [world.predict("small", seed=0)], [world.predict("small", "student", 2.1, seed=1)]
    strict, lenient = run(*pair)[0], run(*pair, student_gate="no_loss")[0]
    assert (strict["generation"], list(strict["weights"])) == ("teachers", ["small round2"])
    assert (lenient["generation"], set(lenient["weights"])) == ("both", {"small round2", "small student"})


def test_students_that_gain_are_kept_beside_their_teachers(world, run):
    content, _, _ = run([world.predict("small", seed=0)], [world.predict("small", "student", 2.8, seed=1)])
    assert content["generation"] == "both"


def test_teachers_that_would_pull_the_students_down_are_dropped(world, run):
    content, _, _ = run([world.predict("small", quality=-2.0)], [world.predict("small", "student", 3.0, seed=1)])
    assert (content["generation"], content["method"]) == ("students", "equal")
    assert list(content["weights"]) == ["small student"]


def test_a_generation_named_in_the_settings_is_used(world, run):
    pair = [world.predict("small", quality=3.0)], [world.predict("small", "student", 0.5, seed=1)]
    assert run(*pair, generation="students")[0]["generation"] == "students"


def test_the_gain_table_walks_from_round_1_to_the_ensemble_for_all_models_and_each(world, run):
    teachers = [world.predict(f"m{i}", quality=2.0, seed=i) for i in range(2)]
    students = [world.predict(f"m{i}", "student", 3.0, seed=5 + i) for i in range(2)]
    earlier = [world.checkpoint(f"m{i}", quality=0.5, seed=30 + i) for i in range(2)]
    _, _, table = run(teachers, students, earlier)
    whole = table[table["model"] == ""]
    names = ["round 1", "round 2", "round 2 + views", "students", "students + views"]
    assert list(whole["stage"]) == [*names, "best single model", "ensemble"]
    against = ["", "round 1", "round 2", "round 2", "round 2 + views"]
    assert list(whole["against"]) == [*against, "", "best single model"]
    single = table[table["model"] == "m1"]
    assert list(single["stage"]) == [
        "m1: round 1",
        "m1: round 2",
        "m1: round 2 + views",
        "m1: student",
        "m1: student + views",
    ]
    by_stage = whole.set_index("stage")
    assert by_stage.loc["round 2", "p_noise"] == "gain"
    assert by_stage.loc["round 2 + views", "accuracy_verdict"] == "gain"
    assert np.isnan(by_stage.loc["round 1", "difference"])
    assert set(table["attribute"]) == {"length"}


def test_every_difference_in_the_gain_table_is_the_difference_of_the_values_and_lies_in_its_interval(world, run):
    _, _, table = run([world.predict("small")], [world.predict("small", "student", 2.5, seed=1)])
    values = table.set_index("stage")
    for name, row in values[values["against"] != ""].iterrows():
        before = values.loc[row["against"]]
        assert row["difference"] == pytest.approx(row["ap"] - before["ap"], abs=1e-12), name
        assert row["ci_low"] <= row["difference"] <= row["ci_high"]
        assert row["accuracy_difference"] == pytest.approx(row["accuracy"] - before["accuracy"], abs=1e-12)


def test_without_validation_rows_everything_is_equal_and_the_table_empty(world, run):
    world.counts = {"valid": 0, "pool": 0, "test": 20}
    content, frame, table = run([world.predict("small")], [world.predict("small", "student", seed=1)])
    assert (content["generation"], content["method"]) == ("both", "equal")
    assert len(table) == 0
    assert len(frame) == 20
    assert content["metrics"] == {"valid_pictures": 0, "test_pictures": 20}


def test_without_questions_only_validation_rows_come_out(world, run):
    world.counts = {"valid": 50, "pool": 0, "test": 0}
    _, frame, _ = run([world.predict("a", seed=0), world.predict("b", seed=1)])
    assert set(frame["split"]) == {"valid"}


def test_one_model_alone_is_its_own_ensemble(world, run):
    uri = world.predict("small")
    content, frame, _ = run([uri])
    assert (content["method"], content["weights"]) == ("equal", {"small round2": 1.0})
    assert predictions.stacked(rows_of(frame, "test")) == pytest.approx(
        predictions.matrix(predictions.read(uri), "test")[1]
    )


def test_an_earlier_round_judged_on_other_pictures_is_left_out_of_the_table(world, run, capsys):
    teacher = world.predict("small")
    world.counts = {"valid": 500, "pool": 300, "test": 60}
    _, _, table = run([teacher], [], [world.checkpoint("small")])
    assert "round 1" not in set(table["stage"])
    assert "the gain table lacks round 1" in capsys.readouterr().out


def test_the_error_correlation_and_the_lineage_stand_in_the_index(world, run):
    uris = [world.predict("a", seed=0), world.predict("b", seed=1)]
    earlier = [world.checkpoint("a")]
    content, _, _ = run(uris, [], earlier)
    assert content["inputs"] == [uri.rsplit("/", 1)[-1] for uri in [*uris, *earlier]]
    correlation = content["error_correlation"]
    assert correlation["names"] == ["a round2", "b round2"]
    assert correlation["values"][0][0] == pytest.approx(1)
    assert abs(correlation["values"][0][1]) < 0.5


def test_the_same_task_gives_the_same_reference(world, run):
    uris = [world.predict("a", seed=0), world.predict("b", quality=0.5, seed=1)]
    assert run(uris)[0] == run(uris)[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: [], "teachers is empty"),
        (lambda w: [w.predict("a"), w.predict("a", seed=1)], "model a is given twice"),
        (lambda w: [w.predict("a"), w.predict("b", classes=["x", "y", "z"])], "b is of length with 3 classes"),
        (
            lambda w: [w.predict("a"), w.predict("b", edit=lambda f: f[3:])],
            "predicts 599 valid pictures, not the same 600",
        ),
    ],
)
def test_models_that_do_not_fit_are_refused(world, run, change, message):
    with pytest.raises(DataError, match=message):
        run(change(world))


def test_among_proven_methods_the_one_with_the_largest_gain_is_taken(world):
    found = members.read([world.predict("good", quality=3.0), world.predict("noise", quality=0.0, seed=1)], [], [])
    chosen, tried = methods.choose_method(found.teachers, found.valid, settings.Settings(resamples=200), 0)
    proven = [c.against_equal.difference for c in tried[1:] if c.against_equal.verdict == bootstrap.GAIN]
    assert chosen.against_equal.difference == max(proven)
