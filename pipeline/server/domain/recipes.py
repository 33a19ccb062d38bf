"""Recipes: what can be started, with a typed form, what it will cost, and how a form becomes a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pipeline.engine.records import Run, Task
from pipeline.engine.store import Store

TEXT, INTEGER, NUMBER, BOOLEAN, CHOICE, LIST, STRUCT = (
    "text",
    "integer",
    "number",
    "boolean",
    "choice",
    "list",
    "struct",
)


@dataclass(frozen=True)
class Field:
    """One setting in a form. All values are texts, as an input shows them and as `--set` reads them.

    Attributes:
        name: what it is called in the form, in JSON and after `--set`: `round1.epochs`.
        label: for people.
        kind: `text`, `integer`, `number`, `boolean`, `choice`, `list` or `struct`.
        value: what stands in the form.
        default: what the recipe, the pipeline or (for a task) the step says; None where nothing does.
        earlier: what the run before it had; None where there is none.
        help: one line.
        unit: of a number.
        choices: the allowed values; for a list, of its elements.
        low, high: inclusive bounds.
        error: what is wrong with the value; empty when it will do.
    """

    name: str
    label: str
    kind: str
    value: str
    default: str | None = None
    earlier: str | None = None
    help: str = ""
    unit: str = ""
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    error: str = ""

    @property
    def is_changed(self) -> bool:
        """Whether it differs from the default."""
        return self.default is not None and self.value != self.default

    @property
    def differs_from_earlier(self) -> bool:
        """Whether it differs from the run before."""
        return self.earlier is not None and self.value != self.earlier


@dataclass(frozen=True)
class Group:
    """Settings that belong together.

    Attributes:
        name: for machines.
        title: for people.
        fields: the settings.
        note: what is special about it.
        shown: names of the settings that are worth a look at once, the most interesting first.
        is_off: the run will have no task that they hold for.
    """

    name: str
    title: str
    fields: Sequence[Field]
    note: str = ""
    shown: tuple[str, ...] = ()
    is_off: bool = False


@dataclass(frozen=True)
class Source:
    """What a run can be made from.

    Attributes:
        kind: `recipe` (file or packaged), `version` (of an uploaded pipeline) or `run` (the pipeline of a run).
        name: recipe path or bare name, version id, run id.
        title: for people.
        description: one line.
        origin: how it came to be known: `comes with Seamline`, `used by run 1a2b3c4d`, `uploaded`.
        pipeline_id: of a version, its pipeline.
    """

    kind: str
    name: str
    title: str
    description: str = ""
    origin: str = ""
    pipeline_id: str = ""


@dataclass(frozen=True)
class Form:
    """What can be set before a run.

    Attributes:
        source: what the run is made from.
        groups: the settings.
        data_kind: what may be given instead of what the source says: a folder of `rounds`, or `source`, one of files;
            empty: nothing.
        data: the folder or gs:// address that is given; empty: as the source says.
        data_said: what the source says about the data, in words.
        data_error: what is wrong with `data`.
        earlier_run: the run that `earlier` values come from; empty where there is none.
        notes: what is to be known before starting, for instance parameters that a newer version no longer has.
        error: what is wrong with the whole.
    """

    source: Source
    groups: Sequence[Group]
    data_kind: str = ""
    data: str = ""
    data_said: str = ""
    data_error: str = ""
    earlier_run: str = ""
    notes: tuple[str, ...] = ()
    error: str = ""

    @property
    def fields(self) -> list[Field]:
        """All settings."""
        return [one for group in self.groups for one in group.fields]

    @property
    def is_valid(self) -> bool:
        """Whether a run can be made of it."""
        return not (self.error or self.data_error or any(one.error for one in self.fields))


@dataclass(frozen=True)
class Asked:
    """What somebody filled in.

    Attributes:
        kind, name: of the source, see `Source`.
        values: field name to text; what is left out stays as the source says.
        data: folder or gs:// address of the rounds; empty: as the source says.
        clone: the run whose parameters are the starting values; empty: none.
    """

    kind: str
    name: str
    values: Mapping[str, str] = field(default_factory=dict)
    data: str = ""
    clone: str = ""


@dataclass(frozen=True)
class DataRound:
    """A round as it lies there. `bytes` 0: not known."""

    name: str
    address: str
    files: int
    bytes: int


@dataclass(frozen=True)
class StageCost:
    """Tasks of one name in a run to come. `seconds` is one task's; None: none of that name ever ran."""

    name: str
    count: int
    seconds: float | None
    executions: int
    cpu_slots: float
    memory_bytes: int
    gpus: int
    reused: bool = False


@dataclass(frozen=True)
class Estimate:
    """What a run will take, as far as history tells.

    Attributes:
        stages: the tasks by name, in the order of the pipeline.
        tasks: how many there are; loops of unknown length count once.
        unknown: how many of them have no history.
        seconds: how long the run takes if every task runs; None where no task has a history.
        seconds_fresh: the same without the tasks that are likely reused; None where none is.
        reused: how many are likely reused.
        gpu_hours: GPUs held times hours; 0 where no GPU is asked for, None where nothing is known.
        basis: what the numbers come from, in words.
        fit: what fits and what does not, one line each; `(fits, words)`.
    """

    stages: Sequence[StageCost]
    tasks: int
    unknown: int
    seconds: float | None
    seconds_fresh: float | None
    reused: int
    gpu_hours: float | None
    basis: str
    fit: Sequence[tuple[bool, str]] = ()


@dataclass(frozen=True)
class Prepared:
    """All that `Engine.create_run` wants, and the command that does the same."""

    ir_text: str
    parameters: Mapping[str, Any]
    name: str
    labels: Mapping[str, Any]
    version_id: str = ""


class Recipes(Protocol):
    """What can be started, and how a form becomes a run. Refuses with PipelineError what it cannot read."""

    def sources(self, store: Store) -> Sequence[Source]:
        """What can be started: recipes of this package, of earlier runs, uploaded pipelines."""

    def form(self, store: Store, asked: Asked) -> Form:
        """The settings with the given values, each checked."""

    def rounds(self, address: str) -> Sequence[DataRound]:
        """The rounds in a folder or under a gs:// address, without reading their files."""

    def estimate(self, store: Store, form: Form, cache: bool) -> Estimate:
        """What the run will take."""

    def prepare(self, store: Store, asked: Asked) -> Prepared:
        """Compiles and prepares the data; may take minutes. For one that `form` found valid."""

    def command(self, form: Form, cache: bool) -> str:
        """What does the same in the terminal."""

    def knobs(self, task: Task) -> Sequence[Field]:
        """The settings that a rerun of the task may change, named as `--set` wants them; none for foreign tasks."""

    def check_changes(self, task: Task, changes: Mapping[str, str]) -> None:
        """Refuses changes of a rerun that the task's step would refuse."""

    def recipe_of(self, run: Run) -> str:
        """The recipe that a run was made from, by its shortest name; empty where it was made from none."""
