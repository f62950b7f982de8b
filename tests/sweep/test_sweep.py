"""The sweep: every setting is a run, nothing is computed twice, nothing is chosen with the future."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import brentq

import pairs_bt
from pairs_bt.backtest.portfolio.returns import net_dollars
from pairs_bt.backtest.windows import add_period
from pairs_bt.cli.commands import cli
from pairs_bt.common.checkpoints import Checkpoints
from pairs_bt.config.schema import Config, Sweep
from pairs_bt.data.prices import check_prices
from pairs_bt.errors import ConfigError, PartialError
from pairs_bt.runner import open_study
from pairs_bt.stats.performance import sharpe
from pairs_bt.sweep import folder, outcomes, shared_stages, sweep
from pairs_bt.sweep.analysis import SweepResult
from pairs_bt.sweep.evidence.plateau import find_plateau
from pairs_bt.sweep.evidence.trial_cost import TrialCost, cost_of_trying, superiority
from pairs_bt.sweep.evidence.verdict import VerdictInputs, sweep_verdict
from pairs_bt.sweep.grid import Parameter, make_grid, parse_options
from pairs_bt.sweep.page import render, why_dashes
from pairs_bt.sweep.walk_forward import choose_settings
from tests.book_filter import BOOK_FILTER

GRID = {"signal.entry": [1.5, 2.0, 2.5], "signal.exit": [0.0, 0.5]}


@pytest.fixture(scope="module")
def config(short_config: Config) -> Config:
    return short_config.with_changes("sweep.minimum_cohorts=2", "sweep.partitions=6", "comparison.block=20")


@pytest.fixture(scope="module")
def swept(config: Config):
    return sweep(config, GRID, jobs=2)


# ------------------------------------------------------------------------------------------------------ the grid


def test_every_combination_becomes_a_setting_and_the_base_is_found() -> None:
    grid = make_grid(Config(), {"signal.entry": [2.5, 1.5, 2], "hedge.reject_negative": [True, False]})
    assert [s.name for s in grid.settings][:3] == [
        "signal.entry=1.5 hedge.reject_negative=true",
        "signal.entry=1.5 hedge.reject_negative=false",
        "signal.entry=2 hedge.reject_negative=true",
    ]
    assert grid.settings[grid.base].config == Config()
    assert grid.settings[0].config.signal.entry == 1.5
    assert [p.ordered for p in grid.parameters] == [True, False]


def test_a_base_off_the_grid_is_traded_too() -> None:
    grid = make_grid(Config(), {"signal.entry": [1.0, 3.0]})
    assert (grid.base, grid.settings[0].number, grid.settings[0].place) == (0, 0, ())
    assert len(grid.settings) == 3


def test_values_are_toml_and_none_leaves_an_optional_key_out() -> None:
    values = parse_options(
        [
            "signal.stop=none,4",
            "selection.two_way=none,bonferroni",
            'hedge.variants=["dynamic"],["averaged","fixed_last"]',
            "filter.hedge.delta=1e-4,1e-3",
            "windows.train=2Y,18M",
        ]
    )
    grid = {p.key: p for p in make_grid(Config(), values).parameters}
    assert grid["signal.stop"].values == (4.0, None)
    assert grid["selection.two_way"].values == ("none", "bonferroni")
    assert grid["hedge.variants"].texts == ("dynamic", "averaged+fixed_last")
    assert grid["windows.train"].values == ("18M", "2Y")
    config = Config.from_dict({"sweep": {"grid": {"signal": {"entry": [1.5, 2.0]}, "signal.exit": [0.5]}}})
    assert len(make_grid(config).settings) == 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["signal.entri=1"], "signal.entri: unknown key; did you mean 'entry'"),
        (["nope.x=1"], "nope: unknown key"),
        (["signal=3"], "a key of a grid is table.key"),
        (["signal.entry"], "not of the form table.key=v1,v2"),
        (["signal.entry=1,,2"], "empty value"),
        (["signal.entry="], "empty value"),
        (["signal.entry=1", "signal.entry=2"], "names signal.entry twice"),
        (["signal.entry=2,2.0"], "same value of signal.entry twice"),
        (["signal.entry=-1"], "signal.entry = -1: input should be greater than 0"),
        (["signal.entry=0.5,2", "signal.exit=0,1"], "signal.entry=0.5 signal.exit=1 of the grid breaks a rule"),
        (["data.path=a.csv"], "all settings share the same prices"),
        (["windows.step=3M,6M"], "needs the same cohorts"),
        (["comparison.draws=100,200"], "changes no return"),
        ([], "The grid is empty"),
    ],
)
def test_a_grid_that_cannot_run_is_a_clear_error(options: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)) as caught:
        make_grid(Config(), parse_options(options))
    assert caught.value.exit_code == 2


def test_more_settings_than_the_limit_ask_for_yes() -> None:
    few = Config.from_dict({"sweep": {"limit": 3}})
    with pytest.raises(ConfigError, match=r"4 settings, more than sweep.limit = 3: give --yes"):
        make_grid(few, {"signal.entry": [1, 2], "signal.exit": [0, 0.5]})
    assert len(make_grid(few, {"signal.entry": [1, 2], "signal.exit": [0, 0.5]}, yes=True).settings) == 4
    # an unknown key is told before the number is
    with pytest.raises(ConfigError, match="unknown key"):
        make_grid(few, {"signal.entri": [1, 2, 3, 4, 5]})


def test_a_limit_that_joins_cohorts_is_refused(config: Config) -> None:
    with pytest.raises(ConfigError, match=r"portfolio.max_gross is set in the setting"):
        sweep(config, {"portfolio.max_gross": [1.0, 2.0]})
    with pytest.raises(ConfigError, match=r"portfolio.netting"):
        sweep(config.with_changes("portfolio.netting=true"), GRID)


# ------------------------------------------------------------------------------------------- every setting is a run


def assert_is_the_run(result, position: int) -> None:
    run = pairs_bt.run(result.grid.settings[position].config, jobs=1)
    got = result.outcomes[position]
    assert list(run.net.columns) == list(got.variants)
    assert_array_equal(run.excess.to_numpy().T, got.net)
    assert_array_equal(run.wide("gross").to_numpy().T, got.gross)
    assert_array_equal(run.net.index.to_numpy(), got.dates)
    common = run.trades["test_end"].isin(got.ends)
    counts = run.trades[common].groupby("variant").size().reindex(list(got.variants), fill_value=0)
    assert_array_equal(counts.to_numpy(), got.trades.sum(axis=1))
    if not run.config.portfolio.compounding:
        shared = run.cohort_returns.loc[pd.DatetimeIndex(got.ends)]
        assert_allclose(shared.to_numpy().T, got.cohort, atol=1e-13)


def test_settings_are_runs_bit_for_bit(swept) -> None:
    for position in (0, swept.grid.base, len(swept.grid.settings) - 1):
        assert_is_the_run(swept, position)


@pytest.mark.parametrize(
    ("base", "grid"),
    [
        ((), {"filter.hedge.delta": [1e-4, 1e-3], "selection.alpha": [0.05, 0.1]}),
        (("portfolio.sizing=volatility",), {"execution.lag": [0, 1], "filter.smooth.transition_cov": [0.05, 0.5]}),
        (("portfolio.cash_rate=0.02",), {"filter.price_space": ["normalised", "log"], "selection.max_pairs": [2, 50]}),
        (("portfolio.compounding=true",), {"windows.train": ["1Y", "2Y"], "execution.borrow_bps": [0.0, 100.0]}),
        ((), {"hedge.variants": [["dynamic"], ["averaged", "fixed_last"]], "signal.time_stop": [2.0, None]}),
    ],
)
def test_settings_of_other_stages_are_runs_too(config: Config, base, grid) -> None:
    result = sweep(config.with_changes(*base), grid, jobs=2)
    for position in range(len(result.grid.settings)):
        assert_is_the_run(result, position)


def test_thresholds_scan_and_filter_once(config: Config, monkeypatch) -> None:
    calls = {"scan_window": [], "pair_paths": []}
    for name, seen in calls.items():
        real = getattr(shared_stages, name)

        def noted(study, window, *rest, real=real, seen=seen):
            seen.append(window)
            return real(study, window, *rest)

        monkeypatch.setattr(shared_stages, name, noted)
    monkeypatch.setattr("pairs_bt.sweep.runner.walk_forward_returns", lambda *a, **k: pd.DataFrame())
    monkeypatch.setattr("pairs_bt.sweep.runner.analyse", lambda *a, **k: None)
    # the filter's key varies fastest, so that settings of one path do not stand together in the grid
    grid = {"signal.exit": [0.0, 0.25, 0.5], "signal.stop": [3.0, None], "filter.hedge.delta": [1e-4, 1e-3]}
    sweep(config, grid, jobs=2)
    assert sorted(calls["scan_window"]) == list(range(12))
    filtered = set(calls["pair_paths"])  # windows with a candidate
    assert len(filtered) > 8
    assert sorted(calls["pair_paths"]) == sorted([*filtered, *filtered])


def test_threads_and_batches_change_nothing(config: Config, swept, monkeypatch) -> None:
    monkeypatch.setattr(outcomes, "BATCH_BYTES", 1)
    other = sweep(config, {key: list(reversed(values)) for key, values in GRID.items()}, jobs=1)
    assert other.verdict == swept.verdict
    pd.testing.assert_frame_equal(other.table, swept.table, check_exact=True)
    pd.testing.assert_frame_equal(other.choices, swept.choices, check_exact=True)
    assert render(other) == render(swept)


# ------------------------------------------------------------------------------------------------- walk-forward


def test_standings_use_the_cohorts_that_had_ended(config: Config) -> None:
    rng = np.random.default_rng(3)
    windows = open_study(config).windows
    daily = [rng.normal(size=(2, w.n_trade)) for w in windows]
    got = outcomes.running_sharpe(daily, windows, 252.0)
    for k, window in enumerate(windows):
        ended = [
            pd.DataFrame(part.T, index=range(w.split, w.stop))
            for part, w in zip(daily, windows, strict=True)
            # the calendar, not positions: the trade period's last day is not after the test end
            if add_period(w.test_end + 1, config.windows.trade) - 1 <= window.test_end
        ]
        if not ended:
            assert_array_equal(got[:, k], 0.0)
            continue
        mean = pd.concat(ended).groupby(level=0).mean()
        assert_allclose(got[:, k], [sharpe(mean[c].to_numpy()) for c in mean], rtol=1e-12)


def test_choices_follow_the_criterion_and_begin_with_the_base(config: Config, swept) -> None:
    windows = open_study(config).windows
    for criterion in ("sharpe", "mean"):
        options = Sweep(criterion=criterion, minimum_cohorts=3)
        for variant in swept.variants:
            made = choose_settings(swept.outcomes, windows, variant, swept.grid.base, options)
            for k, choice in enumerate(made):
                ended = sum(add_period(w.test_end + 1, "6M") - 1 <= choice.end for w in windows)
                assert choice.ended == ended
                assert choice.free == (ended >= 3)
                if not choice.free:
                    assert choice.chosen == swept.grid.base
                    continue
                place = [o.variants.index(variant) for o in swept.outcomes]
                values = [
                    o.score[p, k] if criterion == "sharpe" else o.cohort[p, :ended].mean()
                    for o, p in zip(swept.outcomes, place, strict=True)
                ]
                assert choice.standing == max(values) == values[choice.chosen]


def test_the_honest_curve_is_the_mean_of_the_chosen_cohorts(config: Config, swept) -> None:
    data = check_prices(pairs_bt.runner.open_study(config).prices)
    cases = shared_stages.open_cases([s.config for s in swept.grid.settings], data)
    store = shared_stages.CandidateStore()
    windows = cases[0].study.windows
    slot = config.portfolio.capital / cases[0].study.slots
    numbers = [s.number for s in swept.grid.settings]
    for variant in ("dynamic-rehedged", "averaged"):
        own = swept.choices[swept.choices["variant"] == variant]
        assert own["setting"].nunique() > 1
        total, live = np.zeros(swept.dates.size), np.zeros(swept.dates.size)
        for k, (window, number) in enumerate(zip(windows, own["setting"], strict=True)):
            chosen = numbers.index(number)
            cohort, _ = shared_stages.trade_cohorts([cases[chosen]], window.test_end, store)[0]
            net = net_dollars(cohort.daily[variant]) / slot
            at = slice(window.split - windows[0].split, window.stop - windows[0].split)
            total[at] += net
            live[at] += 1
            assert own["cohort_return"].iloc[k] == pytest.approx(net.sum(), abs=1e-15)
        assert_allclose(swept.walks[variant].walk_forward, total / live, atol=1e-15)


def test_a_choice_of_one_is_the_base_bit_for_bit(config: Config) -> None:
    result = sweep(config.with_changes("portfolio.cash_rate=0.01"), {"signal.entry": [2.0]})
    assert len(result.outcomes) == 1
    for k, variant in enumerate(result.variants):
        assert_array_equal(result.walks[variant].walk_forward, result.outcomes[0].net[k])
        assert_array_equal(result.walks[variant].base, result.outcomes[0].net[k])


@pytest.mark.parametrize("cut", ["2008-11-14", "2009-04-01"])
def test_cutting_the_future_changes_no_choice_and_no_return_before_the_cut(config: Config, swept, cut: str) -> None:
    prices = pairs_bt.runner.open_study(config).prices
    short = sweep(config, GRID, prices=prices.loc[:cut])
    assert len(short.dates) < len(swept.dates)
    for variant in swept.variants:
        before = short.dates.size
        assert_array_equal(short.walks[variant].walk_forward, swept.walks[variant].walk_forward[:before])
        assert_array_equal(short.walks[variant].base, swept.walks[variant].base[:before])
        decided = ["test_end", "ended_cohorts", "free", "setting", "criterion", "base_criterion"]
        ours, theirs = (r.choices[r.choices["variant"] == variant][decided] for r in (short, swept))
        assert len(ours) < len(theirs)
        pd.testing.assert_frame_equal(
            ours.reset_index(drop=True), theirs.head(len(ours)).reset_index(drop=True), check_exact=True
        )
        assert ours["free"].any()


# ------------------------------------------------------------------------------------------------- what trying costs


def noise(days: int, settings: int, seed: int, common: float = 1.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 0.01, (days, settings)) + common * rng.normal(0, 0.01, (days, 1))
    return pd.DataFrame(values, columns=[f"s{k}" for k in range(settings)])


@pytest.mark.parametrize(("seed", "settings", "days", "block"), [(1, 12, 700, 30), (2, 5, 400, 20), (3, 40, 900, 126)])
def test_superiority_equals_arch(seed: int, settings: int, days: int, block: int) -> None:
    from arch.bootstrap import SPA

    returns = noise(days, settings, seed) + np.linspace(-0.002, 0.0008, settings)[::-1]
    for base in ("s0", "s3"):
        others = -returns.drop(columns=base).to_numpy()
        oracle = SPA(-returns[base].to_numpy(), others, block_size=block, reps=300, seed=9)
        oracle.compute()
        got = superiority(returns, base, draws=300, block=block, seed=9)
        assert got == (*(float(oracle.pvalues[k]) for k in ("lower", "consistent", "upper")), "")


def test_superiority_says_why_it_cannot() -> None:
    returns = noise(100, 1, 0).assign(copy=lambda t: t["s0"])
    assert superiority(returns, "s0", draws=10, block=5, seed=1)[3] == "no setting differs from the base"
    assert "fewer than two blocks" in superiority(noise(100, 3, 0), "s0", draws=10, block=60, seed=1)[3]


def test_a_truly_better_setting_stands_and_noise_does_not() -> None:
    options = {"partitions": 8, "draws": 200, "block": 20, "seed": 1}
    real = noise(1500, 20, 5)
    real["s7"] += 0.004
    cost = cost_of_trying(real, "s0", **options)
    assert cost.best == "s7"
    assert cost.deflated > 0.99
    assert cost.pbo == 0.0
    assert cost.superior < 0.01
    luck = [cost_of_trying(noise(800, 20, seed), "s0", **options) for seed in range(8)]
    assert np.mean([c.deflated for c in luck]) < 0.8
    assert 0.3 < np.mean([c.pbo for c in luck]) < 0.75
    assert_allclose(luck[0].correlation, noise(800, 20, 0).corr().to_numpy()[np.triu_indices(20, 1)].mean(), rtol=1e-8)


def test_the_cost_of_trying_equals_skfolio() -> None:
    # skfolio 1.12.2: probabilistic_sharpe_ratio of this series, and its deflated_sharpe_ratio after 40 independent
    # trials whose daily Sharpe ratios vary as linspace(-0.05, 0.09, 40) does (tests/stats/test_performance.py).
    series = np.sin(np.arange(1, 501) ** 2) * 0.01 + 0.0009
    series[::50] -= 0.02
    own = series.mean() / series.std(ddof=1)
    wanted = np.linspace(-0.05, 0.09, 40).var(ddof=1)

    def others(width: float) -> np.ndarray:
        return -0.02 + width * np.linspace(-1.0, 1.0, 39)

    width = brentq(lambda w: np.append(others(w), own).var(ddof=1) - wanted, 0.01, 0.2, xtol=1e-15)
    shapes = np.random.default_rng(0).normal(size=(500, 39))
    shapes = (shapes - shapes.mean(axis=0)) / shapes.std(axis=0, ddof=1)
    returns = pd.DataFrame(shapes + others(width), columns=[f"t{k}" for k in range(39)]).assign(own=series)
    cost = cost_of_trying(returns, None, partitions=4, draws=50, block=20, seed=1)
    assert cost.best == "own"
    assert_allclose(cost.probabilistic, 0.9186807342423117, rtol=1e-10)
    assert_allclose(cost.deflated_all, 0.26165626413577586, rtol=1e-9)
    assert cost.deflated_all <= cost.deflated <= cost.probabilistic


def test_trying_nothing_costs_nothing() -> None:
    options = {"partitions": 8, "draws": 50, "block": 20, "seed": 1}
    idle = cost_of_trying(pd.DataFrame({"a": np.zeros(90), "b": np.zeros(90)}), "a", **options)
    assert math.isnan(idle.sharpe)
    assert idle.reason == "nothing was traded"
    alone = cost_of_trying(noise(90, 1, 2), "s0", **options)
    assert alone.deflated == alone.probabilistic
    assert "nothing was chosen" in alone.reason
    few = cost_of_trying(noise(30, 4, 2), "s0", **options)
    assert math.isnan(few.pbo)
    assert "too few" in few.reason


def sweep_of_walks(seed: int) -> SweepResult:
    rng = np.random.default_rng(seed)
    dates = pd.bdate_range("2010-01-01", "2017-12-29", name="date")
    values = 200.0 + np.cumsum(rng.normal(size=(len(dates), 14)), axis=0)
    prices = pd.DataFrame(values, index=dates, columns=[f"W{k:02d}" for k in range(14)])
    config = Config.from_dict(
        {
            "hedge": {"variants": ["averaged", "fixed_last"]},
            "selection": {"tests": ["engle_granger"], "alpha": 0.1},
            "execution": {"cost_bps": 0.0, "borrow_bps": 0.0},
            "comparison": {"draws": 200},
            "sweep": {"partitions": 10},
        }
    )
    return sweep(config, {"signal.entry": [1.25, 1.5, 2.0, 2.5], "signal.exit": [0.0, 0.5, 1.0]}, prices=prices)


def test_sweeps_over_random_walks_find_nothing() -> None:
    found = [sweep_of_walks(seed) for seed in range(8)]
    assert all(result.table["trades"].min() > 0 for result in found)
    assert all(result.costs["all"].superior > 0.05 for result in found)
    # a rule with a level of 5% errs now and then: twice in eight is where it would be wrong, not unlucky
    called = [result for result in found if result.costs["all"].deflated >= 0.95]
    assert len(called) <= 2
    for result in found:
        assert ("cannot be told from luck" in result.verdict) == (result.costs["all"].deflated < 0.95)


# --------------------------------------------------------------------------------------------- plateau and verdict


def ordered(size: int, key: str = "a.b", *, order: bool = True) -> Parameter:
    return Parameter(key, tuple(range(size)), tuple(map(str, range(size))), order)


def test_a_plateau_by_hand() -> None:
    values = np.array([[0.0, 0.1, 0.0], [0.2, 1.0, 0.6], [0.0, 0.8, 0.0]])
    found = find_plateau(values, (ordered(3), ordered(3)))
    assert (found.best, found.count, found.median) == ((1, 1), 4, 0.1)
    assert found.neighbours == pytest.approx((0.1 + 0.2 + 0.6 + 0.8) / 4)
    assert found.kept == pytest.approx((0.425 - 0.1) / 0.9)
    assert found.shape == "spike"
    values[0, 1] = values[1, 0] = 0.9
    assert find_plateau(values, (ordered(3), ordered(3))).shape == "plateau"
    # words have no neighbours
    assert find_plateau(values, (ordered(3, order=False), ordered(3))).count == 2
    assert find_plateau(np.array([0.3, 0.1]), (ordered(2, order=False),)).shape == ""
    assert find_plateau(np.array([np.nan, np.nan]), (ordered(2),)) is None
    assert find_plateau(np.array([np.nan, 1.0, 0.2]), (ordered(3),)).neighbours == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("values", "kept", "shape"),
    [
        # before: (-0.1 - 0.09) / (0.14 - 0.09) = -380%
        ([-0.1, 0.14, -0.1, 0.09, 0.1, 0.09], 0.0, "spike"),
        # nothing to lose: all settings within 0.1 of the best
        ([0.50, 0.53, 0.49, 0.52, 0.52], 0.0, "plateau"),
        ([0.0, 0.1, 0.7, 1.0, 0.7, 0.2, 0.1], (0.7 - 0.2) / 0.8, "plateau"),
    ],
)
def test_the_advantage_kept_is_a_share(values: list[float], kept: float, shape: str) -> None:
    found = find_plateau(np.array(values), (ordered(len(values)),))
    assert found.kept == pytest.approx(kept, abs=1e-12)
    assert found.shape == shape


def test_the_advantage_kept_is_a_share_on_any_grid() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        shape = tuple(rng.integers(1, 5, size=2))
        values = np.where(rng.random(shape) < 0.1, np.nan, rng.normal(0.0, 0.5, shape))
        found = find_plateau(values, tuple(ordered(size) for size in shape))
        assert found is None or math.isnan(found.kept) or 0.0 <= found.kept <= 1.0


def test_settings_that_change_nothing_are_one_setting_of_the_grid() -> None:
    # The second key changes nothing: its neighbours are the best itself.
    column = np.array([0.0, 1.0, 0.1, 0.2])
    alone = find_plateau(column, (ordered(4),))
    same = np.repeat(np.arange(4)[:, None], 3, axis=1)
    wide = find_plateau(np.repeat(column[:, None], 3, axis=1), (ordered(4), ordered(3)), same)
    assert (wide.count, wide.median, wide.kept, wide.shape) == (alone.count, alone.median, alone.kept, "spike")
    # a step that changes nothing is stepped over
    stepped = find_plateau(np.array([0.2, 1.0, 1.0, 0.4]), (ordered(4),), np.array([0, 1, 1, 3]))
    assert (stepped.count, stepped.neighbours, stepped.median) == (2, pytest.approx(0.3), 0.4)


def test_equal_settings_are_one_trial() -> None:
    options = {"partitions": 8, "draws": 100, "block": 20, "seed": 1}
    once = noise(700, 6, 3)
    three = pd.concat([once.add_suffix(f" d{k}") for k in range(3)], axis=1)
    want, got = cost_of_trying(once, "s0", **options), cost_of_trying(three, "s0 d1", **options)
    assert (got.trials, got.equal, want.equal) == (6, 12, 0)
    for key in ("effective", "deflated", "deflated_all", "expected_maximum", "pbo", "superior"):
        assert getattr(got, key) == getattr(want, key), key
    none = cost_of_trying(three[["s1 d0", "s1 d1", "s1 d2"]], "s1 d2", **options)
    assert (none.trials, none.best) == (1, "s1 d2")
    assert none.deflated == none.probabilistic
    assert none.reason == "all 3 trials are equal: nothing was chosen"


def test_a_key_that_a_variant_does_not_read_is_no_trial(config: Config) -> None:
    only = config.with_changes(*BOOK_FILTER, 'hedge.variants=["ols", "dynamic"]', 'hedge.rehedge=["never"]')
    result = sweep(only, {"filter.hedge.delta": [1e-4, 1e-3, 1e-2], "signal.entry": [1.5, 2.0]})
    assert (result.costs["ols"].trials, result.costs["ols"].equal) == (2, 4)
    assert result.costs["dynamic"].equal == 0
    assert (result.costs["all"].trials, result.costs["all"].equal) == (8, 4)
    assert "6 settings of 2 variants (8 different trials, 4 equal to one of them)" in result.verdict
    assert result.plateaus["ols"].count <= 1
    assert "which change nothing here" in render(result)
    assert result.overfitting()["by_variant"]["ols"]["equal"] == 4


COST = TrialCost(
    trials=40, effective=12.3, correlation=0.7, best="x", sharpe=1.1, expected_maximum=0.6, probabilistic=0.99,
    deflated=0.97, deflated_all=0.9, pbo=0.05, probability_of_loss=0.1, partitions=16, superior=0.01,
    superior_lower=0.01, superior_upper=0.01, reason="",
)  # fmt: skip
INPUTS = VerdictInputs(
    settings=20, variants=2, variant="averaged", setting="signal.entry=1.5", is_base=False, cost=COST, shape="plateau",
    walk_forward=0.4, base=0.1,
)  # fmt: skip


@pytest.mark.parametrize(
    ("cost", "other", "words"),
    [
        ({}, {}, "stands: luck, overfitting and the base are ruled out (deflated Sharpe 0.97, probability of"),
        ({"deflated": 0.9}, {}, "cannot be told from luck: the best of 12 independent trials without skill would show"),
        ({"deflated": 0.2, "effective": 1.2}, {}, "the best of what amounts to one trial without skill"),
        ({"deflated": math.nan}, {}, "cannot be told from luck"),
        ({"pbo": 0.4}, {}, "is more than luck would show, but the rank of settings does not carry over"),
        ({"pbo": math.nan}, {}, "does not carry over"),
        ({}, {"shape": "spike"}, "but it is a spike"),
        ({}, {"is_base": True}, "is the base itself, and more than luck would show"),
        ({"superior": 0.3}, {}, "but is not shown to earn more than the base"),
        ({}, {}, "chosen walk-forward, averaged earned a net Sharpe of 0.40, more than the base's 0.10."),
        ({}, {"walk_forward": -0.05}, "less than the base's"),
        ({}, {"walk_forward": 0.19}, "about as much as the base's"),
        ({}, {"walk_forward": math.nan}, "too few cohorts had ended to choose as time went by."),
        ({"sharpe": math.nan}, {}, "No setting traded, so there is nothing to choose from."),
        ({"trials": 1}, {}, "so nothing was chosen."),
        ({"trials": 1, "equal": 39}, {}, "All of 20 settings of 2 variants came out the same (net Sharpe 1.10)"),
        ({"equal": 4}, {}, "The best of 20 settings of 2 variants (40 different trials, 4 equal to one of them),"),
    ],
)
def test_the_verdict_follows_its_rules(cost: dict, other: dict, words: str) -> None:
    text = sweep_verdict(replace(INPUTS, cost=replace(COST, **cost), **other))
    assert words in text
    assert text.count(". ") == 0
    assert text.endswith(".")


# --------------------------------------------------------------------------------------------------- the folder


def contents(path) -> dict[str, bytes]:
    return {p.relative_to(path).as_posix(): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def stored(config: Config, tmp_path_factory):
    out = tmp_path_factory.mktemp("sweep") / "a"
    return sweep(config, GRID, out=out), out


def test_the_folder_holds_what_the_sweep_found(stored, swept) -> None:
    result, out = stored
    assert set(folder.FILES) | {"manifest.json", "base.json"} == {p.name for p in out.iterdir() if p.is_file()}
    table = pd.read_csv(out / "sweep.csv")
    assert len(table) == 6 * 6
    assert_allclose(table["net_sharpe"], swept.table["net_sharpe"])
    returns = pd.read_parquet(out / "returns.parquet")
    own = returns[(returns["setting"] == "1") & (returns["variant"] == "averaged")]
    k = swept.outcomes[0].variants.index("averaged")
    assert_array_equal(own["net"].to_numpy(), swept.outcomes[0].net[k])
    assert (
        sharpe(own["net"].to_numpy())
        == swept.table.query("setting == 1 and variant == 'averaged'")["net_sharpe"].item()
    )
    honest = returns[(returns["setting"] == "walk-forward") & (returns["variant"] == "averaged")]
    assert_array_equal(honest["net"].to_numpy(), swept.walks["averaged"].walk_forward)
    found = json.loads((out / "overfitting.json").read_text())
    assert found["verdict"] == result.verdict == swept.verdict
    assert found["all"]["trials"] + found["all"]["equal"] == 36
    assert set(found["by_variant"]) == set(swept.variants)
    assert len(pd.read_csv(out / "choices.csv")) == 12 * 6
    again = Config.load(out / "config.toml")
    assert again == result.config


def test_a_sweep_goes_on_where_it_was_stopped_and_makes_the_same_bytes(config, stored, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(outcomes, "BATCH_BYTES", 1)
    steps = []

    class Stopped(Exception):
        pass

    def stop(done: int, total: int) -> None:
        steps.append((done, total))
        if done > total / 2:
            raise Stopped

    with pytest.raises(Stopped):
        sweep(config, GRID, out=tmp_path / "b", progress=stop)
    assert 0 < len(list((tmp_path / "b" / "settings").iterdir())) < 6
    assert not (tmp_path / "b" / "manifest.json").exists()
    told = []
    sweep(config, GRID, out=tmp_path / "b", say=told.append)
    assert re.match(r"[1-5] of 6 settings were finished before", told[0])
    assert contents(tmp_path / "b") == contents(stored[1])


def test_a_damaged_setting_is_traded_again(config, stored, tmp_path) -> None:
    import shutil

    shutil.copytree(stored[1], tmp_path / "c")
    parts = sorted((tmp_path / "c" / "settings").iterdir())
    parts[0].write_bytes(parts[0].read_bytes()[:-40])
    data = bytearray(parts[1].read_bytes())
    data[len(data) // 2] ^= 0xFF
    parts[1].write_bytes(bytes(data))
    told = []
    sweep(config, GRID, out=tmp_path / "c", say=told.append)
    assert told[0].startswith("4 of 6 settings")
    assert contents(tmp_path / "c") == contents(stored[1])


def test_a_grown_grid_trades_only_what_is_new(config, stored, tmp_path) -> None:
    import shutil

    shutil.copytree(stored[1], tmp_path / "d")
    told = []
    # how variants are compared changes no return
    bigger = sweep(config, GRID | {"signal.stop": [4.0, None]}, out=tmp_path / "d", say=told.append)
    assert told == [f"6 of 12 settings were finished before in {tmp_path / 'd'}"]
    assert len(bigger.outcomes) == 12


def test_folders_of_others_are_refused(config, stored, tmp_path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("ten years of work")
    for fresh in (False, True):
        with pytest.raises(ConfigError, match="no sweep has made what is there"):
            sweep(config, GRID, out=tmp_path / "mine", fresh=fresh)
    assert (tmp_path / "mine" / "thesis.txt").exists()
    (tmp_path / "other" / "settings").mkdir(parents=True)
    (tmp_path / "other" / "settings" / "1.part").touch()
    with pytest.raises(ConfigError, match="no sweep has made"):
        sweep(config, GRID, out=tmp_path / "other", fresh=True)
    with pytest.raises(ConfigError, match="is a file"):
        sweep(config, GRID, out=tmp_path / "mine" / "thesis.txt")
    with pytest.raises(ConfigError, match="another config"):
        sweep(config.with_changes("execution.cost_bps=7"), GRID, out=stored[1])


def test_a_full_disk_is_told_and_what_is_finished_stays(config, tmp_path, monkeypatch) -> None:
    real = Checkpoints.write

    def full(self, key, data):
        if len(self.keys()) >= 2:
            raise OSError(28, "No space left on device")
        real(self, key, data)

    monkeypatch.setattr(Checkpoints, "write", full)
    with pytest.raises(PartialError, match="no space is left on the disk"):
        sweep(config, GRID, out=tmp_path / "full")
    assert len(list((tmp_path / "full" / "settings").iterdir())) == 2


# ------------------------------------------------------------------------------------------- page and command line


def test_the_page_is_whole_and_fetches_nothing(swept) -> None:
    page = render(swept)
    assert not re.search(r"""(src|href)=["'](?!#)|url\((?!#)|@import|<script""", page)
    assert page.count("<figcaption>") >= len(swept.variants)
    for words in ("signal.entry", "signal.exit", "dynamic-frozen", "walk-forward", swept.verdict.split("(")[0].strip()):
        assert words in page
    # one figure a variant, one map a variant and pair of keys, marks of the best and the base in each
    assert page.count("<svg viewBox") == len(swept.variants)
    assert page.count("\N{BLACK STAR}") == len(swept.variants) + 1
    assert page.count("\N{WHITE CIRCLE}") == len(swept.variants) + 1


def test_pages_of_odd_grids(config: Config) -> None:
    odd = sweep(config, {"hedge.variants": [["dynamic"], ["averaged"]], "signal.entry": [1.0, 50.0]})
    assert odd.grid.base == 0
    page = render(odd)
    assert "NaN" not in page
    assert "off the grid" in page
    silent = sweep(config, {"signal.entry": [50.0, 60.0]})
    assert silent.outcomes[1].trades.sum() == 0
    render(silent)
    assert [line.partition(": ")[2][:5] for line in why_dashes(silent)] == ["shape"]
    quiet = sweep(config.with_changes("signal.entry=50"), {"signal.entry": [1.5, 2.0]})
    assert "the config itself made no trade, so base is a dash." in " ".join(why_dashes(quiet))
    idle = sweep(config.with_changes("signal.entry=70"), {"signal.entry": [50.0, 60.0]})
    assert idle.verdict == "No setting traded, so there is nothing to choose from."
    assert "No setting traded" in render(idle)
    assert why_dashes(idle)[0].startswith(f"{', '.join(idle.labels.values())}: no setting made a trade.")
    assert "z cannot pass (w - 1) / sqrt(w)" in render(idle)
    three = sweep(config, {"signal.entry": [1.5, 2.0], "signal.exit": [0.0, 0.5], "signal.stop": [4.0, None]})
    assert render(three).count("mean over the rest") == 3


def test_the_command_line(tmp_path) -> None:
    out = tmp_path / "s"
    common = ["--set", "data.end=2008-12-31", "--set", "hedge.variants=['averaged']", "--set", "comparison.draws=100"]
    done = CliRunner().invoke(cli, ["sweep", "--grid", "signal.entry=1.5,2", "--out", str(out), *common])
    assert done.exit_code == 0, done.output
    assert "Best in hindsight" in done.output
    for term in ("walk-forward, base since:", "deflated:", "PBO:", "p over base:", "shape:"):
        assert term in done.output
    assert "\N{MINUS SIGN}" not in done.stdout
    assert str(out / "sweep.html") in done.output
    assert (out / "manifest.json").exists()
    wrong = CliRunner().invoke(cli, ["sweep", "--grid", "signal.entri=1", "--out", str(tmp_path / "t"), *common])
    assert isinstance(wrong.exception, ConfigError)
    assert not (tmp_path / "t").exists()


def test_a_single_value_is_a_list_of_one() -> None:
    one, listed = (make_grid(Config(), {"signal.entry": value}).parameters for value in (2.5, [2.5]))
    assert one == listed
