"""Instances of tasks: what has happened to them, what is settled about them, and the tree that they form."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.engine import ir
from pipeline.engine.states import TaskState
from pipeline.engine.values import Values


@dataclass(frozen=True)
class Record:
    """History of one instance: RUNNING, SUCCEEDED (with outputs), FAILED or CANCELED; without one it is waiting."""

    state: TaskState
    outputs: Values = Values()
    reason: str = ""


@dataclass(frozen=True)
class Node:
    """One instance of a task.

    Attributes:
        key: `for-loop-1(0)/for-loop-2(1)/train-2`, stable over attempts and runs.
        label: what people read: loop items instead of loop names, `collar_design_labels/small/train-2`.
        kind: `task`, `importer`, `loop`, `iteration`, `condition` or `pipeline`.
        parent: key of the group around it, empty at the top.
        ready: may start now.
        inputs: for a task, what the pipeline passes to it (component defaults are not filled in).
        outputs: for what succeeded.
        scope: for a task that is ready, the parameters of the pipeline around it, which its placement may name.
    """

    key: str
    label: str
    name: str
    kind: str
    parent: str
    component: str
    state: TaskState
    reason: str = ""
    ready: bool = False
    task: ir.Task | None = None
    inputs: Values = Values()
    outputs: Values = Values()
    scope: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_leaf(self) -> bool:
        """Has a history of its own."""
        return self.kind in ("task", "importer")


@dataclass(frozen=True)
class Tree:
    """All instances that are known so far, groups before their members, and the state of the whole."""

    nodes: tuple[Node, ...]
    state: TaskState
    outputs: Values = Values()

    @property
    def leaves(self) -> tuple[Node, ...]:
        """The instances that have a history of their own, in the order in which they should start."""
        return tuple(n for n in self.nodes if n.is_leaf)


@dataclass(frozen=True)
class Fate:
    """What is settled about an instance from outside: it waits, or it will never start."""

    state: TaskState
    reason: str


@dataclass(frozen=True)
class Place:
    """Where in the tree a DAG is being unrolled: prefixes of key and label, the group's key, and its inputs."""

    prefix: str = ""
    label: str = ""
    group: str = ""
    inputs: Values = Values()


@dataclass(frozen=True)
class Facts:
    """What a run is made of besides its pipeline.

    Attributes:
        parameters: of the run, complete and typed.
        records: histories by key.
        names: whole-value placeholders (`{{$.pipeline_job_name}}` ...) to their text.
        overrides: instance key -> input -> value, put in place of what the pipeline would pass.
    """

    parameters: Mapping[str, Any]
    records: Mapping[str, Record] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
