"""Every page is in the index, and every relative link of a page leads somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "components").rglob("*.md")])


def links(text: str) -> list[str]:
    """Targets of inline links and pictures, code left out."""
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
    return re.findall(r"\]\(([^)\s]+)\)", prose) + re.findall(r'(?:src|href)="([^"]+)"', prose)


def anchors(text: str) -> set[str]:
    """The names that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def faults(page: Path) -> list[str]:
    found = []
    for link in links(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists():
            found.append(f"{link}: no such file")
        elif anchor and anchor not in anchors(target.read_text(encoding="utf-8")):
            found.append(f"{link}: no such heading")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    assert faults(page) == []


def test_every_page_of_the_documentation_is_in_its_index() -> None:
    index = DOCS / "README.md"
    listed = {(DOCS / link).resolve() for link in links(index.read_text(encoding="utf-8"))}
    missing = {page for page in DOCS.rglob("*.md") if page != index} - listed
    assert sorted(page.name for page in missing) == []


def test_a_broken_link_and_a_broken_heading_are_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# A heading, with `code`\n", encoding="utf-8")
    page = tmp_path / "page.md"
    good = "[x](other.md#a-heading-with-code) [y](other.md) `[z](nowhere.md)` [w](https://example.org)"
    page.write_text(f"{good} [v](gone.md) [u](other.md#another)\n", encoding="utf-8")
    assert faults(page) == ["gone.md: no such file", "other.md#another: no such heading"]
