"""Cuts the labelled pictures into folds: stratified, grouped by duplicates, seeded.

One assignment for the whole data set, so that two pictures that show the same never stand in different folds, whatever
their attributes. scikit-learn's StratifiedGroupKFold pursues the same aim, but takes 10 s for 80,000 groups where this
takes less than two, and refuses small data (every class rarer than the number of folds).
"""

from collections import defaultdict

import numpy as np
import pandas as pd


def assign(table: pd.DataFrame, num_folds: int, seed: int) -> np.ndarray:
    """Gives every labelled row a fold, the same to all rows of a duplicate group.

    The groups, largest first and otherwise in random order, go one by one where their own classes are rarest: first by
    attribute, class and round, then by attribute and class, then by attribute, then at all.

    Args:
        table: attribute, kind, group, round, label, keep. Rows that are not kept count nothing but follow their group.
        num_folds: how many.
        seed: of the random order.

    Returns:
        (n,) int8, -1 where not labelled.
    """
    labelled = table[table.kind == "labelled"]
    members: dict[int, list[tuple[str, int, int]]] = {group: [] for group in labelled.group}
    for row in labelled[labelled.keep].itertuples():
        members[row.group].append((row.attribute, row.label.index("y"), row.round))
    fold_of = _dealt(members, num_folds, seed)
    folds = table.group.map(fold_of).where(table.kind == "labelled", -1)
    return folds.to_numpy(np.int8)


def usable(table: pd.DataFrame, num_folds: int) -> int:
    """As many folds as asked for, or fewer where there are fewer duplicate groups with a usable label."""
    labelled = table[(table.kind == "labelled") & table.keep]
    return max(1, min(num_folds, labelled.group.nunique()))


def _dealt(members: dict[int, list[tuple[str, int, int]]], num_folds: int, seed: int) -> dict[int, int]:
    held: dict[tuple[object, ...], list[int]] = defaultdict(lambda: [0] * num_folds)
    fold_of = {}
    for group in _order(members, seed):
        levels = [_levels(*member) for member in members[group]]
        load = [[sum(held[keys[level]][f] for keys in levels) for level in range(4)] for f in range(num_folds)]
        fold = min(range(num_folds), key=load.__getitem__)
        fold_of[group] = fold
        for keys in levels:
            for key in keys:
                held[key][fold] += 1
    return fold_of


def _order(members: dict[int, list[tuple[str, int, int]]], seed: int) -> list[int]:
    groups = np.array(sorted(members), np.int64)
    shuffled = np.random.default_rng(seed).permutation(groups).tolist()
    return sorted(shuffled, key=lambda group: -len(members[group]))


def _levels(attribute: str, position: int, round: int) -> tuple[tuple[object, ...], ...]:
    return (attribute, position, round), (attribute, position), (attribute,), ()
