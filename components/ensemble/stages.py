"""The gain table: what every stage is worth, each against the one it builds on, with its paired bootstrap interval."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from components.artifacts.ensembles import STAGES_SCHEMA
from components.ensemble import methods
from components.ensemble.members import Member, Members, Rows
from components.ensemble.settings import Settings
from components.vision import bootstrap, metrics
from components.vision.metrics import Floats

ALL_MODELS = ""
BEST = "best single model"


@dataclass(frozen=True)
class Stage:
    """One row to be.

    Attributes:
        name: of the stage.
        model: the model it speaks of; "" for all of them, averaged.
        probabilities: (n, K) float64 of the validation rows.
        against: name of the stage it is compared with; "" for the first.
    """

    name: str
    model: str
    probabilities: Floats
    against: str


def table(
    members: Members, chosen: Sequence[Member], ensemble: Floats, settings: Settings, seed: int
) -> list[dict[str, Any]]:
    """The rows of the gain table; none without validation rows.

    Args:
        members: all models.
        chosen: the models that the ensemble is made of.
        ensemble: (n, K) float64, the honest estimate of the final ensemble.
        settings: knob `resamples`.
        seed: of the resamples, the same for all stages.
    """
    if not members.judged.label:
        return []
    # The stages before speak of averaged models already; what averaging itself is worth shows against one model alone.
    best = Stage(BEST, ALL_MODELS, best_single(chosen, members.judged).mean, "")
    stages = [*_stages(members, ALL_MODELS), best, Stage("ensemble", ALL_MODELS, ensemble, BEST)]
    rows = _rows(stages, members, settings.resamples, seed)
    for member in members.teachers:
        rows += _rows(list(_stages(members, member.model)), members, settings.resamples, seed)
    return rows


def write(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Writes the gain table; undefined numbers are null."""
    columns = [pa.array([row[f.name] for row in rows], type=f.type) for f in STAGES_SCHEMA]
    pq.write_table(pa.Table.from_arrays(columns, schema=STAGES_SCHEMA), path, compression="zstd")


def _stages(members: Members, model: str) -> Iterator[Stage]:
    """The stages of one model, or of all models equally weighted: then averaging is in every one of the numbers.

    Like is compared with like: plain views with plain views, means over the views with such means.
    """
    prefix = f"{model}: " if model else ""
    earlier, teachers, students = (
        [m for m in generation if model in (ALL_MODELS, m.model)]
        for generation in (members.earlier, members.teachers, members.students)
    )
    first, teacher = f"{prefix}round 1", prefix + _teacher(members)
    student = prefix + ("student" if model else "students")
    if earlier:
        yield Stage(first, model, methods.mean_of(earlier, plain=True), "")
    yield Stage(teacher, model, methods.mean_of(teachers, plain=True), first if earlier else "")
    yield Stage(f"{teacher} + views", model, methods.mean_of(teachers), teacher)
    if students:
        yield Stage(student, model, methods.mean_of(students, plain=True), teacher)
        yield Stage(f"{student} + views", model, methods.mean_of(students), f"{teacher} + views")


def _teacher(members: Members) -> str:
    return {"round1": "round 1", "round2": "round 2"}.get(members.teachers[0].phase, "teachers")


def _rows(stages: Sequence[Stage], members: Members, resamples: int, seed: int) -> list[dict[str, Any]]:
    by_name = {stage.name: stage for stage in stages}
    return [_row(stage, by_name.get(stage.against), members, resamples, seed) for stage in stages]


def _row(stage: Stage, before: Stage | None, members: Members, resamples: int, seed: int) -> dict[str, Any]:
    rows = members.judged
    score = metrics.average_precision(stage.probabilities, rows.label)
    row = {
        "attribute": members.attribute,
        "stage": stage.name,
        "model": stage.model,
        "ap": score.ap,
        "basic_precision": score.basic_precision,
        "accuracy": score.accuracy,
        "rows": len(members.valid.image_id),
        "against": stage.against,
    }
    columns = (("difference", "ci_low", "ci_high", "p_noise"), _ACCURACY)
    for names, metric in zip(columns, ("ap", "accuracy"), strict=True):
        row |= dict(zip(names, _gain(stage, before, rows, metric, resamples, seed), strict=True))
    return {name: None if isinstance(v, float) and math.isnan(v) else v for name, v in row.items()}


_ACCURACY = ("accuracy_difference", "accuracy_low", "accuracy_high", "accuracy_verdict")


def _gain(
    stage: Stage, before: Stage | None, rows: Rows, metric: str, resamples: int, seed: int
) -> tuple[float | None, float | None, float | None, str]:
    if before is None:
        return None, None, None, ""
    found = bootstrap.paired_bootstrap(
        stage.probabilities, before.probabilities, rows.label, rows.group, metric, resamples, seed
    )
    return found.difference, found.low, found.high, found.verdict


def best_single(members: Sequence[Member], rows: Rows) -> Member:
    """The member with the highest AP of its mean over the views; the first where none is defined."""
    merits = [bootstrap.exact(member.mean, rows.label) for member in members]
    return members[max(range(len(members)), key=lambda i: -1.0 if math.isnan(merits[i]) else merits[i])]
