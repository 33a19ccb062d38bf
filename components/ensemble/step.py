"""The work of ensemble: members in, one prediction of every validation and test picture out, with the gain table."""

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components import entry, knobs, progress
from components.artifacts import ensembles, reference
from components.ensemble import members as models
from components.ensemble import methods, stages
from components.ensemble.members import Members, Rows
from components.ensemble.methods import Candidate, Generation
from components.ensemble.settings import Inputs, Settings
from components.vision import bootstrap, calibration, fusion, judging
from components.vision.bootstrap import Interval
from components.vision.metrics import Floats


def run(settings: Settings, inputs: Inputs, outputs: entry.Outputs) -> entry.Summary:
    """Makes the ensemble of one attribute.

    Raises:
        DataError: models that do not fit each other.
    """
    found = models.read(inputs.teachers, inputs.students, inputs.earlier)
    if len(found.earlier) < len(inputs.earlier):
        progress.log("the gain table lacks round 1: it was judged on other validation pictures")
    generation = methods.choose_generation(found.teachers, found.students, found.judged, settings, inputs.seed)
    chosen, tried = methods.choose_method(generation.members, found.judged, settings, inputs.seed)
    progress.log(f"generation {generation.name}: {generation.why}")
    for candidate in tried[1:]:
        progress.log(f"{candidate.method} against equal weights: {_words(candidate.against_equal)}")
    progress.log(f"method {chosen.method}")
    table = stages.table(found, generation.members, chosen.valid, settings, inputs.seed)
    for row in table:
        progress.log(_line(row))
    content = _content(found, generation, chosen, tried, inputs, settings)
    with reference.draft(inputs.data_root, ensembles.KIND) as draft:
        pq.write_table(_table(found, generation, chosen), draft.folder / ensembles.FILE, compression="zstd")
        stages.write(table, draft.folder / ensembles.STAGES_FILE)
        made_by = {"step": "ensemble", "settings": knobs.as_mapping(settings) | {"seed": inputs.seed}}
        published = draft.commit(content, made_by | {"parents": content["inputs"]})
    shown = {"method": chosen.method, "generation": generation.name, "ensemble": published} | content["metrics"]
    return entry.Summary({"ensemble": published}, {"metrics": shown})


def _table(found: Members, generation: Generation, chosen: Candidate) -> pa.Table:
    stack = np.stack([member.test for member in generation.members])
    test = fusion.weighted_mean(stack, chosen.weights, chosen.mean)
    valid, test = (judging.in_classes(found.task, rows, len(found.classes)) for rows in (chosen.valid, test))
    columns: list[list[Any]] = [[] for _ in ensembles.SCHEMA]
    for split, rows, probabilities in (("valid", found.valid, valid), ("test", found.test, test)):
        for column, values in zip(columns, _columns(split, rows, probabilities), strict=True):
            column.extend(values)
    arrays = [pa.array(values, type=field.type) for values, field in zip(columns, ensembles.SCHEMA, strict=True)]
    return pa.Table.from_arrays(arrays, schema=ensembles.SCHEMA)


def _columns(split: str, rows: Rows, probabilities: Floats) -> tuple[list[Any], ...]:
    count = len(rows.image_id)
    return rows.image_id, [split] * count, rows.label, rows.group.tolist(), probabilities.tolist()


def _content(
    found: Members,
    generation: Generation,
    chosen: Candidate,
    tried: list[Candidate],
    inputs: Inputs,
    settings: Settings,
) -> dict[str, Any]:
    names = [member.name for member in generation.members]
    return {
        "attribute": found.attribute,
        "classes": found.classes,
        **found.about,
        "method": chosen.method,
        "mean": chosen.mean,
        "weights": dict(zip(names, map(float, chosen.weights), strict=True)),
        "members": {member.name: member.digest for member in generation.members},
        "generation": generation.name,
        "why": generation.why,
        "students_against_teachers": _finite(generation.students_against_teachers),
        "methods_against_equal": {c.method: _finite(c.against_equal) for c in tried[1:]},
        "error_correlation": _correlation(generation, found.judged),
        "metrics": _metrics(found, generation, chosen, settings, inputs.seed),
        "inputs": [Path(uri).name for uri in [*inputs.teachers, *inputs.students, *inputs.earlier]],
    }


def _correlation(generation: Generation, rows: Rows) -> dict[str, Any]:
    if not rows.label:
        return {"names": [], "values": []}
    stack = np.stack([member.mean for member in generation.members])
    names = [member.name for member in generation.members]
    return {"names": names, "values": fusion.error_correlation(stack, rows.label)}


def _metrics(
    found: Members, generation: Generation, chosen: Candidate, settings: Settings, seed: int
) -> dict[str, float]:
    """Finite numbers: the honest metric, its calibration, and the gain over the best single model."""
    rows = found.judged
    values = {metric: bootstrap.exact(chosen.valid, rows.label, metric) for metric in bootstrap.METRICS}
    values |= {"valid_pictures": len(found.valid.image_id), "test_pictures": len(found.test.image_id)}
    values["ece"] = calibration.expected_calibration_error(chosen.valid, rows.label)
    if rows.label:
        best = stages.best_single(generation.members, rows)
        gain = bootstrap.paired_bootstrap(
            chosen.valid, best.mean, rows.label, rows.group, "ap", settings.resamples, seed
        )
        values |= {"over_best_single": gain.difference, "over_best_low": gain.low, "over_best_high": gain.high}
    in_classes = judging.in_classes(found.task, chosen.valid, len(found.classes))
    values |= judging.own_measures(found.task, in_classes, found.valid.label)
    return {name: value for name, value in values.items() if math.isfinite(value)}


def _finite(found: Interval | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in asdict(found).items()}


def _words(found: Interval | None) -> str:
    if found is None:
        return "not compared"
    return f"{found.difference:+.4f} ({found.low:+.4f} to {found.high:+.4f}) {found.verdict}"


def _line(row: dict[str, Any]) -> str:
    ap = "undefined" if row["ap"] is None else f"{row['ap']:.4f}"
    gain = (
        ""
        if row["ci_low"] is None
        else (f", {row['difference']:+.4f} ({row['ci_low']:+.4f} to {row['ci_high']:+.4f}) {row['p_noise']}")
    )
    return f"{row['stage']}: AP {ap}, accuracy {row['accuracy']:.4f}{gain}"
