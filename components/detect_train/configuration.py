"""The network's configuration for this training: classes, size, anchors and the schedule, as darknet writes them."""

import numpy as np

from components.detect_train.settings import Settings
from components.vision.detection import anchors, cfg, geometry, networks
from components.vision.detection.batches import Pictures

_SHORTEST_PX = 2.0  # anchors are made of boxes that can be seen at all


def sections_for(settings: Settings, pictures: Pictures, num_classes: int, seed: int) -> list[cfg.Section]:
    """The sections of the network that the settings name, for the classes and boxes of the training pictures."""
    sections = networks.NETWORKS[settings.network]()
    total = num_iterations(settings, num_classes, len(pictures))
    net = {
        **{"width": pictures.size_px, "height": pictures.size_px, "batch": settings.batch},
        **{"subdivisions": settings.subdivisions, "decay": settings.weight_decay, "hue": settings.hue},
        **{"saturation": settings.saturation, "exposure": settings.exposure, "max_batches": total},
        **{"learning_rate": settings.learning_rate, "burn_in": burn_in(settings, total)},
        **({"flip": 0} if not settings.flip else {}),
        **_policy(settings, total),
    }
    yolo = {"jitter": settings.jitter, "ignore_thresh": settings.ignore_iou}
    return cfg.adapted(sections, num_classes, _anchors(settings, sections, pictures, seed), net, yolo)


def num_iterations(settings: Settings, num_classes: int, num_pictures: int) -> int:
    """What the settings say, or darknet's rule."""
    return settings.iterations or cfg.iterations_for(num_classes, num_pictures)


def burn_in(settings: Settings, total: int) -> int:
    """Iterations of rising rate: as set, but at most a tenth of the way."""
    return min(settings.burn_in, total // 10)


def _policy(settings: Settings, total: int) -> dict[str, object]:
    if settings.schedule == "steps" and settings.decay_at:
        steps = [round(share * total) for share in settings.decay_at]
        return {"policy": "steps", "steps": steps, "scales": [settings.decay_factor] * len(steps)}
    # Darknet's name for the cosine of SGDR without restarts.
    return {"policy": "sgdr" if settings.schedule == "cosine" else "constant"}


def _anchors(settings: Settings, sections: list[cfg.Section], pictures: Pictures, seed: int) -> list[list[float]]:
    """Anchors in pixels from the boxes, or none where the network's own shall stay."""
    shapes = np.concatenate([np.zeros((0, 2)), *(geometry.centred(truth.boxes)[:, 2:] for truth in pictures.truths)])
    shapes = shapes[(shapes * pictures.size_px >= _SHORTEST_PX).all(axis=1)]
    if settings.anchors == "cfg" or not len(shapes):
        return []
    count = next(section.integer("num") for section in sections if section.kind == "yolo")
    return (anchors.k_means(shapes, count, seed) * pictures.size_px).tolist()
