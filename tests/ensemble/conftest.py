"""Tiny synthetic predictions, checkpoints and shards, written as references."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from components.artifacts import predictions, reference, shards
from components.vision import calibration

CLASSES = ["long", "short", "none"]
LABELS = ["ynn", "nyn", "nny"]


@dataclass
class World:
    """One attribute: pictures with a truth that models see through noise of their own."""

    root: str
    truth: np.ndarray
    counts: dict

    def split_rows(self, split):
        begin = 0
        for name, count in self.counts.items():
            if name == split:
                return slice(begin, begin + count)
            begin += count
        raise KeyError(split)

    def pictures(self, split):
        rows = np.arange(len(self.truth))[self.split_rows(split)]
        labels = [LABELS[self.truth[r]] if split == "valid" else "" for r in rows]
        fold = np.full(len(rows), 0 if split == "valid" else -1)
        return predictions.Pictures([f"{split}/{r}.jpg" for r in rows], labels, rows * 10, fold, np.ones(len(rows)))

    def logits(self, quality, seed):
        rng = np.random.default_rng(seed)
        noise = rng.normal(size=(2, len(self.truth), 3)) * 2  # two views
        return noise + quality * np.eye(3)[self.truth]

    def predict(self, model="small", phase="round2", quality=2.0, seed=0, edit=None, checkpoint=None, **content):
        logits = self.logits(quality, seed)
        frames = []
        for split in self.counts:
            of_split = logits[:, self.split_rows(split)]
            parts = calibration.softmax(of_split)
            mean = parts.mean(axis=0, keepdims=True)
            both = np.concatenate([parts, mean]), np.concatenate([of_split, np.log(mean)])
            frames.append(predictions.frame_of(split, self.pictures(split), ["plain", "flip", "mean"], *both))
        frame = pd.concat([f for f in frames if len(f)], ignore_index=True)
        with reference.draft(self.root, "predictions") as draft:
            predictions.write(edit(frame) if edit else frame, draft.folder / predictions.FILE)
            about = {"attribute": "length", "classes": CLASSES, "model": model, "phase": phase, "fold": 0}
            about |= {"checkpoint": checkpoint or f"checkpoint-{model}", "views": ["plain", "flip"]}
            return draft.commit(about | content, {})

    def checkpoint(self, model="small", phase="round1", quality=1.0, seed=9):
        logits = self.logits(quality, seed)[:1, self.split_rows("valid")]
        frame = predictions.frame_of("valid", self.pictures("valid"), ["plain"], calibration.softmax(logits), logits)
        with reference.draft(self.root, "checkpoints") as draft:
            predictions.write(frame, draft.folder / "validation.parquet")
            about = {"attribute": "length", "classes": CLASSES, "model": model, "phase": phase, "fold": 0}
            return draft.commit(about, {})

    def shards(self, labelled=200, held_out=()):
        """Shards of the labelled pictures only: what pseudo_label reads. `held_out` are groups of the fold."""
        groups = {"labelled-f1-r1": list(range(10_000, 10_000 + labelled)), "labelled-f0-r1": list(held_out)}
        with reference.draft(self.root, "shards") as draft:
            entries = {}
            for name, numbers in groups.items():
                with shards.Writer(draft.folder, name, 1000) as writer:
                    for number in numbers:
                        fold = int(name[10])
                        writer.write(shards.Record(f"{name}/{number}", "ynn", 1.0, number, fold, 1, 1, 1, {}))
                    entries[name] = writer.close()
            content = {"attribute": "length", "classes": CLASSES, "groups": entries, "schema": 1, "views": ["plain"]}
            return draft.commit(content, {})


@pytest.fixture
def world(tmp_path):
    return make_world(tmp_path)


def make_world(folder, valid=600, pool=300, test=60):
    truth = np.random.default_rng(5).integers(0, 3, valid + pool + test)
    return World(str(folder), truth, {"valid": valid, "pool": pool, "test": test})
