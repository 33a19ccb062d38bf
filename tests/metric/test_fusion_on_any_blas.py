"""Fused predictions are the same bytes whatever kernels the machine's BLAS chooses: a Pod and a laptop must agree."""

import os
import subprocess
import sys

import pytest

FUSE = """
import hashlib
import numpy as np
from components.vision import calibration, fusion

rng = np.random.default_rng(0)
truth = rng.integers(0, 5, 400)
stack = np.stack([calibration.softmax(rng.normal(size=(400, 5)) * 2 + q * np.eye(5)[truth]) for q in (3.0, 2.0, 0.5)])
labels = ["".join("y" if k == t else "n" for k in range(5)) for t in truth]
digest = hashlib.sha256()
for mean in fusion.MEANS:
    weights = fusion.fit_weights(stack, labels, mean)
    digest.update(weights.tobytes() + fusion.weighted_mean(stack, weights, mean).tobytes())
print(digest.hexdigest())
"""
KERNELS = ("Prescott", "Haswell")  # SSE3 without and AVX2 with fused multiply-add; other machines ignore the names


def fused(kernel: str) -> str:
    environment = {**os.environ, "OPENBLAS_CORETYPE": kernel}
    done = subprocess.run([sys.executable, "-c", FUSE], env=environment, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.timeout(120)
def test_weights_and_means_do_not_hang_on_the_kernel_of_the_blas() -> None:
    first, second = map(fused, KERNELS)
    assert first == second
