"""A KFP v2beta1 endpoint (a cluster's, or our own server): submit, look, wait, terminate, retry, repeat one task.

Only what a stock KFP tells is used: its task list has no tree, no inputs and no outputs. Repeating one task therefore
reads what tasks made from their logs (`::made` lines, `components.progress`), which also survives their pods.
"""

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx
import yaml

from components.progress import digest_of_inputs
from pipeline import derive
from pipeline.engine import graph, irtext, resolve
from pipeline.engine.expand import expand
from pipeline.engine.ir import Pipeline
from pipeline.engine.rerun import typed_overrides
from pipeline.engine.states import TaskState
from pipeline.engine.tree import Facts, Node, Record
from pipeline.engine.values import Values
from pipeline.errors import Conflict, NotFound, PipelineError

PREFIX = "/apis/v2beta1"
ENDED = frozenset({"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"})
TIMEOUT_S = 30.0
POLL_S = 2.0
TRIES = 4
_MADE = "::made "
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout)  # the request has not arrived, so repeating it is safe


@dataclass(frozen=True)
class RemoteRun:
    """A run as the endpoint tells it; `state` is KFP's word, `problem` its error message."""

    run_id: str
    name: str
    state: str
    created_at: str
    finished_at: str = ""
    problem: str = ""


class Endpoint:
    """One endpoint.

    Args:
        host: its address, for instance `http://127.0.0.1:8080`.
        token: sent as `Authorization: Bearer` when not empty.
        client: an HTTP client to use instead of an own one.
    """

    def __init__(self, host: str, token: str = "", client: httpx.Client | None = None) -> None:
        if not re.match(r"https?://", host):
            raise PipelineError(f"--host {host} is no address; expected http://HOST:PORT or https://HOST")
        self.host = host.rstrip("/")
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._client = client or httpx.Client(base_url=self.host, timeout=TIMEOUT_S)
        self._client.headers.update(headers)

    def runs(self, limit: int = 20) -> list[RemoteRun]:
        """The newest runs."""
        told = self._get("/runs", page_size=limit, sort_by="created_at desc")
        return [_run(body) for body in told.get("runs", [])]

    def run(self, run_id: str) -> RemoteRun:
        """One run."""
        return _run(self._get(f"/runs/{run_id}"))

    def find_run(self, name: str) -> str | None:
        """Id of the newest run with exactly this name; how a launch is found again that may have arrived."""
        found = self._get("/runs", page_size=1, sort_by="created_at desc", filter=_named(name)).get("runs", [])
        return str(found[0]["run_id"]) if found else None

    def submit(self, text: str, parameters: Mapping[str, Any], name: str, experiment: str = "") -> str:
        """Starts a run of a compiled pipeline and returns its id.

        Args:
            text: IR YAML, one document or two.
            parameters: of the pipeline.
            name: of the run.
            experiment: its name; made when missing; empty for the endpoint's default.
        """
        body: dict[str, Any] = {
            "display_name": name,
            "pipeline_spec": irtext.api_spec(text),
            "runtime_config": {"parameters": dict(parameters)},
        }
        if experiment:
            body["experiment_id"] = self._experiment(experiment)
        return str(self._post("/runs", body)["run_id"])

    def terminate(self, run_id: str) -> None:
        """Stops a run."""
        self._post(f"/runs/{run_id}:terminate")

    def retry(self, run_id: str) -> None:
        """Goes on with a failed run: what succeeded is kept."""
        self._post(f"/runs/{run_id}:retry")

    def wait(self, run_id: str, poll_s: float = POLL_S) -> Iterator[RemoteRun]:
        """The run whenever its state has changed, the last time when it has ended."""
        state = ""
        while state not in ENDED:
            run = self.run(run_id)
            if run.state != state:
                state = run.state
                yield run
            else:
                time.sleep(poll_s)

    def rows(self, run_id: str) -> list[tuple[str, str]]:
        """Name and state of what the endpoint lists as tasks: on a stock KFP the nodes of a workflow."""
        rows = self._get(f"/runs/{run_id}").get("run_details", {}).get("task_details", [])
        return [(str(row["display_name"]), str(row.get("state", ""))) for row in rows if row.get("display_name")]

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
        body = self._get(f"/runs/{run_id}")
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
            spec = self._get(version).get("pipeline_spec")
        if not spec:
            raise PipelineError(f"the endpoint does not tell the pipeline of run {body.get('run_id')}")
        documents = [spec["pipeline_spec"], spec.get("platform_spec")] if "pipeline_spec" in spec else [spec]
        return yaml.safe_dump_all([d for d in documents if d], sort_keys=True)

    def _made(self, body: Mapping[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
        """(component, digest of inputs) -> outputs, from the logs of all tasks that the endpoint still has."""
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for node in _log_nodes(body):
            answer = self._send("GET", f"/apis/v1alpha1/runs/{body['run_id']}/nodes/{node}/log")
            if answer.status_code == httpx.codes.OK:
                found |= made_in(answer.text)
        return found

    def _experiment(self, name: str) -> str:
        known = self._get("/experiments", filter=_named(name)).get("experiments", [])
        made = known[0] if known else self._post("/experiments", {"display_name": name})
        return str(made["experiment_id"])

    def _get(self, path: str, **query: Any) -> dict[str, Any]:
        return self._answer(self._send("GET", PREFIX + path, params=query), path)

    def _post(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return self._answer(self._send("POST", PREFIX + path, json=body or {}), path)

    def _send(self, method: str, path: str, **what: Any) -> httpx.Response:
        """Sends; repeats what cannot have had an effect: a look, or what has not arrived."""
        for attempt in range(TRIES):
            try:
                return self._client.request(method, path, **what)
            except httpx.HTTPError as error:
                last = attempt == TRIES - 1
                if last or not (method == "GET" or isinstance(error, _UNSENT)):
                    raise PipelineError(f"{self.host} does not answer ({error or type(error).__name__})") from error
                time.sleep(0.2 * 2**attempt)
        raise AssertionError("unreachable")

    def _answer(self, answer: httpx.Response, path: str) -> dict[str, Any]:
        if answer.is_success:
            return _object(answer)
        message = _object(answer).get("message") or answer.reason_phrase or answer.status_code
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise NotFound(f"{self.host} has no {path.strip('/')}: {message}")
        kind = Conflict if answer.status_code == httpx.codes.CONFLICT else PipelineError
        raise kind(f"{self.host} refused {path.strip('/')}: {message}")


def made_in(log: str) -> dict[tuple[str, str], dict[str, Any]]:
    """What the `::made` lines of a log say: (component, digest of inputs) -> outputs."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for line in log.splitlines():
        at = line.find(_MADE)  # a cluster may put a time before each line
        if at < 0:
            continue
        try:
            body = json.loads(line[at + len(_MADE) :])
            found[(body["component"], body["inputs"])] = dict(body["outputs"])
        except (ValueError, KeyError, TypeError):
            continue  # a print of the step's own
    return found


def recorded(
    pipeline: Pipeline, parameters: Mapping[str, Any], made: Mapping[tuple[str, str], Mapping[str, Any]]
) -> dict[str, Record]:
    """Finds, task by task, what is known to have come out of exactly the inputs that each gets in this run."""
    records: dict[str, Record] = {}
    while True:
        tree = expand(pipeline, Facts(parameters, records))
        fresh = {n.key: made[_identity(n)] for n in tree.leaves if n.ready and _identity(n) in made}
        if not fresh:
            return records
        records |= {key: Record(TaskState.SUCCEEDED, Values(outputs)) for key, outputs in fresh.items()}


def _identity(node: Node) -> tuple[str, str]:
    inputs = resolve.settled(node.inputs).parameters
    own = {k: v for k, v in inputs.items() if not k.startswith("pipelinechannel--")}
    return graph.function_of(node.component), digest_of_inputs(own)


def _log_nodes(body: Mapping[str, Any]) -> Sequence[str]:
    """Names under which the endpoint may have logs: a stock KFP names pods only as children of other rows."""
    rows = body.get("run_details", {}).get("task_details", [])
    children = [child.get("pod_name") for row in rows for child in row.get("child_tasks", [])]
    own = [row.get("pod_name") or row.get("task_id") for row in rows]
    return list(dict.fromkeys(name for name in [*children, *own] if name))


def _named(name: str) -> str:
    """KFP's filter for exactly this display name."""
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": "display_name", "stringValue": name}]})


def _run(body: Mapping[str, Any]) -> RemoteRun:
    return RemoteRun(
        run_id=str(body["run_id"]),
        name=str(body.get("display_name", "")),
        state=str(body.get("state", "")),
        created_at=str(body.get("created_at", "")),
        finished_at=str(body.get("finished_at", "")),
        problem=str((body.get("error") or {}).get("message", "")),
    )


def _object(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
