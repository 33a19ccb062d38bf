"""What holds for the compiled pipeline of every recipe, on CPUs and on GPUs; each rule finds a planted fault."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kfp import components as kfp_components

from pipeline import compile as compiler
from pipeline import ir_checks, placement, recipe
from pipeline.ir_shape import Shape, read, strings

Json = dict[str, Any]
Compiled = Callable[..., str]
RECIPES = sorted(path.stem for path in recipe.RECIPES.glob("*.toml"))
EVERY = [(name, gpu) for name in RECIPES for gpu in ("false", "true")]
GPU_MODULES = {f"components.{step}" for step in placement.GPU_STEPS}
TYPES = {"STRING", "NUMBER_INTEGER", "NUMBER_DOUBLE", "BOOLEAN", "LIST", "STRUCT"}
MOUNTED = "/dev/shm"
# A laptop's recipe gives a task less memory than /dev/shm of a GPU task takes, which check 24 finds.
ROOM_FOR_A_GPU = [f"placement.memory_gb.{step}=16" for step in placement.GPU_STEPS]


@pytest.fixture(params=EVERY, ids=[f"{name}-gpu-{gpu}" for name, gpu in EVERY])
def shape(request: pytest.FixtureRequest, compiled: Compiled) -> Shape:
    name, gpu = request.param
    return read(compiled(name, f"placement.gpu={gpu}", *ROOM_FOR_A_GPU))


def misplaced(shape: Shape) -> list[str]:
    """Executors that hold a GPU for CPU work, or compute on none although the recipe has GPUs."""
    with_gpus = "gpu_count" in shape.spec["root"]["inputDefinitions"]["parameters"]
    found = []
    for name, executor in shape.executors.items():
        wants = with_gpus and bool(GPU_MODULES & set(executor["container"]["command"]))
        has = "accelerator" in executor["container"]["resources"]
        on_pool = bool({"nodeSelector", "tolerations"} & shape.platform.get(name, {}).keys())
        if not wants == has == on_pool:
            found.append(name)
    return found


def uncontrolled(shape: Shape) -> list[str]:
    """GPU tasks that have no time limit, do not watch whether they are idle, or are not retried when preempted."""
    found = []
    for task in shape.tasks:
        container = shape.executors.get(task.executor, {}).get("container", {})
        if "accelerator" not in container.get("resources", {}):
            continue
        watched = placement.IDLE_ENV in {variable["name"] for variable in container.get("env", ())}
        limited = "activeDeadlineSeconds" in shape.platform[task.executor]
        if not (watched and limited and int(task.body.get("retryPolicy", {}).get("maxRetryCount", 0)) >= 1):
            found.append(task.place)
    return found


def local_paths(shape: Shape) -> list[str]:
    """Texts that name a place on the machine that compiled."""
    texts = [text for document in shape.documents for text in strings(document)]
    return [text for text in texts if text != MOUNTED and text.startswith(("/", "~", "file:", "./", "../"))]


def undescribed(shape: Shape) -> Iterator[str]:
    """Parameters of the pipeline and of its steps without a type or a description."""
    steps = {n: c for n, c in shape.spec["components"].items() if "dag" not in c}
    for name, component in {"root": shape.spec["root"], **steps}.items():
        for parameter, body in component["inputDefinitions"]["parameters"].items():
            of_kfp = parameter.startswith("pipelinechannel--") or parameter.startswith("accelerator_")
            if body.get("parameterType") not in TYPES or not (body.get("description") or of_kfp):
                yield f"{name}.{parameter}"


def test_gpus_are_on_the_gpu_tasks_and_nowhere_else(shape: Shape) -> None:
    assert misplaced(shape) == []


def test_a_gpu_task_is_limited_watched_and_retried_when_its_machine_goes_away(shape: Shape) -> None:
    assert uncontrolled(shape) == []


def test_no_path_of_this_machine_is_in_it(shape: Shape) -> None:
    assert local_paths(shape) == []


def test_every_parameter_has_a_type_and_a_description(shape: Shape) -> None:
    assert list(undescribed(shape)) == []


def test_it_passes_all_checks_with_room_to_spare(shape: Shape) -> None:
    assert [str(finding) for finding in ir_checks.findings(shape)] == []
    assert shape.size < 0.75 * ir_checks.MAX_IR_BYTES


@pytest.mark.parametrize(("name", "gpu"), EVERY)
def test_kfps_own_loader_takes_it(compiled: Compiled, name: str, gpu: str) -> None:
    overrides = [f"placement.gpu={gpu}"]
    loaded = kfp_components.load_component_from_text(compiled(name, *overrides))
    assert set(loaded.component_spec.inputs) == set(compiler.root_parameters(recipe.load(name, overrides)))


def plant_gpu_for_cpu_work(spec: Json, platform: Json) -> None:
    executors = spec["deploymentSpec"]["executors"]
    accelerator = executors["exec-train"]["container"]["resources"]["accelerator"]
    executors["exec-report"]["container"]["resources"]["accelerator"] = accelerator


FAULTS: dict[str, tuple[Callable[[Shape], Any], Callable[[Json, Json], Any]]] = {
    "a GPU for CPU work": (misplaced, plant_gpu_for_cpu_work),
    "a training without a GPU": (
        misplaced,
        lambda s, p: s["deploymentSpec"]["executors"]["exec-train"]["container"]["resources"].pop("accelerator"),
    ),
    "a GPU task off the pool": (misplaced, lambda s, p: p["exec-train"].clear()),
    "a GPU task without an end": (uncontrolled, lambda s, p: p["exec-train"].pop("activeDeadlineSeconds")),
    "a GPU task that nobody watches": (
        uncontrolled,
        lambda s, p: s["deploymentSpec"]["executors"]["exec-train"]["container"].pop("env"),
    ),
    "a GPU task that is not retried": (
        uncontrolled,
        lambda s, p: s["components"]["comp-for-loop-2"]["dag"]["tasks"]["train"].pop("retryPolicy"),
    ),
    "a path of this machine": (
        local_paths,
        lambda s, p: s["root"]["inputDefinitions"]["parameters"]["data_root"].update(defaultValue="/home/me/data"),
    ),
    "a parameter without description": (
        lambda shape: list(undescribed(shape)),
        lambda s, p: s["root"]["inputDefinitions"]["parameters"]["seed"].pop("description"),
    ),
    "a parameter without type": (
        lambda shape: list(undescribed(shape)),
        lambda s, p: s["components"]["comp-train"]["inputDefinitions"]["parameters"]["epochs"].pop("parameterType"),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(compiled: Compiled, fault: str) -> None:
    rule, plant = FAULTS[fault]
    documents = copy.deepcopy(read(compiled("fashionai")).documents)
    plant(documents[0], documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"])
    assert rule(Shape(documents, 0)) != []


def test_a_budget_of_gpu_hours_bounds_every_attempt_on_a_cluster() -> None:
    given = ["placement.gpu_hours=6", "placement.gpus_per_task=2", "placement.timeout_hours=24"]
    bounded = placement.bounded(recipe.load("fashionai", given))
    assert bounded.placement.timeout_hours == 3.0
    assert placement.bounded(recipe.load("fashionai", ["placement.timeout_hours=2", *given[:2]])) == recipe.load(
        "fashionai", ["placement.timeout_hours=2", *given[:2]]
    )
    settings = read(compiler.compile_recipe(bounded)).platform
    assert {body["activeDeadlineSeconds"] for body in settings.values()} == {str(3 * 3600)}


def test_a_budget_without_gpus_is_refused() -> None:
    with pytest.raises(Exception, match="placement.gpu_hours=2 limits nothing: the recipe uses no GPU; set"):
        recipe.load("demo", ["placement.gpu_hours=2"])
