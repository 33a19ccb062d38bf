"""A regression is standardised by the numbers that it learns from: those that judge it have no part in them."""

import numpy as np
import pytest

from components.artifacts import reference, shards
from components.entry import Outputs
from components.predict import settings as predict_settings
from components.predict import step as predict
from components.train import rows, settings, step
from components.vision import view_index

PRICES = {(0, 1): [900.0, 1100.0], (1, 1): [1.0, 3.0], (2, 1): [5.0, 7.0], (1, 2): [40.0, 60.0]}
SIDE = 8


def written(root, prices=PRICES):
    """Shards of pictures whose label is a number, by (fold, round)."""
    raw = np.full((SIDE, SIDE, 3), 128, np.uint8).tobytes()
    with reference.draft(root, shards.KIND) as draft:
        groups, number = {}, 0
        for (fold, round_number), values in prices.items():
            name = shards.group_name("labelled", fold, round_number)
            with shards.Writer(draft.folder, name, 10) as writer:
                for value in values:
                    number += 1
                    about = (f"{number}.png", str(value), 1.0, number, fold, round_number, SIDE, SIDE)
                    writer.write(shards.Record(*about, {"plain": raw}))
                groups[name] = writer.close()
        content = {"attribute": "price", "classes": ["value"], "ordinal": False, "task": "regression", "folds": 3}
        shape = {"size_px": SIDE, "channels": 3, "views": ["plain"], "encoding": "raw", "schema": 1}
        return draft.commit(content | shape | {"groups": groups}, {})


def scale(uri, phase="round1", **knobs):
    chosen = settings.Settings(**knobs)
    groups = rows.choose_groups(list(shards.read_shards_index(uri)["groups"]), chosen, phase)
    return rows.scale_of_numbers(rows.labelled_pictures(uri, groups, chosen))


@pytest.mark.parametrize(
    ("phase", "knobs", "learnt"),
    [
        ("round1", {"fold": 0}, [1, 3, 5, 7]),
        ("round1", {"fold": 1}, [900, 1100, 5, 7]),
        ("round1", {"fold": 0, "rounds": "all"}, [1, 3, 5, 7, 40, 60]),
        ("round2", {"fold": 0}, [40, 60]),
    ],
)
def test_the_numbers_that_are_learnt_from_and_no_others_say_what_is_usual(tmp_path, phase, knobs, learnt):
    uri = written(str(tmp_path))
    found = scale(uri, phase, **knobs)
    np.testing.assert_allclose(found, [np.mean(learnt), np.std(learnt)])


def test_equal_numbers_have_no_spread_and_are_learnt_as_they_are(tmp_path):
    uri = written(str(tmp_path), {(0, 1): [3.0], (1, 1): [2.0, 2.0]})
    assert scale(uri) == [2.0, 1.0]


@pytest.fixture
def train(tmp_path):
    """Runs the step on shards; gives the checkpoint's reference and the content of its index."""

    def run(uri, phase="round1", start="", **knobs):
        small = {"backbone": "tiny_cnn", "weights": "none", "epochs": 1, "batch_size": 2, "precision": "off"}
        inputs = settings.Inputs(
            uri, {"name": "price"}, {"name": "a"}, phase=phase, start=start, data_root=str(tmp_path), seed=1
        )
        outputs = Outputs({name: tmp_path / name for name in settings.ARTIFACTS}, str(tmp_path / f"unfinished-{phase}"))
        made = step.run(settings.Settings(**small | knobs), inputs, outputs).results["checkpoint"]
        return made, reference.read_index(made, "checkpoints")

    return run


@pytest.mark.slow
def test_the_checkpoint_says_its_scale_and_what_goes_on_from_it_keeps_that(tmp_path, train):
    uri = written(str(tmp_path))
    first, about = train(uri)
    assert about["scale"] == [4.0, pytest.approx(np.std([1, 3, 5, 7]))]
    _, later = train(uri, "round2", start=first)
    assert later["scale"] == about["scale"], "the weights of its head speak in this scale"
    _, fresh = train(uri, "round2", restart=True)
    assert fresh["scale"] == [50.0, 10.0]


@pytest.mark.slow
def test_the_shards_that_are_learnt_from_are_read_through_but_once(tmp_path, train, monkeypatch):
    uri, found, find = written(str(tmp_path)), [], view_index.find

    def counted(reference, groups, views):
        found.extend(groups)
        return find(reference, groups, views)

    monkeypatch.setattr(view_index, "find", counted)
    train(uri)
    assert sorted(name for name in found if "-f0-" not in name) == ["labelled-f1-r1", "labelled-f2-r1"]


@pytest.mark.slow
def test_a_prediction_comes_back_in_the_unit_of_its_own_checkpoint(tmp_path, train):
    uri = written(str(tmp_path))
    made, about = train(uri, fold=2, rounds="all")
    model, where = {"name": "a"}, Outputs({"metrics": tmp_path / "m"}, str(tmp_path / "unfinished-predict"))
    inputs = predict_settings.Inputs(uri, made, {"name": "price"}, model, str(tmp_path), 1)
    found = predict.run(predict_settings.Settings(resamples=100), inputs, where).results["predictions"]
    content = reference.read_index(found, "predictions")
    assert content["metrics"]["plain_mae"] == pytest.approx(about["metrics"]["valid_mae"], rel=1e-4)
    assert "scale" not in content, "models of other folds, in other scales, may be averaged with it"
