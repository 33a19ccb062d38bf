"""KFP's ExperimentService."""

from dataclasses import replace
from typing import Any

from pipeline.engine.experiments import COLUMNS, DEFAULT_ID, Experiments, loaded
from pipeline.engine.recurring import RecurringRuns
from pipeline.engine.recurring_spec import RecurringRun
from pipeline.errors import PipelineError
from pipeline.server.api import messages, paging
from pipeline.server.api.calls import Call, route


def _experiments(call: Call) -> Experiments:
    found = Experiments(call.services.store)
    found.default(call.now)  # as KFP's backend, which makes it at its first start
    return found


def list_experiments(call: Call) -> dict[str, Any]:
    """A page of experiments."""
    wanted = paging.wanted(call)
    page = _experiments(call).list(wanted.query(COLUMNS))
    return wanted.answer("experiments", [messages.experiment(loaded(row)) for row in page.rows], page)


def create_experiment(call: Call) -> dict[str, Any]:
    """A new experiment; the name must be free."""
    name = call.body.name("display_name")
    if not name:
        raise PipelineError("an experiment needs a name; give display_name")
    return messages.experiment(_experiments(call).create(name, call.body.text("description"), call.now))


def get_experiment(call: Call) -> dict[str, Any]:
    """One experiment."""
    return messages.experiment(_experiments(call).get(call.path("experiment_id")))


def archive_experiment(call: Call) -> dict[str, Any]:
    """Puts it away with its runs and stops its recurring runs, as KFP's backend does."""
    experiment_id = call.path("experiment_id")
    _experiments(call).archive(experiment_id, call.now)
    for one in _recurring_of(call, experiment_id):
        RecurringRuns(call.services.store).disable(one.recurring_id, call.now)
    return {}


def unarchive_experiment(call: Call) -> dict[str, Any]:
    """Takes it out again; its runs stay archived."""
    _experiments(call).unarchive(call.path("experiment_id"), call.now)
    return {}


def delete_experiment(call: Call) -> dict[str, Any]:
    """Its runs move to Default, and so does what its recurring runs will launch."""
    experiment_id = call.path("experiment_id")
    _experiments(call).delete(experiment_id, call.now)
    for one in _recurring_of(call, experiment_id):
        _move_to_default(call, one)
    return {}


def _recurring_of(call: Call, experiment_id: str) -> list[RecurringRun]:
    return [one for one in RecurringRuns(call.services.store).all() if one.spec.experiment_id == experiment_id]


def _move_to_default(call: Call, one: RecurringRun) -> None:
    recurring = RecurringRuns(call.services.store)
    try:
        recurring.update(one.recurring_id, replace(one.spec, experiment_id=DEFAULT_ID), call.now)
    except PipelineError:  # its pipeline is gone, so it cannot launch anyway
        recurring.disable(one.recurring_id, call.now)


_ONE = "/experiments/{experiment_id}"
routes = [
    route("GET", "/experiments", list_experiments),
    route("POST", "/experiments", create_experiment),
    route("POST", _ONE + ":archive", archive_experiment),
    route("POST", _ONE + ":unarchive", unarchive_experiment),
    route("GET", _ONE, get_experiment),
    route("DELETE", _ONE, delete_experiment),
]
