"""How a task that may start gets its outputs: imported, reused as planned, cached, or made by its command."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.engine import exchange, ir, resolve
from pipeline.engine.board import Board
from pipeline.engine.budget import Demand, demand_of
from pipeline.engine.fingerprint import Explanation, Fingerprint, fingerprint, nearest
from pipeline.engine.launch import Job
from pipeline.engine.placeholders import resolve_command
from pipeline.engine.records import Attempt, Task
from pipeline.engine.states import TaskState
from pipeline.engine.tools import Tools
from pipeline.engine.tree import Node, Tree
from pipeline.engine.values import Values
from pipeline.errors import PipelineError


@dataclass(frozen=True)
class Start:
    """A task about to start: its node, interface, command, settled inputs and cache key."""

    node: Node
    component: ir.Component
    container: ir.Container
    inputs: Values
    key: Fingerprint

    @property
    def retries(self) -> bool:
        """Whether KFP would number its attempts."""
        return bool(self.node.task and self.node.task.retry.limit)


class Starter:
    """Starts what is ready, as far as there is room."""

    def __init__(self, tools: Tools, board: Board) -> None:
        self._tools = tools
        self._store = tools.store
        self._board = board
        self._prepared: dict[str, Start] = {}
        self._code: dict[tuple[str, ...], str] = {}

    def start_ready(self, tree: Tree) -> None:
        """Starts every ready task of the tree that there is room for; a task that cannot start fails."""
        for node in tree.leaves:
            if not node.ready or node.key in self._board.retry_at:
                continue
            try:
                self._start(node)
            except (PipelineError, OSError) as error:
                self._board.settle(node.key, TaskState.FAILED, str(error))

    def _start(self, node: Node) -> None:
        _, component = self._board.task_of(node.key)
        executor = self._board.pipeline.executors[component.executor]
        inputs = resolve.settled(node.inputs)
        if isinstance(executor, ir.Importer):
            outputs = exchange.import_artifact(component, executor, inputs)
            now = self._board.now()
            self._board.settle(node.key, TaskState.SUCCEEDED, "imported", outputs, inputs=inputs, started=now)
            return
        start = self._prepared.get(node.key) or self._prepare(node, component, executor, inputs)
        if self._reused(start):
            return
        explanation = self._look_in_cache(start)
        if explanation is None or self._same_work_runs(start):
            return
        demand = demand_of(executor.resources, inputs.parameters)
        holder = (self._board.run.run_id, node.key)
        gpus = self._tools.ledger.take(holder, demand)
        if gpus is None:
            return
        try:
            self._launch(start, explanation, demand, gpus)
        except (PipelineError, OSError):
            self._tools.ledger.give_back(holder)
            raise

    def _prepare(self, node: Node, component: ir.Component, container: ir.Container, inputs: Values) -> Start:
        command = (*container.command, *container.args)
        if command not in self._code:
            self._code[command] = self._tools.hooks.code_identity(list(command))
        key = fingerprint(component, container, inputs, self._code[command])
        self._prepared[node.key] = Start(node, component, container, inputs, key)
        return self._prepared[node.key]

    def _reused(self, start: Start) -> bool:
        """Takes the outputs that a rerun's plan names, if they still exist."""
        origin = self._board.run.reuse.get(start.node.key)
        source = self._store.task_at(*origin) if origin else None
        if source is None or not usable(source, self._tools):
            return False
        self._reuse(start, source, f"reused from run {source.run_id[:8]}")
        return True

    def _look_in_cache(self, start: Start) -> Explanation | None:
        """Takes the outputs of an earlier execution with the same key (None), or explains why there is none."""
        if not self._caches(start):
            return Explanation(False, differences=("caching is off",))
        if start.node.key in self._board.run.forced:
            return Explanation(False, differences=("chosen to run again",))
        found = next((t for t in self._store.executions_with(start.key.key) if usable(t, self._tools)), None)
        if found:
            self._reuse(start, found, str(Explanation(True, found.run_id, found.label)))
            return None
        earlier = self._store.executions_named(start.node.name)
        return nearest(start.key.parts, [(t.run_id, t.label, t.parts) for t in earlier if t.parts])

    def _caches(self, start: Start) -> bool:
        return bool(start.node.task and start.node.task.cache and self._board.run.cache)

    def _same_work_runs(self, start: Start) -> bool:
        """Two cached tasks with the same key never run at once: the second waits and becomes a hit."""
        live = [self._prepared[key] for key in self._board.live if key in self._prepared]
        return self._caches(start) and any(other.key.key == start.key.key and self._caches(other) for other in live)

    def _reuse(self, start: Start, source: Task, why: str) -> None:
        origin = source.origin if source.cached and source.origin else (source.run_id, source.key)
        columns: dict[str, Any] = self._key_columns(start) | {"inputs": start.inputs, "started": self._board.now()}
        columns |= {"cached": True, "origin": origin, "explanation": why}
        self._board.settle(start.node.key, TaskState.SUCCEEDED, why, source.outputs, **columns)

    def _key_columns(self, start: Start) -> dict[str, Any]:
        """A run without cache still leaves results for later runs; a task that is never cached leaves none."""
        cacheable = start.node.task and start.node.task.cache
        return {"fingerprint": start.key.key, "parts": start.key.parts} if cacheable else {}

    def _launch(self, start: Start, explanation: Explanation, demand: Demand, gpus: tuple[int, ...]) -> None:
        """Starts the command in a fresh folder. It runs only after the attempt is journalled."""
        key, run_id = start.node.key, self._board.run.run_id
        number = self._board.tries.get(key, 0) + 1
        folder = exchange.Folder(self._store.directory / "runs" / run_id / key / f"attempt-{number}")
        shutil.rmtree(folder.path, ignore_errors=True)  # left by an engine that died before it journalled the start
        folder.prepare()
        around = exchange.surroundings(start.component, start.inputs, folder)
        command = resolve_command(list(start.container.command), list(start.container.args), around)
        environment = self._environment(start, demand, gpus, number)
        image = start.container.image
        job = Job(command, image, environment, folder.path, demand.cpu_slots, demand.memory_bytes, gpus)
        handle = self._tools.launcher.start(job)
        now = self._board.now()
        note = "no GPU on this machine: runs on the CPU" if demand.gpus and not gpus else ""
        attempt = Attempt(run_id, key, number, TaskState.RUNNING, str(folder.path), handle, started=now)
        told = {"inputs": start.inputs, "explanation": str(explanation), "note": note}
        self._board.begin(attempt, **told, **self._key_columns(start))
        self._tools.launcher.release(handle)

    def _environment(self, start: Start, demand: Demand, gpus: tuple[int, ...], number: int) -> Mapping[str, str]:
        extra = {"CUDA_VISIBLE_DEVICES": ",".join(map(str, gpus))} if gpus else {}
        if start.retries:
            extra["KFP_RETRY_INDEX"] = str(number - 1)
        return {**os.environ, **self._tools.hooks.environment(demand), **start.container.env, **extra}


def usable(task: Task, tools: Tools) -> bool:
    """Whether the outputs of a succeeded task can still be used."""
    return exchange.outputs_exist(task.outputs) and tools.hooks.still_valid(dict(task.outputs.parameters))
