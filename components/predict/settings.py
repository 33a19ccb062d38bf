"""Predicts validation, pool and test pictures with one model, averaged over the views of the shards.

The weights of the views are fitted on validation rows and checked out of fold; where they lose, all weigh the same.
"""

from dataclasses import dataclass
from typing import Any

from components.knobs import given, knob

RESULTS = {"predictions": "reference of kind predictions: every view and the weighted mean of every picture"}
ARTIFACTS = {"metrics": ("Metrics", "plain view against the mean of the views on validation rows, calibration")}


@dataclass(frozen=True)
class Inputs:
    """What the pipeline hands over."""

    shards: str = given("reference of kind shards of this attribute")
    checkpoint: str = given("reference of kind checkpoints: the model")
    attribute: dict[str, Any] = given("the attribute: name, optional knobs under `predict`")
    model: dict[str, Any] = given("the model: name, optional knobs under `predict`")
    data_root: str = given("folder or gs:// address under which references lie", ".seamline/data")
    seed: int = given("of halves and resamples", 0)


@dataclass(frozen=True)
class Settings:
    """Knobs."""

    views: list[str] = knob([], "views of the shards to average, plain among them; empty: all")
    splits: list[str] = knob(["valid", "pool", "test"], "what to predict", choices=("valid", "pool", "test"))
    valid_rounds: str = knob(
        "all",
        "rounds whose pictures of the fold judge; newest: nothing judges both a champion and the next round's model",
        choices=("all", "newest"),
    )
    weights: str = knob("fitted", "of the views; fitted ones are dropped where they lose", choices=("fitted", "equal"))
    mean: str = knob("arithmetic", "how views are averaged", choices=("arithmetic", "geometric"))
    temperature: bool = knob(True, "fit a temperature on validation rows and store it beside the predictions")
    resamples: int = knob(1000, "of the bootstrap", at_least=100, at_most=100_000)
    batch_size: int = knob(128, "of a forward pass, all views of a picture together", unit="rows", at_least=1)
    threads: int = knob(2, "pictures decoded at a time", at_least=1, at_most=256)

    def contradiction(self) -> str:
        """Which knob does not go with another, and why; empty when all do."""
        if self.views and "plain" not in self.views:
            return f"views={self.views} lacks plain, against which views are measured; add it"
        return ""
