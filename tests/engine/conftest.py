"""Pipelines compiled by kfp, and a machine in memory: a clock and a launcher that are told what happens."""

import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from kfp import compiler, dsl

from pipeline.engine.budget import Budget
from pipeline.engine.launch import Exit, Job
from pipeline.engine.records import Task
from pipeline.engine.runner import Engine
from pipeline.engine.store import Store
from pipeline.engine.tools import Hooks, Pace


def make_step(name: str, inputs: Mapping[str, Any], outputs: Mapping[str, Any] | None = None, command: str = "") -> Any:
    """A container component that gets everything through `{{$}}`; `command` replaces its name for a real shell."""

    def spec(*_: Any) -> dsl.ContainerSpec:
        words = ["sh", "-c", command] if command else ["run", name]
        return dsl.ContainerSpec(image="img:1", command=words, args=["{{$}}"])

    annotations = {**inputs, **(outputs if outputs is not None else {"out": dsl.OutputPath(str)})}
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    spec.__name__ = name
    spec.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(n, kind, annotation=a) for n, a in annotations.items()]
    )
    return dsl.container_component(spec)


@pytest.fixture
def step() -> Callable[..., Any]:
    return make_step


@pytest.fixture
def ir_of(tmp_path: Path) -> Callable[[Any], str]:
    """Compiles a pipeline function to IR text."""

    def compiled(function: Any) -> str:
        target = tmp_path / "pipeline.yaml"
        compiler.Compiler().compile(dsl.pipeline(name="p")(function), str(target))
        return target.read_text()

    return compiled


class FakeClock:
    """Time that passes only when somebody sleeps; `ahead` is how far somebody has set the time of day."""

    def __init__(self) -> None:
        self.time = 1_000_000.0
        self.ahead = 0.0
        self.alarms: dict[float, Callable[[], None]] = {}

    def now(self) -> float:
        return self.time + self.ahead

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time = round(self.time + seconds, 6)
        for at in [at for at in self.alarms if at <= self.time]:
            self.alarms.pop(at)()
        if self.time > 1_100_000:
            raise AssertionError("the run hangs: a day has passed")


@dataclass
class Happening:
    """What a started command will do: run for some seconds, say lines, write outputs, exit."""

    seconds: float = 1.0
    code: int = 0
    outputs: dict[str, Any] | None = None
    artifacts: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, dict[str, Any]] = field(default_factory=dict)
    log: str = ""
    ignores_term: bool = False


@dataclass
class Running:
    job: Job
    key: str
    message: dict[str, Any]
    happening: Happening
    ends: float = float("inf")
    code: int | None = None


class FakeLauncher:
    """Does what the test says a command does; by default it writes its name and inputs to every output parameter."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.does: dict[str, Any] = {}
        self.started: list[str] = []
        self.environments: dict[str, Mapping[str, str]] = {}
        self.gpus: dict[str, tuple[int, ...]] = {}
        self.running: dict[str, Running] = {}
        self.most_at_once = 0
        self.deaf = False  # an engine that is killed signals nobody

    def start(self, job: Job) -> str:
        message = json.loads(job.command[-1])
        key = "/".join(job.directory.parts[job.directory.parts.index("runs") + 2 : -1])
        values = message.get("inputs", {}).get("parameterValues", {})
        told = self.does.get(key, self.does.get(job.command[1], Happening()))
        self.running[str(job.directory)] = Running(job, key, message, told(values) if callable(told) else told)
        self.environments[key], self.gpus[key] = job.environment, job.gpus
        return str(job.directory)

    def release(self, handle: str) -> None:
        one = self.running[handle]
        one.ends = self.clock.monotonic() + one.happening.seconds
        self.started.append(one.key)
        self.most_at_once = max(self.most_at_once, len([r for r in self.running.values() if r.code is None]))
        (Path(handle) / "log").write_text(one.happening.log)

    def poll(self, handle: str) -> Exit | None:
        one = self.running.get(handle)
        if one is None:
            return Exit(None)
        if one.code is None and self.clock.monotonic() >= one.ends:
            one.code = one.happening.code
            if one.code == 0:
                self._write(one)
        return None if one.code is None else Exit(one.code)

    def signal(self, handle: str, kill: bool) -> None:
        one = self.running[handle]
        if one.code is None and not self.deaf and (kill or not one.happening.ignores_term):
            one.code = -9 if kill else -15

    def _write(self, one: Running) -> None:
        wanted = one.message["outputs"]
        values = one.message.get("inputs", {}).get("parameterValues", {})
        told = one.happening.outputs
        said = f"{one.job.command[1]}:{json.dumps(values, sort_keys=True)}"
        default = dict.fromkeys(wanted.get("parameters", {}), said)
        body: dict[str, Any] = {"parameterValues": default if told is None else told}
        for name, text in one.happening.artifacts.items():
            Path(wanted["artifacts"][name]["artifacts"][0]["uri"]).write_text(text)
        if one.happening.metadata:
            body["artifacts"] = {k: {"artifacts": [{"metadata": m}]} for k, m in one.happening.metadata.items()}
        Path(wanted["outputFile"]).write_text(json.dumps(body))


class Machine:
    """An engine on a machine in memory, with shortcuts for tests."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = FakeClock()
        self.launcher = FakeLauncher(self.clock)
        self.store = Store.open(directory)
        self.events: list[Any] = []
        self.code: dict[str, str] = {}
        self.gone: set[str] = set()
        self.engine = self.new_engine()

    def new_engine(self, **budget: Any) -> Engine:
        hooks = Hooks(
            code_identity=lambda command: self.code.get(command[1], f"{command[1]} v1"),
            still_valid=lambda outputs: not self.gone & set(map(str, outputs.values())),
            environment=lambda demand: {"THREADS": f"{demand.cpu_slots:g}"},
        )
        self.engine = Engine(
            self.store,
            self.launcher,
            budget=Budget(**{"cpu_slots": 4.0, "memory_bytes": 8 << 30, "gpus": 0} | budget),
            hooks=hooks,
            clock=self.clock,
            on_event=self.events.append,
            pace=Pace(0.5, 5.0),
        )
        return self.engine

    def run(self, text: str, **parameters: Any) -> str:
        run_id = self.engine.create_run(text, parameters)
        self.engine.execute(run_id)
        return run_id

    def tasks(self, run_id: str) -> dict[str, Task]:
        return {t.key: t for t in self.store.tasks(run_id)}

    def states(self, run_id: str) -> dict[str, str]:
        return {t.label: str(t.state) for t in self.store.tasks(run_id) if t.is_leaf}

    def inputs(self, run_id: str, key: str) -> Mapping[str, Any]:
        return self.tasks(run_id)[key].inputs.parameters


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path / "state")
    yield made
    made.store.close()


@pytest.fixture
def happening() -> type[Happening]:
    return Happening
