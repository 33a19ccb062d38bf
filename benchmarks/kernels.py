"""Times the kernels whose speed the design counts on. Usage: python benchmarks/kernels.py [REPEATS]"""

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from components.vision import bootstrap, hamming, metrics
from pipeline import code_identity
from pipeline.recipe import STEPS


def predictions(rows: int, classes: int) -> tuple[np.ndarray, list[str]]:
    """Random rows with the ties of four decimals, as real submissions have them."""
    rng = np.random.default_rng(0)
    labels = ["".join("y" if k == c else "n" for k in range(classes)) for c in rng.integers(0, classes, rows)]
    return rng.dirichlet(np.ones(classes), rows).round(4), labels


def hashes(count: int) -> np.ndarray:
    """Uniform 64-bit hashes, a tenth of them copies with up to four bits changed."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, 2**63, count, dtype=np.uint64)
    copies = drawn[: count // 10].copy()
    for _ in range(4):
        copies ^= np.uint64(1) << rng.integers(0, 64, len(copies), dtype=np.uint64)
    return np.unique(np.concatenate([drawn, copies]))


def cases() -> dict[str, Callable[[], object]]:
    """Name to what is timed; the inputs are made before."""
    rows, labels = predictions(19_818, 9)
    first, truth = predictions(5_000, 8)
    second = np.roll(first, 1, axis=0)
    many = hashes(1_000_000)
    commands = [["python", "-m", f"components.{step}"] for step in STEPS]
    scores = {f"metric, 19,818 rows, {name}": name for name in metrics.READINGS}
    timed: dict[str, Callable[[], object]] = {
        label: (lambda name=name: metrics.average_precision(rows, labels, name)) for label, name in scores.items()
    }
    return timed | {
        "paired bootstrap, 5,000 rows, 1,000 resamples": lambda: bootstrap.paired_bootstrap(
            first, second, truth, resamples=1000
        ),
        "near pairs within 4 bits, 1,100,000 hashes": lambda: hamming.pairs(many, 4),
        "code identity of all steps": lambda: [code_identity.identity(command) for command in commands],
    }


def main(repeats: int) -> None:
    """Prints one line per case; the first call warms up and does not count."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {repeats} repeats")
    for name, work in cases().items():
        work()
        seconds = []
        for _ in range(repeats):
            start = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - start)
        print(f"{name:52s} {statistics.median(seconds):8.3f} s  ({min(seconds):.3f} to {max(seconds):.3f})")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
