"""Features of the IR that no other test is about: artifacts, importers, and Python components that make them."""

from pathlib import Path
from typing import Any, List  # noqa: UP035 - as people write pipelines

import pytest
from kfp import compiler, dsl
from kfp.dsl import Dataset, Input, Model, Output

from pipeline.engine.budget import Budget
from pipeline.engine.launch import ProcessLauncher
from pipeline.engine.runner import Engine
from pipeline.engine.store import Store
from pipeline.engine.tools import Pace
from pipeline.errors import PipelineError


@dsl.container_component
def make(x: str, data: Output[Dataset]):  # type: ignore[no-untyped-def]
    return dsl.ContainerSpec(image="i", command=["run", "make"], args=["{{$}}"])


@dsl.container_component
def take(data: Input[Dataset]):  # type: ignore[no-untyped-def]
    return dsl.ContainerSpec(image="i", command=["run", "take"], args=["{{$}}"])


@dsl.container_component
def take_all(data: Input[List[Dataset]]):  # type: ignore[no-untyped-def]  # noqa: UP006
    return dsl.ContainerSpec(image="i", command=["run", "take_all"], args=["{{$}}"])


def texts(machine: Any, run_id: str, key: str) -> list[str]:
    """What the artifacts hold that a task is given."""
    return [Path(a.uri).read_text() for a in machine.tasks(run_id)[key].inputs.artifacts["data"]]


@pytest.fixture
def makes_its_name(machine: Any, happening: Any) -> Any:
    """A machine on which `make` writes its input into its artifact."""
    machine.launcher.does = {"make": lambda v: happening(artifacts={"data": v["x"]})}
    return machine


def test_a_loop_over_artifacts_is_refused_with_the_name_of_its_task(machine: Any, ir_of: Any) -> None:
    @dsl.pipeline(name="inner")
    def inner() -> List[Dataset]:  # noqa: UP006
        with dsl.ParallelFor(["a", "b"]) as x:
            made = make(x=x)
        return dsl.Collected(made.outputs["data"])  # type: ignore[return-value]

    def p() -> None:
        with dsl.ParallelFor(inner().output) as one:
            take(data=one)

    with pytest.raises(PipelineError, match="task for-loop-1 loops over artifacts; loop over parameters"):
        machine.engine.create_run(ir_of(p), {})


def test_oneof_takes_the_artifact_of_the_branch_that_ran(makes_its_name: Any, ir_of: Any) -> None:
    def p(n: int = 1):  # type: ignore[no-untyped-def]
        with dsl.If(n == 1):
            one = make(x="one")
        with dsl.Else():
            two = make(x="two")
        take(data=dsl.OneOf(one.outputs["data"], two.outputs["data"]))

    text = ir_of(p)
    for n, expected in ((1, "one"), (2, "two")):
        assert texts(makes_its_name, makes_its_name.run(text, n=n), "take") == [expected]


def test_a_nested_pipeline_gives_an_artifact(makes_its_name: Any, ir_of: Any) -> None:
    @dsl.pipeline(name="inner")
    def inner(x: str) -> Dataset:
        return make(x=x).outputs["data"]  # type: ignore[no-any-return]

    def p() -> None:
        take(data=inner(x="deep").output)

    assert texts(makes_its_name, makes_its_name.run(ir_of(p)), "take") == ["deep"]


def test_a_nested_pipeline_gives_a_list_of_artifacts(makes_its_name: Any, ir_of: Any) -> None:
    @dsl.pipeline(name="inner")
    def inner() -> List[Dataset]:  # noqa: UP006
        with dsl.ParallelFor(["a", "b"]) as x:
            made = make(x=x)
        return dsl.Collected(made.outputs["data"])  # type: ignore[return-value]

    def p() -> None:
        take_all(data=inner().output)

    assert texts(makes_its_name, makes_its_name.run(ir_of(p)), "take-all") == ["a", "b"]


def test_a_list_of_artifacts_enters_a_nested_pipeline_whole(makes_its_name: Any, ir_of: Any) -> None:
    @dsl.pipeline(name="inner")
    def inner(data: Input[List[Dataset]]) -> None:  # noqa: UP006
        take_all(data=data)

    def p() -> None:
        with dsl.ParallelFor(["a", "b"]) as x:
            made = make(x=x)
        inner(data=dsl.Collected(made.outputs["data"]))

    assert texts(makes_its_name, makes_its_name.run(ir_of(p)), "inner/take-all") == ["a", "b"]


def test_an_importer_takes_the_output_of_a_task_for_its_uri(
    machine: Any, step: Any, ir_of: Any, happening: Any, tmp_path: Path
) -> None:
    where = step("where", {})
    (tmp_path / "there.txt").write_text("found")

    def p() -> None:
        take(data=dsl.importer(artifact_uri=where().outputs["out"], artifact_class=Dataset).output)

    machine.launcher.does = {"where": happening(outputs={"out": str(tmp_path / "there.txt")})}
    assert texts(machine, machine.run(ir_of(p)), "take") == ["found"]


@pytest.mark.parametrize("reimport", [False, True])
def test_every_run_imports_anew_whatever_reimport_says(
    machine: Any, ir_of: Any, tmp_path: Path, reimport: bool
) -> None:
    path = tmp_path / "there.txt"

    def p() -> None:
        take(data=dsl.importer(artifact_uri=str(path), artifact_class=Dataset, reimport=reimport).output)

    text = ir_of(p)
    digests = []
    for content in ("one", "two", "two"):
        path.write_text(content)
        (found,) = machine.tasks(machine.run(text))["importer"].outputs.artifacts["artifact"]
        digests.append(found.digest)
    assert (digests[0] != digests[1], digests[1] == digests[2]) == (True, True)
    assert machine.launcher.started == ["take", "take"]


@dsl.component(base_image="python:3.11", install_kfp_package=False)
def evaluate(
    numbers: Output[dsl.Metrics],
    matrix: Output[dsl.ClassificationMetrics],
    page: Output[dsl.HTML],
    text: Output[dsl.Markdown],
    model: Output[Model],
) -> None:
    numbers.log_metric("accuracy", 0.75)
    matrix.log_confusion_matrix(["cat", "dog"], [[5, 1], [2, 4]])
    model.framework = "none"
    for artifact, words in ((page, "<b>bold</b>"), (text, "**bold**"), (model, "weights")):
        with open(artifact.path, "w") as stream:
            stream.write(words)


@pytest.fixture
def real(tmp_path: Path) -> Any:
    """Compiles a pipeline and runs it with real processes: the run's id and a store to look at it."""

    def run(pipeline: Any) -> tuple[str, Store]:
        compiler.Compiler().compile(pipeline, str(tmp_path / "pipeline.yaml"))
        store = Store.open(tmp_path / "state")
        engine = Engine(store, ProcessLauncher(), budget=Budget(2, 1 << 33), pace=Pace(0.02, 1.0))
        run_id = engine.create_run((tmp_path / "pipeline.yaml").read_text(), {})
        engine.execute(run_id)
        return run_id, store

    return run


def test_metrics_pages_and_models_keep_their_types_and_metadata(real: Any) -> None:
    @dsl.pipeline(name="p")
    def p() -> None:
        evaluate()

    run_id, store = real(p)
    found = {name: a for name, (a,) in store.task(run_id, "evaluate").outputs.artifacts.items()}
    assert {name: a.type for name, a in found.items()} == {
        "numbers": "system.Metrics",
        "matrix": "system.ClassificationMetrics",
        "page": "system.HTML",
        "text": "system.Markdown",
        "model": "system.Model",
    }
    assert found["numbers"].metadata == {"accuracy": 0.75}
    assert found["matrix"].metadata["confusionMatrix"]["rows"][1] == {"row": [2, 4]}
    assert found["model"].metadata == {"framework": "none"}
    assert (Path(found["page"].uri).name, Path(found["text"].uri).name) == ("page.html", "text.md")
    assert Path(found["text"].uri).read_text() == "**bold**"


@dsl.component(base_image="python:3.11")
def with_bootstrap(x: int) -> int:
    return x + 1


@pytest.mark.slow
def test_the_bootstrap_of_a_python_component_needs_no_network_where_its_kfp_is_installed(
    real: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/")  # nobody answers there

    @dsl.pipeline(name="p")
    def p() -> None:
        with_bootstrap(x=1)

    run_id, store = real(p)
    assert store.task(run_id, "with-bootstrap").outputs.parameters == {"Output": 2}
