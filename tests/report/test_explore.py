"""The explorer, in a real browser: it trades as `pairs_bt.run` does, touches no network, and runs no ticker."""

from __future__ import annotations

import json
import sys
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats

import pairs_bt
from pairs_bt import Config
from pairs_bt.backtest.study import prepare
from pairs_bt.backtest.window_tasks import Candidates, pair_paths, rule_signals
from pairs_bt.data.prices import check_prices
from pairs_bt.report.explorer import page as explore
from pairs_bt.report.explorer.data import explore_block, pack, unpack
from pairs_bt.report.explorer.page import fitting_block, render_explorer
from pairs_bt.stats.backtest_overfitting import deflated_best
from pairs_bt.stats.bootstrap import mean_error
from tests.browser import chromium
from tests.cli_tools import call

SCRIPT = Path(explore.__file__).parents[1] / "templates" / "explore.js"
HOSTILE = "<script>alert(1)</script>"
APP = "document.getElementById('explorer').explorer"
# Trades, daily net returns and Sharpe ratios of every variant at some settings, straight from the page's ledger.
TRADE = """(set) => {
  const app = document.getElementById('explorer').explorer;
  const full = { from: '', to: '', out: new Set(), ...set };
  return app.compute(full).map((r) => ({
    name: r.variant.name, net: Array.from(r.net), sharpe: r.summary.sharpe,
    trades: r.trades.map((o) => [o.pair.w.end, o.pair.name, o.side, o.signalBar, o.entryBar,
      o.exitBar, app.head.reasons[o.reason], o.net]),
  }));
}"""


@pytest.fixture(scope="module")
def config() -> Config:
    return Config.load(
        None,
        ["data.start=2005-01-01", "data.end=2008-09-30", "comparison.draws=100", 'hedge.rehedge=["never","daily"]',
         "selection.max_pairs=12"],
    )  # fmt: skip


@pytest.fixture(scope="module")
def hostile_prices(demo_prices: pd.DataFrame) -> pd.DataFrame:
    prices = demo_prices.rename(columns={"KO": HOSTILE, "PEP": '=A1"&x'})
    return prices[prices.index <= "2008-09-30"]


@pytest.fixture(scope="module")
def made(config: Config, hostile_prices: pd.DataFrame) -> pairs_bt.Run:
    return pairs_bt.run(config, prices=hostile_prices)


@pytest.fixture(scope="module")
def place(made: pairs_bt.Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("explorer") / "explore.html"
    path.write_text(render_explorer(made), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def page(browser, place: Path):
    """The open page; at the end nothing may have been said to the console or asked of the network."""
    said: list[str] = []
    tab = browser.new_page(viewport={"width": 1100, "height": 900})
    tab.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("dialog", lambda dialog: (said.append("a dialog"), dialog.dismiss()))
    tab.on("request", lambda request: said.append(request.url) if not request.url.startswith(("file:", "blob:")) else 0)
    tab.goto(place.as_uri())
    tab.wait_for_selector("[data-ready]", timeout=60_000)
    yield tab
    assert said == []


def drawn() -> list[dict[str, float | None]]:
    rng = np.random.default_rng(30)
    out = []
    for _ in range(30):
        entry = round(float(rng.uniform(0.8, 2.8)), 2)
        out.append(
            {
                "entry": entry,
                "exit": round(float(rng.uniform(-0.8, 0.7)), 2),
                "stop": round(entry + float(rng.uniform(0.3, 2)), 2) if rng.random() < 0.5 else None,
                "time_stop": round(float(rng.uniform(0.5, 4)), 2) if rng.random() < 0.5 else None,
                "cost": round(float(rng.uniform(0, 40)), 1),
                "borrow": round(float(rng.uniform(0, 800)), 0),
                "lag": int(rng.integers(0, 5)),
            }
        )
    return out


def with_settings(config: Config, settings: dict[str, float | None]) -> Config:
    keys = {
        "entry": "signal.entry", "exit": "signal.exit", "stop": "signal.stop", "time_stop": "signal.time_stop",
        "cost": "execution.cost_bps", "borrow": "execution.borrow_bps", "lag": "execution.lag",
    }  # fmt: skip
    return config.with_changes(*(f"{keys[name]}={v}" for name, v in settings.items() if v is not None))


def assert_same(run: pairs_bt.Run, found: list[dict]) -> int:
    """The page's trades, money and Sharpe ratios are the run's."""
    position = {date: k for k, date in enumerate(run.prices.index)}
    capital = run.config.portfolio.capital
    assert [one["name"] for one in found] == list(run.labels)
    for one in found:
        rows = run.trades[run.trades["variant"] == one["name"]].reset_index(drop=True)
        mine = pd.DataFrame(one["trades"], columns=["end", "pair", "side", "signal", "entry", "exit", "reason", "net"])
        assert list(mine["end"]) == [f"{t:%Y-%m-%d}" for t in rows["test_end"]]
        assert list(mine["pair"]) == list(rows["y"].astype(str) + "/" + rows["x"].astype(str))
        assert list(mine["side"]) == list(rows["side"])
        assert list(mine["reason"]) == list(rows["exit_reason"])
        for column, stamp in (("signal", "signal_date"), ("entry", "entry_date"), ("exit", "exit_date")):
            for bar, end, date in zip(mine[column], rows["test_end"], rows[stamp], strict=True):
                split = int(run.prices.index.searchsorted(end, side="right"))
                assert bar == (-1 if pd.isna(date) else position[date] - split)
        np.testing.assert_allclose(mine["net"].astype(float), rows["net_pnl"], rtol=0, atol=1e-6 * capital)
        np.testing.assert_allclose(one["net"], run.net[one["name"]], rtol=0, atol=1e-9)
        own = run.summary.set_index("variant").loc[one["name"], "net_sharpe"]
        assert (np.nan if one["sharpe"] is None else one["sharpe"]) == pytest.approx(own, abs=1e-8, nan_ok=True)
    return len(run.trades)


def test_thirty_drawn_settings_trade_as_the_run_does(page, config, hostile_prices) -> None:
    trades = 0
    for settings in drawn():
        run = pairs_bt.run(with_settings(config, settings), prices=hostile_prices)
        trades += assert_same(run, page.evaluate(TRADE, settings))
    assert trades > 3000


def test_the_runs_own_settings_give_its_daily_returns(page, made) -> None:
    own = page.evaluate(f"{APP}.head.own")
    assert assert_same(made, page.evaluate(TRADE, own)) > 50


@pytest.mark.parametrize(
    "changes",
    [
        ('portfolio.sizing="volatility"', "portfolio.compounding=true", "portfolio.cash_rate=0.03",
         "portfolio.short_rebate=0.4", "signal.window_half_lives=3",
         "portfolio.netting=true", "filter.price_space=log", "execution.spread=0.01", "signal.stop_loss=0.02",
         'hedge.variants=["dynamic", "ols", "kalman_changes", "rolling_ols"]', 'hedge.rehedge=["never", {band=0.02}]'),
        ('execution.pnl="spread"', 'execution.unconverged="drop"', 'filter.intercept="subtract"',
         'portfolio.sizing="dollar_neutral"', 'signal.half_life="book"', "hedge.reject_negative=false"),
        ('signal.z="innovation"', 'signal.half_life="ignore"', 'signal.side="book"', "hedge.max_leg_share=0.7",
         'hedge.variants=["dynamic", "fixed_first", "averaged", "fixed_last"]'),
        ('filter.model="random_walk"', 'signal.z="rolling"', "signal.window_half_lives=2", "portfolio.cash_rate=0.05"),
    ],
)  # fmt: skip
def test_other_forms_trade_as_the_run_does(browser, config, hostile_prices, tmp_path, changes) -> None:
    rng = np.random.default_rng(5)
    # holes: nothing may be decided or filled on a price that is carried forward; a leg that ends is closed
    prices = hostile_prices.mask(rng.random(hostile_prices.shape) < 0.003)
    prices.iloc[0] = hostile_prices.iloc[0]
    prices.loc[prices.index > "2008-08-15", ["MRK", "XOM"]] = np.nan
    base = config.with_changes(*changes)
    run = pairs_bt.run(base, prices=prices)
    (tmp_path / "p.html").write_text(render_explorer(run), encoding="utf-8")
    tab = browser.new_page()
    tab.goto((tmp_path / "p.html").as_uri())
    tab.wait_for_selector("[data-ready]", timeout=60_000)
    for settings in ({}, {"entry": 1.2, "exit": 0.2, "stop": 2.9, "time_stop": 1.5, "lag": 2}):
        other = pairs_bt.run(with_settings(base, settings), prices=prices)
        state = tab.evaluate(f"{APP}.head.own") | settings
        assert assert_same(other, tab.evaluate(TRADE, state)) > 10
    tab.close()


@pytest.mark.parametrize(
    "changes", [(), ('filter.intercept="subtract"',), ('signal.z="formation"', 'hedge.variants=["dollar"]')]
)
def test_the_mean_on_the_page_is_the_one_that_z_is_measured_from(browser, config, hostile_prices, tmp_path, changes):
    run = pairs_bt.run(config.with_changes(*changes), prices=hostile_prices)
    (tmp_path / "p.html").write_text(render_explorer(run), encoding="utf-8")
    tab = browser.new_page()
    tab.goto((tmp_path / "p.html").as_uri())
    tab.wait_for_selector("[data-ready]", timeout=60_000)
    found = tab.evaluate(f"""() => {{
      const {{ data }} = {APP};
      return data.rules.map((rule) => data.pairs.filter((p) => !rule.refusal[p.p]).map((pair) =>
        [pair.p, Array.from(data.spread(rule, pair)), Array.from(data.meanOf(rule, pair))]));
    }}""")
    tab.close()
    study = prepare(run.config, check_prices(hostile_prices))
    head, arrays = unpack(explore_block(run).text)
    compared = 0
    for rule, pairs in zip(head["rules"], found, strict=True):
        own = {p: (np.array(spread, float), np.array(mean, float)) for p, spread, mean in pairs}
        for k in range(len(head["windows"])):
            rows = np.flatnonzero(arrays["pair_window"] == k)
            names = [[head["tickers"][t] for t in arrays[leg][rows]] for leg in ("pair_y", "pair_x")]
            legs = Candidates(*(np.array([study.tickers.index(t) for t in part], dtype=np.int64) for part in names))
            path = pair_paths(study, k, legs, 0, rows.size)
            signals = rule_signals(study, k, path, rule["name"], legs, 0, rows.size)
            for n in np.flatnonzero(signals.refusal == 0):
                spread, mean = own[int(rows[n])]
                size = np.abs(signals.spread[n]).max()
                np.testing.assert_allclose(spread, signals.spread[n], rtol=0, atol=1e-9 * size)
                # the train bars of a rolling mean travel in single precision
                known = np.isfinite(signals.z[n])
                np.testing.assert_allclose(mean[known], signals.mean[n][known], rtol=0, atol=1e-6 * size)
                compared += 1
    assert compared > 20


def test_the_deflated_sharpe_counts_what_was_looked_at(page, config, hostile_prices) -> None:
    page.evaluate(f"{APP}.reset()")
    looked = [{}, {"entry": 1.5}, {"exit": 0.3, "entry": 1.5}]
    found = page.evaluate(
        """async (looked) => {
          const app = document.getElementById('explorer').explorer;
          app.trials = new app.trials.constructor();
          for (const set of looked) { Object.assign(app.set, app.head.own, set); app.update(true); app.update(true); }
          const best = app.results.map((r) => [r.variant.name, app.trials.deflated(r.summary.moments)]);
          return [app.trials.settings.size, app.trials.sharpes.length, app.trials.effective, Object.fromEntries(best)];
        }""",
        looked,
    )
    columns = {}
    for number, settings in enumerate(looked):
        run = pairs_bt.run(with_settings(config, settings), prices=hostile_prices)
        columns |= {f"{number} {name}": run.excess[name] for name in run.excess}
    tried = pd.DataFrame(columns)
    best = deflated_best(tried)
    assert found[:2] == [3, len(tried.columns)]
    assert found[2] == pytest.approx(best.effective, rel=1e-9)
    from pairs_bt.stats.deflated_sharpe import deflated_sharpe

    for name, value in found[3].items():
        mine = deflated_sharpe(tried[f"2 {name}"], trials=best.effective, trial_variance=best.trial_variance)
        assert value == pytest.approx(mine, rel=1e-7)


def chance_band(net: np.ndarray, excess: np.ndarray, block: int) -> tuple[np.ndarray, np.ndarray]:
    """Growth of 1 without an edge, low and high of 95 in 100, from the error of the mean that the intervals use."""
    n, terms = excess.size, excess.size // block
    days = np.arange(1, n + 1)
    reach = scipy.stats.t(terms).ppf(0.975) * mean_error(excess, terms) * np.sqrt(n * days)
    middle = np.cumsum(net - excess) - excess.var(ddof=1) * days / 2
    return np.exp(middle - reach), np.exp(middle + reach)


def test_the_band_of_chance_is_that_of_the_runs_interval(page, config, hostile_prices) -> None:
    page.evaluate(f"{APP}.reset()")
    settings = {"entry": 1.5, "exit": 0.2}
    run = pairs_bt.run(with_settings(config, settings), prices=hostile_prices)
    found = page.evaluate(
        f"""(set) => {{
          const app = {APP};
          Object.assign(app.set, set);
          app.update(true);
          return app.results.map((r) => [r.variant.name, Array.from(r.net, (_, i) => r.summary.chance(i))]);
        }}""",
        settings,
    )
    for name, band in found:
        net, excess = run.net[name].to_numpy(), run.excess[name].to_numpy()
        mine = np.transpose(chance_band(net, excess, run.config.comparison.block))
        np.testing.assert_allclose(np.array(band), mine, rtol=1e-7)
    assert [name for name, _ in found] == list(run.labels)
    assert "95 times in 100" in page.locator("#x-equity").inner_text()


def test_the_band_of_chance_holds_what_has_no_edge() -> None:
    # noise of a memory of some days, without a mean: inside on 95 of 100 last days, and on days before
    rng = np.random.default_rng(95)
    inside = []
    for _ in range(400):
        shocks = rng.standard_t(5, 2700)
        net = 0.002 * np.convolve(shocks, 0.8 ** np.arange(20), "valid")
        low, high = chance_band(net, net, 126)
        growth = np.cumprod(1 + net)
        inside.append([(low <= growth)[t] and (growth <= high)[t] for t in (600, 1500, -1)])
    share = np.mean(inside, axis=0)
    # three standard errors of a share of 400
    assert (abs(share - 0.95) < 3 * (0.95 * 0.05 / 400) ** 0.5).all(), share


def test_every_control_by_keyboard(page) -> None:
    page.evaluate(f"{APP}.reset()")
    for name in ("entry", "exit", "stop", "time_stop", "cost", "borrow", "lag"):
        before = page.evaluate(f"{APP}.set.{name}")
        page.focus(f"#s-{name}")
        page.keyboard.press("ArrowLeft")
        assert page.evaluate(f"{APP}.set.{name}") != before, name
    box = page.locator("fieldset input[type=checkbox]").first
    box.focus()
    page.keyboard.press("Space")
    assert not box.is_checked()
    page.wait_for_timeout(400)
    assert "entry=" in page.url
    assert "on=" in page.url
    # what cannot be reached by the Tab key cannot be used without a mouse
    reached = page.evaluate(
        "() => [...document.querySelectorAll('input, button, select, canvas.chart')]"
        ".filter((e) => e.tabIndex < 0).length"
    )
    assert reached == 0
    page.locator("#x-equity canvas").focus()
    page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    assert page.locator("#x-equity output").inner_text().startswith("20")
    head = page.locator("#x-trades th button").first
    head.focus()
    page.keyboard.press("Enter")
    assert page.locator("#x-trades th").first.get_attribute("aria-sort") == "ascending"
    page.locator("#x-trades button.link").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_timeout(300)
    assert page.locator("#x-pair").is_visible()


def test_state_goes_through_the_address_and_into_words(browser, page, place) -> None:
    page.evaluate(f"{APP}.reset(); {APP}.change('entry', 1.25); {APP}.change('stop', 3)")
    page.wait_for_timeout(500)
    tab = browser.new_page()
    tab.goto(page.url)
    tab.wait_for_selector("[data-ready]", timeout=60_000)
    tab.wait_for_timeout(300)
    assert tab.evaluate(f"[{APP}.set.entry, {APP}.set.stop]") == [1.25, 3]
    for label in ("Copy --set", "Copy TOML"):
        tab.get_by_role("button", name=label).click()
        text = tab.locator("textarea").input_value()
        assert "1.25" in text
        assert "stop" in text
        if label == "Copy --set":
            assert (
                Config.load(None, [part.strip("' ") for part in text.split("--set") if part.strip()]).signal.stop == 3
            )
    tab.close()


def test_a_ticker_is_text_everywhere(page, place) -> None:
    text = place.read_text(encoding="utf-8")
    assert "alert(1)" not in text
    assert "default-src 'none'" in unescape(text[:2000])
    page.evaluate(f"{APP}.pairs.limit = 500; {APP}.update(true); {APP}.settle()")
    names = page.evaluate(f"{APP}.pairs.rows.map((r) => r.name)")
    hostile = next(name for name in names if HOSTILE in name)
    page.evaluate(f"{APP}.open({json.dumps(hostile)})")
    assert page.locator("#x-pair h2").inner_text().startswith(hostile)
    assert page.evaluate("document.querySelectorAll('script').length") == 2
    assert page.evaluate(f"{APP}.pairs.csv()").count("\n=") == 0


def test_the_same_run_gives_the_same_bytes_from_its_folder(tmp_path, config) -> None:
    pairs_bt.run(config.with_changes("run.spreads=none"), out=tmp_path / "r", report=False)
    pages = []
    for _ in range(2):
        said = call("explore", tmp_path / "r")
        assert said.code == 0, said.err
        pages.append((tmp_path / "r" / "explore.html").read_bytes())
    assert pages[0] == pages[1]
    assert call("verify", tmp_path / "r").code == 0
    assert call("explore", tmp_path / "none").code == 3


def test_the_module_is_small() -> None:
    assert SCRIPT.stat().st_size <= 60_000


def test_a_page_that_is_too_large_keeps_the_pairs_that_traded(made) -> None:
    block = explore_block(made)
    small, notice = fitting_block(made, len(block.text) * 2 // 3)
    assert len(small.text) <= len(block.text) * 2 // 3
    assert 0 < small.pairs < block.pairs
    assert f"{small.pairs:,} of the {block.pairs:,}" in notice
    # what is left out traded less often than what is kept
    head, arrays = unpack(small.text)
    kept = {
        (head["windows"][k]["end"], head["tickers"][y], head["tickers"][x])
        for k, y, x in zip(arrays["pair_window"], arrays["pair_y"], arrays["pair_x"], strict=True)
    }
    keys = made.trades[["test_end", "y", "x"]].drop_duplicates()
    traded = {(f"{t:%Y-%m-%d}", str(y), str(x)) for t, y, x in keys.itertuples(index=False)}
    assert kept >= traded or traded >= kept


def test_a_block_comes_back_as_it_was_packed() -> None:
    rng = np.random.default_rng(3)
    arrays = {"a": rng.normal(size=9), "b": np.arange(5, dtype=np.int32), "c": np.empty(0), "d": np.int8([1, 0])}
    head, back = unpack(pack({"x": "<"}, arrays))
    assert head["x"] == "<"
    for name, values in arrays.items():
        np.testing.assert_array_equal(back[name], values)


def test_a_notebook_gets_a_widget_or_a_frame_that_says_what_to_install(made, monkeypatch) -> None:
    pytest.importorskip("anywidget")
    widget = made.explore()
    assert unpack(widget.block)[0]["title"]
    monkeypatch.setattr(explore, "find_spec", lambda name: None)
    frame = made.explore()
    assert "pairs-bt[notebook]" in repr(frame)
    assert "<iframe srcdoc=" in frame._repr_html_()
    assert "alert(1)" not in frame._repr_html_()
    assert "anywidget" in sys.modules
