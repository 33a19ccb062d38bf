"""How models are averaged and which generation takes part: decided on validation rows, out of fold. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from components.ensemble.members import Member, Rows
from components.ensemble.settings import Settings
from components.vision import bootstrap, fusion
from components.vision.bootstrap import Interval
from components.vision.metrics import Floats


@dataclass(frozen=True)
class Candidate:
    """One way to average.

    Attributes:
        method: `equal`, `geometric`, `greedy` or `fitted`.
        valid: (n, K) float64, honest: weights of the greedy and fitted methods come from the other half of the rows.
        weights: (m,) on the simplex, from all rows, for the questions.
        mean: `arithmetic` or `geometric`.
        against_equal: None for equal itself.
    """

    method: str
    valid: Floats
    weights: Floats
    mean: str
    against_equal: Interval | None


@dataclass(frozen=True)
class Generation:
    """Who takes part, and why: `teachers`, `students` or `both`."""

    name: str
    members: list[Member]
    why: str
    students_against_teachers: Interval | None


def choose_generation(
    teachers: Sequence[Member], students: Sequence[Member], rows: Rows, settings: Settings, seed: int
) -> Generation:
    """Keeps the students if they pass the gate, and then the teachers too unless they pull the students down.

    Args:
        teachers: at least one.
        students: may be empty.
        rows: the validation rows.
        settings: knobs `generation`, `student_gate`, `resamples`.
        seed: of the resamples.
    """
    everybody = [*teachers, *students]
    if not students:
        return Generation("teachers", list(teachers), "there are no students", None)
    sets = {"teachers": list(teachers), "students": list(students), "both": everybody}
    against = _compared(students, teachers, rows, settings, seed)
    if settings.generation != "auto":
        return Generation(settings.generation, sets[settings.generation], "as the settings say", against)
    if not rows.label:
        return Generation("both", everybody, "no validation rows to decide by", None)
    if refused := _refused(against, settings.student_gate):
        return Generation("teachers", sets["teachers"], refused, against)
    if _compared(everybody, students, rows, settings, seed).verdict == bootstrap.LOSS:
        return Generation("students", sets["students"], "the teachers would pull the students down", against)
    return Generation("both", everybody, f"the students' difference to the teachers is a {against.verdict}", against)


def _refused(against: Interval, gate: str) -> str:
    """Why the students are dropped; empty when they pass."""
    if against.verdict == bootstrap.LOSS:
        return "the students lose against the teachers"
    if gate == "gain" and against.verdict != bootstrap.GAIN:
        return "the students show no gain over the teachers, only noise"
    return ""


def choose_method(
    members: Sequence[Member], rows: Rows, settings: Settings, seed: int
) -> tuple[Candidate, list[Candidate]]:
    """The way to average, and every way that was tried.

    `auto` takes the method with the largest gain among those whose whole interval against equal weights is above 0.
    Greedy and fitted must pass the same test when asked for by name; equal and geometric have nothing to fit.
    """
    stack = np.stack([member.mean for member in members])
    equal = _equal(stack, "equal", "arithmetic", None)
    if len(members) == 1 or settings.method == "equal" or len(np.unique(rows.group)) < 2:
        return equal, [equal]
    wanted = ("geometric", "greedy", "fitted") if settings.method == "auto" else (settings.method,)
    tried = [_candidate(name, stack, equal.valid, rows, settings, seed) for name in wanted]
    if settings.method == "geometric":
        return tried[0], [equal, *tried]
    proven = [c for c in tried if c.against_equal and c.against_equal.verdict == bootstrap.GAIN]
    best = max(proven, key=lambda c: c.against_equal.difference if c.against_equal else 0.0, default=equal)
    return best, [equal, *tried]


def mean_of(members: Sequence[Member], *, plain: bool = False) -> Floats:
    """(n, K) float64, all members alike: of their plain views, or of their means over the views."""
    stack = np.stack([member.plain if plain else member.mean for member in members])
    return fusion.weighted_mean(stack, fusion.equal_weights(len(stack)))


def _compared(first: Sequence[Member], second: Sequence[Member], rows: Rows, settings: Settings, seed: int) -> Interval:
    pair = mean_of(first), mean_of(second)
    return bootstrap.paired_bootstrap(*pair, rows.label, rows.group, "ap", settings.resamples, seed)


def _equal(stack: Floats, method: str, mean: str, against: Interval | None) -> Candidate:
    weights = fusion.equal_weights(len(stack))
    return Candidate(method, fusion.weighted_mean(stack, weights, mean), weights, mean, against)


def _candidate(method: str, stack: Floats, equal: Floats, rows: Rows, settings: Settings, seed: int) -> Candidate:
    def compared(valid: Floats) -> Interval:
        return bootstrap.paired_bootstrap(valid, equal, rows.label, rows.group, "ap", settings.resamples, seed)

    if method == "geometric":
        found = _equal(stack, method, "geometric", None)
        return Candidate(method, found.valid, found.weights, found.mean, compared(found.valid))
    fit = fusion.fit_weights if method == "fitted" else partial(fusion.fit_greedy, steps=settings.greedy_steps)
    honest = fusion.cross_fitted(stack, rows.label, rows.group, fit, mean="arithmetic", seed=seed)
    return Candidate(method, honest, fit(stack, rows.label), "arithmetic", compared(honest))
