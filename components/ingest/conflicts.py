"""Settles what pictures that show the same say about the same attribute: merge, drop, keep one.

Labels that agree within their own doubt (the y of one is y or m in the other) become one soft label for all. Labels
that contradict each other are settled by rule. The contest's own seed compared only y and threw fuzzy neighbours away.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from components.ingest import labels
from components.vision import tasks

_MERGED = {tasks.MULTI_LABEL: labels.merged_presence, tasks.REGRESSION: labels.merged_numbers}


class Event(NamedTuple):
    """One duplicate group whose labels differed.

    Attributes:
        attribute, group: where.
        outcome: `merged`, `dropped`, `first kept` or `majority kept`.
        rows: positions in the table, by round, then reading order.
        labels: the rows' labels before.
    """

    attribute: str
    group: int
    outcome: str
    rows: list[int]
    labels: list[str]


def settle(table: pd.DataFrame, rule: str, tasks_of: Mapping[str, str] | None = None) -> list[Event]:
    """Settles every conflict, in place: columns label, keep and reason.

    Args:
        table: one row per picture and attribute with attribute, kind, group, round, label, keep, reason; index 0..n-1.
        rule: `drop`, `keep_first` or `majority`, for labels that contradict each other.
        tasks_of: attribute to its task, one_of_k where it is missing. Labels of several classes always merge into what
            might be there, numbers into their mean.

    Returns:
        What was done, in the order of the table.
    """
    merging = {name: _MERGED[task] for name, task in (tasks_of or {}).items() if task in _MERGED}
    events = [
        Event(attribute, int(group), "merged", rows, [str(label) for label in table.label[rows]])
        if attribute in merging
        else _settled(attribute, group, rows, table, rule)
        for attribute, group, rows in _differing(table)
    ]
    for event in events:
        if event.attribute in merging:
            table.loc[event.rows, "label"] = merging[event.attribute](event.labels)
        else:
            _apply(event, table)
    return events


def drop_held_out_copies(table: pd.DataFrame) -> None:
    """Drops, in place, rows to learn an attribute from that show what is held out to judge this attribute."""
    labelled = (table.kind == "labelled") & table.keep
    shown = pd.MultiIndex.from_frame(table[["attribute", "group"]])
    copies = labelled & ~table.held_out & shown.isin(shown[labelled & table.held_out])
    _drop(table, table.index[copies], "held out: shows the same as a picture of val")


def drop_copies(table: pd.DataFrame, rule: str) -> None:
    """Drops, in place, exact copies with equal labels inside one attribute; the first one of the oldest round stays.

    With the rule `keep_all` only a second row about the very same file is dropped.
    """
    candidates = table.index[(table.kind == "labelled") & table.keep]
    by = "first_copy" if rule == "keep_one" else "picture"
    again = table.loc[candidates].sort_values("round", kind="stable").duplicated(["attribute", by, "label"])
    _drop(table, again.index[again], "exact duplicate: an equal picture with the same label is kept")


def drop_leaks(table: pd.DataFrame, rule: str) -> int:
    """Counts the labelled rows that show a question picture, and drops them, in place, if the rule is `drop`."""
    asked = set(table.group[table.kind == "test"])
    leaks = table.index[(table.kind == "labelled") & table.keep & table.group.isin(asked)]
    if rule == "drop":
        _drop(table, leaks, "test leak: shows the same as a question picture")
    return len(leaks)


def _differing(table: pd.DataFrame) -> Iterator[tuple[str, int, list[int]]]:
    labelled = table[(table.kind == "labelled") & table.keep]
    shared = labelled[labelled.duplicated(["attribute", "group"], keep=False)]
    rows: dict[tuple[str, int], list[int]] = defaultdict(list)
    for row in shared.sort_values("round", kind="stable").itertuples():
        rows[row.attribute, row.group].append(row.Index)
    for (attribute, group), found in rows.items():
        if table.label[found].nunique() > 1:
            yield attribute, group, found


def _settled(attribute: str, group: int, rows: list[int], table: pd.DataFrame, rule: str) -> Event:
    before = [str(label) for label in table.label[rows]]
    winning = [label for label in before if label.index("y") == winner(before)]
    contradicts = [label for label in before if not any(labels.neighbours(label, w) for w in winning)]
    outcome = {"drop": "dropped", "keep_first": "first kept", "majority": "majority kept"}[rule]
    return Event(attribute, int(group), outcome if contradicts else "merged", rows, before)


def winner(before: list[str]) -> int:
    """The class that most labels call y; of several the one named first."""
    votes = Counter(label.index("y") for label in before)
    return votes.most_common(1)[0][0]  # equal counts come in the order first met


def _apply(event: Event, table: pd.DataFrame) -> None:
    if event.outcome == "merged":
        table.loc[event.rows, "label"] = labels.merged(winner(event.labels), event.labels)
        return
    staying: list[int] = []
    if event.outcome == "first kept":
        staying = event.rows[:1]
    if event.outcome == "majority kept":
        winning = winner(event.labels)
        agreeing = [
            (row, label) for row, label in zip(event.rows, event.labels, strict=True) if label.index("y") == winning
        ]
        staying = [row for row, _ in agreeing]
        table.loc[staying, "label"] = labels.merged(winning, [label for _, label in agreeing])
    going = [row for row in event.rows if row not in staying]
    _drop(table, np.array(going), f"conflict: copies are labelled {', '.join(dict.fromkeys(event.labels))}")


def _drop(table: pd.DataFrame, rows: np.ndarray, reason: str) -> None:
    table.loc[rows, "keep"] = False
    table.loc[rows, "reason"] = reason
