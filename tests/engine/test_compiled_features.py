"""Every feature of the IR that pipelines use, compiled by kfp and run on the machine in memory."""

from pathlib import Path
from typing import Any, Optional

from kfp import dsl
from kfp.dsl import Dataset, Input, Model, Output, OutputPath, PipelineTaskFinalStatus

from pipeline import recipe
from pipeline.engine.states import RunState
from pipeline.recipe_loops import for_tasks


def test_sibling_loops_in_a_loop_collect_in_order_whoever_ends_first(
    machine: Any, step: Any, ir_of: Any, happening: Any
) -> None:
    prepare = step("prepare", {"attribute": dict})
    train = step("train", {"attribute": dict, "model": dict, "shards": str})
    gather = step("gather", {"parts": list[str]})

    def p(  # type: ignore[no-untyped-def]
        attributes: list[dict[str, str]] = [{"name": "sleeve"}, {"name": "collar"}],  # noqa: B006
        models: list[dict[str, str]] = [{"name": "small"}, {"name": "big"}],  # noqa: B006
    ):
        with dsl.ParallelFor(attributes, name="attribute") as a:
            shards = prepare(attribute=a)
            with dsl.ParallelFor(models, name="model") as m:
                first = train(attribute=a, model=m, shards=shards.outputs["out"])
            with dsl.ParallelFor(models) as m:
                train(attribute=a, model=m, shards=shards.outputs["out"])
            gather(parts=dsl.Collected(first.outputs["out"]))
        gather(parts=dsl.Collected(first.outputs["out"]))

    def does(values: Any) -> Any:
        slow = values["model"]["name"] == "small"
        return happening(9 if slow else 1, outputs={"out": f"{values['attribute']['name']}-{values['model']['name']}"})

    machine.launcher.does = {"train": does}
    run_id = machine.run(ir_of(p))
    assert machine.inputs(run_id, "for-loop-1(1)/gather")["parts"] == ["collar-small", "collar-big"]
    flat = ["sleeve-small", "sleeve-big", "collar-small", "collar-big"]
    assert machine.inputs(run_id, "gather-2")["parts"] == flat
    assert machine.store.task(run_id, "collar/small/train").key == "for-loop-1(1)/for-loop-2(0)/train"
    assert machine.states(run_id)["sleeve/big/train-2"] == "SUCCEEDED"


def test_all_tasks_are_listed_before_the_first_one_ends(machine: Any, step: Any, ir_of: Any, happening: Any) -> None:
    prepare, train = step("prepare", {"a": str}), step("train", {"m": str, "s": str})

    def p(names: list[str] = ["u", "v"]):  # type: ignore[no-untyped-def]  # noqa: B006
        with dsl.ParallelFor(names) as a:
            shards = prepare(a=a)
            with dsl.ParallelFor(["m", "n"]) as m:
                train(m=m, s=shards.outputs["out"])

    listed: list[dict[str, str]] = []
    machine.launcher.does = {"prepare": happening(seconds=10)}
    run_id = machine.engine.create_run(ir_of(p), {})
    machine.clock.alarms[machine.clock.now() + 5] = lambda: listed.append(machine.states(run_id))
    machine.engine.execute(run_id)
    waiting = {f"{a}/{m}/train": "PENDING" for a in "uv" for m in "mn"}
    assert listed == [{"u/prepare": "RUNNING", "v/prepare": "RUNNING"} | waiting]


def test_an_empty_list_gives_an_empty_collection_and_a_succeeded_run(machine: Any, step: Any, ir_of: Any) -> None:
    work, gather = step("work", {"x": str}), step("gather", {"parts": list[str]})

    def p(names: list[str]):  # type: ignore[no-untyped-def]
        with dsl.ParallelFor(names) as x:
            one = work(x=x)
        gather(parts=dsl.Collected(one.outputs["out"]))

    run_id = machine.run(ir_of(p), names=[])
    assert machine.inputs(run_id, "gather")["parts"] == []
    assert machine.states(run_id) == {"gather": "SUCCEEDED"}


def test_the_parallelism_of_a_loop_limits_its_iterations(machine: Any, step: Any, ir_of: Any, happening: Any) -> None:
    work = step("work", {"x": int})

    def p() -> None:
        with dsl.ParallelFor([1, 2, 3], parallelism=2) as x:
            work(x=x)

    machine.launcher.does = {"work": lambda v: happening(seconds=v["x"] * 3)}
    run_id = machine.run(ir_of(p))
    tasks = {t.label: t for t in machine.store.tasks(run_id)}
    assert machine.launcher.most_at_once == 2
    assert tasks["3/work"].started >= tasks["1/work"].ended


def test_one_failed_iteration_fails_the_loop_and_the_others_go_on(
    machine: Any, step: Any, ir_of: Any, happening: Any
) -> None:
    work, gather = step("work", {"x": int}), step("gather", {"parts": list[str]})

    def p() -> None:
        with dsl.ParallelFor([1, 2, 3], parallelism=1) as x:
            one = work(x=x)
        gather(parts=dsl.Collected(one.outputs["out"]))

    machine.launcher.does = {"work": lambda v: happening(code=v["x"] == 2)}
    run_id = machine.run(ir_of(p))
    states = machine.states(run_id)
    assert states == {"1/work": "SUCCEEDED", "2/work": "FAILED", "3/work": "SUCCEEDED", "gather": "SKIPPED"}


def _branches(step: Any) -> Any:
    flip, take, use = step("flip", {}), step("take", {"x": str}), step("use", {"x": str})

    def p(n: int = 1):  # type: ignore[no-untyped-def]
        coin = flip()
        with dsl.If(coin.outputs["out"] == "heads"):
            one = take(x="one")
        with dsl.Elif(n > 3):
            two = take(x=f"two {coin.outputs['out']} {n}")
        with dsl.Else():
            three = take(x="three")
        use(x=dsl.OneOf(one.outputs["out"], two.outputs["out"], three.outputs["out"]))

    return p


def test_one_branch_runs_and_oneof_takes_its_output(machine: Any, step: Any, ir_of: Any, happening: Any) -> None:
    text = ir_of(_branches(step))
    machine.launcher.does = {"take": lambda v: happening(outputs={"out": v["x"]})}
    for coin, n, expected in (("heads", 1, "one"), ("tails", 5, "two tails 5"), ("tails", 1, "three")):
        machine.launcher.does["flip"] = happening(outputs={"out": coin})
        run_id = machine.engine.create_run(text, {"n": n}, cache=False)
        assert machine.engine.execute(run_id) is RunState.SUCCEEDED
        assert machine.inputs(run_id, "use")["x"] == expected
        assert sorted(machine.states(run_id).values()).count("SKIPPED") == 2


def test_a_false_condition_skips_its_tasks_and_says_which_condition(machine: Any, step: Any, ir_of: Any) -> None:
    work = step("work", {"x": str})

    def p(flag: bool = False, share: float = 0.5):  # type: ignore[no-untyped-def]
        with dsl.If(flag == True):  # noqa: E712
            work(x="inner")
        with dsl.If(share <= 0.7):
            work(x="outer")

    run_id = machine.run(ir_of(p))
    tasks = {t.label: t for t in machine.store.tasks(run_id)}
    assert (str(tasks["work"].state), str(tasks["work-2"].state)) == ("SKIPPED", "SUCCEEDED")
    assert tasks["work"].reason.startswith("condition is false: inputs.parameter_values")
    assert machine.store.run(run_id).state is RunState.SUCCEEDED


def test_nested_pipelines_take_their_defaults_and_give_outputs(
    machine: Any, step: Any, ir_of: Any, happening: Any
) -> None:
    work = step("work", {"x": str, "n": int})

    @dsl.pipeline(name="inner")
    def inner(x: str, n: int = 5) -> str:
        return work(x=x, n=n).outputs["out"]  # type: ignore[no-any-return]

    def p(x: str = "a"):  # type: ignore[no-untyped-def]
        one = inner(x=x).set_display_name("nested")
        work(x=one.output, n=1)

    machine.launcher.does = {"work": lambda v: happening(outputs={"out": f"{v['x']}{v['n']}"})}
    run_id = machine.run(ir_of(p))
    assert machine.inputs(run_id, "work")["x"] == "a5"
    assert machine.store.task(run_id, "nested/work").key == "inner/work"


def test_the_exit_task_runs_after_a_failure_and_learns_the_state(
    machine: Any, ir_of: Any, step: Any, happening: Any
) -> None:
    work = step("work", {})
    bye = step("bye", {"status": PipelineTaskFinalStatus}, {})

    def p() -> None:
        with dsl.ExitHandler(bye()):
            work()

    text = ir_of(p)
    for code, word, state in ((1, "FAILED", RunState.FAILED), (0, "COMPLETE", RunState.SUCCEEDED)):
        machine.launcher.does = {"work": happening(code=code)}
        run_id = machine.run(text)
        assert machine.store.run(run_id).state is state
        status = machine.inputs(run_id, "bye")["status"]
        assert (status["state"], status["pipelineJobResourceName"]) == (word, run_id)


def test_ignore_upstream_failure_runs_with_the_default(machine: Any, ir_of: Any, happening: Any) -> None:
    @dsl.container_component
    def first(out: OutputPath(str)):  # type: ignore[no-untyped-def,valid-type]
        return dsl.ContainerSpec(image="i", command=["run", "first"], args=["{{$}}"])

    @dsl.container_component
    def after(x: str = "nothing", out: OutputPath(str) = None):  # type: ignore[no-untyped-def,valid-type]
        return dsl.ContainerSpec(image="i", command=["run", "after"], args=["{{$}}"])

    def p() -> None:
        after(x=first().outputs["out"]).ignore_upstream_failure()

    machine.launcher.does = {"first": happening(code=1)}
    run_id = machine.run(ir_of(p))
    assert machine.states(run_id) == {"first": "FAILED", "after": "SUCCEEDED"}
    message = next(r.message for r in machine.launcher.running.values() if r.key == "after")
    assert message["inputs"]["parameterValues"] == {"x": "nothing"}


def test_artifacts_are_content_addressed_and_collected_in_order(
    machine: Any, step: Any, ir_of: Any, happening: Any
) -> None:
    make = step("make", {"x": str}, {"data": Output[Dataset], "model": Output[Model]})
    use = step("use", {"data": Input[Dataset]}, {})
    gather = step("gather", {"data": Input[list[Dataset]]}, {})

    def p() -> None:
        with dsl.ParallelFor(["b", "a", "b"]) as x:
            one = make(x=x)
            use(data=one.outputs["data"])
        gather(data=dsl.Collected(one.outputs["data"]))

    machine.launcher.does = {
        "make": lambda v: happening(
            artifacts={"data": v["x"]}, metadata={"model": {"acc": 0.5, "ok": True, "tags": ["t"]}}
        )
    }
    run_id = machine.run(ir_of(p))
    message = next(r.message for r in machine.launcher.running.values() if r.key == "gather")
    shown = message["inputs"]["artifacts"]["data"]["artifacts"]
    assert [Path(a["uri"]).read_text() for a in shown] == ["b", "a", "b"]
    assert shown[0]["uri"] == shown[2]["uri"]
    assert shown[0]["uri"].startswith(str(machine.directory / "artifacts"))
    (model,) = machine.tasks(run_id)["for-loop-2(0)/make"].outputs.artifacts["model"]
    assert model.metadata == {"acc": 0.5, "ok": True, "tags": ["t"]}
    assert machine.run(ir_of(p)) and len(machine.launcher.started) == 5  # two of make, two of use, one gather


def test_an_importer_registers_what_lies_at_its_uri(machine: Any, step: Any, ir_of: Any, tmp_path: Any) -> None:
    use = step("use", {"data": Input[Dataset]}, {})
    (tmp_path / "there.txt").write_text("one")

    def p(owner: str = "me"):  # type: ignore[no-untyped-def]
        found = dsl.importer(
            artifact_uri=str(tmp_path / "there.txt"), artifact_class=Dataset, metadata={"owner": owner, "n": 2}
        )
        use(data=found.output)

    text = ir_of(p)
    run_id = machine.run(text)
    (artifact,) = machine.tasks(run_id)["importer"].outputs.artifacts["artifact"]
    assert artifact.metadata == {"owner": "me", "n": 2}
    machine.run(text)
    assert machine.launcher.started == ["use"]
    (tmp_path / "there.txt").write_text("two")
    machine.run(text)
    assert machine.launcher.started == ["use", "use"]


def test_loop_items_may_come_from_a_task_and_structs_give_their_fields(
    machine: Any, step: Any, ir_of: Any, happening: Any
) -> None:
    work = step("work", {"x": str, "where": str})

    @dsl.container_component
    def lister(out: OutputPath(list[dict[str, str]])):  # type: ignore[no-untyped-def,valid-type]
        return dsl.ContainerSpec(image="i", command=["run", "lister"], args=["{{$}}"])

    def p(place: str = "here"):  # type: ignore[no-untyped-def]
        with dsl.ParallelFor(lister().outputs["out"]) as x:
            work(x=x.kind, where=f"in {place}")

    machine.launcher.does = {"lister": happening(outputs={"out": [{"kind": "u"}, {"kind": "v"}]})}
    run_id = machine.run(ir_of(p))
    assert machine.inputs(run_id, "for-loop-1(1)/work")["x"] == "v"
    assert machine.inputs(run_id, "for-loop-1(0)/work")["where"] == "in here"


def test_names_of_the_run_fill_whole_constants(machine: Any, step: Any, ir_of: Any) -> None:
    work = step("work", {"x": str})

    def p() -> None:
        work(x=dsl.PIPELINE_JOB_NAME_PLACEHOLDER)

    run_id = machine.engine.create_run(ir_of(p), {}, name="Tuesday")
    machine.engine.execute(run_id)
    assert machine.inputs(run_id, "work")["x"] == "Tuesday"


def test_resources_given_by_a_parameter_are_read(machine: Any, step: Any, ir_of: Any) -> None:
    work = step("work", {"x": int})

    def p(cpu: str = "3"):  # type: ignore[no-untyped-def]
        work(x=1).set_cpu_limit(cpu)

    machine.run(ir_of(p))
    assert machine.launcher.environments["work"]["THREADS"] == "3"


def test_a_run_of_deep_nesting_gives_each_instance_its_own_key(machine: Any, step: Any, ir_of: Any) -> None:
    work = step("work", {"x": int, "y": int})

    @dsl.pipeline(name="inner")
    def inner(x: int) -> None:
        with dsl.ParallelFor([1, 2]) as y, dsl.If(y == 2):
            work(x=x, y=y)

    def p() -> None:
        with dsl.ParallelFor([10, 20]) as x:
            inner(x=x)

    run_id = machine.run(ir_of(p))
    done = [t.key for t in machine.store.tasks(run_id) if t.is_leaf and t.state == "SUCCEEDED"]
    assert len(done) == 2 and all("(1)/" in key for key in done)
    assert sorted(machine.inputs(run_id, key)["x"] for key in done) == [10, 20]


def test_collected_parameters_leave_a_nested_pipeline_and_are_flattened_by_the_loop_around_it(
    machine: Any, step: Any, ir_of: Any, happening: Any
) -> None:
    work, gather = step("work", {"x": str}), step("gather", {"parts": list[str]})

    @dsl.pipeline(name="inner")
    def inner(x: str) -> list[str]:
        with dsl.ParallelFor(["1", "2"]) as y:
            one = work(x=f"{x}{y}")
        return dsl.Collected(one.outputs["out"])  # type: ignore[return-value]

    def p() -> None:
        with dsl.ParallelFor(["a", "b"]) as x:
            one = inner(x=x)
        gather(parts=dsl.Collected(one.output))

    machine.launcher.does = {"work": lambda v: happening(outputs={"out": v["x"]})}
    run_id = machine.run(ir_of(p))
    assert machine.inputs(run_id, "gather")["parts"] == ["a1", "a2", "b1", "b2"]


def test_a_list_that_a_task_produced_is_one_item_of_the_collection(
    machine: Any, ir_of: Any, step: Any, happening: Any
) -> None:
    gather = step("gather", {"parts": list[list[str]]})

    @dsl.container_component
    def lister(x: str, out: OutputPath(list[str])):  # type: ignore[no-untyped-def,valid-type]
        return dsl.ContainerSpec(image="i", command=["run", "lister"], args=["{{$}}"])

    def p() -> None:
        with dsl.ParallelFor(["a", "b"]) as x:
            one = lister(x=x)
        gather(parts=dsl.Collected(one.outputs["out"]))

    machine.launcher.does = {"lister": lambda v: happening(outputs={"out": [v["x"]]})}
    run_id = machine.run(ir_of(p))
    assert machine.inputs(run_id, "gather")["parts"] == [["a"], ["b"]]


def test_a_collection_with_a_skipped_iteration_fails_its_consumer_with_the_iteration_named(
    machine: Any, step: Any, ir_of: Any
) -> None:
    work, gather = step("work", {"x": str}), step("gather", {"parts": list[str]})

    def p() -> None:
        with dsl.ParallelFor(["a", "b"]) as x, dsl.If(x == "a"):
            one = work(x=x)
        gather(parts=dsl.Collected(one.outputs["out"]))

    run_id = machine.run(ir_of(p))
    task = machine.tasks(run_id)["gather"]
    assert str(task.state) == "FAILED" and task.reason.startswith("input parts has no value: b gave no")


def test_a_condition_that_cannot_be_judged_fails_and_its_tasks_are_omitted(
    machine: Any, step: Any, ir_of: Any, happening: Any
) -> None:
    first, work = step("first", {}), step("work", {})

    def p() -> None:
        with dsl.If(first().outputs["out"] > "a"):
            work()

    text = ir_of(p).replace("> 'a'", "> 5")
    run_id = machine.run(text)
    states = {t.key: str(t.state) for t in machine.store.tasks(run_id)}
    assert states == {"first": "SUCCEEDED", "condition-1": "FAILED", "condition-1/work": "SKIPPED"}
    assert machine.store.run(run_id).state is RunState.FAILED


def test_the_dag_of_the_demo_runs_whole_and_its_second_run_is_cached(machine: Any) -> None:
    """The compiled file that the golden test pins, with commands that only pretend."""
    text = (Path(__file__).parent.parent / "dag" / "golden" / "demo.yaml").read_text()
    text = text.replace("- python\n        - -m\n", "- run\n")
    given = {"rounds": [{"name": "round1", "uri": "/r1", "digest": "d"}], "data_root": "/data"}
    items = {"models": [{"name": "m"}], "attributes": [{"name": "sleeve"}, {"name": "collar"}]}
    given |= {loop: for_tasks(loop, named, recipe.load("demo", ()).generations) for loop, named in items.items()}
    first = machine.run(text, **given)
    assert set(machine.states(first).values()) == {"SUCCEEDED"}
    started = len(machine.launcher.started)
    second = machine.run(text, **given)
    again = [t.name for t in machine.store.tasks(second) if t.is_leaf and not t.cached]
    assert len(machine.launcher.started) == started + len(again) and len(again) <= 1  # promote may be uncached


def test_an_optional_input_that_is_not_passed_stays_absent(machine: Any, ir_of: Any) -> None:
    @dsl.container_component
    def work(x: str = "component default", out: OutputPath(str) = None):  # type: ignore[no-untyped-def,valid-type]
        return dsl.ContainerSpec(image="i", command=["run", "work"], args=["{{$}}"])

    @dsl.pipeline(name="inner")
    def inner(x: Optional[str] = None):  # type: ignore[no-untyped-def]  # noqa: UP045
        work(x=x)

    def p() -> None:
        inner()

    run_id = machine.run(ir_of(p))
    assert machine.states(run_id) == {"inner/work": "SUCCEEDED"}
    (one,) = machine.launcher.running.values()
    assert one.message["inputs"]["parameterValues"] == {"x": "component default"}
