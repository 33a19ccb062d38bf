"""The first thing that every client asks."""

from typing import Any

from pipeline.server.api.calls import Call, route


def healthz(call: Call) -> dict[str, Any]:
    """Says that there are no name spaces; with `multi_user` true clients would ask for one."""
    return {"multi_user": False}


routes = [route("GET", "/healthz", healthz)]
