"""Where each task runs and what it may take: CPU and memory for all; for GPU steps the node pool, by kfp-kubernetes.

The embedded engine budgets by the same CPU and memory that Kubernetes schedules by.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from components import images
from pipeline.recipe import Recipe
from pipeline.recipe_tables import Placement

if TYPE_CHECKING:
    from kfp import dsl

# CPU cores and GiB of memory, enough for FashionAI at 299 px; a recipe for a laptop asks for less.
NEEDS = {
    "ingest": (2, 4),
    "preprocess": (2, 4),
    "train": (2, 6),
    "predict": (2, 4),
    "pseudo_label": (1, 2),
    "ensemble": (1, 2),
    "report": (1, 4),
    "promote": (1, 1),
    "openimages_subset": (2, 4),
    "transfer": (1, 2),
    "boxes_prepare": (2, 4),
    "split": (1, 2),
    "detect_train": (2, 8),
    "detect_test": (2, 4),
    "study": (1, 3),
}
# Caching is off for a step that acts on the world: a cached decision would not be taken.
SIDE_EFFECTS = ("promote",)
GPU_STEPS = ("train", "predict", "detect_train", "detect_test")


IDLE_ENV = "SEAMLINE_IDLE_S"
"""Read by `components.idle`: seconds without a sign of life after which a GPU task ends itself."""
GPU_HOURS = "gpu_hours_budget"
"""The root parameter that the embedded engine reads as the budget of a run (`engine.gpu_hours`)."""


def parameters(placement: Placement) -> dict[str, tuple[Any, Any, str]]:
    """The root parameters that say where GPU tasks run: name to type, default and help. None without GPUs.

    KFP 2.17 takes a number of accelerators from a STRING only: of an integer it would lose the GPU without a word.
    """
    if not placement.gpu:
        return {}
    selector = {placement.gpu_label: placement.gpu_type}
    return {
        "gpu_selector": (dict[str, str], selector, "node labels of the machines with GPUs: label and accelerator type"),
        "gpu_count": (str, str(placement.gpus_per_task), "GPUs of one GPU task, as text"),
        GPU_HOURS: (float, placement.gpu_hours, "GPU hours after which the embedded engine stops the run; 0: never"),
    }


def bounded(recipe: Recipe) -> Recipe:
    """The recipe for a cluster, where nobody stops a run that has spent its GPU hours.

    No attempt of one GPU task may take longer than the whole budget would last. Several tasks together still may:
    KFP knows no limit for a run.
    """
    placement = recipe.placement
    if not placement.gpu_hours:
        return recipe
    hours = min(placement.timeout_hours, placement.gpu_hours / placement.gpus_per_task)
    return replace(recipe, placement=replace(placement, timeout_hours=hours))


def place(
    tasks: "Iterable[dsl.PipelineTask]", placement: Placement, channels: Mapping[str, Any], cache: bool = True
) -> None:
    """Sets resources, caching and, where the recipe says so, the GPU of every task.

    Args:
        tasks: of the pipeline being traced.
        placement: what the recipe says.
        channels: the pipeline's parameters by name, those of `parameters` among them.
        cache: False switches caching off for all tasks.
    """
    for task in tasks:
        step = task.component_spec.name.replace("-", "_")
        cores, gib = NEEDS[step]
        cpu = f"{placement.cpu.get(step, cores):g}"
        memory = f"{round(placement.memory_gb.get(step, gib) * 1024)}Mi"
        task.set_cpu_request(cpu).set_cpu_limit(cpu).set_memory_request(memory).set_memory_limit(memory)
        task.set_caching_options(cache and step not in SIDE_EFFECTS)
        if placement.gpu and step in GPU_STEPS:
            _on_gpu(task, placement, channels)
        else:
            task.set_container_image(images.CPU)  # NVIDIA's libraries make an image of twice the size


def _on_gpu(task: "dsl.PipelineTask", placement: Placement, channels: Mapping[str, Any]) -> None:
    from kfp import kubernetes  # takes seconds to load, and estimates only want NEEDS

    timeout_s = round(placement.timeout_hours * 3600)
    # Registered as an input, or kfp would not pass it into a loop: the driver there fails over a resource's parameter.
    task.register_pipeline_channels([channels["gpu_count"]])
    task.set_accelerator_type(placement.gpu_resource).set_accelerator_limit(channels["gpu_count"])
    kubernetes.add_node_selector_json(task, channels["gpu_selector"])
    kubernetes.add_toleration(task, key=placement.gpu_resource, operator="Exists", effect="NoSchedule")
    kubernetes.empty_dir_mount(task, "shm", "/dev/shm", medium="Memory", size_limit=f"{placement.shm_gb}Gi")
    kubernetes.set_timeout(task, timeout_s)
    if placement.idle_minutes:
        task.set_env_variable(IDLE_ENV, f"{placement.idle_minutes * 60:g}")
    # Argo counts maxDuration from the first attempt: with KFP's default of an hour, a long training is never retried.
    longest_s = (placement.retries + 1) * (timeout_s + 600)
    task.set_retry(placement.retries, backoff_duration="60s", backoff_factor=2.0, backoff_max_duration=f"{longest_s}s")
