"""The still pages in a real browser: text that can be read, tables that say they go on, the headline turned."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import pairs_bt
from pairs_bt import Config
from pairs_bt.report import hedge_matrix
from pairs_bt.report.page import render_report
from pairs_bt.report.run_comparison import render_comparison
from tests.browser import chromium

SCREENS = [(1440, "light"), (1440, "dark"), (768, "light"), (390, "light"), (390, "dark"), (360, "light")]
# Pixels of every text of a figure, as they are on the screen.
TEXTS = """() => [...document.querySelectorAll('svg text')].filter((t) => t.getBoundingClientRect().width).map((t) => {
  const svg = t.ownerSVGElement, box = t.getBoundingClientRect();
  const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
  return [t.textContent, parseFloat(getComputedStyle(t).fontSize) * scale, box.left, box.right];
})"""
# What is wider than the screen, and whether it stands in a box that scrolls and has shadows at its ends.
WIDE = """() => [...document.querySelectorAll('table, figure > svg, pre')].map((e) => {
  const box = e.closest('.scroll'), right = (box ?? e).getBoundingClientRect().right;
  const shadows = box ? getComputedStyle(box).backgroundImage.split('gradient').length - 1 : 0;
  const hidden = box ? box.scrollWidth - box.clientWidth : 0;
  return [e.textContent.trim().slice(0, 40), right, hidden, shadows, e.tagName];
})"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def made(short_config: Config) -> pairs_bt.Run:
    return pairs_bt.run(short_config)


@pytest.fixture(scope="module")
def pages(
    made: pairs_bt.Run, short_config: Config, demo_prices: pd.DataFrame, tmp_path_factory: Any
) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    other = pairs_bt.run(short_config.with_changes("signal.entry=1.5"))
    matrix = pairs_bt.HedgeMatrix.fit(demo_prices.iloc[:400])
    texts = {
        "report": render_report(made),
        "compare": render_comparison(pairs_bt.compare(made, other)),
        "matrix": hedge_matrix.page(matrix),
    }
    for name, text in texts.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    few = short_config.with_changes("data.end=2008-06-30", 'hedge.variants=["dynamic", "fixed_last"]')
    pairs_bt.audit(few, draws_each=1, dates=1, out=folder / "audit")
    return {name: folder / f"{name}.html" for name in texts} | {"audit": folder / "audit" / "audit.html"}


@pytest.mark.parametrize("name", ["report", "compare", "matrix", "audit"])
def test_every_page_is_read_on_every_screen(browser: Any, pages: dict[str, Path], name: str) -> None:
    for width, scheme in SCREENS:
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.goto(pages[name].as_uri())
        where = (name, width, scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, where
        texts = page.evaluate(TEXTS)
        assert name == "matrix" or texts, where
        if width != 360:
            assert [text for text in texts if text[1] < 11.0] == [], where
        assert [text for text in texts if text[2] < -1.0 or text[3] > width + 1.0] == [], where
        for text, right, hidden, shadows, tag in page.evaluate(WIDE):
            assert tag == "PRE" or right <= width + 1, (*where, text)
            assert hidden <= 0 or shadows == 4, (*where, text)
        page.close()


def test_the_equity_stands_beside_the_headline_above_the_fold(browser: Any, pages: dict[str, Path]) -> None:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(pages["report"].as_uri())
    figure = page.locator("header .picture svg").bounding_box()
    table = page.locator("header .broad table").bounding_box()
    assert "Growth of 1, net" in page.locator("header .picture svg").text_content()
    assert table["x"] + table["width"] <= figure["x"] + 1
    assert figure["y"] + figure["height"] < 900
    assert table["y"] + table["height"] < 900
    page.close()


def test_the_headline_is_turned_on_a_phone(browser: Any, pages: dict[str, Path], made: pairs_bt.Run) -> None:
    labels = list(made.labels.values())
    for width, turned in ((390, True), (1440, False)):
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.goto(pages["report"].as_uri())
        shown = [t for t in page.locator("header table").all() if t.is_visible()]
        assert len(shown) == 1
        rows = [text.strip() for text in shown[0].locator("tbody th").all_inner_texts()]
        heads = [text.strip() for text in shown[0].locator("thead th").all_inner_texts()][1:]
        assert (rows if turned else heads) == labels
        assert "Net Sharpe ratio" in (heads if turned else rows)
        page.close()


def test_a_link_of_the_index_opens_its_pair_in_the_explorer(browser: Any, short_config: Config, tmp_path: Path) -> None:
    run = pairs_bt.run(short_config, out=tmp_path / "run", report=False)
    page = browser.new_page()
    pairs_bt.explore(run)
    pairs_bt.report(run, tmp_path / "run" / "report.html")
    page.goto((tmp_path / "run" / "report.html").as_uri())
    link = page.locator("#index li a").nth(3)
    name = link.inner_text()
    link.click()
    page.locator("text=Close the pair").wait_for(state="visible")
    assert page.evaluate("document.getElementById('explorer').explorer.view.pair") == name
    page.close()
