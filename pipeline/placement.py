"""Where each task runs and what it may take: CPU and memory for all; for GPU steps the node pool, by kfp-kubernetes.

The embedded engine budgets by the same CPU and memory that Kubernetes schedules by.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

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
}
# Caching is off for a step that acts on the world: a cached decision would not be taken.
SIDE_EFFECTS = ("promote",)
GPU_STEPS = ("train", "predict")


def place(tasks: "Iterable[dsl.PipelineTask]", placement: Placement) -> None:
    """Sets resources, caching and, where the recipe says so, the GPU of every task."""
    for task in tasks:
        step = task.component_spec.name.replace("-", "_")
        cores, gib = NEEDS[step]
        cpu = f"{placement.cpu.get(step, cores):g}"
        memory = f"{round(placement.memory_gb.get(step, gib) * 1024)}Mi"
        task.set_cpu_request(cpu).set_cpu_limit(cpu).set_memory_request(memory).set_memory_limit(memory)
        task.set_caching_options(step not in SIDE_EFFECTS)
        if placement.gpu and step in GPU_STEPS:
            _on_gpu(task, placement)


def _on_gpu(task: "dsl.PipelineTask", placement: Placement) -> None:
    from kfp import kubernetes  # takes seconds to load, and estimates only want NEEDS

    timeout_s = round(placement.timeout_hours * 3600)
    task.set_accelerator_type(placement.gpu_resource).set_accelerator_limit(placement.gpus_per_task)
    kubernetes.add_node_selector(task, label_key=placement.gpu_label, label_value=placement.gpu_type)
    kubernetes.add_toleration(task, key=placement.gpu_resource, operator="Exists", effect="NoSchedule")
    kubernetes.empty_dir_mount(task, "shm", "/dev/shm", medium="Memory", size_limit=f"{placement.shm_gb}Gi")
    kubernetes.set_timeout(task, timeout_s)
    # Argo counts maxDuration from the first attempt: with KFP's default of an hour, a long training is never retried.
    longest_s = (placement.retries + 1) * (timeout_s + 600)
    task.set_retry(placement.retries, backoff_duration="60s", backoff_factor=2.0, backoff_max_duration=f"{longest_s}s")
