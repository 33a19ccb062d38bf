"""Places the boxes of a graph from left to right, groups around their members. Pure: knows sizes, not meanings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

GAP_X, GAP_Y, PAD, TITLE, LANE = 26, 16, 14, 22, 9
CORNER = 6

T = TypeVar("T")


@dataclass
class Box(Generic[T]):
    """Something drawn: position of the upper left corner and size in pixels.

    `row` holds the members of a group. `clear` is where the column ends in which it stands, so that its edges bend only
    behind wider boxes of the same column.
    """

    item: T
    width: float
    height: float
    x: float = 0
    y: float = 0
    clear: float = 0
    row: "Row[T] | None" = None


@dataclass
class Row(Generic[T]):
    """The boxes of one graph; `direct` edges go from box to box, `skipping` ones below, each in a lane of its own."""

    boxes: dict[str, Box[T]]
    direct: list[tuple[str, str]]
    skipping: list[tuple[str, str]] = field(default_factory=list)
    width: float = 0
    height: float = 0

    @property
    def bottom(self) -> float:
        """Where the lowest box ends."""
        return max((box.y + box.height for box in self.boxes.values()), default=0)


def framed(item: T, row: Row[T], least: float = 0) -> Box[T]:
    """The box of a group, as large as its members need."""
    return Box(item, max(least, row.width + 2 * PAD), row.height + PAD + TITLE, row=row)


def arrange(boxes: dict[str, Box[T]], upstream: Mapping[str, Sequence[str]]) -> Row[T]:
    """Places the boxes of one graph in columns, each after all that it depends on.

    Args:
        boxes: by name, with their sizes.
        upstream: name -> names that it depends on, all of them among the boxes.
    """
    edges = [(first, then) for then in sorted(upstream) for first in sorted(upstream[then])]
    implied = {(first, then) for first, then in edges if _reaches(upstream, first, then)}
    row = Row(boxes, [edge for edge in edges if edge not in implied], sorted(implied))
    row.width, row.height = _in_columns(row, _ranks(upstream))
    return row


def place(row: Row[T], x: float, y: float) -> None:
    """Turns positions inside a row into positions on the page, for all that lies in it."""
    for box in row.boxes.values():
        box.x, box.y, box.clear = box.x + x, box.y + y, box.clear + x
        if box.row:
            place(box.row, box.x + PAD, box.y + TITLE)


def curves(row: Row[T]) -> list[tuple[str, bool]]:
    """SVG paths of the edges, and whether each passes below other boxes; after `place`."""
    found = [(straight(row.boxes[first], row.boxes[then]), False) for first, then in row.direct]
    for lane, (first, then) in enumerate(row.skipping, start=1):
        found.append((below(row.boxes[first], row.boxes[then], row.bottom + lane * LANE, lane), True))
    return found


def straight(first: Box[T], then: Box[T]) -> str:
    """SVG path from the right of a box to the left of another."""
    end, y1, x2, y2 = first.x + first.width, first.y + first.height / 2, then.x, then.y + then.height / 2
    x1 = max(end, first.clear)
    bend = (x2 - x1) / 2
    along = f"M{end:g} {y1:g} " + (f"H{x1:g} " if x1 > end else "")
    return f"{along}C{x1 + bend:g} {y1:g} {x2 - bend:g} {y2:g} {x2:g} {y2:g}"


def below(first: Box[T], then: Box[T], y: float, lane: int) -> str:
    """SVG path that passes other boxes, along its own lane under them."""
    x1, x2, r = first.x + first.width - 10 - 4 * lane, then.x + 10 + 4 * lane, CORNER
    return (
        f"M{x1:g} {first.y + first.height:g} V{y - r:g} Q{x1:g} {y:g} {x1 + r:g} {y:g} "
        f"H{x2 - r:g} Q{x2:g} {y:g} {x2:g} {y - r:g} V{then.y + then.height:g}"
    )


def _reaches(upstream: Mapping[str, Sequence[str]], first: str, then: str) -> bool:
    """True if there is a longer way than the edge itself."""
    seen: set[str] = set()
    waiting = [name for name in upstream[then] if name != first]
    while waiting:
        name = waiting.pop()
        if name == first:
            return True
        if name not in seen:
            seen.add(name)
            waiting.extend(upstream[name])
    return False


def _ranks(upstream: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """The column of each name. Without recursion: a chain may be a thousand tasks long."""
    ranks: dict[str, int] = {}
    waiting = sorted(upstream)
    while waiting:
        ready = [name for name in waiting if all(before in ranks for before in upstream[name])]
        if not ready:
            raise ValueError(f"a circle among {', '.join(waiting)}")
        ranks |= {name: max((ranks[before] + 1 for before in upstream[name]), default=0) for name in ready}
        waiting = [name for name in waiting if name not in ranks]
    return ranks


def _in_columns(row: Row[T], ranks: Mapping[str, int]) -> tuple[float, float]:
    """Places boxes in columns by rank, each column centred; returns the size of the row."""
    columns: list[list[Box[T]]] = [[] for _ in range(max(ranks.values(), default=-1) + 1)]
    for name in sorted(ranks):
        columns[ranks[name]].append(row.boxes[name])
    tallest = max((_column_height(column) for column in columns), default=0)
    x = 0.0
    for column in columns:
        y = (tallest - _column_height(column)) / 2
        widest = max(box.width for box in column)
        for box in column:
            box.x, box.y, box.clear = x, y, x + widest
            y += box.height + GAP_Y
        x += widest + GAP_X
    return max(0.0, x - GAP_X), tallest + LANE * (len(row.skipping) + 1) * bool(row.skipping)


def _column_height(column: Sequence[Box[T]]) -> float:
    return sum(box.height + GAP_Y for box in column) - GAP_Y
