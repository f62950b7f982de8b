"""``signal.entry = "optimal"``: levels of every pair from its train window, through ledger, tables, pages and words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import pairs_bt
from pairs_bt.backtest import entry_levels
from pairs_bt.backtest.ledger import Market, trade_pairs
from pairs_bt.backtest.signals import SignalSet, whole_spreads
from pairs_bt.backtest.study import load_prices
from pairs_bt.backtest.window_tasks import Candidates, pair_paths, rule_signals
from pairs_bt.config.schema import Config
from pairs_bt.errors import ConfigError
from pairs_bt.models.ornstein_uhlenbeck.fit import fit_ou
from pairs_bt.models.ornstein_uhlenbeck.thresholds import optimal_thresholds
from pairs_bt.report.page import render_report
from pairs_bt.runner import load_run, open_study
from pairs_bt.sweep.runner import sweep

BASE = ("data.end=2008-06-30", "selection.alpha=0.3", "hedge.variants=['ols','fixed_last','dynamic']",
        "comparison.draws=100", "signal.entry=optimal")  # fmt: skip


@pytest.fixture(scope="module")
def config() -> Config:
    return Config.load(None, list(BASE))


@pytest.fixture(scope="module")
def made(config: Config, tmp_path_factory: pytest.TempPathFactory) -> pairs_bt.Run:
    out = tmp_path_factory.mktemp("optimal") / "run"
    pairs_bt.run(config, out=out, report=False)
    return load_run(out)


def test_levels_are_those_of_the_functions_on_the_train_bars(config: Config, made: pairs_bt.Run) -> None:
    study = open_study(config)
    place = {name: k for k, name in enumerate(study.tickers)}
    lives = made.half_lives[(made.half_lives["variant"] == "ols") & (made.half_lives["reason"] == "")]
    checked = 0
    for row in lives.head(6).itertuples():
        k = next(n for n, w in enumerate(study.windows) if pd.Timestamp(w.test_end) == row.test_end)
        y, x = np.array([place[row.y]]), np.array([place[row.x]])
        path = pair_paths(study, k, Candidates(y, x), 0, 1)
        context = study.context(k)
        train = context.window.n_train
        spread = whole_spreads(path, "ols", context.levels, y, x, train, config)[0, :train]
        fit = fit_ou(spread)
        assert (row.reversion, row.ou_mean, row.ou_sigma) == pytest.approx((fit.reversion, fit.mean, fit.sigma))
        assert (row.reversion_se, row.ou_mean_se) == pytest.approx((fit.reversion_se, fit.mean_se))
        last_y, last_x = context.train[[y[0], x[0]], -1]
        capital = last_y + row.ratio * last_x
        # 5 bp of both legs, in and out
        assert row.trade_cost == pytest.approx(2 * 5e-4 * capital)
        best = optimal_thresholds(reversion=fit.reversion, sigma=fit.sigma, mean=fit.mean, cost=row.trade_cost)
        assert (row.entry_level, row.exit_level) == pytest.approx((best.entry, best.exit))
        assert row.entry_z == pytest.approx((fit.mean - best.entry) / fit.deviation)
        assert row.exit_z == pytest.approx((fit.mean - best.exit) / fit.deviation)
        # long and short: twice the trades, twice the return
        assert row.trade_length == pytest.approx(best.trade_length * 252 / 2)
        assert row.expected_return == pytest.approx(2 * best.rate / capital)
        checked += 1
    assert checked == 6


def test_every_trade_is_entered_and_left_at_its_pairs_levels(made: pairs_bt.Run) -> None:
    keys = ["test_end", "y", "x", "variant"]
    text = dict.fromkeys(keys[1:], "str")
    trades = made.trades.merge(made.half_lives[[*keys, "entry_z", "exit_z"]], on=keys)
    z = made.spreads[[*keys, "date", "z_score"]].astype(text)
    at = trades.merge(z, left_on=[*keys, "signal_date"], right_on=[*keys, "date"])
    assert len(at) == len(trades) > 40
    assert (-at["side"] * at["z_score"] >= at["entry_z"]).all()
    assert at["entry_z"].nunique() > 10
    assert at["entry_z"].median() < 1.0
    assert (at["exit_z"] < 0).all()
    assert (trades["exit_reason"] == "exit_level").sum() > 10


def test_six_bars_by_hand() -> None:
    """Two pairs of one signal and other levels: entry 0.5 and exit -0.5 against entry 1.5 and exit -1."""
    z = np.array([[-0.6, -1.6, 0.4, 0.6, 1.1, 0.0]] * 2)
    y = np.array([10.0, 11.0, 12.0, 13.0, 14.0, 15.0])
    prices = np.vstack([y, np.full(6, 5.0)])
    one = np.ones((2, 6))
    fixed = entry_levels.fixed_levels(2, Config())
    levels = entry_levels.PairLevels(
        np.array([0.5, 1.5]), np.array([-0.5, -1.0]),
        *(getattr(fixed, name) for name in entry_levels.COLUMNS[2:]),
    )  # fmt: skip
    signals = SignalSet(one, one, one, z, np.full(2, 9.0), np.full(2, 9), np.zeros(2, np.int8), one, levels)
    market = Market(prices, np.ones(6), np.zeros(2), 6, False)
    config = Config.from_dict({"signal": {"entry": "optimal"}, "execution": {"cost_bps": 0.0, "borrow_bps": 0.0}})
    book = trade_pairs(signals, market, np.zeros(2, int), np.ones(2, int), config=config, pair_capital=100.0)
    # row 0: signal at bar 0, filled at 1; z = 0.6 at bar 3 leaves, filled at 4; the short of bar 4 fills at 5
    rows = [(int(t["row"]), int(t["side"]), int(t["entry_bar"]), int(t["exit_bar"])) for t in book.trades]
    assert rows == [(0, 1, 1, 4), (0, -1, 5, -1), (1, 1, 2, 5)]
    # 100 / (11 + 5) shares of y gain 3 dollars each; 100 / (12 + 5) gain 3
    assert book.trades["convergence"][[0, 2]] == pytest.approx([300 / 16, 300 / 17])


def test_the_ledger_refuses_signals_without_levels() -> None:
    flat = np.ones((1, 6))
    signals = SignalSet(flat, flat, flat, flat, np.ones(1), np.ones(1, int), np.zeros(1, np.int8), flat)
    market = Market(np.ones((2, 6)), np.ones(6), np.zeros(2), 6, False)
    config = Config.from_dict({"signal": {"entry": "optimal"}})
    with pytest.raises(ValueError, match="needs the levels of the pairs"):
        trade_pairs(signals, market, np.zeros(1, int), np.ones(1, int), config=config, pair_capital=1.0)


def test_the_trade_windows_prices_move_no_level(config: Config) -> None:
    data = load_prices(config)
    study = open_study(config, data)
    k = 2
    cut = study.windows[k].split
    other = data.prices.copy()
    other.iloc[cut:] *= np.random.default_rng(1).uniform(0.5, 2.0, other.iloc[cut:].shape)
    pairs = Candidates(np.arange(0, 8), np.arange(8, 16))
    levels = []
    for prices in (data.prices, other):
        made = open_study(config, prices)
        path = pair_paths(made, k, pairs, 0, 8)
        levels.append([rule_signals(made, k, path, rule, pairs, 0, 8).levels for rule in ("ols", "dynamic")])
    for before, after in zip(*levels, strict=True):
        for name in entry_levels.COLUMNS:
            assert np.array_equal(getattr(before, name), getattr(after, name), equal_nan=True), name
        assert np.isfinite(before.entry_z).any()


@pytest.mark.parametrize("space", ["raw", "normalised", "log"])
def test_a_trades_cost_is_what_the_ledger_charges(space: str) -> None:
    """In and out at the train end's prices, in units of the spread: per share of y, under logs per dollar of y."""
    config = Config.from_dict({"filter": {"price_space": space}, "execution": {"cost_bps": 7.0, "spread": 0.02}})
    y, x, share = np.array([40.0]), np.array([25.0]), np.array([1.3])
    cost = entry_levels.round_trip_cost(share, y, x, config)[0]
    prices = np.vstack([np.full(6, 40.0), np.full(6, 25.0)])
    z = np.array([[-3.0, 0.0, 1.0, 1.0, 0.0, 0.0]])
    held = np.full((1, 6), 1.3)
    signals = SignalSet(held, held, held, z, np.full(1, 9.0), np.full(1, 9), np.zeros(1, np.int8), held)
    market = Market(prices, np.ones(6), np.zeros(2), 6, False)
    book = trade_pairs(signals, market, np.zeros(1, int), np.ones(1, int), config=config, pair_capital=1000.0)
    (trade,) = book.trades
    assert trade["trade_cost"] == pytest.approx(trade["units_y"] * cost * (40.0 if space == "log" else 1.0))


def test_dearer_trades_wait_for_more(config: Config) -> None:
    study = open_study(config)
    pairs = Candidates(np.arange(0, 8), np.arange(8, 16))
    levels = {}
    for change in ("execution.cost_bps=1", "execution.cost_bps=30"):
        own = open_study(config.with_changes(change), study.prices)
        levels[change] = rule_signals(own, 1, pair_paths(own, 1, pairs, 0, 8), "ols", pairs, 0, 8).levels
    cheap, dear = levels.values()
    able = np.isfinite(cheap.entry_z)
    assert able.sum() > 3
    assert (dear.entry_z[able] > 1.5 * cheap.entry_z[able]).all()
    assert (dear.expected_return[able] < cheap.expected_return[able]).all()


def test_stationary_z_is_measured_from_the_fit(config: Config) -> None:
    made = pairs_bt.run(config.with_changes("signal.z=stationary"))
    lives = made.half_lives[made.half_lives["reason"] == ""].iloc[0]
    keys = ["test_end", "y", "x", "variant"]
    own = made.spreads[(made.spreads[keys].astype(dict.fromkeys(keys[1:], "str")) == lives[keys]).all(axis=1)]
    deviation = lives["ou_sigma"] / np.sqrt(2 * lives["reversion"])
    assert own["z_score"].to_numpy() == pytest.approx((own["spread"] - lives["ou_mean"]).to_numpy() / deviation)
    assert lives["entry_level"] == pytest.approx(lives["ou_mean"] - lives["entry_z"] * deviation)


def test_a_sweep_trades_what_a_run_trades(config: Config, made: pairs_bt.Run) -> None:
    swept = sweep(config, {"signal.optimal": ["return", "sharpe"], "execution.cost_bps": [5.0, 20.0]}, jobs=1)
    table = swept.table
    own = table[table["base"]].set_index("variant")
    mine = made.summary.set_index("variant")
    assert len(own) == len(mine) == 4
    for name in own.index:
        assert own.loc[name, "net_sharpe"] == pytest.approx(mine.loc[name, "net_sharpe"], rel=1e-12)
    assert table.groupby("variant")["net_sharpe"].nunique().eq(4).all()


def test_the_report_shows_the_levels(made: pairs_bt.Run) -> None:
    page = render_report(made)
    assert "Levels by pair and window" in page
    assert "Median levels by window" in page
    row = made.half_lives[np.isfinite(made.half_lives["entry_z"])].iloc[-1]
    assert f"{row['y']} / {row['x']}" in page


def test_the_explorer_says_why_it_cannot(made: pairs_bt.Run) -> None:
    with pytest.raises(ConfigError, match="every pair has its own"):
        made.explore()


def test_a_fixed_entry_has_its_level_in_the_table_and_no_panel(config: Config) -> None:
    fixed = pairs_bt.run(config.with_changes("signal.entry=1.5", "signal.exit=0.25"))
    assert (fixed.half_lives["entry_z"] == 1.5).all()
    assert (fixed.half_lives["exit_z"] == 0.25).all()
    assert fixed.half_lives[list(entry_levels.COLUMNS[2:])].isna().all(axis=None)
    assert "Levels by pair" not in render_report(fixed)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (("signal.entry=optimal", "signal.exit=0.5"), "signal.exit = 0.5"),
        (("signal.entry=optimal", "signal.z=formation", "hedge.variants=['dollar']"), "signal.z = 'formation'"),
        (("signal.entry=optimal", "signal.z=innovation"), "signal.z = 'innovation'"),
        (("signal.entry=optimal", "signal.optimal=sharpe", "signal.stop=4"), "signal.optimal = 'sharpe'"),
        (("signal.entry=best",), "signal.entry = 'best'"),
        (("signal.optimal=profit",), "signal.optimal = 'profit'"),
        (("signal.interest=0",), "signal.interest = 0"),
    ],
    ids=lambda value: value[-1] if isinstance(value, tuple) else "",
)
def test_bad_settings_are_refused_in_words(overrides: tuple[str, ...], words: str) -> None:
    with pytest.raises(ConfigError) as said:
        Config.load(None, list(overrides))
    assert words in str(said.value)
