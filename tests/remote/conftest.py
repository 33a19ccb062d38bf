"""A pipeline with loops like ours, of small real commands that say what they made; a machine for it; gates, logins."""

import inspect
import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from kfp import compiler, dsl

from pipeline.engine.launch import ProcessLauncher
from pipeline.engine.runner import Engine
from pipeline.engine.store import Store
from pipeline.engine.tools import Pace
from tests.remote.dex_gates import AuthService, Dex, Gate, OAuth2Proxy
from tests.remote.gates import TOKEN, Asked, Google, Kfp, Site, Told

# Joins its inputs to one text, counts that it ran, and says what it made as our steps do.
WORK = """
import json, sys
from pathlib import Path
from components.progress import made
name, message = sys.argv[1], json.loads(sys.argv[2])
given = message.get("inputs", {}).get("parameterValues", {})
said = name + "(" + ",".join(str(v) for k, v in sorted(given.items()) if k != "counter" and "channel" not in k) + ")"
if "path" in given and not Path(given["path"]).exists():
    sys.exit(1)
with open(given["counter"], "a") as counter:
    counter.write(said + "\\n")
target = Path(message["outputs"]["outputFile"])
target.write_text(json.dumps({"parameterValues": {"out": said}}))
made(name, {k: v for k, v in given.items() if "channel" not in k}, {"out": said})
"""


def joining_component(name: str, **inputs: Any) -> Any:
    """A component that takes these inputs and `counter`, and whose output is a text of its name and inputs."""

    def spec(*_: Any) -> dsl.ContainerSpec:
        return dsl.ContainerSpec(image="img:1", command=[sys.executable, "-c", WORK, name], args=["{{$}}"])

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    spec.__name__ = name
    annotations = {**inputs, "counter": str, "out": dsl.OutputPath(str)}
    spec.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(n, kind, annotation=a) for n, a in annotations.items()]
    )
    return dsl.container_component(spec)


@dsl.pipeline(name="rounds")
def rounds(counter: str, attributes: list = ["sleeve", "skirt"], models: list = ["a", "b"], epochs: int = 3):  # noqa: B006
    """ingest -> for each attribute: cut, for each model: train; merge -> report."""
    ingest, cut = joining_component("ingest"), joining_component("cut", manifest=str, attribute=str)
    train = joining_component("train", shards=str, model=str, epochs=int)
    merge, report = joining_component("merge", trained=list), joining_component("report", merged=list)
    manifest = ingest(counter=counter).outputs["out"]
    with dsl.ParallelFor(attributes, name="attribute") as attribute:
        shards = cut(manifest=manifest, attribute=attribute, counter=counter).outputs["out"]
        with dsl.ParallelFor(models, name="model") as model:
            trained = train(shards=shards, model=model, epochs=epochs, counter=counter)
        merged = merge(trained=dsl.Collected(trained.outputs["out"]), counter=counter)
    report(merged=dsl.Collected(merged.outputs["out"]), counter=counter)


@pytest.fixture(scope="session")
def rounds_ir(tmp_path_factory: pytest.TempPathFactory) -> str:
    target = tmp_path_factory.mktemp("ir") / "rounds.yaml"
    compiler.Compiler().compile(rounds, str(target))
    return target.read_text()


@pytest.fixture
def joining() -> Callable[..., Any]:
    return joining_component


class Machine:
    """An engine in a folder of its own, and the count of what ran there."""

    def __init__(self, folder: Path) -> None:
        self.counter = folder / "counter"
        self.store = Store.open(folder / "state")
        self.engine = Engine(self.store, ProcessLauncher(), pace=Pace(0.02, 1.0))

    def run(self, text: str, **parameters: Any) -> str:
        run_id = self.engine.create_run(text, parameters)
        assert self.engine.execute(run_id) == "SUCCEEDED", [(t.label, t.reason) for t in self.store.tasks(run_id)]
        return run_id

    def ran(self) -> list[str]:
        """What ran since the last look, in order of their names."""
        found = sorted(self.counter.read_text().splitlines()) if self.counter.exists() else []
        self.counter.unlink(missing_ok=True)
        return found

    def logs(self, run_id: str) -> str:
        leaves = [t for t in self.store.tasks(run_id) if t.is_leaf]
        return "\n".join(self.store.log_path(run_id, t.key).read_text() for t in leaves)

    def output(self, run_id: str, label: str) -> str:
        return str(self.store.task(run_id, label).outputs.parameters["out"])


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No proxy, no certificates, no Google account and no login of whoever runs the tests."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture
def site() -> Iterator[Callable[[Callable[[Asked], Told]], Site]]:
    open_ones: list[Site] = []

    def opened(answer: Callable[[Asked], Told]) -> Site:
        open_ones.append(Site(answer))
        return open_ones[-1]

    yield opened
    for one in open_ones:
        one.close()


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    return file


@pytest.fixture
def service_account(site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Google:
    """A service account's key, named as Google's libraries look for it, whose tokens come from a Google of ours."""
    google = Google()
    address = site(google.answer).address
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    account = {"type": "service_account", "client_email": "me@p.iam.gserviceaccount.com", "private_key": pem}
    account |= {"token_uri": f"{address}/token", "private_key_id": "1", "project_id": "p", "client_id": "2"}
    file = tmp_path / "key.json"
    file.write_text(json.dumps(account))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    return google


GATES = {
    "oidc-authservice": lambda kfp, dex: AuthService(kfp, dex()),
    "oauth2-proxy": lambda kfp, dex: OAuth2Proxy(kfp, dex()),
    "oauth2-proxy with pages for all, and approval": lambda kfp, dex: OAuth2Proxy(
        kfp, dex(asks=True), api_routes=False
    ),
}


@pytest.fixture(params=GATES)
def dex_gate(request: pytest.FixtureRequest, site: Any, tmp_path: Path) -> tuple[Gate, str, Path]:
    """A gate before Dex, its address, and a file with the user and the password."""

    def dex(asks: bool = False) -> Dex:
        return Dex("user@example.com", "a-password", asks)

    gate = GATES[request.param](Kfp("RUNNING", "RUNNING", "RUNNING", "SUCCEEDED"), dex)
    file = tmp_path / "dex"
    file.write_text("user@example.com\na-password\n")
    return gate, site(gate.answer).address, file


@pytest.fixture
def on_socket() -> Iterator[Callable[[Any], str]]:
    """Serves an ASGI application on localhost, and gives its address."""
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def served(app: Any) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield served
    for server, thread in running:
        server.should_exit = True
        thread.join(10)


@dsl.pipeline(name="mended")
def mended(counter: str, path: str):
    """ingest -> a check that fails while there is no file `path` -> report."""
    manifest = joining_component("ingest")(counter=counter).outputs["out"]
    checked = joining_component("check", manifest=str, path=str)(manifest=manifest, path=path, counter=counter)
    joining_component("report", merged=str)(merged=checked.outputs["out"], counter=counter)


@pytest.fixture(scope="session")
def mended_ir(tmp_path_factory: pytest.TempPathFactory) -> str:
    target = tmp_path_factory.mktemp("ir") / "mended.yaml"
    compiler.Compiler().compile(mended, str(target))
    return target.read_text()
