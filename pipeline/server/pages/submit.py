"""`/submit`: what am I about to start? Source, data, typed settings, what differs, what it will take, one button."""

import dataclasses
import hashlib
import threading
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from pipeline.engine import experiments
from pipeline.engine.listing import Query
from pipeline.engine.records import About
from pipeline.errors import NotFound, PipelineError
from pipeline.server import folder_list, form_fields, rendering
from pipeline.server.domain.recipes import Asked, DataRound, Estimate, Form
from pipeline.server.form_fields import Fields
from pipeline.server.preparing import Preparation, Preparations
from pipeline.server.services import Services

KINDS = ("recipe", "version", "run")
SETTING = "set."  # begins the name of every setting: a pipeline may have a parameter `description`
RUNS_TO_CLONE = 20
MOST_EXPERIMENTS = 100
PATIENCE_S = 2.0  # what is ready by then needs no page of its own
_MAKING = threading.Lock()


@dataclasses.dataclass(frozen=True)
class Filled:
    """The whole form as somebody sent it."""

    asked: Asked
    run_name: str = ""
    description: str = ""
    experiment: str = ""
    cache: bool = True
    token: str = ""


def page(request: Request) -> Response:
    """The form. Without a source it is that of the recipe that was used last."""
    query = request.query_params
    if "from" in query:
        return RedirectResponse(_address_of_source(query["from"], query.get("clone", "")), 303)
    return _shown(request, _filled(request, query))


async def start(request: Request) -> Response:
    """Starts the run, or shows the form again with what is wrong beside the field."""
    form = await form_fields.read(request)
    return await run_in_threadpool(_start, request, form)


async def check(request: Request) -> Response:
    """The form again with what is wrong and what it will take, for those without the script."""
    form = await form_fields.read(request)
    return await run_in_threadpool(lambda: _shown(request, _filled(request, form)))


async def estimate(request: Request) -> Response:
    """The estimate alone, for a form that is being filled in."""
    form = await form_fields.read(request)
    return await run_in_threadpool(_estimated, request, form)


def preparing(request: Request) -> Response:
    """A run on its way: goes to the run once it is one, or back to the form with the reason."""
    found = _preparations(request).get(request.path_params["token"])
    if found is None:
        raise NotFound("nobody remembers this preparation; the server was restarted since, so start the run again")
    if found.run_id:
        return RedirectResponse(f"/runs/{found.run_id}", 303)
    if found.error:
        return _shown(request, found.sent, status=400, error=found.error)
    answer = rendering.respond(request, "submit_preparing.html", {"title": found.title, "began": found.began})
    answer.headers["refresh"] = "1"
    return answer


def folders(request: Request) -> Response:
    """What is in a folder of this machine, to pick data from."""
    services: Services = request.app.state.services
    found = folder_list.look(request.query_params.get("at", ""), services.state_dir)
    return rendering.respond(request, "submit_folders.html", {"folder": found})


def _start(request: Request, form: Fields) -> Response:
    services: Services = request.app.state.services
    if not any(form.get(name) for name in (*KINDS[:2], "clone")):
        raise PipelineError("nothing says what to start; send recipe=NAME, version=ID or clone=RUN, or open /submit")
    filled = _filled(request, form)
    checked = services.domain.recipes.form(services.store, filled.asked)
    if not checked.is_valid:
        return _shown(request, filled, status=400)
    begun = _preparations(request).begin(
        Preparation(_token(form, filled), filled.run_name or checked.source.title, services.clock.now(), filled),
        lambda: _make_run(services, filled, _token(form, filled)),
    )
    begun.ended.wait(PATIENCE_S)
    if begun.run_id:
        return RedirectResponse(f"/runs/{begun.run_id}", 303)
    if begun.error:
        return _shown(request, filled, status=400, error=begun.error)
    return RedirectResponse(f"/submit/preparing/{begun.token}", 303)


def _make_run(services: Services, filled: Filled, key: str) -> str:
    """Runs in a thread of its own, with its own connection to the state folder."""
    prepared = services.domain.recipes.prepare(services.store, filled.asked)
    about = About(
        description=filled.description,
        experiment_id=_experiment_id(services, filled.experiment),
        version_id=prepared.version_id,
        run_key=f"form-{key}",
    )
    return services.engine.create_run(
        prepared.ir_text,
        prepared.parameters,
        name=filled.run_name or prepared.name,
        labels=prepared.labels,
        cache=filled.cache,
        about=about,
    )


def _experiment_id(services: Services, name: str) -> str:
    """The experiment of that name, made when there is none; empty for the default one."""
    if not name or name == experiments.DEFAULT_NAME:
        return ""
    known = experiments.Experiments(services.store)
    found = next((e for e in _experiments(services) if e.display_name == name), None)
    return (found or known.create(name, "", services.clock.now())).experiment_id


def _experiments(services: Services) -> list[experiments.Experiment]:
    newest = Query(experiments.COLUMNS["created_at"], descending=True, limit=MOST_EXPERIMENTS)
    rows = experiments.Experiments(services.store).list(newest).rows
    return [e for e in map(experiments.loaded, rows) if not e.archived]


def _shown(request: Request, filled: Filled, status: int = 200, error: str = "") -> Response:
    services: Services = request.app.state.services
    recipes = services.domain.recipes
    form = recipes.form(services.store, filled.asked)
    data = _estimate_data(services, form, filled) | {
        "form": form,
        "run_name": filled.run_name,
        "description": filled.description,
        "experiment": filled.experiment,
        "cache": filled.cache,
        "clone": filled.asked.clone,
        "failure": error,
    }
    return rendering.respond(
        request,
        "submit.html",
        data,
        status,
        sources=recipes.sources(services.store),
        clonable=services.reader.runs(limit=RUNS_TO_CLONE),
        experiments=[e.display_name for e in _experiments(services)],
        earlier_data=_earlier_data(services),
        token=uuid.uuid4().hex,
        roughly=roughly,
        sent=bool(filled.token),
        file_recipe=filled.asked.kind == "recipe" and "/" in form.source.name,
    )


def _estimated(request: Request, sent: Fields) -> Response:
    services: Services = request.app.state.services
    filled = _filled(request, sent)
    form = services.domain.recipes.form(services.store, filled.asked)
    data = _estimate_data(services, form, filled) | {"form": form}
    return rendering.respond(request, "_submit_estimate.html", data, roughly=roughly)


def roughly(seconds: float) -> str:
    """A duration no more exact than an estimate is: `10 s`, `4 min`, `1 h 20 min`."""
    if seconds < 55:
        return f"{max(5, round(seconds / 5) * 5)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60 // 5 * 5:02d} min"


def _estimate_data(services: Services, form: Form, filled: Filled) -> dict[str, Any]:
    """What stands beside the button."""
    recipes = services.domain.recipes
    found: Estimate | None = None
    if not (form.error or any(field.error for field in form.fields)):
        found = recipes.estimate(services.store, form, filled.cache)
    return {
        "estimate": found,
        "command": recipes.command(form, filled.cache),
        "rounds": _data_rounds(services, form),
        "busy": len(services.reader.unfinished()),
        "changed": [f for f in form.fields if f.is_changed],
        "against_earlier": [f for f in form.fields if f.differs_from_earlier],
        "problems": [f for f in form.fields if f.error],
    }


def _data_rounds(services: Services, form: Form) -> list[DataRound]:
    """The rounds in a folder that was given; a remote one is only looked at when the run starts."""
    if form.data_kind != "rounds" or not form.data or form.data_error or "://" in form.data:
        return []
    try:
        return list(services.domain.recipes.rounds(form.data))
    except PipelineError:
        return []


def _earlier_data(services: Services) -> list[str]:
    given = [str(run.labels.get("data") or "") for run in services.reader.runs(limit=RUNS_TO_CLONE)]
    return sorted({address for address in given if address})


def _filled(request: Request, sent: Fields) -> Filled:
    services: Services = request.app.state.services
    # A checkbox follows a hidden `false` of its name: the last one counts.
    values = {name: value.replace("\r\n", "\n") for name, value in sent.multi_items()}
    settings = {name.removeprefix(SETTING): value for name, value in values.items() if name.startswith(SETTING)}
    kind, name, clone = _source(services, values)
    asked = Asked(kind, name, settings, values.get("data", "").strip(), clone)
    own = {key: values.get(key, "").strip() for key in ("run_name", "description", "experiment", "token")}
    return Filled(asked, cache=values.get("cache", "true") != "false", **own)  # type: ignore[arg-type]


def _source(services: Services, values: Mapping[str, str]) -> tuple[str, str, str]:
    """Kind and name of the source, and the run whose parameters are taken."""
    clone = services.reader.run(values["clone"]).run_id if values.get("clone") else ""
    for kind in ("recipe", "version"):
        if values.get(kind):
            return kind, values[kind], clone
    if clone:
        return "run", clone, ""
    newest = services.reader.runs(limit=1)
    used = services.domain.recipes.recipe_of(newest[0]) if newest else ""
    known = [s.name for s in services.domain.recipes.sources(services.store) if s.kind == "recipe"]
    return "recipe", used if used in known else "demo", ""


def _address_of_source(chosen: str, clone: str) -> str:
    kind, _, name = chosen.partition(":")
    if kind not in KINDS or not name:
        raise PipelineError(f"from={chosen!r} is no source; expected recipe:NAME, version:ID or run:ID")
    asked = {"clone" if kind == "run" else kind: name}
    return "/submit?" + urlencode(asked | ({"clone": clone} if clone and kind != "run" else {}))


def _token(form: Fields, filled: Filled) -> str:
    """Names what was sent: the same form sent twice makes one run, an edited one another."""
    sent = urlencode(form.multi_items())
    return hashlib.blake2s((filled.token or uuid.uuid4().hex).encode() + sent.encode(), digest_size=12).hexdigest()


def _preparations(request: Request) -> Preparations:
    with _MAKING:
        if not hasattr(request.app.state, "preparations"):
            request.app.state.preparations = Preparations()
    found: Preparations = request.app.state.preparations
    return found


routes = [
    Route("/submit", page),
    Route("/submit", start, methods=["POST"]),
    Route("/submit/check", check, methods=["POST"]),
    Route("/submit/estimate", estimate, methods=["POST"]),
    Route("/submit/folders", folders),
    Route("/submit/preparing/{token}", preparing),
]
