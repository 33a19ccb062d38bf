"""From shards to logits: which pictures belong to a split, and running all their views through a model."""

import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from components import progress
from components.vision import batches, inference, view_index
from components.vision.metrics import Floats

_GROUP = re.compile(r"(labelled-f(?P<fold>\d+)|pool|test)-r(?P<round>\d+)")


def groups_of(split: str, available: Iterable[str], fold: int, valid_rounds: str) -> list[str]:
    """Names of the shard groups of a split, oldest round first.

    Args:
        split: `valid` (the labelled pictures of the fold), `pool` or `test`.
        available: the groups that the shards have.
        fold: the model's validation fold.
        valid_rounds: `newest` takes validation pictures of the newest labelled round only, `all` of every round.
    """
    found = {name: m for name in available if (m := _GROUP.fullmatch(name))}
    labelled = [int(m["round"]) for m in found.values() if m["fold"] is not None]
    judging = {max(labelled)} if labelled and valid_rounds == "newest" else set(labelled)
    chosen = {
        name: int(m["round"])
        for name, m in found.items()
        if (m["fold"] == str(fold) and int(m["round"]) in judging if split == "valid" else name.startswith(f"{split}-"))
    }
    return sorted(chosen, key=lambda name: (chosen[name], name))


def all_views(
    loaded: inference.LoadedModel, source: view_index.Records, *, batch_size: int, threads: int, what: str
) -> tuple[Floats, list[str]]:
    """Runs every view of every picture through the model, all views of a picture in one batch.

    Args:
        loaded: the model.
        source: n pictures with v views, plain among them.
        batch_size: rows of a forward pass.
        threads: pictures decoded at a time.
        what: the split, for the progress.

    Returns:
        (v, n, outputs) float64 of the network, and the ids of pictures that are black all over: nothing can be said
        about them.
    """
    views, rows = len(source.views), len(source)
    plain = source.views.index("plain")
    black: list[str] = []

    def counted() -> Iterator[np.ndarray]:
        for begin, pixels in batches.ahead(_decoded(source, max(1, batch_size // views), threads)):
            dark = np.flatnonzero(pixels[plain::views].reshape(len(pixels) // views, -1).max(axis=1) == 0)
            black.extend(str(source.image_id[begin + row]) for row in dark)
            yield pixels
            progress.progress(begin + len(pixels) // views, rows, f"{what} pictures")

    logits = inference.logits(loaded.model, counted())
    return logits.reshape(rows, views, logits.shape[-1]).swapaxes(0, 1), black


def _decoded(source: view_index.Records, per_batch: int, threads: int) -> Iterator[tuple[int, np.ndarray]]:
    """(first picture, pixels) of consecutive batches; rows are picture after picture, each in view order."""
    views = np.arange(len(source.views))
    for begin in range(0, len(source), per_batch):
        rows = np.arange(begin, min(begin + per_batch, len(source)))
        yield begin, view_index.decode(source, np.repeat(rows, len(views)), np.tile(views, len(rows)), threads)


def order_of_views(wanted: Sequence[str], available: Sequence[str]) -> list[str]:
    """The views to average, in the order of the shards; all of them where none is named."""
    return [view for view in available if view in wanted] if wanted else list(available)
