"""The page of the console names the addresses, keys and limits that the server has, and its pictures are small."""

import re
from pathlib import Path

import pytest
from starlette.routing import Match, Route

from pipeline import serve_command
from pipeline.server import app, limits, live

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/console.md").read_text(encoding="utf-8")
SCRIPT = (ROOT / "pipeline/server/static/start.js").read_text(encoding="utf-8")
PICTURES = sorted((ROOT / "docs/images").glob("console-*.png"))


def chapter(title: str) -> str:
    return re.split(r"^## ", PAGE.split(f"\n## {title}")[1], maxsplit=1, flags=re.M)[0]


def addresses() -> list[str]:
    rows = re.findall(r"^\| (`/.*?) \|", chapter("Pages"), re.M)
    return [address for row in rows for address in re.findall(r"`([^`]+)`", row)]


def pages() -> list[Route]:
    return [r for r in app._routes() if isinstance(r, Route) and not r.path.startswith(app.API_PREFIXES)]


@pytest.mark.parametrize("address", addresses())
def test_every_address_on_the_page_exists(address: str) -> None:
    scope = {"type": "http", "method": "GET", "path": address.partition("?")[0]}
    assert any(route.matches(scope)[0] is Match.FULL for route in pages())


def test_every_page_of_the_console_is_on_the_page() -> None:
    served = {route.path.split("/")[1] for route in pages() if "GET" in (route.methods or ())}
    assert served - {address.partition("?")[0].split("/")[1] for address in addresses()} == set()


def test_the_addresses_of_kfp_on_the_page_are_those_that_the_script_knows() -> None:
    shown = set(re.findall(r"`/#/([\w/]+?)(?:/ID\b[^`]*)?`", chapter("Addresses")))
    patterns = re.findall(r"\[/\^#\\/(.*?)(?:\\/\(|\\b\(\))", SCRIPT)
    assert shown == {pattern.replace("\\/", "/") for pattern in patterns}


def test_the_keys_on_the_page_are_those_of_the_list_of_keys() -> None:
    base = (ROOT / "pipeline/server/templates/base.html").read_text(encoding="utf-8")
    keys = {key for entry in re.findall(r"<dt>(.*?)</dt>", base) for key in entry.split()}
    assert keys <= set(re.findall(r"`([^`]+)`", chapter("By keyboard")))


def test_the_limits_on_the_page_are_those_of_the_server() -> None:
    security = chapter("Security")
    assert (
        f"at most {limits.OTHER_BYTES // limits.MIB} MiB, uploads {limits.UPLOAD_BYTES // limits.MIB} MiB" in security
    )
    assert f"{serve_command.SHORTEST_TOKEN} or more characters" in security
    assert live.LOOK_S == 0.5 and "twice a second" in chapter("Live")


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_a_picture_of_the_console_is_small_and_shown_somewhere(picture: Path) -> None:
    assert picture.stat().st_size < 150_000
    assert f"images/{picture.name}" in PAGE + (ROOT / "README.md").read_text(encoding="utf-8")
