"""Times the engine itself on big runs: tasks cost nothing, so what is left is planning and recording.

Usage: python benchmarks/engine.py [TASKS] [REPEATS]
"""

import functools
import json
import os
import platform
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.engine.budget import Budget
from pipeline.engine.dispatch import Dispatcher
from pipeline.engine.launch import Exit, Job
from pipeline.engine.runner import Engine
from pipeline.engine.states import RunState
from pipeline.engine.store import Store
from pipeline.engine.tools import Pace

QUEUED = 200


class InstantLauncher:
    """Commands end at once and write `x` to every output parameter."""

    def start(self, job: Job) -> str:
        """See Launcher."""
        wanted = json.loads(job.command[-1])["outputs"]
        values = dict.fromkeys(wanted["parameters"], "x")
        Path(wanted["outputFile"]).write_text(json.dumps({"parameterValues": values}))
        return str(job.directory)

    def release(self, handle: str) -> None:
        """See Launcher."""

    def poll(self, handle: str) -> Exit:
        """See Launcher."""
        return Exit(0)

    def signal(self, handle: str, kill: bool) -> None:
        """See Launcher."""


def pipeline(tasks: dict[str, Any], loops: dict[str, Any] | None = None) -> str:
    """IR of a pipeline of these tasks, and of components that are loops' bodies."""
    work = {
        "executorLabel": "exec-work",
        "inputDefinitions": {"parameters": {"x": {"parameterType": "STRING"}}},
        "outputDefinitions": {"parameters": {"out": {"parameterType": "STRING"}}},
    }
    container = {"image": "i", "command": ["work"], "args": ["{{$}}"]}
    body = {
        "pipelineInfo": {"name": "p"},
        "root": {"dag": {"tasks": tasks}},
        "components": {"comp-work": work, **(loops or {})},
        "deploymentSpec": {"executors": {"exec-work": {"container": container}}},
        "schemaVersion": "2.1.0",
        "sdkVersion": "kfp-2.17.0",
    }
    return json.dumps(body)


def task(name: str, source: dict[str, Any], after: str = "") -> dict[str, Any]:
    """A task whose input comes from there."""
    told = {"taskInfo": {"name": name}, "componentRef": {"name": "comp-work"}, "inputs": {"parameters": {"x": source}}}
    return told | ({"dependentTasks": [after]} if after else {})


def constant(text: str) -> dict[str, Any]:
    """An input that is given."""
    return {"runtimeValue": {"constant": text}}


def chain(count: int) -> str:
    """Each task needs the one before."""
    tasks = {"t0": task("t0", constant("0"))}
    for n in range(1, count):
        source = {"taskOutputParameter": {"producerTask": f"t{n - 1}", "outputParameterKey": "out"}}
        tasks[f"t{n}"] = task(f"t{n}", source, f"t{n - 1}")
    return pipeline(tasks)


def wide(count: int) -> str:
    """No task needs another."""
    return pipeline({f"t{n}": task(f"t{n}", constant(str(n))) for n in range(count)})


def loop(count: int) -> str:
    """One task in a loop over so many items."""
    item = "pipelinechannel--items-loop-item"
    body = {
        "dag": {"tasks": {"work": task("work", {"componentInputParameter": item})}},
        "inputDefinitions": {"parameters": {item: {"parameterType": "STRING"}}},
    }
    around = {
        "taskInfo": {"name": "for-loop-1"},
        "componentRef": {"name": "comp-for-loop-1"},
        "parameterIterator": {"itemInput": item, "items": {"raw": json.dumps([str(n) for n in range(count)])}},
    }
    return pipeline({"for-loop-1": around}, {"comp-for-loop-1": body})


def execute(text: str, runs: int = 1) -> None:
    """Executes runs of a pipeline to their ends, in a fresh state folder."""
    with tempfile.TemporaryDirectory() as folder:
        store, stopped = Store.open(folder), threading.Event()
        engine = Engine(store, InstantLauncher(), budget=Budget(8.0, 1 << 33), pace=Pace(0.0, 1.0))
        made = [engine.create_run(text, {}, cache=False) for _ in range(runs)]

        def rest(_: float) -> None:
            if not store.waiting_runs():
                stopped.set()

        Dispatcher(engine, store, rest).run(stopped)
        assert all(store.run(run_id).state is RunState.SUCCEEDED for run_id in made)
        store.close()


def report(name: str, act: Callable[[], None], repeats: int) -> None:
    """Prints the medians of wall-clock and processor time."""
    took: list[tuple[float, float]] = []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        act()
        took.append((time.perf_counter() - wall, time.process_time() - cpu))
    wall, cpu = (statistics.median(column) for column in zip(*took, strict=True))
    print(f"{name:<40} {wall:7.1f} s, of which processor {cpu:6.1f} s (median of {repeats})", flush=True)


def main(count: int, repeats: int) -> None:
    """Runs all."""
    machine = f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}"
    print(f"{machine}, load {os.getloadavg()[0]:.1f}")
    for shape in (loop, wide, chain):
        report(f"{shape.__name__} of {count} tasks", functools.partial(execute, shape(count)), repeats)
    report(f"{QUEUED} queued runs of 3 tasks", lambda: execute(chain(3), QUEUED), repeats)


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    main(*(given + [1000, 3][len(given) :]))
