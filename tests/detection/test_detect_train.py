"""The step detect_train: what it publishes, what it refuses, and that equal trainings are equal."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from components.artifacts import detectors, reference
from components.detect_train import by_keras
from components.detect_train.settings import Settings
from components.errors import Damaged, DataError, StepError
from components.vision.detection import cfg, log, network, weights
from tests.detection_data.fault_server import FaultServer


def files(uri: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(uri).iterdir()}


def test_it_publishes_weights_configuration_names_and_log_in_darknets_formats(make_boxes, train):
    ran = train(make_boxes(train=20, validation=6), batch=8, subdivisions=2, ema=0.9)
    detector, about = detectors.read(ran.result), reference.read_index(ran.result, detectors.KIND)
    sections = cfg.parse(detector.cfg)
    net, yolo = sections[0], [s for s in sections if s.kind == "yolo"]
    assert [net.integer(n) for n in ("width", "batch", "subdivisions", "max_batches")] == [96, 8, 2, 8]
    assert net.numbers("steps") == [6, 7] and {s.integer("classes") for s in yolo} == {2}
    assert np.array(about["anchors"]).ravel().tolist() == yolo[0].numbers("anchors")
    made = network.build(sections, 0)
    header, found = weights.read(detector.weights, made.shapes, "it")
    assert len(found) == len(made.shapes) and header.seen == about["best_iteration"] * 8
    assert detector.classes == ("Ship", "Buoy") == tuple(about["classes"])
    assert sorted(detector.learnt) == sorted(
        [f"train-{n:03d}" for n in range(20)] + [f"validation-{n:03d}" for n in range(6)]
    )
    entries = log.parse(detector.log)
    assert entries.iteration.tolist() == list(range(1, 9)) and np.isfinite(entries.loss).all()
    assert [row["iteration"] for row in about["judgements"]] == [3, 6, 8]
    assert {"valid_ap50", "loss", "iou", "iteration"} <= set(ran.metrics)
    assert "<svg" in ran.page and "Validation" in ran.page and not ran.unfinished.exists()


def test_equal_trainings_give_equal_files_and_another_seed_others(make_boxes, train):
    uri = make_boxes(train=12, validation=4)
    first, again, other = (train(uri, seed=seed).result for seed in (1, 1, 2))
    assert first == again and files(first) != files(other)


def test_the_loss_falls(make_boxes, train):
    ran = train(make_boxes(train=16, validation=4), iterations=40, checkpoint_every=40, learning_rate=0.02)
    losses = log.parse(detectors.read(ran.result).log).loss
    assert losses[-5:].mean() < losses[:5].mean() / 3


def test_a_backbone_from_a_file_is_where_training_starts(make_boxes, train, tmp_path):
    uri = make_boxes(train=8)
    first = detectors.read(train(uri).result)
    shapes = network.build(cfg.parse(first.cfg), 0).shapes
    header, found = weights.read(first.weights, shapes, "first")
    file = tmp_path / "first.conv.3"
    file.write_bytes(weights.write(header, found[:2]))
    # No step is taken: what is published is what was loaded.
    second = detectors.read(train(uri, seed=5, weights=str(file), iterations=1, learning_rate=0.0).result)
    _, own = weights.read(second.weights, shapes, "second")
    for number, (a, b) in enumerate(zip(found, own, strict=True)):
        assert (a["kernel"].tobytes() == b["kernel"].tobytes()) == (number < 2)


@pytest.fixture
def site() -> Iterator[FaultServer]:
    with FaultServer() as running:
        yield running


def test_a_backbone_from_the_web_is_fetched_once_and_checked(make_boxes, train, site):
    uri = make_boxes(train=8)
    first = detectors.read(train(uri).result)
    site.reset({"/first.weights": first.weights})
    knobs = {"iterations": 1, "learning_rate": 0.0, "weights": address(site, hashlib.sha256(first.weights).hexdigest())}
    for seed in (5, 6):
        assert kernels(detectors.read(train(uri, seed=seed, **knobs).result)) == kernels(first)
    assert site.asked() == {"/first.weights": 1}


def test_other_bytes_than_the_checksum_tells_are_no_backbone(make_boxes, train, site):
    site.reset({"/first.weights": b"something else"})
    with pytest.raises(
        Damaged, match=r"first.weights has sha256 [0-9a-f]{64}, expected 0{64}: it is damaged or another"
    ):
        train(make_boxes(train=8), weights=address(site, "0" * 64))


def kernels(detector: detectors.Detector) -> list[bytes]:
    shapes = network.build(cfg.parse(detector.cfg), 0).shapes
    return [layer["kernel"].tobytes() for layer in weights.read(detector.weights, shapes, "it")[1]]


def address(site: FaultServer, digest: str) -> str:
    return f"{site.url}/first.weights#sha256={digest}"


@pytest.mark.parametrize("count", [{"train": 8}, {"train": 8, "validation": 2, "groups_of": True}])
def test_where_nothing_judges_the_last_weights_are_kept(make_boxes, train, count):
    ran = train(make_boxes(**count))
    about = reference.read_index(ran.result, detectors.KIND)
    assert about["best_iteration"] == 8 and "valid_ap50" not in ran.metrics


@pytest.mark.parametrize(("precision", "optimiser"), [("bfloat16", "sgd"), ("float16", "adamw")])
def test_half_precision_trains_and_publishes_whole_numbers(make_boxes, train, precision, optimiser):
    ran = train(make_boxes(train=8), precision=precision, optimiser=optimiser, iterations=3, learning_rate=1e-4)
    assert np.isfinite(log.parse(detectors.read(ran.result).log).loss).all()


def test_nothing_to_learn_from_is_refused(make_boxes, train):
    with pytest.raises(DataError, match="no picture in the split train"):
        train(make_boxes(test=4))


def test_a_loss_that_is_no_number_stops_with_advice(make_boxes, train):
    with pytest.raises(StepError, match="lower learning_rate or set clip_norm"):
        train(make_boxes(train=8), learning_rate=1e20, optimiser="sgd", iterations=8)


def test_the_rate_rises_with_the_fourth_power_and_falls_by_steps():
    rate = by_keras.rates(Settings(burn_in=50, learning_rate=0.1), 1000)
    assert rate(24) == pytest.approx(0.1 * 0.5**4) and rate(49) == pytest.approx(0.1)
    assert [rate(n) for n in (700, 799, 800, 899, 900, 999)] == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


@pytest.mark.parametrize(
    ("knobs", "words"),
    [
        ({"batch": 64, "subdivisions": 24}, "does not divide batch=64"),
        ({"decay_at": [0.9, 0.8]}, "is not ascending"),
        ({"weights": "https://host/a.weights"}, "has no checksum; add one as #sha256=HEX or #md5=HEX"),
        ({"weights": "https://host/a.weights#sha256=12"}, "has no checksum"),
    ],
)
def test_knobs_that_contradict_each_other_are_named(knobs, words):
    assert words in Settings(**knobs).contradiction() and not Settings().contradiction()
