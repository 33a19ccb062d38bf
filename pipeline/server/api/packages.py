"""Uploaded packages: YAML as it is, or the one YAML file in a zip or tar.gz. Nothing is unpacked to disk.

Archives are foreign: sizes that they declare are not believed, members that lead elsewhere are refused, and no more is
decompressed than a pipeline may have.
"""

import gzip
import io
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import IO

from pipeline.errors import PipelineError
from pipeline.server.api import specs

MOST_ARCHIVE_BYTES = 4 << 20
MOST_MEMBERS = 100
MOST_RATIO = 200  # IR compresses to a tenth; nothing honest to a two-hundredth
_RATIO_MATTERS_BYTES = 1 << 20
_ENDINGS = (".yaml", ".yml", ".json")
_PREFERRED = "pipeline.yaml"
_ZIP, _GZIP = b"PK\x03\x04", b"\x1f\x8b"
_ARCHIVES = (_ZIP, _GZIP, b"PK\x05\x06", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"(\xb5/\xfd")
_BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    KeyError,
    IndexError,
    OverflowError,
)


def text_of(data: bytes, name: str) -> str:
    """The pipeline in an uploaded file.

    Args:
        data: the file.
        name: its name, for errors; the kind is told by the first bytes.

    Raises:
        PipelineError: no pipeline, or an archive that is broken, too large, or not to be trusted.
    """
    unpack = {_ZIP: _from_zip, _GZIP: _from_tar}.get(data[:4] if data.startswith(b"PK") else data[:2])
    if unpack is None:
        _refuse_archive(data, name)
        return specs.from_bytes(data, name)
    if len(data) > MOST_ARCHIVE_BYTES:
        raise PipelineError(f"{name} has {len(data)} bytes; an archive of a pipeline may have {MOST_ARCHIVE_BYTES}")
    try:
        inner, unpacked = unpack(data, name)
    except _BROKEN as error:
        raise PipelineError(f"{name} cannot be unpacked: {str(error)[:200] or type(error).__name__}") from None
    _refuse_archive(unpacked, f"{inner} in {name}")
    return specs.from_bytes(unpacked, f"{inner} in {name}")


def _from_zip(data: bytes, name: str) -> tuple[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        if len(members) > MOST_MEMBERS:
            raise PipelineError(f"{name} holds {len(members)} members; at most {MOST_MEMBERS}")
        files = {m.filename: m for m in members if not m.is_dir()}
        for member in files.values():
            _check_zip_member(member, name)
        chosen = files[_chosen(list(files), name)]
        with archive.open(chosen) as stream:
            return chosen.filename, _bounded(stream, name)


def _check_zip_member(member: zipfile.ZipInfo, name: str) -> None:
    _check_name(member.filename, name)
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
        raise PipelineError(f"{name} holds {member.filename!r}, which is a link or a device; only files are taken")
    if member.flag_bits & 1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise PipelineError(f"{name} holds {member.filename!r}, encrypted or packed in a way that is not taken")
    declared = max(member.file_size, 0)
    if declared > specs.MOST_BYTES or (
        declared > _RATIO_MATTERS_BYTES and declared > MOST_RATIO * max(1, member.compress_size)
    ):
        raise PipelineError(f"{name} holds {member.filename!r}, which unpacks to {declared} bytes; that is no pipeline")


def _from_tar(data: bytes, name: str) -> tuple[str, bytes]:
    found: dict[str, bytes] = {}
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
        stream = _Bounded(packed, name)
        with tarfile.open(fileobj=stream, mode="r|") as archive:  # type: ignore[call-overload]
            for member in _checked_members(archive, name):
                if member.isreg() and PurePosixPath(member.name).suffix in _ENDINGS:
                    content = archive.extractfile(member)
                    found[member.name] = content.read() if content else b""
    chosen = _chosen(list(found), name)
    return chosen, found[chosen]


def _checked_members(archive: tarfile.TarFile, name: str) -> Iterator[tarfile.TarInfo]:
    for number, member in enumerate(archive, 1):
        if number > MOST_MEMBERS:
            raise PipelineError(f"{name} holds more than {MOST_MEMBERS} members")
        _check_name(member.name, name)
        if not (member.isreg() or member.isdir()) or member.issparse():
            raise PipelineError(f"{name} holds {member.name!r}, which is a link or a device; only files are taken")
        yield member


def _check_name(member: str, name: str) -> None:
    parts = member.replace("\\", "/").split("/")
    if member.startswith(("/", "\\")) or ".." in parts or ":" in parts[0] or "\0" in member:
        raise PipelineError(f"{name} holds {member[:80]!r}, whose path leads elsewhere; pack the file by its name")


def _chosen(names: list[str], archive: str) -> str:
    """The pipeline among the files: `pipeline.yaml`, or the only YAML or JSON file."""
    preferred = [n for n in names if PurePosixPath(n).name == _PREFERRED]
    candidates = preferred or [n for n in names if PurePosixPath(n).suffix in _ENDINGS]
    if len(candidates) != 1:
        listed = ", ".join(sorted(names)[:10]) or "no file"
        raise PipelineError(f"{archive} holds {listed}; expected one YAML file, or one named {_PREFERRED}")
    return candidates[0]


def _bounded(stream: IO[bytes], name: str) -> bytes:
    return _Bounded(stream, name).read(specs.MOST_BYTES + 1)


class _Bounded:
    """Reads on from a decompressor until more came out than a pipeline may have."""

    def __init__(self, stream: IO[bytes] | gzip.GzipFile, name: str) -> None:
        self._stream = stream
        self._name = name
        self._left = specs.MOST_BYTES

    def read(self, size: int) -> bytes:
        """As a file's."""
        piece = self._stream.read(min(size, self._left + 1))
        self._left -= len(piece)
        if self._left < 0:
            raise PipelineError(f"{self._name} unpacks to more than {specs.MOST_BYTES} bytes; that is no pipeline")
        return piece


def _refuse_archive(data: bytes, name: str) -> None:
    if data.startswith(_ARCHIVES):
        raise PipelineError(
            f"{name} is an archive of a kind that is not taken here; give YAML, or one zip or tar.gz of it"
        )
