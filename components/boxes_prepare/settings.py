"""Makes pictures upright and square, their boxes with them, and finds those that show the same."""

from dataclasses import dataclass

from components.knobs import given, knob


@dataclass(frozen=True)
class Inputs:
    transferred: str = given("reference of the boxes whose pictures have been transferred")
    data_root: str = given("folder or gs:// address of all references")
    source: str = given("folder or gs:// address below which files lie that have no full address", "")
    files_digest: str = given("of the files that the settings name: other bytes, another task", "")


@dataclass(frozen=True)
class Settings:
    size_px: int = knob(416, "side of the square, a multiple of 32", unit="px", at_least=32, at_most=1024)
    drop_group_of: bool = knob(False, "leave out boxes around a group of things (IsGroupOf)")
    drop_depiction: bool = knob(False, "leave out boxes around a drawing or a toy of the thing (IsDepiction)")
    masks: str = knob("", "CSV of segmentation masks, local, gs:// or https://, to list the kept boxes'; empty: none")
    encoding: str = knob("jpeg", "how pictures are stored; png keeps every bit", choices=("jpeg", "png"))
    quality: int = knob(95, "JPEG quality of stored pictures (chroma is not subsampled)", at_least=50, at_most=100)
    near_duplicates: str = knob(
        "verified",
        "exact: only equal pixels; verified: also like hashes whose small grey pictures agree; hash: like hashes alone",
        choices=("exact", "verified", "hash"),
    )
    near_distance: int = knob(4, "perceptual hashes this close are like", unit="bits of 64", at_least=0, at_most=8)
    near_likeness: float = knob(
        0.993, "least correlation of the grey thumbnails of a verified pair", at_least=0, at_most=1
    )
    workers: int = knob(0, "threads; 0 = one a core, four a core where pictures lie on gs://", at_least=0, at_most=256)

    def contradiction(self) -> str:
        """Which knob cannot be used as it is, and why; empty when all can."""
        if self.size_px % 32:
            return f"size_px={self.size_px} is no multiple of 32, by which the networks divide a picture; give 416"
        return ""


RESULTS = {"boxes": "reference of the boxes with their upright, letter-boxed pictures"}
ARTIFACTS = {
    "boxes_page": ("HTML", "pictures with their boxes drawn, counts, and what was refused"),
    "masks_list": ("Dataset", "CSV of the segmentation masks of the kept boxes; only its head where none are given"),
    "metrics": ("Metrics", "pictures, boxes, refused pictures, boxes left out, duplicate groups"),
}
