"""Unrolls a pipeline into the instances of its tasks, given what has happened so far. Pure.

Only tasks with a command or an importer have a history (`Record`). Everything about a group (loop, iteration,
condition, nested pipeline, exit handler) follows from its members each time, so nothing has to be kept in step.

More than KFP 2.17 does, on purpose: whole artifact lists enter a nested pipeline, an empty loop collects to `[]`, and
when one iteration fails the iterations still waiting for a place (`parallelism`) go on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pipeline.engine import conditions, graph, ir, resolve
from pipeline.engine.gather import collect, group_state, item_labels
from pipeline.engine.states import TASK_ENDED, TaskState
from pipeline.engine.tree import Facts, Fate, Node, Place, Record, Tree
from pipeline.engine.values import Missing, Unknown, ValueProblem, Values


class Memory:
    """What need not be found out again while one run goes on, so that a look at it costs what has changed.

    Valid for one pipeline and for facts that only go forward: once a task has ended, it stays as it is.
    """

    def __init__(self) -> None:
        self._orders: dict[int, list[str]] = {}
        self._leaves: dict[str, Node] = {}
        self._groups: dict[str, tuple[Node, ...]] = {}

    def order(self, dag: ir.Dag) -> list[str]:
        """See `graph.order`."""
        if id(dag) not in self._orders:  # the pipeline keeps its DAGs
            self._orders[id(dag)] = graph.order(dag.tasks)
        return self._orders[id(dag)]

    def leaf(self, key: str, record: Record | None, fate: Fate | None) -> Node | None:
        """A task as it was at the last look, if it cannot be another now."""
        node = self._leaves.get(key)
        if node is None or node.state in TASK_ENDED:
            return node
        if record:
            return node if node.state is record.state else None
        if fate:
            return node if not node.ready and (node.state, node.reason) == (fate.state, fate.reason) else None
        return node if node.ready else None

    def keep_leaf(self, node: Node) -> Node:
        """Remembers a task."""
        self._leaves[node.key] = node
        return node

    def group(self, key: str) -> tuple[Node, ...]:
        """A group that has ended, with all its members; nothing while it goes on."""
        return self._groups.get(key, ())

    def keep_group(self, nodes: Sequence[Node]) -> None:
        """Remembers a group and its members, in the order of the tree, if all of them have ended."""
        if nodes[0].state in TASK_ENDED and all(node.state in TASK_ENDED for node in nodes):
            self._groups[nodes[0].key] = tuple(nodes)


def expand(pipeline: ir.Pipeline, facts: Facts, memory: Memory | None = None) -> Tree:
    """Unrolls the pipeline as far as values are known.

    Args:
        pipeline: the pipeline.
        facts: what is known of the run.
        memory: of the earlier looks at the same run; none for a single look.
    """
    return _Expansion(pipeline, facts, memory or Memory()).tree()


class _Expansion:
    def __init__(self, pipeline: ir.Pipeline, facts: Facts, memory: Memory) -> None:
        self._pipeline = pipeline
        self._facts = facts
        self._memory = memory
        self._nodes: list[Node] = []
        self._started = {prefix for key in facts.records for prefix in _prefixes(key)}

    def tree(self) -> Tree:
        state, _, outputs = self._dag(self._pipeline.root, Place(inputs=Values(self._facts.parameters)), None)
        return Tree(tuple(self._nodes), state, outputs)

    def _dag(self, component: ir.Component, place: Place, fate: Fate | None) -> tuple[TaskState, str, Values]:
        dag = component.dag or ir.Dag({})
        members: dict[str, Node] = {}
        for name in self._memory.order(dag) if component.dag else ():
            members[name] = self._task(dag.tasks[name], place, members, fate)
        state, reason = group_state(list(members.values()))
        return state, reason, resolve.dag_outputs(dag, members)

    def _task(self, task: ir.Task, place: Place, siblings: Mapping[str, Node], fate: Fate | None) -> Node:
        key = place.prefix + task.name
        if ended := self._memory.group(key):
            self._nodes.extend(ended)
            return ended[0]
        fate = fate or _upstream_fate(task, siblings)
        record = self._facts.records.get(key)
        known = self._memory.leaf(key, record, fate)
        if known:
            return self._add(known)
        component = self._pipeline.component_of(task)
        node = self._new_node(task, component, place)
        if node.is_leaf and (record or fate):  # its inputs no longer matter, or not yet
            return self._add(self._memory.keep_leaf(_settled(node, record, fate)))
        inputs = resolve.task_inputs(task, component, place.inputs, siblings, self._facts.names)
        if node.is_leaf:
            inputs = resolve.with_overrides(inputs, component, self._facts.overrides.get(key, {}))
            gate, own = _gate(task, component, inputs, None)
            ready = replace(node, inputs=inputs, ready=True, scope=place.inputs.parameters)
            return self._add(self._memory.keep_leaf(_settled(node, None, own or gate) if own or gate else ready))
        return self._unrolled(replace(node, inputs=inputs), task, component, place, fate)

    def _unrolled(self, node: Node, task: ir.Task, component: ir.Component, place: Place, fate: Fate | None) -> Node:
        at = len(self._nodes)
        self._nodes.append(node)  # groups stand before their members; its state is known after them
        fate, own = _gate(task, component, node.inputs, fate)
        unroll = self._loop if task.loop else self._group
        node = unroll(node, component, place, fate)
        if own and node.state is not own.state:
            node = replace(node, state=own.state, reason=own.reason, outputs=Values())
        self._nodes[at] = node
        self._memory.keep_group(self._nodes[at:])
        return node

    def _add(self, node: Node) -> Node:
        self._nodes.append(node)
        return node

    def _new_node(self, task: ir.Task, component: ir.Component, place: Place) -> Node:
        return Node(
            key=place.prefix + task.name,
            label=place.label + task.display,
            name=task.display,
            kind=self._kind(task, component),
            parent=place.group,
            component=component.name,
            state=TaskState.PENDING,
            task=task,
        )

    def _kind(self, task: ir.Task, component: ir.Component) -> str:
        if task.loop:
            return "loop"
        if component.dag is None:
            return "importer" if isinstance(self._pipeline.executors[component.executor], ir.Importer) else "task"
        branching = task.condition or task.name.startswith(("condition-", "exit-handler-"))
        return "condition" if branching else "pipeline"

    def _group(self, node: Node, component: ir.Component, place: Place, fate: Fate | None) -> Node:
        # A condition is a way of writing, not a place: its tasks are labelled as if it were not there.
        label = place.label if node.kind == "condition" else node.label + "/"
        inside = Place(node.key + "/", label, node.key, resolve.with_defaults(component, node.inputs))
        state, reason, outputs = self._dag(component, inside, fate)
        if fate and not self._has_started(node.key):
            state, reason = fate.state, fate.reason
        return replace(node, state=state, reason=reason, outputs=outputs)

    def _loop(self, node: Node, component: ir.Component, place: Place, fate: Fate | None) -> Node:
        loop = node.task.loop if node.task else None
        items = resolve.loop_items(loop, node.inputs, place.inputs) if loop else []
        if isinstance(items, Missing):
            problem = fate or Fate(TaskState.FAILED, items.reason)
            return replace(node, state=problem.state, reason=problem.reason)
        if loop is None or isinstance(items, Unknown):
            waiting = fate or Fate(TaskState.PENDING, "waits for the items of its loop")
            return replace(node, state=waiting.state, reason=waiting.reason)
        iterations = self._iterations(node, component, place, loop, items, fate)
        state, reason = group_state(iterations)
        if fate and not self._has_started(node.key):
            state, reason = fate.state, fate.reason
        if not items and not fate:
            state, reason = TaskState.SUCCEEDED, "its list is empty"
        return replace(node, state=state, reason=reason, outputs=collect(component, iterations, state))

    def _iterations(
        self, node: Node, component: ir.Component, place: Place, loop: ir.Loop, items: Sequence[Any], fate: Fate | None
    ) -> list[Node]:
        found: list[Node] = []
        active = 0
        for index, label in enumerate(item_labels(items)):
            key = f"{node.key}({index})"
            if ended := self._memory.group(key):
                self._nodes.extend(ended)
                found.append(ended[0])
                continue
            full = bool(loop.limit) and active >= loop.limit and not self._has_started(key)
            own = fate or (Fate(TaskState.PENDING, f"waits: {loop.limit} iterations at a time") if full else None)
            inputs = replace(node.inputs, parameters={**node.inputs.parameters, loop.item_input: items[index]})
            at = len(self._nodes)
            iteration = Node(
                key,
                place.label + label,
                f"{node.name}({index})",
                "iteration",
                node.key,
                component.name,
                TaskState.PENDING,
            )
            self._nodes.append(iteration)
            inside = Place(key + "/", place.label + label + "/", key, inputs)
            state, reason, outputs = self._dag(component, inside, own)
            if own and not self._has_started(key):
                state, reason = own.state, own.reason
            self._nodes[at] = replace(iteration, state=state, reason=reason, outputs=outputs)
            self._memory.keep_group(self._nodes[at:])
            found.append(self._nodes[at])
            active += state not in TASK_ENDED and own is None
        return found

    def _has_started(self, key: str) -> bool:
        return key in self._started


def _prefixes(key: str) -> list[str]:
    """`loop(0)/a/b` lies in the groups `loop`, `loop(0)` and `loop(0)/a`."""
    parts = key.split("/")
    groups = ["/".join(parts[:n]) for n in range(1, len(parts))]
    return groups + [graph.base_name(g) for g in groups]


def _upstream_fate(task: ir.Task, siblings: Mapping[str, Node]) -> Fate | None:
    upstream = [siblings[name] for name in task.dependencies]
    waiting = [n.name for n in upstream if n.state not in TASK_ENDED]
    broken = [n for n in upstream if n.state in TASK_ENDED and n.state is not TaskState.SUCCEEDED]
    if any(n.state is TaskState.CANCELED for n in upstream):
        return Fate(TaskState.CANCELED, "the run was stopped")
    if broken and not task.waits_for_all:
        return Fate(TaskState.SKIPPED, f"omitted: upstream {broken[0].name} is {broken[0].state}")
    if waiting:
        return Fate(TaskState.PENDING, f"waits for {', '.join(waiting)}")
    return None


def _gate(
    task: ir.Task | None, component: ir.Component, inputs: Values, fate: Fate | None
) -> tuple[Fate | None, Fate | None]:
    """Judges the inputs and the condition of a task whose upstream lets it start.

    Returns:
        The fate of its members, and its own where that differs: a group that cannot start is FAILED, its members are
        SKIPPED.
    """
    if fate or task is None:
        return fate, None
    problem = resolve.problem_with(task, component, inputs)
    if problem:
        return Fate(TaskState.SKIPPED, f"omitted: {problem}"), Fate(TaskState.FAILED, problem)
    if not task.condition:
        return None, None
    try:
        if conditions.holds(task.condition, inputs.parameters):
            return None, None
    except ValueProblem as error:
        return Fate(TaskState.SKIPPED, f"omitted: {error}"), Fate(TaskState.FAILED, str(error))
    skipped = Fate(TaskState.SKIPPED, f"condition is false: {task.condition}")
    return skipped, skipped


def _settled(node: Node, record: Record | None, fate: Fate | None) -> Node:
    """A task by its history, or, while it has none, by what is settled from outside."""
    if record:
        return replace(node, state=record.state, reason=record.reason, outputs=record.outputs)
    return replace(node, state=fate.state, reason=fate.reason) if fate else node
