"""A tiny data set: 16 px pictures whose class is their colour, so that a few steps learn it."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import simplejpeg
from keras import layers

from components.artifacts import pseudo, reference, shards
from components.entry import Outputs, fingerprint
from components.train import settings as train_settings
from components.train import step
from components.vision import small_networks

CLASSES = ["red", "green", "blue"]
SIDE = 16


@dataclass(frozen=True)
class Trained:
    """What one run of the step left: reference, its index, metadata of the metrics, curves page, unfinished folder."""

    reference: str
    index: dict
    metrics: dict
    page: str
    unfinished: Path


def picture(kind: int, number: int) -> np.ndarray:
    """A square of one colour on noise, (16, 16, 3) uint8."""
    generator = np.random.default_rng([kind, number])
    pixels = generator.integers(0, 90, (SIDE, SIDE, 3), dtype=np.uint8)
    pixels[3:12, 3:12, kind] += 120
    return pixels


def encoded(pixels: np.ndarray, encoding: str) -> bytes:
    """The bytes of a view."""
    if encoding == "raw":
        return pixels.tobytes()
    return simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality=95)


def record(
    number: int, kind: int, *, label: str | None = None, fold: int, round_number: int, encoding: str
) -> shards.Record:
    """One picture with its plain and flipped view; label None is unlabelled."""
    pixels = picture(kind, number)
    views = {"plain": encoded(pixels, encoding), "flip": encoded(pixels[:, ::-1], encoding)}
    text = "".join("y" if i == kind else "n" for i in range(len(CLASSES))) if label is None else label
    return shards.Record(f"Images/{number}.jpg", text, 1.0, number, fold, round_number, SIDE, SIDE, views)


@pytest.fixture
def make_shards(tmp_path: Path) -> Callable[..., str]:
    """Writes shards of `per_fold` labelled pictures a fold and round, and an unlabelled pool; gives the reference."""

    def make(
        *,
        per_fold: int = 12,
        folds: int = 3,
        rounds: int = 2,
        pool: int = 6,
        encoding: str = "raw",
        kinds: int = 3,
        **index,
    ) -> str:
        root = tmp_path / "data"
        with reference.draft(str(root), shards.KIND) as draft:
            groups, number = {}, 0
            for name in [
                (k, f, r)
                for r in range(1, rounds + 1)
                for k, f in [("labelled", f) for f in range(folds)] + [("pool", -1)]
            ]:
                count = pool if name[0] == "pool" else per_fold
                if not count:
                    continue
                with shards.Writer(draft.folder, shards.group_name(*name), 5) as writer:
                    for position in range(count):
                        label = "" if name[0] == "pool" else None
                        writer.write(
                            record(
                                number,
                                position % kinds,
                                label=label,
                                fold=name[1],
                                round_number=name[2],
                                encoding=encoding,
                            )
                        )
                        number += 1
                    groups[shards.group_name(*name)] = writer.close()
            content = {
                "attribute": "colour_labels",
                "classes": CLASSES,
                "ordinal": False,
                "size_px": SIDE,
                "channels": 3,
                "views": ["plain", "flip"],
            }
            return draft.commit(
                content | {"encoding": encoding, "folds": folds, "groups": groups, "schema": 1} | index, {}
            )

    return make


@pytest.fixture(autouse=True)
def tiny_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that is traced in a fraction of a second."""

    def tiny(x, name):
        x = layers.Conv2D(8, 3, strides=2, use_bias=False)(x)
        x = layers.Activation("relu")(layers.BatchNormalization(momentum=0.8)(x))
        return layers.GlobalMaxPooling2D()(x)

    monkeypatch.setitem(small_networks.NETWORKS, "tiny", tiny)


DEFAULTS = {"backbone": "tiny", "weights": "none", "epochs": 2, "batch_size": 8, "learning_rate": 0.02, "dropout": 0.1}


@pytest.fixture
def train(tmp_path: Path) -> Callable[..., Trained]:
    """Runs the step; keywords that are inputs go there, all others are knobs."""

    def run(shards_reference: str, **values) -> Trained:
        known = {f.name for f in fields(train_settings.Inputs)}
        given = {
            "attribute": {"name": "colour_labels"},
            "model": {"name": "small"},
            "data_root": str(tmp_path / "data"),
            "seed": 1,
        }
        inputs = train_settings.Inputs(shards_reference, **given | {k: v for k, v in values.items() if k in known})
        settings = train_settings.Settings(**DEFAULTS | {k: v for k, v in values.items() if k not in known})
        unfinished = f"{inputs.data_root}/unfinished/{fingerprint('train', inputs, settings)}"
        curves = tmp_path / "curves.html"
        summary = step.run(settings, inputs, Outputs({"curves": curves, "metrics": tmp_path / "metrics"}, unfinished))
        uri = summary.results["checkpoint"]
        page = curves.read_text(encoding="utf-8")
        return Trained(
            uri, reference.read_index(uri, "checkpoints"), summary.metadata["metrics"], page, Path(unfinished)
        )

    return run


@pytest.fixture
def make_pseudo(tmp_path: Path) -> Callable[..., str]:
    """Writes a pseudo reference from rows of (image_id, split, target, weight)."""

    def make(rows: list[tuple[str, str, list[float], float]], **index) -> str:
        return write_pseudo(tmp_path, rows, **index)

    return make


def write_pseudo(root: Path, rows: list[tuple[str, str, list[float], float]], **index) -> str:
    """A pseudo reference: rows of (image_id, split, target, weight)."""
    columns = dict(
        zip(
            ("image_id", "split", "target", "weight"),
            map(list, zip(*rows, strict=True)) if rows else [[]] * 4,
            strict=True,
        )
    )
    table = pa.table({name: pa.array(columns[name], kind) for name, kind in PSEUDO.items()})
    with reference.draft(str(root / "data"), "pseudo") as draft:
        pq.write_table(table, draft.folder / pseudo.FILE)
        return draft.commit(
            {"attribute": "colour_labels", "classes": CLASSES, "teachers": {}, "rows": len(rows)} | index, {}
        )


PSEUDO = {"image_id": pa.string(), "split": pa.string(), "target": pa.list_(pa.float64()), "weight": pa.float32()}
