"""The fit of an Ornstein-Uhlenbeck spread: against its likelihood as written, statsmodels, and planted processes."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.signal import lfilter
from statsmodels.tsa.arima.model import ARIMA

from pairs_bt.errors import DataError
from pairs_bt.kernels import ornstein_uhlenbeck as kernel
from pairs_bt.models.ornstein_uhlenbeck.fit import OUFit, fit_ou
from tests.twins import ou as twin


def paths(
    rows: int, bars: int, *, half_life: float, mean: float = 0.0, sigma: float = 1.0, seed: int = 1
) -> np.ndarray:
    """Exact draws of a stationary process with a half-life in bars, sigma a root bar: (rows, bars)."""
    speed = math.log(2.0) / half_life
    phi = math.exp(-speed)
    deviation = sigma / math.sqrt(2.0 * speed)
    noise = np.random.default_rng(seed).normal(0.0, deviation * math.sqrt(1.0 - phi * phi), (rows, bars))
    noise[:, 0] /= math.sqrt(1.0 - phi * phi)
    return mean + lfilter([1.0], [1.0, -phi], noise, axis=1)


@pytest.mark.parametrize(("half_life", "bars", "mean"), [(3.0, 60, 5.0), (10.0, 150, -2.0), (40.0, 100, 0.0)])
def test_it_is_the_maximum_of_the_likelihood(half_life: float, bars: int, mean: float) -> None:
    for values in paths(4, bars, half_life=half_life, mean=mean, seed=int(half_life)):
        got = fit_ou(values, bars_per_year=1.0)
        slow = twin.fit(values)
        assert (got.reversion, got.mean, got.sigma) == pytest.approx(slow, rel=2e-5, abs=2e-5)
        best = twin.likelihood(values, got.reversion, got.mean, got.sigma)
        assert best >= twin.likelihood(values, *slow) - 1e-9
        for change in np.eye(3) * 1e-3:
            for sign in (-1.0, 1.0):
                near = np.array([got.reversion, got.mean, got.sigma]) * (1.0 + sign * change) + sign * 1e-4 * (
                    change > 0
                )
                assert twin.likelihood(values, *near) < best


def test_it_is_statsmodels_ar1() -> None:
    for values in paths(3, 400, half_life=12.0, mean=1.0, seed=5):
        got = fit_ou(values, bars_per_year=1.0)
        theirs = ARIMA(values, order=(1, 0, 0), trend="c").fit(method_kwargs={"pgtol": 1e-12, "factr": 10.0})
        constant, phi, noise = theirs.params
        assert math.exp(-got.reversion) == pytest.approx(phi, abs=2e-5)
        assert got.mean == pytest.approx(constant, abs=2e-4)
        assert got.sigma**2 * (1 - phi**2) / (2 * got.reversion) == pytest.approx(noise, rel=2e-4)
        assert got.mean_se == pytest.approx(theirs.bse[0], rel=0.1)
        assert got.reversion_se * math.exp(-got.reversion) == pytest.approx(theirs.bse[1], rel=0.2)


def test_standard_errors_are_the_spread_of_the_estimates() -> None:
    """4,000 draws of 2,000 bars at a half-life of 10, where asymptotics hold."""
    drawn = paths(4000, 2000, half_life=10.0, mean=3.0, sigma=0.5, seed=2)
    made = np.empty((len(drawn), kernel.N_FIT))
    kernel.fit_rows(drawn, 0, drawn.shape[1], made)
    truth = np.array([math.log(2.0) / 10.0, 3.0, 0.5])
    spread = made[:, :3].std(axis=0, ddof=1)
    assert made[:, 3:].mean(axis=0) == pytest.approx(spread, rel=0.06)
    # the reversion's bias of 4 over the length is known; the others have none
    assert made[:, 0].mean() - truth[0] == pytest.approx(4.0 / 2000, rel=0.35)
    assert (made[:, 1:3].mean(axis=0) - truth[1:]) / (spread[1:] / math.sqrt(4000)) == pytest.approx([0, 0], abs=4.0)
    within = np.abs(made[:, :3] - truth) < 1.96 * made[:, 3:]
    assert within.mean(axis=0) == pytest.approx(0.95, abs=0.025)


def test_units() -> None:
    values = paths(1, 300, half_life=8.0, mean=2.0)[0]
    bar, year = fit_ou(values, bars_per_year=1.0), fit_ou(pd.Series(values))
    assert year.reversion == pytest.approx(252 * bar.reversion)
    assert year.sigma == pytest.approx(math.sqrt(252) * bar.sigma)
    assert (year.mean, year.mean_se) == (bar.mean, bar.mean_se)
    assert year.deviation == pytest.approx(bar.deviation)
    moved = fit_ou(1e6 + 100.0 * values, bars_per_year=1.0)
    assert moved.reversion == pytest.approx(bar.reversion, rel=1e-6)
    assert (moved.mean, moved.sigma) == pytest.approx((1e6 + 100 * bar.mean, 100 * bar.sigma), rel=1e-6)
    late = fit_ou(np.r_[np.nan, np.nan, values], bars_per_year=1.0)
    assert late == bar


def test_what_does_not_revert_has_no_parameters() -> None:
    zigzag = np.tile([1.0, -1.0], 30)
    got = fit_ou(zigzag)
    assert isinstance(got, OUFit)
    assert math.isnan(got.reversion)
    assert math.isnan(got.sigma_se)
    # a trend is as far from it as can be, yet stationary with some tiny speed: the likelihood knows no unit root
    assert 0.0 < fit_ou(np.arange(100.0), bars_per_year=1.0).reversion < 0.05


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1.0, 2.0, 3.0], "spread has 3 bars"),
        ([np.nan, 1.0, 2.0, np.nan, 3.0, 1.0], "spread is NaN at bar 3"),
        ([2.0] * 10, "spread is 2 at every bar"),
        ([1.0, 2.0, np.inf, 1.0], "finite"),
        (["a", "b"], "not a real number"),
    ],
    ids=str,
)
def test_bad_input_is_refused_in_words(values: list[object], words: str) -> None:
    with pytest.raises(DataError) as said:
        fit_ou(values)
    assert words in str(said.value)


def test_bars_per_year_has_to_be_above_0() -> None:
    with pytest.raises(ValueError, match="bars_per_year is 0; it must be positive"):
        fit_ou([1.0, 2.0, 1.0, 2.0, 3.0], bars_per_year=0)
