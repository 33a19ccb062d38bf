"""Pipelines of shell commands in the small test image, compiled by kfp with the placement that a recipe would give."""

import tempfile
from pathlib import Path
from typing import Any

from kfp import compiler, dsl, kubernetes

IMAGE = "seamline-test/shell:1"
GPU = "nvidia.com/gpu"
WHERE = 'echo "on $NODE, GPUs ${NVIDIA_VISIBLE_DEVICES:-none}, user $(id -u), attempt ${KFP_RETRY_INDEX:-0}"'
ONCE = 'if [ -e "$0.marks" ]; then echo again; else echo first; echo . > "$0.marks"; {first}; fi'
"""A script that does `first` in the first attempt, and nothing in any later one. $0 is a name that attempts share."""


@dsl.container_component
def shell(script: str, mark: str, out: dsl.OutputPath(str)):  # type: ignore[valid-type, no-untyped-def]
    """Runs a script with `mark` as $0; succeeds with it."""
    return dsl.ContainerSpec(
        image=IMAGE, command=["sh", "-c", 'sh -c "$0" "$1" && echo -n done > "$2"'], args=[script, mark, out]
    )


@dsl.container_component
def absent(out: dsl.OutputPath(str)):  # type: ignore[valid-type, no-untyped-def]
    """Names an image that is nowhere."""
    return dsl.ContainerSpec(image="seamline-test/absent:1", command=["true"], args=[out])


def task(script: str, mark: Path | str = "/tmp/mark", name: str = "", memory: str = "64Mi") -> Any:
    """A task that tells where it is and runs a script, within a pipeline."""
    made = shell(script=f"{WHERE}; {script}", mark=str(mark))
    made.set_caching_options(False)
    made.set_cpu_limit("200m").set_cpu_request("10m").set_memory_limit(memory).set_memory_request("16Mi")
    kubernetes.use_field_path_as_env(made, "NODE", "spec.nodeName")
    return made.set_display_name(name) if name else made


def on_gpu(made: Any, count: int = 1) -> Any:
    """A task on the GPU pool, as pipeline/placement.py places one."""
    made.set_accelerator_type(GPU).set_accelerator_limit(count)
    kubernetes.add_node_selector(made, "cloud.google.com/gke-accelerator", "nvidia-fake")
    kubernetes.add_toleration(made, key=GPU, operator="Exists", effect="NoSchedule")
    kubernetes.empty_dir_mount(made, "shm", "/dev/shm", medium="Memory", size_limit="32Mi")
    return made


def compiled(pipeline: Any) -> str:
    """The IR of a function that makes tasks."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "pipeline.yaml"
        compiler.Compiler().compile(dsl.pipeline(name="shell")(pipeline), str(target))
        return target.read_text()
