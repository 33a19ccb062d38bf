"""An engine whose tasks are Pods: what waits in the cluster says so, costs nothing, and its limits have not begun."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline import show
from pipeline.engine import spending
from pipeline.engine.budget import Budget
from pipeline.engine.records import Run, Task
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
HOUR_S = 3600.0


def at(seconds: float) -> str:
    """A moment as Kubernetes writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def runs_since(seconds: float) -> dict[str, Any]:
    return RUNNING | {"startTime": at(seconds)}


def ended_after(begin: float, end: float) -> dict[str, Any]:
    state = {"terminated": {"exitCode": 0, "startedAt": at(begin), "finishedAt": at(end)}}
    return {"phase": "Succeeded", "startTime": at(begin), "containerStatuses": [{"state": state}]}


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

    def pipeline(gpu_hours_budget: float = 0.0) -> None:
        task = train()
        task.set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(1)
        kubernetes.set_timeout(task, 60)

    return str(compile_ir(dsl.pipeline(name="p")(pipeline)))


class Cluster:
    """An engine over the cluster in memory, whose clock is the cluster's, too."""

    def __init__(self, launching: Any) -> None:
        self.launching = launching
        self.clock = ScriptedClock()
        self.notes: list[str] = []
        self.store = Store.open(launching.folder / "state")
        launching.folder = self.store.directory

    def engine(self) -> Engine:
        """An engine that has just started."""
        return Engine(
            self.store,
            self.launching.another(),
            budget=Budget.of_cluster(10),
            clock=self.clock,
            pace=Pace(1.0, 5.0),
            on_event=lambda event: self.notes.append(event.detail["note"]) if event.kind == "note" else None,
        )

    def plan(self, script: dict[float, dict[str, Any]]) -> None:
        """The Pod's status from these moments on."""
        becomes = self.launching.cluster.becomes
        self.clock.script |= {
            moment: lambda status=status: becomes(self.launching.name, **status) for moment, status in script.items()
        }

    def dies(self, moment: float) -> None:
        """The engine is killed then."""

        def die() -> None:
            raise SystemExit

        self.clock.script[moment] = die

    def run_and_tasks(self, run_id: str) -> tuple[Run, list[Task]]:
        return self.store.run(run_id), self.store.tasks(run_id)

    def gpu_seconds(self, run_id: str) -> float:
        return spending.gpu_hours(spending.of_run(self.store, run_id, self.clock.now())) * HOUR_S


@pytest.fixture
def cluster(launching: Any) -> Iterator[Cluster]:
    made = Cluster(launching)
    yield made
    made.store.close()


def test_a_task_that_waits_for_a_gpu_says_so_and_does_not_time_out(cluster: Any, gpu_task: str, ended: Any) -> None:
    cluster.plan({5.0: WAITING, 500.0: RUNNING, 700.0: ended(0)})
    cluster.clock.script[499.0] = lambda: shown.append(show.run_as_json(*cluster.run_and_tasks(run_id)))
    shown: list[dict[str, Any]] = []
    engine = cluster.engine()
    run_id = engine.create_run(gpu_task, {})
    assert engine.execute(run_id) is RunState.SUCCEEDED
    assert [task["note"] for task in shown[0]["tasks"]] == [f"waits: {NO_GPU}"]
    assert cluster.notes[1:] == [f"waits: {NO_GPU}", ""]
    assert cluster.store.tasks(run_id)[0].note == ""


def test_an_hour_in_the_queue_and_a_minute_of_work_cost_a_minute(cluster: Any, gpu_task: str) -> None:
    cluster.plan({5.0: WAITING, 3600.0: runs_since(3600), 3660.0: ended_after(3600, 3660)})
    spent_before = []
    cluster.clock.script[3599.0] = lambda: spent_before.append(cluster.gpu_seconds(run_id))
    engine = cluster.engine()
    run_id = engine.create_run(gpu_task, {"gpu_hours_budget": 0.5})
    assert engine.execute(run_id) is RunState.SUCCEEDED
    assert spent_before == [0.0]
    assert cluster.gpu_seconds(run_id) == 60.0
    task, (attempt,) = cluster.store.tasks(run_id)[0], cluster.store.attempts(run_id, "train")
    assert (attempt.started, attempt.began, task.started) == (0.0, 3600.0, 3600.0)
    assert cluster.store.expected_seconds(task.name) == pytest.approx(60, abs=2)


def test_a_budget_is_spent_from_when_the_pod_has_its_gpu(cluster: Any, gpu_task: str) -> None:
    cluster.plan({5.0: WAITING, 3600.0: runs_since(3600)})
    cluster.clock.script[5500.0] = lambda: cluster.launching.cluster.removed(cluster.launching.name)
    engine = cluster.engine()
    run_id = engine.create_run(gpu_task, {"gpu_hours_budget": 0.5})
    assert engine.execute(run_id) is RunState.CANCELED
    assert cluster.gpu_seconds(run_id) == pytest.approx(1900, abs=10)  # stopped after half an hour, gone 100 s later


def test_another_engine_goes_on_counting_from_when_the_pod_began(cluster: Any, gpu_task: str) -> None:
    cluster.plan({5.0: WAITING, 3600.0: runs_since(3600), 3900.0: ended_after(3600, 3900)})
    cluster.dies(3700.0)
    run_id = cluster.engine().create_run(gpu_task, {})
    with pytest.raises(SystemExit):
        cluster.engine().execute(run_id)
    assert cluster.gpu_seconds(run_id) == pytest.approx(100, abs=2)
    another = cluster.engine()
    another.retry(run_id)
    assert another.execute(run_id) is RunState.SUCCEEDED
    assert cluster.gpu_seconds(run_id) == 300.0


def test_what_began_and_ended_while_no_engine_looked_costs_what_its_node_measured(cluster: Any, gpu_task: str) -> None:
    cluster.plan({5.0: WAITING})
    cluster.dies(100.0)
    run_id = cluster.engine().create_run(gpu_task, {})
    with pytest.raises(SystemExit):
        cluster.engine().execute(run_id)
    cluster.launching.cluster.becomes(cluster.launching.name, **ended_after(1000, 1060))
    cluster.clock.time = 9000.0
    another = cluster.engine()
    another.retry(run_id)
    assert another.execute(run_id) is RunState.SUCCEEDED
    assert cluster.gpu_seconds(run_id) == 60.0


def test_a_pod_that_is_stopped_in_the_queue_costs_nothing(cluster: Any, gpu_task: str) -> None:
    cluster.plan({5.0: WAITING})
    engine = cluster.engine()
    cluster.clock.script[3000.0] = engine.stop
    cluster.clock.script[3002.0] = lambda: cluster.launching.cluster.removed(cluster.launching.name)
    run_id = engine.create_run(gpu_task, {})
    assert engine.execute(run_id) is RunState.CANCELED
    assert cluster.gpu_seconds(run_id) == 0.0


def test_silence_is_counted_from_when_the_command_is_seen_to_run(cluster: Any, compile_ir: Any, ended: Any) -> None:
    from kfp import dsl

    @dsl.container_component
    def work():  # type: ignore[no-untyped-def]
        return dsl.ContainerSpec(image="i:1", command=["work"])

    def pipeline() -> None:
        work().set_env_variable("SEAMLINE_SILENCE_S", "60")

    kept = cluster.launching.cluster
    create = kept.create

    def take_and_go_away(pod: dict[str, Any]) -> None:
        create(pod)
        kept.mirrors[-1].forget(pod["metadata"]["name"])
        kept.is_away = True

    kept.create = take_and_go_away
    cluster.clock.script[3000.0] = lambda: setattr(kept, "is_away", False)
    cluster.plan({3001.0: WAITING, 3600.0: runs_since(3600), 3650.0: ended(0)})
    engine = cluster.engine()
    run_id = engine.create_run(compile_ir(dsl.pipeline(name="p")(pipeline)), {})
    assert engine.execute(run_id) is RunState.SUCCEEDED
    assert cluster.launching.cluster.deleted[0][1] == 1, "it was not asked to end before it had ended"


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
