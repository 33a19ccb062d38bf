"""Cuts the pictures and boxes of a few classes out of Open Images, from its published CSV files."""

from dataclasses import dataclass

from components.knobs import given, knob

_SITE = "https://storage.googleapis.com/openimages"


@dataclass(frozen=True)
class Inputs:
    data_root: str = given("folder or gs:// address of all references")
    source: str = given("folder or gs:// address below which the files lie that have no full address", "")
    seed: int = given("seed of the choice among too many pictures", 0)
    files_digest: str = given("of the files that the settings name: other bytes, another task", "")


@dataclass(frozen=True)
class Settings:
    class_names: list[str] = knob(
        ["Boat"], "display names of the classes, or their labels (/m/019jd), in the order of their numbers"
    )
    boxes_csv: list[str] = knob(
        [f"{_SITE}/v6/oidv6-train-annotations-bbox.csv"], "files of boxes: local, gs:// or https://"
    )
    images_csv: list[str] = knob(
        [f"{_SITE}/2018_04/train/train-images-boxable-with-rotation.csv"],
        "files of pictures with their addresses, sizes, MD5 and rotation",
    )
    classes_csv: str = knob(f"{_SITE}/v5/class-descriptions-boxable.csv", "file of the classes' display names")
    hierarchy_json: str = knob(
        "", "file of the classes' hierarchy; with it a class takes the boxes of its sub-classes too"
    )
    subset: str = knob("", "only pictures of this part of Open Images", choices=("", "train", "validation", "test"))
    max_pictures: int = knob(0, "choose so many pictures by lot; 0 = all", at_least=0)

    def contradiction(self) -> str:
        """Which knob does not go with another, and why; empty when all do."""
        for name in ("class_names", "boxes_csv", "images_csv"):
            if not getattr(self, name):
                return f"{name} is empty; name at least one"
        if len({name.casefold() for name in self.class_names}) < len(self.class_names):
            return f"class_names={self.class_names} names a class twice, in whatever case; name each once"
        return ""


RESULTS = {"boxes": "reference of the subset: pictures still to be fetched, and their boxes"}
ARTIFACTS = {
    "subset_page": ("HTML", "what was found, class by class, and what was refused"),
    "transfer_list": ("Dataset", "the pictures' addresses, sizes and MD5 as Storage Transfer Service reads them"),
    "metrics": ("Metrics", "numbers of pictures, boxes and refused rows"),
}
