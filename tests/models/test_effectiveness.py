"""Hedge effectiveness: the kernel against its slow twin, blind to the future, and right on planted pairs."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest

import pairs_bt
from pairs_bt.backtest import table_columns
from pairs_bt.backtest.hedge_rules import HEDGE_RULES, FilterPath, PairPrices
from pairs_bt.backtest.study import cohort_slots
from pairs_bt.config.schema import Config
from pairs_bt.errors import DataError
from pairs_bt.kernels.hedge_effectiveness import measure_hedges
from pairs_bt.models.hedge_effectiveness import HORIZONS, MEASURES, effectiveness_summary, hedge_effectiveness, measure
from pairs_bt.stats.hedge_effectiveness import (
    NO_HEDGE,
    diebold_mariano,
    effectiveness_differences,
    hedge_confidence_set,
    log_losses,
)
from tests.twins import effectiveness as slow
from tests.twins.effectiveness import describe


def wandering(seed: int, bars: int = 150, gaps: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = 60 + rng.normal(size=bars).cumsum()
    y = 90 + 0.8 * x + rng.normal(size=bars).cumsum()
    ratio = 0.8 + 0.02 * rng.normal(size=bars).cumsum()
    for series in (y, x, ratio)[: 3 if gaps else 0]:
        series[rng.integers(0, bars, gaps)] = np.nan
    return y, x, ratio


@pytest.mark.parametrize("gaps", [0, 6])
@pytest.mark.parametrize("seed", range(4))
def test_the_kernel_is_its_slow_twin(seed: int, gaps: int) -> None:
    y, x, ratio = wandering(seed, gaps=gaps)
    made = hedge_effectiveness(y, x, ratio)
    for horizon in HORIZONS:
        wanted = describe(y.tolist(), x.tolist(), ratio.tolist(), horizon)
        for name in MEASURES:
            assert made.loc[horizon, name] == pytest.approx(wanted[name], rel=1e-10), (horizon, name)


def test_by_hand_on_a_perfect_hedge_and_on_none() -> None:
    x = 50.0 + np.sin(np.arange(60)) + np.arange(60) % 7
    y = 10.0 + 2.0 * x
    perfect = hedge_effectiveness(y, x, np.full(60, 2.0))
    assert perfect["effectiveness"].to_numpy() == pytest.approx(1.0, abs=1e-12)
    assert (perfect["turnover"] == 0.0).all()
    none = hedge_effectiveness(y, x, np.zeros(60))
    assert (none["effectiveness"] == 0.0).all()
    # twice too many shares leave the mirror of the change
    double = hedge_effectiveness(y, x, np.full(60, 4.0))
    assert double["effectiveness"].to_numpy() == pytest.approx(0.0, abs=1e-12)
    # from 2 to 3 shares at a price ratio of x / y, once in 59 steps
    step = hedge_effectiveness(y, x, np.where(np.arange(60) < 30, 2.0, 3.0))
    assert step.loc[1, "turnover"] == pytest.approx(x[30] / y[30] / 59)


def test_the_ratio_of_a_bar_meets_only_what_comes_after_it() -> None:
    y, x, _ = wandering(5)
    # at each bar the ratio that would have been perfect for the change that ends there: no use for the next one
    hindsight = np.concatenate([[1.0], np.diff(y) / np.diff(x)])
    foresight = np.concatenate([np.diff(y) / np.diff(x), [1.0]])
    assert hedge_effectiveness(y, x, foresight).loc[1, "effectiveness"] == pytest.approx(1.0)
    assert hedge_effectiveness(y, x, hindsight).loc[1, "effectiveness"] < 0.0


@pytest.mark.parametrize("cut", [40, 77, 120])
def test_a_cut_future_changes_no_error_before_it(cut: int) -> None:
    """Errors that end by `cut` are those of the short series: what is added later is added to them."""
    y, x, ratio = wandering(6)
    prices = np.ascontiguousarray([y, x])
    changed = prices.copy()
    changed[:, cut:] *= 3.0
    first = np.zeros(1, np.int64)
    made = []
    for given in (prices[:, :cut], changed[:, :cut]):
        out = np.empty((1, 3, len(MEASURES)))
        measure_hedges(
            np.ascontiguousarray(given), first, first + 1, ratio[None, :cut].copy(), np.array(HORIZONS), 0.05, out
        )
        made.append(out)
    np.testing.assert_array_equal(made[0], made[1])
    for place, horizon in enumerate(HORIZONS):
        errors = (y[horizon:] - y[:-horizon]) - ratio[:-horizon] * (x[horizon:] - x[:-horizon])
        known = errors[: cut - horizon]
        if known.size >= 20:
            assert made[0][0, place, 1] == pytest.approx(known.var(ddof=1), rel=1e-10)


def test_bad_series_are_named() -> None:
    with pytest.raises(DataError, match="y 3, x 2, ratio 3 bars"):
        hedge_effectiveness([1.0, 2.0, 3.0], [1.0, 2.0], [1.0, 1.0, 1.0])
    short = hedge_effectiveness(np.arange(1.0, 12.0), np.arange(2.0, 13.0), np.ones(11))
    assert short.loc[1, "bars"] == 10
    assert short["effectiveness"].isna().all()


# ----------------------------------------------------------------------------------------------------- planted truth

TRAIN, TRADE, PAIRS = 504, 126, 150
RULES = ("min_variance", "kalman_changes", "ols", "dollar")


def planted(kind: str, seed: int = 11) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Prices of y and x, and the true ratio at every bar, (pairs, bars).

    dy = beta dx + a shock of its own, so the ratio that is best for the next bar is what is known of beta then.
    """
    rng = np.random.default_rng(seed)
    bars = TRAIN + TRADE
    steps = rng.normal(size=(PAIRS, bars))
    if kind == "random walk":
        beta = 0.6 + 0.05 * steps.cumsum(axis=1)
    elif kind == "mean reverting":
        beta = np.full((PAIRS, bars), 0.6)
        for t in range(1, bars):
            beta[:, t] = 0.6 + 0.5 * (beta[:, t - 1] - 0.6) + 0.3 * steps[:, t]
    else:
        broken = kind == "break"
        beta = np.where(broken & (np.arange(bars) >= TRAIN - 126), 1.8, 0.6) * np.ones((PAIRS, 1))
    dx = rng.normal(size=(PAIRS, bars))
    dy = np.zeros((PAIRS, bars))
    dy[:, 1:] = beta[:, :-1] * dx[:, 1:] + 0.7 * rng.normal(size=(PAIRS, bars - 1))
    return 1000 + dy.cumsum(axis=1), 1000 + dx.cumsum(axis=1), beta


def losses_of(kind: str) -> dict[str, np.ndarray]:
    """Log variance over one bar of each rule on every pair of a kind, and of the true ratio: (pairs,) each."""
    y, x, beta = planted(kind)
    prices = np.concatenate([y, x])
    iy, ix = np.arange(PAIRS), np.arange(PAIRS) + PAIRS
    # percent of a price of 1000: the variance of the shock, and a step that suits the walk
    source = PairPrices(prices, np.ones(2 * PAIRS), iy, ix, delta=0.0025, observation_cov=0.0049)
    path = FilterPath(np.ones_like(y), np.zeros_like(y), y, x, source)
    ratios = {name: HEDGE_RULES[name](path, TRAIN)[:, TRAIN:] for name in RULES} | {"true": beta[:, TRAIN:]}
    trade = np.ascontiguousarray(prices[:, TRAIN:])
    column = MEASURES.index("var_hedged")
    return {name: np.log(measure(trade, iy, ix, ratio)[:, 0, column]) for name, ratio in ratios.items()}


@pytest.mark.parametrize(
    ("kind", "best"),
    [
        ("constant", "min_variance"), ("random walk", "kalman_changes"), ("mean reverting", "min_variance"),
        ("break", "kalman_changes"),
    ],
)  # fmt: skip
def test_on_planted_pairs_the_best_rule_is_the_one_that_theory_names(kind: str, best: str) -> None:
    """Constant, or reverting within days: the slope of the whole train window. A walk or a break: a filter."""
    losses = losses_of(kind)
    true = losses.pop("true")
    for name, values in losses.items():
        assert true.mean() < values.mean(), (kind, name)
        if name != best:
            gaps = losses[best] - values
            assert gaps.mean() < -2.0 * gaps.std(ddof=1) / math.sqrt(PAIRS), (kind, name)


def test_the_estimate_is_within_two_standard_errors_of_the_true_effectiveness() -> None:
    """Beta 0.6, unit changes of x, shocks of 0.7: y's change has variance 0.85, a ratio r leaves (0.6 - r)^2 + 0.49."""
    y, x, _ = planted("constant", seed=23)
    prices = np.ascontiguousarray(np.concatenate([y, x])[:, TRAIN:])
    iy, ix = np.arange(PAIRS), np.arange(PAIRS) + PAIRS
    for ratio in (0.6, 0.3, 1.2, 1.8):
        made = measure(prices, iy, ix, np.full((PAIRS, TRADE), ratio))
        true = 1.0 - ((0.6 - ratio) ** 2 + 0.49) / 0.85
        hedged, plain = (made[:, 0, MEASURES.index(name)] for name in ("var_hedged", "var_unhedged"))
        # pooled: the mean of quotients is off by their curvature, the quotient of means is not
        share = hedged.sum() / plain.sum()
        error = (hedged - share * plain).std(ddof=1) / plain.mean() / math.sqrt(PAIRS)
        assert abs(1.0 - share - true) < 2.0 * error, ratio
        for place, name, variance in ((1, "var_hedged", (0.6 - ratio) ** 2 + 0.49), (2, "var_unhedged", 0.85)):
            # five bars of independent changes have five times the variance, found from fewer independent bars
            values = made[:, place, MEASURES.index(name)]
            bars = 5 if place == 1 else 21
            known = values.mean() / bars
            assert known < variance * 1.02, (ratio, name)
            assert known > variance * (1 - 1.3 * bars / TRADE), (ratio, name)


# -------------------------------------------------------------------------------------------------------- in a run


@pytest.fixture(scope="module")
def run(short_config):
    return pairs_bt.run(short_config)


def test_the_table_of_a_run_is_its_ratios_against_its_prices(run) -> None:
    table = run.hedge_effectiveness
    assert list(table.columns) == list(table_columns.HEDGE_EFFECTIVENESS)
    assert len(table) == 3 * len(run.half_lives)
    keys = ["test_end", "y", "x", "variant"]
    prices = run.prices.ffill()
    checked = 0
    for (end, y, x, variant), spread in run.spreads.groupby(keys, observed=True):
        mine = table[(table[keys] == [end, y, x, variant]).all(axis=1)].set_index("horizon")
        there = prices.loc[spread["date"]]
        ratio = spread["hedge_ratio"].to_numpy()
        wanted = hedge_effectiveness(there[y].to_numpy(), there[x].to_numpy(), ratio)
        unit = mine.loc[1, "var_hedged"] / wanted.loc[1, "var_hedged"]
        if run.config.filter.price_space == "raw":
            assert unit == pytest.approx(1.0, rel=1e-9)
        np.testing.assert_allclose(mine["var_unhedged"], wanted["var_unhedged"], rtol=1e-9)
        np.testing.assert_allclose(mine["var_hedged"], wanted["var_hedged"], rtol=1e-9)
        np.testing.assert_allclose(mine["turnover"], wanted["turnover"], rtol=1e-9, atol=1e-15)
        checked += 1
        if checked == 12:
            break
    assert checked == 12


def test_a_refused_candidate_is_measured_too(run) -> None:
    refused = run.half_lives[run.half_lives["reason"] == "no reversion"]
    if refused.empty:
        refused = run.half_lives[run.half_lives["reason"] != ""]
    assert len(refused)
    keys = ["test_end", "y", "x", "variant"]
    both = refused.merge(run.hedge_effectiveness, on=keys)
    assert len(both) == 3 * len(refused)
    assert both["effectiveness"].notna().any()


def test_prices_after_a_window_change_none_of_its_numbers(run, short_config) -> None:
    earlier = pairs_bt.run(short_config.with_changes("data.end=2008-12-31"))
    ends = earlier.config.windows
    last = max(earlier.hedge_effectiveness["test_end"]) - pd.DateOffset(months=int(ends.trade[:-1]))
    keys = ["test_end", "y", "x", "variant", "horizon"]
    full, short = (
        made.hedge_effectiveness[made.hedge_effectiveness["test_end"] <= last].sort_values(keys).reset_index(drop=True)
        for made in (run, earlier)
    )
    assert len(full) > 0
    pd.testing.assert_frame_equal(full, short)


def test_a_folder_keeps_the_table_and_the_report_has_the_section(short_config, run, tmp_path) -> None:
    made = pairs_bt.run(short_config, out=tmp_path / "run", report=True)
    stored = pd.read_parquet(tmp_path / "run" / "hedge_effectiveness.parquet")
    pd.testing.assert_frame_equal(stored, run.hedge_effectiveness, check_dtype=False)
    pd.testing.assert_frame_equal(made.hedge_effectiveness, stored)
    pd.testing.assert_frame_equal(pairs_bt.load_run(tmp_path / "run").hedge_effectiveness, stored)
    text = (tmp_path / "run" / "report.html").read_text()
    assert "Does the hedge hedge?" in text
    assert "pairs with less risk than no hedge" in text


# ------------------------------------------------------------------------------------------------------- differences


def made_table(gap: float, windows: int = 40, seed: int = 0, overlap: float = 0.0) -> pd.DataFrame:
    """Two rules on three pairs a window; the first has exp(gap) times the variance of the second in the mean."""
    rng = np.random.default_rng(seed)
    ends = pd.date_range("2001-01-31", periods=windows, freq="QE")
    shock = rng.normal(size=windows)
    shared = shock + overlap * np.concatenate([[0.0], shock[:-1]])
    rows = []
    for w, end in enumerate(ends):
        for p in range(3):
            base = rng.normal()
            for name, log in (("a", base + gap + 0.1 * shared[w] + 0.02 * rng.normal()), ("b", base)):
                rows.append((end, f"Y{p}", "X", name, 1, math.exp(log), math.exp(base + 1.0)))
    names = ["test_end", "y", "x", "variant", "horizon", "var_hedged", "var_unhedged"]
    return pd.DataFrame(rows, columns=names)


def test_a_planted_difference_is_found_and_chance_is_not_called_one() -> None:
    found = effectiveness_differences(made_table(-0.2), lags=1).set_index(["first", "second"])
    assert found.loc[("a", "b"), "mean"] == pytest.approx(-0.2, abs=0.04)
    assert found.loc[("a", "b"), "pvalue_holm"] < 0.001
    assert found.loc[("b", NO_HEDGE), "mean"] == pytest.approx(-1.0)
    assert found.loc[("a", "b"), "pairs"] == 120
    assert found.loc[("a", "b"), "windows"] == 40
    rejected = 0
    for seed in range(400):
        losses = log_losses(made_table(0.0, windows=40, seed=seed, overlap=1.0)).groupby(level="test_end").mean()
        rejected += diebold_mariano((losses["a"] - losses["b"]).to_numpy(), 1)[1] < 0.05
    # the size of the test under overlap: 5%, with the error of 400 draws and of the estimate of the variance
    assert 0.02 <= rejected / 400 <= 0.11


def test_the_confidence_set_holds_the_best_and_not_what_is_worse() -> None:
    found = hedge_confidence_set(made_table(-0.3))
    assert found["included"].to_dict() == {"a": True, "b": False, NO_HEDGE: False}
    assert found.loc["a", "better"] > 0.2
    assert found.loc["b", "better"] < 0.01
    equal = hedge_confidence_set(made_table(0.0))
    assert equal["included"].to_dict() == {"a": True, "b": True, NO_HEDGE: False}


def ragged_table(seed: int) -> pd.DataFrame:
    """Rows out of order, pairs that some rules lack, variances of NaN, 0 and inf, a rule that repeats another."""
    rng = np.random.default_rng(seed)
    rows = []
    for end in pd.date_range("2001-01-31", periods=6, freq="QE"):
        for y, x in (("B", "A"), ("A", "C"), ("\u00c4", "A"), ("a", "Z"), ("A", "B")):
            for horizon in (1, 5):
                plain = rng.choice([2.0, 0.0, math.nan, math.inf], p=[0.85, 0.05, 0.05, 0.05])
                for name in ("slow", "again", "fast"):
                    value = rng.choice([rng.gamma(2.0), 0.0, math.nan, math.inf], p=[0.85, 0.05, 0.05, 0.05])
                    if name == "again":
                        rows.append((*rows[-1][:3], "again", *rows[-1][4:]))
                    elif name == "slow" or rng.random() < 0.9:
                        rows.append((end, y, x, name, horizon, value, plain))
    rng.shuffle(rows)
    names = ["test_end", "y", "x", "variant", "horizon", "var_hedged", "var_unhedged"]
    return pd.DataFrame(rows, columns=names)


@pytest.mark.parametrize("seed", range(8))
def test_losses_are_those_of_every_cell_looked_up(seed: int) -> None:
    table = ragged_table(seed)
    for horizon in (1, 5):
        found, wanted = log_losses(table, horizon), slow.log_losses(table, horizon)
        assert 0 < len(found) < 30
        # names in the order of the rows: of two that are equal the first is kept
        assert len(found.columns) == 3
        pd.testing.assert_frame_equal(found, wanted, check_index_type=False, check_column_type=False, rtol=1e-15)
        assert found.index.names == ["test_end", "y", "x"]


def test_losses_of_a_run_are_those_of_every_cell_looked_up(run) -> None:
    table = run.hedge_effectiveness
    wanted = slow.log_losses(table, 1)
    assert list(wanted.columns[[0, -1]]) == ["dynamic", NO_HEDGE]
    pd.testing.assert_frame_equal(log_losses(table), wanted, check_index_type=False, check_column_type=False)
    names = [table["y"].astype("category"), table["x"].astype("category"), table["variant"].astype("category")]
    packed = log_losses(table.assign(**{name.name: name for name in names}))
    np.testing.assert_array_equal(packed.to_numpy(), log_losses(table).to_numpy())
    assert packed.index.tolist() == log_losses(table).index.tolist()


def test_a_pair_that_is_measured_twice_is_refused() -> None:
    table = made_table(0.0, windows=3)
    with pytest.raises(ValueError, match="two rows of one window, pair, variant and horizon"):
        log_losses(pd.concat([table, table.iloc[:1]]))


def test_a_run_asks_for_its_losses_once(run, monkeypatch) -> None:
    made = []
    again = effectiveness_differences(run.hedge_effectiveness, lags=cohort_slots(run.config.windows) - 1)
    monkeypatch.setattr(
        "pairs_bt.stats.hedge_effectiveness.log_losses", lambda table: made.append(1) or log_losses(table)
    )
    fresh = dataclasses.replace(run)
    pd.testing.assert_frame_equal(fresh.hedge_differences, again)
    assert fresh.hedge_set.index.tolist() == [*log_losses(run.hedge_effectiveness).columns]
    assert made == [1]


def test_a_rule_that_is_hedged_again_is_one_rule(run) -> None:
    assert {"dynamic", "dynamic-rehedged"} <= set(run.hedge_effectiveness["variant"])
    told = {*run.hedge_differences["first"], *run.hedge_differences["second"]}
    assert "dynamic" in told
    assert "dynamic-rehedged" not in told
    assert "dynamic-rehedged" not in run.hedge_set.index


def test_the_statistic_is_that_of_statsmodels() -> None:
    import statsmodels.api as sm

    gaps = np.random.default_rng(4).normal(0.2, 1.0, 50)
    gaps[1:] += 0.5 * gaps[:-1]
    for lags in (0, 1, 3):
        fitted = sm.OLS(gaps, np.ones(50)).fit(cov_type="HAC", cov_kwds={"maxlags": lags})
        h = lags + 1
        factor = math.sqrt((50 + 1 - 2 * h + h * (h - 1) / 50) / 50)
        assert diebold_mariano(gaps, lags)[0] == pytest.approx(float(fitted.tvalues[0]) * factor, rel=1e-10)


def test_too_few_windows_and_equal_rules_have_no_p_value() -> None:
    assert math.isnan(diebold_mariano(np.arange(7.0), 1)[1])
    assert math.isnan(diebold_mariano(np.zeros(30), 1)[1])


def test_medians_stand_where_one_ratio_is_wild(run) -> None:
    table = run.hedge_effectiveness.copy()
    before = effectiveness_summary(table)
    place = table.index[(table["variant"] == "averaged") & (table["horizon"] == 1)][0]
    table.loc[place, ["effectiveness", "var_hedged"]] = [-1e6, 1e9]
    after = effectiveness_summary(table)
    key = (1, "averaged")
    assert after.loc[key, "effectiveness_mean"] < -1e3
    assert after.loc[key, "effectiveness"] == pytest.approx(before.loc[key, "effectiveness"], abs=0.05)


def test_a_config_of_thirteen_rules_has_a_row_for_each(short_config) -> None:
    names = ["ols", "tls", "beta", "kalman_changes", "rolling_ols"]
    made = pairs_bt.run(short_config.with_changes(f"hedge.variants={names!r}".replace("'", '"'), "data.end=2007-12-31"))
    assert isinstance(made.config, Config)
    assert set(made.hedge_effectiveness["variant"]) >= set(names)


def test_a_run_without_candidates_has_tables_without_rows() -> None:
    nothing = table_columns.empty(table_columns.HEDGE_EFFECTIVENESS)
    assert effectiveness_summary(nothing).empty
    assert effectiveness_differences(nothing).empty
    assert not hedge_confidence_set(nothing)["included"].any()


def test_a_part_of_an_error_in_the_tail_is_a_whole_one() -> None:
    # 5% of 30 errors is one and a half: the two largest, 29 and 30, of steps 1, 2, .. 30 without a hedge
    y = np.concatenate([[100.0], 100.0 + np.cumsum(np.arange(1.0, 31.0))])
    x = 50.0 + np.sin(np.arange(31.0))
    assert hedge_effectiveness(y, x, np.zeros(31)).loc[1, "tail_unhedged"] == 29.5


def test_a_price_that_is_carried_forward_is_none() -> None:
    """Every second bar of y without a quote: no error over one bar has both prices, and one over five has few."""
    rng = np.random.default_rng(0)
    dates = pd.bdate_range("2015-01-01", periods=800)
    x = 100.0 + rng.normal(size=800).cumsum()
    y = 40.0 + 0.8 * x + 0.1 * rng.normal(size=800).cumsum()
    prices = pd.DataFrame({"Y": y, "X": x}, index=dates)
    config = Config.from_dict(
        {
            "universe": {"pairs": [["Y", "X"]]},
            "selection": {"tests": []},
            "hedge": {"variants": ["min_variance"]},
        }
    )
    whole = pairs_bt.run(config, prices=prices).hedge_effectiveness.query("horizon == 1").iloc[0]
    assert whole["effectiveness"] > 0.9
    holes = prices.copy()
    holes.iloc[np.arange(530, 800, 2), 0] = np.nan
    found = pairs_bt.run(config, prices=holes).hedge_effectiveness.query("horizon == 1").iloc[0]
    assert found["bars"] < 20 < whole["bars"]
    assert np.isnan(found["effectiveness"])
    some = prices.copy()
    some.iloc[np.arange(530, 800, 10), 0] = np.nan
    part = pairs_bt.run(config, prices=some).hedge_effectiveness.query("horizon == 1").iloc[0]
    assert part["bars"] < whole["bars"] - 15
    assert part["effectiveness"] == pytest.approx(whole["effectiveness"], abs=0.03)
