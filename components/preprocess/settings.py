"""Turns one attribute's pictures into shards: decoded, upright, padded to a square, resized, in all their views."""

from dataclasses import dataclass

from components.knobs import given, knob

VIEWS = (
    "plain",
    "flip",
    "equalise",
    "flip_equalise",
    "stretch",
    "rotate_left",
    "rotate_right",
    "shift",
    "scale",
    "noise",
    "face",
)

BACKGROUNDS = {"black": 0, "grey": 128, "white": 255}


@dataclass(frozen=True)
class Inputs:
    manifest: str = given("reference of the manifest")
    rounds: list[dict] = given("rounds of data, oldest first: name, uri, digest; pictures are read from their uri")  # type: ignore[type-arg]
    attribute: dict = given("the attribute: name, and its own knobs in the table preprocess")  # type: ignore[type-arg]
    data_root: str = given("folder or gs:// address of all references")
    seed: int = given("seed of the noise view", 0)


@dataclass(frozen=True)
class Settings:
    size_px: int = knob(299, "side of the square", unit="px", at_least=28, at_most=600)
    views: list[str] = knob(
        ["plain", "flip"], "views, for training and for prediction; plain is always one", choices=VIEWS
    )
    encoding: str = knob(
        "jpeg", "how views are stored; png and raw keep every bit, for small pictures", choices=("jpeg", "png", "raw")
    )
    quality: int = knob(95, "JPEG quality of stored views (chroma is not subsampled)", at_least=50, at_most=100)
    background: str = knob(
        "black", "what transparent parts of a picture become; padding is black", choices=tuple(BACKGROUNDS)
    )
    records_per_shard: int = knob(1024, "pictures in one shard file", at_least=1, at_most=100_000)
    workers: int = knob(0, "threads; 0 = one a core, four a core where pictures lie on gs://", at_least=0, at_most=256)
    rotate_degrees: float = knob(
        10.0, "angle of rotate_left and rotate_right", unit="degrees", at_least=0.0, at_most=90.0
    )
    shift_share: float = knob(0.1, "how far shift moves down, of the picture's height", at_least=0.0, at_most=0.9)
    scale_factor: float = knob(1.05, "how much scale enlarges", at_least=0.25, at_most=4.0)
    noise_sigma: float = knob(20.0, "standard deviation of noise", unit="grey levels", at_least=0.0, at_most=80.0)
    face_min_share: float = knob(0.1, "smallest face, of the picture's longer side", at_least=0.02, at_most=1.0)
    face_neighbours: int = knob(8, "overlapping hits that make a face; more = fewer false ones", at_least=1, at_most=50)
    face_columns: float = knob(3.0, "width of the face crop", unit="face widths", at_least=0.5, at_most=10.0)
    face_rows: float = knob(
        1.0, "height of the face crop around the chin", unit="face heights", at_least=0.5, at_most=10.0
    )

    def contradiction(self) -> str:
        """Which knob does not go with another, and why; empty when all do."""
        if "plain" not in self.views:
            return f"views={self.views} lacks plain, the view validation is measured on; add it"
        if len(set(self.views)) < len(self.views):
            return f"views={self.views} names a view twice; name each once"
        return ""


RESULTS = {"shards": "reference of the shards"}
ARTIFACTS = {"views_page": ("HTML", "a few pictures with all their views, as stored")}
