"""What was found, as tables: one row a variant (CSV, JSON, page) and one row a trained network (Parquet)."""

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from components.study.comparison import Measured
from components.study.network import Unit
from components.study.trials import Variant

DIGITS = 10  # beyond them machines differ
_FIELDS = ("difference", "low", "high")


@dataclass(frozen=True)
class Finding:
    """One variant: what it is, how large its network is, and split to how well it does."""

    variant: Variant
    units: list[Unit]
    parameters: int
    flops: int | None
    measured: dict[str, Measured]

    @property
    def minutes(self) -> float:
        """Of training, all attributes together, the mean over the seeds; NaN where one is not known."""
        found = [sum(trial.minutes for trial in trials) for trials in self.variant.trials.values()]
        return sum(found) / len(found)


def as_json(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """One entry a variant; an unknown number is null, and so is the difference of the base to itself."""
    return [
        {
            "name": f.variant.name,
            "notes": f.variant.notes,
            "changes": f.variant.changes,
            "picture": picture_file(f.variant.name),
            "parameters": f.parameters,
            "flops": f.flops,
            "minutes": _number(f.minutes),
            **{split: _measured_json(m) for split, m in f.measured.items()},
        }
        for f in findings
    ]


def write_csv(findings: Sequence[Finding], metric: str, path: Path) -> None:
    """One row a variant. A difference never stands there without its interval and verdict."""
    rows = [_flat(f, metric) for f in findings]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with open(path, "w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_trials(findings: Sequence[Finding], path: Path) -> None:
    """One row a trained network: variant, seed, attribute, model, minutes, checkpoint, metric of its seed."""
    rows = [
        {
            "variant": f.variant.name,
            "seed": seed,
            "attribute": trial.attribute,
            "model": trial.model,
            "parameters": f.parameters,
            "minutes": _number(trial.minutes),
            "checkpoint": trial.checkpoint.rsplit("/", 1)[-1],
            **{split: _number(f.measured[split].values[seed]) if split in f.measured else None for split in SPLITS},
        }
        for f in findings
        for seed, trials in f.variant.trials.items()
        for trial in trials
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=TRIALS), path, compression="zstd")


def picture_file(variant: str) -> str:
    """Name of the drawing of a variant's network."""
    return f"{variant}.svg"


SPLITS = ("valid", "test")
TRIALS = pa.schema(
    [
        *((name, pa.string()) for name in ("variant", "attribute", "model", "checkpoint")),
        *((name, pa.int64()) for name in ("seed", "parameters")),
        *((name, pa.float64()) for name in ("minutes", *SPLITS)),
    ]
)


def _flat(finding: Finding, metric: str) -> dict[str, Any]:
    row: dict[str, Any] = {
        "variant": finding.variant.name,
        "notes": finding.variant.notes,
        "parameters": finding.parameters,
        "flops": finding.flops,
        "minutes": _number(finding.minutes),
    }
    for split, measured in finding.measured.items():
        row |= _flat_measured(measured, metric if split == "valid" else f"test_{metric}")
    changes = json.dumps(finding.variant.changes, ensure_ascii=False)
    return row | {"changes": changes, "picture": picture_file(finding.variant.name)}


def _flat_measured(measured: Measured, name: str) -> dict[str, Any]:
    told = _measured_json(measured)
    row = {name: told["mean"], f"{name}_sd": told["sd"]}
    row |= {f"{name}_seed_{seed}": value for seed, value in told["seeds"].items()}
    against = told["difference"] or {}
    return row | {f"{name}_{field}": against.get(field) for field in (*_FIELDS, "verdict")}


def _measured_json(measured: Measured) -> dict[str, Any]:
    against = measured.difference
    return {
        "mean": _number(measured.mean),
        "sd": _number(measured.sd),
        "seeds": {str(seed): _number(value) for seed, value in measured.values.items()},
        "difference": against
        and {field: _number(getattr(against, field)) for field in _FIELDS} | {"verdict": against.verdict},
    }


def _number(value: float) -> float | None:
    return round(float(value), DIGITS) if math.isfinite(value) else None
