"""The decisions as a Markdown page."""

from collections.abc import Mapping

from components.artifacts.champions import Decision
from components.promote.settings import Settings

SIGNS = {"promoted": "▲ promoted", "kept": "= kept", "refused": "✕ refused"}
MINUS = "\N{MINUS SIGN}"


def write(decisions: Mapping[str, Decision], settings: Settings, report: str) -> str:
    """One row an attribute, what was compared, and what the words mean."""
    lines = [
        "# Promotion",
        "",
        f"Challengers of report `{report}`; policy `{settings.policy}`, metric `{settings.metric}`, "
        f"{settings.resamples} resamples by duplicate group.",
        "",
        "| attribute | decision | difference | 95 % interval | pictures | reason |",
        "|---|---|---:|---:|---:|---|",
        *(_row(attribute, decision) for attribute, decision in decisions.items()),
        "",
        "Difference: challenger minus champion on the validation pictures both have and neither was trained on.",
    ]
    return "\n".join(lines) + "\n"


def _row(attribute: str, decision: Decision) -> str:
    interval = "–" if decision.low is None else f"{_signed(decision.low)} to {_signed(decision.high)}"
    reason = decision.reason.replace("|", "\\|")
    numbers = f"{_signed(decision.difference)} | {interval} | {decision.pictures or '–'}"
    return f"| {attribute} | {SIGNS[decision.action]} | {numbers} | {reason} |"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.4f}".replace("-", MINUS)
