"""`/notifications`: who is told when a run has ended, and whether that worked."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from pipeline.engine.outbox import Moment, Outbox
from pipeline.errors import NotFound, PipelineError
from pipeline.server import form_fields, rendering
from pipeline.server.form_fields import Fields


def notifications(request: Request) -> Response:
    """Receivers, and what was delivered lately."""
    return _page(request)


async def add(request: Request) -> Response:
    """Adds a receiver."""
    given = await form_fields.read(request)
    return await run_in_threadpool(_add, request, given)


def _add(request: Request, given: Fields) -> Response:
    services = request.app.state.services
    try:
        moment = given.get("moment", Moment.FAILED)
        Outbox(services.store).add(given.get("url", ""), moment, services.clock.now(), given.get("secret", ""))
    except PipelineError as error:
        return _page(request, str(error), given.get("url", ""))
    return RedirectResponse("/notifications", 303)


def remove(request: Request) -> Response:
    """Removes a receiver."""
    services = request.app.state.services
    Outbox(services.store).remove(request.path_params["notification_id"], services.clock.now())
    return RedirectResponse("/notifications", 303)


def test(request: Request) -> Response:
    """Sends a receiver a message that says it is a test, and tells whether it arrived."""
    services = request.app.state.services
    notification_id = request.path_params["notification_id"]
    try:
        services.domain.notices.send_test(services.store, notification_id)
    except NotFound:
        raise
    except PipelineError as error:
        return _page(request, told=str(error), status=502)
    return _page(request, told=f"the test reached {Outbox(services.store).receiver(notification_id).shown_url}")


def _page(request: Request, problem: str = "", url: str = "", told: str = "", status: int = 200) -> Response:
    outbox = Outbox(request.app.state.services.store)
    shown = [
        {"notification_id": r.notification_id, "url": r.shown_url, "moment": str(r.moment), "signed": bool(r.secret)}
        for r in outbox.receivers()
    ]
    names = {r["notification_id"]: r["url"] for r in shown}
    deliveries = [
        {
            "run_id": d.run_id,
            "to": names.get(d.notification_id, "a receiver that was removed"),
            "created": d.created,
            "attempts": d.attempts,
            "delivered": d.delivered,
            "next_try": d.next_try,
            "problem": d.problem,
        }
        for d in outbox.deliveries()
    ]
    data = {"receivers": shown, "deliveries": deliveries, "problem": problem, "told": told}
    return rendering.respond(request, "notifications.html", data, 400 if problem else status, url=url)


routes = [
    Route("/notifications", notifications),
    Route("/notifications", add, methods=["POST"]),
    Route("/notifications/{notification_id}/remove", remove, methods=["POST"]),
    Route("/notifications/{notification_id}/test", test, methods=["POST"]),
]
