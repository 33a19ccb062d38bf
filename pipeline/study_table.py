"""A study's findings as text for people. No difference stands there without its interval and verdict."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

NONE = "-"
_HEAD = ("variant", "parameters", "FLOPs", "minutes")
_LEFT = ("variant", "verdict")


def render(found: Mapping[str, Any]) -> str:
    """The table of a `study.json`: a row a variant: size, metric over seeds, difference to the base."""
    has_test = any("test" in variant for variant in found["variants"])
    head = [*_HEAD, found["metric"], f"against {found['base']}", "95 % interval", "verdict"] + ["test"] * has_test
    lines = [head, *(list(_cells(variant, has_test)) for variant in found["variants"])]
    seeds = ", ".join(map(str, found["seeds"]))
    judged = f"{found['metric']} on {found['pictures']['valid']:,} validation pictures, mean ± sd over seeds {seeds}"
    single = ["one seed: the intervals say nothing of what another seed would give"] * (len(found["seeds"]) == 1)
    return "\n".join([judged, *single, "", *_aligned(lines)])


def _cells(variant: Mapping[str, Any], has_test: bool) -> Iterator[str]:
    flops = NONE if variant["flops"] is None else f"{variant['flops']:,}"
    yield from (variant["name"], f"{variant['parameters']:,}", flops, _minutes(variant["minutes"]))
    yield _over_seeds(variant["valid"])
    against = variant["valid"]["difference"]
    if against and None not in against.values():
        yield f"{against['difference']:+.4f}"
        yield f"{against['low']:+.4f} to {against['high']:+.4f}"
        yield against["verdict"]
    else:
        yield from ("", "", "base" if against is None else NONE)
    if has_test:
        yield _over_seeds(variant["test"])


def _over_seeds(measured: Mapping[str, Any]) -> str:
    if measured["mean"] is None:
        return NONE
    return f"{measured['mean']:.4f}" + (f" ± {measured['sd']:.4f}" if measured["sd"] is not None else "")


def _minutes(value: float | None) -> str:
    return NONE if value is None else f"{value:.1f}"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = zip(rows[0], row, widths, strict=True)
        padded = (cell.ljust(width) if name in _LEFT else cell.rjust(width) for name, cell, width in cells)
        yield "  ".join(padded).rstrip()
