"""A picture of a compiled pipeline: steps as rounded boxes from left to right, loops as the boxes around them.

Drawn from the IR, so it cannot promise an edge that is not compiled. The same IR gives the same bytes; light and dark
pages are served by one file.
"""

from html import escape

from pipeline.ir_shape import Shape, Task, read
from pipeline.placement import GPU_STEPS
from pipeline.server.dag_layout import PAD, Box, Row, arrange, curves, framed, place

WIDTH, HEIGHT = 86, 46
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


def draw(ir: str) -> str:
    """Draws IR YAML as one SVG document."""
    shape = read(ir)
    row = _row(shape, "root")
    place(row, PAD, PAD)
    width, height = row.width + 2 * PAD, row.height + 2 * PAD
    body = "\n".join(_svg(shape, row))
    name = escape(str(shape.spec.get("pipelineInfo", {}).get("name", "pipeline")))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img" '
        f'aria-label="Tasks of the pipeline {name}">\n<style>{STYLE}</style>\n'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0.8 L7.5 4 L0 7.2 z"/></marker></defs>\n{body}\n</svg>\n'
    )


def _row(shape: Shape, dag: str) -> Row[Task]:
    tasks = shape.tasks_of(dag)
    boxes = {task.name: _box(shape, task) for task in tasks}
    return arrange(boxes, {task.name: task.body.get("dependentTasks", []) for task in tasks})


def _box(shape: Shape, task: Task) -> Box[Task]:
    if "dag" in task.component:
        return framed(task, _row(shape, shape.inner(task.body)))
    return Box(task, WIDTH, HEIGHT)


def _svg(shape: Shape, row: Row[Task]) -> list[str]:
    lines: list[str] = []
    for _, box in sorted(row.boxes.items()):
        lines += _loop(shape, box, box.row) if box.row else _step(shape, box)
    for path, is_below in curves(row):
        lines.append(f'<path class="edge{" skip" * is_below}" d="{path}"/>')
    return lines


def _loop(shape: Shape, box: Box[Task], row: Row[Task]) -> list[str]:
    frame = f'<rect class="loop" x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}" rx="10"/>'
    title = f"for each {box.item.shown}" if box.item.is_loop else box.item.shown
    return [
        frame,
        f'<text class="title" x="{box.x + PAD:g}" y="{box.y + 15:g}">{escape(title)}</text>',
        *_svg(shape, row),
    ]


def _step(shape: Shape, box: Box[Task]) -> list[str]:
    container = shape.executors.get(box.item.executor, {}).get("container", {})
    step = (container.get("command") or [""])[-1].rpartition(".")[2]
    gpu = "accelerator" in container.get("resources", {}) or step in GPU_STEPS  # these have one if a recipe says so
    kind = "step gpu" if gpu else "step"
    lines = [f'<rect class="{kind}" x="{box.x:g}" y="{box.y:g}" width="{WIDTH}" height="{HEIGHT}" rx="8"/>']
    words = box.item.shown.replace("_", "-").split("-", 1)
    for i, word in enumerate(words):
        y = box.y + HEIGHT / 2 + 4.5 + (i - (len(words) - 1) / 2) * 15
        lines.append(f'<text x="{box.x + WIDTH / 2:g}" y="{y:g}" text-anchor="middle">{escape(word)}</text>')
    if gpu:
        x, y = box.x + WIDTH - 24, box.y - 6
        lines.append(f'<rect class="badge" x="{x:g}" y="{y:g}" width="26" height="13" rx="6"/>')
        lines.append(f'<text class="badge-text" x="{x + 13:g}" y="{y + 9.7:g}" text-anchor="middle">GPU</text>')
    return lines
