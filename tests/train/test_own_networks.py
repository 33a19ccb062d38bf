"""Own networks through the train step: what was asked for is built, remembered, rebuilt and not mixed up."""

from pathlib import Path

import numpy as np
import pytest

from components.artifacts import checkpoint, predictions
from components.errors import DataError, SettingsError
from components.train.settings import Settings
from components.vision import batches, inference, view_index

NETWORK = {"stages": [{"filters": 4}, {"filters": 6, "stride": 2}], "activation": "gelu", "dropout": 0.1}
OWN = {"backbone": "lean_17k", "network": NETWORK, "targets": "hard"}


def test_a_checkpoint_remembers_its_network_and_is_rebuilt_with_it(make_shards, train):
    uri = make_shards()
    found = train(uri, **OWN)
    loaded = inference.load(found.reference)
    assert loaded.about["settings"]["network"] == NETWORK
    assert loaded.model.get_layer("backbone").output_shape == (None, 6)
    source = view_index.find(uri, ["labelled-f0-r1", "labelled-f0-r2"], ["plain"])
    logits = inference.logits(loaded.model, batches.in_order(batches.Pictures(source, 10, 1), 0, 5))
    frame = predictions.read_file(Path(found.reference) / checkpoint.VALIDATION)
    np.testing.assert_allclose(predictions.stacked(frame, "logit"), logits, atol=1e-5)


def test_where_nothing_is_asked_nothing_is_told_so_that_older_checkpoints_keep_their_digests(make_shards, train):
    about = inference.load(train(make_shards()).reference).about
    assert not {"network", "loss"} & set(about["settings"])


@pytest.mark.parametrize("loss", ["focal", "brier"])
def test_another_loss_learns_too_and_is_told(make_shards, train, loss):
    found = train(make_shards(), loss=loss, epochs=4, targets="hard")
    assert found.metrics["valid_accuracy"] == 1.0 and found.index["settings"]["loss"] == loss


def test_a_loss_of_one_right_class_is_refused_where_several_may_be_right(make_shards, train):
    with pytest.raises(SettingsError, match="train.loss='focal' is for one right class of several, the task is multi_"):
        train(make_shards(task="multi_label"), loss="focal")


def test_gradients_are_checked_before_the_training_where_that_is_asked_and_it_comes_out_the_same(
    make_shards, train, capsys
):
    uri = make_shards()
    checked = train(uri, **OWN, gradient_check=True)
    assert "gradient check: 11 variables, largest relative error" in capsys.readouterr().out
    assert train(uri, **OWN).reference == checked.reference


def test_a_start_of_another_network_is_refused(make_shards, train):
    uri = make_shards()
    start = train(uri, **OWN).reference
    with pytest.raises(DataError, match=r"has network .*'gelu'.*, this training .*start from a checkpoint of the same"):
        train(uri, **OWN | {"network": NETWORK | {"activation": "relu"}}, phase="round2", start=start)


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        (
            {"backbone": "lean_17k", "network": {"actvation": "relu"}},
            "network.actvation is not a setting; did you mean",
        ),
        ({"backbone": "small_cnn", "network": {"layers": 2}}, "network.layers shapes own networks"),
    ],
)
def test_a_network_that_cannot_be_contradicts_before_anything_runs(knobs, said):
    try:
        problem = Settings(**knobs).contradiction()
    except SettingsError as error:
        problem = str(error)
    assert said in problem
