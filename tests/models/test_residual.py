"""The s-score against a sector ETF: a twin by hand, prefixes, planted residuals, the ledger's two exits, whole runs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import pairs_bt
from pairs_bt import Config
from pairs_bt.audit.causality import certify
from pairs_bt.backtest.study import prepare
from pairs_bt.backtest.window_tasks import Candidates, pair_paths, rule_signals
from pairs_bt.config.reader import builtin
from pairs_bt.data.prices import check_prices
from pairs_bt.errors import ConfigError
from pairs_bt.models.ornstein_uhlenbeck.residual import fit_residuals, mean_of_means
from pairs_bt.report.explorer.data import explore_block
from tests.twins.residual import market, score

STOCKS, BARS, WINDOW = 6, 420, 60


def prices_of(seed: int = 1, bars: int = BARS) -> pd.DataFrame:
    values = market(np.random.default_rng(seed), bars, STOCKS)
    names = [f"S{k}" for k in range(STOCKS)] + ["ETF"]
    return pd.DataFrame(values.T, index=pd.bdate_range("2015-01-01", periods=bars), columns=names)


def config_of(*changes: str) -> Config:
    """The config of the package on these pairs."""
    pairs = ",".join(f'["S{k}","ETF"]' for k in range(STOCKS))
    own = (f"universe.pairs=[{pairs}]", "comparison.draws=100", "data.path=x")
    base = Config.load(builtin("avellaneda_lee.toml")).to_dict()
    base["data"] = {}
    return Config.from_dict(base).with_changes(*own, *changes)


def test_every_bar_is_the_twins_two_regressions() -> None:
    prices = market(np.random.default_rng(2), 200, STOCKS, half_life=1e5, deviation=2.0)
    y, x = prices[:STOCKS], np.repeat(prices[STOCKS:], STOCKS, axis=0)
    fit = fit_residuals(y, x, WINDOW)
    ours = np.stack([fit.slope, fit.mean, fit.deviation, fit.reversion, fit.scores(WINDOW)])
    assert np.isnan(ours[:, :, :WINDOW]).all()
    twin = np.array(
        [[score(y[p, : t + 1], x[p, : t + 1], WINDOW) for t in range(WINDOW, 200)] for p in range(STOCKS)]
    ).transpose(2, 0, 1)
    assert ours[:, :, WINDOW:] == pytest.approx(twin, rel=1e-7, abs=1e-12, nan_ok=True)
    # both kinds of bar are there
    assert 0.2 < np.isfinite(twin[4]).mean() < 1.0


def test_a_bar_knows_its_window_alone_and_a_missing_price_spoils_as_many() -> None:
    prices = market(np.random.default_rng(3), 200, STOCKS)
    y, x = prices[:STOCKS], np.repeat(prices[STOCKS:], STOCKS, axis=0)
    whole = fit_residuals(y, x, WINDOW)
    cut = fit_residuals(y[:, 30:170], x[:, 30:170], WINDOW)
    late = fit_residuals(y, x, WINDOW, first=150)
    for name in ("slope", "mean", "deviation", "reversion"):
        assert np.array_equal(
            getattr(whole, name)[:, 30 + WINDOW : 170], getattr(cut, name)[:, WINDOW:], equal_nan=True
        )
        assert np.array_equal(getattr(whole, name)[:, 150:], getattr(late, name)[:, 150:], equal_nan=True)
    y[0, 100] = np.nan
    gap = fit_residuals(y, x, WINDOW).slope[0]
    assert np.flatnonzero(np.isnan(gap)).tolist() == [*range(WINDOW), *range(100, 100 + WINDOW + 1)]


def test_the_centre_is_the_mean_of_what_reverts() -> None:
    prices = market(np.random.default_rng(4), 120, STOCKS)
    fit = fit_residuals(prices[:STOCKS], np.repeat(prices[STOCKS:], STOCKS, axis=0), WINDOW)
    centre = mean_of_means(fit)
    assert centre[WINDOW:] == pytest.approx(np.nanmean(fit.mean[:, WINDOW:], axis=0))
    assert (centre[:WINDOW] == 0.0).all()
    own, centred = fit.scores(WINDOW), fit.scores(WINDOW, centre)
    there = np.isfinite(own)
    assert (centred - own)[there] == pytest.approx((centre / fit.deviation)[there], rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("centred", ["own", "centred"])
@pytest.mark.parametrize("space", ["raw", "normalised", "log"])
def test_the_signals_of_a_window_are_the_twins_in_any_chunks(centred: str, space: str) -> None:
    config = config_of(f"signal.s_score={centred}", f"filter.price_space={space}")
    study = prepare(config, check_prices(prices_of()))
    k, window = 1, study.windows[1]
    candidates = Candidates(np.arange(STOCKS), np.full(STOCKS, STOCKS))
    made = rule_signals(study, k, pair_paths(study, k, candidates, 0, STOCKS), "residual", candidates, 0, STOCKS)
    part = rule_signals(study, k, pair_paths(study, k, candidates, 2, 4), "residual", candidates, 2, 4)
    assert part.z.tobytes() == made.z[2:4].tobytes()
    raw = study.filled
    for t in (0, 7, window.n_trade - 1):
        bar = window.split + t
        rows = [
            score(raw[p, window.first : bar + 1], raw[STOCKS, window.first : bar + 1], WINDOW) for p in range(STOCKS)
        ]
        slope, mean, deviation, _, own = np.array(rows).T
        off = np.nanmean(mean) if centred == "centred" else 0.0
        assert made.z[:, t] == pytest.approx(np.where(np.isnan(own), np.nan, -(mean - off) / deviation), nan_ok=True)
        assert made.share_ratio[:, t] == pytest.approx(slope * raw[:STOCKS, bar] / raw[STOCKS, bar])
        # the spread at which the score is 0 lies on the side that the score says
        away = made.spread[:, t] - made.mean[:, t]
        there = np.isfinite(made.z[:, t])
        assert (np.sign(away[there]) == np.sign(made.z[there, t])).all()


def test_planted_residuals_are_traded_at_a_gain_and_walks_are_not() -> None:
    run = pairs_bt.run(config_of("execution.cost_bps=0"), prices=prices_of(bars=1200))
    assert len(run.trades) > 100
    assert run.summary.set_index("variant").loc["residual", "gross_sharpe"] > 1.5
    rng = np.random.default_rng(8)
    sector = 0.01 * rng.normal(size=1200)
    returns = np.column_stack([sector[:, None] + 0.01 * rng.normal(size=(1200, STOCKS)), sector])
    walks = prices_of(bars=1200)
    walks[:] = 50.0 * np.cumprod(1.0 + returns, axis=0)
    nothing = pairs_bt.run(config_of("execution.cost_bps=0"), prices=walks)
    assert abs(nothing.summary.set_index("variant").loc["residual", "gross_sharpe"]) < 1.0


def test_long_and_short_trades_close_at_levels_of_their_own() -> None:
    run = pairs_bt.run(config_of(), prices=prices_of(bars=800))
    spreads = run.spreads.set_index(["y", "date"])["z_score"]
    left = run.trades[run.trades["exit_reason"] == "exit_level"]
    days = run.spreads["date"].drop_duplicates().sort_values().to_list()
    seen = {1: [], -1: []}
    for trade in left.itertuples():
        before = days[days.index(trade.exit_date) - 1]
        seen[trade.side].append(spreads[trade.y, before])
        entry = spreads[trade.y, trade.signal_date]
        assert -trade.side * entry >= 1.25
    assert min(seen[1]) >= -0.5 > min(seen[1]) - 0.5
    assert 0.75 >= max(seen[-1]) > 0.5
    # one level for both where there is no second
    same = pairs_bt.run(config_of("signal.exit_short=0.5"), prices=prices_of(bars=800)).trades
    base = config_of().to_dict()
    base["signal"].pop("exit_short")
    assert same.equals(pairs_bt.run(Config.from_dict(base), prices=prices_of(bars=800)).trades)


def test_the_certificate_holds() -> None:
    found = certify(config_of(), prices_of(), dates=2, jobs=1)
    assert found.holds, found.first_break


def test_what_does_not_go_together_is_refused_in_words() -> None:
    for changes, words in (
        (("hedge.variants=['ols']",), "signal.z = 's_score': cannot be had for hedge.variants"),
        (("signal.exit_short=1.25",), "must be above signal.exit_short = 1.25"),
        (("signal.window=longest",), "signal.z = 's_score' has none"),
        (("signal.z=auto", "signal.entry=optimal", "signal.exit=0.0"), "finds no level"),
        (("signal.z=rolling", "signal.entry=optimal", "signal.exit=0.0"), "Leave signal.exit_short out"),
        (("hedge.residual_window=5",), "hedge.residual_window = 5"),
    ):
        with pytest.raises(ConfigError, match=words.replace("[", r"\[")):
            config_of(*changes)
    run = pairs_bt.run(config_of("hedge.residual_window=200"), prices=prices_of())
    assert run.trades.empty
    assert set(run.half_lives["reason"]) == {"no hedge ratio"}
    with pytest.raises(ConfigError, match="one exit level for long and short"):
        explore_block(run)


def test_the_config_names_pairs_that_its_prices_have() -> None:
    config = Config.load(builtin("avellaneda_lee.toml"))
    columns = set(pd.read_parquet(config.data.path).columns)
    assert {name for pair in config.universe.pairs for name in pair} <= columns
    assert {etf for _, etf in config.universe.pairs} == {"IBB", "QQQ"}
    assert (config.signal.entry, config.signal.exit, config.signal.exit_short) == (1.25, 0.5, 0.75)
