"""References: immutable, content-addressed folders that pass between steps as one string.

`<data_root>/<kind>/<digest>` holds the files of one manifest, one set of shards, one checkpoint and so on. The digest
covers the bytes of the files and the `content` of the index, nothing else: equal results get equal references whatever
made them, so a changed upstream with identical bytes stops the cascade. `index.json` is written last: a folder without
it does not exist. Who made it (settings, code, parents) stands in the index too and is not part of the digest.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.artifacts import storage
from components.artifacts.cache import cache
from components.errors import DataError, Missing
from components.images import TAG

KINDS = (
    "manifests",
    "shards",
    "checkpoints",
    "predictions",
    "pseudo",
    "ensembles",
    "reports",
    "studies",
    "boxes",
    "detectors",
)
INDEX = "index.json"
_UPLOADS = 4  # files on their way to gs:// at a time


@dataclass
class Draft:
    """A reference being written. Files go into `folder`; `commit` names it by its content and makes it visible."""

    data_root: str
    kind: str
    folder: Path
    reference: str = field(default="", init=False)

    def commit(self, content: dict[str, Any], made_by: dict[str, Any]) -> str:
        """Publishes the folder and returns its reference. An equal reference that exists already is kept.

        Args:
            content: what a reader needs to know, JSON; part of the digest, so no times, no absolute paths.
            made_by: step, settings, code, parents' references; for lineage only.
        """
        files = {str(p.relative_to(self.folder)): p for p in sorted(self.folder.rglob("*")) if p.is_file()}
        digests = {name: _sha256(path) for name, path in files.items()}
        index = {"kind": self.kind, "content": content, "files": digests}
        digest = hashlib.sha256(_canonical(index)).hexdigest()[:32]
        self.reference = storage.join(self.data_root, self.kind, digest)
        if not storage.exists(storage.join(self.reference, INDEX)):
            self._put(files)
            lineage = {"made_by": {"version": TAG, **made_by}}
            body = json.dumps(index | lineage, indent=1, sort_keys=True, ensure_ascii=False)
            storage.create(storage.join(self.reference, INDEX), body.encode())
        return self.reference

    def _put(self, files: dict[str, Path]) -> None:
        """Puts the files in place; all of them are there, or this raises, before the index says so."""
        with ThreadPoolExecutor(_UPLOADS if storage.is_remote(self.data_root) else 1) as pool:
            list(pool.map(storage.put_file, files.values(), (f"{self.reference}/{name}" for name in files)))


@contextmanager
def draft(data_root: str, kind: str) -> Iterator[Draft]:
    """Opens a draft on local disk (beside a local data root, so that publishing is a rename) and cleans up after it."""
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is not a kind of reference; expected one of {', '.join(KINDS)}")
    aside = None if storage.is_remote(data_root) else Path(data_root) / "unfinished"
    if aside:
        aside.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"draft-{kind}-", dir=aside))
    try:
        yield Draft(data_root, kind, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def digest_of(reference: str) -> str:
    """The digest of a reference: its last part, the same wherever the data root lies. Empty for an empty text."""
    return reference.rstrip("/").rsplit("/", 1)[-1]


def read_index(reference: str, kind: str) -> dict[str, Any]:
    """The `content` of a reference's index.

    Raises:
        DataError: no such reference, an unfinished one (Missing), or one of another kind.
    """
    try:
        index = json.loads(storage.read_bytes(storage.join(reference, INDEX)))
    except Missing as error:
        raise Missing(
            f"{reference!r} is not a finished reference (no {INDEX}); expected one of kind {kind!r}"
        ) from error
    if index["kind"] != kind:
        raise DataError(f"{reference!r} is of kind {index['kind']!r}; expected kind {kind!r}")
    return dict(index["content"])


def read_made_by(reference: str) -> dict[str, Any]:
    """Who made a reference: step, settings, code and parents."""
    return dict(json.loads(storage.read_bytes(storage.join(reference, INDEX)))["made_by"])


def open_file(reference: str, name: str) -> Path:
    """A local path of one file of a reference, for use at once; on gs:// it is one in the bounded local cache."""
    if storage.is_remote(reference):
        return cache().path(reference.rstrip("/"), name)
    return storage.local_copy(storage.join(reference, name), Path())


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _sha256(path: Path) -> str:
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
