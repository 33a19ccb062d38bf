"""Labels that are probably wrong: a ranked list of proposals for a person to look at. Nothing is changed by it.

cleanlab finds them on validation-fold probabilities, which come from models that never saw the picture. A prediction
on a class marked `m` agrees with its label. The more of the single models contradict the label, the higher it ranks.
Where several classes may be right, each class is looked at by itself: this one, or not. A regression has no classes, so
no label of it is ever proposed; its pictures with the largest errors are one of `questions`.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from cleanlab.filter import find_label_issues  # type: ignore[import-untyped]

from components.report.evidence import Rows
from components.vision.tasks import MULTI_LABEL

FILE = "label_issues.parquet"
SCHEMA = pa.schema(
    [
        ("attribute", pa.string()),
        ("rank", pa.int32()),
        ("image_id", pa.string()),
        ("label", pa.string()),
        ("labelled", pa.string()),
        ("predicted", pa.string()),
        ("probability_labelled", pa.float64()),
        ("probability_predicted", pa.float64()),
        ("models", pa.int16()),
        ("models_against", pa.int16()),
    ]
)
Answers = Mapping[str, Mapping[str, int]]


def find(rows: Rows, filter_by: str = "prune_by_noise_rate") -> npt.NDArray[np.int64]:
    """Positions of the rows whose label looks wrong, least plausible label first.

    Rows without a `y` are never proposed, nor any where several classes may be right. With fewer than two classes
    among the labels there is nothing to compare.
    """
    agreed = _agreed_classes(rows) if rows.task.is_exclusive else np.empty(0, dtype=np.int64)
    usable = np.flatnonzero(agreed >= 0)
    if len(np.unique(agreed[usable])) < 2:
        return np.empty(0, dtype=np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of every class without examples, which is usual here
        found = find_label_issues(
            agreed[usable],
            _normalised(rows.probability[usable]),
            filter_by=filter_by,
            return_indices_ranked_by="self_confidence",
            n_jobs=1,
        )
    positions = usable[np.asarray(found, dtype=np.int64)]
    kept: npt.NDArray[np.int64] = positions[agreed[positions] != rows.predicted[positions]]
    return kept


def table(attribute: str, classes: tuple[str, ...], rows: Rows, models: Answers, filter_by: str) -> pd.DataFrame:
    """The proposals of one attribute: SCHEMA's columns, rank from 1.

    Args:
        attribute: its name.
        classes: K class names.
        rows: validation pictures.
        models: answers of the single models, model name to (image id to class index); may be empty. Where several
            classes may be right such an answer says nothing about the others, and is left out.
        filter_by: cleanlab's name of the rule that picks.
    """
    if rows.task.name == MULTI_LABEL:
        return _class_by_class(attribute, classes, rows, filter_by)
    positions = find(rows, filter_by)
    against = {int(p): _against(rows, int(p), models) for p in positions}
    share = {p: contra / max(asked, 1) for p, (contra, asked) in against.items()}
    ranked = sorted(
        map(int, positions), key=lambda p: (-share[p], rows.probability[p, rows.label[p].index("y")], rows.image_id[p])
    )
    records = [_record(attribute, classes, rows, rank, p, against[p]) for rank, p in enumerate(ranked, 1)]
    return pd.DataFrame(records, columns=SCHEMA.names)


def _class_by_class(attribute: str, classes: tuple[str, ...], rows: Rows, filter_by: str) -> pd.DataFrame:
    """Proposals about single classes, least plausible first; a picture may be proposed for several."""
    found = [
        table(attribute, (f"not {name}", name), _of_class(rows, index), {}, filter_by)
        for index, name in enumerate(classes)
    ]
    together = pd.concat([frame for frame in found if len(frame)] or found[:1], ignore_index=True)
    ranked = together.sort_values(["probability_labelled", "image_id", "labelled"])
    label = dict(zip(rows.image_id, rows.label, strict=True))
    return ranked.assign(rank=range(1, len(ranked) + 1), label=[label[name] for name in ranked["image_id"]])


def _of_class(rows: Rows, index: int) -> Rows:
    """The same pictures with two exclusive classes: not this one, this one."""
    each, step = rows.decisions, rows.probability.shape[1]
    return Rows(rows.image_id, each.label[index::step], rows.group, each.probability[index::step])


def write(frames: list[pd.DataFrame], path: Path) -> None:
    """Writes the proposals of all attributes to one file."""
    tables = [
        pa.Table.from_pandas(f, schema=SCHEMA, preserve_index=False).replace_schema_metadata(None) for f in frames
    ]
    pq.write_table(pa.concat_tables(tables), path, compression="zstd")


def _agreed_classes(rows: Rows) -> npt.NDArray[np.int64]:
    """(n,) class by the label, or the predicted one where the label marks it `m`; -1 without a `y`."""
    pairs = zip(rows.label, rows.predicted, strict=True)
    return np.array([int(p) if label[p : p + 1] == "m" else label.find("y") for label, p in pairs], dtype=np.int64)


def _normalised(probability: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Rows that sum to 1, as cleanlab wants them; an ensemble's geometric mean need not."""
    return np.asarray(probability / np.maximum(probability.sum(axis=1, keepdims=True), 1e-300))


def _against(rows: Rows, position: int, models: Answers) -> tuple[int, int]:
    """How many models answered a class the label calls `n`, of how many that answered."""
    answers = [model[rows.image_id[position]] for model in models.values() if rows.image_id[position] in model]
    return sum(rows.label[position][a] == "n" for a in answers), len(answers)


def _record(
    attribute: str, classes: tuple[str, ...], rows: Rows, rank: int, position: int, against: tuple[int, int]
) -> tuple[object, ...]:
    label, predicted = rows.label[position], int(rows.predicted[position])
    given = label.index("y")
    probability = rows.probability[position]
    return (
        attribute,
        rank,
        rows.image_id[position],
        label,
        classes[given],
        classes[predicted],
        float(probability[given]),
        float(probability[predicted]),
        against[1],
        against[0],
    )
