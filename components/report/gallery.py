"""The picture grids of the page: which pictures stand in which grid, and what is written under each."""

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from components.report import numbers
from components.report.pictures import Album, Key, thumbnails
from components.report.questions import OF_NUMBERS

Grid = list[dict[str, Any]]
TITLES = {
    "most_confident": "Most confident",
    "least_confident": "Least confident",
    "confidently_wrong": "Confidently wrong",
    "closest": "Closest",
    "farthest": "Farthest off",
}


def build(album: Album, tables: Sequence[pd.DataFrame], most: Sequence[int], room_bytes: int) -> list[list[Grid]]:
    """Cuts each table into grids and gives every shown picture its thumbnail.

    Args:
        album: where the pictures are.
        tables: tables with `attribute` and `image_id`, rows of one grid together; the grid is (class, question) where
            there are such columns, else the whole attribute.
        most: for each table, pictures in a grid at most.
        room_bytes: for all thumbnails together.

    Returns:
        For every table its grids, for every grid its cards: `src` ("" without picture), `name`, `row` of the table.
    """
    grids = [[rows[:limit] for rows in _grids(table)] for table, limit in zip(tables, most, strict=True)]
    keys: list[list[Key]] = [[(r["attribute"], r["image_id"]) for r in grid] for table in grids for grid in table]
    found = iter(thumbnails(album, keys, room_bytes))
    return [[_cards(grid, next(found)) for grid in table] for table in grids]


def question_blocks(
    classes: Sequence[str], table: pd.DataFrame, grids: Iterable[list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """One block a class: its three grids with captions, in the order of the questions."""
    by_grid = {(g[0]["row"]["class_index"], g[0]["row"]["question"]): g for g in grids if g}
    blocks = []
    for index, name in enumerate(classes):
        of_class = table[table["class_index"] == index]
        is_number = bool(of_class["question"].isin(OF_NUMBERS).any())
        questions = [
            {"title": title, "cards": [_captioned(card, question) for card in by_grid.get((index, question), [])]}
            for question, title in TITLES.items()
            if (question in OF_NUMBERS) == is_number
        ]
        blocks.append({"index": index, "name": name, "questions": questions, "empty": of_class.empty})
    return blocks


def issue_cards(grids: Sequence[Grid]) -> list[dict[str, Any]]:
    """The shown label issues of one attribute, each with what the label says and what the models say."""
    cards = [card for grid in grids for card in grid]
    return [card | {"row": card["row"] | _issue_words(card["row"])} for card in cards]


def _grids(table: pd.DataFrame) -> list[list[dict[str, Any]]]:
    columns = [c for c in ("class_index", "question") if c in table.columns]
    if not columns:
        return [table.to_dict("records")]
    return [rows.to_dict("records") for _, rows in table.groupby(columns, sort=False)]


def _cards(grid: list[dict[str, Any]], sources: list[str]) -> list[dict[str, Any]]:
    return [{"src": src, "name": row["image_id"], "row": row} for src, row in zip(sources, grid, strict=False)]


def _captioned(card: dict[str, Any], question: str) -> dict[str, Any]:
    row = card["row"]
    if question in OF_NUMBERS:
        note = f"labelled {row['labelled']}"
        return card | {"probability": numbers.plain(row["probability"]), "note": note, "wrong": question == "farthest"}
    wrong = question == "confidently_wrong"
    letter = row["label"][row["class_index"] : row["class_index"] + 1]
    fuzzy, agrees = letter == "m", letter == "y"
    note = "" if agrees else f"{'fuzzy: ' if fuzzy else ''}labelled {row['labelled'] or 'nothing'}"
    return card | {
        "probability": numbers.share(row["probability"]),
        "note": note,
        "wrong": wrong or not (agrees or fuzzy),
    }


def _issue_words(row: dict[str, Any]) -> dict[str, str]:
    return {
        "labelled_share": numbers.share(row["probability_labelled"]),
        "predicted_share": numbers.share(row["probability_predicted"]),
        "against": f"{row['models_against']} of {row['models']}" if row["models"] else "",
    }
