"""What a stock KFP 2.17 tells of a run, and no more: rows named like Argo's nodes, without tree, inputs or outputs.

An engine of ours does the work behind it, so that a derived pipeline really runs.
"""

import json
import threading
from collections.abc import Mapping
from typing import Any

import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from pipeline.engine.launch import ProcessLauncher
from pipeline.engine.runner import Engine
from pipeline.engine.states import RunState
from pipeline.engine.store import Store
from pipeline.engine.tools import Pace

DEFAULT = "Default"
MULTI_USER = "in multi-user mode"


class StockKfp:
    """A fake endpoint. `lost_logs` are pod names whose logs are gone; `answers` are statuses to give first.

    Args:
        state_dir: of the engine behind it.
        multi_user: as `MULTI_USER=true` of KFP's backend, with its words: a run has no default experiment (its
            `GetValidExperimentNamespacePair`), lists and new experiments name a namespace (`canAccess...`). A KFP for
            one user ignores namespaces (`ReplaceNamespace`).
    """

    def __init__(self, state_dir: Any, multi_user: bool = False) -> None:
        self.state_dir = state_dir
        self.multi_user = multi_user
        self.lost_logs: set[str] = set()
        self.answers: list[int] = []
        self.kept: dict[str, dict[str, Any]] = {"pipelines": {}, "versions": {}, "experiments": {}}
        self.texts: dict[str, str] = {}
        self.app = Starlette(
            routes=[
                Route("/apis/v2beta1/healthz", lambda r: JSONResponse({"multi_user": self.multi_user})),
                Route("/apis/v2beta1/runs", self.create, methods=["POST"]),
                Route("/apis/v2beta1/runs", self.list),
                Route("/apis/v2beta1/experiments", self.look("experiments")),
                Route("/apis/v2beta1/experiments", self.make("experiments", "experiment_id"), methods=["POST"]),
                Route("/apis/v2beta1/pipelines", self.look("pipelines")),
                Route("/apis/v2beta1/pipelines", self.make("pipelines", "pipeline_id"), methods=["POST"]),
                Route("/apis/v2beta1/pipelines/upload_version", self.upload, methods=["POST"]),
                Route("/apis/v2beta1/pipelines/{pipeline_id}/versions", self.look("versions")),
                Route("/apis/v2beta1/pipelines/{pipeline_id}/versions/{version_id}", self.version),
                Route("/apis/v2beta1/runs/{run_id}:terminate", lambda r: JSONResponse({}), methods=["POST"]),
                Route("/apis/v2beta1/runs/{run_id}:retry", self.retry, methods=["POST"]),
                Route("/apis/v2beta1/runs/{run_id}", self.get),
                Route("/apis/v1alpha1/runs/{run_id}/nodes/{node_id}/log", self.log),
            ]
        )

    def engine(self) -> tuple[Store, Engine]:
        store = Store.open(self.state_dir)
        return store, Engine(store, ProcessLauncher(), pace=Pace(0.02, 1.0))

    def _execute(self, run_id: str) -> None:
        worker = threading.Thread(target=lambda: self.engine()[1].execute(run_id))
        worker.start()
        worker.join()

    async def create(self, request: Request) -> Response:
        if self.answers:
            return JSONResponse({"message": "not now"}, self.answers.pop(0))
        body = await request.json()
        experiment = body.get("experiment_id", "")
        if self.multi_user and not experiment:
            return invalid(f"Experiment id can not be empty {MULTI_USER}")
        if experiment and experiment not in self.kept["experiments"]:
            return JSONResponse({"code": 5, "message": f"Experiment {experiment} not found", "details": []}, 404)
        text = self._text_of(body)
        store, engine = self.engine()
        parameters = body["runtime_config"]["parameters"]
        experiment = experiment or self._default()
        labels = {"reference": body.get("pipeline_version_reference", {}), "experiment": experiment}
        run_id = engine.create_run(text, parameters, body["display_name"], labels)
        self._execute(run_id)
        return JSONResponse(self._body(store, run_id))

    def _default(self) -> str:
        """The experiment of a run that names none, which a KFP for one user makes by itself."""
        known = [key for key, one in self.kept["experiments"].items() if one["display_name"] == DEFAULT]
        return known[0] if known else self._keep("experiments", "experiment_id", {"display_name": DEFAULT})

    def _keep(self, kind: str, id_name: str, body: dict[str, Any]) -> str:
        number = f"{kind}-{len(self.kept[kind]) + 1}"
        self.kept[kind][number] = {**body, id_name: number}
        return number

    def _namespace(self, given: Mapping[str, str]) -> str:
        return given.get("namespace", "") if self.multi_user else ""

    def _text_of(self, body: dict[str, Any]) -> str:
        if "pipeline_version_reference" in body:
            return self.texts[body["pipeline_version_reference"]["pipeline_version_id"]]
        spec = body["pipeline_spec"]
        documents = [spec["pipeline_spec"], spec["platform_spec"]] if "pipeline_spec" in spec else [spec]
        return yaml.safe_dump_all(documents)

    def look(self, kind: str) -> Any:
        """A list that knows the one filter that clients send: a display name."""
        key = "pipeline_versions" if kind == "versions" else kind

        def looked(request: Request) -> Response:
            namespace = self._namespace(request.query_params)
            if kind == "experiments" and self.multi_user and not namespace:
                return invalid(f"An experiment cannot have an empty namespace {MULTI_USER}")
            (predicate,) = json.loads(request.query_params["filter"])["predicates"]
            of = request.path_params.get("pipeline_id")
            found = [one for one in self.kept[kind].values() if one["display_name"] == predicate["stringValue"]]
            found = [one for one in found if of is None or one["pipeline_id"] == of]
            found = [one for one in found if kind == "versions" or self._namespace(one) == namespace]
            return JSONResponse({key: found} if found else {})

        return looked

    def make(self, kind: str, id_name: str) -> Any:
        async def made(request: Request) -> Response:
            body = await request.json()
            if kind == "experiments" and self.multi_user and not body.get("namespace"):
                return invalid(f"An experiment cannot have an empty namespace {MULTI_USER}")
            own = (body["display_name"], self._namespace(body))
            if own in [(one["display_name"], self._namespace(one)) for one in self.kept[kind].values()]:
                return JSONResponse({"code": 6, "message": "already exists", "details": []}, 409)
            return JSONResponse(self.kept[kind][self._keep(kind, id_name, body)])

        return made

    async def upload(self, request: Request) -> Response:
        """A version; a stock KFP takes no two of one name for a pipeline."""
        name, pipeline_id = request.query_params["name"], request.query_params["pipelineid"]
        if any((v["display_name"], v["pipeline_id"]) == (name, pipeline_id) for v in self.kept["versions"].values()):
            return JSONResponse({"code": 6, "message": "already exists", "details": []}, 409)
        version_id = f"version-{len(self.kept['versions']) + 1}"
        async with request.form() as form:
            self.texts[version_id] = (await form["uploadfile"].read()).decode()
        body = {"pipeline_id": pipeline_id, "pipeline_version_id": version_id, "display_name": name, "name": name}
        self.kept["versions"][version_id] = body
        return JSONResponse(body)

    def version(self, request: Request) -> Response:
        version_id = request.path_params["version_id"]
        documents = [d for d in yaml.safe_load_all(self.texts[version_id]) if d]
        spec = {"pipeline_spec": documents[0], "platform_spec": documents[1]} if documents[1:] else documents[0]
        return JSONResponse({**self.kept["versions"][version_id], "pipeline_spec": spec})

    def list(self, request: Request) -> Response:
        store, _ = self.engine()
        namespace = self._namespace(request.query_params)
        if self.multi_user and not namespace:
            return invalid(f"A run cannot have an empty namespace {MULTI_USER}")
        wanted = json.loads(request.query_params.get("filter", '{"predicates": []}'))["predicates"]
        names = [p["stringValue"] for p in wanted if p["key"] == "display_name"]
        found = [r for r in store.runs() if not names or r.name in names]
        found = [r for r in found if self._namespace(self.kept["experiments"][r.labels["experiment"]]) == namespace]
        return JSONResponse({"runs": [self._body(store, r.run_id) for r in found]} if found else {})

    def get(self, request: Request) -> Response:
        store, _ = self.engine()
        run_id = request.path_params["run_id"]
        if run_id not in {r.run_id for r in store.runs()}:
            return JSONResponse({"code": 5, "message": f"Run {run_id} not found", "details": []}, 404)
        return JSONResponse(self._body(store, run_id))

    def retry(self, request: Request) -> Response:
        store, engine = self.engine()
        run = store.run(request.path_params["run_id"])
        if run.state is not RunState.FAILED:
            return JSONResponse({"code": 9, "message": "run is not FAILED"}, 400)
        engine.retry(run.run_id)
        self._execute(run.run_id)
        return JSONResponse({})

    def log(self, request: Request) -> Response:
        store, _ = self.engine()
        pod = request.path_params["node_id"]
        task = next((t for t in store.tasks(request.path_params["run_id"]) if _pod(t) == pod), None)
        if task is None or pod in self.lost_logs:
            return PlainTextResponse("no such pod", 404)
        path = store.log_path(task.run_id, task.key)
        lines = [f"2026-01-01T00:00:00Z {line}" for line in path.read_text().splitlines()]
        return PlainTextResponse("\n".join(lines))

    def _body(self, store: Store, run_id: str) -> dict[str, Any]:
        run = store.run(run_id)
        rows = [
            {
                "task_id": f"uuid-{n}",
                "display_name": t.name,
                "state": str(t.state),
                "child_tasks": [{"pod_name": _pod(t)}],
            }
            for n, t in enumerate(store.tasks(run_id))
            if t.is_leaf
        ]
        documents = [d for d in yaml.safe_load_all(store.pipeline_text(run_id)) if d]
        reference = run.labels.get("reference")
        what = {"pipeline_version_reference": reference} if reference else {"pipeline_spec": documents[0]}
        return {
            "run_id": run.run_id,
            "display_name": run.name,
            "experiment_id": run.labels["experiment"],
            "state": str(run.state),
            "created_at": "2026-01-01T00:00:00Z",
            **what,
            "runtime_config": {"parameters": dict(run.parameters)},
            "run_details": {"task_details": rows},
        }


class Accepting(StockKfp):
    """Takes runs, and executes none."""

    def _execute(self, run_id: str) -> None:
        """Leaves it to nobody."""


def invalid(message: str) -> Response:
    """How KFP's backend refuses what cannot be used."""
    return JSONResponse({"code": 3, "message": f"Invalid input error: {message}", "details": []}, 400)


def _pod(task: Any) -> str:
    return "pod-" + "".join(c if c.isalnum() else "-" for c in task.key)
