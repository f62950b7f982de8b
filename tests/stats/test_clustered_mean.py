"""Clustered means: against statsmodels, against a twin that looks at every two trades, and on noise."""

from __future__ import annotations

import math

import numpy as np
import pytest
import statsmodels.api as sm
from statsmodels.stats.sandwich_covariance import cov_cluster_2groups

from pairs_bt.stats.clustered_mean import clustered_mean


def trades(n: int = 300, seed: int = 1, tickers: int = 9) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    month = rng.integers(12, size=n)
    y = rng.integers(tickers, size=n)
    x = (y + 1 + rng.integers(tickers - 1, size=n)) % tickers
    values = rng.normal(size=n) + 0.8 * rng.normal(size=12)[month] + 0.8 * rng.normal(size=tickers)[y]
    return values, month, y, x


def balanced() -> tuple[np.ndarray, ...]:
    """Every ticker trades three times in every month, with a partner that nobody else has."""
    values, *_ = trades(12 * 8 * 3)
    month, y = (part.ravel() for part in np.indices((12, 8, 3))[:2])
    return values + 0.5 * np.sin(month) + 0.5 * np.cos(3.0 * y), month, y, 1000 + np.arange(values.size)


def test_is_statsmodels_where_a_trade_has_one_ticker_that_others_have() -> None:
    values, month, y, partner = balanced()
    fit = sm.OLS(values, np.ones(values.size)).fit()
    ways, by_month, by_ticker = (float(part[0, 0]) for part in cov_cluster_2groups(fit, month, y, use_correction=True))
    found = clustered_mean(values, month, y, partner)
    # statsmodels multiplies by n - 1 over n - k, which is 1 here, and by G / (G - 1) of each part.
    error = math.sqrt(by_month + by_ticker)
    assert found.std_error == pytest.approx(error, rel=1e-12)
    assert found.t_stat == pytest.approx(values.mean() / error, rel=1e-12)
    # What is left out is the part that both count.
    assert ways < found.std_error**2


@pytest.mark.parametrize("seed", range(4))
def test_equals_the_twin_that_looks_at_every_two_trades(seed: int) -> None:
    values, month, y, x = trades(120, seed)
    residual = values - values.mean()
    products = np.outer(residual, residual)
    same_month = month[:, None] == month
    legs = np.stack([y, x])
    share = (legs[:, None, :, None] == legs[None, :, None, :]).any(axis=(0, 1))
    variance = sum(products[use].sum() / (1.0 - use.mean()) for use in (same_month, share))
    assert clustered_mean(values, month, y, x).std_error == pytest.approx(math.sqrt(variance) / values.size, rel=1e-12)


def test_too_few_clusters_have_no_error() -> None:
    one_month = clustered_mean([1.0, 2.0, 3.0], [1, 1, 1], ["a", "b", "c"], ["d", "e", "f"])
    assert math.isnan(one_month.t_stat)
    assert one_month.mean == 2.0
    assert math.isnan(clustered_mean([1.0, 2.0], [1, 2], ["a", "a"], ["b", "b"]).t_stat)
    assert math.isnan(clustered_mean([2.0, 2.0, 2.0], [1, 2, 3], ["a", "b", "c"], ["d", "e", "f"]).t_stat)
    assert math.isnan(clustered_mean([], [], [], []).mean)
    with pytest.raises(ValueError, match="one of each for every trade"):
        clustered_mean([1.0, 2.0], [1], ["a", "b"], ["c", "d"])
    with pytest.raises(ValueError, match="value nan"):
        clustered_mean([1.0, np.nan], [1, 2], ["a", "b"], ["c", "d"])
