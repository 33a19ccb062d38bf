"""Champions and gate decisions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pipeline.engine.store import Store
from pipeline.server.domain.results import Score

PROMOTED, KEPT, REFUSED, ROLLED_BACK = "promoted", "kept", "refused", "rolled back"


@dataclass(frozen=True)
class Made:
    """Which task of which run made something."""

    run_id: str
    run_name: str
    key: str


@dataclass(frozen=True)
class Ruling:
    """One entry of an attribute's history.

    Attributes:
        number: counted from 1.
        at: seconds since 1970.
        action: `promoted`, `kept`, `refused` or `rolled back`.
        reason: in words.
        ensemble: digest of the challenger, or of who was put in force again.
        against: digest of who was in force before; empty before the first.
        difference: challenger minus champion in the metric, with its paired 95 % interval; None: nothing was compared.
        low, high: its ends.
        pictures: how many both were judged on.
        metric: what was compared.
        score: that metric of the challenger on its own validation pictures; None where its report is gone.
        made: who made the report about it; None where no run of this state folder did.
        may_return: putting it in force again is possible: it once was, and is not now.
        by: who rolled back.
    """

    number: int
    at: float
    action: str
    reason: str
    ensemble: str
    against: str
    difference: float | None
    low: float | None
    high: float | None
    pictures: int
    metric: str
    score: Score | None
    made: Made | None
    may_return: bool
    by: str = ""


@dataclass(frozen=True)
class Member:
    """A model of the ensemble in force. `checkpoint` is a digest; `made` the task that trained it, if known here."""

    name: str
    weight: float
    backbone: str
    checkpoint: str
    is_there: bool
    made: Made | None


@dataclass(frozen=True)
class Champion:
    """The state of one attribute.

    Attributes:
        attribute: its name.
        data_root: the folder or bucket whose registry this is.
        current: the entry that put the present champion in force; None before the first promotion.
        history: oldest first.
        members: models of the ensemble in force.
        classes: names in label order.
        trouble: what is wrong with it, for instance that its files are gone; empty: nothing.
        back: the entry that a roll back without further words leads to; None: there is none.
    """

    attribute: str
    data_root: str
    current: Ruling | None
    history: Sequence[Ruling]
    members: Sequence[Member] = ()
    classes: Sequence[str] = ()
    trouble: str = ""
    back: Ruling | None = None


@dataclass(frozen=True)
class Registry:
    """The champions of one data root. `reason` says why they cannot be shown; empty: they are."""

    data_root: str
    champions: Sequence[Champion] = ()
    reason: str = ""


class Models(Protocol):
    """Who is in force, since when and why."""

    def registries(self, store: Store, bucket: str = "") -> Sequence[Registry]:
        """The champions of every data root that runs wrote to, and of the state folder's own.

        Buckets are asked only when named (`bucket`): a page must not wait for the network unasked.
        """

    def roll_back(self, store: Store, data_root: str, attribute: str, number: int, by: str, why: str) -> None:
        """Puts an earlier champion in force: of entry `number`, or of the one before the present one (0).

        Raises:
            NotFound: no such data root or attribute.
            Conflict: nothing to go back to, or its files are gone.
        """
