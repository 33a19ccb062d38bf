"""KFP's compiled pipeline (IR, schema 2.1) as frozen dataclasses; `irtext.read` makes them from text."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = _Absent()
"""No default is declared. `None` would be a value: JSON null."""


@dataclass(frozen=True)
class Parameter:
    """A declared input or output parameter.

    `default` is ABSENT where there is none; `choices` are the IR's literals, empty where any value will do.
    """

    name: str
    kind: str
    optional: bool = False
    default: Any = ABSENT
    description: str = ""
    choices: tuple[Any, ...] = ()


@dataclass(frozen=True)
class ArtifactSpec:
    """A declared input or output artifact. `kind` is the schema title, for instance `system.Model`."""

    name: str
    kind: str
    version: str = ""
    is_list: bool = False
    optional: bool = False


@dataclass(frozen=True)
class Source:
    """Where a task takes an input from.

    Attributes:
        kind: `constant`, `input` (of the pipeline around the task), `output` (of a sibling) or `status` (of a sibling).
        constant: the value, when kind is `constant`.
        task: the sibling.
        key: name of the input or of the sibling's output.
        path: keys and indices into the value, from KFP's `parseJson(string_value)["a"]`.
    """

    kind: str
    constant: Any = None
    task: str = ""
    key: str = ""
    path: tuple[str | int, ...] = ()


@dataclass(frozen=True)
class Loop:
    """A ParallelFor. `limit` is the most iterations at a time, 0 for all."""

    item_input: str
    items: Source
    limit: int = 0


@dataclass(frozen=True)
class Retry:
    """Retry policy of a task. Times in seconds; `limit` counts attempts after the first."""

    limit: int = 0
    backoff_s: float = 0.0
    factor: float = 2.0
    backoff_max_s: float = 3600.0


@dataclass(frozen=True)
class Task:
    """A node of a DAG as compiled; the runs of it are instances.

    Attributes:
        name: key in the DAG, unique there.
        display: KFP's taskInfo.name.
        condition: CEL text, empty when unconditional.
        waits_for_all: starts when its upstream has ended, however (exit tasks, ignore_upstream_failure).
        cache: `enableCache` of the IR.
    """

    name: str
    display: str
    component: str
    dependencies: tuple[str, ...] = ()
    parameters: Mapping[str, Source] = field(default_factory=dict)
    artifacts: Mapping[str, Source] = field(default_factory=dict)
    condition: str = ""
    waits_for_all: bool = False
    loop: Loop | None = None
    cache: bool = False
    retry: Retry = Retry()


@dataclass(frozen=True)
class Dag:
    """A graph of tasks. An output names (task, output) pairs: the first one that succeeded gives the value (OneOf)."""

    tasks: Mapping[str, Task]
    parameters: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    artifacts: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Component:
    """Typed interface plus what implements it: an executor label or a DAG."""

    name: str
    parameters: Mapping[str, Parameter]
    artifacts: Mapping[str, ArtifactSpec]
    output_parameters: Mapping[str, Parameter]
    output_artifacts: Mapping[str, ArtifactSpec]
    executor: str = ""
    dag: Dag | None = None


@dataclass(frozen=True)
class Container:
    """A container executor. `resources` is KFP's own table; quantities are read in budget.py.

    `kubernetes` is what kfp-kubernetes says of it (selector, tolerations, volumes), kept as it is.
    """

    image: str
    command: tuple[str, ...]
    args: tuple[str, ...]
    env: Mapping[str, str]
    resources: Mapping[str, Any]
    timeout_s: float = 0.0
    kubernetes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Importer:
    """An importer executor: registers what lies at a URI. `key` names the parameter when the URI is no constant."""

    constant: str
    key: str
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class Pipeline:
    """A compiled pipeline. `platform` is the second document (placement), kept as it is."""

    name: str
    description: str
    root: Component
    components: Mapping[str, Component]
    executors: Mapping[str, Container | Importer]
    platform: Mapping[str, Any] = field(default_factory=dict)

    def component_of(self, task: Task) -> Component:
        """The component that a task instantiates."""
        return self.components[task.component]
