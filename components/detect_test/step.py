"""The work of the step `detect_test`: what the detector finds on new pictures, in numbers and pictures."""

import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components import entry, progress
from components.artifacts import detectors, storage
from components.detect_test import page
from components.detect_test.evidence import Evidence, gather
from components.detect_test.settings import Inputs, Settings
from components.errors import DataError
from components.vision import learner
from components.vision.detection import log


def run(settings: Settings, inputs: Inputs, outputs: entry.Outputs) -> entry.Summary:
    """Tests a detector and reports."""
    learner.prepare_tensorflow(0)
    text = log_text(settings, inputs)
    evidence = gather(settings, inputs)
    pq.write_table(detection_table(evidence), outputs.artifacts["detections"], compression="zstd")
    outputs.write_text("page", page.render(evidence, settings, text))
    shown = {name: value for name, value in evidence.metrics.items() if math.isfinite(value)}
    progress.log(", ".join(f"{name} {value:.4g}" for name, value in shown.items()))
    return entry.Summary({"ap50": f"{evidence.metrics['ap50']:.4f}"}, {"metrics": shown})


def log_text(settings: Settings, inputs: Inputs) -> str:
    """The training log to draw.

    Raises:
        DataError: the file that the knob names has no line of a darknet log.
    """
    if not settings.log:
        return detectors.read(inputs.detector).log
    text = storage.read_bytes(settings.log).decode("utf-8", "replace")
    if not len(log.parse(text)):
        raise DataError(
            f"log={settings.log} has no line such as `1: 812.5, 812.5 avg, 0.0 rate, 2.1 seconds, 64 images`; expected "
            "what darknet prints while it trains"
        )
    return text


def detection_table(evidence: Evidence) -> pa.Table:
    """All boxes found, by picture, highest score first: image_id, class_index, score, corners in shares of sides."""
    found = evidence.judgement.found
    corners = np.concatenate([np.zeros((0, 4)), *(d.boxes for d in found)])
    columns = {
        "image_id": pa.array(np.repeat(evidence.pictures.names, [len(d) for d in found]).tolist(), pa.string()),
        "class_index": np.concatenate([np.zeros(0, np.int16), *(d.classes.astype(np.int16) for d in found)]),
        "score": np.concatenate([np.zeros(0), *(d.scores for d in found)]),
    }
    return pa.table(columns | dict(zip(("x_min", "y_min", "x_max", "y_max"), corners.T, strict=True)))
