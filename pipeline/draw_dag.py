"""A picture of a compiled pipeline: steps as rounded boxes from left to right, loops as the boxes around them.

Drawn from the IR, so it cannot promise an edge that is not compiled. The same IR gives the same bytes; light and dark
pages are served by one file.
"""

from dataclasses import dataclass, field
from html import escape

from pipeline.ir_shape import Shape, Task, read

WIDTH, HEIGHT, GAP_X, GAP_Y, PAD, TITLE, LANE = 86, 46, 26, 16, 14, 22, 9
STYLE = """
  text { font: 13px system-ui, "Segoe UI", Roboto, sans-serif; fill: #1f2430; }
  .loop { fill: #6b7a99; fill-opacity: .07; stroke: #8a97b1; stroke-dasharray: 5 4; }
  .title { font-size: 12px; fill: #56627d; }
  .step { fill: #ffffff; stroke: #3d6bb3; stroke-width: 1.4; }
  .gpu { fill: #eaf5ec; stroke: #2f8a4c; }
  .badge { fill: #2f8a4c; } .badge-text { font-size: 9px; font-weight: 600; fill: #ffffff; }
  .edge { fill: none; stroke: #56627d; stroke-width: 1.4; marker-end: url(#tip); }
  .skip { stroke-width: 1; stroke-opacity: .55; }
  #tip path { fill: #56627d; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6e9f0; } .title { fill: #aab4c8; } .loop { fill-opacity: .16; stroke: #7b88a3; }
    .step { fill: #1b2433; stroke: #7aa5e6; } .gpu { fill: #16301f; stroke: #63c083; }
    .badge { fill: #63c083; } .badge-text { fill: #10241a; } .edge { stroke: #aab4c8; } #tip path { fill: #aab4c8; }
  }
"""


@dataclass
class Box:
    """A step, or a loop with its inner row; position of the upper left corner and size in pixels."""

    task: Task
    width: float = WIDTH
    height: float = HEIGHT
    x: float = 0
    y: float = 0
    row: "Row | None" = None


@dataclass
class Row:
    """The boxes of one DAG and the edges between them; `lanes` counts the edges that pass below other boxes."""

    boxes: dict[str, Box]
    direct: list[tuple[str, str]]
    skipping: list[tuple[str, str]] = field(default_factory=list)
    width: float = 0
    height: float = 0


def draw(ir: str) -> str:
    """Draws IR YAML as one SVG document."""
    shape = read(ir)
    row = _row(shape, "root")
    _place(row, PAD, PAD)
    width, height = row.width + 2 * PAD, row.height + 2 * PAD
    body = "\n".join(_svg(shape, row))
    name = escape(str(shape.spec.get("pipelineInfo", {}).get("name", "pipeline")))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img" '
        f'aria-label="Tasks of the pipeline {name}">\n<style>{STYLE}</style>\n'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0.8 L7.5 4 L0 7.2 z"/></marker></defs>\n{body}\n</svg>\n'
    )


def _row(shape: Shape, dag: str) -> Row:
    tasks = shape.tasks_of(dag)
    boxes = {task.name: Box(task) for task in tasks}
    for box in boxes.values():
        if "dag" in box.task.component:
            box.row = _row(shape, shape.inner(box.task.body))
            box.width, box.height = box.row.width + 2 * PAD, box.row.height + PAD + TITLE
    upstream = {task.name: sorted(task.body.get("dependentTasks", [])) for task in tasks}
    edges = [(first, then) for then, names in sorted(upstream.items()) for first in names]
    implied = {(first, then) for first, then in edges if _reaches(upstream, first, then)}
    row = Row(boxes, [edge for edge in edges if edge not in implied], sorted(implied))
    row.width, row.height = _arrange(row, _ranks(upstream))
    return row


def _reaches(upstream: dict[str, list[str]], first: str, then: str) -> bool:
    """True if there is a longer way than the edge itself."""
    waiting = [name for name in upstream[then] if name != first]
    while waiting:
        name = waiting.pop()
        if name == first:
            return True
        waiting.extend(upstream[name])
    return False


def _ranks(upstream: dict[str, list[str]]) -> dict[str, int]:
    ranks: dict[str, int] = {}

    def rank(name: str) -> int:
        if name not in ranks:
            ranks[name] = max((rank(before) + 1 for before in upstream[name]), default=0)
        return ranks[name]

    for name in sorted(upstream):
        rank(name)
    return ranks


def _arrange(row: Row, ranks: dict[str, int]) -> tuple[float, float]:
    """Places boxes in columns by rank, each column centred; returns the size of the row."""
    columns = [
        [row.boxes[n] for n in sorted(ranks) if ranks[n] == i] for i in range(max(ranks.values(), default=-1) + 1)
    ]
    tallest = max((_column_height(column) for column in columns), default=0)
    x = 0.0
    for column in columns:
        y = (tallest - _column_height(column)) / 2
        for box in column:
            box.x, box.y = x, y
            y += box.height + GAP_Y
        x += max(box.width for box in column) + GAP_X
    return x - GAP_X, tallest + LANE * (len(row.skipping) + 1) * bool(row.skipping)


def _column_height(column: list[Box]) -> float:
    return sum(box.height + GAP_Y for box in column) - GAP_Y


def _place(row: Row, x: float, y: float) -> None:
    """Turns positions inside the row into positions on the page."""
    for box in row.boxes.values():
        box.x, box.y = box.x + x, box.y + y
        if box.row:
            _place(box.row, box.x + PAD, box.y + TITLE)


def _svg(shape: Shape, row: Row) -> list[str]:
    lines: list[str] = []
    for _, box in sorted(row.boxes.items()):
        lines += _loop(shape, box, box.row) if box.row else _step(shape, box)
    lines += [_straight(row.boxes[first], row.boxes[then]) for first, then in row.direct]
    bottom = max((box.y + box.height for box in row.boxes.values()), default=0)
    for lane, (first, then) in enumerate(row.skipping, start=1):
        lines.append(_below(row.boxes[first], row.boxes[then], bottom + lane * LANE, lane))
    return lines


def _loop(shape: Shape, box: Box, row: Row) -> list[str]:
    frame = f'<rect class="loop" x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}" rx="10"/>'
    title = f"for each {box.task.shown}" if box.task.is_loop else box.task.shown
    return [
        frame,
        f'<text class="title" x="{box.x + PAD:g}" y="{box.y + 15:g}">{escape(title)}</text>',
        *_svg(shape, row),
    ]


def _step(shape: Shape, box: Box) -> list[str]:
    container = shape.executors.get(box.task.executor, {}).get("container", {})
    gpu = "accelerator" in container.get("resources", {}) or "gpu" in container.get("image", "").rpartition("/")[2]
    kind = "step gpu" if gpu else "step"
    lines = [f'<rect class="{kind}" x="{box.x:g}" y="{box.y:g}" width="{WIDTH}" height="{HEIGHT}" rx="8"/>']
    words = box.task.shown.replace("_", "-").split("-", 1)
    for i, word in enumerate(words):
        y = box.y + HEIGHT / 2 + 4.5 + (i - (len(words) - 1) / 2) * 15
        lines.append(f'<text x="{box.x + WIDTH / 2:g}" y="{y:g}" text-anchor="middle">{escape(word)}</text>')
    if gpu:
        x, y = box.x + WIDTH - 24, box.y - 6
        lines.append(f'<rect class="badge" x="{x:g}" y="{y:g}" width="26" height="13" rx="6"/>')
        lines.append(f'<text class="badge-text" x="{x + 13:g}" y="{y + 9.7:g}" text-anchor="middle">GPU</text>')
    return lines


def _straight(first: Box, then: Box) -> str:
    x1, y1, x2, y2 = first.x + first.width, first.y + first.height / 2, then.x, then.y + then.height / 2
    bend = (x2 - x1) / 2
    path = f"M{x1:g} {y1:g} C{x1 + bend:g} {y1:g} {x2 - bend:g} {y2:g} {x2:g} {y2:g}"
    return f'<path class="edge" d="{path}"/>'


def _below(first: Box, then: Box, y: float, lane: int) -> str:
    """An edge that passes other boxes, along its own lane under them."""
    x1, x2 = first.x + first.width - 10 - 4 * lane, then.x + 10 + 4 * lane
    r = 6
    path = (
        f"M{x1:g} {first.y + first.height:g} V{y - r:g} Q{x1:g} {y:g} {x1 + r:g} {y:g} "
        f"H{x2 - r:g} Q{x2:g} {y:g} {x2:g} {y - r:g} V{then.y + then.height:g}"
    )
    return f'<path class="edge skip" d="{path}"/>'
