"""The comparison of like with like, by hand; and windows that are the same for all."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from pairs_bt.config.schema import Config
from pairs_bt.data.synthetic.cointegrated_pairs import PlantedPair
from pairs_bt.data.synthetic.market import make_market
from pairs_bt.errors import ConfigError
from pairs_bt.runner import run
from pairs_bt.runs import build
from pairs_bt.stats.like_with_like import like_with_like, unlike_words

ENDS = pd.to_datetime(["2010-03-31", "2010-06-30"])


def tables() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Two variants, two cohorts; b refuses C/D in both, a nothing."""
    lives, trades = [], []
    for end in ENDS:
        for y, x in (("A", "B"), ("C", "D")):
            lives.append((end, y, x, "a", 10, ""))
            lives.append((end, y, x, "b", 40, "" if y == "A" else "no reversion"))
    for end, y, x, variant, pnl, days in (
        (ENDS[0], "A", "B", "a", 100.0, 5), (ENDS[0], "C", "D", "a", -300.0, 5), (ENDS[1], "A", "B", "a", 300.0, 5),
        (ENDS[0], "A", "B", "b", 40.0, 30), (ENDS[1], "A", "B", "b", 80.0, 10),
    ):  # fmt: skip
        entry = end + pd.Timedelta(days=1)
        trades.append((end, y, x, variant, pnl, 1000.0, entry, entry + pd.Timedelta(days=days)))
    returns = pd.DataFrame({"a": [0.02, -0.02, 0.02, -0.02], "b": [0.01, -0.01, 0.01, -0.01]})
    return (
        pd.DataFrame(lives, columns=["test_end", "y", "x", "variant", "window", "reason"]),
        pd.DataFrame(
            trades, columns=["test_end", "y", "x", "variant", "net_pnl", "capital", "entry_date", "exit_date"]
        ),
        returns,
        pd.DataFrame(10_000.0, index=ENDS, columns=["a", "b"]),
    )


def test_by_hand() -> None:
    table = like_with_like(*tables(), cohorts_a_year=4.0)
    a, b = table.loc["a"], table.loc["b"]
    assert (a["candidates"], a["refused"], b["refused"]) == (4, 0, 2)
    assert (a["window"], b["window"]) == (10.0, 40.0)
    assert (a["holding_days"], b["holding_days"]) == (5.0, 20.0)
    # b has half of a's volatility, so twice its P&L has a's risk
    assert (a["pnl"], b["pnl"]) == (100.0, 120.0)
    assert (a["pnl_at_risk"], b["pnl_at_risk"]) == (pytest.approx(100.0), pytest.approx(240.0))
    # on A/B alone
    assert (a["common"], b["common"]) == (2, 2)
    assert (a["common_trades"], a["common_pnl"], b["common_pnl"]) == (2, 400.0, 120.0)
    assert a["common_mean_bp"] == pytest.approx(2000.0)
    # cohorts: a 1% and 3%, b 0.4% and 0.8%
    assert a["common_sharpe"] == pytest.approx(0.02 / (0.01 * math.sqrt(2)) * 2)
    assert b["common_sharpe"] == pytest.approx(0.006 / (0.002 * math.sqrt(2)) * 2)
    assert b["common_pnl_at_risk"] == pytest.approx(120.0 * 0.02 / 0.004)
    words = unlike_words(table, {"a": "first", "b": "second"})
    assert words == (
        "They do not trade alike: of 4 candidates second refuses 2 and first 0; bars of the z-score (median): 10 for "
        "first, 40 for second; days a trade is held: 5 for first, 20 for second. On the 2 candidates that all may "
        "trade the highest Sharpe ratio by cohort is 4.24, of second, the lowest 2.83, of first."
    )


def test_volatility_counts_the_bars_of_a_year_and_holding_the_parts_of_a_day() -> None:
    lives, trades, returns, slots = tables()
    held = {"a": pd.Timedelta(hours=24), "b": pd.Timedelta(hours=36)}
    trades = trades.assign(exit_date=trades["entry_date"] + trades["variant"].map(held))
    table = like_with_like(lives, trades, returns, slots, cohorts_a_year=4.0, bars_per_year=52.0)
    assert table.loc["a", "volatility"] == pytest.approx(returns["a"].std(ddof=1) * math.sqrt(52.0))
    assert table["holding_days"].tolist() == [1.0, 1.5]
    short = trades.assign(exit_date=trades["entry_date"] + trades["variant"].map(held) / 24)
    words = unlike_words(like_with_like(lives, short, returns, slots, cohorts_a_year=4.0), {})
    assert "days a trade is held" not in words
    longer = trades.assign(
        exit_date=trades["entry_date"] + trades["variant"].map({"a": held["a"], "b": 1.7 * held["a"]})
    )
    assert "days a trade is held: 1 for a, 2 for b" in unlike_words(
        like_with_like(lives, longer, returns, slots, cohorts_a_year=4.0), {}
    )
    near = trades.assign(
        exit_date=trades["entry_date"] + trades["variant"].map({"a": 0.8 * held["a"], "b": 1.4 * held["a"]})
    )
    assert "days a trade is held: 0.8 for a, 1.4 for b" in unlike_words(
        like_with_like(lives, near, returns, slots, cohorts_a_year=4.0), {}
    )


def test_a_cohort_that_has_grown_is_judged_by_what_was_committed_to_it() -> None:
    lives, trades, returns, slots = tables()
    slots = slots.assign(a=[10_000.0, 20_000.0])
    table = like_with_like(lives, trades, returns, slots, cohorts_a_year=4.0)
    # cohorts of a: 1% and 1.5%
    assert table.loc["a", "common_sharpe"] == pytest.approx(0.0125 / (0.0025 * math.sqrt(2)) * 2)


def test_under_compounding_common_sharpe_is_that_of_the_cohorts_returns() -> None:
    pairs = [PlantedPair(half_life=6.0, spread_vol=0.03) for _ in range(2)]
    prices = make_market(seed=4, n_bars=900, n_independent=0, pairs=pairs).prices
    names = list(prices.columns)
    config = Config.from_dict(
        {
            "universe": {"pairs": [names[:2], names[2:4]]}, "selection": {"tests": []}, "windows": {"train": "1Y"},
            "hedge": {"variants": ["ols", "fixed_last"]}, "portfolio": {"compounding": True},
        }
    )  # fmt: skip
    made = run(config, prices=prices)
    shared = made.like_with_like
    assert shared["common"].iloc[0] == len(made.half_lives) / 2 > 4
    cohorts = made.cohort_returns
    expected = cohorts.mean() / cohorts.std(ddof=1)
    ratio = shared["common_sharpe"] / expected
    assert ratio.iloc[0] == pytest.approx(ratio.iloc[1], rel=1e-9)


def test_nothing_is_said_where_variants_are_alike() -> None:
    lives, trades, returns, slots = tables()
    lives = lives.assign(window=10, reason="")
    trades = trades.assign(exit_date=trades["entry_date"] + pd.Timedelta(days=9))
    assert unlike_words(like_with_like(lives, trades, returns, slots, cohorts_a_year=4.0), {}) == ""
    one = like_with_like(lives, trades, returns[["a"]], slots, cohorts_a_year=4.0)
    assert unlike_words(one, {}) == ""
    none = like_with_like(lives.iloc[:0], trades.iloc[:0], returns, slots, cohorts_a_year=4.0)
    assert unlike_words(none, {}) == ""
    assert none["common_trades"].tolist() == [0, 0]


@pytest.fixture(scope="module")
def market() -> pd.DataFrame:
    pairs = [PlantedPair(half_life=h, spread_vol=0.03) for h in (5.0, 10.0, 20.0)]
    return make_market(seed=8, n_bars=760, n_independent=2, pairs=pairs).prices


def made(market: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, *changes: str):
    monkeypatch.setattr(build, "expected_chance", lambda study: {"rate": 0.0, "std_error": 0.0, "pairs": 0})
    config = Config.from_dict(
        {
            "windows": {"train": "1Y", "step": "6M", "entry_within": "6M"},
            "selection": {"alpha": 0.3, "combine": "any"},
            "hedge": {"variants": ["dynamic", "fixed_last", "ols"]},
            "comparison": {"draws": 100},
        }
    )
    return run(config.with_changes(*changes) if changes else config, prices=market, jobs=1)


def test_the_longest_window_is_the_longest_of_the_rules_own(
    market: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = made(market, monkeypatch, "signal.z=rolling").half_lives
    longest = made(market, monkeypatch, "signal.window=longest").half_lives
    key = ["test_end", "y", "x"]
    expected = own.groupby(key, observed=True)["window"].max()
    free = longest[longest["reason"] == ""]
    assert len(free) > 5
    found = free.set_index(key)["window"]
    assert (found == expected.reindex(found.index)).all()
    assert free.groupby(key, observed=True)["window"].nunique().max() == 1
    # Half-lives are the rules' own still.
    pd.testing.assert_series_equal(own["half_life"], longest["half_life"])
    # A window too short for the entry level is a reason less often.
    assert (longest["reason"] == "window below entry level").sum() <= (
        own["reason"] == "window below entry level"
    ).sum()


def test_a_number_is_the_window_of_all(market: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = made(market, monkeypatch, "signal.window=40")
    assert set(whole.half_lives.loc[whole.half_lives["reason"] == "", "window"]) == {40}
    short = made(market, monkeypatch, "signal.window=5", "signal.entry=2.0").half_lives
    assert set(short["reason"]) <= {"window below entry level", "no reversion", "negative hedge ratio"}
    rows = whole.spreads() if callable(whole.spreads) else whole.spreads
    pick = whole.half_lives[whole.half_lives["reason"] == ""].iloc[0]
    mine = rows[
        (rows["variant"] == pick["variant"]) & (rows["y"] == pick["y"]) & (rows["x"] == pick["x"])
        & (rows["test_end"] == pick["test_end"])
    ]  # fmt: skip
    spread = mine["spread"].to_numpy()
    t = 60
    window = spread[t - 39 : t + 1]
    assert mine["z_score"].iloc[t] == pytest.approx((spread[t] - window.mean()) / window.std(ddof=1), rel=1e-9)


def test_the_headline_says_what_is_not_alike(market: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    found = made(market, monkeypatch)
    words = unlike_words(found.like_with_like, found.labels)
    assert words
    assert found.comparison.verdict.endswith(words)
    table = found.like_with_like
    refused = found.half_lives.assign(no=found.half_lives["reason"] != "").groupby("variant", observed=True)["no"].sum()
    assert (table["refused"] == refused.reindex(table.index)).all()
    np.testing.assert_allclose(table["pnl"], [found.trades.loc[found.trades["variant"] == v, "net_pnl"].sum()
                                              for v in table.index])  # fmt: skip


def test_a_window_for_a_z_score_without_one_is_refused() -> None:
    tables = {"signal": {"z": "innovation", "window": 40}, "hedge": {"variants": ["dynamic"]}}
    with pytest.raises(ConfigError, match="it is the window of the rolling z-score"):
        Config.from_dict(tables)
    with pytest.raises(ConfigError, match=r"signal\.window"):
        Config.from_dict({"signal": {"window": 1}})
    with pytest.raises(ConfigError, match=r"signal\.window"):
        Config.from_dict({"signal": {"window": "shortest"}})
