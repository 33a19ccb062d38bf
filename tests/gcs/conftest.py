"""A storage server behind a proxy that plays faults, and short pauses so that tests of waiting are short."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from components.artifacts import gcs_connection
from tests.gcs.fault_proxy import FaultProxy


@pytest.fixture
def proxy(gcs_server: str) -> Iterator[FaultProxy]:
    made = FaultProxy(gcs_server)
    yield made
    made.close()


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> gcs_connection.Patience:
    """Hardly a pause, but the real time for an answer: a busy machine is no fault."""
    short = gcs_connection.Patience(pause_s=0.01, longest_pause_s=0.05)
    monkeypatch.setattr(gcs_connection, "PATIENCE", short)
    return short


@pytest.fixture
def haste(patience: gcs_connection.Patience, monkeypatch: pytest.MonkeyPatch) -> None:
    """Soon gives up; only for tests of giving up, which a busy machine does not fail."""
    monkeypatch.setattr(gcs_connection, "PATIENCE", replace(patience, silence_s=2, answer_s=1, operation_s=4))


@pytest.fixture
def faulty(
    proxy: FaultProxy, bucket: str, patience: gcs_connection.Patience, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """`gs://` address of an empty bucket that is reached through the proxy."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.url)
    gcs_connection.connection.cache_clear()
    yield bucket
    gcs_connection.connection.cache_clear()
