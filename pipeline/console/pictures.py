"""Implements pipeline.server.domain.pictures. What needs numpy, pyarrow and OpenCV is imported when it is asked for."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.console import traces
from pipeline.engine.lookup import Lookup
from pipeline.engine.records import Run
from pipeline.engine.states import RunState
from pipeline.engine.store import Store
from pipeline.server.domain.pictures import Choice, Found, Grid, Picture

if TYPE_CHECKING:
    from pipeline.console.album import Source

MOST_RUNS = 60  # the newest runs that are looked at
MOST_MANIFESTS = 3  # different ones: each is a file to read


class LocalPictures:
    """See pipeline.server.domain.pictures.Pictures."""

    def __init__(self) -> None:
        self._ended: dict[tuple[Path, str, float], traces.Traces] = {}

    def runs(self, store: Store, image_id: str = "") -> Sequence[Run]:
        """See Pictures."""
        found = Lookup(store).with_manifest(MOST_RUNS)
        if image_id:
            manifests = list(dict.fromkeys(one.manifest for one in found))[:MOST_MANIFESTS]
            knowing = {manifest for manifest in manifests if _knows(manifest, image_id)}
            found = [one for one in found if one.manifest in knowing]
        finished = [one.run for one in found if one.run.state is RunState.SUCCEEDED]
        return finished + [one.run for one in found if one.run.state is not RunState.SUCCEEDED]

    def grid(self, store: Store, run: Run, choice: Choice, page: int, size: int) -> Grid:
        """See Pictures."""
        left = self._traces(store, run)
        if left is None:
            return Grid(reason=f"run {run.run_id[:8]} has no manifest (yet), so it has no pictures")
        try:
            return _grid(left, choice, page, size)
        except traces.UNREADABLE as error:
            return Grid(reason=f"the pictures of run {run.run_id[:8]} cannot be shown: {error}")

    def neighbours(self, store: Store, run: Run, choice: Choice, image_id: str) -> tuple[str, str]:
        """See Pictures."""
        from pipeline.console import album

        left = self._traces(store, run)
        try:
            return album.neighbours(_source(left), choice, image_id) if left else ("", "")
        except traces.UNREADABLE:
            return "", ""

    def picture(self, store: Store, run: Run, image_id: str) -> Picture | None:
        """See Pictures."""
        from pipeline.console import dossier

        left = self._traces(store, run)
        try:
            return dossier.picture(run, left, image_id) if left else None
        except traces.UNREADABLE:
            return None

    def image(self, store: Store, run: Run, image_id: str, view: str, size_px: int) -> bytes | None:
        """See Pictures."""
        from pipeline.console import picture_files

        left = self._traces(store, run)
        try:
            return picture_files.of(left, image_id, view, size_px) if left else None
        except traces.UNREADABLE:
            return None

    def _traces(self, store: Store, run: Run) -> traces.Traces | None:
        """What a run left behind. Of one that has ended it is kept: a page of pictures asks sixty times."""
        key = (store.directory, run.run_id, run.ended)
        found = self._ended.get(key) or traces.of_run(store, run)
        if run.ended and found:
            if len(self._ended) >= MOST_RUNS:
                self._ended = {}
            self._ended[key] = found
        return found

    def find(self, store: Store, text: str, limit: int) -> Sequence[Found]:
        """See Pictures."""
        seen: dict[str, Found] = {}
        for found in _found(store, text, limit):
            seen.setdefault(found.image_id, found)
            if len(seen) == limit:
                break
        return list(seen.values())


def _found(store: Store, text: str, limit: int) -> Iterator[Found]:
    """In the newest manifests; the same picture may come several times."""
    from pipeline.console import album

    newest: dict[str, Run] = {}
    for one in Lookup(store).with_manifest(MOST_RUNS):
        newest.setdefault(one.manifest, one.run)
    for manifest, run in list(newest.items())[:MOST_MANIFESTS]:
        try:
            tiles = album.named(manifest, text, limit)
        except traces.UNREADABLE:
            continue
        for row in tiles:
            yield Found(row["image_id"], row["attribute"], row["round"], row["kind"], run.run_id)


def _grid(left: traces.Traces, choice: Choice, page: int, size: int) -> Grid:
    from pipeline.console import album

    source = _source(left)
    places = album.chosen(source, choice)
    rounds = [str(item["name"]) for item in traces.content(left.manifest, "manifests").get("rounds", [])]
    tiles = album.tiles(source, places[page * size : (page + 1) * size])
    return Grid(tiles, len(places), album.attributes(source), rounds)


def _source(left: traces.Traces) -> "Source":
    from pipeline.console.album import Source

    ensembles, predictions = (tuple(one.where for one in lefts) for lefts in (left.ensembles, left.predictions))
    return Source(left.manifest, ensembles, predictions)


def _knows(manifest: str, image_id: str) -> bool:
    from pipeline.console import album

    try:
        return album.knows(manifest, image_id)
    except traces.UNREADABLE:
        return False
