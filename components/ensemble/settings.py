"""Averages all models of an attribute as validation supports it, and says what each stage gained.

Fitted and greedy weights must beat equal ones out of fold, or equal ones are used. Students are kept unless the paired
interval shows that they lose against their teachers.
"""

from dataclasses import dataclass
from typing import Any

from components.knobs import given, knob

RESULTS = {"ensemble": "reference of kind ensembles: probabilities and the gain of every stage"}
ARTIFACTS = {"metrics": ("Metrics", "method, weights and metric of the ensemble")}


@dataclass(frozen=True)
class Inputs:
    """What the pipeline hands over."""

    attribute: dict[str, Any] = given("the attribute: name, optional knobs under `ensemble`")
    teachers: list[str] = given("references of kind predictions, one for each model")
    students: list[str] = given("references of kind predictions of the pseudo generation; may be empty", [])
    earlier: list[str] = given("references of kind checkpoints of round 1, for the gain table; may be empty", [])
    data_root: str = given("folder or gs:// address under which references lie", ".seamline/data")
    seed: int = given("of halves and resamples", 0)


@dataclass(frozen=True)
class Settings:
    """Knobs."""

    method: str = knob(
        "auto",
        "how models are averaged; all but equal and geometric only where they beat equal out of fold",
        choices=("auto", "equal", "geometric", "greedy", "fitted"),
    )
    generation: str = knob("auto", "whose predictions are used", choices=("auto", "teachers", "students", "both"))
    student_gate: str = knob(
        "gain",
        "what students must show against teachers to be used; gain: an interval above 0; no_loss: none below it",
        choices=("gain", "no_loss"),
    )
    greedy_steps: int = knob(30, "models drawn by the greedy method", at_least=1, at_most=1000)
    resamples: int = knob(1000, "of the bootstrap", at_least=100, at_most=100_000)
