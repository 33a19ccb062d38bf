"""The page: one HTML file, style inside, pictures inside, no script and no outside request."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

HERE = Path(__file__).parent


def render(values: Mapping[str, Any]) -> str:
    """Fills the template; a value it lacks is an error, not an empty place."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html").render(values)
