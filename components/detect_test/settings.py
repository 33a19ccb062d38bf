"""Tests a detector on pictures that it has never seen: average precision, precision and recall, the log's charts."""

from dataclasses import dataclass

from components.knobs import given, knob

RESULTS = {"ap50": "average precision at IoU 0.5 on the split, four decimals; nan where it has no boxes"}
ARTIFACTS = {
    "page": ("HTML", "loss, IOU, precision against recall, best and worst pictures with boxes"),
    "metrics": ("Metrics", "AP50, AP50:95, precision, recall and counts"),
    "detections": ("Dataset", "Parquet: every box found, with class and score"),
}


@dataclass(frozen=True)
class Inputs:
    """What the pipeline hands over."""

    boxes: str = given("reference of kind boxes, split")
    detector: str = given("reference of kind detectors")
    data_root: str = given("folder or gs:// address under which references lie", ".seamline/data")
    files_digest: str = given("of the files that the settings name: other bytes, another task", "")


@dataclass(frozen=True)
class Settings:
    """Knobs."""

    split: str = knob("test", "pictures to judge by; nobody has learnt from test", choices=("test", "validation"))
    smallest_score: float = knob(
        0.005, "boxes below it are left out altogether; average precision wants nearly all", at_least=0, at_most=1
    )
    score_threshold: float = knob(
        0.25, "boxes from here on count for precision, recall and the pictures", at_least=0, at_most=1
    )
    nms_iou: float = knob(
        0.45,
        "of two boxes of a class that overlap more than this, the one with the lower score goes",
        at_least=0,
        at_most=1,
    )
    most_boxes: int = knob(
        100, "found boxes of a class in a picture that count, highest scores first", at_least=1, at_most=10_000
    )
    pictures: int = knob(12, "best and worst pictures shown, each", at_least=0, at_most=200)
    thumbnail_px: int = knob(224, "longest side of a picture on the page", unit="px", at_least=32, at_most=1024)
    log: str = knob("", "another training log to draw, local or gs://, of either darknet; empty: the detector's own")
    batch: int = knob(16, "pictures that pass through the network together", unit="pictures", at_least=1)
    threads: int = knob(2, "pictures decoded at a time", at_least=1, at_most=256)
