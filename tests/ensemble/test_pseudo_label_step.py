"""The step pseudo_label: who is labelled, who is left out, and when nothing is."""

import numpy as np
import pytest

from components import entry
from components.artifacts import pseudo, reference
from components.errors import DataError
from components.pseudo_label import selection, settings, step


@pytest.fixture
def run(world, tmp_path):
    def run(uris, checkpoints, shards=None, **knobs):
        shards = shards or world.shards(labelled=2000)
        inputs = settings.Inputs(shards, uris, checkpoints, {"name": "length"}, world.root)
        outputs = entry.Outputs({"pseudo_report": tmp_path / "page.html"}, f"{tmp_path}/unfinished/x")
        made = step.run(settings.Settings(**{"resamples": 200, **knobs}), inputs, outputs)
        content = reference.read_index(made.results["pseudo"], "pseudo")
        table = pseudo.read(made.results["pseudo"])
        return content, table.to_pandas(), (tmp_path / "page.html").read_text()

    return run


def teachers(world, qualities=(4.0, 4.0), **options):
    checkpoints = [world.checkpoint(f"m{i}", "round2", q, seed=20 + i) for i, q in enumerate(qualities)]
    return [
        world.predict(f"m{i}", "round2", q, seed=i, checkpoint=uri.rsplit("/", 1)[-1], **options)
        for i, (q, uri) in enumerate(zip(qualities, checkpoints, strict=True))
    ], checkpoints


def test_confident_pictures_get_soft_targets_weights_and_the_teachers_are_named(world, run):
    uris, checkpoints = teachers(world)
    content, table, page = run(uris, checkpoints)
    assert content["gate"]["passed"], content["gate"]["reason"]
    assert len(table) == content["rows"] > 50
    assert content["teachers"] == {f"m{i}": c.rsplit("/", 1)[-1] for i, c in enumerate(checkpoints)}
    targets = np.stack(list(table["target"]))
    assert targets.sum(axis=1) == pytest.approx(np.ones(len(table)))
    assert (table["confidence"] >= 0.9).all()
    assert (targets.argmax(axis=1) == table["predicted"]).all()
    assert set(table["weight"]) == {0.5}
    assert "<h1>Pseudo-labels of length</h1>" in page
    assert "http" not in page


def test_the_estimated_precision_is_close_to_the_true_one(world, run):
    content, table, _ = run(*teachers(world, (1.5, 1.5)), threshold=0.6, min_precision=0.5, balance=0.0)
    numbers = [int(name.split("/")[1].removesuffix(".jpg")) for name in table["image_id"]]
    right = (world.truth[numbers] == table["predicted"]).mean()
    gate = content["gate"]
    assert gate["low"] < gate["precision"] < gate["high"]
    assert abs(gate["precision"] - right) < 0.05


@pytest.mark.parametrize(("source", "splits"), [("pool", {"pool"}), ("test", {"test"}), ("both", {"pool", "test"})])
def test_the_source_says_which_pictures_are_labelled_and_test_ones_are_counted(world, run, source, splits):
    content, table, _ = run(*teachers(world), source=source)
    assert set(table["split"]) == splits
    assert content["transductive"] == (table["split"] == "test").sum()


def test_a_copy_of_a_validation_picture_is_never_labelled_whatever_its_round(world, run):
    """Groups 6000 and 6010 are the first two pool pictures; one is held out in the shards only."""
    uris, checkpoints = teachers(world, qualities=(9.0,))

    def copy(frame):
        frame.loc[frame["image_id"] == "pool/601.jpg", "group"] = 0  # the group of the first validation picture
        return frame

    plain, table, _ = run(uris, checkpoints, balance=0.0, threshold=0.0, min_precision=0.0)
    assert {"pool/600.jpg", "pool/601.jpg"} <= set(table["image_id"])
    edited, checkpoints = teachers(world, qualities=(9.0,), edit=copy)
    shards = world.shards(labelled=2000, held_out=[6000])
    content, table, _ = run(edited, checkpoints, shards, balance=0.0, threshold=0.0, min_precision=0.0)
    assert {"pool/600.jpg", "pool/601.jpg"} & set(table["image_id"]) == set()
    assert content["excluded"]["validation_copies"] == 2
    assert content["rows"] == plain["rows"] - 2


def test_of_copies_one_is_labelled_and_black_pictures_and_shared_names_are_not(world, run):
    def edit(frame):
        frame.loc[frame["image_id"].isin(["pool/601.jpg", "pool/602.jpg"]), "group"] = 6000
        frame.loc[frame["image_id"] == "test/900.jpg", "image_id"] = "pool/605.jpg"
        return frame

    uris, checkpoints = teachers(world, (9.0,), edit=edit, black={"test": ["test/901.jpg"]})
    content, table, _ = run(uris, checkpoints, balance=0.0, threshold=0.0, min_precision=0.0)
    assert content["excluded"] == {"validation_copies": 0, "black": 1, "same_name": 2, "copies": 2}
    assert set(table["image_id"]) & {"pool/600.jpg", "pool/601.jpg", "pool/602.jpg"} == {"pool/600.jpg"}
    assert set(table["image_id"]) & {"pool/605.jpg", "test/901.jpg"} == set()


def test_nothing_is_labelled_where_the_estimated_precision_is_too_low(world, run):
    content, table, page = run(*teachers(world, qualities=(0.3,)), threshold=0.5)
    assert len(table) == content["rows"] == 0
    assert not content["gate"]["passed"]
    assert "may lie below min_precision=0.9; nothing is labelled" in content["gate"]["reason"]
    assert "Refused:" in page


def test_nothing_is_labelled_where_nobody_is_confident(world, run):
    content, table, _ = run(*teachers(world), threshold=1.0)
    assert len(table) == 0
    assert content["gate"]["reason"].startswith("no candidate is confident enough")


def test_nothing_is_labelled_without_validation_rows_or_candidates(tmp_path, run, world):
    world.counts = {"valid": 0, "pool": 30, "test": 0}
    content, table, _ = run(*teachers(world, qualities=(9.0,)))
    assert (len(table), content["gate"]["precision"]) == (0, None)
    world.counts = {"valid": 30, "pool": 0, "test": 0}
    content, table, _ = run(*teachers(world, qualities=(9.0,)))
    assert (len(table), content["candidates"]) == (0, 0)


def test_pseudo_rows_never_exceed_their_share_of_the_labelled_rows(world, run):
    content, _, _ = run(*teachers(world), world.shards(labelled=100), max_share=0.5)
    assert 45 <= content["rows"] <= 50


def test_sharper_targets_keep_their_class(world, run):
    _, soft, _ = run(*teachers(world))
    _, sharp, _ = run(*teachers(world), sharpening=0.5)
    assert (soft["predicted"] == sharp["predicted"]).all()
    assert all(s.max() > t.max() for s, t in zip(sharp["target"], soft["target"], strict=True) if t.max() < 0.999)


def test_a_teacher_that_pulls_the_average_down_is_left_out(world, run):
    content, _, _ = run(*teachers(world, qualities=(5.0, -3.0)))
    assert content["gate"]["teacher"] == "m0 alone, which beats the average"
    assert content["gate"]["against_best"]["verdict"] == "loss"


def test_the_same_task_gives_the_same_reference(world, run):
    uris, checkpoints = teachers(world)
    assert run(uris, checkpoints)[0] == run(uris, checkpoints)[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda world, uris, checkpoints: ([], []), "predictions is empty"),
        (lambda world, uris, checkpoints: ([uris[0], uris[0]], checkpoints), "model m0 is a teacher twice"),
        (lambda world, uris, checkpoints: (uris, checkpoints[:1]), "checkpoint of teacher m1 is not among the 1 given"),
        (
            lambda world, uris, checkpoints: ([uris[0], teachers(world, edit=lambda f: f[3:])[0][1]], checkpoints),
            "teacher m1 predicts other pictures than m0",
        ),
    ],
)
def test_teachers_that_do_not_fit_are_refused(world, run, change, message):
    with pytest.raises(DataError, match=message):
        run(*change(world, *teachers(world)))


def confident(counts):
    """Candidates whose answers are 0, 1, ... as often as given, with falling confidence."""
    answers = np.repeat(np.arange(len(counts)), counts)
    top = np.linspace(0.99, 0.91, len(answers))
    rows = np.repeat((1 - top)[:, None] / (len(counts) - 1), len(counts), axis=1)
    rows[np.arange(len(answers)), answers] = top
    return rows


def test_classes_are_capped_to_their_prior_and_the_most_confident_stay():
    rows = confident([60, 30, 10])
    chosen = selection.select(rows, np.array([0.5, 0.1, 0.4]), 1000, settings.Settings())
    assert chosen.confident.tolist() == [60, 30, 10]
    assert chosen.selected.tolist() == [50, 10, 10]
    assert chosen.chosen.tolist() == [*range(50), *range(60, 70), *range(90, 100)]
    assert chosen.thresholds[0] == rows[49].max()


def test_a_class_without_prior_gets_no_label():
    chosen = selection.select(confident([10, 10]), np.array([1.0, 0.0]), 1000, settings.Settings())
    assert chosen.selected.tolist() == [10, 0]
    assert np.isinf(chosen.thresholds[1])


def test_the_top_percentile_is_taken_of_each_class():
    rule = settings.Settings(rule="percentile", percentile=20.0, balance=0.0)
    chosen = selection.select(confident([50, 10]), np.array([0.5, 0.5]), 1000, rule)
    assert chosen.chosen.tolist() == [*range(10), 50, 51]


def test_an_answer_marked_m_is_left_out_of_the_estimate():
    rows = np.array([[0.95, 0.05], [0.95, 0.05], [0.95, 0.05]])
    found = selection.estimated_precision(rows, ["yn", "my", "ny"], np.array([0.9, 0.9]))
    assert (found.value, found.rows) == (0.5, 2)


def test_the_interval_of_a_few_right_rows_is_wide():
    rows = np.array([[0.95, 0.05]] * 3)
    found = selection.estimated_precision(rows, ["yn"] * 3, np.array([0.9, 0.9]))
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.4385, abs=1e-4)
    assert selection.estimated_precision(rows, ["yn"] * 3, np.array([0.99, 0.9])).rows == 0


def test_nothing_is_labelled_where_too_few_validation_rows_can_speak(world, run):
    content, table, _ = run(*teachers(world), min_valid=601)
    assert len(table) == 0
    assert "fewer than min_valid=601; the precision is unknown" in content["gate"]["reason"]
