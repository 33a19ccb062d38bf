"""The work of the step `detect_train`: pictures, configuration, one of two trainers, the detector's reference."""

import math
from typing import Any

import numpy as np

from components import entry, knobs
from components.artifacts import boxes, checkpoint, detectors, reference
from components.detect_train import by_darknet, by_keras, page
from components.detect_train.configuration import sections_for
from components.detect_train.outcome import Task, Trained
from components.detect_train.settings import Inputs, Settings
from components.errors import DataError
from components.vision import learner
from components.vision.detection import cfg, judging, log, network, weights
from components.vision.detection.batches import Pictures, refuse_leak
from components.vision.detection.detections import Choice

_TRAINERS = {"keras": by_keras.train, "darknet": by_darknet.train}


def run(settings: Settings, inputs: Inputs, outputs: entry.Outputs) -> entry.Summary:
    """Trains a detector and publishes it."""
    classes = boxes.read(inputs.boxes).classes
    refuse_leak(inputs.boxes)
    training, validation = (
        Pictures(inputs.boxes, split, settings.cache_mb, settings.threads) for split in ("train", "validation")
    )
    if not len(training):
        raise DataError(f"{inputs.boxes} has no picture in the split train; nothing can be learnt from it")
    learner.prepare_tensorflow(inputs.seed)
    sections = sections_for(settings, training, len(classes), inputs.seed)
    task = Task(inputs, settings, classes, training, validation, sections, outputs.unfinished)
    trained = _TRAINERS[settings.trainer](task)
    metrics = _metrics(task, trained)
    published = _publish(task, trained, metrics)
    title = f"{', '.join(classes)}: YOLOv3 {settings.network}, by {settings.trainer}"
    outputs.write_text("curves", page.render(title, trained, _facts(task, trained, metrics)))
    # Last: whoever is killed before this line goes on from the last state and only publishes.
    checkpoint.discard_state(outputs.unfinished)
    return entry.Summary({"detector": published}, {"metrics": metrics, "curves": {"detector": published}})


def _metrics(task: Task, trained: Trained) -> dict[str, float]:
    """Numbers of the published weights, in float32 as detect_test computes; those that are not defined are left out."""
    made = network.build(task.sections, task.inputs.seed)
    made.load(weights.read(trained.weights, made.shapes, "the trained weights")[1])
    size = max(1, task.settings.batch // task.settings.subdivisions)
    judgement = judging.judge(made, task.validation, Choice(), size)
    entries = log.parse(trained.log)
    tail = slice(-max(1, len(entries) // 20), None)
    last = {"loss": log.mean(entries.loss[tail]), "iou": log.mean(entries.iou[tail])}
    found = {"valid_ap50": judgement.ap50, "valid_ap50_95": judgement.ap, **last, "iteration": trained.iteration}
    return {name: float(value) for name, value in found.items() if math.isfinite(value)}


def _publish(task: Task, trained: Trained, metrics: dict[str, float]) -> str:
    detector = detectors.Detector(
        cfg=cfg.write(task.sections),
        weights=trained.weights,
        classes=tuple(task.classes),
        log=trained.log,
        learnt=(*task.training.names, *task.validation.names),
    )
    settings, parents = knobs.as_mapping(task.settings), [reference.digest_of(task.inputs.boxes)]
    made_by = {"step": "detect_train", "settings": settings, "parents": parents}
    return detectors.write(task.inputs.data_root, detector, _about(task, trained, metrics), made_by)


def _about(task: Task, trained: Trained, metrics: dict[str, float]) -> dict[str, Any]:
    anchors = next(section.numbers("anchors") for section in task.sections if section.kind == "yolo")
    return {
        "classes": list(task.classes),
        "network": task.settings.network,
        "trainer": task.settings.trainer,
        "size_px": task.training.size_px,
        "anchors": np.array(anchors).reshape(-1, 2).tolist(),
        "iterations": task.iterations,
        "best_iteration": trained.iteration,
        "boxes": reference.digest_of(task.inputs.boxes),
        "metrics": metrics,
        "judgements": [{k: v for k, v in row.items() if math.isfinite(v)} for row in trained.judgements],
    }


def _facts(task: Task, trained: Trained, metrics: dict[str, float]) -> list[tuple[str, str]]:
    names = {
        "valid_ap50": "AP50, validation",
        "valid_ap50_95": "AP50:95, validation",
        "loss": "last loss",
        "iou": "last IOU",
    }
    return [
        ("pictures learnt", f"{len(task.training):,}"),
        ("pictures that judge", f"{len(task.validation):,}"),
        ("iterations", f"{task.iterations:,} of {task.settings.batch} pictures"),
        ("kept", f"the weights after iteration {trained.iteration:,}"),
        *((text, f"{metrics[name]:.4f}") for name, text in names.items() if name in metrics),
    ]
