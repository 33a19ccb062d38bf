"""Runs side by side: metrics with paired intervals, pictures whose verdict changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline.engine.records import Run
from pipeline.engine.store import Store

GAIN, NOISE, LOSS, SAME, UNKNOWN = "gain", "noise", "loss", "same", "unknown"
FIXED, BROKEN, CHANGED = "fixed", "broken", "changed"
ERROR = "mae"


@dataclass(frozen=True)
class Paired:
    """A metric of two runs on the same pictures.

    Attributes:
        attribute: whose; empty for the mean over attributes.
        metric: `ap` (`map` in total), `basic_precision`, `accuracy`; of classes that do not exclude each other, over
            all decisions. `mae` of numbers: the mean absolute error, which has no total.
        first, second: values from 0 to 1, `mae` in the labels' unit; None where undefined.
        difference: second minus first.
        low, high: its paired 95 % bootstrap interval.
        verdict: `gain` (interval above zero, of `mae` below), `loss` (the other side), `noise` (it spans zero),
            `same` (it is zero), `unknown` (undefined).
        pictures: how many both were judged on.
    """

    attribute: str
    metric: str
    first: float | None
    second: float | None
    difference: float | None
    low: float | None
    high: float | None
    verdict: str
    pictures: int


@dataclass(frozen=True)
class Overlap:
    """How far the validation pictures of an attribute are the same in two runs.

    Attributes:
        attribute: whose.
        first, second: validation pictures of each run.
        common: of both, with the same pixels and the same label; only these are compared.
        relabelled: of both, but with another label or other pixels; left out.
        trained_on: common ones that either run also learnt from, itself or as a duplicate: they flatter it.
    """

    attribute: str
    first: int
    second: int
    common: int
    relabelled: int
    trained_on: int


@dataclass(frozen=True)
class PairedMetrics:
    """Two runs on the pictures that both were judged on. `reason` says why nothing is compared, else empty."""

    rows: Sequence[Paired] = ()
    overlaps: Sequence[Overlap] = ()
    resamples: int = 0
    seed: int = 0
    reason: str = ""


@dataclass(frozen=True)
class ChangedVerdict:
    """A validation picture that two runs judge differently.

    Attributes:
        image_id, attribute: which.
        kind: `fixed` (the second run is right, the first was not), `broken` (the other way round), `changed`.
        label: classes of the label, the fuzzy ones in brackets.
        first_answer, second_answer: the class with the largest probability; all above 0.5 where several may be right.
        first_confidence, second_confidence: that probability; of several answers, that of the least sure decision.
    """

    image_id: str
    attribute: str
    kind: str
    label: str
    first_answer: str
    second_answer: str
    first_confidence: float
    second_confidence: float


class Comparison(Protocol):
    """Two runs of our own pipeline against each other; nothing for others."""

    def paired(self, store: Store, first: Run, second: Run) -> PairedMetrics:
        """Metrics of each attribute and in total."""

    def verdicts(self, store: Store, first: Run, second: Run) -> Sequence[ChangedVerdict]:
        """The pictures that the two judge differently, broken ones first."""
