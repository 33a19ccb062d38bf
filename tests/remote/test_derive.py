"""A pipeline derived from a run repeats one task and what comes after it; all else stands in it as constants."""

import pytest
import yaml
from kfp import dsl, kubernetes

from pipeline import derive, remote_logs
from pipeline.engine import irtext
from pipeline.engine.tree import Facts, Record
from pipeline.errors import NotFound, PipelineError


def facts_of(machine, run_id, text, overrides=None):
    """What an endpoint lets us know: the parameters, and what the logs say."""
    pipeline, parameters = irtext.read(text), machine.store.run(run_id).parameters
    records = remote_logs.recorded(pipeline, parameters, remote_logs.made_in(machine.logs(run_id)))
    return Facts(parameters, records, {}, overrides or {})


def actions(derived):
    return {row.label: row.action for row in derived.rows}


@pytest.fixture
def source(machine, rounds_ir):
    run_id = machine.run(rounds_ir, counter=str(machine.counter))
    machine.ran()
    return run_id


def test_the_logs_alone_tell_what_every_task_made(machine, rounds_ir, source):
    facts = facts_of(machine, source, rounds_ir)
    made = {key: record.outputs.parameters["out"] for key, record in facts.records.items()}
    assert made == {t.key: t.outputs.parameters["out"] for t in machine.store.tasks(source) if t.is_leaf}


def test_only_the_chosen_task_and_what_comes_after_it_is_in_the_new_pipeline(machine, rounds_ir, source):
    derived = derive.derive(rounds_ir, facts_of(machine, source, rounds_ir), "skirt/b/train")
    assert {label for label, action in actions(derived).items() if action == "run"} == {
        "skirt/b/train",
        "skirt/merge",
        "report",
    }
    machine.run(derived.text)
    assert [line.split("(")[0] for line in machine.ran()] == ["merge", "report", "train"]


def test_without_changes_the_new_run_makes_the_same_as_the_old_one(machine, rounds_ir, source):
    derived = derive.derive(rounds_ir, facts_of(machine, source, rounds_ir), "skirt/b/train")
    again = machine.run(derived.text)
    assert machine.output(again, "report") == machine.output(source, "report")
    assert machine.output(again, "skirt-merge") == machine.output(source, "skirt/merge")


def test_a_changed_input_reaches_everything_that_comes_after(machine, rounds_ir, source):
    key = machine.store.task(source, "skirt/b/train").key
    facts = facts_of(machine, source, rounds_ir, {key: {"epochs": 9}})
    again = machine.run(derive.derive(rounds_ir, facts, key).text)
    old, new = machine.output(source, "report"), machine.output(again, "report")
    assert new == old.replace("train(3,b,cut(skirt", "train(9,b,cut(skirt") != old


def test_what_is_not_known_to_have_succeeded_runs_too(machine, rounds_ir, source):
    facts = facts_of(machine, source, rounds_ir)
    lost = machine.store.task(source, "sleeve/merge").key
    known = {key: record for key, record in facts.records.items() if key != lost}
    derived = derive.derive(rounds_ir, Facts(facts.parameters, known), "skirt/b/train")
    assert actions(derived)["sleeve/merge"] == "run"
    assert machine.output(machine.run(derived.text), "report") == machine.output(source, "report")


def test_a_derived_pipeline_is_safe_for_kfp_and_always_the_same(machine, rounds_ir, source):
    facts = facts_of(machine, source, rounds_ir)
    texts = {derive.derive(rounds_ir, facts, "sleeve/cut").text for _ in range(2)}
    assert len(texts) == 1
    document = yaml.safe_load(texts.pop())
    for component in document["components"].values():
        given = {n for n in component["inputDefinitions"]["parameters"] if n.startswith(derive.CHANNEL)}
        for task in document["root"]["dag"]["tasks"].values():
            if document["components"][task["componentRef"]["name"]] is component:
                assert given <= set(task["inputs"]["parameters"])


def test_an_artifact_of_a_reused_task_is_imported(machine, compile_ir):
    @dsl.container_component
    def write(text: str, page: dsl.Output[dsl.Artifact]):
        return dsl.ContainerSpec("img:1", ["sh", "-c", 'echo "$0" > "$1"'], [text, page.path])

    @dsl.container_component
    def read(page: dsl.Input[dsl.Artifact], out: dsl.OutputPath(str)):
        return dsl.ContainerSpec("img:1", ["sh", "-c", 'cat "$0" > "$1"'], [page.path, out])

    @dsl.pipeline(name="pages")
    def pages(text: str = "hello"):
        read(page=write(text=text).outputs["page"])

    text = compile_ir(pages)
    source = machine.run(text)
    records = {t.key: Record(t.state, t.outputs) for t in machine.store.tasks(source) if t.is_leaf}
    derived = derive.derive(text, Facts({"text": "hello"}, records), "read")
    again = machine.run(derived.text)
    assert {t.name for t in machine.store.tasks(again)} == {"importer", "read"}
    assert machine.output(again, "read") == "hello\n"


def test_a_condition_on_what_will_be_made_is_refused(machine, compile_ir, joining):
    first, second = joining("first"), joining("second")

    @dsl.pipeline(name="branching")
    def branching(counter: str):
        made = first(counter=counter)
        with dsl.If(made.outputs["out"] == "yes"):
            second(counter=counter)

    with pytest.raises(PipelineError, match="depends on what a repeated task will make"):
        derive.derive(compile_ir(branching), Facts({"counter": "c"}), "first")


def test_an_unknown_task_is_named_with_those_that_exist(machine, rounds_ir, source):
    with pytest.raises(NotFound, match="task 'nothing' is not in the run; it has ingest"):
        derive.derive(rounds_ir, facts_of(machine, source, rounds_ir), "nothing")
    with pytest.raises(NotFound, match="could be"):
        derive.derive(rounds_ir, facts_of(machine, source, rounds_ir), "train")


def test_a_node_selector_that_is_a_parameter_becomes_a_constant(machine, compile_ir, joining):
    train = joining("train", model=str)

    @dsl.pipeline(name="pools")
    def pools(counter: str, pool: dict = {"gpu": "l4"}, models: list = ["a", "b"]):  # noqa: B006
        with dsl.ParallelFor(models, name="model") as model:
            kubernetes.add_node_selector_json(train(model=model, counter=counter), pool)

    text = compile_ir(pools)
    source = machine.run(text, counter=str(machine.counter), pool={"gpu": "h100"})
    derived = derive.derive(text, facts_of(machine, source, text), "a/train")
    _, platform = yaml.safe_load_all(derived.text)
    (settings,) = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values()
    assert settings == {"nodeSelector": {"nodeSelectorJson": {"runtimeValue": {"constant": {"gpu": "h100"}}}}}
    machine.run(derived.text)
