"""The step detect_test: numbers, charts, pictures, and that nothing it has learnt can judge it."""

import dataclasses
import re
from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as pq
import pytest

from components.artifacts import detectors
from components.detect_test import evidence, gallery, settings, step
from components.entry import Outputs
from components.errors import DataError
from components.vision.detection import cfg, judging, log, network, networks, weights
from components.vision.detection.average_precision import Truths
from components.vision.detection.batches import Pictures
from components.vision.detection.detections import Detections


@dataclass(frozen=True)
class Report:
    ap50: str
    metrics: dict[str, float]
    page: str
    detections: list[dict]


@pytest.fixture
def untrained(tmp_path, nano):
    """Writes a detector for a reference of boxes, with random weights; by default it has learnt what train has."""

    def write(uri: str, **about) -> str:
        sections = cfg.adapted(nano, 2)
        given = {
            "classes": ("Ship", "Buoy"),
            "learnt": tuple(Pictures(uri, "train", 0, 1).names),
            "size_px": 96,
        } | about
        data = weights.write(weights.Header(), network.build(sections, 0).save())
        line = log.iteration_line(1, 5.0, 5.0, 0.1, 0.0, 8)
        detector = detectors.Detector(cfg.write(sections), data, given["classes"], line, given["learnt"])
        return detectors.write(str(tmp_path / "data"), detector, {"size_px": given["size_px"]}, {})

    return write


@pytest.fixture
def run_test(tmp_path):
    """Runs detect_test."""

    def run(boxes: str, detector: str, **knobs) -> Report:
        paths = {name: tmp_path / name for name in settings.ARTIFACTS}
        inputs = settings.Inputs(boxes, detector, str(tmp_path / "data"))
        summary = step.run(settings.Settings(**knobs), inputs, Outputs(paths, str(tmp_path / "unfinished")))
        rows = pq.read_table(paths["detections"]).to_pylist()
        return Report(summary.results["ap50"], summary.metadata["metrics"], paths["page"].read_text(), rows)

    return run


def test_it_reports_numbers_charts_and_pictures(make_boxes, train, run_test):
    uri = make_boxes(train=16, validation=4, test=7)
    found = run_test(uri, train(uri, iterations=30, checkpoint_every=30).result, pictures=3)
    assert {"ap50", "ap50_95", "recall", "pictures", "boxes", "found"} <= set(found.metrics)
    assert found.metrics["pictures"] == 7 and found.ap50 == f"{found.metrics['ap50']:.4f}"
    assert found.page.count("<svg") >= 2 and found.page.count("data:image/jpeg") == 6
    assert "its 95 % interval" in found.page and found.metrics["ap50_low"] <= found.metrics["ap50"]
    titles = re.findall(r"<strong>(.*?)</strong>", found.page)
    assert titles == ["Loss, its highest 2 % cut off", "IOU", "Precision"] and "AP50 by class" in found.page
    assert "Best pictures" in found.page and "Worst pictures" in found.page and "<script" not in found.page
    assert found.detections and {row["image_id"][:4] for row in found.detections} == {"test"}
    scores = [row["score"] for row in found.detections if row["image_id"] == "test-000"]
    assert scores == sorted(scores, reverse=True) and min(scores) >= 0.005


def test_pictures_that_the_detector_has_learnt_cannot_judge_it(make_boxes, untrained, run_test):
    uri = make_boxes(train=2, test=4)
    assert run_test(uri, untrained(uri)).metrics["pictures"] == 4
    with pytest.raises(DataError, match="leak: 1 of the 4 test pictures, for instance test-002"):
        run_test(uri, untrained(uri, learnt=("test-002", "train-001")))


@pytest.mark.parametrize(
    ("about", "words"), [({"classes": ("Ship",)}, "has classes"), ({"size_px": 64}, "pictures of size 96")]
)
def test_another_size_or_other_classes_are_refused(make_boxes, untrained, run_test, about, words):
    uri = make_boxes(train=2, test=4)
    with pytest.raises(DataError, match=words):
        run_test(uri, untrained(uri, **about))


def test_a_split_without_pictures_is_refused(make_boxes, untrained, run_test):
    uri = make_boxes(train=2)
    with pytest.raises(DataError, match="no picture in the split test"):
        run_test(uri, untrained(uri))


def test_a_log_of_alexeyabs_darknet_can_be_drawn_instead(make_boxes, untrained, run_test, tmp_path):
    uri = make_boxes(train=2, test=2)
    file = tmp_path / "log.txt"
    line = "{} 12.5, 12.5 avg loss, 0.0 rate, 2.0 seconds, 64 images, 1.0 hours left\n"
    file.write_text(line.format("1:") + line.format("321:"))
    assert ">321<" in run_test(uri, untrained(uri), log=str(file)).page
    file.write_text("nothing of the kind\n")
    with pytest.raises(DataError, match="expected what darknet prints"):
        run_test(uri, untrained(uri), log=str(file))


def perfect(make_boxes, **count) -> evidence.Evidence:
    """Everything found exactly, but nothing in the second picture, and something too much in the third."""
    pictures = Pictures(make_boxes(test=count.get("test", 5)), "test", 0, 1)
    found = [Detections(t.boxes, np.linspace(0.9, 0.5, len(t)), t.classes) for t in pictures.truths]
    found[1] = found[1].take(np.zeros(len(found[1]), bool))
    extra = Detections(np.array([[0.0, 0, 0.05, 0.05]]), np.array([0.95]), np.array([0]))
    found[2] = Detections(
        *(np.concatenate([getattr(d, n) for d in (extra, found[2])]) for n in ("boxes", "scores", "classes"))
    )
    return evidence.Evidence(("Ship", "Buoy"), pictures, judging.judged(pictures.truths, found, 2), 0.25)


def test_the_best_pictures_are_understood_and_the_worst_are_not(make_boxes):
    shown = perfect(make_boxes)
    assert shown.qualities[[0, 3, 4]].tolist() == [1, 1, 1] and shown.qualities[1] == 0 < shown.qualities[2] < 1
    best, worst = gallery.ranked(shown, 2)
    assert best == [0, 3] and worst == [1, 2]
    every_best, every_worst = gallery.ranked(shown, 9)
    assert sorted(every_best + every_worst) == [0, 1, 2, 3, 4]


def test_precision_and_recall_are_those_at_the_score(make_boxes):
    shown = perfect(make_boxes)
    there = sum(map(len, shown.pictures.truths))
    missed = len(shown.pictures.truths[1])
    assert shown.metrics["recall"] == pytest.approx((there - missed) / there)
    assert shown.metrics["precision"] == pytest.approx((there - missed) / (there - missed + 1))
    assert shown.metrics["boxes"] == there and shown.metrics["found"] == there - missed + 1


def test_ap50_has_an_interval_over_pictures(make_boxes):
    few, many = perfect(make_boxes).metrics, perfect(make_boxes, test=25).metrics
    for numbers in (few, many):
        assert 0 < numbers["ap50_low"] < numbers["ap50"] < numbers["ap50_high"] <= 1
    assert many["ap50_high"] - many["ap50_low"] < few["ap50_high"] - few["ap50_low"]


def test_equal_pictures_are_drawn_together(make_boxes):
    shown = perfect(make_boxes)
    shown.pictures.groups = np.array([7, 7, 7, 7, 7])
    assert shown.ap50_interval == pytest.approx((shown.judgement.ap50, shown.judgement.ap50))


def test_boxes_are_drawn_where_they_are(make_boxes):
    shown = perfect(make_boxes)
    plain = shown.pictures.get([0])[0]
    drawn = gallery.drawn(0, shown, plain.shape[0])
    changed = np.argwhere((drawn != plain).any(axis=-1))
    low, high = shown.pictures.truths[0].boxes[:, :2].min(axis=0), shown.pictures.truths[0].boxes[:, 2:].max(axis=0)
    assert len(changed) and (changed.min(axis=0)[::-1] >= low * 96 - 2).all()
    assert (changed.max(axis=0)[::-1] <= high * 96 + 14).all()


@pytest.mark.parametrize(
    ("classes", "said"),
    [(("Ship", "Buoy"), ["Ship", "Buoy", "Ship 0.90", "Buoy 0.50"]), (("Thing",), ["", "", "0.90", "0.50"])],
)
def test_where_there_are_several_classes_a_box_says_which(make_boxes, monkeypatch, classes, said):
    shown = perfect(make_boxes)
    boxes, kinds = np.array([[0.1, 0.1, 0.4, 0.4], [0.8, 0.8, 1, 1]]), np.arange(2) % len(classes)
    shown.pictures.truths[0] = Truths(boxes, kinds, np.zeros(2, bool))
    found = [Detections(boxes, np.array([0.9, 0.5]), kinds), *shown.judgement.found[1:]]
    shown = dataclasses.replace(shown, classes=classes, judgement=dataclasses.replace(shown.judgement, found=found))
    written = []
    monkeypatch.setattr(gallery.cv2, "putText", lambda picture, text, place, *rest: written.append((text, place)))
    gallery.drawn(0, shown, 320)
    assert [text for text, _ in written] == said
    assert all(0 <= x < 320 and 0 <= y < 320 for _, (x, y) in written)


def test_groups_are_no_boxes_to_be_found(make_boxes):
    pictures = Pictures(make_boxes(test=3, groups_of=True), "test", 0, 1)
    nothing = [Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int)) for _ in pictures.truths]
    shown = evidence.Evidence(("Ship", "Buoy"), pictures, judging.judged(pictures.truths, nothing, 2), 0.25)
    assert shown.metrics["boxes"] == 0 and np.isnan(shown.metrics["ap50"])
    assert np.isnan(shown.ap50_interval).all()


def test_a_detector_reference_refuses_names_that_are_no_line(tmp_path):
    bad = detectors.Detector(cfg.write(networks.micro()), b"", ("two\nlines",), "", ())
    with pytest.raises(DataError, match="line breaks"):
        detectors.write(str(tmp_path), bad, {"size_px": 96}, {})
