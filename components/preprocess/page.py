"""The page of views: a few pictures, every view as stored, so that a wrong crop or colour is seen before training."""

import base64
from html import escape

import cv2
import numpy as np
import simplejpeg

from components.artifacts import shards
from components.preprocess.settings import Settings
from components.vision import decode

_SHOWN_PX = 144
_STYLE = """
:root { color-scheme: light dark; --ground: #fff; --ink: #1c1c1a; --faint: #6b6b66; --line: #dcdcd6 }
@media (prefers-color-scheme: dark) { :root { --ground: #161615; --ink: #ecece6; --faint: #9b9b94; --line: #3a3a37 } }
body { margin: 1.5rem; background: var(--ground); color: var(--ink); font: 15px/1.4 system-ui, sans-serif }
p, th, td { color: var(--faint); font-size: 13px; font-weight: 400 }
div { overflow-x: auto } table { border-collapse: collapse } th { text-align: left; padding: 4px 8px 4px 0 }
td { padding: 0 8px 8px 0 } td, tbody th { vertical-align: top } tbody th { max-width: 13rem; overflow-wrap: anywhere }
img { display: block; width: 128px; height: 128px; border: 1px solid var(--line); image-rendering: auto }
"""


def render(attribute: str, pictures: list[shards.Record], settings: Settings) -> str:
    """One self-contained HTML page: a row for each picture, a column for each view."""
    head = "".join(f"<th scope=col>{escape(name)}</th>" for name in settings.views)
    rows = "".join(_row(picture, settings) for picture in pictures)
    about = f"{settings.size_px} x {settings.size_px} px, stored as {settings.encoding}; {len(pictures)} pictures"
    title = f"Views of {escape(attribute)}"
    return (
        f'<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n<meta name=viewport content="width=device-width">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n<h1>{title}</h1>\n<p>{about}</p>\n"
        f"<div><table><thead><tr><th scope=col>picture</th>{head}</tr></thead>\n"
        f"<tbody>{rows}</tbody></table></div>\n</html>\n"
    )


def _row(picture: shards.Record, settings: Settings) -> str:
    label = f"<br>{escape(picture.label)}" if picture.label else ""
    size = f"{picture.width} x {picture.height}" if picture.width else "undecodable"
    name = f"<th scope=row>{escape(picture.image_id)}{label}<br>{size}</th>"
    cells = (f"<td>{_image(data, view, settings)}</td>" for view, data in picture.views.items())
    return f"<tr>{name}{''.join(cells)}</tr>\n"


def _image(data: bytes, view: str, settings: Settings) -> str:
    pixels = _decoded(data, settings)
    if settings.size_px > _SHOWN_PX:
        pixels = cv2.resize(pixels, (_SHOWN_PX, _SHOWN_PX), interpolation=cv2.INTER_AREA)
    small = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), 85, "RGB", "420")
    return f'<img alt="{escape(view)}" src="data:image/jpeg;base64,{base64.b64encode(small).decode()}">'


def _decoded(data: bytes, settings: Settings) -> np.ndarray:
    if settings.encoding == "raw":
        return np.frombuffer(data, np.uint8).reshape(settings.size_px, settings.size_px, 3)
    return decode.rgb(data)
