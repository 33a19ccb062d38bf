"""Decides for each attribute whether the new ensemble replaces the champion; refuses a regression and a leak."""

from dataclasses import dataclass

from components.knobs import given, knob


@dataclass(frozen=True)
class Inputs:
    report: str = given("reference of the report that covers the ensembles")
    manifest: str = given("reference of the manifest the ensembles were trained on")
    ensembles: list[str] = given("references of the challengers, one for each attribute")
    data_root: str = given("folder or gs:// address of all references; the champions stand in it too")
    seed: int = given("seed of the bootstrap", 0)


@dataclass(frozen=True)
class Settings:
    policy: str = knob(
        "no_loss", "what a challenger must show: that it is no worse, or that it is better", choices=("no_loss", "gain")
    )
    metric: str = knob("ap", "what is compared", choices=("ap", "basic_precision", "accuracy"))
    resamples: int = knob(1000, "bootstrap resamples of the paired difference", at_least=100, at_most=100_000)
    min_overlap: int = knob(30, "validation pictures that champion and challenger must share", at_least=1)
    leak: str = knob(
        "refuse",
        "what follows when the challenger trained on pictures that validate the champion: refuse it, or leave them out",
        choices=("refuse", "exclude"),
    )


RESULTS = {"decision": "JSON: attribute to action (promoted, kept or refused), reason, difference, low, high"}
ARTIFACTS = {"decision_page": ("Markdown", "the decisions as a table with their reasons")}
