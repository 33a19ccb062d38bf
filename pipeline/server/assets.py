"""Stylesheet, scripts and font of the console: what stands in every page, and what is fetched after it was seen.

The stylesheet and the few lines that start the script stand in the page itself, so that the first paint waits for no
second request; the Content-Security-Policy names them by their hashes. The script comes later, under an address that
changes with its content.
"""

import base64
import hashlib
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

FOREVER = {"cache-control": "public, max-age=31536000, immutable"}
FONT = "inter-latin.woff2"


@cache
def style() -> Markup:
    """The stylesheet: the vendored one first, then ours in order of their names."""
    return Markup(_joined("css", "uPlot.min.css"))


@cache
def start() -> Markup:
    """The script that runs before the first paint; it loads the other one."""
    return Markup(_folder().joinpath("start.js").read_text(encoding="utf-8"))


@cache
def script() -> str:
    """The console's script: vendored libraries first, then ours in order of their names."""
    return _joined("js", "idiomorph.min.js", "uPlot.iife.min.js")


@cache
def script_address() -> str:
    """Address of the script; it changes with the content, so browsers may keep it for ever."""
    return f"/static/console.{hashlib.blake2s(script().encode(), digest_size=6).hexdigest()}.js"


@cache
def content_policy() -> str:
    """The Content-Security-Policy of all pages: nothing from elsewhere, nothing inline but what is ours."""
    return (
        f"default-src 'none'; script-src 'self' {_source(start())}; style-src 'self' {_source(style())}; "
        "img-src 'self' data:; font-src 'self'; connect-src 'self'; frame-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )


async def static(request: Request) -> Response:
    """The script and the font."""
    if request.url.path == script_address():
        return Response(script(), media_type="text/javascript", headers=FOREVER)
    if request.path_params["name"] == FONT:
        return Response(_folder().joinpath("vendor", FONT).read_bytes(), media_type="font/woff2", headers=FOREVER)
    return PlainTextResponse("no such file", 404)


def _source(text: str) -> str:
    """A text that may stand in a page, as Content-Security-Policy names it (CSP 3, 2.3.1)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _joined(kind: str, *vendored: str) -> str:
    folder = _folder()
    own = sorted(f.name for f in folder.joinpath(kind).iterdir() if f.name.endswith("." + kind))
    parts = [folder.joinpath("vendor", n) for n in vendored] + [folder.joinpath(kind, n) for n in own]
    return "\n".join(p.read_text(encoding="utf-8") for p in parts)


def _folder() -> Traversable:
    return resources.files("pipeline.server").joinpath("static")


routes = [Route("/static/{name}", static)]
