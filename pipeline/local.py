"""A recipe on this machine: data -> compiled pipeline -> run in the embedded engine -> where the results lie."""

import functools
import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from components.artifacts import reference, storage
from pipeline import launchers, named_files, recipe_loops, rounds, strict_kfp, study_table
from pipeline.engine import process
from pipeline.engine.budget import Demand
from pipeline.engine.reader import Reader
from pipeline.engine.records import Run, Task
from pipeline.engine.runner import Engine
from pipeline.engine.states import RunState, TaskState
from pipeline.engine.store import Store
from pipeline.engine.tools import Hooks
from pipeline.errors import RecipeError
from pipeline.recipe import Recipe, dataset_arguments
from pipeline.recipe_steps import ROUNDS, SOURCE

REFERENCE = re.compile(rf"^.+/({'|'.join(reference.KINDS)})/[0-9a-f]{{32}}$")
MOST_THREADS = 64  # a step given thousands does nothing but switch between them


@dataclass(frozen=True)
class Headline:
    """The number that a run is known by, with its interval where there is one, and what it was measured on."""

    name: str
    value: float
    on: str
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Results:
    """Where the results of a finished run of our pipeline lie, as local paths or gs:// addresses.

    Attributes:
        report: the page.
        scores: all numbers.
        headline: the one of them to show first; None where nothing could be measured.
        submission: empty where the data asks no questions; None where the pipeline makes no submission.
        table: of a study: its variants, for people.
    """

    report: str
    scores: dict[str, Any]
    headline: Headline | None
    submission: str | None = None
    table: str = ""


def open_engine(state_dir: Path, must_exist: bool = False, launcher: str = "process", strict: bool = False) -> Engine:
    """The engine over a state folder with our notions of code identity and of references that still exist.

    Args:
        state_dir: the state folder.
        must_exist: refuse a folder in which no run was ever made.
        launcher: where steps run, one of `launchers.NAMES`.
        strict: admit no pipeline that Kubeflow Pipelines could not run.

    Raises:
        StateError: the folder cannot be used, or `must_exist` and no run was ever made there.
    """
    if must_exist:
        Store.open(state_dir, read_only=True).close()
    return make_engine(Store.open(state_dir), launcher, strict)


def make_engine(store: Store, launcher: str = "process", strict: bool = False) -> Engine:
    """The engine over an open state folder, with our notions of code identity and of references that still exist."""
    place = launchers.place(launcher, store.directory)
    hooks = Hooks(
        code_identity=place.code_identity,
        image_identity=place.image_identity,
        pinned=place.pinned,
        still_valid=references_exist,
        environment=environment,
    )
    hooks = replace(hooks, admit=strict_kfp.refuse) if strict else hooks
    return Engine(store, place.launcher, budget=place.budget, hooks=hooks, pace=place.pace)


def prepare(recipe: Recipe, data: str, state_dir: Path) -> tuple[dict[str, Any], str]:
    """The parameters that a run on this machine needs beside the recipe's own, and the path of the hidden answers.

    Raises:
        RecipeError: neither `--data` nor the recipe says where the rounds are, or they have none of its attributes, or
            the data set has other classes; or the data is one folder, and is not there; or the data root cannot be a
            folder.
    """
    data_root = _data_root(recipe, state_dir)  # refused before the data is drawn
    if recipe.pipeline.data == SOURCE:
        where = {SOURCE: _source(recipe, data, state_dir), "data_root": data_root}
        return where | named_files.of_recipe(recipe, where), ""
    answers = ""
    if data:
        found = rounds.discover(data)
    elif recipe.data.dataset:
        from pipeline.datasets import registry  # draws pictures, which a command that only looks need not wait for

        made = registry.build(recipe.data.dataset, _datasets(state_dir), dataset_arguments(recipe))
        found = [rounds.describe(r["name"], r["uri"]) for r in made.rounds]
        answers = str(made.answers)
        if recipe.data.dataset in registry.NAMES_CLASSES:
            recipe = replace(recipe, attributes=recipe_loops.with_classes(recipe, made.attributes))
    elif recipe.data.rounds:
        found = [rounds.describe(f"round{i}", absolute(uri)) for i, uri in enumerate(recipe.data.rounds, start=1)]
    else:
        raise RecipeError("no data: give --data DIR, or [data] rounds or dataset in the recipe")
    return parameters(recipe, found, state_dir), answers


def _source(recipe: Recipe, data: str, state_dir: Path) -> str:
    """The folder or address of the data of a recipe that knows no rounds; empty where its settings name all files."""
    if recipe.data.dataset and not data:
        from pipeline.datasets import registry

        return str(registry.made(recipe.data.dataset, _datasets(state_dir), dataset_arguments(recipe)))
    given = data or recipe.data.source
    if given and not storage.is_remote(given) and not Path(given).is_dir():
        raise RecipeError(f"{given} is no folder of this machine; give the one that holds the data's files")
    return absolute(given) if given else ""


def _datasets(state_dir: Path) -> Path:
    return state_dir.resolve() / "datasets"


def _data_root(recipe: Recipe, state_dir: Path) -> str:
    root = absolute(recipe.head.data_root or str(state_dir / "data"))
    if not storage.is_remote(root) and any(place.is_file() for place in (Path(root), *Path(root).parents)):
        raise RecipeError(f"data_root={recipe.head.data_root} is, or lies in, a file; give a folder")
    return root


def parameters(recipe: Recipe, found: list[dict[str, Any]], state_dir: Path) -> dict[str, Any]:
    """The parameters that a run on these rounds needs beside the recipe's own.

    Raises:
        RecipeError: the rounds have none of the recipe's attributes.
        DataError: the recipe names files on gs://, which cannot be asked.
    """
    data_root = _data_root(recipe, state_dir)
    attributes = _present(recipe, found)
    for_tasks = functools.partial(recipe_loops.for_tasks, generations=recipe.generations)
    given = {ROUNDS: found, "data_root": data_root, "attributes": for_tasks("attributes", attributes)}
    if recipe.generations.start == "champion":
        names = [item["name"] for item in attributes]
        from pipeline import champion_start

        given["models"] = for_tasks("models", champion_start.offered(data_root, names, recipe.models))
    return given | named_files.of_recipe(recipe, given)


def left_out(recipe: Recipe, given: Mapping[str, Any]) -> list[str]:
    """The recipe's attributes that `prepare` found no trace of in the data."""
    present = {item["name"] for item in given.get("attributes", [])}
    return [item["name"] for item in recipe.attributes if item["name"] not in present]


def absolute(address: str) -> str:
    """A local path seen from the root: steps run in folders of their own."""
    return address if storage.is_remote(address) else str(Path(address).resolve())


def _present(recipe: Recipe, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The recipe's attributes that the data has: any subset of a contest's attributes makes a run."""
    in_data = rounds.attributes_in(found)
    wanted = recipe_loops.present(recipe, in_data)
    if not wanted:
        names = ", ".join(item["name"] for item in recipe.attributes)
        raise RecipeError(f"the data has {', '.join(sorted(in_data))}, the recipe wants {names}: nothing to learn")
    return wanted


def interrupted(run: Run) -> bool:
    """Whether the process that executed the run is gone although the run has not ended; `retry` goes on with it."""
    return run.state in (RunState.RUNNING, RunState.CANCELING) and not process.is_alive(run.executor)


def results(reader: Reader, run_id: str) -> Results | None:
    """The results of a run, or None for a pipeline that has no report of ours or has not come so far."""
    for task in reader.tasks(run_id):
        if task.name in _RESULTS_OF and task.state is TaskState.SUCCEEDED:
            return _RESULTS_OF[task.name](task)
    return None


def _of_report(task: Task) -> Results | None:
    where = str(task.outputs.parameters["report"])
    if not references_exist({"report": where}):
        return None
    submission = storage.join(where, "submission.csv")
    scores = json.loads(storage.read_bytes(storage.join(where, "scores.json")))
    total = scores["total"].get("map") or {"value": None}
    known = total["value"] is not None
    headline = Headline("mAP", total["value"], "validation", (total["low"], total["high"])) if known else None
    found = submission if storage.size(submission) else ""
    return Results(storage.join(where, "report.html"), scores, headline, found)


def _of_detect_test(task: Task) -> Results | None:
    page, metrics = (task.outputs.artifacts[name][0] for name in ("page", "metrics"))
    if not storage.exists(page.uri):
        return None
    ap50, numbers = float(str(task.outputs.parameters["ap50"])), dict(metrics.metadata)
    split = str(task.inputs.parameters.get("split", "test"))
    has_interval = {"ap50_low", "ap50_high"} <= numbers.keys()  # runs of before it was measured have none
    interval = (float(numbers["ap50_low"]), float(numbers["ap50_high"])) if has_interval else None
    return Results(page.uri, numbers, None if math.isnan(ap50) else Headline("AP50", ap50, split, interval))


def _of_study(task: Task) -> Results | None:
    where = str(task.outputs.parameters["study"])
    if not references_exist({"study": where}):
        return None
    found = json.loads(storage.read_bytes(storage.join(where, "study.json")))
    return Results(storage.join(where, "study.html"), found, None, table=study_table.render(found))


_RESULTS_OF = {"report": _of_report, "detect-test": _of_detect_test, "study": _of_study}


def references_exist(outputs: Mapping[str, Any]) -> bool:
    """Whether all references among the values still exist: a cached task whose bytes are gone must run again."""
    found = [value for value in outputs.values() if isinstance(value, str) and REFERENCE.match(value)]
    return all(storage.exists(storage.join(value, reference.INDEX)) for value in found)


def environment(demand: Demand) -> dict[str, str]:
    """As many threads as the task has CPU slots: more would crowd its neighbours, and sums would depend on luck.

    A task that asks for no GPU sees none: it must not take one from a task that does.
    """
    threads = str(max(1, min(int(demand.cpu_slots), MOST_THREADS)))
    limits = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "NUMBA_NUM_THREADS")
    quiet = {"TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "2"), "PYTHONUNBUFFERED": "1"}
    hidden = {} if demand.gpus else {"CUDA_VISIBLE_DEVICES": "-1"}
    return dict.fromkeys(limits, threads) | quiet | hidden
