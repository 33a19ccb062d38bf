"""Where the rounds of a run to come lie: what the recipe says, what a person gives, and what is found there."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path, PurePosixPath

from components.artifacts import storage
from components.errors import StepError
from pipeline import rounds
from pipeline.engine.records import Run
from pipeline.errors import PipelineError
from pipeline.recipe import Recipe
from pipeline.recipe_steps import ROUNDS, SOURCE
from pipeline.recipe_tables import Data
from pipeline.rounds import folders
from pipeline.server.domain.recipes import DataRound, Field, Form

_DATASETS = {name for f in fields(Data) if f.name == "dataset" for name in f.metadata["choices"] if name}
_IN_BRACKETS = re.compile(r"\(([^)]*)\)")
NOTHING: Mapping[str, list[object] | str] = {ROUNDS: [], SOURCE: ""}
"""By kind of data, what the parameter holds before anything is known."""


def said(recipe: Recipe) -> str:
    """What the recipe says about its data, in words."""
    data = recipe.data
    if data.dataset:
        return f"data set {data.dataset}, made before the run (data seed {data.seed})"
    if data.rounds:
        return f"rounds {', '.join(data.rounds)}"
    return (data.source or "the addresses in the settings") if recipe.pipeline.data == SOURCE else ""


def relevant(empty: Mapping[str, Field], data: Data) -> dict[str, Field]:
    """The fields of [data] that mean something for this recipe's data set: help has in brackets which those are."""
    meant = {name: _DATASETS & set(re.findall(r"\w+", str(_IN_BRACKETS.findall(f.help)))) for name, f in empty.items()}
    return {name: field for name, field in empty.items() if not meant[name] or data.dataset in meant[name]}


def of_run(run: Run, recipe: Recipe) -> str:
    """The folder that a run's rounds came from, where the recipe does not say it; empty where it cannot be told."""
    given = str(run.labels.get("data") or "")
    if given or recipe.data.dataset or recipe.data.rounds or recipe.pipeline.data != ROUNDS:
        return given
    addresses = {str(r.get("uri", "")) for r in run.parameters.get("rounds") or []}
    parents = {str(PurePosixPath(address).parent) for address in addresses}
    if len(addresses) == 1:
        return addresses.pop()
    return parents.pop() if len(parents) == 1 and not any(map(storage.is_remote, addresses)) else ""


def problem(address: str) -> str:
    """What is wrong with a folder or gs:// address, in a line; empty where it will do. Remote ones are not asked."""
    if storage.is_remote(address):
        return "" if address.startswith("gs://") and len(address) > len("gs://") else f"{address}: give gs://BUCKET/…"
    folder = Path(address).expanduser()
    if folder.is_dir():
        return "" if any(folder.iterdir()) else f"{address} is empty; give the folder that holds the rounds"
    if folder.is_file():
        return f"{address} is a file; give the folder that holds the rounds (unpack archives first)"
    return f"{address} does not exist on this machine; give a folder, or a gs:// address"


def found(address: str) -> list[DataRound]:
    """The rounds that a run would get, by names and sizes only. Raises PipelineError where there are none."""
    try:
        listed = folders.deliveries(address)
    except (StepError, OSError) as error:
        raise PipelineError(f"{address} cannot be listed: {error}") from error
    if not listed:
        raise PipelineError(f"{address} holds no files; give the folder that holds the rounds")
    first = [d for d in listed if d.folders]
    later = [d for d in listed if not d.folders]
    # Beside the contest's own folders `rounds.discover` takes the rest as one round.
    merged = [("round2", later)] if first and later else [(d.name, [d]) for d in later]
    return [_summed(name, of) for name, of in [*((d.name, [d]) for d in first), *merged]]


def _summed(name: str, deliveries: Sequence[folders.Delivery]) -> DataRound:
    entries = [entry for delivery in deliveries for entry in delivery.entries]
    return DataRound(name, deliveries[0].uri, len(entries), sum(entry.size or 0 for entry in entries))


def as_parameter(form: Form) -> list[dict[str, object]] | str:
    """The data that was given as the pipeline's parameter carries it; of rounds with digests: reads every file."""
    address = form.data if storage.is_remote(form.data) else str(Path(form.data).expanduser())
    return rounds.discover(address) if form.data_kind == ROUNDS else address
