"""Compares the variants of a study: size, time and metric over seeds, every difference with its interval.

A variant is a network with its settings, trained once for each seed. Differences are judged on validation pictures;
test pictures whose answers are known are reported and choose nothing.
"""

import re
from dataclasses import dataclass
from typing import Any

from components import knobs
from components.knobs import given, knob

RESULTS = {"study": "reference of kind studies: page, tables and the pictures of the networks"}
ARTIFACTS = {
    "page": ("HTML", "the progress table, every difference with its interval, the networks drawn"),
    "table": ("Dataset", "study.csv: one row a variant"),
    "metrics": ("Metrics", "of every variant the mean over its seeds"),
}


_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")  # it names a file


@dataclass(frozen=True)
class ListedModel:
    """One training of a variant."""

    name: str = given("as its predictions have it")
    seed: int = given("of its training")


@dataclass(frozen=True)
class ListedVariant:
    """An element of the knob `variants`."""

    name: str = given("at most 100 letters, digits, _ . -")
    models: list[dict[str, Any]] = given("its trainings: name and seed of each")
    notes: str = knob("", "for people")
    changes: dict[str, Any] = knob({}, "what it changes: knob to value")


@dataclass(frozen=True)
class Inputs:
    """What the pipeline hands over."""

    predictions: list[str] = given("references of kind predictions, one for each attribute and model")
    data_root: str = given("folder or gs:// address under which references lie", ".seamline/data")
    seed: int = given("of the resamples", 0)


@dataclass(frozen=True)
class Settings:
    """Knobs."""

    variants: list[dict[str, Any]] = knob(
        [], "name, notes, changes (knob to value) and models (`{name, seed}`) of each; empty: each model is one"
    )
    base: str = knob("", "variant that the others are measured against; empty: the first")
    metric: str = knob("accuracy", "what the variants are judged by", choices=("accuracy", "ap", "basic_precision"))
    answers: str = knob(
        "", "CSV with the labels of test pictures, local or gs://, whose bytes never change; empty: not known"
    )
    resamples: int = knob(1000, "of the bootstrap", at_least=100, at_most=100_000)

    def listed(self) -> list[tuple[ListedVariant, list[ListedModel]]]:
        """The variants, each with its models. Raises SettingsError for one that is not made as it should be."""
        places = [(f"study.variants[{number}]", about) for number, about in enumerate(self.variants)]
        found = [(where, knobs.from_mapping(ListedVariant, about, where=where)) for where, about in places]
        return [
            (variant, [knobs.from_mapping(ListedModel, model, where=f"{where}.models") for model in variant.models])
            for where, variant in found
        ]

    def contradiction(self) -> str:
        """What is wrong with the variants; empty when nothing is."""
        names = []
        for variant, models in self.listed():
            names.append(variant.name)
            seeds = [model.seed for model in models]
            if not _PLAIN.fullmatch(variant.name) or names.count(variant.name) > 1:
                return (
                    f"variants has the name {variant.name!r}; give each its own, of at most 100 letters, digits, _ . -"
                )
            if not seeds or len(set(seeds)) < len(seeds):
                return f"variants: {variant.name} has the seeds {seeds}; give one or more, each once"
        if names and self.base not in ("", *names):
            return f"base={self.base!r} is no variant; give one of {', '.join(names)}"
        return ""
