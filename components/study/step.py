"""The work of study: trials to variants to differences to page, tables and drawings, as one reference."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from components import entry, knobs
from components.artifacts import reference
from components.progress import log
from components.study import comparison, drawing, network, page, tables, trials
from components.study.settings import Inputs, Settings
from components.study.tables import Finding
from components.study.trials import Variant
from components.vision import complexity, inference

KIND = "studies"


def run(settings: Settings, inputs: Inputs, outputs: entry.Outputs) -> entry.Summary:
    """Writes `study.html`, `study.csv`, `study.json`, `trials.parquet` and a drawing of each variant's network."""
    variants = trials.read(inputs.predictions, inputs.data_root, settings)
    measured = comparison.compare(variants, settings, inputs.seed)
    findings = [_finding(variant, found) for variant, found in zip(variants, measured, strict=True)]
    about = _about(findings, settings)
    with reference.draft(inputs.data_root, KIND) as draft:
        html = page.render(findings, about | {"method": comparison.METHOD})
        _write(draft.folder, findings, about, html)
        outputs.write_text("page", html)
        outputs.artifacts["table"].write_bytes((draft.folder / "study.csv").read_bytes())
        content = {"variants": [v.name for v in variants], **about}
        parents = [reference.digest_of(uri) for uri in inputs.predictions]
        made_by = {"settings": knobs.as_mapping(settings) | {"seed": inputs.seed}, "parents": parents}
        uri = draft.commit(content, {"step": "study", **made_by})
    log(f"{len(variants)} variants, {len(about['seeds'])} seeds each, against {about['base']}")
    return entry.Summary({"study": uri}, {"table": {"reference": uri}, "metrics": _metrics(findings)})


def _finding(variant: Variant, measured: dict[str, comparison.Measured]) -> Finding:
    """Sizes are those of the network for the first attribute: for another only the last layer differs."""
    first = next(iter(variant.trials.values()))[0]
    model = inference.load(first.checkpoint).model
    return Finding(variant, network.units_of(model), int(model.count_params()), _flops(model), measured)


def _flops(model: keras.Model) -> int | None:
    """None for a network with a layer that nobody has counted yet: hours of training must not fail over that."""
    try:
        return complexity.flops(model)
    except NotImplementedError as error:
        log(f"FLOPs are not known: {error}")
        return None


def _about(findings: Sequence[Finding], settings: Settings) -> dict[str, Any]:
    base = findings[0]
    counted = next(iter(base.variant.trials.values()))
    return {
        "base": base.variant.name,
        "metric": settings.metric,
        "seeds": list(base.variant.trials),
        "attributes": [trial.attribute for trial in counted],
        "pictures": {split: sum(len(trial.rows[split].image_id) for trial in counted) for split in trials.SPLITS},
        "comparisons": len(findings) - 1,
        "resamples": settings.resamples,
    }


def _write(folder: Path, findings: Sequence[Finding], about: dict[str, Any], html: str) -> None:
    whole = about | {"method": comparison.METHOD, "variants": tables.as_json(findings)}
    text = json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    (folder / "study.json").write_text(text, encoding="utf-8")
    (folder / "study.html").write_text(html, encoding="utf-8")
    tables.write_csv(findings, about["metric"], folder / "study.csv")
    tables.write_trials(findings, folder / "trials.parquet")
    for finding in findings:
        name = finding.variant.name
        (folder / tables.picture_file(name)).write_text(drawing.network(name, finding.units), encoding="utf-8")


def _metrics(findings: Sequence[Finding]) -> dict[str, float]:
    """Flat finite numbers: `<variant>.valid`, `<variant>.test`, `<variant>.parameters`."""
    found: dict[str, float] = {}
    for row in tables.as_json(findings):
        found[f"{row['name']}.parameters"] = row["parameters"]
        found |= {f"{row['name']}.{s}": row[s]["mean"] for s in trials.SPLITS if s in row}
    return {name: value for name, value in found.items() if value is not None}
