"""Detectors: reference of kind `detectors`, a trained network in darknet's own formats, so that darknet can use it too.

`detector.cfg` and `detector.weights` are the network, `detector.names` its classes, one a line, `detector.data` tells
darknet where names and pictures are in a folder that `darknet_files` has laid out; `train_log.txt` is what darknet
would have printed, `learnt.txt` the pictures that training or choosing the weights has seen, one id a line.
"""

from dataclasses import dataclass
from typing import Any

from components.artifacts import darknet_files, reference
from components.errors import DataError

KIND = "detectors"
CFG, WEIGHTS, NAMES, DATA = "detector.cfg", "detector.weights", darknet_files.NAMES, darknet_files.DATA
LOG, LEARNT = "train_log.txt", "learnt.txt"


@dataclass(frozen=True)
class Detector:
    """A trained network.

    Attributes:
        cfg: text of its configuration.
        weights: bytes of its weights file.
        classes: display names; their order is the network's.
        log: text of its training log.
        learnt: image ids of all pictures it was trained or chosen on.
    """

    cfg: str
    weights: bytes
    classes: tuple[str, ...]
    log: str
    learnt: tuple[str, ...]


def write(data_root: str, detector: Detector, about: dict[str, Any], made_by: dict[str, Any]) -> str:
    """Writes a reference; equal detectors give equal references.

    Args:
        data_root: folder or gs:// address of all references.
        detector: the network.
        about: for the index: size_px, anchors, metrics and the like, JSON.
        made_by: step, settings, parents.
    """
    for name in (*detector.classes, *detector.learnt):
        if len(name.splitlines()) != 1:
            raise DataError(f"{name!r} has line breaks or is empty; a class or picture is named by one line")
    with reference.draft(data_root, KIND) as draft:
        texts = {CFG: detector.cfg, NAMES: _lines(detector.classes), LOG: detector.log, LEARNT: _lines(detector.learnt)}
        texts[DATA] = darknet_files.data_text(len(detector.classes))
        for name, text in texts.items():
            (draft.folder / name).write_text(text, encoding="utf-8")
        (draft.folder / WEIGHTS).write_bytes(detector.weights)
        return draft.commit(about | {"classes": list(detector.classes)}, made_by)


def read(uri: str) -> Detector:
    """The network of a reference. Raises DataError: no such reference, or one of another kind."""
    about = reference.read_index(uri, KIND)
    cfg, log, learnt = (_text(uri, name) for name in (CFG, LOG, LEARNT))
    weights = reference.open_file(uri, WEIGHTS).read_bytes()
    return Detector(cfg, weights, tuple(about["classes"]), log, tuple(learnt.splitlines()))


def _lines(names: tuple[str, ...]) -> str:
    return "".join(f"{name}\n" for name in names)


def _text(uri: str, name: str) -> str:
    return reference.open_file(uri, name).read_text(encoding="utf-8")
