"""A server over a real state folder, asked in memory; its runs are made by a real engine of real, small commands."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kfp import compiler, dsl
from starlette.testclient import TestClient

from pipeline.engine.launch import ProcessLauncher
from pipeline.engine.runner import Engine
from pipeline.engine.store import Store
from pipeline.engine.tools import Pace
from pipeline.server.app import create_app
from pipeline.server.guard import Access
from pipeline.server.services import Services
from pipeline.serving import domain

HOST = "http://127.0.0.1:8080"


def shell_step(name: str, command: str, **annotations: Any) -> Any:
    """A container component whose command is a line of shell; `$0` is the executor input."""

    def spec(*_: Any) -> dsl.ContainerSpec:
        return dsl.ContainerSpec(image="img:1", command=["sh", "-c", command], args=["{{$}}"])

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    spec.__name__ = name
    spec.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(n, kind, annotation=a) for n, a in annotations.items()]
    )
    return dsl.container_component(spec)


@dsl.pipeline(name="two-steps", description="Says a word, then shouts it")
def two_steps(word: str = "hello", times: int = 1, share: float = 0.5, fail: bool = False):
    """Says a word, then shouts it.

    Args:
        word: what is said.
        times: how often.
        share: not used, but typed.
        fail: the second step fails.
    """
    read = "import json,sys; p=json.loads(sys.argv[1])['inputs']['parameterValues']"
    say = shell_step(
        "say", f'python -c "{read}; print(p)" "$0"; echo ::metric \'{{"step": 1, "loss": 0.5}}\'', word=str, times=int
    )
    shout = shell_step(
        "shout",
        f"python -c \"{read}; print('LOUD', p); sys.exit(3 if p['fail'] else 0)\" \"$0\"",
        share=float,
        fail=bool,
    )
    said = say(word=word, times=times)
    shout(share=share, fail=fail).after(said)


@pytest.fixture(scope="session")
def two_steps_ir(tmp_path_factory: pytest.TempPathFactory) -> str:
    """IR of a pipeline of two steps with typed parameters; `fail=true` makes the second one fail."""
    target = tmp_path_factory.mktemp("ir") / "pipeline.yaml"
    compiler.Compiler().compile(two_steps, str(target))
    return target.read_text()


@dsl.pipeline(name="slow")
def slow(mark: str):
    """One task of two seconds that leaves a line in a file when it starts."""
    read = "import json,sys; print(json.loads(sys.argv[1])['inputs']['parameterValues']['mark'])"
    shell_step("wait", f'echo run >> "$(python -c "{read}" "$0")"; sleep 2', mark=str)(mark=mark)


@pytest.fixture(scope="session")
def slow_ir(tmp_path_factory: pytest.TempPathFactory) -> str:
    """IR of a pipeline whose one task takes two seconds and counts its starts in the file `mark`."""
    target = tmp_path_factory.mktemp("ir") / "slow.yaml"
    compiler.Compiler().compile(slow, str(target))
    return target.read_text()


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def engine(state_dir: Path) -> Engine:
    """Makes and executes runs, as the server's dispatcher would."""
    return Engine(Store.open(state_dir), ProcessLauncher(), pace=Pace(0.02, 1.0))


@pytest.fixture
def services(state_dir: Path) -> Services:
    Store.open(state_dir).close()
    return Services(state_dir, lambda store: Engine(store, ProcessLauncher(), pace=Pace(0.02, 1.0)), domain())


@pytest.fixture
def client(services: Services) -> Iterator[TestClient]:
    """Asks the server as a browser on this machine would; redirects are not followed."""
    with TestClient(create_app(services, Access()), base_url=HOST, follow_redirects=False) as made:
        yield made
