"""What pseudo_label decided, and how that is told: the content of the reference's index."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from components.pseudo_label.selection import Precision, Selection
from components.pseudo_label.settings import Settings
from components.pseudo_label.teachers import Rows, Teachers
from components.vision.bootstrap import Interval
from components.vision.metrics import Floats


@dataclass(frozen=True)
class Average:
    """The teacher that labels: (m,) weights over the models, who that is in words, and the comparison behind it."""

    weights: Floats
    who: str
    against_best: Interval | None


@dataclass(frozen=True)
class Gate:
    """Whether anything passes, and why."""

    passed: bool
    reason: str
    precision: Precision


@dataclass(frozen=True)
class Outcome:
    """Everything decided about one attribute.

    Attributes:
        teachers: who was asked.
        average: how their answers were averaged.
        candidates: pictures that could be labelled.
        excluded: how many were left out before, by reason.
        prior: (K,) class shares of the labelled data.
        chosen: the confident and balanced ones.
        gate: whether they are used.
    """

    teachers: Teachers
    average: Average
    candidates: Rows
    excluded: dict[str, int]
    prior: Floats
    chosen: Selection
    gate: Gate

    @property
    def kept(self) -> npt.NDArray[np.int64]:
        """Positions of the pseudo-labelled pictures among the candidates; empty when the gate refuses."""
        return self.chosen.chosen if self.gate.passed else self.chosen.chosen[:0]

    def content(self, settings: Settings) -> dict[str, Any]:
        """The content of the index, ready for JSON; undefined numbers are null."""
        return {
            "attribute": self.teachers.attribute,
            "classes": self.teachers.classes,
            "teachers": dict(zip(self.teachers.names, self.teachers.checkpoints, strict=True)),
            "predictions": self.teachers.predictions,
            "candidates": len(self.candidates.image_id),
            "excluded": self.excluded,
            "rows": len(self.kept),
            "transductive": sum(self.candidates.split[i] == "test" for i in self.kept),
            "rule": settings.rule,
            "threshold": settings.threshold if settings.rule == "threshold" else None,
            "weight": settings.weight,
            "per_class": self._per_class(),
            "gate": self._gate(settings.min_precision),
        }

    def _gate(self, min_precision: float) -> dict[str, Any]:
        precision, against = self.gate.precision, self.average.against_best
        return _finite(
            {
                "passed": self.gate.passed,
                "reason": self.gate.reason,
                "precision": precision.value,
                "low": precision.low,
                "high": precision.high,
                "rows": precision.rows,
                "min_precision": min_precision,
                "teacher": self.average.who,
                "against_best": _finite(asdict(against)) if against else None,
            }
        )

    def _per_class(self) -> list[dict[str, Any]]:
        chosen = self.chosen
        columns = (self.teachers.classes, self.prior, chosen.confident, chosen.selected, chosen.thresholds)
        return [
            {
                "class": name,
                "prior": float(share),
                "confident": int(confident),
                "selected": int(selected) if self.gate.passed else 0,
                "threshold": float(threshold) if math.isfinite(threshold) else None,
            }
            for name, share, confident, selected, threshold in zip(*columns, strict=True)
        ]


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in values.items()}
