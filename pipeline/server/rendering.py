"""From what a page shows to HTML, or to JSON under the same address."""

import dataclasses
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from pipeline import words
from pipeline.engine.whereabouts import whereabouts
from pipeline.server import assets, run_facts

SIGNIFICANT = 4
MINUS = "\u2212"  # as wide as a plus; a hyphen is not


@cache
def environment() -> Environment:
    """The templates, with what all of them need."""
    made = Environment(
        loader=PackageLoader("pipeline.server"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "duration": words.duration,
        "number": number,
        "signed": signed,
        "iso": iso,
        "count": count,
        "state_word": words.state_word,
        "whereabouts": whereabouts,
    }
    made.filters |= run_facts.FILTERS
    made.globals |= {
        "SHAPES": words.SHAPES,
        "run_word": words.run_word,
        "task_word": words.task_word,
        "progress_share": words.progress_share,
        "style": assets.style,
        "start_script": assets.start,
        "script_address": assets.script_address,
    }
    return made


def respond(request: Request, template: str, data: Mapping[str, Any], status: int = 200, **extra: Any) -> Response:
    """A page.

    Args:
        request: its query may say `format=json`, or its `Accept` header may ask for JSON.
        template: file in `templates/`.
        data: what the page shows; dataclasses and paths are turned into JSON.
        status: HTTP status.
        **extra: what only the template needs, not part of the JSON.
    """
    if wants_json(request):
        return JSONResponse(plain(data), status)
    services = request.app.state.services
    page = environment().get_template(template)
    text = page.render(request=request, now=services.clock.now(), path=request.url.path, **data, **extra)
    return HTMLResponse(text, status, {"cache-control": "no-store"})


def wants_json(request: Request) -> bool:
    """Whether the same address is asked for data instead of a page."""
    if request.query_params.get("format") == "json":
        return True
    accepted = request.headers.get("accept", "")
    return "application/json" in accepted and "text/html" not in accepted


def plain(value: Any) -> Any:
    """Dataclasses, mappings and sequences as JSON; everything else that JSON does not know as text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def number(value: float | None) -> str:
    """At most four significant digits; an en dash where there is none."""
    if value is None or value != value:
        return "–"
    text = f"{value:,.0f}" if abs(value) >= 10 ** (SIGNIFICANT - 1) else f"{value:.{SIGNIFICANT}g}"
    return text.replace("-", MINUS)


def signed(value: float) -> str:
    """A difference: four decimals and its sign."""
    return f"{value:+.4f}".replace("-", MINUS)


def count(value: int, noun: str) -> str:
    """`1 task`, `3 tasks`."""
    return f"{value:,} {noun}" + ("" if value == 1 else "s")


def iso(seconds: float) -> str:
    """RFC 3339 in UTC, for `<time datetime>`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
