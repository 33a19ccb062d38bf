"""The engine: makes runs, executes them, stops them, and repeats what has to be repeated.

Making and executing are separate: `create_run`, `retry` and `rerun` only prepare, so that a plan can be looked at;
`execute` does the work in the calling thread.
"""

import contextlib
import logging
import sqlite3
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pipeline.engine import graph, irtext, process, rerun, spending, trouble
from pipeline.engine.budget import Budget
from pipeline.engine.clock import Clock, SystemClock
from pipeline.engine.database import Listener
from pipeline.engine.execution import Execution
from pipeline.engine.launch import Launcher
from pipeline.engine.ledger import Ledger
from pipeline.engine.lock import is_served
from pipeline.engine.records import ABOUT_NOTHING, About, Run, Task
from pipeline.engine.rerun import Plan
from pipeline.engine.starting import usable
from pipeline.engine.states import RUN_ENDED, RunState
from pipeline.engine.store import Store
from pipeline.engine.tools import DEFAULT_HOOKS, DEFAULT_PACE, Hooks, Pace, Tools
from pipeline.errors import Conflict, StateError

LOG = logging.getLogger("seamline.engine")


class Engine:
    """Runs compiled pipelines in one state folder.

    Args:
        store: the state folder.
        launcher: where commands run.
        budget: how much runs at once; by default all of the machine.
        hooks: what only the caller knows: code identity, whether references still exist, extra environment.
        clock: the time.
        on_event: hears of every journalled event after its commit, and of progress and metrics, in `execute`'s thread.
        pace: seconds between looks, and of grace when stopping.
    """

    def __init__(
        self,
        store: Store,
        launcher: Launcher,
        *,
        budget: Budget | None = None,
        hooks: Hooks = DEFAULT_HOOKS,
        clock: Clock | None = None,
        on_event: Listener | None = None,
        pace: Pace = DEFAULT_PACE,
    ) -> None:
        self._store = store
        self._clock = clock or SystemClock()
        self._tools = Tools(
            store=store,
            launcher=launcher,
            ledger=Ledger(budget or Budget.of_machine()),
            clock=self._clock,
            hooks=hooks,
            pace=pace,
        )
        self._execution: Execution | None = None
        self._stop_early = False
        store.listen(on_event)

    @property
    def pace(self) -> Pace:
        """Seconds between looks, and of grace when stopping."""
        return self._tools.pace

    def now(self) -> float:
        """The time."""
        return self._clock.now()

    def monotonic(self) -> float:
        """Seconds since some moment, for how long something takes."""
        return self._clock.monotonic()

    def create_run(
        self,
        ir_text: str,
        parameters: Mapping[str, Any],
        name: str = "",
        labels: Mapping[str, Any] | None = None,
        cache: bool = True,
        about: About = ABOUT_NOTHING,
        run_id: str = "",
    ) -> str:
        """Makes a run of a compiled pipeline; `execute` starts it.

        Args:
            ir_text: IR YAML or JSON.
            parameters: the pipeline's; defaults fill the rest.
            name: for people, by default the pipeline's.
            labels: anything JSON, kept with the run.
            cache: False runs everything.
            about: where it comes from and belongs.
            run_id: a UUID, for a caller whose parameters name it; by default a new one.

        Returns:
            The run's id; that of an earlier run if `about.run_key` has one.

        Raises:
            PipelineError: the text is no pipeline, the parameters do not fit it, or it is not admitted (see `Hooks`).
        """
        pipeline = irtext.read(ir_text)
        filled = irtext.fill_parameters(pipeline, parameters)
        text = self._tools.hooks.pinned(ir_text)
        self._tools.hooks.admit(text, filled)
        run = Run(
            run_id=run_id or str(uuid.uuid4()),
            name=name or pipeline.name,
            pipeline=pipeline.name,
            state=RunState.PENDING,
            created=self._clock.now(),
            parameters=filled,
            labels=labels or {},
            cache=cache,
            **asdict(about),
        )
        return self._store.add_run(run, text)

    def execute(self, run_id: str) -> RunState:
        """Executes a run that is PENDING and returns its final state.

        Raises:
            StateError: another process executes runs of this state folder.
            Conflict: the run has ended or was interrupted; `retry` prepares it.
        """
        with self._store.exclusive():
            run = self._store.run(run_id)
            if run.state is not RunState.PENDING:
                raise Conflict(
                    f"run {run.run_id[:8]} is {run.state}; only a PENDING run is executed, retry prepares it"
                )
            return self._drive(run)

    def begin(self, run: Run) -> Execution:
        """Takes up a run that is PENDING, or that was interrupted, with what is left of it; the caller has the lock."""
        state = run.state if run.state is RunState.CANCELING else RunState.RUNNING
        self._store.move_run(run.run_id, state, self._clock.now(), executor=process.own_identity())
        return Execution(self._tools, self._store.run(run.run_id))

    def stop(self) -> None:
        """Stops the run being executed; safe in a signal handler. A second call ends its tasks without grace."""
        self._stop_early = True
        if self._execution:
            self._execution.stop()

    def terminate(self, run_id: str) -> RunState:
        """Stops a run, from any process.

        Returns:
            The state it is in afterwards: RUNNING or CANCELING when the process that executes it will stop it.

        Raises:
            Conflict: it has ended already.
        """
        run = self._store.run(run_id)
        if run.state in RUN_ENDED:
            raise Conflict(f"run {run.run_id[:8]} is {run.state}; there is nothing to stop")
        self._store.request_stop(run.run_id, self._clock.now())
        if self.is_executing(run):
            return run.state
        try:
            with self._store.exclusive():
                return self._drive(self._store.run(run.run_id))  # sees the request first, so it only stops
        except StateError:
            return run.state  # another run holds the folder; the request stays for whoever executes this one

    def retry(self, run_id: str, gpu_hours: float | None = None) -> None:
        """Prepares a run to go on: what succeeded stays, live tasks are adopted, the rest is repeated by `execute`.

        Args:
            run_id: the run.
            gpu_hours: its budget from now on, what is spent included; None leaves it as it is.

        Raises:
            Conflict: it succeeded, it is being executed, or its budget is spent.
        """
        run = self._retryable(run_id)
        if gpu_hours is not None:
            run = spending.change_limit(self._store, run, gpu_hours, self._clock.now())
        if spent := spending.overspent(self._store, run, self._clock.now()):
            raise Conflict(f"run {run.run_id[:8]} may not go on: {spent}; give it more with --gpu-hours N")
        was = "interrupted" if run.state in (RunState.RUNNING, RunState.CANCELING) else str(run.state)
        self._store.reset_for_retry(run, self._clock.now(), f"retry of a run that was {was}")

    def plan_retry(self, run_id: str) -> Plan:
        """What `retry` and `execute` will do.

        Raises:
            Conflict: as `retry`.
        """
        run = self._retryable(run_id)
        return rerun.plan_retry(run.run_id, self._store.tasks(run.run_id), self.expected_seconds)

    def _retryable(self, run_id: str) -> Run:
        run = self._store.run(run_id)
        if run.state is RunState.SUCCEEDED:
            raise Conflict(
                f"run {run.run_id[:8]} succeeded, so nothing is left to retry; `seamline rerun` repeats one task"
            )
        if self.is_executing(run):
            raise Conflict(
                f"run {run.run_id[:8]} is being executed by process {process.pid_of(run.executor)}; terminate it first"
            )
        return run

    def plan_rerun(self, run_id: str, task: str, overrides: Mapping[str, Any] | None = None) -> Plan:
        """Plans a new run that repeats one task of a run.

        Args:
            run_id: the source run: id, unique beginning or `latest`.
            task: key, label or unique end of a label.
            overrides: inputs of that task to change; values as text are read by the input's type.

        Raises:
            NotFound: no such run or task, or several.
            PipelineError: an unknown input or a wrong type.
        """
        run = self._store.run(run_id)
        chosen = self._store.task(run.run_id, task)
        pipeline = irtext.read(self._store.pipeline_text(run.run_id))
        _, component = graph.component_of_key(pipeline, chosen.key)
        typed = rerun.typed_overrides(component, chosen.inputs.parameters, overrides or {})
        tasks = self._store.tasks(run.run_id)
        return rerun.plan_rerun(pipeline, tasks, chosen, typed, self._usable, self.expected_seconds)

    def rerun(self, run_id: str, task: str, overrides: Mapping[str, Any] | None = None) -> str:
        """Makes the new run of a rerun plan; `execute` starts it.

        Returns:
            The new run's id.

        Raises:
            NotFound, PipelineError: as `plan_rerun`.
        """
        plan = self.plan_rerun(run_id, task, overrides)
        source = self._store.run(plan.run_id)
        run = rerun.new_run(source, plan, str(uuid.uuid4()), self._clock.now())
        return self._store.add_run(run, self._tools.hooks.pinned(self._store.pipeline_text(source.run_id)))

    def refuse_if_busy(self) -> None:
        """Looks whether `execute` could begin, or a server would do it, before a run is made for it.

        Raises:
            StateError: another process executes runs of this state folder.
        """
        if self.is_served():
            return
        with self._store.exclusive():
            return

    def is_served(self) -> bool:
        """Whether a server executes what is made in this state folder, so that nobody else has to."""
        return is_served(self._store.directory)

    def is_executing(self, run: Run) -> bool:
        """Whether a living process executes the run; a RUNNING run without one was interrupted."""
        return run.state in (RunState.RUNNING, RunState.CANCELING) and process.is_alive(run.executor)

    def expected_seconds(self, task: Task) -> float | None:
        """How long a task takes: median of its last executions, of the same label if there are any; None at first."""
        return self._store.expected_seconds(task.name, task.label)

    def _usable(self, task: Task) -> bool:
        return usable(task, self._tools)

    def _drive(self, run: Run) -> RunState:
        stops = 0
        try:
            while True:
                try:
                    self._execution = self.begin(self._store.run(run.run_id))
                    for _ in range(stops or self._stop_early):  # also: asked to stop before it began
                        self._execution.stop()
                    return self._execution.run()
                except sqlite3.OperationalError as error:
                    if not trouble.is_busy(error):
                        raise
                    LOG.warning("somebody else writes the state for long: %s; trying again", error)
                    stops = self._execution.stops if self._execution else 0
                    self._clock.sleep(self.pace.poll_s)
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # what is broken is told by the error that got us here
                self._store.forget_executor(run.run_id)  # this process lives on, and the run can be retried
            raise
        finally:
            self._execution = None
            self._stop_early = False
