"""Implements pipeline.server.domain.models. A registry is a small file; what it names is read where it still exists."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

from components.artifacts import champions, storage
from components.errors import DataError, StepError
from pipeline.console import traces
from pipeline.engine.lookup import Lookup
from pipeline.engine.store import Store
from pipeline.errors import Conflict, NotFound
from pipeline.server.domain.models import Champion, Registry


class LocalModels:
    """See pipeline.server.domain.models.Models."""

    def registries(self, store: Store, bucket: str = "") -> Sequence[Registry]:
        """See Models."""
        return [_registry(store, root, bucket) for root in _data_roots(store)]

    def roll_back(self, store: Store, data_root: str, attribute: str, number: int, by: str, why: str) -> None:
        """See Models."""
        if data_root not in _data_roots(store):
            raise NotFound(f"no run here wrote to data root {data_root!r}; open /models and choose again")
        at = datetime.now(UTC).isoformat(timespec="seconds")
        try:
            with _reached(data_root):
                if attribute not in _attributes(data_root):
                    raise NotFound(f"{data_root} has no champion of {attribute!r}; open /models and choose again")
                champions.roll_back(data_root, attribute, number, by, why, at)
        except (StepError, OSError) as error:
            raise Conflict(str(error)) from error


def _data_roots(store: Store) -> list[str]:
    """Those of runs; the state folder's own first."""
    own = str(store.directory / "data")
    return [own, *(root for root in Lookup(store).data_roots() if root.rstrip("/") != own)]


def _attributes(data_root: str) -> list[str]:
    """Attributes with a registry. A folder that is not there has none."""
    names = storage.list_files(storage.join(data_root, champions.FOLDER))
    return sorted(name.removesuffix(".json") for name in names if name.endswith(".json") and "/" not in name)


def _registry(store: Store, data_root: str, bucket: str) -> Registry:
    if storage.is_remote(data_root) and data_root != bucket:
        return Registry(data_root, reason="it lies in a bucket, which is read when you ask for it")
    try:
        with _reached(data_root):
            return Registry(data_root, list(_champions(store, data_root)))
    except (StepError, OSError) as error:
        return Registry(data_root, reason=str(error))


@contextmanager
def _reached(data_root: str) -> Iterator[None]:
    """Makes a DataError of whatever the client of a bucket raises: it fails in a hundred ways, none ours to mend."""
    try:
        yield
    except (StepError, OSError, NotFound):
        raise
    except Exception as error:
        if not storage.is_remote(data_root):
            raise
        raise DataError(f"the bucket cannot be reached: {error}") from error


def _champions(store: Store, data_root: str) -> Iterator[Champion]:
    from pipeline.console import standing

    makers = standing.Makers(store)
    for attribute in _attributes(data_root):
        try:
            yield standing.of(makers, data_root, champions.read(data_root, attribute))
        except StepError as error:
            yield Champion(attribute, data_root, None, (), trouble=str(error))
        except (*traces.UNREADABLE, TypeError) as error:
            why = f"its registry or its ensemble is damaged ({error!r}); restore it"
            yield Champion(attribute, data_root, None, (), trouble=why)
