"""The three questions of the second seed, for every class: where is the model most sure, least sure, surely wrong?

For class c: most confident = largest p_c among the pictures predicted c; least confident = smallest p_c among them;
confidently wrong = predicted c although the label says `n` there, largest p_c first (`m` is not wrong). Ties: by
image name. Where several classes may be right, c is predicted from p_c = 0.5 on. A regression has no classes; for it
the questions are: where is the number closest, and where farthest off?
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from components.report.evidence import Rows
from components.vision import judging
from components.vision.tasks import REGRESSION

FILE = "questions_answers.parquet"
QUESTIONS = ("most_confident", "least_confident", "confidently_wrong")
OF_NUMBERS = ("closest", "farthest")
SCHEMA = pa.schema(
    [
        ("attribute", pa.string()),
        ("class_index", pa.int16()),
        ("class", pa.string()),
        ("question", pa.string()),
        ("rank", pa.int32()),
        ("image_id", pa.string()),
        ("label", pa.string()),
        ("labelled", pa.string()),
        ("probability", pa.float64()),
    ]
)


def answer(rows: Rows, class_index: int, question: str, most: int) -> npt.NDArray[np.int64]:
    """Positions of the pictures that answer one question for one class, best first.

    Args:
        rows: labelled pictures.
        class_index: class c.
        question: one of QUESTIONS, or of OF_NUMBERS for a regression.
        most: how many at most.
    """
    if question in OF_NUMBERS:
        errors = np.abs(judging.residuals(rows.probability, rows.label))
        order = np.lexsort((np.array(rows.image_id, dtype=object), errors if question == "closest" else -errors))
        return order[:most]
    chosen = np.flatnonzero(rows.predicted_as(class_index))
    if question == "confidently_wrong":
        letters = np.array([label[class_index : class_index + 1] for label in rows.label], dtype=object)
        chosen = chosen[letters[chosen] == "n"]
    confidence = rows.probability[chosen, class_index]
    names = np.array([rows.image_id[i] for i in chosen], dtype=object)
    order = np.lexsort((names, confidence if question == "least_confident" else -confidence))
    return chosen[order][:most]


def table(attribute: str, classes: tuple[str, ...], rows: Rows, most: int) -> pd.DataFrame:
    """All three questions for every class: SCHEMA's columns, ordered by class, question, rank (from 1)."""
    records = [
        _record(attribute, classes, rows, index, question, rank, int(position))
        for index in range(len(classes))
        for question in (OF_NUMBERS if rows.task.name == REGRESSION else QUESTIONS)
        for rank, position in enumerate(answer(rows, index, question, most), 1)
    ]
    return pd.DataFrame(records, columns=SCHEMA.names)


def write(frames: list[pd.DataFrame], path: Path) -> None:
    """Writes the answers of all attributes to one file."""
    tables = [
        pa.Table.from_pandas(f, schema=SCHEMA, preserve_index=False).replace_schema_metadata(None) for f in frames
    ]
    pq.write_table(pa.concat_tables(tables), path, compression="zstd")


def _record(
    attribute: str, classes: tuple[str, ...], rows: Rows, index: int, question: str, rank: int, position: int
) -> tuple[object, ...]:
    label = rows.label[position]
    names = [name for name, letter in zip(classes, label, strict=False) if letter == "y"]
    labelled = label if rows.task.name == REGRESSION else "|".join(names)
    confidence = float(rows.probability[position, index])
    return attribute, index, classes[index], question, rank, rows.image_id[position], label, labelled, confidence
