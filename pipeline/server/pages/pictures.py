"""`/pictures`: which ones? `/pictures/{image_id}`: what happened to this one?"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote, urlencode

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from pipeline.engine.records import Run
from pipeline.errors import NotFound, PipelineError
from pipeline.server import rendering
from pipeline.server.domain import pictures as domain
from pipeline.server.domain.pictures import Choice, Judged, Picture
from pipeline.server.services import Services

PAGE = 60
SIZES = (160, 320, 640)  # longer side of a picture, pixels
GUESSES = 2  # names that contain what was asked for: one leads there, several to the list
MOST_RUNS = 20  # in the selector
LONGEST_NAME = 1000  # characters
_KEPT = {"cache-control": "private, max-age=3600"}
_NOTHING = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="160" height="120"><rect width="160" height="120" fill="#8884"/>'
    '<text x="80" y="64" text-anchor="middle" font-family="sans-serif" font-size="12" fill="#888">not on this machine'
    "</text></svg>"
)


def pictures(request: Request) -> Response:
    """Pictures of a run as a grid: filtered, sorted, by pages."""
    services: Services = request.app.state.services
    query = request.query_params
    known = services.domain.pictures.runs(services.store)
    run = services.reader.run(query["run"]) if query.get("run") else next(iter(known), None)
    choice, page = _choice(query), _whole(query, "page")
    grid = services.domain.pictures.grid(services.store, run, choice, page, PAGE) if run else domain.Grid()
    first = page * PAGE
    data = {"run": run, "choice": choice, "page": page, "first": first, "grid": grid}
    extra: dict[str, Any] = {
        "runs": _selectable(known, run),
        "kinds": domain.KINDS,
        "orders": domain.ORDERS,
        "before": _list_address(query, page - 1) if page else "",
        "after": _list_address(query, page + 1) if first + len(grid.tiles) < grid.matching else "",
        "is_filtered": choice != Choice(),
        "address": lambda image_id: address(image_id, _kept(query, run)),
        "thumbnail": lambda image_id: image_address(image_id, run, SIZES[0]),
    }
    return rendering.respond(request, "pictures.html", data, **extra)


def picture(request: Request) -> Response:
    """Everything about one picture in one run."""
    services: Services = request.app.state.services
    query, image_id = request.query_params, request.path_params["image_id"]
    if len(image_id) > LONGEST_NAME:
        raise PipelineError(f"the name of the picture has {len(image_id)} characters; names have up to {LONGEST_NAME}")
    known = services.domain.pictures.runs(services.store, image_id)
    run = services.reader.run(query["run"]) if query.get("run") else next(iter(known), None)
    found = services.domain.pictures.picture(services.store, run, image_id) if run else None
    if found is None or run is None:
        return _guess(services, image_id, known, run)
    before, after = services.domain.pictures.neighbours(services.store, run, _choice(query), image_id)
    kept = _kept(query, run)
    extra: dict[str, Any] = {
        "runs": _selectable(known, run),
        "name": PurePosixPath(image_id).name,
        "before": address(before, kept) if before else "",
        "after": address(after, kept) if after else "",
        "up": "/pictures?" + urlencode(kept),
        "kept": {name: value for name, value in kept.items() if name != "run"},
        "address": lambda other: address(other, {"run": run.run_id}),
        "image": lambda size, view="", other=image_id: image_address(other, run, size, view),
        "views": list(dict.fromkeys(view for judged in found.judged for view in judged.views)),
        "task": lambda key: f"/runs/{run.run_id}/task?key={quote(key, safe='')}",
    }
    return rendering.respond(request, "picture.html", {"picture": found, "said": summary(found)}, **extra)


def image(request: Request) -> Response:
    """The bytes of a picture that the run's manifest names; the address never says where a file is."""
    services: Services = request.app.state.services
    query = request.query_params
    size = _whole(query, "size", SIZES[0])
    if size not in SIZES:
        raise PipelineError(f"size={size} is not made; give one of {', '.join(map(str, SIZES))}")
    run = services.reader.run(query.get("run") or "latest")
    image_id, view = request.path_params["image_id"], query.get("view", "")
    data = services.domain.pictures.image(services.store, run, image_id, view, size)
    if data is None:
        return Response(_NOTHING, 404, {"cache-control": "no-store"}, media_type="image/svg+xml")
    mark = f'"{hashlib.blake2s(data, digest_size=8).hexdigest()}"'
    if request.headers.get("if-none-match") == mark:
        return Response(status_code=304, headers=_KEPT | {"etag": mark})
    return Response(data, headers=_KEPT | {"etag": mark}, media_type="image/jpeg")


def summary(found: Picture) -> list[str]:
    """What happened to the picture, in a sentence for each attribute."""
    if not found.rows:
        return [f"Refused: {reason}." for reason in found.rejected]
    return [_sentence(found, judged) for judged in found.judged]


def _sentence(found: Picture, judged: Judged) -> str:
    row = next(row for row in reversed(found.rows) if row.attribute == judged.attribute)
    vote = next((vote for vote in judged.votes if vote.is_ensemble), None) or next(iter(judged.votes), None)
    said = ""
    if vote:
        who = "the ensemble" if vote.is_ensemble else vote.title
        said = f"{who} answers {judged.classes[vote.answer]} with {max(vote.probability):.3f}"
        said += f": {vote.verdict}" if vote.verdict else ""
    if row.kind == domain.LEFT_OUT:
        return f"Left out of {row.round_name}: {row.reason}."
    if row.kind == domain.LABELLED:
        then = said or (
            "the models learnt from it, so none was asked" if row.role == "learnt from" else "nobody was asked"
        )
        return f"Labelled {row.label} in {row.round_name}; {then}."
    what = "A question" if row.kind == domain.QUESTION else "An unlabelled picture"
    dark = "" if found.width else f", which cannot be decoded ({row.reason}): the models saw black"
    return f"{what} of {row.round_name}{dark}; {said or 'nobody has answered it yet'}."


def address(image_id: str, query: Mapping[str, str]) -> str:
    """The page of a picture."""
    return f"/pictures/{quote(image_id)}" + ("?" + urlencode(query) if query else "")


def image_address(image_id: str, run: Run | None, size: int, view: str = "") -> str:
    """The bytes of a picture."""
    query = {"run": run.run_id if run else "", "size": str(size), "view": view}
    return f"/pictures/{quote(image_id)}/image?" + urlencode({name: value for name, value in query.items() if value})


def _guess(services: Services, image_id: str, known: Sequence[Run], run: Run | None) -> Response:
    """Nobody knows a picture of that name: perhaps it is a part of one, or another run knows it."""
    if run and known and run.run_id not in {one.run_id for one in known}:
        raise NotFound(f"run {run.run_id[:8]} does not know picture {image_id!r}; run {known[0].run_id[:8]} does")
    similar = services.domain.pictures.find(services.store, image_id, GUESSES)
    if len(similar) == 1:
        return RedirectResponse(address(similar[0].image_id, {}), 303)
    if similar:
        return RedirectResponse("/pictures?" + urlencode({"q": image_id}), 303)
    raise NotFound(f"no picture called {image_id!r} in the newest runs; /pictures lists those that there are")


def _choice(query: QueryParams) -> Choice:
    order, kind = query.get("order", ""), query.get("kind", "")
    if order not in domain.ORDERS:
        raise PipelineError(f"order={order!r} is not known; give one of {', '.join(filter(None, domain.ORDERS))}")
    if kind and kind not in domain.KINDS:
        raise PipelineError(f"kind={kind!r} is not known; give one of {', '.join(domain.KINDS)}")
    return Choice(query.get("attribute", ""), _whole(query, "round"), kind, order, query.get("q", "").strip())


def _whole(query: QueryParams, name: str, default: int = 0) -> int:
    text = query.get(name, "")
    if not text:
        return default
    if not text.isdecimal() or len(text) > 6:
        raise PipelineError(f"{name}={text!r} is no whole number from 0")
    return int(text)


def _kept(query: QueryParams, run: Run | None) -> dict[str, str]:
    """What of a list's address its pictures' addresses keep, so that the next picture is the list's next."""
    kept = {name: query.get(name, "") for name in ("attribute", "round", "kind", "order", "q")}
    return {name: value for name, value in {"run": run.run_id if run else "", **kept}.items() if value}


def _list_address(query: QueryParams, page: int) -> str:
    values = {name: value for name, value in query.items() if value and name not in ("page", "format")}
    return "/pictures?" + urlencode(values | ({"page": str(page)} if page else {}))


def _selectable(known: Sequence[Run], run: Run | None) -> list[Run]:
    """The runs to choose from, the present one among them."""
    listed = list(known[:MOST_RUNS])
    return listed if run is None or run.run_id in {one.run_id for one in listed} else [run, *listed]


routes = [
    Route("/pictures", pictures),
    Route("/pictures/{image_id:path}/image", image),
    Route("/pictures/{image_id:path}", picture),
]
