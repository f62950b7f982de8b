"""The filter's model checked by its innovations, against statsmodels and scipy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pairs_bt import Config
from pairs_bt.backtest.study import Study, prepare
from pairs_bt.data.prices import check_prices
from pairs_bt.errors import DataError
from pairs_bt.models.kalman import hedge_ratio_filter
from pairs_bt.runs.filter_diagnostics import COLUMNS, diagnostics, jarque_bera, ljung_box


def study_of(prices: pd.DataFrame, *changes: str) -> Study:
    own = {"model": "random_walk", "smooth": "none", "start": "given", "noise": "fixed"}
    config = Config.from_dict({"windows": {"train": "1Y"}, "filter": own}).with_changes(*changes)
    return prepare(config, check_prices(prices))


@pytest.fixture(scope="module")
def prices() -> pd.DataFrame:
    """Y on X as the model has it (R 1, steps 1e-5), Z with jumps, W a walk of its own."""
    rng = np.random.default_rng(8)
    n = 520
    x = 100.0 + np.cumsum(rng.normal(size=n) * 0.7)
    beta = 0.9 + np.cumsum(rng.normal(size=n) * np.sqrt(1e-5))
    alpha = 10.0 + np.cumsum(rng.normal(size=n) * np.sqrt(1e-5))
    y = beta * x + alpha + rng.normal(size=n)
    z = 0.5 * x + 60.0 + rng.standard_t(2, size=n)
    w = 100.0 + np.cumsum(rng.normal(size=n))
    days = pd.bdate_range("2014-01-01", periods=n, name="date")
    return pd.DataFrame({"X": x, "Y": y, "Z": z, "W": w}, index=days)


@pytest.mark.parametrize("n", [30, 250])
def test_ljung_box_and_jarque_bera_are_statsmodels_and_scipy(n: int) -> None:
    from scipy.stats import jarque_bera as scipy_twin
    from scipy.stats import kurtosis
    from statsmodels.stats.diagnostic import acorr_ljungbox

    values = np.random.default_rng(n).standard_t(4, size=n)
    twin = acorr_ljungbox(values, lags=[10])
    assert ljung_box(values) == pytest.approx((twin["lb_stat"].iloc[0], twin["lb_pvalue"].iloc[0]), rel=1e-10)
    stat, pvalue, skew, excess = jarque_bera(values)
    other = scipy_twin(values)
    assert (stat, pvalue) == pytest.approx((other.statistic, other.pvalue), rel=1e-10)
    assert skew == pytest.approx(pd.Series(values).skew() * (n - 2) / np.sqrt(n * (n - 1)), rel=1e-10)
    assert excess == pytest.approx(kurtosis(values), rel=1e-10)


def test_constant_values_have_no_statistic() -> None:
    assert np.isnan(ljung_box(np.ones(50))).all()
    assert np.isnan(jarque_bera(np.ones(50))).all()
    assert np.isnan(ljung_box(np.arange(8.0))).all()


def test_the_table_is_the_filter_s_innovations(prices: pd.DataFrame) -> None:
    study = study_of(prices, "filter.price_space=raw")
    table = diagnostics(study, pairs=[("Y", "X"), ("W", "X")])
    assert list(table.columns) == list(COLUMNS)
    window = study.windows[-1]
    train = prices.iloc[window.first : window.split]
    path = hedge_ratio_filter(train["Y"].to_numpy(), train["X"].to_numpy())
    z = (path.innovation / np.sqrt(path.innovation_var))[2:]
    row = table.iloc[0]
    assert (row["y"], row["x"], row["bars"], row["noise"]) == ("Y", "X", z.size, "fixed")
    assert row["ljung_box"] == pytest.approx(ljung_box(z)[0], rel=1e-9)
    assert row["jarque_bera"] == pytest.approx(jarque_bera(z)[0], rel=1e-9)
    assert row["coverage"] == pytest.approx((np.abs(z) <= 1).mean())
    assert row["variance"] == pytest.approx(z.var(ddof=1), rel=1e-9)
    assert np.isnan(row["log_likelihood"])


def test_the_right_model_passes_and_wrong_ones_are_seen(prices: pd.DataFrame) -> None:
    study = study_of(prices, "filter.price_space=raw", "filter.noise=mle_two")
    table = diagnostics(study, pairs=[("Y", "X"), ("Z", "X"), ("W", "X")]).set_index("y")
    good = table.loc["Y"]
    assert good["ljung_box_pvalue"] > 0.01
    assert good["jarque_bera_pvalue"] > 0.01
    assert good["coverage"] == pytest.approx(0.683, abs=0.08)
    assert good["observation_cov"] == pytest.approx(1.0, rel=0.35)
    assert table.loc["Z", "jarque_bera_pvalue"] < 1e-6
    assert table.loc["Z", "excess_kurtosis"] > 1
    fixed = diagnostics(study_of(prices, "filter.price_space=raw"), pairs=[("Y", "X")]).iloc[0]
    # R 2 and delta 1e-3 claim far more noise than there is
    assert fixed["coverage"] > 0.9
    assert fixed["variance"] < 0.5


def test_burn_in_is_the_start_s_share(prices: pd.DataFrame) -> None:
    fixed = diagnostics(study_of(prices), pairs=[("Y", "X")]).iloc[0]
    slow = diagnostics(study_of(prices, "filter.hedge.delta=1e-8"), pairs=[("Y", "X")]).iloc[0]
    diffuse = study_of(prices, "filter.noise=mle_two", "filter.start=diffuse")
    fitted = diagnostics(diffuse, pairs=[("Y", "X")]).iloc[0]
    # with steps of nothing the intercept of 10 that the start denies is never found
    assert slow["burn_in"] > fixed["burn_in"]
    bars = study_of(prices).windows[-1].n_train
    assert fitted["burn_in"] == pytest.approx(2 / bars)
    assert fitted["noise"] in ("fitted", "at the lower bound")


def test_the_default_pairs_are_the_selected_ones(prices: pd.DataFrame) -> None:
    study = study_of(prices, "selection.method=distance", "selection.max_pairs=3")
    assert len(diagnostics(study)) == 3
    first = diagnostics(study, test_end=study.windows[0].label)
    assert first["test_end"].iloc[0] == pd.Timestamp(study.windows[0].test_end)


def test_what_is_not_there_is_named(prices: pd.DataFrame) -> None:
    study = study_of(prices)
    with pytest.raises(DataError, match="no test end 1999-12-31"):
        diagnostics(study, "1999-12-31")
    with pytest.raises(DataError, match="'Q' does not take part"):
        diagnostics(study, pairs=[("Q", "X")])


def test_a_run_gives_its_own_diagnostics(prices: pd.DataFrame) -> None:
    from pairs_bt import run

    config = Config.from_dict({"windows": {"train": "1Y"}, "selection": {"method": "distance", "max_pairs": 2}})
    made = run(config.with_changes("comparison.draws=100"), prices=prices)
    pd.testing.assert_frame_equal(made.diagnostics(), diagnostics(prepare(config, check_prices(prices))))


def test_the_model_with_the_spread_in_it_is_described(prices: pd.DataFrame) -> None:
    """Its innovations on a pair of its own kind are white and of unit variance."""
    rng = np.random.default_rng(3)
    u = np.zeros(len(prices))
    for t in range(1, u.size):
        u[t] = 0.93 * u[t - 1] + rng.normal()
    own = prices.assign(V=30.0 + 0.8 * prices["X"] + u)
    study = study_of(own, "filter.model=reverting_spread", "filter.start=diffuse")
    row = diagnostics(study, pairs=[("V", "X")]).iloc[0]
    assert row["noise"] == "fitted"
    assert row["ljung_box_pvalue"] > 0.01
    assert row["variance"] == pytest.approx(1.0, abs=0.1)
    wrong = study_of(own, "filter.hedge.delta=1e-6", "filter.start=diffuse")
    assert diagnostics(wrong, pairs=[("V", "X")]).iloc[0]["ljung_box_pvalue"] < 1e-6
