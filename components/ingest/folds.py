"""Cuts the labelled pictures into folds: stratified, grouped by duplicates, seeded, and frozen as rounds are added.

One assignment for the whole data set, so that two pictures that show the same never stand in different folds, whatever
their attributes. scikit-learn's StratifiedGroupKFold pursues the same aim, but takes 10 s for 80,000 groups where this
takes less than two, and refuses small data (every class rarer than the number of folds).

Rounds are dealt out one after the other, oldest first, so that a later round does not move an older picture to another
fold: what judged the champion does not train its challenger. Only a picture that proves two old groups to be one can.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable

import numpy as np
import pandas as pd

from components.ingest import labels

Member = tuple[str, int, int]  # attribute, position of y (-1 without), round


def assign(table: pd.DataFrame, num_folds: int, seed: int) -> np.ndarray:
    """Gives every labelled row a fold, the same to all rows of a duplicate group.

    Round by round, the groups that are new in it, largest first and otherwise in random order, go one by one where
    their own classes are rarest: first by attribute, class and round, then by attribute and class, then by attribute,
    then at all.

    Args:
        table: image_id, attribute, kind, group, round, label, keep. Rows that are not kept count nothing but follow
            their group. Of an attribute with rows that are `held_out` (a column that may be missing) the groups of
            these are fold 0, alone; the other attributes are cut by themselves, since they have no other judges.
        num_folds: how many.
        seed: of the random order.

    Returns:
        (n,) int8, -1 where not labelled.
    """
    labelled = table[table.kind == "labelled"]
    held_out = labelled[labelled.held_out & labelled.keep] if "held_out" in labelled else labelled[:0]
    judged = labelled.attribute.isin(held_out.attribute)
    own = _cut(labelled[judged], set(held_out.group), num_folds, seed)
    found = own | _cut(labelled[~judged], set(), num_folds, seed)
    return np.array([found.get(row, -1) for row in table.index], np.int8)


def _cut(labelled: pd.DataFrame, held_out: set[int], num_folds: int, seed: int) -> dict[int, int]:
    """Row to fold."""
    rounds: dict[int, dict[int, list[Member]]] = defaultdict(lambda: defaultdict(list))
    dealt = labelled[labelled.keep & ~labelled.group.isin(held_out)]
    for row in dealt.itertuples():
        for position in labels.positions(row.label) or [-1]:
            rounds[row.round][row.group].append((row.attribute, position, row.round))
    names = labelled.sort_values(["round", "image_id"]).drop_duplicates("group").set_index("group").image_id
    first = 1 if held_out else 0
    found = _dealt(rounds, names.to_dict(), max(1, num_folds - first), seed)
    fold_of = dict.fromkeys(held_out, 0) | {group: fold + first for group, fold in found.items()}
    return {row: fold_of.get(group, 0) for row, group in labelled.group.items()}


def usable(table: pd.DataFrame, num_folds: int) -> int:
    """As many folds as asked for, or fewer where there are fewer duplicate groups with a usable label."""
    labelled = table[(table.kind == "labelled") & table.keep]
    return max(1, min(num_folds, labelled.group.nunique()))


def _dealt(
    rounds: dict[int, dict[int, list[Member]]], names: dict[int, str], num_folds: int, seed: int
) -> dict[int, int]:
    held: dict[tuple[object, ...], list[int]] = defaultdict(lambda: [0] * num_folds)
    fold_of: dict[int, int] = {}
    for number in sorted(rounds):
        members = rounds[number]
        for group in members.keys() & fold_of.keys():
            _hold(held, members[group], fold_of[group])
        for group in _order(members, names, seed, members.keys() - fold_of.keys()):
            levels = [_levels(*member) for member in members[group]]
            load = [[sum(held[keys[level]][f] for keys in levels) for level in range(4)] for f in range(num_folds)]
            fold_of[group] = min(range(num_folds), key=load.__getitem__)
            _hold(held, members[group], fold_of[group])
    return fold_of


def _hold(held: dict[tuple[object, ...], list[int]], members: Iterable[Member], fold: int) -> None:
    for member in members:
        for key in _levels(*member):
            held[key][fold] += 1


def _order(members: dict[int, list[Member]], names: dict[int, str], seed: int, new: Iterable[int]) -> list[int]:
    """By the name of a group's first picture: its number changes when groups before it do, its name does not."""
    drawn = {group: hashlib.blake2b(f"{seed} {names[group]}".encode(), digest_size=8).digest() for group in new}
    return sorted(drawn, key=lambda group: (-len(members[group]), drawn[group]))


def _levels(attribute: str, position: int, round: int) -> tuple[tuple[object, ...], ...]:
    return (attribute, position, round), (attribute, position), (attribute,), ()
