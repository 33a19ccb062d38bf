"""Trading the token for a cookie, so that a browser need not carry it in addresses."""

import re

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from pipeline.server import form_fields, rendering
from pipeline.server.guard import COOKIE

_OWN_PAGE = re.compile(r"/(?!/)[!-\[\]-~]*")  # browsers take `//`, `/\\` and a tab between slashes for another host


def wanted(address: str | None) -> str:
    """The page that was asked for before the token; the start page for anything that may be another site's."""
    return address if address and _OWN_PAGE.fullmatch(address) else "/"


async def form(request: Request) -> Response:
    """Asks for the token."""
    return rendering.respond(request, "login.html", {"wrong": False, "next": wanted(request.query_params.get("next"))})


async def enter(request: Request) -> Response:
    """Checks the token and sets the cookie: not readable by scripts, not sent from other sites."""
    fields = await form_fields.read(request)
    given, asked = fields.get("token", "").strip(), wanted(fields.get("next"))
    if not request.app.state.access.is_token(given):
        return rendering.respond(request, "login.html", {"wrong": True, "next": asked}, 403)
    answer = RedirectResponse(asked, 303)
    secure = request.url.scheme == "https"
    answer.set_cookie(COOKIE, given, httponly=True, samesite="strict", secure=secure, max_age=30 * 86400)
    return answer


async def leave(request: Request) -> Response:
    """Forgets the cookie."""
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(COOKIE)
    return answer


routes = [
    Route("/login", form),
    Route("/login", enter, methods=["POST"]),
    Route("/logout", leave, methods=["POST"]),
]
