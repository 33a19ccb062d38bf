"""Whether a batch fits into memory, estimated before the first picture is read: hours of queueing end sooner so.

    bytes = 4 (2 P + S + A) + B (F b + 3 side^2) + C

P numbers in the weights (once more for their gradients), S in the optimiser's moments and A in the moving averages, all
float32; B pictures of a batch on one GPU; F numbers that the layers give for one picture, kept for the way back, of b
bytes each: 4, or 2 in half precision; and the picture itself, three bytes a pixel. C are the decoded pictures that are
kept between epochs; they lie in the machine's memory, so on a GPU they don't count. What else runs on the machine is
not known here: a container's limit counts as its memory. Frameworks free some of it early and
need room of their own, so an estimate somewhat above the memory is only said, one far above it is refused.
"""

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components import progress
from components.errors import SettingsError
from components.vision.learner import Learner

REFUSED_FROM = 2.0  # times the memory: so wrong is no estimate
_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_MEMINFO = Path("/proc/meminfo")


@dataclass(frozen=True)
class Footprint:
    """What a training takes.

    Attributes:
        fixed: bytes whatever the batch.
        per_picture: bytes for each picture of a batch.
    """

    fixed: int
    per_picture: int

    def of(self, batch: int) -> int:
        """Bytes with a batch of so many pictures."""
        return self.fixed + batch * self.per_picture

    def largest(self, memory: int) -> int:
        """The largest power of two whose batch fits into so many bytes; 0 where not even one picture does."""
        room = (memory - self.fixed) // self.per_picture
        return 1 << (int(room).bit_length() - 1) if room >= 1 else 0


def footprint(pupil: Learner) -> Footprint:
    """The estimate for a model with its optimiser and averages, by the formula above."""
    side, model = pupil.model.input_shape[1], pupil.model
    half = keras.dtype_policies.get(_policy(model)).compute_dtype != "float32"
    numbers = 2 * _numbers(model.variables) + _numbers(pupil.optimiser.variables) + _numbers(pupil.averages)
    return Footprint(4 * numbers, num_activations(model) * (2 if half else 4) + 3 * side**2)


def num_activations(model: keras.Model) -> int:
    """Numbers that all layers of a model give for one picture; reshaped and switched-off ones are counted too."""
    return sum(int(np.prod(layer.output.shape[1:])) for layer in _leaves(model))


def check_batch(
    pupil: Learner, batch_size: int, replicas: int = 1, memory: int | None = None, kept_bytes: int = 0
) -> None:
    """Says what a training will take, and stops one that cannot fit.

    Args:
        pupil: model, optimiser and averages.
        batch_size: pictures of a step, over all replicas together.
        replicas: GPUs that share a batch.
        memory: bytes of one GPU, or of the machine where there is none; by default as found.
        kept_bytes: decoded pictures that stay in the machine's memory.

    Raises:
        SettingsError: the estimate is more than REFUSED_FROM times the memory; names a batch size that fits.
    """
    memory = available() if memory is None else memory
    if not memory:
        return
    own = footprint(pupil)
    kept = 0 if tf.config.list_physical_devices("GPU") else kept_bytes
    whole = Footprint(own.fixed + kept, own.per_picture)
    needed = whole.of(-(-batch_size // replicas))
    words = f"batch_size={batch_size} takes about {needed / 1e9:.2f} GB of the {memory / 1e9:.2f} GB of memory"
    words += f", {kept / 1e9:.2f} GB of it pictures kept decoded" if kept else ""
    if needed <= memory:
        progress.log(words)
        return
    advice = _advice(whole.largest(memory) * replicas, own.largest(memory) * replicas)
    if needed > REFUSED_FROM * memory:
        raise SettingsError(f"{words}; {advice}, or train in half precision or where there is more memory")
    progress.log(f"warning: {words}; it may fail: {advice}")


def _advice(fits: int, fits_alone: int) -> str:
    """Which knob to turn, from the largest batches with and without pictures kept."""
    if fits:
        return f"set batch_size={fits}"
    if fits_alone:
        return f"set cache_mb=0, which keeps no pictures, and batch_size={fits_alone} or less"
    return "even one picture does not fit: lower preprocess.size_px"


def available() -> int:
    """Bytes of the smallest GPU, or of this machine or container without one; 0 where that cannot be known."""
    if tf.config.list_physical_devices("GPU"):
        return min(_gpu_bytes(), default=0)
    limits = [int(text) for path in _CGROUP_LIMITS if (text := _read(path).strip()).isdigit()]
    return min([*limits, *_machine_bytes()], default=0)


def _leaves(model: keras.Model) -> Iterator[Any]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _leaves(layer)
        elif not isinstance(layer, keras.layers.InputLayer):
            yield layer


def _policy(model: keras.Model) -> str:
    """Of most layers: the head computes in float32 whatever the policy."""
    names = [layer.dtype_policy.name for layer in _leaves(model)]
    return max(set(names), key=names.count)


def _numbers(variables: Any) -> int:
    return sum(int(np.prod(v.shape)) for v in variables)


def _machine_bytes() -> list[int]:
    found = [line.split()[1] for line in _read(_MEMINFO).splitlines() if line.startswith("MemTotal:")]
    return [int(kilobytes) * 1024 for kilobytes in found]


def _gpu_bytes() -> list[int]:
    program = shutil.which("nvidia-smi")
    if not program:
        return []
    query = [program, "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [int(line) * 1024**2 for line in told.split() if line.isdigit()]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
