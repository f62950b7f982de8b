"""Null universes keep what a ticker is and destroy what two tickers have in common."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.tsa.stattools import coint

from pairs_bt.data.synthetic.market import PlantedPair, make_market, random_walks
from pairs_bt.data.synthetic.random_walks import NULL_STREAMS, stream
from pairs_bt.data.synthetic.surrogates import null_market

KINDS = ("circular_shift", "block_bootstrap", "gaussian")


def gapped():
    """Prices with short and long gaps, a late listing, a delisting, a column without any price."""
    market = make_market(
        seed=21,
        n_bars=1500,
        factor_share=0.6,
        tail_df=4.0,
        gaps={"W001": [(50, 3), (700, 30)], "W002": [(0, 200)]},
        delistings={"W003": 1100},
    )
    return market.prices.assign(EMPTY=np.nan)


PRICES = gapped()


def log_returns(column):
    return np.diff(np.log(column.dropna().to_numpy()))


def engle_granger_pvalue(prices):
    """statsmodels' p-value; one lag is plenty for an AR(1) spread."""
    return coint(prices["P01Y"], prices["P01X"], maxlag=1, autolag=None)[1]


def naive(prices, kind, seed, block):
    """The slow, obvious twin: one return at a time."""
    out = prices.copy()
    for j, name in enumerate(prices.columns):
        rng = stream(seed, NULL_STREAMS, j)
        seen = prices[name].dropna()
        returns = [np.log(b / a) for a, b in zip(seen.iloc[:-1], seen.iloc[1:], strict=True)]
        m = len(returns)
        if m < 2:
            continue
        if kind == "circular_shift":
            k = int(rng.integers(m))
            drawn = [returns[(i + k) % m] for i in range(m)]
        elif kind == "block_bootstrap":
            width = min(block, m)
            drawn = [
                returns[(start + i) % m]
                for start in rng.integers(m, size=int(np.ceil(m / width)))
                for i in range(width)
            ][:m]
            shift = np.mean(returns) - np.mean(drawn)
            drawn = [r + shift for r in drawn]
        else:
            u = rng.standard_normal(m)
            drawn = [np.mean(returns) + np.std(returns) * (v - np.mean(u)) / np.std(u) for v in u]
        price = seen.iloc[0]
        for date, r in zip(seen.index[1:], drawn, strict=True):
            price *= np.exp(r)
            out.loc[date, name] = price
    return out


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("block", [1, 20, 10_000])
def test_equals_the_slow_twin(kind, block):
    prices = PRICES.iloc[:400]
    fast = null_market(prices, kind, seed=3, block=block)
    pd.testing.assert_frame_equal(fast, naive(prices, kind, 3, block), check_exact=False, rtol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_dates_gaps_and_first_prices_stay(kind):
    null = null_market(PRICES, kind, seed=1)
    assert null.index.equals(PRICES.index)
    assert list(null.columns) == list(PRICES.columns)
    pd.testing.assert_frame_equal(null.isna(), PRICES.isna())
    for name in PRICES.columns.drop("EMPTY"):
        assert null[name].dropna().iloc[0] == PRICES[name].dropna().iloc[0]
    assert (null.min().dropna() > 0).all()
    assert not np.allclose(null["W001"].dropna(), PRICES["W001"].dropna())


def test_circular_shift_keeps_the_returns():
    null = null_market(PRICES, "circular_shift", seed=5)
    for name in PRICES.columns.drop("EMPTY"):
        np.testing.assert_allclose(np.sort(log_returns(null[name])), np.sort(log_returns(PRICES[name])), atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_price_and_so_the_drift_stays(kind):
    null = null_market(PRICES, kind, seed=5)
    for name in PRICES.columns.drop("EMPTY"):
        assert null[name].dropna().iloc[-1] == pytest.approx(PRICES[name].dropna().iloc[-1], rel=1e-9)


def test_circular_shift_is_uniform_over_all_shifts():
    walk = random_walks(1, 11, seed=1)
    real = log_returns(walk["W001"])
    shifts = [
        int(np.argmin(np.abs(log_returns(null_market(walk, "circular_shift", seed=(9, d))["W001"])[0] - real)))
        for d in range(2000)
    ]
    counts = np.bincount(shifts, minlength=10)
    assert len(counts) == 10
    # chi-squared with 9 degrees of freedom: 99.9% point 27.9
    assert ((counts - 200.0) ** 2 / 200.0).sum() < 27.9


def test_block_bootstrap_is_made_of_runs_of_real_returns():
    null = null_market(PRICES, "block_bootstrap", seed=5, block=20)
    real, drawn = log_returns(PRICES["W004"]), log_returns(null["W004"])
    m = real.size
    # steps from one return to the next know nothing of the constant by which all are shifted
    steps, made = np.diff(np.append(real, real[0])), np.diff(drawn)
    where = np.array([np.argmin(np.abs(steps - step)) for step in made])
    inside = np.arange(1, m) % 20 != 0
    np.testing.assert_allclose(steps[where[inside]], made[inside], atol=1e-11)
    follows = (np.diff(where) % m) == 1
    both_inside = inside[1:] & inside[:-1]
    assert follows[both_inside].all()
    assert follows.sum() == both_inside.sum()


def test_gaussian_keeps_mean_and_volatility_and_drops_the_tails():
    prices = random_walks(2, 20_000, seed=8, drift=0.2, tail_df=3.0)
    real, drawn = np.log(prices).diff().dropna(), np.log(null_market(prices, "gaussian", seed=1)).diff().dropna()
    n = len(real)
    np.testing.assert_allclose(drawn.std(), real.std(), rtol=1e-9)
    np.testing.assert_allclose(drawn.mean(), real.mean(), atol=1e-12)
    assert (drawn.kurt().abs() < 4 * np.sqrt(24 / n)).all()
    assert (real.kurt() > 3).all()


@pytest.mark.parametrize("kind", KINDS)
def test_cross_correlation_is_destroyed(kind):
    def typical(prices):
        corr = np.log(prices.drop(columns="EMPTY")).diff().corr().to_numpy()
        return np.sqrt((corr[np.triu_indices_from(corr, 1)] ** 2).mean())

    assert typical(PRICES) > 0.4
    assert typical(null_market(PRICES, kind, seed=2)) < 2.5 / np.sqrt(1000)


@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_pair_is_no_longer_found(kind):
    market = make_market(seed=2, pairs=[PlantedPair(half_life=8.0)], n_independent=0, n_bars=800)
    assert engle_granger_pvalue(market.prices) < 0.001
    pvalues = []
    for draw in range(8):
        null = null_market(market.prices, kind, seed=(4, draw))
        pvalues.append(engle_granger_pvalue(null))
    assert np.median(pvalues) > 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_draws_depend_on_the_seed_and_the_position_only(kind):
    whole = null_market(PRICES, kind, seed=(7, 3))
    pd.testing.assert_frame_equal(whole, null_market(PRICES, kind, seed=(7, 3)), check_exact=True)
    part = null_market(PRICES.iloc[:, :4], kind, seed=(7, 3))
    pd.testing.assert_frame_equal(whole.iloc[:, :4], part, check_exact=True)
    other = null_market(PRICES, kind, seed=(7, 4))
    assert not np.allclose(whole["W004"], other["W004"])
    twins = null_market(pd.concat([PRICES["W004"], PRICES["W004"]], axis=1, keys=["A", "B"]), kind, seed=7)
    assert not np.allclose(twins["A"], twins["B"])


def test_input_is_left_alone_and_short_tickers_stay():
    before = PRICES.copy()
    null_market(PRICES, "gaussian", seed=1)
    pd.testing.assert_frame_equal(PRICES, before, check_exact=True)
    short = pd.DataFrame({"A": [1.0, np.nan, 2.0], "B": [5.0, 5.0, 5.0], "C": [np.nan] * 3})
    for kind in KINDS:
        pd.testing.assert_frame_equal(null_market(short, kind, seed=1), short, check_exact=True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"kind": "shuffle"}, "one of circular_shift, block_bootstrap, gaussian"),
        ({"kind": "factor"}, "kind = 'factor': it needs parts of shape (1499, "),
        ({"block": 0}, "block = 0"),
        ({"seed": -3}, "seed = -3"),
        ({"prices": PRICES.assign(W001=0.0)}, "price 0.0 of W001"),
        ({"prices": PRICES.assign(W004=np.inf)}, "price inf of W004"),
    ],
)
def test_nonsense_is_refused(change, says):
    options = {"prices": PRICES, "kind": "gaussian", "seed": 1} | change
    with pytest.raises(ValueError) as caught:
        null_market(options.pop("prices"), options.pop("kind"), **options)
    assert says in str(caught.value)


def test_sign_flips_keep_the_size_and_day_of_every_return():
    null = null_market(PRICES, "sign_flip", seed=5)
    pd.testing.assert_frame_equal(null.isna(), PRICES.isna())
    for name in PRICES.columns.drop("EMPTY"):
        real, drawn = log_returns(PRICES[name]), log_returns(null[name])
        np.testing.assert_allclose(np.abs(drawn), np.abs(real), atol=1e-12)
        turned = np.mean(np.sign(drawn) != np.sign(real))
        assert abs(turned - 0.5) < 4 * 0.5 / np.sqrt(real.size)
    corr = np.log(null.drop(columns="EMPTY")).diff().corr().to_numpy()
    assert np.sqrt((corr[np.triu_indices_from(corr, 1)] ** 2).mean()) < 2.5 / np.sqrt(1000)
