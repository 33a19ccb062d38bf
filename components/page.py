"""A self-contained HTML page of headings, tables and pictures, for steps that have no more to show. Pure."""

import base64
from collections.abc import Iterable, Sequence
from html import escape

_STYLE = """
:root { color-scheme: light dark; --ground: #fff; --ink: #1c1c1a; --faint: #6b6b66; --line: #dcdcd6 }
@media (prefers-color-scheme: dark) { :root { --ground: #161615; --ink: #ecece6; --faint: #9b9b94; --line: #3a3a37 } }
body { margin: 1.5rem; max-width: 72rem; background: var(--ground); color: var(--ink);
  font: 15px/1.4 system-ui, sans-serif }
h2 { font-size: 1.1rem; margin: 1.5rem 0 .5rem } div { overflow-x: auto }
p, th, figcaption { color: var(--faint); font-size: 13px; font-weight: 400 }
table { border-collapse: collapse; margin-bottom: 1.5rem } th, td { text-align: left; padding: 3px 16px 3px 0;
  border-bottom: 1px solid var(--line); overflow-wrap: anywhere } td.n { text-align: right }
figure { display: inline-block; margin: 0 1rem 1rem 0; max-width: 100%; vertical-align: top }
img { display: block; max-width: 100%; height: auto }
"""


def render(title: str, about: str, sections: Iterable[str]) -> str:
    """A whole page. `title` and `about`: plain text; `sections`: HTML, one after the other."""
    head = '<meta charset=utf-8>\n<meta name=viewport content="width=device-width">'
    return (
        f"<!doctype html>\n<html lang=en>\n{head}\n<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n"
        f"<h1>{escape(title)}</h1>\n<p>{escape(about)}</p>\n{''.join(sections)}</html>\n"
    )


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table under a title; whole numbers stand right, with commas."""
    names = "".join(f"<th scope=col>{escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>\n" for row in rows)
    whole = f"<table><thead><tr>{names}</tr></thead>\n<tbody>{body}</tbody></table>"
    return f"<h2>{escape(title)}</h2>\n<div>{whole}</div>\n"


def pictures(title: str, shown: Iterable[tuple[str, bytes]], kind: str = "jpeg", width_px: int = 240) -> str:
    """Pictures under a title, each with its caption: (plain text, encoded picture)."""
    figures = "".join(_figure(caption, data, kind, width_px) for caption, data in shown)
    return f"<h2>{escape(title)}</h2>\n<div>{figures or '<p>None.</p>'}</div>\n"


def _figure(caption: str, data: bytes, kind: str, width_px: int) -> str:
    text = escape(caption)
    image = f'<img width={width_px} alt="{text}" src="data:image/{kind};base64,{base64.b64encode(data).decode()}">'
    return f"<figure>{image}<figcaption>{text}</figcaption></figure>\n"


def _cell(value: object) -> str:
    return f"<td class=n>{value:,}</td>" if isinstance(value, int) else f"<td>{escape(str(value))}</td>"
