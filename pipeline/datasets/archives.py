"""The files of a data set as it is delivered: a folder, or a tar archive that is read without being unpacked."""

import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import PipelineError


def names(source: Path) -> list[str]:
    """Names of all files, relative to the source, sorted.

    Raises:
        PipelineError: no such source, or no whole tar archive.
    """
    if source.is_dir():
        return sorted(str(path.relative_to(source)) for path in source.rglob("*") if path.is_file())
    return sorted(member.name for member, _ in _members(source))


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
    except FileNotFoundError as error:
        raise PipelineError(f"{source} does not exist; give a folder or a tar archive as data.source") from error
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise PipelineError(f"{source} is no whole tar archive ({error}); get it anew") from error
