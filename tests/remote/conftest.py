"""A pipeline with loops like ours, of small real commands that say what they made, and a machine to run it on."""

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kfp import compiler, dsl

from pipeline.engine.launch import ProcessLauncher
from pipeline.engine.runner import Engine
from pipeline.engine.store import Store
from pipeline.engine.tools import Pace

# Joins its inputs to one text, counts that it ran, and says what it made as our steps do.
WORK = """
import json, sys
from pathlib import Path
from components.progress import made
name, message = sys.argv[1], json.loads(sys.argv[2])
given = message.get("inputs", {}).get("parameterValues", {})
said = name + "(" + ",".join(str(v) for k, v in sorted(given.items()) if k != "counter" and "channel" not in k) + ")"
with open(given["counter"], "a") as counter:
    counter.write(said + "\\n")
target = Path(message["outputs"]["outputFile"])
target.write_text(json.dumps({"parameterValues": {"out": said}}))
made(name, {k: v for k, v in given.items() if "channel" not in k}, {"out": said})
"""


def joining_component(name: str, **inputs: Any) -> Any:
    """A component that takes these inputs and `counter`, and whose output is a text of its name and inputs."""

    def spec(*_: Any) -> dsl.ContainerSpec:
        return dsl.ContainerSpec(image="img:1", command=[sys.executable, "-c", WORK, name], args=["{{$}}"])

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    spec.__name__ = name
    annotations = {**inputs, "counter": str, "out": dsl.OutputPath(str)}
    spec.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(n, kind, annotation=a) for n, a in annotations.items()]
    )
    return dsl.container_component(spec)


@dsl.pipeline(name="rounds")
def rounds(counter: str, attributes: list = ["sleeve", "skirt"], models: list = ["a", "b"], epochs: int = 3):  # noqa: B006
    """ingest -> for each attribute: cut, for each model: train; merge -> report."""
    ingest, cut = joining_component("ingest"), joining_component("cut", manifest=str, attribute=str)
    train = joining_component("train", shards=str, model=str, epochs=int)
    merge, report = joining_component("merge", trained=list), joining_component("report", merged=list)
    manifest = ingest(counter=counter).outputs["out"]
    with dsl.ParallelFor(attributes, name="attribute") as attribute:
        shards = cut(manifest=manifest, attribute=attribute, counter=counter).outputs["out"]
        with dsl.ParallelFor(models, name="model") as model:
            trained = train(shards=shards, model=model, epochs=epochs, counter=counter)
        merged = merge(trained=dsl.Collected(trained.outputs["out"]), counter=counter)
    report(merged=dsl.Collected(merged.outputs["out"]), counter=counter)


@pytest.fixture(scope="session")
def rounds_ir(tmp_path_factory: pytest.TempPathFactory) -> str:
    target = tmp_path_factory.mktemp("ir") / "rounds.yaml"
    compiler.Compiler().compile(rounds, str(target))
    return target.read_text()


@pytest.fixture
def joining() -> Callable[..., Any]:
    return joining_component


class Machine:
    """An engine in a folder of its own, and the count of what ran there."""

    def __init__(self, folder: Path) -> None:
        self.counter = folder / "counter"
        self.store = Store.open(folder / "state")
        self.engine = Engine(self.store, ProcessLauncher(), pace=Pace(0.02, 1.0))

    def run(self, text: str, **parameters: Any) -> str:
        run_id = self.engine.create_run(text, parameters)
        assert self.engine.execute(run_id) == "SUCCEEDED", [(t.label, t.reason) for t in self.store.tasks(run_id)]
        return run_id

    def ran(self) -> list[str]:
        """What ran since the last look, in order of their names."""
        found = sorted(self.counter.read_text().splitlines()) if self.counter.exists() else []
        self.counter.unlink(missing_ok=True)
        return found

    def logs(self, run_id: str) -> str:
        leaves = [t for t in self.store.tasks(run_id) if t.is_leaf]
        return "\n".join(self.store.log_path(run_id, t.key).read_text() for t in leaves)

    def output(self, run_id: str, label: str) -> str:
        return str(self.store.task(run_id, label).outputs.parameters["out"])


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)
