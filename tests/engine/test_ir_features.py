"""Features of the IR that no other test is about: control flow, values, settings of tasks."""

from typing import Any

import pytest
from kfp import dsl, kubernetes
from kfp.dsl import OutputPath

from pipeline.engine.states import RunState


def test_a_loop_over_constant_structs_gives_their_fields(machine: Any, step: Any, ir_of: Any) -> None:
    work = step("work", {"kind": str, "whole": dict})

    def p() -> None:
        with dsl.ParallelFor([{"kind": "u", "n": 1}, {"kind": "v", "n": 2}]) as item:
            work(kind=item.kind, whole=item)

    run_id = machine.run(ir_of(p))
    assert machine.inputs(run_id, "for-loop-2(1)/work") == {"kind": "v", "whole": {"kind": "v", "n": 2}}


def test_a_task_whose_caching_is_off_runs_every_time(machine: Any, step: Any, ir_of: Any) -> None:
    work = step("work", {"x": str})

    def p() -> None:
        work(x="a").set_caching_options(False)

    text = ir_of(p)
    runs = [machine.run(text), machine.run(text)]
    assert machine.launcher.started == ["work", "work"]
    assert machine.tasks(runs[1])["work"].explanation == "not cached: caching is off"


def test_a_cache_key_of_the_users_own_is_ignored(machine: Any, step: Any, ir_of: Any) -> None:
    work = step("work", {"x": str})

    def p() -> None:
        first = work(x="a").set_caching_options(True, cache_key="mine")
        work(x="b").set_caching_options(True, cache_key="mine").after(first)

    machine.run(ir_of(p))
    assert machine.launcher.started == ["work", "work-2"]


def test_defaults_of_a_component_are_in_its_executor_input(machine: Any, ir_of: Any) -> None:
    @dsl.container_component
    def work(x: str = "component's", n: int = 3, out: OutputPath(str) = None):  # type: ignore[no-untyped-def,valid-type]
        return dsl.ContainerSpec(image="i", command=["run", "work"], args=["{{$}}"])

    def p(x: str = "pipeline's"):  # type: ignore[no-untyped-def]
        work(x=x)

    machine.run(ir_of(p))
    (one,) = machine.launcher.running.values()
    assert one.message["inputs"]["parameterValues"] == {"x": "pipeline's", "n": 3}


def test_environment_variables_of_a_task_reach_it_and_no_other(machine: Any, step: Any, ir_of: Any) -> None:
    work = step("work", {"x": str})

    def p() -> None:
        work(x="a").set_env_variable("COLOUR", "red")
        work(x="b")

    machine.run(ir_of(p))
    assert machine.launcher.environments["work"]["COLOUR"] == "red"
    assert "COLOUR" not in machine.launcher.environments["work-2"]


def test_display_names_are_what_people_read(machine: Any, step: Any, ir_of: Any) -> None:
    work = step("work", {"x": str})

    def p() -> None:
        work(x="a").set_display_name("Look at a")

    run_id = machine.run(ir_of(p))
    task = machine.tasks(run_id)["work"]
    assert (task.key, task.label) == ("work", "Look at a")


@pytest.mark.parametrize(
    ("placeholder", "expected"),
    [
        (dsl.PIPELINE_JOB_NAME_PLACEHOLDER, "Tuesday"),
        (dsl.PIPELINE_JOB_RESOURCE_NAME_PLACEHOLDER, "RUN"),
        (dsl.PIPELINE_JOB_ID_PLACEHOLDER, "RUN"),
        (dsl.PIPELINE_TASK_NAME_PLACEHOLDER, "work"),
        (dsl.PIPELINE_JOB_CREATE_TIME_UTC_PLACEHOLDER, "1970-01-12T13:46:40Z"),
        (dsl.PIPELINE_ROOT_PLACEHOLDER, "{{$.pipeline_root}}"),
        (f"in {dsl.PIPELINE_JOB_NAME_PLACEHOLDER}", "in {{$.pipeline_job_name}}"),
    ],
)
def test_names_of_the_run_fill_an_input_as_on_a_cluster(
    machine: Any, step: Any, ir_of: Any, placeholder: str, expected: str
) -> None:
    work = step("work", {"x": str})

    def p() -> None:
        work(x=placeholder)

    run_id = machine.engine.create_run(ir_of(p), {}, name="Tuesday")
    machine.engine.execute(run_id)
    assert machine.inputs(run_id, "work")["x"] == expected.replace("RUN", run_id)


def test_settings_of_pods_are_ignored_and_the_task_runs(machine: Any, step: Any, ir_of: Any) -> None:
    work = step("work", {"x": str})

    def p() -> None:
        task = work(x="a")
        kubernetes.use_secret_as_env(task, "secret", {"password": "PASSWORD"})
        kubernetes.mount_pvc(task, "claim", "/data")
        kubernetes.add_node_selector(task, "disk", "fast")
        kubernetes.add_toleration(task, key="gpu", operator="Exists")

    run_id = machine.run(ir_of(p))
    assert machine.store.run(run_id).state is RunState.SUCCEEDED
    assert "PASSWORD" not in machine.launcher.environments["work"]


def test_a_list_of_strings_is_one_output_and_one_input(machine: Any, ir_of: Any, step: Any, happening: Any) -> None:
    use = step("use", {"parts": list[str]})

    @dsl.container_component
    def lister(out: OutputPath(list[str])):  # type: ignore[no-untyped-def,valid-type]
        return dsl.ContainerSpec(image="i", command=["run", "lister"], args=["{{$}}"])

    def p() -> None:
        use(parts=lister().outputs["out"])

    machine.launcher.does = {"lister": happening(outputs={"out": ["a", "b"]})}
    assert machine.inputs(machine.run(ir_of(p)), "use")["parts"] == ["a", "b"]
