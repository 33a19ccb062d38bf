"""Every edge of the detection pipeline, one step after the other, and nothing else.

`p` holds the root parameter `p.source` and for each group of knobs (`p.split`, …) the keyword arguments of its task.
"""

from types import SimpleNamespace

from components.boxes_prepare.component import boxes_prepare
from components.detect_test.component import detect_test
from components.detect_train.component import detect_train
from components.openimages_subset.component import openimages_subset
from components.split.component import split
from components.transfer.component import transfer
from pipeline.recipe import Recipe


def detection(p: SimpleNamespace, recipe: Recipe) -> None:
    """Traces the pipeline: published tables of pictures and boxes in, a detector and a test of it out."""
    subset = openimages_subset(source=p.source, **p.openimages_subset).outputs["boxes"]
    transferred = transfer(subset=subset, source=p.source, **p.transfer).outputs["boxes"]
    prepared = boxes_prepare(transferred=transferred, source=p.source, **p.boxes_prepare).outputs["boxes"]
    boxes = split(prepared=prepared, **p.split).outputs["boxes"]
    detector = detect_train(boxes=boxes, **p.detect_train).outputs["detector"]
    detect_test(boxes=boxes, detector=detector, **p.detect_test)
