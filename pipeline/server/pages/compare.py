"""`/compare`: is it really better? Two runs or more against the first: metrics, parameters, curves, verdicts, times."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pipeline.engine.records import Run
from pipeline.errors import PipelineError
from pipeline.server import rendering, side_by_side
from pipeline.server.domain.comparison import BROKEN, CHANGED, FIXED, ChangedVerdict, PairedMetrics
from pipeline.server.pages import pictures
from pipeline.server.services import Services

MOST_RUNS = 6
RUNS_TO_CHOOSE = 50
PICTURES = 24  # on a page
THUMBNAIL_PX = pictures.SIZES[0]
LETTERS = "ABCDEF"
KINDS = (BROKEN, FIXED, CHANGED)


def page(request: Request) -> Response:
    """The comparison, or a list to choose runs from where fewer than two are named."""
    services: Services = request.app.state.services
    runs = _runs(services, request.query_params.getlist("run"))
    if len(runs) < 2:
        data = {"runs": runs, "choices": services.reader.runs(limit=RUNS_TO_CHOOSE)}
        return rendering.respond(request, "compare_choose.html", data)
    against = _number(request, "against", 1, len(runs) - 1)
    verdicts = services.domain.comparison.verdicts(services.store, runs[0], runs[against])
    data = _facts(services, runs, request.query_params.get("metric", "")) | _pictures(request, verdicts)
    return rendering.respond(
        request,
        "compare.html",
        data | {"against": against},
        letters=LETTERS,
        link=_linker(request),
        ABSENT=side_by_side.ABSENT,
        picture=lambda image_id: pictures.address(image_id, {"run": runs[against].run_id}),
        thumbnail=lambda image_id: pictures.image_address(image_id, runs[against], THUMBNAIL_PX),
    )


def _runs(services: Services, names: Sequence[str]) -> list[Run]:
    """The runs that are named, each once, the first one is what the others are compared with."""
    found = list({run.run_id: run for run in map(services.reader.run, names)}.values())
    if len(found) > MOST_RUNS:
        raise PipelineError(f"{len(found)} runs are named; compare at most {MOST_RUNS}")
    return found


def _facts(services: Services, runs: Sequence[Run], metric: str) -> dict[str, Any]:
    reader = services.reader
    tasks = [reader.tasks(run.run_id) for run in runs]
    said = side_by_side.points(reader, tasks)
    paired = [services.domain.comparison.paired(services.store, runs[0], run) for run in runs[1:]]
    return {
        "runs": runs,
        "paired": paired,
        "conclusions": [_conclusion(one) for one in paired],
        "parameters": side_by_side.parameter_differences(runs),
        "same_pipeline": side_by_side.is_one_pipeline([reader.pipeline_text(run.run_id) for run in runs]),
        "times": side_by_side.times(tasks),
        "curves": side_by_side.curves(said, metric),
        "last_values": side_by_side.last_values(tasks, said) if any(one.reason for one in paired) else [],
    }


def _conclusion(paired: PairedMetrics) -> str:
    """What the total says, in a word: gain, loss, noise or unknown."""
    return next((row.verdict for row in paired.rows if not row.attribute), "")


def _pictures(request: Request, verdicts: Sequence[ChangedVerdict]) -> dict[str, Any]:
    counts = {kind: sum(one.kind == kind for one in verdicts) for kind in KINDS}
    kind = request.query_params.get("kind", "")
    chosen = [one for one in verdicts if one.kind == kind] if kind in KINDS else list(verdicts)
    pages = max(1, -(-len(chosen) // PICTURES))
    number = _number(request, "page", 1, pages)
    first = (number - 1) * PICTURES
    return {
        "verdict_counts": counts,
        "kind": kind if kind in KINDS else "",
        "page": number,
        "pages": pages,
        "verdicts": chosen[first : first + PICTURES],
    }


def _number(request: Request, name: str, default: int, most: int) -> int:
    text = request.query_params.get(name, "")
    return min(max(1, int(text)), most) if text.isascii() and text.isdigit() and len(text) < 19 else default


def _linker(request: Request) -> Any:
    """Makes the address of this comparison with something else chosen."""

    def link(**chosen: Any) -> str:
        kept = [(k, v) for k, v in request.query_params.multi_items() if k not in chosen and k != "format"]
        return "/compare?" + urlencode([*kept, *((k, v) for k, v in chosen.items() if v not in ("", None))])

    return link


routes = [Route("/compare", page)]
