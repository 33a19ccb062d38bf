"""A real server as a process of its own, and small pipelines whose steps are real processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from kfp import compiler, dsl

from tests.conformance import route_table

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@dataclass(frozen=True)
class Server:
    """A running server: its address, and the file in which its recorder writes."""

    url: str
    record: Path

    def driven(self) -> set[str]:
        """The routes that were called so far."""
        return set(self.record.read_text().splitlines())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    script = [sys.executable, str(HERE / "recording_server.py"), str(folder / "record")]
    command = [*script, "serve", "--port", "0", "--state", str(folder / "state")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, cwd=folder) as process:
        try:
            assert process.stderr is not None
            words = process.stderr.readline().split()
            assert words[:1] == ["console"], process.stderr.read()
            yield Server(words[1], folder / "record")
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without the developer's own KFP context, which could inject a name space or a cookie."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    for name in ("KF_PIPELINES_ENDPOINT", "KF_PIPELINES_UI_ENDPOINT", "KF_PIPELINES_DEFAULT_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    return home


@dsl.container_component
def greet(text: str, times: int, share: float, shout: bool, note: dsl.Output[dsl.Artifact]):
    script = 'for i in $(seq "$1"); do echo "$0 $2 $3"; done; mkdir -p "$(dirname "$4")"; printf hello > "$4"'
    return dsl.ContainerSpec("img:1", ["sh", "-c", script], [text, times, share, shout, note.path])


@dsl.container_component
def pass_gate(gate: str):
    script = 'test -z "$0" || test -e "$0" || { echo "the gate is shut"; exit 7; }'
    return dsl.ContainerSpec("img:1", ["sh", "-c", script], [gate])


@dsl.container_component
def rest(seconds: int):
    return dsl.ContainerSpec("img:1", ["sh", "-c", 'echo resting; exec sleep "$0"'], [seconds])


@dsl.pipeline(name="greeting", description="Greets, then passes a gate")
def greeting(text: str = "hello", times: int = 1, share: float = 0.5, shout: bool = False, gate: str = ""):
    greeted = greet(text=text, times=times, share=share, shout=shout)
    pass_gate(gate=gate).after(greeted)


@dsl.pipeline(name="resting")
def resting(seconds: int = 60):
    rest(seconds=seconds)


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Path of a compiled pipeline: `greeting.yaml`, `resting.yaml`."""
    folder = tmp_path_factory.mktemp("packages")
    for function in (greeting, resting):
        compiler.Compiler().compile(function, str(folder / f"{function.name}.yaml"))
    return lambda name: str(folder / name)


@pytest.fixture
def check_against_page(request: pytest.FixtureRequest, update_golden: bool) -> Callable[[str, set[str]], None]:
    """Compares what was driven with one column of docs/conformance.md; a part of a file's tests proves nothing."""

    def compare(client: str, driven: set[str]) -> None:
        module = request.node.getparent(pytest.Module)
        known = [n for n in vars(module.obj) if n.startswith("test_")]
        chosen = {i.originalname for i in request.session.items if i.getparent(pytest.Module) is module}
        if set(known) - chosen:
            pytest.skip("only a part of this file's tests ran")
        own = driven & set(route_table.ROUTES)
        if update_golden:
            route_table.write(client, own)
        said = {route for route, clients in route_table.read().items() if client in clients}
        assert own == said, f"docs/conformance.md differs for {client}: {sorted(own ^ said)}"

    return compare
