"""Darknet's configuration files: sections of `name=value` lines, the network's layers in order, numbered from 0.

What depends on the classes and the data (`adapted`) follows the rules of darknet's own documentation: filters =
(classes + 5) * 3 before each [yolo] section, max_batches = max(2000 * classes, pictures, 6000), steps at shares of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from components.errors import DataError


@dataclass(frozen=True)
class Section:
    """`[kind]` and the lines under it, as text."""

    kind: str
    options: Mapping[str, str]

    def integer(self, name: str, default: int | None = None) -> int:
        """An option as a whole number; without a default it must be there."""
        return int(self.number(name, default))

    def number(self, name: str, default: float | None = None) -> float:
        """An option as a number; without a default it must be there."""
        if name not in self.options and default is not None:
            return default
        return self.numbers(name)[0]

    def numbers(self, name: str) -> list[float]:
        """An option as a list of numbers. Raises DataError where it is missing or something else."""
        text = self.options.get(name, "")
        try:
            return [float(part) for part in text.split(",")]
        except ValueError as error:
            given = f"{name}={text}" if text else f"no {name}"
            raise DataError(f"the section [{self.kind}] has {given}; expected numbers, separated by commas") from error

    def changed(self, **options: object) -> "Section":
        """A copy with other options; a list is written with commas."""
        return replace(self, options={**self.options, **{name: text_of(value) for name, value in options.items()}})


def text_of(value: object) -> str:
    """A value as it stands in the file."""
    if isinstance(value, list | tuple):
        return ", ".join(map(text_of, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def parse(text: str, where: str = "the cfg file") -> list[Section]:
    """The sections of a file; comments (`#`, `;`) and blank lines are left out.

    Raises:
        DataError: a line that is none, or a file that does not begin with [net].
    """
    found: list[tuple[str, dict[str, str]]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        if not line or line[0] in "#;":
            continue
        if line.startswith("[") and line.endswith("]"):
            found.append((line[1:-1], {}))
            continue
        name, equals, value = line.partition("=")
        if not equals or not found:
            raise DataError(f"{where}, line {number}: {line!r} is neither [section] nor name=value below one")
        found[-1][1][name.strip()] = value.strip()
    if not found or found[0][0] not in ("net", "network"):
        raise DataError(f"{where} does not begin with [net]; expected a darknet configuration")
    return [Section(*section) for section in found]


def write(sections: Sequence[Section]) -> str:
    """The text of a file that `parse` reads back."""
    parts = ["\n".join([f"[{s.kind}]", *(f"{name}={value}" for name, value in s.options.items())]) for s in sections]
    return "\n\n".join(parts) + "\n"


def iterations_for(num_classes: int, num_pictures: int) -> int:
    """Darknet's rule for max_batches: 2000 a class, no fewer than pictures, no fewer than 6000."""
    return max(2000 * num_classes, num_pictures, 6000)


def adapted(
    sections: Sequence[Section],
    num_classes: int,
    anchors: Sequence[Sequence[float]] = (),
    net: Mapping[str, object] | None = None,
    yolo: Mapping[str, object] | None = None,
) -> list[Section]:
    """The sections for a number of classes.

    Args:
        sections: of a network.
        num_classes: C.
        anchors: widths and heights in pixels of the network's input, as many as the network has; empty: its own.
        net: options of [net] to change, for instance width.
        yolo: options of each [yolo] section to change, for instance jitter.
    """
    heads = {number - 1 for number, section in enumerate(sections) if section.kind == "yolo"}
    out = []
    for number, section in enumerate(sections):
        if number in heads:
            each = len(sections[number + 1].numbers("mask"))
            section = section.changed(filters=(num_classes + 5) * each)
        elif section.kind == "yolo":
            section = section.changed(classes=num_classes, **(yolo or {}))
            flat = [round(float(side), 2) for anchor in anchors for side in anchor]
            section = section.changed(anchors=flat) if flat else section
        out.append(section)
    return [out[0].changed(**(net or {})), *out[1:]]
