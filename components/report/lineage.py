"""Where an ensemble comes from: ensemble -> predictions -> checkpoints -> their parents, found by digest."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from components.artifacts import checkpoint, predictions, reference, storage
from components.errors import DataError
from components.report.evidence import Attribute

PHASES = ("round1", "round2", "student")


@dataclass(frozen=True)
class Node:
    """One reference of the lineage; `content` is None where it is no longer there."""

    kind: str
    digest: str
    content: dict[str, Any] | None


@dataclass(frozen=True)
class Training:
    """One finished training: per-epoch history of one model in one phase."""

    model: str
    phase: str
    digest: str
    history: pd.DataFrame


def trace(data_root: str, attribute: Attribute) -> list[Node]:
    """All references behind an ensemble, itself first, each once, parents after children."""
    nodes = [Node("ensembles", reference.digest_of(attribute.reference), attribute.content)]
    for digest in attribute.content.get("inputs", []):
        nodes.append(_node(data_root, digest, ("predictions", "checkpoints")))
    starts = [n.content["checkpoint"] for n in nodes if n.kind == "predictions" and n.content]
    starts += [n.content.get("parent", "") for n in nodes if n.kind == "checkpoints" and n.content]
    for start in starts:
        known = {n.digest for n in nodes}
        nodes += [n for n in _chain(data_root, start) if n.digest not in known]
    return list({n.digest: n for n in nodes}.values())


def trainings(data_root: str, nodes: list[Node]) -> list[Training]:
    """The trainings among the nodes with their history, by model, then in the order of the phases."""
    found = [
        Training(n.content["model"], n.content["phase"], n.digest, _history(data_root, n.digest))
        for n in nodes
        if n.kind == "checkpoints" and n.content
    ]
    return sorted(found, key=lambda t: (t.model, _place(t.phase), t.digest))


def answers(data_root: str, nodes: list[Node]) -> dict[str, dict[str, int]]:
    """What each single model says about the validation pictures: `model phase` to (image id to class index)."""
    return {
        f"{n.content['model']} {n.content['phase']}": _answers(storage.join(data_root, "predictions", n.digest))
        for n in nodes
        if n.kind == "predictions" and n.content
    }


def _answers(uri: str) -> dict[str, int]:
    ids, probability, _ = predictions.matrix(predictions.read(uri), "valid")
    return dict(zip(ids, map(int, probability.argmax(axis=1)), strict=True)) if ids else {}


def _chain(data_root: str, digest: str) -> Iterator[Node]:
    """A checkpoint and its parents. A digest names its content, so the chain cannot be a circle."""
    while digest:
        node = _node(data_root, digest, ("checkpoints",))
        yield node
        digest = node.content.get("parent", "") if node.content else ""


def _node(data_root: str, digest: str, kinds: tuple[str, ...]) -> Node:
    """Looks a digest up. A parent may have been cleared away since: the report says so and goes on."""
    for kind in kinds:
        try:
            return Node(kind, digest, reference.read_index(storage.join(data_root, kind, digest), kind))
        except DataError:
            continue
    return Node(kinds[0], digest, None)


def _history(data_root: str, digest: str) -> pd.DataFrame:
    path = reference.open_file(storage.join(data_root, checkpoint.KIND, digest), checkpoint.HISTORY)
    frame: pd.DataFrame = pq.read_table(path).to_pandas()
    return frame


def _place(phase: str) -> int:
    return PHASES.index(phase) if phase in PHASES else len(PHASES)
