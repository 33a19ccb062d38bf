"""Labels unlabelled pictures with the averaged teachers, where validation says that they can be trusted.

The teachers' means over the views are averaged. Candidates are confident, balanced to the classes' prior, never a copy
of a validation picture, and none at all where the precision estimated on validation rows is too low.
"""

from dataclasses import dataclass
from typing import Any

from components.knobs import given, knob

RESULTS = {"pseudo": "reference of kind pseudo: pictures with soft targets and the teachers' checkpoints"}
ARTIFACTS = {"pseudo_report": ("HTML", "counts per class, thresholds, estimated precision, prior against selected")}


@dataclass(frozen=True)
class Inputs:
    """What the pipeline hands over."""

    shards: str = given("reference of kind shards of this attribute")
    predictions: list[str] = given("references of kind predictions, one for each teacher")
    checkpoints: list[str] = given("references of kind checkpoints: the teachers")
    attribute: dict[str, Any] = given("the attribute: name, optional knobs under `pseudo_label`")
    data_root: str = given("folder or gs:// address under which references lie", ".seamline/data")
    seed: int = given("of the resamples", 0)


@dataclass(frozen=True)
class Settings:
    """Knobs."""

    source: str = knob(
        "both", "pictures to label; test ones are flagged transductive", choices=("pool", "test", "both")
    )
    rule: str = knob("threshold", "what counts as confident", choices=("threshold", "percentile"))
    threshold: float = knob(0.9, "least confidence, rule threshold", at_least=0, at_most=1)
    percentile: float = knob(
        50.0, "most confident share of each class, rule percentile", unit="%", at_least=0, at_most=100
    )
    balance: float = knob(1.0, "cap of a class, times its prior share of the confident ones; 0: no cap", at_least=0)
    max_share: float = knob(1.0, "most pseudo rows, as a share of the labelled rows", at_least=0, at_most=10)
    weight: float = knob(0.5, "of a pseudo row in the loss", at_least=0, at_most=1)
    sharpening: float = knob(1.0, "temperature of the targets; 1: none, below 1: sharper", at_least=0.05, at_most=1)
    min_precision: float = knob(
        0.9, "least precision: lower end of its interval, on validation rows", at_least=0, at_most=1
    )
    min_valid: int = knob(10, "least validation rows as confident; fewer give no estimate", unit="rows", at_least=1)
    resamples: int = knob(1000, "of the bootstrap", at_least=100, at_most=100_000)
