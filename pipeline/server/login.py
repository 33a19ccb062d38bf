"""Trading the token for a cookie, so that a browser need not carry it in addresses."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from pipeline.server import rendering
from pipeline.server.guard import COOKIE


async def form(request: Request) -> Response:
    """Asks for the token."""
    return rendering.respond(request, "login.html", {"wrong": False})


async def enter(request: Request) -> Response:
    """Checks the token and sets the cookie: not readable by scripts, not sent from other sites."""
    given = str((await request.form()).get("token", ""))
    if not request.app.state.access.is_token(given.strip()):
        return rendering.respond(request, "login.html", {"wrong": True}, 403)
    answer = RedirectResponse("/", 303)
    secure = request.url.scheme == "https"
    answer.set_cookie(COOKIE, given.strip(), httponly=True, samesite="strict", secure=secure, max_age=30 * 86400)
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
