"""When refused rows are too many: then the data set as a whole is wrong, and the run stops before it costs hours."""

from collections import Counter
from collections.abc import Iterable

import pandas as pd

from components.errors import DataError
from components.ingest.rows import Reading, Rejected, category

_NAMED_REASONS = 3


def check_share(reading: Reading, limit: float) -> None:
    """Stops where no labelled row is usable, or where more than the allowed share was refused.

    Raises:
        DataError: names the commonest reasons, with one example of each.
    """
    rejected = reading.rejected
    total = len(rejected) + sum(row.kind != "test" for row in reading.rows)
    if not any(row.kind == "labelled" for row in reading.rows):
        raise DataError(f"no usable labelled row among {total}: {worst(rejected) or 'the data set is empty'}")
    if len(rejected) > limit * total:
        raise DataError(
            f"{len(rejected)} of {total} rows are refused, a larger share than max_rejected={limit:g}: "
            f"{worst(rejected)}; mend the data or raise max_rejected"
        )


def check_attributes(table: pd.DataFrame, reading: Reading) -> None:
    """Stops where an attribute has lost all its labelled rows.

    Raises:
        DataError: names the attribute and what became of its rows.
    """
    kept = set(table.attribute[(table.kind == "labelled") & table.keep])
    for name in reading.attributes:
        if name not in kept:
            dropped = table[(table.attribute == name) & (table.kind == "labelled")].reason
            reasons = [r.reason for r in reading.rejected if r.attribute == name] + list(dropped)
            raise DataError(f"attribute {name!r} has no usable labelled row: {_counted(reasons)}; mend its data")


def worst(rejected: Iterable[Rejected]) -> str:
    """The commonest reasons with their counts and one example, for instance `7 x truncated JPEG (Images/a.jpg)`."""
    examples: dict[str, Rejected] = {}
    counts: Counter[str] = Counter()
    for row in rejected:
        counts[category(row.reason)] += 1
        examples.setdefault(category(row.reason), row)
    shown = counts.most_common(_NAMED_REASONS)
    return ", ".join(f"{n} x {reason} ({_where(examples[reason])})" for reason, n in shown)


def _counted(reasons: list[str]) -> str:
    commonest = Counter(map(category, reasons)).most_common(_NAMED_REASONS)
    return ", ".join(f"{n} x {reason}" for reason, n in commonest) or "it has no row"


def _where(row: Rejected) -> str:
    return f"{row.file} line {row.line}" if row.line else row.file
