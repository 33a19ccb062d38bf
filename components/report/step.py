"""The work of the step report: scores, submission, the three questions, label issues and the page, as one reference."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from components import entry, knobs
from components.artifacts import manifest, reference, submission
from components.errors import DataError
from components.progress import log
from components.report import (
    curves,
    dataset,
    evidence,
    gains,
    gallery,
    issues,
    lineage,
    page,
    pictures,
    questions,
    sections,
)
from components.report.evidence import Attribute
from components.report.lineage import Node
from components.report.scores import Scores, as_json, finite, score
from components.report.settings import Inputs, Settings


@dataclass(frozen=True)
class Findings:
    """Everything the files of the report are written from, in the order of the attributes."""

    attributes: list[Attribute]
    manifest: pd.DataFrame
    scores: Scores
    nodes: list[list[Node]]
    questions: list[pd.DataFrame]
    issues: list[pd.DataFrame]


def run(settings: Settings, inputs: Inputs, outputs: entry.Outputs) -> entry.Summary:
    """Writes `submission.csv`, `scores.json`, `label_issues.parquet`, `questions_answers.parquet` and `report.html`."""
    found = _find(settings, inputs)
    with reference.draft(inputs.data_root, "reports") as draft:
        answered, unanswered = _write_submission(found, draft.folder / "submission.csv")
        issues.write(found.issues, draft.folder / issues.FILE)
        questions.write(found.questions, draft.folder / questions.FILE)
        scores = as_json(found.scores, found.attributes, settings)
        (draft.folder / "scores.json").write_text(
            json.dumps(scores, indent=1, allow_nan=False) + "\n", encoding="utf-8"
        )
        html = page.render(_values(found, settings, inputs, answered, unanswered))
        (draft.folder / "report.html").write_text(html, encoding="utf-8")
        outputs.write_text("report_page", html)
        outputs.artifacts["submission"].write_bytes((draft.folder / "submission.csv").read_bytes())
        uri = draft.commit(_content(found, scores, inputs, unanswered), _made_by(settings, inputs))
    log(f"{len(found.attributes)} attributes, {answered} questions answered")
    metadata: dict[str, dict[str, Any]] = {
        "submission": {"reference": uri, "rows": answered},
        "metrics": finite(found.scores),
    }
    return entry.Summary({"report": uri}, metadata)


def _find(settings: Settings, inputs: Inputs) -> Findings:
    attributes = evidence.read(inputs.ensembles)
    nodes = [lineage.trace(inputs.data_root, a) for a in attributes]
    models = [lineage.answers(inputs.data_root, n) for n in nodes]
    return Findings(
        attributes=attributes,
        manifest=manifest.read(inputs.manifest),
        scores=score(attributes, settings, inputs.seed),
        nodes=nodes,
        questions=[questions.table(a.name, a.classes, a.valid, settings.per_question) for a in attributes],
        issues=[
            issues.table(a.name, a.classes, a.valid, m, settings.issue_filter)
            for a, m in zip(attributes, models, strict=True)
        ],
    )


def _write_submission(found: Findings, path: Path) -> tuple[int, list[str]]:
    """Answers every question of the attributes there are.

    Returns:
        How many questions were answered, and the attributes of the question file that no ensemble answers.
    """
    rows = found.manifest[found.manifest["kind"] == "test"]
    covered = {a.name for a in found.attributes}
    asked = [(str(i), str(a)) for i, a in zip(rows["image_id"], rows["attribute"], strict=True) if a in covered]
    if len(set(asked)) < len(asked):
        raise DataError(f"{len(asked) - len(set(asked))} questions of the manifest are asked twice; keep each once")
    answers = {a.name: (a.test.image_id, a.test.probability) for a in found.attributes}
    submission.write_submission(asked, answers, path)
    return len(asked), sorted(set(map(str, rows["attribute"])) - covered)


def _values(
    found: Findings, settings: Settings, inputs: Inputs, answered: int, unanswered: list[str]
) -> dict[str, Any]:
    """What the template needs."""
    rounds: Sequence[Mapping[str, Any]] = inputs.rounds
    grids = _grids(found, settings, rounds)
    return {
        "headline": sections.headline(found.scores),
        "facts": _facts(found, rounds, answered),
        "unanswered": unanswered,
        "undefined": found.scores.undefined,
        "metric_rows": sections.metric_rows(found.scores),
        "own_rows": sections.own_rows(found.scores),
        "resamples": settings.resamples,
        "stages": gains.stage_tables(found.attributes),
        "attributes": [_attribute(found, place, settings, inputs, grids) for place in range(len(found.attributes))],
        "data_columns": dataset.COLUMNS,
        "data_rows": dataset.summary(found.manifest, [a.name for a in found.attributes], rounds),
        "rejected": dataset.rejected(inputs.manifest),
        "rounds": rounds,
        "manifest": reference.digest_of(inputs.manifest),
    }


def _grids(found: Findings, settings: Settings, rounds: Sequence[Mapping[str, Any]]) -> list[list[gallery.Grid]]:
    places = pictures.places(found.manifest, rounds)
    album = pictures.Album(places, settings.thumbnail_px, settings.thumbnail_quality)
    tables = [*found.questions, *found.issues]
    most = [settings.grid_pictures] * len(found.questions) + [settings.issue_pictures] * len(found.issues)
    return gallery.build(album, tables, most, settings.picture_kilobytes * 1000)


def _attribute(
    found: Findings, place: int, settings: Settings, inputs: Inputs, grids: list[list[gallery.Grid]]
) -> dict[str, Any]:
    attribute, nodes = found.attributes[place], found.nodes[place]
    asked, proposed = grids[place], grids[len(found.attributes) + place]
    return {
        "name": attribute.name,
        "classes": attribute.classes,
        "method": attribute.content.get("method", ""),
        "generation": attribute.content.get("generation", ""),
        "why": attribute.content.get("why", ""),
        "weights": sections.weights(attribute.content),
        "choices": gains.choices(attribute.content),
        "correlation": gains.correlation(attribute.content),
        "curves": curves.of_models(lineage.trainings(inputs.data_root, nodes)),
        "task": attribute.task.name,
        "confusion": sections.confusion_table(attribute) if attribute.task.is_exclusive else None,
        "by_class": sections.class_table(attribute),
        "scatter": sections.scatter(attribute),
        "confidence": sections.confidence(attribute, found.scores.attributes[attribute.name].ece, settings),
        "blocks": gallery.question_blocks(attribute.classes, found.questions[place], asked),
        "issues": gallery.issue_cards(proposed),
        "num_issues": len(found.issues[place]),
        "lineage": sections.lineage_rows(nodes),
    }


def _facts(found: Findings, rounds: Sequence[Mapping[str, Any]], answered: int) -> list[tuple[str, str]]:
    num_valid = sum(len(a.valid.image_id) for a in found.attributes)
    kept = found.manifest[(found.manifest["kind"] == "labelled") & found.manifest["keep"]]
    return [
        _counted("attribute", len(found.attributes)),
        _counted("round", len(rounds)),
        _counted("labelled picture", len(kept)),
        ("of them for validation", f"{num_valid:,}"),
        ("questions answered", f"{answered:,}"),
    ]


def _counted(noun: str, count: int) -> tuple[str, str]:
    return (noun if count == 1 else f"{noun}s", f"{count:,}")


def _content(found: Findings, scores: dict[str, Any], inputs: Inputs, unanswered: list[str]) -> dict[str, Any]:
    return {
        "attributes": {
            name: {m: s[m]["value"] for m in ("ap", "basic_precision", "accuracy")}
            for name, s in scores["attributes"].items()
        },
        "total": scores["total"],
        "ensembles": {a.name: reference.digest_of(a.reference) for a in found.attributes},
        "manifest": reference.digest_of(inputs.manifest),
        "unanswered": unanswered,
    }


def _made_by(settings: Settings, inputs: Inputs) -> dict[str, Any]:
    parents = [reference.digest_of(inputs.manifest), *map(reference.digest_of, inputs.ensembles)]
    return {"step": "report", "settings": knobs.as_mapping(settings) | {"seed": inputs.seed}, "parents": parents}
