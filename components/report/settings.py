"""Turns the ensembles of a run into one self-contained page, machine-readable scores and the submission."""

from dataclasses import dataclass

from components.knobs import given, knob


@dataclass(frozen=True)
class Inputs:
    manifest: str = given("reference of the manifest")
    ensembles: list[str] = given("references of the ensembles, one for each attribute")
    rounds: list[dict] = given("rounds of data, oldest first: name, uri, digest; the pictures are read from here")  # type: ignore[type-arg]
    data_root: str = given("folder or gs:// address of all references")
    seed: int = given("seed of the bootstrap", 0)


@dataclass(frozen=True)
class Settings:
    resamples: int = knob(1000, "bootstrap resamples for each interval", at_least=100, at_most=100_000)
    bins: int = knob(15, "bins of the reliability diagram and of ECE", at_least=2, at_most=100)
    precisions: list[float] = knob(
        [0.9, 0.95, 0.98, 0.99], "precisions at which coverage is reported", at_least=0.0, at_most=1.0
    )
    per_question: int = knob(
        20, "pictures for each class and question in questions_answers.parquet", at_least=1, at_most=1000
    )
    grid_pictures: int = knob(8, "pictures for each class and question on the page", at_least=0, at_most=100)
    issue_filter: str = knob(
        "prune_by_noise_rate",
        "how cleanlab picks labels that look wrong",
        choices=("prune_by_noise_rate", "prune_by_class", "both", "confident_learning", "predicted_neq_given"),
    )
    issue_pictures: int = knob(24, "label issues for each attribute on the page", at_least=0, at_most=500)
    thumbnail_px: int = knob(112, "longest side of a picture on the page", unit="px", at_least=32, at_most=512)
    thumbnail_quality: int = knob(72, "JPEG quality of the pictures on the page", at_least=1, at_most=100)
    picture_kilobytes: int = knob(
        4500,
        "room for pictures on the page; the highest ranks of every grid come first",
        unit="kB",
        at_least=0,
        at_most=100_000,
    )


RESULTS = {"report": "reference of the report: page, scores, submission, label issues, the three questions"}
ARTIFACTS = {
    "report_page": ("HTML", "the page: one file, no outside requests"),
    "submission": ("Dataset", "submission.csv in the order of the question file"),
    "metrics": ("Metrics", "mAP, BasicPrecision and accuracy with intervals, in total and for each attribute"),
}
