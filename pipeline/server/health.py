"""`/healthz` and `/readyz`: for what starts and watches the server, such as Kubernetes; they need no token."""

import logging
import sqlite3

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from pipeline.errors import PipelineError

LOG = logging.getLogger("seamline.health")


async def healthz(request: Request) -> PlainTextResponse:
    """The process answers. Says nothing of the state folder: a full disk is no reason to start the server anew."""
    return PlainTextResponse("ok")


def readyz(request: Request) -> PlainTextResponse:
    """The journal can be read, so pages and the API work; 503 otherwise, and the log says why."""
    try:
        request.app.state.services.reader.pulse("")
    except (OSError, sqlite3.Error, PipelineError) as error:
        LOG.warning("not ready: %s", error)
        return PlainTextResponse("the state folder cannot be read; the server's log says why", 503)
    return PlainTextResponse("ok")


routes = [Route("/healthz", healthz), Route("/readyz", readyz)]
