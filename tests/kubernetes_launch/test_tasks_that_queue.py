"""An engine whose tasks are Pods: what waits in the cluster says so, and its limit of time has not begun."""

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.engine.budget import Budget
from pipeline.engine.runner import Engine
from pipeline.engine.states import RunState
from pipeline.engine.store import Store
from pipeline.engine.tools import Pace

NO_GPU = "0/2 nodes are available: 2 Insufficient nvidia.com/gpu."
WAITING = {
    "phase": "Pending",
    "conditions": [{"type": "PodScheduled", "status": "False", "message": NO_GPU}],
}
RUNNING = {"phase": "Running", "containerStatuses": [{"state": {"running": {}}}]}


class ScriptedClock:
    """Time that passes in the engine's sleep; at some moments a test's script goes on."""

    def __init__(self) -> None:
        self.time = 0.0
        self.script: dict[float, Callable[[], None]] = {}

    def now(self) -> float:
        return self.time

    monotonic = now

    def sleep(self, seconds: float) -> None:
        self.time += seconds
        for moment in [at for at in self.script if at <= self.time]:
            self.script.pop(moment)()
        assert self.time < 10_000, "the run hangs"


@pytest.fixture
def gpu_task(compile_ir: Any) -> str:
    from kfp import dsl, kubernetes

    @dsl.container_component
    def train():  # type: ignore[no-untyped-def]
        return dsl.ContainerSpec(image="i:1", command=["train"])

    def pipeline() -> None:
        task = train()
        task.set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(1)
        kubernetes.set_timeout(task, 60)

    return str(compile_ir(dsl.pipeline(name="p")(pipeline)))


def test_a_task_that_waits_for_a_gpu_says_so_and_does_not_time_out(launching: Any, gpu_task: str, ended: Any) -> None:
    clock, notes = ScriptedClock(), []
    store = Store.open(launching.folder / "state")
    launching.folder = store.directory
    engine = Engine(
        store,
        launching.another(),
        budget=Budget.of_cluster(10),
        clock=clock,
        pace=Pace(1.0, 5.0),
        on_event=lambda event: notes.append(event.detail["note"]) if event.kind == "note" else None,
    )
    clock.script = {
        5.0: lambda: launching.cluster.becomes(launching.name, **WAITING),
        500.0: lambda: launching.cluster.becomes(launching.name, **RUNNING),
        700.0: lambda: launching.cluster.becomes(launching.name, **ended(0)),
    }
    run_id = engine.create_run(gpu_task, {})
    assert engine.execute(run_id) is RunState.SUCCEEDED
    assert notes[1:] == [f"waits: {NO_GPU}", ""]
    assert store.tasks(run_id)[0].note == ""
    store.close()


def test_no_more_pods_are_made_than_are_wanted_at_once(launching: Any, compile_ir: Any, ended: Any) -> None:
    from kfp import dsl

    @dsl.container_component
    def work(x: int):  # type: ignore[no-untyped-def]
        return dsl.ContainerSpec(image="i:1", command=["work"], args=[x])

    def pipeline() -> None:
        with dsl.ParallelFor([1, 2, 3, 4, 5]) as x:
            work(x=x).set_cpu_limit("64").set_memory_limit("999Gi")

    store, most = Store.open(launching.folder / "state"), [0]
    launching.folder = store.directory

    class EndsOneAtATime(ScriptedClock):
        def sleep(self, seconds: float) -> None:
            open_pods = [n for n, pod in launching.cluster.kept.items() if pod["status"]["phase"] == "Pending"]
            most[0] = max(most[0], len(open_pods))
            if open_pods:
                launching.cluster.becomes(open_pods[0], **ended(0))
            super().sleep(seconds)

    engine = Engine(
        store, launching.another(), budget=Budget.of_cluster(2), clock=EndsOneAtATime(), pace=Pace(1.0, 5.0)
    )
    assert engine.execute(engine.create_run(compile_ir(dsl.pipeline(name="p")(pipeline)), {})) is RunState.SUCCEEDED
    assert most == [2]
    store.close()
