"""Fills a state folder with runs as the console would find them after years, without executing anything.

The newest run is one of ours in full: eight attributes by three models, some of its tasks done, some running, one
failed. Keys and labels come from the engine's own unrolling of the compiled recipe.
"""

import random
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from pipeline import compile as compiling
from pipeline import recipe as recipes
from pipeline.engine import irtext
from pipeline.engine.database import to_json
from pipeline.engine.expand import expand
from pipeline.engine.failures import Failure, FailureKind
from pipeline.engine.fingerprint import digest_of_value
from pipeline.engine.records import Attempt, Metric, Run
from pipeline.engine.states import RunState, TaskState
from pipeline.engine.store import Store
from pipeline.engine.tree import Facts, Node
from pipeline.engine.values import Artifact, Values

ATTRIBUTES = (
    "skirt_length",
    "sleeve_length",
    "coat_length",
    "pant_length",
    "collar_design",
    "lapel_design",
    "neckline_design",
    "neck_design",
)
MODELS = ("InceptionResNetV2", "ResNet50V2", "EfficientNetV2-S")
MINUTE = 60.0


@cache
def _demo() -> tuple[str, dict[str, Any]]:
    """The demo recipe: its IR and its parameters. Compiling takes seconds."""
    recipe = recipes.load("demo")
    return compiling.compile_recipe(recipe), compiling.pipeline_parameters(recipe)


class Filler:
    """Writes runs of the demo recipe into a store.

    Args:
        store: an open state folder.
        now: the time at which everything was looked at.
        seed: of the drawn scores and times.
    """

    def __init__(self, store: Store, now: float, seed: int = 0) -> None:
        self._store = store
        self._now = now
        self._random = random.Random(seed)
        self.text, parameters = _demo()
        self.parameters: dict[str, Any] = parameters | {
            "rounds": [{"name": f"round{i}", "uri": f"/data/round{i}", "digest": f"{i:032x}"} for i in (1, 2)],
            "data_root": "/data/root",
        }

    def many(self, count: int, tasks_each: int = 12) -> None:
        """Runs that have ended, each with a few tasks; one in nine failed."""
        digest = digest_of_value(self.text)
        database = self._store.database
        with database.writing():
            if not database.rows("SELECT 1 FROM pipelines WHERE digest = ?", (digest,)):
                database.insert("pipelines", {"digest": digest, "text": self.text})
            for index in range(count):
                self._ended(index, count, digest, tasks_each)

    def _ended(self, index: int, count: int, digest: str, tasks_each: int) -> None:
        run_id, started = (
            str(uuid.UUID(int=self._random.getrandbits(128), version=4)),
            self._now - (count - index) * 37 * MINUTE,
        )
        failed, took = index % 9 == 4, self._random.uniform(2, 36) * MINUTE
        parameters = self.parameters | {
            "round1_epochs": 20 + index % 5,
            "seed": index % 3,
            "round2_learning_rate": (1 + index % 4) / 1000,
        }
        run = {
            "run_id": run_id,
            "name": ("demo", "fashionai", "nightly")[index % 3],
            "pipeline": "demo",
            "pipeline_digest": digest,
            "state": "FAILED" if failed else "SUCCEEDED",
            "created": started - 3,
            "started": started,
            "ended": started + took,
            "parameters_json": to_json(parameters),
            "labels_json": to_json({"recipe": ("demo", "recipes/fashionai.toml")[index % 2]}),
        }
        self._store.database.insert("runs", run)
        for number in range(tasks_each):
            self._small_task(run_id, number, started, took / tasks_each, failed and number == tasks_each - 1)

    def _small_task(self, run_id: str, number: int, started: float, took: float, failed: bool) -> None:
        is_report = number == 1
        value = self._random.uniform(0.8, 0.93)
        metrics = {"map": value, "map_low": value - 0.03, "map_high": value + 0.02} if is_report else {}
        outputs = (
            Values({}, {"metrics": (Artifact("metrics", "system.Metrics", "/x", metrics),)}) if metrics else Values()
        )
        key = "report" if is_report else f"for-loop-1({number})/preprocess"
        task = {
            "run_id": run_id,
            "key": key,
            "position": number,
            "label": f"attribute{number}/preprocess",
            "name": "report" if is_report else "train-round1",
            "kind": "task",
            "parent": "",
            "component": "comp",
            "state": "FAILED" if failed else "SUCCEEDED",
            "created": started,
            "reason": "exit code 1" if failed else "",
            "started": started + number * took,
            "ended": started + (number + 1) * took,
            "outputs_json": to_json(outputs.as_json()),
            "attempts": 1,
        }
        self._store.database.insert("tasks", task)

    def whole(
        self,
        done: Mapping[str, str] | None = None,
        attributes: Sequence[str] = ATTRIBUTES,
        models: Sequence[str] = MODELS,
        name: str = "fashionai",
    ) -> str:
        """One run with all tasks of the pipeline.

        Args:
            done: `attribute/model/task` or any end of a label -> state word; what is not named is succeeded for the
                first five attributes, and waiting for the others.
            attributes: without the ending `_labels`.
            models: names.
            name: of the run.

        Returns:
            Its id.
        """
        given = {"attributes": [{"name": f"{a}_labels"} for a in attributes], "models": [{"name": m} for m in models]}
        pipeline = irtext.read(self.text)
        parameters = irtext.fill_parameters(pipeline, self.parameters | given)
        run = Run(
            str(uuid.UUID(int=self._random.getrandbits(128), version=4)),
            name,
            "demo",
            RunState.PENDING,
            created=self._now - 65 * MINUTE,
            parameters=parameters,
            labels={"recipe": "recipes/fashionai.toml"},
        )
        self._store.add_run(run, self.text)
        self._store.move_run(run.run_id, RunState.RUNNING, self._now - 64 * MINUTE)
        tree = expand(pipeline, Facts(parameters))
        self._store.put_nodes(
            run.run_id, tree.nodes, {n.key: i for i, n in enumerate(tree.nodes)}, self._now - 64 * MINUTE
        )
        leaves = [n for n in tree.nodes if n.is_leaf]
        for place, node in enumerate(leaves):
            word = next((w for end, w in (done or {}).items() if node.label.endswith(end)), "")
            self._settle(run.run_id, node, word or self._usual(node, attributes), place / len(leaves))
        return run.run_id

    def _usual(self, node: Node, attributes: Sequence[str]) -> str:
        begun = {f"{a}_labels" for a in attributes[:5]}
        return "succeeded" if node.name == "ingest" or node.label.partition("/")[0] in begun else "waiting"

    def _settle(self, run_id: str, node: Node, word: str, share: float) -> None:
        if word in ("", "waiting"):
            return
        started = self._now - (62 - 55 * share) * MINUTE
        if word == "reused":
            outputs = self._outputs(node)
            self._store.move_task(
                run_id,
                node.key,
                TaskState.SUCCEEDED,
                started,
                cached=True,
                origin=(run_id, node.key),
                outputs=outputs,
                explanation="cached: same inputs as before",
            )
            return
        attempt = Attempt(run_id, node.key, 1, TaskState.RUNNING, f"/tmp/none/{run_id}/{node.key}", started=started)
        self._store.begin_attempt(attempt, explanation="not cached: never run before")
        if word == "running":
            points = [Metric(run_id, node.key, 1, started + s, s, {"valid_map": 0.6 + 0.03 * s}) for s in range(1, 6)]
            self._store.advance_log(attempt, 1000, {"done": 5120, "total": 8224, "unit": "pictures"}, points)
            return
        took = self._random.uniform(20, 300)
        usage = {"cpu_s": took * 1.4, "max_rss_bytes": 900_000_000}
        if word == "failed":
            failure = Failure(
                FailureKind.OUT_OF_MEMORY,
                "out of memory: killed by SIGKILL (it used 11.6 GiB of its limit of 12.0 GiB)",
                "raise its memory limit, or lower the batch size",
            )
            ended = replace(
                attempt, state=TaskState.FAILED, exit_code=-9, reason="killed by SIGKILL", usage=usage, failure=failure
            )
            self._store.end_attempt(ended, TaskState.FAILED, started + took, "killed by SIGKILL")
            return
        ended = replace(attempt, state=TaskState.SUCCEEDED, exit_code=0, usage=usage)
        self._store.end_attempt(ended, TaskState.SUCCEEDED, started + took, outputs=self._outputs(node))

    def _outputs(self, node: Node) -> Values:
        value = self._random.uniform(0.78, 0.95)
        metrics = {"valid_map": value, "ap": value}
        artifacts = {"metrics": (Artifact("metrics", "system.Metrics", "/x", metrics),)}
        if node.name == "pseudo-label":
            artifacts["pseudo_report"] = (Artifact("pseudo_report", "system.HTML", "/x", {"rows": int(2000 * value)}),)
        return Values({}, artifacts)
