"""`seamline`, unchanged, but for one line in a file for every request: its method and the route that took it.

python recording_server.py FILE serve --port 0 --state DIR
"""

import sys
from pathlib import Path
from typing import Any

from starlette.routing import Match

from pipeline import serving
from pipeline.cli import main


class Recorder:
    """ASGI: notes which route takes a request, and passes it on."""

    def __init__(self, app: Any, file: Path) -> None:
        self._app = app
        self._file = file

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            taken = (r for r in self._app.routes if r.matches(scope)[0] is Match.FULL)
            route = next((r.path for r in taken), scope["path"])
            with self._file.open("a") as lines:
                lines.write(f"{scope['method']} {route}\n")
        await self._app(scope, receive, send)


def record(file: Path) -> None:
    make = serving.create_app
    serving.create_app = lambda *given: Recorder(make(*given), file)  # type: ignore[assignment,arg-type,return-value]


if __name__ == "__main__":
    record(Path(sys.argv.pop(1)))
    main()
