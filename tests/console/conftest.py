"""A run of our pipeline in miniature: real references of eight pictures, and a real engine whose tasks hand them on."""

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kfp import compiler, dsl

from components.artifacts import ensembles, manifest, predictions, pseudo, reference, shards
from pipeline.engine.launch import ProcessLauncher
from pipeline.engine.runner import Engine
from pipeline.engine.store import Store
from pipeline.engine.tools import Pace

CLASSES = ("Short", "Knee", "Floor")
SKIRT = "skirt_length_labels"
TEACHER = {"d": [0.1, 0.8, 0.1], "e": [0.5, 0.3, 0.2], "q": [0.7, 0.2, 0.1], "r": [0.4, 0.35, 0.25]}
STUDENT = {"d": [0.1, 0.7, 0.2], "e": [0.2, 0.5, 0.3], "q": [0.6, 0.3, 0.1], "r": [0.3, 0.4, 0.3]}
# name, round, kind, label, fold, keep, group, reason
PICTURES = (
    ("a", 1, "labelled", "ynn", 1, True, 0, ""),
    ("b", 1, "labelled", "nyn", 1, True, 1, ""),
    ("c", 1, "labelled", "ynn", 1, False, 0, "exact duplicate: an equal picture with the same label is kept"),
    ("d", 2, "labelled", "ynn", 0, True, 2, ""),
    ("e", 2, "labelled", "ymn", 0, True, 3, ""),
    ("q", 2, "test", "", -1, True, 4, ""),
    ("r", 2, "test", "", -1, True, 5, ""),
    ("gone", 2, "pool", "", -1, True, 6, ""),
)


def name_of(letter: str) -> str:
    return f"Images/{SKIRT}/{letter}.png"


@dataclass
class World:
    """A state folder with its data root; every method adds something real to it and answers its reference."""

    state_dir: Path
    rounds: list[dict[str, str]] = field(default_factory=list)

    @property
    def data_root(self) -> str:
        return str(self.state_dir / "data")

    def commit(self, kind: str, content: Mapping[str, Any], write: Callable[[Path], None] = lambda _: None) -> str:
        with reference.draft(self.data_root, kind) as draft:
            write(draft.folder)
            return draft.commit(dict(content), {"step": "test"})

    def pictures(self) -> None:
        """The files of both rounds; picture `gone` has none."""
        for number in (1, 2):
            self.rounds.append({"name": f"round{number}", "uri": str(self.state_dir / f"round{number}")})
        for place, (letter, number, *_) in enumerate(PICTURES[:-1]):
            target = self.state_dir / f"round{number}" / name_of(letter)
            target.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(target), np.full((90, 60, 3), 20 * place, np.uint8))

    def manifest(self) -> str:
        rows = [_row(*picture) for picture in PICTURES]
        refused = [("round1/label.csv", 7, name_of("z"), SKIRT, "truncated JPEG")]
        pair = (name_of("a"), name_of("c"), 1, 1, "exact", 0, "yes", "")

        def write(folder: Path) -> None:
            manifest.write(pd.DataFrame(rows), folder / manifest.FILE)
            for lines, schema, file in (
                (refused, manifest.REJECTED_SCHEMA, manifest.REJECTED_FILE),
                ([pair], manifest.DUPLICATES_SCHEMA, manifest.DUPLICATES_FILE),
            ):
                manifest.write(pd.DataFrame(lines, columns=schema.names), folder / file, schema)

        about = {"classes": list(CLASSES), "ordinal": True}
        rounds = [{"name": one["name"], "digest": ""} for one in self.rounds]
        return self.commit("manifests", {"attributes": {SKIRT: about}, "rounds": rounds, "folds": 2}, write)

    def shards(self) -> str:
        groups: dict[str, Any] = {}

        def write(folder: Path) -> None:
            for letter, number, kind, label, fold, keep, group, _ in PICTURES[:-1]:
                name = shards.group_name(kind, fold, number)
                views = {view: bytes([40 + 100 * at] * 192) for at, view in enumerate(("plain", "flip"))}
                record = shards.Record(name_of(letter), label, 1.0, group, fold, number, 60, 90, views)
                if keep and name not in groups:
                    with shards.Writer(folder, name, 99) as writer:
                        decoy = shards.Record("x" + record.image_id, "", 1.0, 9, fold, number, 1, 1, views)
                        writer.write(decoy)
                        writer.write(record)
                        groups[name] = writer.close()

        with reference.draft(self.data_root, "shards") as draft:
            write(draft.folder)
            content = {"schema": 1, "attribute": SKIRT, "classes": list(CLASSES), "size_px": 8, "encoding": "raw"}
            return draft.commit({**content, "views": ["plain", "flip"], "groups": groups}, {"step": "test"})

    def predictions(self, phase: str, values: Mapping[str, Sequence[float]]) -> str:
        def write(folder: Path) -> None:
            frames = [_predicted("valid", values, "de"), _predicted("test", values, "qr")]
            predictions.write(pd.concat(frames, ignore_index=True), folder / predictions.FILE)

        about = {"attribute": SKIRT, "classes": list(CLASSES), "model": "cnn", "phase": phase, "fold": 0}
        made = {"checkpoint": self.checkpoint(phase), "view_weights": {"plain": 0.6, "flip": 0.4}}
        return self.commit("predictions", {**about, **made}, write)

    def checkpoint(self, phase: str) -> str:
        return self.commit("checkpoints", {"backbone": "tiny_cnn", "phase": phase}).rsplit("/", 1)[-1]

    def ensemble(self, member: str, values: Mapping[str, Sequence[float]] = TEACHER) -> str:
        def write(folder: Path) -> None:
            rows = [
                (name_of(p[0]), "valid" if p[3] else "test", p[3], p[6], list(values[p[0]]))
                for p in PICTURES
                if p[0] in values
            ]
            table = pa.Table.from_pandas(pd.DataFrame(rows, columns=ensembles.SCHEMA.names), schema=ensembles.SCHEMA)
            pq.write_table(table, folder / ensembles.FILE)

        about = {"attribute": SKIRT, "classes": list(CLASSES), "method": "equal", "generation": "teachers"}
        members = {"members": {"cnn round2": member.rsplit("/", 1)[-1]}, "weights": {"cnn round2": 1.0}}
        return self.commit("ensembles", {**about, **members}, write)

    def pseudo(self, teacher: str) -> str:
        def write(folder: Path) -> None:
            rows = [(name_of("q"), "test", TEACHER["q"], 0.5, 0.7, 0)]
            table = pa.Table.from_pandas(pd.DataFrame(rows, columns=pseudo.SCHEMA.names), schema=pseudo.SCHEMA)
            pq.write_table(table, folder / pseudo.FILE)

        gate = {"passed": True, "precision": 0.9, "low": 0.6, "high": 1.0, "min_precision": 0.5, "rows": 11}
        per_class = [{"class": name, "threshold": 0.65} for name in CLASSES]
        taught = {"predictions": [teacher.rsplit("/", 1)[-1]], "threshold": 0.6}
        content = {"attribute": SKIRT, "gate": {**gate, "reason": "precise enough"}, "per_class": per_class, **taught}
        return self.commit("pseudo", content, write)

    def report(self, ensemble: str, ap: float = 0.9) -> str:
        def write(folder: Path) -> None:
            score = {"ap": {"value": ap, "low": ap - 0.1, "high": ap + 0.05}}
            (folder / "scores.json").write_text(json.dumps({"attributes": {SKIRT: score}}))
            lines = [f"{name_of(letter)},{SKIRT},{';'.join(map(str, TEACHER[letter]))}\n" for letter in "rq"]
            (folder / "submission.csv").write_text("".join(lines))
            issues = {"attribute": [SKIRT], "rank": [1], "image_id": [name_of("d")]}
            pd.DataFrame(issues).to_parquet(folder / "label_issues.parquet")

        return self.commit("reports", {"ensembles": {SKIRT: ensemble.rsplit("/", 1)[-1]}, "ap": ap}, write)

    def whole(self) -> dict[str, str]:
        """Everything that a run makes, by the name of the task that hands it on."""
        self.pictures()
        teacher, student = self.predictions("round2", TEACHER), self.predictions("student", STUDENT)
        ensemble = self.ensemble(teacher)
        return {
            "ingest": self.manifest(),
            "preprocess": self.shards(),
            "predict": teacher,
            "predict-2": student,
            "pseudo-label": self.pseudo(teacher),
            "ensemble": ensemble,
            "report": self.report(ensemble),
        }

    def run(self, made: Mapping[str, str]) -> str:
        """A run whose tasks hand these references on."""
        store = Store.open(self.state_dir)
        engine = Engine(store, ProcessLauncher(), pace=Pace(0.02, 1.0))
        parameters = {"data_root": self.data_root, "rounds": self.rounds}
        run_id = engine.create_run(_ir(self.state_dir, made), parameters, name="small")
        engine.execute(run_id)
        return run_id


def _row(
    letter: str, number: int, kind: str, label: str, fold: int, keep: bool, group: int, reason: str
) -> dict[str, Any]:
    twin = "a" if letter == "c" else letter
    pixels = {"pixels": f"sha-{twin}", "phash": 1, "width": 60, "height": 90}
    about = {"image_id": name_of(letter), "attribute": SKIRT, "round": number, "kind": kind, "path": name_of(letter)}
    used = {"group": group, "fold": fold, "keep": keep, "reason": reason, "weight": 1.0}
    return {**about, **pixels, **used, "label": label, "source_label": "nyn" if letter == "e" else label}


def _predicted(split: str, values: Mapping[str, Sequence[float]], letters: str) -> pd.DataFrame:
    rows = [picture for picture in PICTURES if picture[0] in letters]
    one = np.array([[values[picture[0]] for picture in rows]] * 3)
    about = predictions.Pictures(
        [name_of(p[0]) for p in rows],
        [p[3] for p in rows],
        np.array([p[6] for p in rows], np.int64),
        np.array([p[4] for p in rows], np.int8),
        np.array([p[1] for p in rows], np.int8),
    )
    return predictions.frame_of(split, about, ["plain", "flip", "mean"], one, np.zeros_like(one))


OUTPUT_OF = {
    "ingest": "manifest",
    "preprocess": "shards",
    "predict": "predictions",
    "predict-2": "predictions",
    "pseudo-label": "pseudo",
    "ensemble": "ensemble",
    "report": "report",
}


def _hand_on(task: str, output: str) -> Any:
    """A step that writes the text it is given into its output."""

    def spec(value: Any, target: Any) -> dsl.ContainerSpec:
        line = 'mkdir -p "$(dirname "$1")" && printf %s "$0" > "$1"'
        return dsl.ContainerSpec(image="img:1", command=["sh", "-c", line], args=[value, target])

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    annotations = {"value": str, output: dsl.OutputPath(str)}
    spec.__name__ = task.removesuffix("-2").replace("-", "_")
    spec.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, kind, annotation=annotation) for name, annotation in annotations.items()]
    )
    return dsl.container_component(spec)


def _ir(folder: Path, made: Mapping[str, str]) -> str:
    """A pipeline with a task for each name; it writes the reference where its output is expected."""
    steps = {output: _hand_on(task, output) for task, output in reversed(OUTPUT_OF.items())}

    @dsl.pipeline(name="small")
    def small(data_root: str, rounds: list):
        for task, where in made.items():
            steps[OUTPUT_OF[task]](value=where)

    target = folder / "small.yaml"
    compiler.Compiler().compile(small, str(target))
    return target.read_text()


@pytest.fixture
def world(tmp_path: Path) -> World:
    Store.open(tmp_path / "state").close()
    return World(tmp_path / "state")


@pytest.fixture
def store(world: World) -> Store:
    return Store.open(world.state_dir)
