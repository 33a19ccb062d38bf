"""`/`: is anything wrong, is anything running?"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pipeline.server import rendering


def home(request: Request) -> Response:
    """What runs, what failed, what comes next, who is in force."""
    reader = request.app.state.services.reader
    return rendering.respond(request, "home.html", {"running": reader.unfinished(), "recent": reader.runs(limit=5)})


routes = [Route("/", home)]
