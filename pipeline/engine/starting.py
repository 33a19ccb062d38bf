"""How a task that may start gets its outputs: imported, reused as planned, cached, or made by its command."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pipeline.engine import exchange, importing, ir, resolve, trouble
from pipeline.engine.board import Board
from pipeline.engine.budget import Demand, demand_of, memory_limit_of
from pipeline.engine.fingerprint import Explanation, Fingerprint, fingerprint, nearest
from pipeline.engine.launch import Job, Whose, held_since
from pipeline.engine.ledger import Holder
from pipeline.engine.placeholders import resolve_command
from pipeline.engine.records import Attempt, Task
from pipeline.engine.spending import NO_GPU
from pipeline.engine.states import TaskState
from pipeline.engine.tools import Tools
from pipeline.engine.tree import Node, Tree
from pipeline.engine.values import Values, texts
from pipeline.errors import PipelineError


@dataclass(frozen=True)
class Start:
    """A task about to start: its node, interface, command, settled inputs, cache key and share of the machine."""

    node: Node
    component: ir.Component
    container: ir.Container
    inputs: Values
    key: Fingerprint
    demand: Demand

    @property
    def retries(self) -> bool:
        """Whether KFP would number its attempts."""
        return bool(self.node.task and self.node.task.retry.limit)


class Starter:
    """Starts what is ready, as far as there is room.

    Attributes:
        waits: something is ready and waits for room, or for the same work to be done elsewhere.
    """

    def __init__(self, tools: Tools, board: Board) -> None:
        self._tools = tools
        self._store = tools.store
        self._board = board
        self._prepared: dict[str, Start] = {}
        self._code: dict[tuple[str, ...], str] = {}
        self._refused: set[tuple[Demand, bool]] = set()
        self.waits = False

    def start_ready(self, tree: Tree) -> None:
        """Starts every ready task of the tree that there is room for; a task that cannot start fails.

        Raises:
            OSError: the machine cannot start anything now; the rest of the ready tasks wait.
        """
        waiting: dict[str, Demand] = {}
        self._refused.clear()
        self.waits = False
        for node in tree.leaves:
            if not node.ready or node.key in self._board.retry_at:
                continue
            try:
                wish = self._start(node)
            except (PipelineError, OSError, ValueError) as error:  # ValueError: values that no command line can carry
                if isinstance(error, OSError) and trouble.is_of_machine(error):
                    raise
                self._board.settle(node.key, TaskState.FAILED, str(error))
                continue
            if wish:
                waiting[node.key] = wish
        self._tools.ledger.wait(self._board.run.run_id, waiting)

    def _start(self, node: Node) -> Demand | None:
        """Gets a task its outputs or its command started; what it wants of the machine when it waits for room."""
        start, is_new = self._prepared.get(node.key), node.key not in self._prepared
        if start is None:
            _, component = self._board.task_of(node.key)
            executor = self._board.pipeline.executors[component.executor]
            if isinstance(executor, ir.Importer):
                self._import(node, component, executor)
                return None
            start = self._prepare(node, component, executor, resolve.settled(node.inputs))
        if is_new and (self._reused(start) or self._is_hit(start)):
            return None
        if self._caches(start) and self._tools.ledger.is_being_done(start.key.key):
            self.waits = True
            return None
        alone = self._board.runs_alone(node.key)
        if not self._has_room(start, alone):
            self.waits = True
            return start.demand
        if is_new or not self._is_hit(start):
            self._take_and_launch(start, alone)
        return None

    def _has_room(self, start: Start, alone: bool) -> bool:
        """Asks once in a look for each size of task: a thousand of them may wait."""
        size = (start.demand, alone)
        if size in self._refused:
            return False
        if not self._tools.ledger.has_room(self._holder(start.node.key), *size):
            self._refused.add(size)
            return False
        return True

    def _holder(self, key: str) -> Holder:
        return (self._board.run.run_id, key)

    def _take_and_launch(self, start: Start, alone: bool) -> None:
        holder = self._holder(start.node.key)
        work = start.key.key if self._key_columns(start) else ""
        gpus = self._tools.ledger.hold(holder, start.demand, alone, work)
        try:
            self._launch(start, gpus)
        except BaseException:  # an interrupt, too, must not keep the room
            if start.node.key not in self._board.live:
                self._tools.ledger.give_back(holder)
            raise

    def _import(self, node: Node, component: ir.Component, importer: ir.Importer) -> None:
        inputs = resolve.settled(node.inputs)
        outputs = importing.import_artifact(component, importer, inputs)
        now = self._board.now()
        self._board.settle(node.key, TaskState.SUCCEEDED, "imported", outputs, inputs=inputs, started=now)

    def _prepare(self, node: Node, component: ir.Component, container: ir.Container, inputs: Values) -> Start:
        key = fingerprint(component, container, inputs, self._code_of(container))
        demand = demand_of(container.resources, inputs.parameters)
        self._prepared[node.key] = Start(node, component, container, inputs, key, demand)
        return self._prepared[node.key]

    def _code_of(self, container: ir.Container) -> str:
        """Identity of what a container runs, asked for once a run."""
        command, hooks = (*container.command, *container.args), self._tools.hooks
        known_by = (container.image, *command)
        if known_by not in self._code:
            self._code[known_by] = hooks.code_identity(list(command)) or hooks.image_identity(container.image)
        return self._code[known_by]

    def _reused(self, start: Start) -> bool:
        """Takes the outputs that a rerun's plan names, if they still exist."""
        origin = self._board.run.reuse.get(start.node.key)
        source = self._store.task_at(*origin) if origin else None
        if source is None or not usable(source, self._tools):
            return False
        self._reuse(start, source, f"reused from run {source.run_id[:8]}")
        return True

    def _is_hit(self, start: Start) -> bool:
        """Takes the outputs of an earlier execution with the same key, if there is one and it may be used."""
        if not self._caches(start) or self._is_forced(start):
            return False
        found = next((t for t in self._store.executions_with(start.key.key) if usable(t, self._tools)), None)
        if found:
            self._reuse(start, found, str(Explanation(True, found.run_id, found.label)))
        return found is not None

    def _why_not_cached(self, start: Start) -> Explanation:
        if not self._caches(start):
            return Explanation(False, differences=("caching is off",))
        if self._is_forced(start):
            return Explanation(False, differences=("chosen to run again",))
        return nearest(start.key.parts, self._store.cache_keys_named(start.node.name, start.key.key))

    def _is_forced(self, start: Start) -> bool:
        return start.node.key in self._board.run.forced

    def _caches(self, start: Start) -> bool:
        return bool(start.node.task and start.node.task.cache and self._board.run.cache)

    def _reuse(self, start: Start, source: Task, why: str) -> None:
        origin = source.origin if source.cached and source.origin else (source.run_id, source.key)
        columns: dict[str, Any] = self._key_columns(start) | {"inputs": start.inputs, "started": self._board.now()}
        columns |= {"cached": True, "origin": origin, "explanation": why}
        self._board.settle(start.node.key, TaskState.SUCCEEDED, why, source.outputs, **columns)

    def _key_columns(self, start: Start) -> dict[str, Any]:
        """A run without cache still leaves results for later runs; a task that is never cached leaves none."""
        cacheable = start.node.task and start.node.task.cache
        return {"fingerprint": start.key.key, "parts": start.key.parts} if cacheable else {}

    def _launch(self, start: Start, gpus: tuple[int, ...]) -> None:
        """Starts the command in a fresh folder. It runs only after the attempt is journalled."""
        key, run_id, demand = start.node.key, self._board.run.run_id, start.demand
        number = self._board.tries.get(key, 0) + 1
        folder = exchange.Folder(self._store.directory / "runs" / run_id / key / f"attempt-{number}")
        shutil.rmtree(folder.path, ignore_errors=True)  # left by an engine that died before it journalled the start
        folder.prepare()
        around = exchange.surroundings(start.component, start.inputs, folder)
        command = resolve_command(list(start.container.command), list(start.container.args), around)
        job = Job(
            command=command,
            image=start.container.image,
            environment=self._environment(start, number),
            directory=folder.path,
            cpu_slots=demand.cpu_slots,
            memory_bytes=memory_limit_of(start.container.resources, start.inputs.parameters),
            gpus=gpus,
            whose=Whose(run_id, key, number),
            paths=_local_paths(start.inputs),
            container=start.container,
            parameters={**start.node.scope, **start.inputs.parameters},
        )
        told = {"inputs": start.inputs, "explanation": str(self._why_not_cached(start))}
        told["note"] = NO_GPU if self._lacks_gpu(demand, gpus) else ""
        attempt = Attempt(run_id, key, number, TaskState.RUNNING, str(folder.path), started=self._board.now())
        self._begin(attempt, job, told | self._key_columns(start))

    def _lacks_gpu(self, demand: Demand, gpus: tuple[int, ...]) -> bool:
        return bool(demand.gpus and not gpus and not self._tools.ledger.budget.at_once)

    def _begin(self, attempt: Attempt, job: Job, columns: Mapping[str, Any]) -> None:
        handle = self._tools.launcher.start(job)
        queues = held_since(self._tools.launcher, handle) is None
        try:
            self._board.begin(replace(attempt, handle=handle, began=0.0 if queues else attempt.started), **columns)
        except BaseException:  # not on record, or nobody would release it: it must not wait for ever
            self._tools.launcher.signal(handle, kill=True)
            raise
        self._tools.launcher.release(handle)

    def _environment(self, start: Start, number: int) -> Mapping[str, str]:
        extra = {"KFP_RETRY_INDEX": str(number - 1)} if start.retries else {}
        return {**self._tools.hooks.environment(start.demand), **start.container.env, **extra}


def usable(task: Task, tools: Tools) -> bool:
    """Whether the outputs of a succeeded task can still be used."""
    return exchange.outputs_exist(task.outputs) and tools.hooks.still_valid(dict(task.outputs.parameters))


def _local_paths(inputs: Values) -> tuple[str, ...]:
    """Files and folders of this machine that inputs name: in texts, in lists and structs, as artifacts."""
    named = {a.uri for listed in inputs.artifacts.values() for a in listed} | set(texts(inputs.parameters))
    return tuple(sorted(path for path in named if path.startswith("/") and os.path.exists(path)))
