"""Parameters of a run in groups, with what is set otherwise than by default and otherwise than the time before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.engine import ir
from pipeline.engine.records import Run

GENERAL = "general"


@dataclass(frozen=True)
class Row:
    """One parameter.

    Attributes:
        name: in full, as the pipeline declares it.
        title: without its group's name.
        value: in the run.
        default: the pipeline's, None where it has none.
        has_default: whether it has one.
        is_default: whether the value is the default.
        before: in the run before, when `differs`.
        differs: from the run before, if there is one.
        about: the pipeline's own description.
    """

    name: str
    title: str
    value: Any
    default: Any
    has_default: bool
    is_default: bool
    before: Any
    differs: bool
    about: str

    @property
    def marked(self) -> bool:
        """Whether somebody set it: it is not as by default, or not as before."""
        return self.differs or (self.has_default and not self.is_default)


@dataclass(frozen=True)
class Group:
    """Parameters of one step."""

    title: str
    rows: Sequence[Row]

    @property
    def changed(self) -> int:
        """How many are marked."""
        return sum(row.marked for row in self.rows)


def grouped(run: Run, declared: Mapping[str, ir.Parameter], before: Run | None, groups: Sequence[str]) -> list[Group]:
    """All parameters of a run by group; what belongs to none comes first.

    Args:
        run: the run.
        declared: the pipeline's parameters.
        before: the run to compare with.
        groups: what names begin with, before an underscore.
    """
    found: dict[str, list[Row]] = {name: [] for name in (GENERAL, *groups)}
    for name in sorted(run.parameters):
        group = max((g for g in groups if name.startswith(g + "_")), key=len, default=GENERAL)
        title = name if group == GENERAL else name.removeprefix(group + "_")
        found[group].append(_row(name, title, run, declared.get(name), before))
    return [Group(name, rows) for name, rows in found.items() if rows]


def _row(name: str, title: str, run: Run, declared: ir.Parameter | None, before: Run | None) -> Row:
    value = run.parameters[name]
    default = declared.default if declared else ir.ABSENT
    known = default is not ir.ABSENT
    earlier = before.parameters.get(name) if before else None
    return Row(
        name=name,
        title=title,
        value=value,
        default=default if known else None,
        has_default=known,
        is_default=known and value == default,
        before=earlier,
        differs=before is not None and earlier != value,
        about=declared.description if declared else "",
    )
