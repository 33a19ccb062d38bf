"""What is watched: an address, the recipe that learns from it, and when a round is good enough to be learnt from."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from components.artifacts import storage
from pipeline import recipe as recipes
from pipeline.engine.round_log import RoundLog
from pipeline.engine.round_records import Source
from pipeline.errors import NotFound, PipelineError
from pipeline.recipe import Recipe

COALESCE, QUEUE = "coalesce", "queue"
MODES = (COALESCE, QUEUE)


@dataclass(frozen=True)
class Options:
    """When a round has landed, and what several that land together launch.

    Attributes:
        quiet_s: so long its listing must not have changed, unless a marker says that it is complete.
        min_new: so many different labelled pictures must be new, after dedupe against all other rounds.
        mode: `coalesce`: one run on all of them; `queue`: a run for each, in order.
        host: the KFP endpoint that runs are launched at; empty: this machine.
    """

    quiet_s: float = 60.0
    min_new: int = 1
    mode: str = COALESCE
    host: str = ""


def describe(address: str, recipe: str, overrides: Sequence[str], options: Options, now: float) -> Source:
    """A source as it is kept; the same address, pipeline and endpoint are the same source.

    Raises:
        PipelineError: the recipe cannot be read or promotes no champion, or the options make no sense.
    """
    if options.mode not in MODES or options.quiet_s < 0 or options.min_new < 0:
        raise PipelineError(f"{options} cannot be used; expected quiet_s and min_new of 0 or more, mode {MODES}")
    read = recipes.load(recipe, overrides)
    if "promote" not in read.pipeline.groups:
        kind = read.head.pipeline
        how = f"seamline {'study' if kind == 'study' else 'run'}"
        raise PipelineError(
            f'recipe {recipe} cannot be watched: pipeline="{kind}" promotes no champion; use `{how}` for each round'
        )
    pipeline = read.head.name
    place = address.rstrip("/") if storage.is_remote(address) else str(Path(address).resolve())
    file = Path(recipe)
    identity = "\0".join([place, pipeline, *([options.host] if options.host else [])])
    return Source(
        source_id=hashlib.sha256(identity.encode()).hexdigest()[:12],
        address=place,
        recipe=str(file.resolve()) if file.is_file() else recipe,
        pipeline=pipeline,
        overrides=tuple(overrides),
        options=asdict(options),
        created=now,
    )


def options_of(source: Source) -> Options:
    """The options of a source; what an older version did not know has its default."""
    known = {field.name for field in fields(Options)}
    return Options(**{name: value for name, value in source.options.items() if name in known})


def recipe_of(source: Source) -> Recipe:
    """The recipe as it stands now. Raises RecipeError."""
    return recipes.load(source.recipe, source.overrides)


def add(log: RoundLog, source: Source) -> Source:
    """Has a server's sensor look at a source from now on."""
    log.put_source(source)
    log.mark_source(source.source_id, registered=1, enabled=1)
    return find(log, source.source_id)


def remove(log: RoundLog, name: str) -> None:
    """Nobody looks at a source any more; what landed and what it launched stays on record.

    Raises:
        NotFound: no such source.
    """
    log.mark_source(find(log, name).source_id, registered=0)


def enable(log: RoundLog, name: str, enabled: bool) -> None:
    """Pauses a source, or goes on with it. Raises NotFound."""
    log.mark_source(find(log, name).source_id, enabled=int(enabled))


def find(log: RoundLog, name: str) -> Source:
    """A source by its id or its address.

    Raises:
        NotFound: none, or several recipes learn from the address.
    """
    found = [source for source in log.sources() if name in (source.source_id, source.address)]
    if len(found) != 1:
        known: Any = ", ".join(f"{s.source_id} ({s.address}, {s.pipeline})" for s in found or log.sources()) or "none"
        raise NotFound(f"{name!r} is not one watched source; give the id of one of these: {known}")
    return found[0]
