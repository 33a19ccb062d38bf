"""A storage server behind a proxy that plays faults, and little patience so that tests of waiting are short."""

from collections.abc import Iterator

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
    """Times a hundredth of the real ones."""
    short = gcs_connection.Patience(2, 2, 1, 4, 0.01, 0.05)
    monkeypatch.setattr(gcs_connection, "PATIENCE", short)
    return short


@pytest.fixture
def faulty(
    proxy: FaultProxy, bucket: str, patience: gcs_connection.Patience, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """`gs://` address of an empty bucket that is reached through the proxy."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.url)
    gcs_connection.connection.cache_clear()
    yield bucket
    gcs_connection.connection.cache_clear()
