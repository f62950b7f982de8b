"""Common factors: eigenvectors against numpy, their number against planted truth, and the null universes of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest

from benchmarks.factor_null import accepted, null_counts, pairless
from pairs_bt.audit.null_evidence import p_value
from pairs_bt.data.synthetic.cointegrated_pairs import PlantedPair
from pairs_bt.data.synthetic.market import make_market, random_walks
from pairs_bt.data.synthetic.surrogates import CommonReturns, null_market
from pairs_bt.kernels.symmetric import jacobi, row_products
from pairs_bt.models.factors import common_returns, factor_count, fit_factors


def planted(k: int, n: int, bars: int, seed: int, share: float = 0.6) -> np.ndarray:
    """Returns of k factors with random loadings, (n, bars)."""
    rng = np.random.default_rng(seed)
    loadings = rng.normal(size=(n, k))
    loadings *= np.sqrt(share / (loadings**2).sum(axis=1, keepdims=True))
    return 0.01 * (loadings @ rng.normal(size=(k, bars)) + np.sqrt(1 - share) * rng.normal(size=(n, bars)))


@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_eigenvectors_are_numpys(n: int) -> None:
    rows = np.random.default_rng(n).normal(size=(n, 90))
    matrix = row_products(rows)
    np.testing.assert_allclose(matrix, rows @ rows.T / 90, rtol=1e-12, atol=1e-14)
    values, vectors = jacobi(matrix.copy())
    order = np.argsort(-values)
    np.testing.assert_allclose(values[order], np.linalg.eigvalsh(matrix)[::-1], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(n), atol=1e-12)
    np.testing.assert_allclose((vectors.T * values) @ vectors, matrix, atol=1e-12)


def test_equal_and_zero_eigenvalues_are_no_trouble() -> None:
    values, vectors = jacobi(np.ones((5, 5)))
    np.testing.assert_allclose(np.sort(values), [0, 0, 0, 0, 5], atol=1e-14)
    np.testing.assert_allclose(vectors @ vectors.T, np.eye(5), atol=1e-14)
    values, _ = jacobi(np.zeros((3, 3)))
    assert (values == 0).all()


@pytest.mark.parametrize("k", [0, 1, 2, 4])
@pytest.mark.parametrize(("n", "bars"), [(40, 252), (60, 504)])
def test_the_planted_number_of_factors_is_found(k: int, n: int, bars: int) -> None:
    found = [fit_factors(planted(k, n, bars, seed) if k else planted(1, n, bars, seed, 0.0)).count
             for seed in range(10)]  # fmt: skip
    assert np.mean(np.array(found) == k) >= 0.9, found


def test_the_criterion_is_that_of_the_paper() -> None:
    """IC_p2 of Bai and Ng (2002) with the residuals written out."""
    returns = planted(2, 12, 300, 5)
    standard = (returns - returns.mean(axis=1, keepdims=True)) / returns.std(axis=1, keepdims=True)
    n, bars = standard.shape
    u, s, v = np.linalg.svd(standard, full_matrices=False)
    criterion = [
        np.log(np.mean((standard - (u[:, :k] * s[:k]) @ v[:k]) ** 2))
        + k * (n + bars) / (n * bars) * np.log(min(n, bars))
        for k in range(5)
    ]
    assert factor_count(s**2 / bars, bars) == int(np.argmin(criterion))
    assert factor_count(s**2 / bars, bars, most=1) == 1


def test_parts_keep_the_variance_and_add_up_to_the_return_where_nothing_is_torn() -> None:
    prices = make_market(seed=4, pairs=[], n_independent=20, n_bars=600, factor_share=0.7, drift=0.0).prices
    parts, (fit,) = common_returns(prices, [(0, 600)])
    returns = np.diff(np.log(prices.to_numpy()), axis=0)
    assert fit.count == 1
    assert 0.65 < fit.share < 0.75
    total = parts.common.var(axis=0) + parts.own.var(axis=0)
    np.testing.assert_allclose(total, returns.var(axis=0), rtol=0.02)
    # A component is the factor: two tickers' common parts are one path.
    assert abs(np.corrcoef(parts.common[:, 0], parts.common[:, 7])[0, 1]) > 0.999999
    own = np.corrcoef(parts.own.T)
    assert np.sqrt((own[np.triu_indices(20, 1)] ** 2).mean()) < 2 / np.sqrt(600)


def test_loadings_come_from_train_bars_alone() -> None:
    """Other prices after the last split change the parts of no earlier bar, and no fit."""
    prices = make_market(seed=4, pairs=[], n_independent=12, n_bars=700, factor_share=0.5).prices
    windows = [(0, 300), (100, 400), (200, 500)]
    parts, fits = common_returns(prices, windows)
    other = prices.copy()
    other.iloc[500:] *= np.exp(np.random.default_rng(1).normal(size=(200, 12)).cumsum(axis=0) * 0.02)
    changed, again = common_returns(other, windows)
    for name in ("common", "own"):
        np.testing.assert_array_equal(getattr(parts, name)[:499], getattr(changed, name)[:499])
    for a, b in zip(fits, again, strict=True):
        np.testing.assert_array_equal(a.vectors, b.vectors)
    cut, _ = common_returns(prices.iloc[:400], windows[:2])
    np.testing.assert_array_equal(cut.common, parts.common[:399])


def test_gaps_late_listings_and_delistings_keep_their_places() -> None:
    market = make_market(
        seed=21, n_bars=900, n_independent=8, factor_share=0.6, gaps={"W001": [(50, 3), (700, 30)], "W002": [(0, 200)]},
        delistings={"W003": 700},
    )  # fmt: skip
    prices = market.prices.assign(EMPTY=np.nan, FLAT=5.0)
    parts, _ = common_returns(prices, [(0, 400), (200, 600)])
    assert np.isfinite(parts.common).all()
    assert np.isfinite(parts.own).all()
    null = null_market(prices, "factor", seed=1, parts=parts)
    pd.testing.assert_frame_equal(null.isna(), prices.isna())
    for name in prices.columns.drop("EMPTY"):
        assert null[name].dropna().iloc[0] == prices[name].dropna().iloc[0]
    assert (null["FLAT"] == 5.0).all()
    assert abs(parts.common[:, prices.columns.get_loc("W002")][300:]).max() > 0


def test_names_move_together_as_they_did() -> None:
    prices = make_market(seed=9, pairs=[], n_independent=30, n_bars=600, factor_share=0.6).prices
    parts, _ = common_returns(prices, [(0, 600)])
    corr, null = (
        np.log(p).diff().corr().to_numpy()[np.triu_indices(30, 1)]
        for p in (prices, null_market(prices, "factor", seed=2, parts=parts))
    )
    assert abs(corr.mean() - null.mean()) < 0.03
    assert null.mean() > 0.5
    # The factor's path is the same: so is the equal-weighted index, up to what is each ticker's own.
    index, other = (np.log(p).diff().mean(axis=1).dropna() for p in
                    (prices, null_market(prices, "factor", seed=3, parts=parts)))  # fmt: skip
    assert np.corrcoef(index, other)[0, 1] > 0.97


def test_parts_of_zero_common_returns_are_sign_flips() -> None:
    prices = random_walks(3, 200, seed=5)
    returns = np.diff(np.log(prices.to_numpy()), axis=0)
    made = null_market(prices, "factor", seed=8, parts=CommonReturns(np.zeros_like(returns), returns))
    pd.testing.assert_frame_equal(made, null_market(prices, "sign_flip", seed=8), rtol=1e-12)


def test_on_factor_markets_p_values_are_uniform_where_those_of_shifted_returns_are_not() -> None:
    """The quick form of benchmarks/factor_null.py."""
    found = pairless(50, 19, ("circular_shift", "factor"), factor_share=0.9)
    uniform = {kind: kstest(p, "uniform").pvalue for kind, p in found.items()}
    assert uniform["factor"] > 0.05
    assert uniform["circular_shift"] < 0.05
    ends = {kind: np.mean((p < 0.05) | (p > 0.95)) for kind, p in found.items()}
    assert ends["factor"] < 0.2 < ends["circular_shift"]


def test_planted_pairs_still_stand_out() -> None:
    pairs = [PlantedPair(half_life=5.0, spread_vol=0.02) for _ in range(6)]
    found = 0
    for seed in range(6):
        prices = make_market(seed=(3, seed), n_bars=504, n_independent=0, pairs=pairs, factor_share=0.6).prices
        found += p_value(accepted(prices, 0.01), null_counts(prices, "factor", 19, seed, 0.01), "high") <= 0.05
    assert found >= 5
