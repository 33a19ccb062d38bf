"""Pictures that two runs judge differently."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from components.vision import metrics
from pipeline.server.domain.comparison import BROKEN, CHANGED, FIXED, ChangedVerdict

if TYPE_CHECKING:
    from pipeline.console.evidence import Joined  # it needs pandas, which takes a second to load

ORDER = (BROKEN, FIXED, CHANGED)


def of(one: "Joined") -> Iterator[ChangedVerdict]:
    """The pictures of an attribute whose outcome (right, wrong, fuzzy) is another."""
    if not one.label:
        return
    confidence, outcome = zip(*(metrics.judged(p, one.label) for p in (one.first, one.second)), strict=True)
    answers = [p.argmax(axis=1) for p in (one.first, one.second)]
    for row, (before, after) in enumerate(zip(*outcome, strict=True)):
        if before == after:
            continue
        yield ChangedVerdict(
            image_id=one.image_id[row],
            attribute=one.attribute,
            kind=FIXED if after == metrics.RIGHT else BROKEN if before == metrics.RIGHT else CHANGED,
            label=in_words(one.label[row], one.classes),
            first_answer=one.classes[int(answers[0][row])],
            second_answer=one.classes[int(answers[1][row])],
            first_confidence=float(confidence[0][row]),
            second_confidence=float(confidence[1][row]),
        )


def in_words(label: str, classes: tuple[str, ...]) -> str:
    """The classes of a label: `Short (Knee)` where Short is certain and Knee might be."""
    certain = [name for name, letter in zip(classes, label, strict=True) if letter == "y"]
    fuzzy = [f"({name})" for name, letter in zip(classes, label, strict=True) if letter == "m"]
    return " ".join([*certain, *fuzzy])


def by_importance(verdict: ChangedVerdict) -> tuple[int, float]:
    """Broken before fixed; among them what either run was surest of."""
    return ORDER.index(verdict.kind), -max(verdict.first_confidence, verdict.second_confidence)
