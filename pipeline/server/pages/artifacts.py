"""`/runs/{id}/artifact`: the bytes of what a task left behind; `/runs/{id}/artifact/view`: the same, shown in place."""

import shlex
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from pipeline.engine.records import Run, Task
from pipeline.errors import NotFound, PipelineError
from pipeline.server import artifact_bytes, artifact_files, artifact_view, rendering
from pipeline.server.artifact_files import Place

MOST_MARKDOWN_BYTES = 2 << 20


@dataclass(frozen=True)
class Asked:
    """What an address names: an output of a task, or something inside it."""

    run: Run
    task: Task
    name: str
    number: int
    path: str
    place: Place


def content(request: Request) -> Response:
    """The bytes, or the part that is asked for. Markdown comes as a page with `as=page`; a folder as its list."""
    asked = _asked(request)
    if artifact_files.is_folder(asked.place):
        return RedirectResponse(f"/runs/{asked.run.run_id}/artifact/view?{_query(asked, asked.path)}", 303)
    stream, size = artifact_files.open_file(asked.place)
    if request.query_params.get("as") == "page":
        with stream:
            if size > MOST_MARKDOWN_BYTES:
                raise PipelineError(f"{asked.name} has {size:,} bytes; up to 2 MB of Markdown are shown, so save it")
            text = artifact_view.markdown(stream.read(MOST_MARKDOWN_BYTES).decode("utf-8", "replace"))
        return Response(text, headers=artifact_bytes.headers_of("page.html") | {"accept-ranges": "none"})
    return artifact_bytes.send(request, stream, size, asked.place.parts[-1])


def shown(request: Request) -> Response:
    """A page around the artifact: a table by pages, pictures as a grid, HTML in a frame without rights."""
    asked = _asked(request)
    page = _number(request.query_params.get("page", ""))
    place = str(asked.place.root.joinpath(*asked.place.parts))
    data = {
        "run": {"run_id": asked.run.run_id, "name": asked.run.name},
        "task": {"key": asked.task.key, "label": asked.task.label},
        "name": asked.name,
        "inside": asked.path,
        "place": place,
        "page": page,
        "view": artifact_view.view(asked.place, page),
    }
    command = f"ls -l {shlex.quote(place)}"
    return rendering.respond(request, "artifact.html", data, links=_links(asked), command=command)


def _links(asked: Asked) -> dict[str, Any]:
    """Addresses of the bytes, of what is framed, of this page, and of what lies inside."""
    base = f"/runs/{asked.run.run_id}/artifact"
    raw = f"{base}?{_query(asked, asked.path)}"
    is_markdown = artifact_bytes.ending(asked.place.parts[-1]) == ".md"
    return {
        "raw": raw,
        "frame": raw + ("&as=page" if is_markdown else ""),
        "here": f"{base}/view?{_query(asked, asked.path)}",
        "raw_inside": lambda entry: f"{base}?{_query(asked, _join(asked.path, entry))}",
        "view_inside": lambda entry: f"{base}/view?{_query(asked, _join(asked.path, entry))}",
        "crumbs": [(part, f"{base}/view?{_query(asked, path)}") for part, path in _crumbs(asked)],
    }


def _asked(request: Request) -> Asked:
    services = request.app.state.services
    query = request.query_params
    run = services.reader.run(request.path_params["run_id"])
    task = services.reader.task_at(run.run_id, query.get("key", ""))
    if task is None:
        raise NotFound(f"run {run.run_id[:8]} has no task with key {query.get('key', '')!r}")
    number = _number(query.get("number", ""))
    place = artifact_files.place_of(services.state_dir, run, task, query.get("name", ""), number)
    return Asked(run, task, query.get("name", ""), number, query.get("path", ""), place.below(query.get("path", "")))


def _query(asked: Asked, path: str) -> str:
    number = {"number": asked.number} if asked.number else {}
    return urlencode({"key": asked.task.key, "name": asked.name, **number, **({"path": path} if path else {})})


def _join(path: str, entry: str) -> str:
    return f"{path}/{entry}" if path else entry


def _crumbs(asked: Asked) -> list[tuple[str, str]]:
    """The way from the artifact to where one is."""
    parts = asked.path.split("/") if asked.path else []
    return [(asked.name, ""), *((part, "/".join(parts[: i + 1])) for i, part in enumerate(parts))]


def _number(text: str) -> int:
    """A page or position of an address; 0 where it is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0


routes = [Route("/runs/{run_id}/artifact", content), Route("/runs/{run_id}/artifact/view", shown)]
