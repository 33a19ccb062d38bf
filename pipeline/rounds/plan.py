"""Which runs the rounds of a source are due. Pure: what is recorded goes in, launches come out, nothing is done."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.engine.round_records import INTENDED, LANDED, LAUNCHED, Launch, Sighting, Source, Version
from pipeline.errors import Conflict, NotFound
from pipeline.rounds import folders
from pipeline.rounds.source import COALESCE

_SHOWN = 8  # characters of a key in the name of a run


@dataclass(frozen=True)
class Due:
    """A launch and the versions that it takes up."""

    launch: Launch
    takes_up: tuple[Version, ...]


def current(versions: Iterable[Version]) -> dict[str, Version]:
    """Round name to its newest version, in natural order of the names."""
    newest = {version.name: version for version in versions}  # they come oldest first
    return {name: newest[name] for name in sorted(newest, key=folders.natural)}


def in_force(versions: Iterable[Version], name: str = "") -> dict[str, Version]:
    """Round name to its newest version, of those rounds whose newest may teach; the round `name` is left out.

    The content of an older version is gone: a round that was spoilt by a correction teaches nothing until it is mended.
    """
    newest = current(versions)
    return {n: version for n, version in newest.items() if version.state in (LANDED, LAUNCHED) and n != name}


def unsettled(versions: Iterable[Version], sightings: Mapping[str, Sighting]) -> list[str]:
    """Rounds that could teach but are being changed: a run that began now would read half of the change."""
    able = in_force(versions)
    return [name for name in able if name in sightings and sightings[name].waiting]


def due(source: Source, versions: Sequence[Version], mode: str, settings: str, now: float) -> list[Due]:
    """The launches that landed rounds are due.

    A round learns together with all rounds that have launched before, also with later ones where it came late or was
    corrected: base is all but the newest, and the newest is fine-tuned on.

    Args:
        source: what is watched.
        versions: all versions of its rounds.
        mode: `coalesce` or `queue`.
        settings: digest of the recipe's settings.
        now: the time.
    """
    able = in_force(versions)
    waiting = [version for version in able.values() if version.state == LANDED]
    groups = [waiting] if mode == COALESCE and waiting else [[version] for version in waiting]
    learnt = {name for name, version in able.items() if version.state == LAUNCHED or _has_launched(name, versions)}
    learnt -= {version.name for version in waiting}
    found = []
    for group in groups:
        learnt |= {version.name for version in group}
        chosen = [version for name, version in able.items() if name in learnt]
        found.append(Due(_launch(source, chosen, group[-1], settings, now), tuple(group)))
    return found


def backfill(
    source: Source, versions: Sequence[Version], names: Sequence[str], mode: str, settings: str, now: float
) -> list[Launch]:
    """The launches of a backfill: one on exactly the chosen rounds, or one for each with the chosen ones before it.

    Raises:
        NotFound: no such round. Conflict: a chosen round has not landed.
    """
    able, known = in_force(versions), current(versions)
    for name in names:
        if name not in known:
            raise NotFound(f"no round {name!r} in {source.address}; it has {', '.join(known) or 'none'}")
        if name not in able:
            raise Conflict(f"round {name} is {known[name].state} ({known[name].reason}); only landed rounds can teach")
    chosen = [version for name, version in able.items() if name in names]
    sizes = [len(chosen)] if mode == COALESCE else range(1, len(chosen) + 1)
    return [_launch(source, chosen[:size], chosen[size - 1], settings, now) for size in sizes if size]


def _has_launched(name: str, versions: Iterable[Version]) -> bool:
    return any(version.name == name and version.state == LAUNCHED for version in versions)


def _launch(source: Source, chosen: Sequence[Version], newest: Version, settings: str, now: float) -> Launch:
    content = folders.content_digest((version.name, version.digest) for version in chosen)
    key = f"rounds/{source.source_id}/{content}/{source.pipeline}-{settings}"
    short = folders.content_digest([("key", key)])[:_SHOWN]
    label = newest.name if newest.version == 1 else f"{newest.name} v{newest.version}"
    rounds = [{"name": v.name, "version": v.version, "struct": dict(v.struct)} for v in chosen]
    return Launch(key, source.source_id, f"{source.pipeline} {label} {short}", rounds, INTENDED, now)
