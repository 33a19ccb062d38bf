"""Splits the pictures into training, validation and test; what shows the same stays together."""

from dataclasses import dataclass

from components.knobs import given, knob


@dataclass(frozen=True)
class Inputs:
    prepared: str = given("reference of the boxes with their prepared pictures")
    data_root: str = given("folder or gs:// address of all references")
    seed: int = given("another seed, another split", 0)


@dataclass(frozen=True)
class Settings:
    train_share: float = knob(0.8, "share of pictures to learn from", at_least=0, at_most=1)
    validation_share: float = knob(0.1, "share of pictures to watch the training by", at_least=0, at_most=1)

    def contradiction(self) -> str:
        """Which knob does not go with another, and why; empty when all do."""
        if self.train_share + self.validation_share > 1 + 1e-9:
            total = self.train_share + self.validation_share
            return f"train_share and validation_share add up to {total:g}; give at most 1, the rest is for the test"
        if not self.train_share:
            return "train_share=0 leaves no picture to learn from; give more than 0"
        if self.train_share + self.validation_share > 1 - 1e-9:
            given = f"train_share={self.train_share:g} and validation_share={self.validation_share:g}"
            return f"{given} leave no picture for the test; lower one of them"
        return ""


RESULTS = {"boxes": "reference of the boxes with every picture's split"}
ARTIFACTS = {
    "split_page": ("HTML", "pictures, boxes and duplicate groups of each split"),
    "metrics": ("Metrics", "pictures and boxes of each split"),
}
