"""Numbers as people read them on the page: at most four significant digits, aligned, a dash where there is none."""

import math

NONE = "–"
MINUS = "\N{MINUS SIGN}"


def share(value: float) -> str:
    """A number in [0, 1]: `0.9532`, `1.000`."""
    if not math.isfinite(value):
        return NONE
    return f"{value:.4f}" if round(abs(value), 4) < 1 else f"{value:.3f}"


def signed(value: float) -> str:
    """A difference with its sign: `+0.0123`, `−0.0011`, `0.0000`."""
    if not math.isfinite(value):
        return NONE
    sign = "" if round(value, 4) == 0 else "+" if value > 0 else MINUS
    return sign + share(abs(value))


def plain(value: float) -> str:
    """Any number with four significant digits, zeros at the end kept, so that a column lines up."""
    if not math.isfinite(value):
        return NONE
    return share(value) if 0 <= value < 1 else f"{value:#.4g}".replace("-", MINUS)


def count(value: int) -> str:
    """A count: `12,345`."""
    return f"{value:,}"


def percent(value: float) -> str:
    """A share as a percentage: `97.3 %`."""
    return f"{100 * value:.1f} %" if math.isfinite(value) else NONE
