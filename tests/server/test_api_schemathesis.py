"""The API tested from its own OpenAPI document: whatever is sent, no 5xx, and every answer is as the document says."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.testclient import TestClient

from pipeline.engine.experiments import DEFAULT_ID
from pipeline.engine.launch import ProcessLauncher
from pipeline.engine.runner import Engine
from pipeline.engine.store import Store
from pipeline.server.api import openapi
from pipeline.server.app import create_app
from pipeline.server.guard import Access
from pipeline.server.services import Services
from pipeline.serving import domain

pytestmark = [pytest.mark.slow, pytest.mark.hypothesis]
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = settings.default.max_examples // 7  # per operation, and there are dozens
HOST = {"host": "127.0.0.1"}
OPERATIONS = [
    (method, path)
    for path, operations in openapi.document()["paths"].items()
    for method in operations
    if not path.endswith("/stream")  # a stream of a run that waits has no end
]


@pytest.fixture(scope="module")
def document(tmp_path_factory, two_steps_ir):
    """The document of a server that has something to show: a finished run, and an uploaded pipeline."""
    state_dir = tmp_path_factory.mktemp("state")
    engine = Engine(Store.open(state_dir), ProcessLauncher())
    engine.execute(engine.create_run(two_steps_ir, {}))
    services = Services(state_dir, lambda store: Engine(store, ProcessLauncher()), domain())
    app = create_app(services, Access())
    return schemathesis.openapi.from_asgi("/apis/v2beta1/openapi.json", app, headers=HOST)


@pytest.fixture(scope="module")
def known(document, two_steps_ir):
    """Ids of what is there, by the names that addresses give them."""
    with TestClient(document.app, base_url="http://127.0.0.1") as client:
        made = client.post(
            "/apis/v2beta1/pipelines/upload?name=known", files={"uploadfile": two_steps_ir.encode()}
        ).json()
        versions = client.get(f"/apis/v2beta1/pipelines/{made['pipeline_id']}/versions").json()["pipeline_versions"]
        run_id = client.get("/apis/v2beta1/runs").json()["runs"][0]["run_id"]
    ids = {"run_id": run_id, "pipeline_id": made["pipeline_id"], "node_id": "say", "name": "known"}
    return ids | {"pipeline_version_id": versions[0]["pipeline_version_id"], "experiment_id": DEFAULT_ID, "key": "say"}


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_an_operation_is_as_the_document_says(document, known, method, path):
    generated = settings(max_examples=EXAMPLES, phases=[Phase.generate], suppress_health_check=list(HealthCheck))

    @generated
    @given(document[path][method].as_strategy(), st.booleans())
    def answers(case, exists):
        if exists and method != "delete":
            case.path_parameters.update({name: known.get(name, value) for name, value in case.path_parameters.items()})
            case.query.update({name: known.get(name, value) for name, value in case.query.items()})
        answer = case.call_and_validate(checks=CHECKS, headers=HOST)
        assert answer.status_code in (200, 400, 404, 405, 409)

    answers()
