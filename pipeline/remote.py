"""A KFP v2beta1 endpoint (a cluster's, or our own server): submit, look, wait, terminate, retry, repeat one task.

Only what a stock KFP tells is used: its task list has no tree, no inputs and no outputs. Repeating one task therefore
reads what tasks made from their logs, which also survives their pods.
"""

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import httpx
import yaml

from pipeline import derive, remote_versions
from pipeline.engine import irtext
from pipeline.engine.expand import expand
from pipeline.engine.ir import Pipeline
from pipeline.engine.rerun import typed_overrides
from pipeline.engine.tree import Facts
from pipeline.errors import PipelineError
from pipeline.remote_auth import Login
from pipeline.remote_connection import Connection, Unreachable, found_or_made, id_of, named
from pipeline.remote_logs import Made, made_in, nodes_of, recorded

ENDED = frozenset({"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"})
POLL_S = 2.0
LONGEST_POLL_S = 60.0
DEFAULT_EXPERIMENT = "Default"  # KFP's own name; for several users it has none but in a namespace
STATE = "/seamline/v1/state"
MISSES = 30
"""Looks in a row without an answer, up to a minute apart, after which a wait gives up."""
_OF_THE_WORKFLOW = ("driver", "executor", "root", "iteration", "for-loop", "condition")


@dataclass(frozen=True)
class RemoteRun:
    """A run as the endpoint tells it; `state` is KFP's word, `problem` its error message."""

    run_id: str
    name: str
    state: str
    created_at: str
    finished_at: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Standing:
    """How a run stands; `tasks` counts its tasks by (name, state), without the rows of the workflow itself."""

    run: RemoteRun
    tasks: Mapping[tuple[str, str], int] = field(default_factory=dict)


class Endpoint:
    """One endpoint.

    Args:
        host: its address, for instance `http://127.0.0.1:8080`.
        login: who we are there, None for nobody.
        client: an HTTP client to use instead of an own one.
        namespace: the Kubernetes namespace of a Kubeflow for several users; empty for the login's own.
    """

    def __init__(
        self, host: str, login: Login | None = None, client: httpx.Client | None = None, namespace: str = ""
    ) -> None:
        self._connection = Connection(host, login, client)
        self.host = self._connection.host
        self._namespace = namespace or (login.namespace if login else "")

    def runs(self, limit: int = 20) -> list[RemoteRun]:
        """The newest runs."""
        told = self._connection.get("/runs", page_size=limit, sort_by="created_at desc", **self._own())
        return [_run(body) for body in told.get("runs", [])]

    def run(self, run_id: str) -> RemoteRun:
        """One run."""
        return _run(self._connection.get(f"/runs/{run_id}"))

    def find_run(self, name: str) -> str | None:
        """Id of the newest run with exactly this name; how a launch is found again that may have arrived."""
        wanted = {"page_size": 1, "sort_by": "created_at desc", "filter": named(name)}
        found = self._connection.get("/runs", **wanted, **self._own()).get("runs", [])
        return id_of(found[0], "run_id") if found else None

    def submit(self, text: str, parameters: Mapping[str, Any], name: str, experiment: str = "") -> str:
        """Starts a run of a compiled pipeline, which goes with it, and returns its id.

        Args:
            text: IR YAML, one document or two.
            parameters: of the pipeline.
            name: of the run.
            experiment: its name; made when missing; empty for the endpoint's default.
        """
        return self._start({"pipeline_spec": irtext.api_spec(text)}, parameters, name, self._experiment(experiment))

    def submit_version(self, text: str, parameters: Mapping[str, Any], name: str, experiment: str = "") -> str:
        """As `submit`, with the pipeline as a version there: the same recipe and code find theirs again."""
        version = remote_versions.find_or_upload(self._connection, text, self._namespace)
        what = {"pipeline_version_reference": asdict(version)}
        return self._start(what, parameters, name, self._experiment(experiment))

    def rerun(self, run_id: str, task: str, derived: derive.Derived) -> str:
        """Starts what `plan_rerun` gave, in the experiment of the run that it repeats a task of, and returns its id.

        No version is made of it: what the old run made stands in it, so that nobody would run it again.
        """
        old = self._connection.get(f"/runs/{run_id}")
        experiment_id = str(old.get("experiment_id") or self._experiment(""))
        name = f"{_run(old).name} again: {task}"
        return self._start({"pipeline_spec": irtext.api_spec(derived.text)}, {}, name, experiment_id)

    def _start(self, what: Mapping[str, Any], parameters: Mapping[str, Any], name: str, experiment_id: str) -> str:
        body = {"display_name": name, **what, "runtime_config": {"parameters": dict(parameters)}}
        if experiment_id:
            body["experiment_id"] = experiment_id
        return id_of(self._connection.post("/runs", body), "run_id")

    def terminate(self, run_id: str) -> None:
        """Stops a run."""
        self._connection.post(f"/runs/{run_id}:terminate")

    def retry(self, run_id: str) -> None:
        """Goes on with a failed run: what succeeded is kept."""
        self._connection.post(f"/runs/{run_id}:retry")

    def wait(self, run_id: str, poll_s: float = POLL_S) -> Iterator[Standing]:
        """How the run stands, whenever that has changed; the last one when it has ended.

        An endpoint that does not answer for a while is asked again, ever more seldom.
        """
        last, missed = None, 0
        while last is None or last.run.state not in ENDED:
            try:
                body, missed = self._connection.get(f"/runs/{run_id}"), 0
            except Unreachable:
                missed += 1
                if missed > MISSES:
                    raise
            else:
                now = Standing(_run(body), Counter(_rows(body)))
                if now != last:
                    last = now
                    yield now
                    continue
            time.sleep(min(poll_s * 2**missed, LONGEST_POLL_S))

    def rows(self, run_id: str) -> list[tuple[str, str]]:
        """Name and state of what the endpoint lists as tasks: on a stock KFP the nodes of a workflow."""
        return _all_rows(self._connection.get(f"/runs/{run_id}"))

    def labels(self, run_id: str) -> list[str]:
        """Labels of the tasks that can be repeated, as far as loops can be unrolled by what the logs tell."""
        _, pipeline, facts = self._known(run_id)
        return [node.label for node in expand(pipeline, facts).leaves]

    def plan_rerun(self, run_id: str, task: str, changes: Mapping[str, Any]) -> derive.Derived:
        """Derives the pipeline that repeats one task of a run; see `derive.derive`.

        Args:
            run_id: the run.
            task: label of the task, a unique end of it, or its key.
            changes: inputs of the task to change.
        """
        text, pipeline, facts = self._known(run_id)
        chosen = derive.find(expand(pipeline, facts), task)
        if changes:
            rest = {key: record for key, record in facts.records.items() if key != chosen.key}
            inputs = derive.find(expand(pipeline, Facts(facts.parameters, rest)), chosen.key).inputs.parameters
            typed = typed_overrides(pipeline.components[chosen.component], inputs, changes)
            facts = replace(facts, overrides={chosen.key: typed})
        return derive.derive(text, facts, chosen.key)

    def _known(self, run_id: str) -> tuple[str, Pipeline, Facts]:
        """The IR of a run, as text and read, and what is known about the run."""
        body = self._connection.get(f"/runs/{run_id}")
        text = self._pipeline_text(body)
        pipeline = irtext.read(text)
        parameters = irtext.fill_parameters(pipeline, body.get("runtime_config", {}).get("parameters", {}))
        return text, pipeline, Facts(parameters, recorded(pipeline, parameters, self._made(body)))

    def _pipeline_text(self, body: Mapping[str, Any]) -> str:
        """The IR of a run: in the run itself, or in the version that it was made from."""
        spec = body.get("pipeline_spec")
        if not spec:
            where = body.get("pipeline_version_reference") or {}
            version = f"/pipelines/{where.get('pipeline_id')}/versions/{where.get('pipeline_version_id')}"
            spec = self._connection.get(version).get("pipeline_spec")
        if not spec:
            raise PipelineError(f"the endpoint does not tell the pipeline of run {body.get('run_id')}")
        documents = [spec["pipeline_spec"], spec.get("platform_spec")] if "pipeline_spec" in spec else [spec]
        return yaml.safe_dump_all([d for d in documents if d], sort_keys=True)

    def _made(self, body: Mapping[str, Any]) -> Made:
        """(component, digest of inputs) -> outputs, from the logs of all tasks that the endpoint still has."""
        found: Made = {}
        for node in nodes_of(body):
            answer = self._connection.send("GET", f"/apis/v1alpha1/runs/{body['run_id']}/nodes/{node}/log")
            if answer.status_code == httpx.codes.OK:
                found |= made_in(answer.text)
        return found

    def shares_files(self) -> bool:
        """Whether it is a `seamline serve` that sees this machine's files: its state folder is one here, too.

        The address alone does not tell: a tunnel to a cluster and a container have one of this machine as well.
        """
        told = self._connection.look(STATE)
        try:
            here = os.stat(str(told.get("folder", "")))
        except (OSError, ValueError):  # no such folder, or no path at all
            return False
        return (here.st_dev, here.st_ino) == (told.get("device"), told.get("inode"))

    def _experiment(self, name: str) -> str:
        """Id of an experiment, made when missing; empty for the default, where the endpoint knows it by itself."""
        name = name or (DEFAULT_EXPERIMENT if self._namespace else "")
        if not name:
            return ""

        def find() -> str:
            known = self._connection.get("/experiments", filter=named(name), **self._own()).get("experiments", [])
            return id_of(known[0], "experiment_id") if known else ""

        def make() -> str:
            return id_of(self._connection.post("/experiments", {"display_name": name, **self._own()}), "experiment_id")

        return found_or_made(find, make)

    def _own(self) -> dict[str, str]:
        return {"namespace": self._namespace} if self._namespace else {}


def _run(body: Mapping[str, Any]) -> RemoteRun:
    return RemoteRun(
        run_id=id_of(body, "run_id"),
        name=str(body.get("display_name", "")),
        state=str(body.get("state", "")),
        created_at=str(body.get("created_at", "")),
        finished_at=str(body.get("finished_at", "")),
        problem=str((body.get("error") or {}).get("message", "")),
    )


def _all_rows(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = (body.get("run_details") or {}).get("task_details", [])
    return [(str(row["display_name"]), str(row.get("state", ""))) for row in rows if row.get("display_name")]


def _rows(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The tasks proper: without drivers, loops and the like, which a stock KFP lists in between."""
    return [
        (name, state)
        for name, state in _all_rows(body)
        if state and not name.startswith(_OF_THE_WORKFLOW) and not name.endswith("-driver")
    ]
