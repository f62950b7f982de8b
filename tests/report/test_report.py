"""The report: complete, well-formed, self-contained, honest about what it cannot show, the same bytes every time."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import pandas as pd
import pytest

from pairs_bt import Config, load_run, run
from pairs_bt.common.files import write_text
from pairs_bt.common.formatting import NOTHING, day, interval, money, number, percent, span, why_not
from pairs_bt.data.synthetic.cointegrated_pairs import PlantedPair
from pairs_bt.data.synthetic.market import make_market
from pairs_bt.report.page import render_report, write_report
from pairs_bt.report.panels import results
from pairs_bt.report.panels.concentration import decisive
from pairs_bt.report.panels.held_ratios import held_notes
from pairs_bt.report.panels.pair_index import shown_variants
from pairs_bt.report.panels.trades import ranking
from pairs_bt.report.plots.one_pair import pair_view, plot_pair_signals
from pairs_bt.report.plots.sparkline import sparkline
from pairs_bt.results import Run
from pairs_bt.runs.exit_causes import gap_parts
from tests.book_filter import BOOK_FILTER
from tests.cli_tools import call

VOID = {"meta", "br", "path", "use", "rect", "link"}
SECTIONS = (
    "metrics", "evidence", "held", "equity", "money", "costs", "cohorts", "calendar", "trades", "pairs", "index",
    "scan", "data",
)  # fmt: skip


class Page(HTMLParser):
    """Checks that elements nest, and collects what the tests look at."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        found = dict(attrs)
        if found.get("id"):
            self.ids.append(str(found["id"]))
        self.links += [str(v) for k, v in attrs if k in ("src", "href", "xlink:href", "action", "srcset", "data")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open, f"</{tag}> closes nothing"
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def self_contained(text: str) -> Page:
    page = Page(text)
    assert "script" not in page.tags
    assert not re.search(r"https?:|//[a-z]|@import|javascript:|\son[a-z]+=", text)
    assert all(link.startswith("#") for link in page.links)
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert len(set(page.ids)) == len(page.ids)
    assert not re.search(r"url\((?!#)", text)
    # matplotlib writes the day into a figure unless it is told not to
    assert "<dc:date" not in text
    return page


def market(n_bars: int = 900, **names: str) -> pd.DataFrame:
    pairs = [PlantedPair(half_life=12.0, spread_vol=0.03), PlantedPair(half_life=9.0, spread_vol=0.03)]
    prices = make_market(seed=3, n_bars=n_bars, pairs=pairs, n_independent=2).prices
    return prices.rename(columns=names)


QUICK = {
    "selection": {"alpha": 0.3, "combine": "any"},
    "windows": {"train": "1Y"},
    "comparison": {"draws": 100},
}


@pytest.fixture(scope="module")
def made(short_config: Config, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(short_config, out=tmp_path_factory.mktemp("runs") / "short")


@pytest.fixture(scope="module")
def html(made: Run) -> str:
    assert made.folder is not None
    return (made.folder / "report.html").read_text(encoding="utf-8")


def test_every_panel_is_there_in_one_self_contained_file(made: Run, html: str) -> None:
    page = self_contained(html)
    assert [name for name in page.ids if name in SECTIONS] == list(SECTIONS)
    assert made.comparison.verdict in page.text
    for label in made.labels.values():
        assert label in page.text
    for words in ("Holm", "Highest Sharpe ratio?", "Breaks even", "Funnel", "independent random walks", "Best: "):
        assert words in page.text, words
    assert "prefers-color-scheme:dark" in html
    assert "@media print" in html


def test_the_numbers_are_those_of_the_summary(made: Run, html: str) -> None:
    text = self_contained(html).text
    for value in made.summary["net_annual_return"]:
        assert percent(value) in text
    for value in made.summary["net_sharpe"]:
        assert number(value) in text
    assert f"{len(made.tests):,}" in text


def test_single_trades_stand_beside_the_headline_also_of_a_loser(made: Run, html: str) -> None:
    text = self_contained(html).text
    table = made.comparison.concentration
    assert table is not None
    top = html[: html.index("<nav>")]
    for name, row in table.iterrows():
        own = made.trades.loc[made.trades["variant"] == name, "net_pnl"]
        extreme = own[own.abs().idxmax()]
        assert row["without_extreme"] == pytest.approx(own.sum() - extreme)
        assert money(row["without_extreme"]) in top
    said = decisive(made)
    half = table["extreme_pnl"].abs() > 0.5 * table["total_pnl"].abs()
    assert len(said) == int(half.sum())
    assert all(sentence in text for sentence in said)
    alone = int(made.windows["selected"].eq(1).sum())
    assert (f"In {alone} of {len(made.windows)} windows a single pair was selected" in text) == (alone > 0)


def test_a_lone_candidate_s_loss_is_told() -> None:
    prices = market()[["P01Y", "P01X"]]
    result = run(Config.from_dict(QUICK | {"hedge": {"variants": ["averaged"]}}), prices=prices)
    worst = result.trades["net_pnl"].idxmin()
    # Everything but one loss is nothing, so that loss is the total.
    result.trades["net_pnl"] = 0.0
    result.trades.loc[worst, "net_pnl"] = -123456.0
    (sentence,) = decisive(result)
    lost = f"lost $123,456 ({percent(123456 / result.config.portfolio.capital, 1)} of the capital)"
    assert "averaged, \N{MINUS SIGN}$123,456 in all" in sentence
    assert "alone in its cohort" in sentence
    assert lost in sentence
    assert sentence.endswith("Without it: $0.")
    page = self_contained(render_report(result))
    assert sentence in page.text
    assert "divided by at least 5 pairs, and the rest is idle: a lone candidate gets" in page.text
    assert re.search(r"worst 100% P01[YX]/P01[YX] 100%", page.text)


@pytest.mark.parametrize(
    ("words", "column"),
    [
        ("the spread came back", "spread_came_back"), ("the mean caught up", "mean_caught_up"),
        ("the ratio moved", "ratio_moved"),
    ],
)  # fmt: skip
def test_exits_at_the_level_are_one_share_throughout(made: Run, html: str, words: str, column: str) -> None:
    block = re.search(r"How trades ended</figcaption>.*?</table>", html, flags=re.DOTALL)
    assert block is not None
    shown = re.findall(rf"exit level: {words}</th><td>[^<]*</td><td[^>]*>(?:<i[^>]*></i><span>)?([0-9]+%)", block[0])
    assert shown == [percent(value, 0) for value in made.summary[column] if value > 0]
    assert "At the exit level, of closed trades" in html
    assert not re.search(r"\bconverged\b", html.lower())


def test_the_report_s_parts_of_the_gap_add_up(made: Run, html: str) -> None:
    block = re.search(r"What closed the gap</figcaption>.*?</table>", html, flags=re.DOTALL)
    assert block is not None
    ended = made.trades[made.trades["exit_reason"] == "exit_level"]
    parts = gap_parts(ended, made.config).groupby(ended["variant"]).sum()
    for name in made.labels:
        assert money(parts.loc[name, "mean"]) in block[0]
        assert money(parts.loc[name].sum()) in block[0]


def test_the_header_spans_the_prices_that_were_used() -> None:
    config = Config.from_dict(QUICK).with_changes("data.start=2015-06-01", "data.end=2017-06-02")
    result = run(config, prices=market())
    used = market().loc["2015-06-01":"2017-06-02"].index
    text = self_contained(render_report(result)).text
    assert f"tickers, {used[0]:%Y-%m-%d} to {used[-1]:%Y-%m-%d}" in text
    source = {"first_date": "2015-01-01", "last_date": "2018-01-01"}
    assert span(source, config.data.start, config.data.end) == "2015-06-01 to 2017-06-02"
    assert span(source, None, None) == "2015-01-01 to 2018-01-01"


def test_an_interval_without_bounds_is_a_dash_with_its_reason() -> None:
    assert interval(-1.0, 2.0) == "\N{MINUS SIGN}1.00 to 2.00"
    row = {"low": -np.inf, "high": np.inf, "reason": ""}
    assert interval(-np.inf, np.inf) == interval(np.nan, np.nan) == NOTHING
    assert why_not({**row}) == "too few days moved to bound it"
    assert why_not({"low": np.nan, "high": np.nan, "reason": "never traded"}) == "never traded"
    assert why_not({"low": 0.0, "high": 1.0, "reason": ""}) == ""


def test_no_path_of_the_machine_is_shown(made: Run, html: str) -> None:
    assert made.folder is not None
    assert str(Path(made.config.data.path).parent) not in html
    assert str(made.folder.parent) not in html
    assert Path(made.config.data.path).name in html


def test_the_same_run_gives_the_same_bytes(made: Run, html: str, tmp_path: Path) -> None:
    assert made.folder is not None
    write_report(load_run(made.folder), tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == html


def test_the_command_adds_a_page_for_a_pair(made: Run, tmp_path: Path) -> None:
    assert made.folder is not None
    row = made.trades.iloc[0]
    said = call("report", made.folder, "--pair", f"{row['x']},{row['y']}", "--out", tmp_path / "r.html")
    assert said.code == 0, said.err
    page = self_contained((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert "Asked for: " in page.text


def test_a_pair_beyond_the_universe_says_so(made: Run) -> None:
    text = self_contained(render_report(made, pairs=[("A&B", "ZZ")])).text
    assert "A&B/ZZ was not selected" in text
    assert "not among the pairs of the universe" in text


def test_a_pair_that_was_never_selected_says_why(made: Run) -> None:
    chosen = made.tests.groupby(["s1", "s2"])["selected"].any()
    one, other = chosen[~chosen].index[0]
    text = self_contained(render_report(made, pairs=[(one, other)])).text
    assert "Why it was not selected" in text


def test_tickers_are_text_wherever_they_appear() -> None:
    names = {
        "P01Y": "<script>alert(1)</script>",
        "P01X": "A&B",
        "P02Y": '"><img src=x onerror=alert(1)>',
        "P02X": "A$B$",
    }
    result = run(Config.from_dict(QUICK), prices=market(650, **names))
    asked = [(names["P01Y"], names["P01X"]), (names["P02X"], names["P02Y"])]
    html = render_report(result, pairs=asked)
    page = Page(html)
    assert not page.tags & {"script", "img"}
    assert "<script" not in html
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") > 2
    assert "A&amp;B" in html
    assert "A&amp;amp;B" not in html
    for name in names.values():
        assert name in page.text, name
    # in a figure, too
    figures = "".join(re.findall(r"<svg viewBox.*?</svg>", html, flags=re.DOTALL))
    assert (
        "&lt;script&gt;alert(1)&lt;/script&gt; (solid)" in figures
        or "&lt;script&gt;alert(1)&lt;/script&gt; (dotted)" in figures
    )
    Page(result._repr_html_())


def test_a_run_without_trades_says_so() -> None:
    config = Config.from_dict(QUICK | {"selection": {"alpha": 1e-12}})
    result = run(config, prices=market())
    assert result.trades.empty
    text = self_contained(render_report(result)).text
    assert "No trade was made." in text
    assert "No variant traded" in text
    assert "No pair was traded" in text
    Page(result._repr_html_())


def test_a_run_with_candidates_and_no_trades_says_so() -> None:
    result = run(Config.from_dict(QUICK | {"signal": {"entry": 60.0, "half_life": "book"}}), prices=market())
    assert result.trades.empty
    assert len(result.half_lives)
    text = self_contained(render_report(result)).text
    assert "No trade was made." in text
    assert "can be traded" in text


def test_one_variant_has_nothing_to_be_compared_with() -> None:
    result = run(Config.from_dict(QUICK | {"hedge": {"variants": ["fixed_last"]}}), prices=market())
    text = self_contained(render_report(result)).text
    assert "Only fixed_last was compared" in text
    assert "One variant" in text
    assert "holds the first value" not in text


def test_one_trade_is_best_median_and_worst() -> None:
    prices = market()[["P01Y", "P01X"]]
    config = Config.from_dict(
        QUICK | {"hedge": {"variants": ["averaged"]}, "signal": {"entry": 1.8, "time_stop": 50.0}}
    ).with_changes(*BOOK_FILTER, "data.end=2016-06-24", "windows.entry_within=1M")
    result = run(config, prices=prices.loc[:"2016-06-24"])
    assert len(result.trades) == 1
    text = self_contained(render_report(result)).text
    assert "Best: " in text
    assert "Worst: " not in text
    assert len(ranking(result)[0]) == 1


def test_a_differenced_spread_is_called_a_claim() -> None:
    config = Config.from_dict(QUICK | {"execution": {"pnl": "spread", "lag": 0, "cost_bps": 0.0}})
    result = run(config, prices=market())
    text = self_contained(render_report(result)).text
    assert "This P&L is a claim, not money." in text
    assert text.count("a claim, not money") >= 9
    assert "Growth of 1, net on committed capital (a claim: differenced spreads)" in text
    assert "Convergence of the held spread" not in text
    assert "earned by the shares" not in text
    assert "claim, not money" in result._repr_html_()


def test_a_run_without_spreads_or_prices_says_so(tmp_path: Path) -> None:
    prices = market()
    prices.rename_axis("date").to_csv(tmp_path / "prices.csv")
    config = Config.from_dict(QUICK | {"run": {"spreads": "none"}, "data": {"path": str(tmp_path / "prices.csv")}})
    run(config, out=tmp_path / "a", report=False)
    (tmp_path / "prices.csv").write_text((tmp_path / "prices.csv").read_text().replace("2015", "2014"))
    text = self_contained(render_report(load_run(tmp_path / "a"))).text
    assert "kept no spread" in text
    assert "no longer those of this run" in text


def test_the_notes_say_what_is_held() -> None:
    """Under the copied notebook's filter the ratio is the price quotient; the defaults hold what the tests accept."""
    copied = run(Config.from_dict(QUICK).with_changes(*BOOK_FILTER), prices=market())
    notes = held_notes(copied)
    assert "price quotient" in notes[0]
    assert "dynamic and fixed_last" in notes[0]
    assert "before a price change has been seen" in notes[-1]
    assert (copied.held.loc[["dynamic", "fixed_last"], "near_quotient"] >= 0.9).all()
    plain = run(Config.from_dict(QUICK), prices=market())
    notes = held_notes(plain)
    assert "price quotient" not in notes[0]
    assert "after 63 train bars" in notes[-1]
    text = render_report(plain)
    assert "What was held" in text


def test_what_was_held_is_what_pandas_makes_of_the_spreads() -> None:
    result = run(Config.from_dict(QUICK), prices=market())
    lives = result.half_lives
    row = lives[(lives["variant"] == "averaged") & (lives["reason"] == "")].iloc[0]
    own = result.spreads.query("variant == 'averaged' and y == @row.y and x == @row.x and test_end == @row.test_end")
    assert row["ratio"] == own["hedge_ratio"].iloc[0]
    start = pd.Timestamp(row["test_end"]) + pd.Timedelta(days=1) - pd.DateOffset(years=1)
    train = result.prices[(result.prices.index >= start) & (result.prices.index <= row["test_end"])]
    y, x = train[row["y"]], train[row["x"]]
    assert row["to_quotient"] == pytest.approx(row["ratio"] * x.iloc[-1] / y.iloc[-1], rel=1e-12)
    assert row["to_ols"] == pytest.approx(row["ratio"] / np.polyfit(x, y, 1)[0], rel=1e-6)
    from statsmodels.tsa.stattools import adfuller

    spread = y - row["ratio"] * x
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        stat = adfuller(spread - spread.mean(), regression="n", autolag="AIC")[0]
    assert row["adf_stat"] == pytest.approx(stat, rel=1e-8)
    returns = train.pct_change().iloc[1:]
    both = y.iloc[-1] + abs(row["ratio"]) * x.iloc[-1]
    position = (y.iloc[-1] * returns[row["y"]] - row["ratio"] * x.iloc[-1] * returns[row["x"]]) / both
    everything = returns.mean(axis=1)
    assert row["market_beta"] == pytest.approx(np.polyfit(everything, position, 1)[0], rel=1e-6)


def test_the_funnel_counts_every_pair_once(made: Run, html: str) -> None:
    block = re.search(r"Funnel</figcaption>.*?</table>", html, flags=re.DOTALL)
    assert block is not None
    rows = dict(re.findall(r"<th[^>]*>([^<]+)</th><td[^>]*>([0-9,]+)</td>", block[0]))
    counts = {name.strip(): int(text.replace(",", "")) for name, text in rows.items()}
    rejected = sum(count for name, count in counts.items() if name.startswith("rejected"))
    assert rejected + counts["selected"] == counts["Pairs looked at, over all windows"] == len(made.tests)


def test_tickers_that_took_no_part_are_listed() -> None:
    prices = market()
    prices.loc[prices.index < "2016-06-01", "W001"] = np.nan
    result = run(Config.from_dict(QUICK), prices=prices)
    text = self_contained(render_report(result)).text
    assert "Left out of windows" in text
    assert re.search(r"W001 incomplete [1-9]", text)


def test_eight_variants_fit() -> None:
    ways = ["never", "daily", {"band": 0.1}, {"band": 0.2}, {"band": 0.3}]
    result = run(Config.from_dict(QUICK | {"hedge": {"rehedge": ways}}), prices=market())
    assert len(result.labels) == 8
    page = self_contained(render_report(result))
    for label in result.labels.values():
        assert label in page.text


def test_the_index_has_every_selected_pair_with_its_trades(made: Run, html: str) -> None:
    block = html[html.index('<section id="index">') : html.index('<section id="scan">')]
    chosen = made.tests[made.tests["selected"]]
    assert block.count("<li") == len(chosen) > 20
    assert re.findall(r"<h3>([0-9-]+)</h3>", block) == [day(end) for end in sorted(chosen["test_end"].unique())]
    assert "<a " not in block
    items = re.findall(r"<li([^>]*)><b>([^<]+)</b>(<svg.*?</svg>)?<span>([^<]*)</span>", block)
    assert len(items) == len(chosen)
    table = shown_variants(made)
    sums = made.trades.groupby(["test_end", "y", "x", "variant"])["net_pnl"].agg(["sum", "size"])
    order = list(made.labels)
    for (title, name, picture, text), row in zip(items, table.to_dict("records"), strict=True):
        assert name == f"{row['y']}/{row['x']}"
        own = sums[(sums.index.get_level_values("test_end") == row["test_end"])]
        own = own[(own.index.get_level_values("y") == row["y"]) & (own.index.get_level_values("x") == row["x"])]
        traded = [v for v in order if v in own.index.get_level_values("variant")]
        if traded:
            pnl, trades = own.xs(traded[0], level="variant").iloc[0]
            assert row["variant"] == traded[0]
            assert made.labels[traded[0]] in title
            assert text == money(pnl)
            assert f'aria-label="spread, {trades:.0f} trade' in picture
        else:
            assert text == "no trade" or text.startswith("not traded: ")


def test_a_picture_the_size_of_a_word_shows_the_spread_and_the_trades() -> None:
    rising = np.linspace(-2.0, 5.0, 100)
    text = sparkline(rising, [(0, 50, 10.0), (60, 99, -3.0)])
    assert text.startswith('<svg class="spark" viewBox="0 0 232 44" width="116" height="22" role="img"')
    line, gain, loss = re.findall(r'd="([^"]*)"', text)
    assert line.startswith("M2 36")
    steps = [tuple(map(int, part.split())) for part in re.findall(r"l(-?\d+ -?\d+)", line)]
    assert sum(x for x, _ in steps) == 228
    assert sum(y for _, y in steps) == -28
    assert all(y <= 0 for _, y in steps)
    assert gain == f"M2 2H{round(2 + 228 * 50 / 99)}"
    assert loss == f"M{round(2 + 228 * 60 / 99)} 42H230"
    gap = rising.copy()
    gap[40:45] = np.nan
    assert re.findall(r'd="([^"]*)"', sparkline(gap, []))[0].count("M") == 2
    assert "M2 36" in sparkline(np.ones(5), [])
    assert sparkline(np.full(3, np.nan), [])


def test_pairs_are_linked_to_the_explorer_where_there_is_one(made: Run, html: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run(made.config, out=folder)
    assert (folder / "report.html").read_text(encoding="utf-8") == html
    assert call("explore", folder).code == 0
    assert call("report", folder).code == 0
    linked = (folder / "report.html").read_text(encoding="utf-8")
    links = re.findall(r'<a href="(explore\.html#[^"]*)">', linked)
    assert len(links) == int(made.tests["selected"].sum())
    state = parse_qs(unescape(links[0]).partition("#")[2])
    assert state["pair"][0] in linked
    assert set(state) <= {"pair", "window", "variant"}
    write_report(load_run(folder), tmp_path / "elsewhere.html")
    assert (tmp_path / "elsewhere.html").read_text(encoding="utf-8") == html
    # a damaged report is made again with its links, whether or not it had them before
    write_text(folder / "report.html", "gone")
    run(made.config, out=folder)
    assert (folder / "report.html").read_text(encoding="utf-8") == linked


def test_a_refused_variant_takes_no_axis_in_the_figure_of_a_pair(made: Run) -> None:
    row = made.trades.iloc[0]
    view = pair_view(made, row["y"], row["x"], row["test_end"])
    first = next(iter(made.labels))
    refusals = view.refusals | {first: "leg share"}
    refused = replace(view, spreads=view.spreads[view.spreads["variant"] != first], refusals=refusals)
    whole, figure = plot_pair_signals(made, view), plot_pair_signals(made, refused)
    assert len(figure.axes) == len(whole.axes) - 1
    assert f"{made.labels[first]} is not traded: leg share" in [text.get_text() for text in figure.texts]
    for axis in figure.axes:
        assert axis.lines, axis.get_title(loc="left")


@pytest.mark.slow
def test_the_demo_s_report_is_below_three_megabytes(tmp_path: Path) -> None:
    run(out=tmp_path / "demo")
    page = tmp_path / "demo" / "report.html"
    assert page.stat().st_size < 3_000_000
    self_contained(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize(("freq", "head"), [("W-FRI", "Bars that gained"), ("B", "Days that gained")])
def test_the_hit_rate_counts_days_only_where_bars_are_days(monkeypatch, freq: str, head: str) -> None:
    monkeypatch.setattr(results, "styles", lambda run: [])
    columns = [line[1] for line in results.RETURNS if not isinstance(line, str)]
    summary = pd.DataFrame([dict.fromkeys(columns, 0.5)]).assign(label="ols")
    net = pd.DataFrame({"ols": 0.0}, index=pd.date_range("2015-01-02", periods=100, freq=freq))
    made: Any = SimpleNamespace(summary=summary, net=net)
    assert head in [row.head for row in results._metrics(made, results.RETURNS).rows]
