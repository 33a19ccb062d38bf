"""The graph of a run: its pipeline drawn from left to right with the states of its tasks. Loops are folded to counts.

An open loop shows one iteration, or all of them in one drawing: a box then stands for the same task of every
iteration. So a loop of a thousand iterations is as large as one of three.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

from pipeline import words
from pipeline.engine import graph, ir
from pipeline.engine.records import Task
from pipeline.server.dag_layout import PAD, Box, Row, arrange, curves, framed, place
from pipeline.server.run_facts import overall, task_address

HEIGHT, NARROWEST, WIDEST, PER_LETTER = 46, 112, 224, 7.6
MOST_CHOICES = 24  # iterations that are offered by name; the others stand in the table of tasks


@dataclass(frozen=True)
class Opened:
    """Which groups are unfolded: path of base names, `for-loop-1/for-loop-2` -> iteration shown, None for all."""

    groups: Mapping[str, int | None] = field(default_factory=dict)

    @staticmethod
    def read(texts: Iterable[str]) -> "Opened":
        """From the address: `for-loop-1` shows all iterations, `for-loop-1(2)` the third."""
        return Opened({graph.base_name(text): _index(text) for text in texts})

    def with_group(self, path: str, index: int | None = None) -> list[str]:
        """What the address says when one more group is open, or shows another iteration."""
        return _texts({**self.groups, path: index})

    def without_group(self, path: str) -> list[str]:
        """What the address says when a group and all in it are folded."""
        return _texts({p: i for p, i in self.groups.items() if p != path and not p.startswith(path + "/")})


def _texts(groups: Mapping[str, int | None]) -> list[str]:
    return [path if index is None else f"{path}({index})" for path, index in groups.items()]


def _index(text: str) -> int | None:
    inside = text[len(graph.base_name(text)) :]
    return int(inside[1:-1]) if inside else None


@dataclass(frozen=True)
class Mark:
    """One box of the drawing.

    Attributes:
        title: the task's name.
        is_group: a loop, a condition or a nested pipeline.
        is_open: a group whose members are drawn.
        counts: state word -> number of tasks that the box stands for; empty before the run knows them.
        iterations: of a loop, as far as known; 0 for anything else.
        address: a task's page, the tasks that the box stands for, or the same drawing with the group (un)folded.
        depends: titles of the boxes that it waits for.
        inside: titles of the groups around it.
    """

    title: str
    is_group: bool
    is_open: bool
    counts: Mapping[str, int]
    iterations: int
    address: str
    depends: Sequence[str]
    inside: Sequence[str]

    @property
    def word(self) -> str:
        """Its state."""
        return overall(list(self.counts))

    @property
    def says(self) -> str:
        """Its second line."""
        if not self.is_group and sum(self.counts.values()) <= 1:
            return f"{words.SHAPES[self.word]} {self.word}"
        ordered = [word for word in words.SHAPES if self.counts.get(word)]
        return "  ".join(f"{words.SHAPES[word]} {self.counts[word]:,}" for word in ordered) or "· waiting"

    @property
    def shown(self) -> str:
        """Its title, as far as there is room."""
        text = f"{self.title} × {self.iterations:,}" if self.iterations and not self.is_open else self.title
        room = int((WIDEST - 24) / PER_LETTER)
        return text if len(text) <= room or self.is_open else text[: room - 1] + "…"

    @property
    def width(self) -> float:
        """Pixels that its two lines need."""
        return min(WIDEST, max(NARROWEST, 24 + PER_LETTER * max(len(self.shown), len(self.says))))


@dataclass(frozen=True)
class Choice:
    """An open loop and what else of it can be shown: label -> address; `chosen` is the label shown now."""

    title: str
    chosen: str
    addresses: Mapping[str, str]
    left_out: int


@dataclass(frozen=True)
class Drawing:
    """Ready to be written: size in pixels, boxes (groups before their members), edges as SVG paths."""

    width: float
    height: float
    boxes: Sequence[Box[Mark]]
    edges: Sequence[tuple[str, bool]]
    choices: Sequence[Choice]


Scope = Sequence[tuple[tuple[str, ...], Task]]  # what is left of each task's key inside the group, and the task


def draw(pipeline: ir.Pipeline, tasks: Sequence[Task], opened: Opened, address: str) -> Drawing:
    """Draws a run.

    Args:
        pipeline: what it executes.
        tasks: its tasks and groups as far as known.
        opened: which groups are unfolded.
        address: of the page, for instance `/runs/ID`.
    """
    artist = _Artist(pipeline, opened, address)
    scope = [(tuple(task.key.split("/")), task) for task in tasks if task.is_leaf or task.kind == "iteration"]
    row = artist.row(pipeline.root, scope, ())
    place(row, PAD, PAD)
    boxes, edges = _flat(row)
    return Drawing(row.width + 2 * PAD, row.height + 2 * PAD, boxes, edges, artist.choices)


def _flat(row: Row[Mark]) -> tuple[list[Box[Mark]], list[tuple[str, bool]]]:
    boxes: list[Box[Mark]] = []
    edges = curves(row)
    for box in row.boxes.values():
        boxes.append(box)
        if box.row:
            inner_boxes, inner_edges = _flat(box.row)
            boxes += inner_boxes
            edges += inner_edges
    return boxes, edges


class _Artist:
    """Walks the pipeline's graphs with the tasks that belong to each."""

    def __init__(self, pipeline: ir.Pipeline, opened: Opened, address: str) -> None:
        self._pipeline = pipeline
        self._opened = opened
        self._address = address
        self.choices: list[Choice] = []

    def row(self, component: ir.Component, scope: Scope, around: tuple[ir.Task, ...]) -> Row[Mark]:
        """The graph of one component; `around` are the groups that it lies in."""
        tasks = component.dag.tasks if component.dag else {}
        members: dict[str, list[tuple[tuple[str, ...], Task]]] = {name: [] for name in tasks}
        for path, task in scope:
            if path and (name := graph.base_name(path[0])) in members:
                members[name].append((path, task))
        boxes = {name: self._box(task, members[name], tasks, around) for name, task in tasks.items()}
        return arrange(boxes, {name: task.dependencies for name, task in tasks.items()})

    def _box(
        self, task: ir.Task, scope: Scope, siblings: Mapping[str, ir.Task], around: tuple[ir.Task, ...]
    ) -> Box[Mark]:
        component = self._pipeline.component_of(task)
        path = "/".join(t.name for t in (*around, task))
        is_group = component.dag is not None
        always_open = is_group and _is_branch(task)
        is_open = always_open or (is_group and path in self._opened.groups)
        mark = Mark(
            title=task.display,
            is_group=is_group,
            is_open=is_open,
            counts=Counter(words.task_word(found) for _, found in scope if found.is_leaf),
            iterations=sum(len(p) == 1 and found.kind == "iteration" for p, found in scope),
            address="" if always_open else self._toggle(path, is_open) if is_group else self._leaf(task, scope),
            depends=[siblings[name].display for name in task.dependencies],
            inside=[t.display for t in around],
        )
        if not is_open:
            return Box(mark, mark.width, HEIGHT)
        inner = self.row(component, self._inside(task, path, scope), (*around, task))
        return framed(mark, inner, NARROWEST)

    def _inside(self, task: ir.Task, path: str, scope: Scope) -> Scope:
        """What lies in an open group; of a loop, in the iteration that is shown."""
        index = self._opened.groups.get(path)
        if task.loop:
            self._offer(task, path, scope, index)
        wanted = None if index is None or not task.loop else f"{task.name}({index})"
        return [(p[1:], found) for p, found in scope if len(p) > 1 and wanted in (None, p[0])]

    def _offer(self, task: ir.Task, path: str, scope: Scope, index: int | None) -> None:
        items = {p[0]: found for p, found in scope if len(p) == 1 and found.kind == "iteration"}
        if len(items) < 2:
            return
        labels = {_index(key): item.label.rpartition("/")[2] for key, item in items.items()}
        shown = dict(list(labels.items())[:MOST_CHOICES])
        if index in labels:
            shown[index] = labels[index]
        addresses = {"all": self._with(self._opened.with_group(path))}
        addresses |= {label: self._with(self._opened.with_group(path, number)) for number, label in shown.items()}
        chosen = labels.get(index, "all") if index is not None else "all"
        self.choices.append(Choice(task.display, chosen, addresses, len(labels) - len(shown)))

    def _leaf(self, task: ir.Task, scope: Scope) -> str:
        if len(scope) == 1:
            return task_address(scope[0][1])
        return f"{self._address}?{urlencode({'tab': 'tasks', 'name': task.display})}"

    def _toggle(self, path: str, is_open: bool) -> str:
        return self._with(self._opened.without_group(path) if is_open else self._opened.with_group(path))

    def _with(self, opened: Sequence[str]) -> str:
        return f"{self._address}?{urlencode({'tab': 'dag', 'open': opened}, doseq=True)}"


def _is_branch(task: ir.Task) -> bool:
    """A condition or an exit handler is a way of writing, not a place: it is never folded."""
    return not task.loop and (bool(task.condition) or task.name.startswith(("condition-", "exit-handler-")))
