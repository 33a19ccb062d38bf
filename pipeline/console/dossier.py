"""Everything that is known about one picture, gathered from the references of one run."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.artifacts import reference, storage
from pipeline.console import album, fates, sheets, traces
from pipeline.console.sheets import Sheet
from pipeline.console.traces import Left, Traces
from pipeline.engine.records import Run
from pipeline.server.domain import pictures as domain
from pipeline.server.domain.pictures import Copy, Final, Judged, Picture, Row, View, Vote

MOST_COPIES = 24
_KINDS = {"labelled": domain.LABELLED, "pool": domain.UNLABELLED, "test": domain.QUESTION}


def picture(run: Run, found: Traces, image_id: str) -> Picture | None:
    """What happened to a picture; None where the manifest does not know it.

    Raises:
        DataError: the manifest itself is gone.
    """
    table = album.manifest_table(found.manifest)
    own = table.filter(pc.equal(table["image_id"], image_id)).to_pylist()
    rejected = list(_rejected(found, image_id))
    if not own and not rejected:
        return None
    own.sort(key=lambda row: row["round"])
    about = traces.content(found.manifest, "manifests")
    judged = [_judged(found, about, [row for row in own if row["attribute"] == name]) for name in _attributes(own)]
    first: Mapping[str, Any] = own[0] if own else {}
    return Picture(
        image_id=image_id,
        run=run,
        width=first.get("width", 0),
        height=first.get("height", 0),
        pixels=first.get("pixels", ""),
        rows=[_row(about, row, _about(judged, row["attribute"])) for row in own],
        rejected=rejected,
        copies=_copies(found, table, own),
        judged=judged,
    )


def _attributes(own: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(row["attribute"] for row in own))


def _about(judged: Sequence[Judged], attribute: str) -> Judged:
    return next(one for one in judged if one.attribute == attribute)


def _row(about: Mapping[str, Any], row: Mapping[str, Any], judged: Judged) -> Row:
    source = row["source_label"] if row["source_label"] != row["label"] else ""
    return Row(
        attribute=row["attribute"],
        round=row["round"],
        round_name=_round_name(about, row["round"]),
        kind=_kind(row),
        label=album.words(row["label"], judged.classes),
        source_label=album.words(source, judged.classes),
        letters=row["label"],
        weight=row["weight"],
        fold=row["fold"],
        role=_role(row, judged),
        reason=row["reason"],
        file=row["path"],
    )


def _kind(row: Mapping[str, Any]) -> str:
    return _KINDS.get(row["kind"], row["kind"]) if row["keep"] else domain.LEFT_OUT


def _role(row: Mapping[str, Any], judged: Judged) -> str:
    """What a labelled picture was used for: models speak of what validates them, never of what they learnt from."""
    if row["kind"] != "labelled" or not row["keep"]:
        return ""
    if any(vote.verdict for vote in judged.votes):
        return "validates"
    return "learnt from" if judged.held_out not in (-1, row["fold"]) else "held out with the validation fold"


def _round_name(about: Mapping[str, Any], number: int) -> str:
    rounds = about.get("rounds", [])
    return str(rounds[number - 1]["name"]) if 0 < number <= len(rounds) else f"round {number}"


def _judged(found: Traces, about: Mapping[str, Any], rows: list[dict[str, Any]]) -> Judged:
    row = rows[-1]  # the newest round's label is the one that counts
    classes = tuple(about["attributes"][row["attribute"]]["classes"])
    sheet = Sheet(found, row["attribute"], classes, row["image_id"], row["label"], _kind(row), [])
    ensemble = traces.of_attribute(found.ensembles, "ensembles", sheet.attribute)
    weights = _weights(ensemble)
    votes = [vote for left in ensemble for vote in _ensemble_vote(sheet, left)]
    predictions = traces.of_attribute(found.predictions, "predictions", sheet.attribute)
    votes += [vote for left in predictions for vote in _model_vote(sheet, left, weights)]
    folds = {int(traces.content(left.where, "predictions").get("fold", -1)) for left in predictions}
    return Judged(
        attribute=sheet.attribute,
        classes=classes,
        letters=sheet.letters,
        votes=votes,
        pseudo=fates.pseudo(sheet) if row["kind"] != "labelled" else None,
        final=_final(sheet),
        suspicion=_suspicion(sheet),
        views=_views(found, sheet.attribute) if row["keep"] else [],
        missing=[*_gone(found), *sheet.missing],
        held_out=folds.pop() if len(folds) == 1 else -1,
    )


def _gone(found: Traces) -> Iterator[str]:
    """References whose index is gone: nobody can say any more what they were about."""
    for name, lefts in (("ensemble", found.ensembles), ("predictions", found.predictions), ("pseudo", found.pseudo)):
        for left in lefts:
            if not traces.attribute_of(left, traces.KIND_OF[name]):
                yield f"what {left.key} made is gone"


def _weights(ensemble: list[Left]) -> dict[str, float]:
    """Digest of predictions to their weight in the ensemble."""
    told = [traces.content(left.where, "ensembles") for left in ensemble]
    return {digest: float(about["weights"].get(name, 0)) for about in told for name, digest in about["members"].items()}


def _ensemble_vote(sheet: Sheet, left: Left) -> Iterator[Vote]:
    rows = sheets.read_rows(sheet, left, "ensemble.parquet", ["probability"])
    for row in _fitting(sheet, left, rows)[:1]:
        about = traces.content(left.where, "ensembles")
        how = ", ".join(str(about[part]) for part in ("method", "generation") if about.get(part))
        yield Vote("ensemble", how, left.key, row["probability"], _verdict(sheet, row["probability"]), is_ensemble=True)


def _model_vote(sheet: Sheet, left: Left, weights: Mapping[str, float]) -> Iterator[Vote]:
    rows = sheets.read_rows(sheet, left, "predictions.parquet", ["view", "probability"])
    by_view = {row["view"]: row["probability"] for row in _fitting(sheet, left, rows)}
    mean = by_view.pop(album.MEAN, None)
    if mean is None:
        return
    about = traces.content(left.where, "predictions")
    yield Vote(
        title=f"{about['model']} {about['phase']}",
        about="student" if about["phase"] == album.STUDENT else "teacher",
        key=left.key,
        probability=mean,
        verdict=_verdict(sheet, mean),
        weight=weights.get(reference.digest_of(left.where)),
        views=[View(name, about.get("view_weights", {}).get(name), values) for name, values in by_view.items()],
    )


def _fitting(sheet: Sheet, left: Left, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those with a probability for every class of the manifest; others belong to other classes, and a word says so."""
    fitting = [row for row in rows if len(row["probability"]) == len(sheet.classes)]
    if len(fitting) < len(rows):
        sheet.missing.append(f"what {left.key} made has another number of classes than the manifest")
    return fitting


def _verdict(sheet: Sheet, probability: Sequence[float]) -> str:
    """By the letter at the answer, as the metric has it."""
    if len(sheet.letters) != len(probability) or set(sheet.letters) - set("ymn"):
        return ""
    letter = sheet.letters[max(range(len(probability)), key=lambda place: probability[place])]
    return {"y": domain.RIGHT, "n": domain.WRONG}.get(letter, domain.FUZZY)


def _final(sheet: Sheet) -> Final | None:
    """The row of the submission, found without reading it as a table: it is asked for one line."""
    report = sheet.found.report
    if report is None or sheet.kind not in (domain.QUESTION, domain.LEFT_OUT):
        return None
    out = io.StringIO()
    csv.writer(out, lineterminator=",").writerow((sheet.image_id, sheet.attribute))
    try:
        traces.refuse_bucket(report.where)
        body = b"\n" + storage.read_bytes(storage.join(report.where, "submission.csv"))
    except traces.UNREADABLE as error:
        sheet.missing.append(f"the submission cannot be read: {sheets.first_line(error)}")
        return None
    at = body.find(b"\n" + out.getvalue().encode())
    if at < 0:
        return None
    text = body[at + 1 :].partition(b"\n")[0].decode("utf-8", "replace")
    return Final(body.count(b"\n", 0, at) + 1, text, report.key)


def _suspicion(sheet: Sheet) -> int:
    """Its rank among the labels that the report holds for mistaken."""
    if sheet.found.report is None or sheet.kind != domain.LABELLED:
        return 0
    rows = sheets.read_rows(sheet, sheet.found.report, "label_issues.parquet", ["attribute", "rank"])
    return next((int(row["rank"]) for row in rows if row["attribute"] == sheet.attribute), 0)


def _views(found: Traces, attribute: str) -> list[str]:
    made = traces.of_attribute(found.shards, "shards", attribute)
    return [str(name) for name in traces.content(made[0].where, "shards")["views"]] if made else []


def _rejected(found: Traces, image_id: str) -> Iterator[str]:
    path = reference.open_file(found.manifest, "rejected.parquet")
    for row in pq.read_table(path, filters=[("image_id", "==", image_id)]).to_pylist():
        line = f" line {row['line']}" if row["line"] else ""
        yield f"{row['file']}{line} ({row['attribute']}): {row['reason']}"


def _copies(found: Traces, table: Any, own: list[dict[str, Any]]) -> list[Copy]:
    """Pictures of the same group. Group numbers from 0 on; -1 belongs to none."""
    if not own:
        return []
    groups = pa.array(sorted({row["group"] for row in own if row["group"] >= 0}), pa.int64())
    same = table.filter(pc.is_in(table["group"], value_set=groups)).to_pylist()
    others = [row for row in same if row["image_id"] != own[0]["image_id"]]
    pairs = _pairs(found, own[0]["image_id"]) if others else {}
    return [_copy(row, own[0]["pixels"], pairs.get(row["image_id"])) for row in others[:MOST_COPIES]]


def _copy(row: Mapping[str, Any], pixels: str, pair: Mapping[str, Any] | None) -> Copy:
    if row["pixels"] and row["pixels"] == pixels:
        how = "equal pixels"
    elif pair:
        how = f"nearly the same, {pair['distance']} of 64 bits of the fingerprint differ"
    else:
        how = "alike by way of another copy"
    return Copy(row["image_id"], row["attribute"], row["round"], how, pair["same_label"] if pair else "")


def _pairs(found: Traces, image_id: str) -> dict[str, Mapping[str, Any]]:
    """The other picture of every pair that this one is in."""
    path = reference.open_file(found.manifest, "duplicates.parquet")
    either = [[("image_a", "==", image_id)], [("image_b", "==", image_id)]]
    rows = pq.read_table(path, filters=either).to_pylist()
    return {row["image_b"] if row["image_a"] == image_id else row["image_a"]: row for row in rows}
