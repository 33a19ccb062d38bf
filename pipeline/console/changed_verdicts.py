"""Pictures that two runs judge differently."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from components.vision import judging, metrics
from components.vision.metrics import Floats, Outcomes, judged
from components.vision.tasks import REGRESSION
from pipeline.server.domain.comparison import BROKEN, CHANGED, FIXED, ChangedVerdict

if TYPE_CHECKING:
    from pipeline.console.evidence import Joined  # it needs pandas, which takes a second to load

ORDER = (BROKEN, FIXED, CHANGED)


@dataclass(frozen=True)
class _Answers:
    """One run's answers: words, confidence (n,) 0..1 and outcome (n,) right, wrong or fuzzy of each picture."""

    words: Sequence[str]
    confidence: Floats
    outcome: Outcomes


def of(one: "Joined") -> Iterator[ChangedVerdict]:
    """The pictures of an attribute whose outcome (right, wrong, fuzzy) is another. Numbers are neither."""
    if not one.label or one.task.name == REGRESSION:
        return
    before, after = (_answers(one, probabilities) for probabilities in (one.first, one.second))
    for row in map(int, np.flatnonzero(before.outcome != after.outcome)):
        is_right, was_right = (side.outcome[row] == metrics.RIGHT for side in (after, before))
        yield ChangedVerdict(
            image_id=one.image_id[row],
            attribute=one.attribute,
            kind=FIXED if is_right else BROKEN if was_right else CHANGED,
            label=in_words(one.label[row], one.classes),
            first_answer=before.words[row],
            second_answer=after.words[row],
            first_confidence=float(before.confidence[row]),
            second_confidence=float(after.confidence[row]),
        )


def _answers(one: "Joined", probabilities: Floats) -> _Answers:
    if one.task.is_exclusive:
        return _Answers([one.classes[best] for best in probabilities.argmax(axis=1)], *judged(probabilities, one.label))
    letters, _ = judging.decided(one.task, one.label, one.group)
    confidence, outcome = (
        v.reshape(probabilities.shape) for v in judged(judging.decisions(one.task, probabilities), letters)
    )
    chosen = [[name for name, p in zip(one.classes, row, strict=True) if p > 0.5] for row in probabilities]
    is_wrong = (outcome == metrics.WRONG).any(axis=1)
    return _Answers(
        [" ".join(names) or "none" for names in chosen],
        confidence.min(axis=1),
        np.where(is_wrong, metrics.WRONG, metrics.RIGHT).astype(np.int8),
    )


def in_words(label: str, classes: tuple[str, ...]) -> str:
    """The classes of a label: `Short (Knee)` where Short is certain and Knee might be."""
    certain = [name for name, letter in zip(classes, label, strict=True) if letter == "y"]
    fuzzy = [f"({name})" for name, letter in zip(classes, label, strict=True) if letter == "m"]
    return " ".join([*certain, *fuzzy]) or "none"


def by_importance(verdict: ChangedVerdict) -> tuple[int, float]:
    """Broken before fixed; among them what either run was surest of."""
    return ORDER.index(verdict.kind), -max(verdict.first_confidence, verdict.second_confidence)
