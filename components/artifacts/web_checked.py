"""Files of the web that are known by a checksum of their bytes: `https://HOST/FILE#sha256=HEX`, or `#md5=HEX`."""

import hashlib
from pathlib import Path

from components.artifacts import web
from components.errors import Damaged, SettingsError

_HEX = {"md5": 32, "sha256": 64}


def local_copy(address: str, folder: Path, *, attempts: int = web.ATTEMPTS) -> Path:
    """The local copy of a file, downloaded into `folder` if it is not there; a download cut short is gone on with.

    Args:
        address: with its checksum.
        folder: for the download.
        attempts: in a row that may bring nothing.

    Raises:
        SettingsError: an address without checksum.
        Damaged: its bytes are not those that the checksum tells; they are not kept.
        DataError: there is no such file. Unreachable: several attempts in a row brought nothing.
    """
    url, _, told = address.partition("#")
    kind, _, digest = told.lower().partition("=")
    if len(digest) != _HEX.get(kind):
        raise SettingsError(f"{url} has no checksum; add one as {url}#sha256=HEX or #md5=HEX")
    target = web.local_copy(url, folder, attempts=attempts, md5=digest if kind == "md5" else "")
    with target.open("rb") as file:
        found = hashlib.file_digest(file, kind).hexdigest()
    if found != digest:
        target.unlink()
        raise Damaged(f"{url} has {kind} {found}, expected {digest}: it is damaged or another file")
    return target
