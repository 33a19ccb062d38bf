"""The pipelines that a recipe can be for: their steps, and the groups of knobs that a recipe has for them."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import ModuleType

from components.boxes_prepare import settings as boxes_prepare
from components.detect_test import settings as detect_test
from components.detect_train import settings as detect_train
from components.ensemble import settings as ensemble
from components.ingest import settings as ingest
from components.openimages_subset import settings as openimages_subset
from components.predict import settings as predict
from components.preprocess import settings as preprocess
from components.promote import settings as promote
from components.pseudo_label import settings as pseudo_label
from components.report import settings as report
from components.split import settings as split
from components.study import settings as study
from components.train import settings as train
from components.transfer import settings as transfer
from pipeline.recipe_tables import LOOPS, TABLES, Generations

STEPS: dict[str, ModuleType] = {
    "ingest": ingest,
    "preprocess": preprocess,
    "train": train,
    "predict": predict,
    "pseudo_label": pseudo_label,
    "ensemble": ensemble,
    "report": report,
    "promote": promote,
    "openimages_subset": openimages_subset,
    "transfer": transfer,
    "boxes_prepare": boxes_prepare,
    "split": split,
    "detect_train": detect_train,
    "detect_test": detect_test,
    "study": study,
}
# A group is one set of knobs of one step, in the order of the pipeline. Training has three: the phases
# share the step, not its settings.
_MAIN = {
    "ingest": "ingest",
    "preprocess": "preprocess",
    "round1": "train",
    "round2": "train",
    "predict": "predict",
    "pseudo_label": "pseudo_label",
    "student": "train",
    "ensemble": "ensemble",
    "report": "report",
    "promote": "promote",
}
_DETECTION = {
    "openimages_subset": "openimages_subset",
    "transfer": "transfer",
    "boxes_prepare": "boxes_prepare",
    "split": "split",
    "detect_train": "detect_train",
    "detect_test": "detect_test",
}
_STUDY = {name: _MAIN[name] for name in ("ingest", "preprocess", "round1", "round2", "predict")} | {"study": "study"}
GROUPS = _MAIN | _DETECTION | _STUDY
ROUNDS, SOURCE = "rounds", "source"
# Group to the knobs of it that name files or folders. Their bytes reach the task as a digest beside the names.
FILES = {
    "openimages_subset": ("boxes_csv", "images_csv", "classes_csv", "hierarchy_json"),
    "transfer": ("mirror",),
    "boxes_prepare": ("masks",),
    "detect_train": ("weights",),
    "detect_test": ("log",),
}
FILES_DIGEST = "files_digest"  # the input of their steps that takes it; the root parameter is `<group>_files_digest`
PHASES = tuple(group for group, step in GROUPS.items() if step == "train")
# The same of groups whose tasks may name other files for each attribute and model: these carry the digest.
FILES_OF_LOOPS = dict.fromkeys(PHASES, ("weights",))


@dataclass(frozen=True)
class Pipeline:
    """A pipeline that recipes can be for.

    Attributes:
        groups: its groups of knobs, each with its step.
        data: the root parameter that says where its data lies: `rounds`, or `source`, one folder or address.
        loops: the tables of what it loops over.
        tables: the tables of a recipe for it that belong to no step.
    """

    groups: Mapping[str, str]
    data: str
    loops: tuple[str, ...] = ()
    tables: tuple[str, ...] = tuple(TABLES)

    @property
    def shared(self) -> list[str]:
        """Steps whose table gives the defaults of several groups."""
        return [step for step in dict.fromkeys(self.groups.values()) if step not in self.groups]

    @property
    def all_tables(self) -> list[str]:
        """Every table that a recipe for it may have."""
        return [*self.tables, *self.loops, *self.shared, *self.groups]


PIPELINES = {
    "main": Pipeline(_MAIN, ROUNDS, loops=tuple(LOOPS)),
    "study": Pipeline(_STUDY, ROUNDS, loops=tuple(LOOPS)),
    "detection": Pipeline(_DETECTION, SOURCE, tables=tuple(table for table in TABLES if table != "generations")),
}
ALL_TABLES = tuple(table for one in PIPELINES.values() for table in one.all_tables)


def groups_in(generations: Generations) -> list[str]:
    """All groups but those whose tasks are switched off, in the order of their pipelines."""
    left_out = set() if generations.round2 else {"round2"}
    left_out |= set() if generations.pseudo else {"pseudo_label", "student"}
    return [group for group in GROUPS if group not in left_out]


def tables_of(loop: str) -> list[str]:
    """The tables of knobs that an attribute or a model may carry: steps that are given one, and their phases."""
    item = loop.removesuffix("s")
    steps = [name for name, module in STEPS.items() if item in {f.name for f in fields(module.Inputs)}]
    return steps + (list(PHASES) if "train" in steps else [])
