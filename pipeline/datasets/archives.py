"""The files of a data set as it is delivered: a folder, or a tar archive that is read without being unpacked."""

import lzma
import tarfile
import zlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import IO

from pipeline.errors import PipelineError

_CHUNK_BYTES = 1 << 20


def names(source: Path) -> list[str]:
    """Names of all files, relative to the source, sorted. An archive is read to its end, its checksum too.

    Raises:
        PipelineError: no such source, no whole tar archive, or one that names a file twice.
    """
    if source.is_dir():
        return sorted(str(path.relative_to(source)) for path in source.rglob("*") if path.is_file())
    found = sorted(member.name for member, _ in _members(source))
    twice = next((name for name, after in pairwise(found) if name == after), None)
    if twice is not None:
        raise PipelineError(f"{source} holds {twice} twice; pack every file once")
    return found


def contents(source: Path, wanted: set[str]) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of the wanted files, each once, in the order in which they lie.

    Raises:
        PipelineError: no such source, or no whole tar archive.
    """
    if source.is_dir():
        yield from ((name, (source / name).read_bytes()) for name in names(source) if name in wanted)
        return
    left = set(wanted)
    for member, archive in _members(source):
        if member.name in left:
            left.discard(member.name)
            yield member.name, archive.extractfile(member).read()  # type: ignore[union-attr]  # a plain file has one
        if not left:
            return


def _members(source: Path) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]:
    try:
        with tarfile.open(source) as archive:
            yield from ((member, archive) for member in archive if member.isfile())
            _refuse_cut(archive)
    except FileNotFoundError as error:
        raise PipelineError(f"{source} does not exist; give a folder or a tar archive as data.source") from error
    except (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        why = str(error).partition("\n")[0].rstrip(":")  # a list of all that was tried follows
        raise PipelineError(f"{source} is no whole tar archive ({why}); get it anew") from error


def _refuse_cut(archive: tarfile.TarFile) -> None:
    """tarfile takes whatever is no header for the end, and never reads the checksum of a compressed file behind it."""
    stream: IO[bytes] = archive.fileobj  # type: ignore[assignment]  # it is open
    stream.seek(archive.offset)
    if stream.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
        raise tarfile.ReadError("it does not end as an archive does")
    while stream.read(_CHUNK_BYTES):
        pass
