"""A recipe on this machine: data -> compiled pipeline -> run in the embedded engine -> where the results lie."""

import functools
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from components.artifacts import reference, storage
from pipeline import launchers, recipe_loops, rounds, strict_kfp
from pipeline.engine import process
from pipeline.engine.budget import Demand
from pipeline.engine.reader import Reader
from pipeline.engine.records import Run
from pipeline.engine.runner import Engine
from pipeline.engine.states import RunState
from pipeline.engine.store import Store
from pipeline.engine.tools import Hooks
from pipeline.errors import RecipeError
from pipeline.recipe import Recipe, dataset_arguments

REFERENCE = re.compile(rf"^.+/({'|'.join(reference.KINDS)})/[0-9a-f]{{32}}$")
MOST_THREADS = 64  # a step given thousands does nothing but switch between them
REPORT_RESULT = ("report", "report")  # task name, output parameter


@dataclass(frozen=True)
class Results:
    """Where the results of a finished run of our pipeline lie, as local paths or gs:// addresses.

    `submission` is empty where the data asks no questions.
    """

    submission: str
    report: str
    scores: dict[str, Any]


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
        still_valid=references_exist,
        environment=environment,
    )
    hooks = replace(hooks, admit=strict_kfp.refuse) if strict else hooks
    return Engine(store, place.launcher, budget=place.budget, hooks=hooks, pace=place.pace)


def prepare(recipe: Recipe, data: str, state_dir: Path) -> tuple[dict[str, Any], str]:
    """The parameters that a run on this machine needs beside the recipe's own, and the path of the hidden answers.

    Raises:
        RecipeError: neither `--data` nor the recipe says where the rounds are, or they have none of its attributes.
    """
    answers = ""
    if data:
        found = rounds.discover(data)
    elif recipe.data.dataset:
        from pipeline.datasets import registry  # draws pictures, which a command that only looks need not wait for

        made = registry.build(recipe.data.dataset, state_dir.resolve() / "datasets", dataset_arguments(recipe))
        found = [rounds.describe(r["name"], r["uri"]) for r in made.rounds]
        answers = str(made.answers)
    elif recipe.data.rounds:
        found = [rounds.describe(f"round{i}", _absolute(uri)) for i, uri in enumerate(recipe.data.rounds, start=1)]
    else:
        raise RecipeError("no data: give --data DIR, or [data] rounds or dataset in the recipe")
    return parameters(recipe, found, state_dir), answers


def parameters(recipe: Recipe, found: list[dict[str, Any]], state_dir: Path) -> dict[str, Any]:
    """The parameters that a run on these rounds needs beside the recipe's own.

    Raises:
        RecipeError: the rounds have none of the recipe's attributes.
    """
    data_root = _absolute(recipe.head.data_root or str(state_dir / "data"))
    attributes = _present(recipe, found)
    for_tasks = functools.partial(recipe_loops.for_tasks, generations=recipe.generations)
    given = {"rounds": found, "data_root": data_root, "attributes": for_tasks("attributes", attributes)}
    if recipe.generations.start == "champion":
        names = [item["name"] for item in attributes]
        from pipeline import champion_start

        given["models"] = for_tasks("models", champion_start.offered(data_root, names, recipe.models))
    return given


def left_out(recipe: Recipe, given: Mapping[str, Any]) -> list[str]:
    """The recipe's attributes that `prepare` found no trace of in the data."""
    present = {item["name"] for item in given["attributes"]}
    return [item["name"] for item in recipe.attributes if item["name"] not in present]


def _absolute(address: str) -> str:
    """A local path seen from the root: steps run in folders of their own."""
    return address if storage.is_remote(address) else str(Path(address).resolve())


def _present(recipe: Recipe, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The recipe's attributes that the data has: any subset of a contest's attributes makes a run."""
    in_data = rounds.attributes_in(found)
    wanted = [item for item in recipe.attributes if not in_data or item["name"] in in_data]
    if not wanted:
        names = ", ".join(item["name"] for item in recipe.attributes)
        raise RecipeError(f"the data has {', '.join(sorted(in_data))}, the recipe wants {names}: nothing to learn")
    return wanted


def interrupted(run: Run) -> bool:
    """Whether the process that executed the run is gone although the run has not ended; `retry` goes on with it."""
    return run.state in (RunState.RUNNING, RunState.CANCELING) and not process.is_alive(run.executor)


def results(reader: Reader, run_id: str) -> Results | None:
    """The results of a run, or None for a pipeline that has no report of ours or has not come so far."""
    task_name, parameter = REPORT_RESULT
    made = [t.outputs.parameters.get(parameter) for t in reader.tasks(run_id) if t.name == task_name]
    where = next((str(value) for value in made if value), "")
    if not where or not references_exist({parameter: where}):
        return None
    submission = storage.join(where, "submission.csv")
    return Results(
        submission=submission if storage.size(submission) else "",
        report=storage.join(where, "report.html"),
        scores=json.loads(storage.read_bytes(storage.join(where, "scores.json"))),
    )


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
