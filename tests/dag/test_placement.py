"""Where tasks run: resources for all of them, GPUs only where a recipe asks, caching off where a step acts."""

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.ir_shape import Shape, read

Compiled = Callable[..., str]
GPU_EXECUTORS = {"exec-predict", "exec-predict-2", "exec-train", "exec-train-2", "exec-train-3"}


def resources(shape: Shape, executor: str) -> dict[str, Any]:
    return dict(shape.executors[executor]["container"]["resources"])


def root_inputs(shape: Shape) -> dict[str, Any]:
    return dict(shape.spec["root"]["inputDefinitions"]["parameters"])


@pytest.mark.parametrize("name", ["demo", "fashion_mnist"])
def test_a_laptop_recipe_is_one_document_without_accelerators(compiled: Compiled, name: str) -> None:
    shape = read(compiled(name))
    assert len(shape.documents) == 1
    assert not [e for e in shape.executors if "accelerator" in resources(shape, e)]
    assert not [name for name in root_inputs(shape) if name.startswith("gpu_")]


@pytest.mark.parametrize("name", ["demo", "fashion_mnist", "fashionai"])
def test_every_task_asks_for_cpu_and_memory_and_may_take_no_more(compiled: Compiled, name: str) -> None:
    shape = read(compiled(name))
    for executor in shape.executors:
        asked = resources(shape, executor)
        assert float(asked["resourceCpuRequest"]) > 0 and asked["resourceCpuRequest"] == asked["resourceCpuLimit"]
        assert asked["resourceMemoryRequest"] == asked["resourceMemoryLimit"]


def test_the_recipes_amounts_win_over_the_defaults(compiled: Compiled) -> None:
    shape = read(compiled("demo", "placement.cpu.train=1.5", "placement.memory_gb.train=2.5"))
    assert resources(shape, "exec-train")["resourceCpuLimit"] == "1.5"
    assert resources(shape, "exec-train-3")["resourceMemoryLimit"] == "2560Mi"


def test_gpu_tasks_are_the_trainings_and_predictions_and_nothing_else(compiled: Compiled) -> None:
    shape = read(compiled("fashionai", "placement.gpus_per_task=2"))
    assert {e for e in shape.executors if "accelerator" in resources(shape, e)} == GPU_EXECUTORS
    assert set(shape.platform) == GPU_EXECUTORS
    assert resources(shape, "exec-train")["accelerator"]["resourceType"] == "nvidia.com/gpu"
    count = "{{$.inputs.parameters['pipelinechannel--gpu_count']}}"
    assert resources(shape, "exec-train")["accelerator"]["resourceCount"] == count
    assert root_inputs(shape)["gpu_count"] == {
        "defaultValue": "2",
        "description": "GPUs of one GPU task, as text",
        "isOptional": True,
        "parameterType": "STRING",  # of an integer KFP 2.17 loses the GPU
    }


def test_gpu_tasks_find_the_node_pool_and_may_be_retried_until_the_last_timeout(compiled: Compiled) -> None:
    overrides = (
        "placement.timeout_hours=2",
        "placement.retries=1",
        "placement.gpu_type=nvidia-h100",
        "placement.shm_gb=3",
    )
    shape = read(compiled("fashionai", *overrides))
    settings = shape.platform["exec-train"]
    chosen = {"componentInputParameter": "pipelinechannel--gpu_selector"}
    assert settings["nodeSelector"] == {"nodeSelectorJson": chosen}
    assert root_inputs(shape)["gpu_selector"]["defaultValue"] == {"cloud.google.com/gke-accelerator": "nvidia-h100"}
    assert root_inputs(shape)["gpu_selector"]["parameterType"] == "STRUCT"
    assert settings["tolerations"] == [{"effect": "NoSchedule", "key": "nvidia.com/gpu", "operator": "Exists"}]
    assert settings["emptyDirMounts"][0] == {
        "medium": "Memory",
        "mountPath": "/dev/shm",
        "sizeLimit": "3Gi",
        "volumeName": "shm",
    }
    assert settings["activeDeadlineSeconds"] == "7200"
    policy = next(task for task in shape.tasks if task.shown == "train-round1").body["retryPolicy"]
    assert policy["maxRetryCount"] == 1 and float(policy["backoffMaxDuration"].rstrip("s")) > 2 * 7200


def test_only_the_step_that_acts_on_the_world_is_never_cached(compiled: Compiled) -> None:
    shape = read(compiled("demo"))
    cached = {task.shown: bool(task.body["cachingOptions"].get("enableCache")) for task in shape.tasks if task.executor}
    assert [name for name, is_cached in cached.items() if not is_cached] == ["promote"]


def test_the_loops_run_as_many_at_once_as_the_recipe_says(compiled: Compiled) -> None:
    shape = read(compiled("demo", "placement.parallel_attributes=3", "placement.parallel_models=1"))
    limits = {task.shown: task.body["iteratorPolicy"]["parallelismLimit"] for task in shape.tasks if task.is_loop}
    assert limits == {"attribute": 3, "model": 1, "student": 1}
