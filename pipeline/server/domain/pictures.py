"""What happened to a picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline.engine.records import Run
from pipeline.engine.store import Store

LABELLED, QUESTION, UNLABELLED, LEFT_OUT = "labelled", "question", "unlabelled", "left out"
KINDS = (LABELLED, QUESTION, UNLABELLED, LEFT_OUT)
RIGHT, WRONG, FUZZY = "right", "wrong", "fuzzy"
IN_ORDER, WRONG_FIRST, UNSURE_FIRST, CHANGED_ONLY = "", "wrong", "unsure", "changed"
ORDERS: Mapping[str, str] = {
    IN_ORDER: "as they came",
    WRONG_FIRST: "judged ones, wrong first",
    UNSURE_FIRST: "least confident first",
    CHANGED_ONLY: "changed by pseudo-labels",
}


@dataclass(frozen=True)
class Choice:
    """Which pictures, and in which order. Empty fields let everything through; `round` counts from 1, 0: any."""

    attribute: str = ""
    round: int = 0
    kind: str = ""
    order: str = IN_ORDER
    text: str = ""


@dataclass(frozen=True)
class Tile:
    """A picture of a list.

    Attributes:
        image_id, attribute, round, kind: as the manifest has it; kind is one of KINDS.
        label: in words; empty where there is none.
        answer: what the ensemble says, in words; empty where it says nothing about the picture.
        confidence: that class's probability.
        verdict: `right`, `wrong`, `fuzzy`; empty where nobody can say.
    """

    image_id: str
    attribute: str
    round: int
    kind: str
    label: str
    answer: str
    confidence: float | None
    verdict: str


@dataclass(frozen=True)
class Grid:
    """A page of pictures of a run. `reason` says why there are none, else empty.

    Attributes:
        tiles: the page.
        matching: pictures that the choice lets through, on all pages.
        attributes: of the data, in its order.
        rounds: names of the rounds, in order.
    """

    tiles: Sequence[Tile] = ()
    matching: int = 0
    attributes: Sequence[str] = ()
    rounds: Sequence[str] = ()
    reason: str = ""


@dataclass(frozen=True)
class Row:
    """What the manifest says of the picture for one attribute in one round.

    Attributes:
        attribute, round, kind: kind is one of KINDS.
        round_name: the round's name.
        label: in words, fuzzy classes in brackets; empty where there is none.
        source_label: in words, where merging changed the label; else empty.
        letters: the label as the file has it.
        weight: of the picture in the loss.
        fold: -1 where it belongs to none.
        role: `trained on`, `validated by`, or empty.
        reason: what is to be said about it.
        file: its path inside the round.
    """

    attribute: str
    round: int
    round_name: str
    kind: str
    label: str
    source_label: str
    letters: str
    weight: float
    fold: int
    role: str
    reason: str
    file: str


@dataclass(frozen=True)
class Copy:
    """Another picture that shows the same. `how` in words: `equal pixels`, `near, 3 of 64 bits differ`."""

    image_id: str
    attribute: str
    round: int
    how: str
    same_label: str


@dataclass(frozen=True)
class View:
    """Probabilities from one view of the picture; `weight` of the view in the model's mean."""

    name: str
    weight: float | None
    probability: Sequence[float]


@dataclass(frozen=True)
class Vote:
    """What one model, or the ensemble (`is_ensemble`), says about the picture for one attribute.

    Attributes:
        title: `plain_cnn round2`.
        about: what it is, in words: `teacher`, `student`.
        key: the task that predicted.
        probability: of every class.
        verdict: `right`, `wrong`, `fuzzy`, or empty.
        weight: in the ensemble; None where it has no part in it.
        views: what the mean was made of.
    """

    title: str
    about: str
    key: str
    probability: Sequence[float]
    verdict: str
    weight: float | None = None
    views: Sequence[View] = ()
    is_ensemble: bool = False

    @property
    def answer(self) -> int:
        """The class with the largest probability, on a tie the lowest."""
        return max(range(len(self.probability)), key=lambda place: self.probability[place])


@dataclass(frozen=True)
class Pseudo:
    """The pseudo-label of the picture, or why it got none (`has` False).

    Attributes:
        has: it got one.
        said: in words: the gate's reason, or why this picture was not taken.
        key: the task.
        predicted: the class, in words.
        confidence, weight: of the pseudo-label.
        threshold: of that class.
        gate: numbers of the gate: precision, low, high, min_precision, rows.
    """

    has: bool
    said: str
    key: str
    predicted: str = ""
    confidence: float | None = None
    weight: float | None = None
    threshold: float | None = None
    gate: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Final:
    """The picture's row in the submission; `line` counts from 1."""

    line: int
    text: str
    key: str


@dataclass(frozen=True)
class Judged:
    """Everything about the picture and one attribute.

    Attributes:
        attribute: its name.
        classes: names in label order.
        letters: the label as the file has it; empty without one.
        votes: the ensemble first.
        pseudo: None where the run has no pseudo-labels for the attribute.
        final: its row in the submission.
        suspicion: rank among the labels that the report doubts, 0 where it is not among them.
        views: names of the views that training and prediction saw.
        missing: what could not be read, in words.
        held_out: the fold that validated, -1 where that is not known.
    """

    attribute: str
    classes: Sequence[str]
    letters: str
    votes: Sequence[Vote]
    pseudo: Pseudo | None
    final: Final | None
    suspicion: int
    views: Sequence[str]
    missing: Sequence[str]
    held_out: int = -1


@dataclass(frozen=True)
class Picture:
    """What happened to a picture in a run.

    Attributes:
        image_id: its name.
        run: the run that is looked at.
        width, height: upright, in pixels; 0 where it cannot be decoded.
        pixels: SHA-256 of its upright pixels.
        rows: its rows in the manifest, oldest round first.
        rejected: why its other rows were refused, in words.
        copies: pictures that show the same.
        judged: one for each attribute.
    """

    image_id: str
    run: Run
    width: int
    height: int
    pixels: str
    rows: Sequence[Row]
    rejected: Sequence[str]
    copies: Sequence[Copy]
    judged: Sequence[Judged]


@dataclass(frozen=True)
class Found:
    """A picture that a search found, in the newest run that knows it."""

    image_id: str
    attribute: str
    round: int
    kind: str
    run_id: str


class Pictures(Protocol):
    """Pictures of runs of our own pipelines; runs of others have none."""

    def runs(self, store: Store, image_id: str = "") -> Sequence[Run]:
        """The newest runs that have pictures, or that know this one; finished ones first, then the newest first."""

    def grid(self, store: Store, run: Run, choice: Choice, page: int, size: int) -> Grid:
        """A page (from 0) of the run's pictures."""

    def neighbours(self, store: Store, run: Run, choice: Choice, image_id: str) -> tuple[str, str]:
        """The pictures before and after this one in the same list; empty at its ends."""

    def picture(self, store: Store, run: Run, image_id: str) -> Picture | None:
        """What happened to a picture in a run; None where the run does not know it."""

    def image(self, store: Store, run: Run, image_id: str, view: str, size_px: int) -> bytes | None:
        """A JPEG of the picture (`view` empty) or of one of its views, its longer side at most `size_px`.

        Only pictures that the run's manifest names; None where neither its file nor its shards are on this machine.
        """

    def find(self, store: Store, text: str, limit: int) -> Sequence[Found]:
        """Pictures whose name contains the text."""
