"""The site builds without a warning, has a page for every public name, and leads nowhere that is not there."""

from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import pairs_bt

ROOT = Path(__file__).resolve().parents[2]


class Page(HTMLParser):
    """Where a page leads, what it loads, and its anchors."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.anchors.update(value for key in ("id", "name") if (value := found.get(key)))
        if tag == "a" and found.get("href"):
            self.links.append(found["href"] or "")
        if tag in ("script", "img") and found.get("src"):
            self.loads.append(found["src"] or "")
        if tag == "link" and found.get("rel") == "stylesheet":
            self.loads.append(found.get("href") or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "-d", out / "trees"]
    done = subprocess.run(
        [*map(str, command), str(ROOT / "docs"), str(out / "html")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return out / "html"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in site.rglob("*.html") if "_static" not in path.parts}


def test_every_public_name_has_its_page_and_every_page_of_docs_is_there(site: Path) -> None:
    assert {path.stem for path in (site / "api").glob("*.html")} == {*pairs_bt.__all__, "index"}
    assert "pairs_bt.read_prices" in (site / "api" / "read_prices.html").read_text(encoding="utf-8")
    assert {path.stem for path in (ROOT / "docs").glob("*.md")} <= {path.stem for path in site.glob("*.html")}
    assert {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")} == {
        path.stem for path in (site / "notebooks").glob("*.html")
    }


def test_links_and_files_of_every_page_are_there(pages: dict[Path, Page]) -> None:
    assert len(pages) > 30
    lost = []
    for path, page in pages.items():
        for link in [*page.links, *page.loads]:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            if not target.exists() or (anchor and target in pages and anchor not in pages[target].anchors):
                lost.append((path.name, link))
    assert lost == []


def test_pages_and_their_search_need_no_network(site: Path, pages: dict[Path, Page]) -> None:
    # The notebooks' pages name requirejs and the formulas' page MathJax, which only those pages use.
    plain = [page for path, page in pages.items() if path.parent.name != "notebooks"]
    assert [load for page in plain for load in page.loads if urlsplit(load).scheme] == []
    assert "hedge" in (site / "searchindex.js").read_text(encoding="utf-8")
