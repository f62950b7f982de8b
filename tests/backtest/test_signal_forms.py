"""Spreads and z-scores in other forms, against slow twins and through whole runs."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pandas as pd
import pytest

from pairs_bt import Config, run
from pairs_bt.backtest.hedge_rules import HEDGE_RULES
from pairs_bt.backtest.selection import select_pairs
from pairs_bt.backtest.signals import (
    BASE,
    REFUSALS,
    SignalSet,
    _space,
    filter_noise,
    filter_pairs,
    filter_start,
    make_signals,
)
from pairs_bt.backtest.special_signals import Space, form_signals
from pairs_bt.backtest.study import Study, prepare
from pairs_bt.config.schema import RULES
from pairs_bt.engine.pipeline import orient_pairs, scan_window
from tests.book_filter import BOOK_FILTER

ALL = tuple(HEDGE_RULES)
SPACES = ("raw", "normalised", "log")
FIELDS = ("hedge_ratio", "share_ratio", "spread", "z", "half_life", "window", "refusal", "mean")


def config_with(*changes: str) -> Config:
    base = Config.from_dict(
        {"windows": {"train": "1Y"}, "selection": {"max_pairs": 12, "alpha": 0.5, "combine": "any"}}
    )
    return base.with_changes(*BOOK_FILTER, *changes)


@pytest.fixture(scope="module")
def prices() -> pd.DataFrame:
    """Twelve tickers about two common trends, quoted in very different units."""
    rng = np.random.default_rng(44)
    days = pd.bdate_range("2015-01-01", periods=640, name="date")
    trends = np.cumsum(rng.normal(size=(2, 640)) * 0.01, axis=1)
    own = np.zeros((12, 640))
    for t in range(1, 640):
        own[:, t] = 0.93 * own[:, t - 1] + rng.normal(size=12) * 0.008
    levels = rng.uniform(0.6, 1.3, size=(12, 1)) * trends[np.arange(12) % 2] + own
    values = rng.uniform(5, 400, size=(12, 1)) * np.exp(levels)
    return pd.DataFrame(values.T, index=days, columns=[f"T{k:02d}" for k in range(12)])


def study_of(prices: pd.DataFrame, config: Config) -> Study:
    from pairs_bt.data.prices import check_prices

    return prepare(config, check_prices(prices))


def signals_of(prices: pd.DataFrame, config: Config, rule: str, k: int = 0) -> tuple[SignalSet, object]:
    study = study_of(prices, config)
    y, x = np.array([0, 3, 5, 8, 1]), np.array([2, 1, 7, 10, 11])
    levels, n_train = study.context(k).levels, study.windows[k].n_train
    path = filter_pairs(levels, y, x, config.filter)
    return make_signals(path, rule, levels, y, x, n_train, config), (study, levels, path, y, x, n_train)


@pytest.mark.parametrize("half_life", ["reject", "book"])
@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("rule", RULES)
def test_the_general_form_makes_the_bytes_of_the_usual_one(prices, rule, space, half_life) -> None:
    config = config_with(f"filter.price_space={space}", f"signal.half_life={half_life}", "hedge.max_leg_share=0.7")
    usual, (_, levels, path, y, x, n_train) = signals_of(prices, config, rule)
    formed = form_signals(path, rule, _space(levels, config), y, x, n_train, config)
    fields = ("hedge", "share", "spread", "z", "life", "window", "refusal", "mean")
    for mine, name in zip((getattr(formed, field) for field in fields), FIELDS, strict=True):
        assert np.array_equal(mine, getattr(usual, name), equal_nan=True), name


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("rule", ALL)
def test_the_spread_is_the_value_of_the_shares_held(prices, rule, space) -> None:
    """What the signal watches moves with what the ledger holds: by the ratio per unit of x, by the shares in prices."""
    config = config_with(f"filter.price_space={space}", "hedge.reject_negative=false", "signal.half_life=ignore")
    found, (_, levels, _, y, x, n_train) = signals_of(prices, config, rule)
    assert np.isfinite(found.hedge_ratio).all()
    raw_y, raw_x = levels.raw[y, n_train:], levels.raw[x, n_train:]
    ratio = found.hedge_ratio
    held = ratio * raw_y / raw_x if space == "log" else ratio
    assert found.share_ratio == pytest.approx(held, rel=1e-13)
    level_y, level_x = (levels.space[y, n_train:], levels.space[x, n_train:]) if space == "log" else (raw_y, raw_x)
    if rule in ("dynamic", "rolling_ols", "kalman_reverting"):
        assert found.spread == pytest.approx(level_y - ratio * level_x, rel=1e-7, abs=1e-9)
    else:
        earned = np.diff(level_y, axis=1) - ratio[:, :-1] * np.diff(level_x, axis=1)
        assert np.diff(found.spread, axis=1) == pytest.approx(earned, rel=1e-7, abs=1e-9)


def test_the_intercept_is_subtracted_in_the_units_of_the_spread(prices) -> None:
    for space in SPACES:
        config = config_with(f"filter.price_space={space}", "filter.intercept=subtract")
        kept, (_, levels, path, y, _x, n_train) = signals_of(
            prices, config.with_changes("filter.intercept=keep"), "dynamic"
        )
        found, _ = signals_of(prices, config, "dynamic")
        start = levels.raw[y, :1] / BASE if space == "normalised" else 1.0
        assert kept.spread - found.spread == pytest.approx(path.alpha[:, n_train:] * start, rel=1e-9, abs=1e-9)
        # the residual of the filter's own line, in its own space
        residual = path.y - path.beta * path.x - path.alpha
        assert found.spread == pytest.approx(residual[:, n_train:] * start, rel=1e-7, abs=1e-9)
        # and of the rolling regression: what its line leaves of the window's last bar
        rolled, _ = signals_of(prices, config.with_changes("hedge.rolling_window=40"), "rolling_ols")
        line = np.stack([path.x[0, n_train - 39 : n_train + 1], np.ones(40)], axis=1)
        left = path.y[0, n_train - 39 : n_train + 1]
        left = left - line @ np.linalg.lstsq(line, left, rcond=None)[0]
        assert rolled.spread[0, 0] == pytest.approx(left[-1] * np.ravel(start)[0], rel=1e-6)
        # a held ratio takes a held intercept, which no z-score sees
        one, _ = signals_of(prices, config.with_changes("filter.intercept=keep"), "fixed_last")
        other, _ = signals_of(prices, config, "fixed_last")
        assert one.z == pytest.approx(other.z, rel=1e-6, abs=1e-8, nan_ok=True)
        shift = one.spread - other.spread
        assert shift == pytest.approx(np.broadcast_to(shift[:, :1], shift.shape), rel=1e-9)


@pytest.mark.parametrize("noise", ["fixed", "mle"])
def test_the_innovation_is_pykalman_s(prices, noise) -> None:
    from pykalman import KalmanFilter

    config = config_with(
        "signal.z=innovation", f"filter.noise={noise}", "signal.half_life=ignore", "filter.smooth=none"
    )
    found, (_, levels, _path, iy, ix, n_train) = signals_of(prices, config, "dynamic")
    fitted = filter_noise(levels, iy, ix, config.filter)
    _, start = filter_start(levels, iy, ix, config.filter)
    assert (found.window == 0).all()
    for p in range(2):
        y, x = levels.space[iy[p]], levels.space[ix[p]]
        h = np.stack([x, np.ones_like(x)], axis=1)
        twin = KalmanFilter(
            n_dim_obs=1, n_dim_state=2, initial_state_mean=np.zeros(2), initial_state_covariance=start[p],
            transition_matrices=np.eye(2), observation_matrices=h[:, None, :],
            observation_covariance=fitted.r[p], transition_covariance=np.diag(fitted.q[p]),
        )  # fmt: skip
        mean, cov = twin.filter(y)
        for t in range(n_train, y.size, 7):
            s = h[t] @ (cov[t - 1] + np.diag(fitted.q[p])) @ h[t] + fitted.r[p]
            z = (y[t] - h[t] @ mean[t - 1]) / np.sqrt(s)
            assert found.z[p, t - n_train] == pytest.approx(z, rel=1e-4, abs=1e-5)


def test_without_smoothing_the_filter_sees_prices(prices) -> None:
    config = config_with("filter.smooth=none")
    study = study_of(prices, config)
    levels = study.context(0).levels
    assert levels.filtered is levels.space
    smoothed = study_of(prices, config_with()).context(0).levels
    assert not np.array_equal(smoothed.filtered, smoothed.space)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("rule", ["dollar", "one_to_one"])
def test_the_formation_gap_on_paper(prices, rule, space) -> None:
    changes = [
        "signal.z=formation",
        f'hedge.variants=["{rule}"]',
        "signal.half_life=ignore",
        f"filter.price_space={space}",
    ]
    found, (_, levels, _path, y, x, n_train) = signals_of(prices, config_with(*changes), rule)
    for p in range(y.size):
        one, other = levels.raw[y[p]], levels.raw[x[p]]
        if space == "log":
            one, other = np.log(one), np.log(other)
            train = (one - one[0]) - (other - other[0])
        else:
            train = one / one[0] - other / other[0]
        sd = train[:n_train].std(ddof=1)
        base = n_train - 1 if rule == "dollar" else 0
        gap = (one - one[base]) - (other - other[base]) if space == "log" else one / one[base] - other / other[base]
        assert found.z[p] == pytest.approx(gap[n_train:] / sd, rel=1e-8, abs=1e-9)


EVERY = "hedge.variants=" + json.dumps(ALL)
FORMS = {
    "every rule": [EVERY, "hedge.market=T03", 'hedge.rehedge=["never","daily"]'],
    "fitted noise": ["filter.noise=mle_two", "filter.intercept=subtract", "filter.smooth=none"],
    "innovation": ["signal.z=innovation", "filter.noise=mle_two", "filter.smooth=none", "signal.entry=1.5"],
    "distance": [
        "selection.method=distance", "signal.z=formation", 'hedge.variants=["dollar","one_to_one"]',
        "signal.half_life=ignore",
    ],
    "correlation": [
        "selection.method=correlation", 'hedge.variants=["beta","kalman_changes"]', "filter.price_space=log",
    ],
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_no_form_sees_the_future_or_the_cut_into_tasks(prices, form) -> None:
    config = config_with(*FORMS[form], "comparison.draws=100")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        whole = run(config, prices=prices, jobs=2, scan_chunk=7, trade_chunk=64)
        again = run(config, prices=prices, jobs=1)
        cut = run(config, prices=prices.iloc[:560], jobs=1)
    last = prices.index[559]
    assert len(whole.trades) > 10
    for name in ("tests", "half_lives", "trades", "spreads"):
        pd.testing.assert_frame_equal(getattr(whole, name), getattr(again, name), check_exact=True)
    ends = cut.tests["test_end"].unique()
    for name in ("tests", "half_lives"):
        table = getattr(whole, name)
        mine = table[table["test_end"].isin(ends)].reset_index(drop=True)
        pd.testing.assert_frame_equal(mine, getattr(cut, name), check_exact=True)
    seen = whole.spreads[whole.spreads["date"] <= last].reset_index(drop=True)
    columns = ["test_end", "date", "hedge_ratio", "spread", "z_score"]
    pd.testing.assert_frame_equal(seen[columns], cut.spreads[columns], check_exact=True)
    # every trade of the ledger holds the ratio of the table, in shares
    trades = whole.trades
    assert np.allclose(trades["units_x"], -trades["units_y"] * trades["hedge_ratio"], rtol=1e-12, atol=0.0)


def test_units_do_not_move_a_trade_under_any_rule(prices) -> None:
    """Ten times the price of one ticker, a tenth of its shares."""
    for space in ("normalised", "log"):
        config = config_with(*FORMS["every rule"], f"filter.price_space={space}", "comparison.draws=100")
        scaled = prices.copy()
        scaled["T05"] *= 10.0
        one, other = run(config, prices=prices), run(config, prices=scaled)
        keys = ["test_end", "y", "x", "variant", "side", "entry_date", "exit_date", "exit_reason"]
        pd.testing.assert_frame_equal(one.trades[keys], other.trades[keys])


def test_fitted_noise_is_in_the_run_and_flags_fall_back(prices) -> None:
    config = config_with("filter.noise=mle", "filter.smooth=none")
    study = study_of(prices, config)
    candidates = orient_pairs(
        scan := scan_window(study, 0, lambda f, r: [f(*one) for one in r]), select_pairs(scan, config.selection)
    )
    levels = study.context(0).levels
    path = filter_pairs(levels, candidates.y, candidates.x, config.filter)
    plain = filter_pairs(levels, candidates.y, candidates.x, config_with("filter.smooth=none").filter)
    fitted = path.noise.flag == 0
    assert fitted.any()
    assert not np.array_equal(path.beta[fitted], plain.beta[fitted])
    assert np.array_equal(path.beta[~fitted], plain.beta[~fitted])


def test_a_pair_without_a_ratio_is_refused_for_that(prices) -> None:
    flat = prices.copy()
    # constant but for the last train bar: it takes part, but its returns have no rolling slope to give
    flat["T02"] = 50.0
    flat.iloc[200, 2] = 50.5
    config = config_with(EVERY, "signal.half_life=ignore")
    found, _ = signals_of(flat, config.with_changes("hedge.rolling_window=20"), "rolling_ols")
    assert REFUSALS[found.refusal[0]] == "no hedge ratio"
    assert np.isnan(found.z[0]).all()


def test_the_market_must_be_a_ticker(prices) -> None:
    from pairs_bt.errors import ConfigError

    with pytest.raises(ConfigError, match=r"hedge\.market = 'SPX'"):
        study_of(prices, config_with("hedge.market=SPX"))


def test_formed_space_is_documented_by_its_fields() -> None:
    assert {"levels", "raw", "unit", "scale", "log", "bars_per_year"} == set(Space.__dataclass_fields__)


def test_pairs_by_distance_are_the_nearest_and_the_run_says_that_no_test_decides(prices) -> None:
    from pairs_bt.cli.terminal.console import false_positive_line
    from pairs_bt.models.scan.pair_distance import pair_measures

    config = config_with("selection.method=distance", "selection.max_pairs=3", "comparison.draws=100")
    made = run(config, prices=prices)
    end = made.tests["test_end"].iloc[0]
    window = study_of(prices, config).windows[0]
    by_hand = pair_measures(prices.iloc[window.first : window.split]).nsmallest(3, "distance")
    table = made.tests[made.tests["test_end"] == end]
    taken = table[table["selected"]].nsmallest(3, "distance")
    assert taken[["s1", "s2"]].to_numpy().tolist() == by_hand[["s1", "s2"]].to_numpy().tolist()
    assert taken["distance"].to_numpy() == pytest.approx(by_hand["distance"].to_numpy(), rel=1e-12)
    assert (table.loc[~table["selected"], "reason"] == "max_pairs").all()
    assert "no test decides" in false_positive_line(made)
    correlated = run(config.with_changes("selection.method=correlation"), prices=prices)
    first = correlated.tests[correlated.tests["test_end"] == end]
    assert (
        first.loc[first["selected"], "return_correlation"].min()
        > first.loc[~first["selected"], "return_correlation"].max()
    )


def test_heuristics_are_columns_and_change_no_choice(prices) -> None:
    from pairs_bt.models.scan.pair_distance import MEASURES

    config = config_with("comparison.draws=100")
    plain, wider = run(config, prices=prices), run(config.with_changes("selection.heuristics=true"), prices=prices)
    assert list(wider.tests.columns) == [*plain.tests.columns, *MEASURES]
    pd.testing.assert_frame_equal(plain.tests, wider.tests[plain.tests.columns], check_exact=True)
    pd.testing.assert_frame_equal(plain.trades, wider.trades, check_exact=True)
