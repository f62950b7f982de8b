"""On pure noise the differenced spread wins nearly always, and shares earn nothing."""

import numpy as np
import pytest

from benchmarks.phantom_pnl import CHUNK, show, table, trade_noise


def check(lines, least_t):
    by_name = {line.name: line for line in lines}
    assert by_name["differenced"].t > least_t > 10 * abs(by_name["frozen"].t)
    assert by_name["differenced"].wins > 0.93
    for name in ("frozen", "re-hedged"):
        assert abs(by_name[name].t) < 3.0, (name, by_name[name])
        assert by_name[name].wins < 0.7


@pytest.mark.parametrize("lag", [0, 1])
def test_five_hundred_pairs_of_noise(lag):
    check(table(500, lags=(lag,), spread_on="filtered"), least_t=30.0)


def test_the_phantom_is_there_on_raw_prices_too():
    lines = {line.name: line for line in table(500, lags=(1,), spread_on="raw")}
    assert lines["differenced"].t > 10.0
    assert max(abs(lines["frozen"].t), abs(lines["re-hedged"].t)) < 3.0


def test_the_phantom_is_in_proportion_to_volatility():
    calm, wild = (
        trade_noise(500, seed=7, lag=1, spread_on="filtered", volatility=v)["differenced"].mean() for v in (0.2, 0.4)
    )
    assert wild / calm == pytest.approx(2.0, rel=0.3)


def test_a_long_table_begins_with_the_trades_of_a_short_one():
    short, long = (trade_noise(n, seed=3, lag=1)["frozen"] for n in (CHUNK, CHUNK + 10))
    assert long.size > short.size > 50
    assert np.array_equal(long[: short.size], short)


def test_the_table_prints():
    text = show(table(100, lags=(1,)))
    assert [line.split()[0] for line in text.splitlines()] == ["P&L", "differenced", "frozen", "re-hedged"]


@pytest.mark.slow
@pytest.mark.parametrize("spread_on", ["raw", "filtered"])
def test_the_full_table(spread_on):
    earned = {"frozen": [], "re-hedged": []}
    for seed in range(10):
        found = trade_noise(1500, seed=seed, lag=1, spread_on=spread_on)
        for name, parts in earned.items():
            parts.append(found[name])
        claimed = found["differenced"]
        assert claimed.mean() / claimed.std(ddof=1) * np.sqrt(claimed.size) > (
            80.0 if spread_on == "filtered" else 20.0
        )
    for name, parts in earned.items():
        returns = np.concatenate(parts)
        t = returns.mean() / returns.std(ddof=1) * np.sqrt(returns.size)
        assert abs(t) < 3.0, (name, t)
