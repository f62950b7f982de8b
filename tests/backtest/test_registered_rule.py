"""A hedge rule from outside the package: one function and one name, and it is traded like any other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

import pairs_bt
from pairs_bt.backtest.hedge_rules import HEDGE_RULES, FilterPath, hedge_rule, intercept, remove_hedge_rule, variants
from pairs_bt.config.hedge_rule_names import FILTER_RULES, INTERCEPT_RULES, MOVING_RULES
from pairs_bt.config.schema import Config
from pairs_bt.errors import ConfigError

RULES = ("median_beta", "trailing_beta")


def median_beta(path: FilterPath, n_train: int) -> np.ndarray:
    return np.repeat(np.median(path.beta[:, :n_train], axis=1)[:, None], path.beta.shape[1], axis=1)


def trailing_beta(path: FilterPath, n_train: int) -> np.ndarray:
    return pd.DataFrame(path.beta.T).rolling(20, min_periods=1).mean().to_numpy().T


@pytest.fixture
def registered() -> Iterator[None]:
    hedge_rule("median_beta", reads_filter=True)(median_beta)
    hedge_rule("trailing_beta", moves=True)(trailing_beta)
    yield
    for name in RULES:
        remove_hedge_rule(name)


@pytest.fixture
def config(short_config: Config, registered: None) -> Config:
    return short_config.with_changes(
        'hedge.variants=["averaged", "median_beta", "trailing_beta"]', 'hedge.rehedge=["never", "daily"]'
    )


def test_a_rule_from_outside_is_traded_and_compared(config: Config, tmp_path) -> None:
    made = pairs_bt.run(config, out=tmp_path / "run", jobs=1)
    assert list(made.summary["variant"]) == ["averaged", "median_beta", "trailing_beta", "trailing_beta-rehedged"]
    trades = made.trades.groupby("variant", observed=True).size()
    assert (trades[["median_beta", "trailing_beta"]] > 0).all()
    held = made.spreads[made.spreads["variant"] == "median_beta"]
    assert held.groupby(["test_end", "y", "x"], observed=True)["hedge_ratio"].nunique().eq(1).all()
    moving = made.spreads[made.spreads["variant"] == "trailing_beta"]
    assert moving.groupby(["test_end", "y", "x"], observed=True)["hedge_ratio"].nunique().gt(1).all()
    assert "median_beta" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    again = pairs_bt.load_run(tmp_path / "run")
    pd.testing.assert_frame_equal(again.trades, made.trades)


def test_what_was_said_of_a_rule_decides_what_it_may_do(config: Config) -> None:
    assert "trailing_beta" in MOVING_RULES
    assert "median_beta" not in MOVING_RULES
    assert set(FILTER_RULES) == {"dynamic", "fixed_first", "averaged", "fixed_last", "median_beta"}
    assert "median_beta" in INTERCEPT_RULES
    assert "trailing_beta" not in INTERCEPT_RULES
    config.with_changes('hedge.variants=["median_beta"]', "signal.z=innovation")
    with pytest.raises(ConfigError, match=r"cannot be had for hedge.variants \['trailing_beta'\]"):
        config.with_changes('hedge.variants=["trailing_beta"]', "signal.z=innovation")
    assert [v.name for v in variants(config.hedge)][-1] == "trailing_beta-rehedged"


def test_an_intercept_of_ones_own_is_used() -> None:
    hedge_rule("own_line", intercept=lambda path, n_train: path.alpha + 7.0)(median_beta)
    try:
        path = FilterPath(*(np.full((2, 5), value) for value in (1.0, 3.0, 9.0, 8.0)))
        assert (intercept(path, "own_line", 3) == 10.0).all()
    finally:
        remove_hedge_rule("own_line")


def test_names_are_checked(registered: None) -> None:
    with pytest.raises(
        ConfigError, match=r"input should be 'dynamic', .* or 'trailing_beta'; did you mean 'median_beta'"
    ):
        Config.from_dict({"hedge": {"variants": ["medianbeta"]}})
    for taken in ("averaged", "median_beta"):
        with pytest.raises(ValueError, match="is the name of another hedge rule"):
            hedge_rule(taken)(median_beta)
    with pytest.raises(ValueError, match="cannot name"):
        hedge_rule("no-name")(median_beta)
    with pytest.raises(ValueError, match="built in"):
        remove_hedge_rule("averaged")
    assert HEDGE_RULES["averaged"].__name__ == "averaged"


def test_a_rule_that_was_removed_is_unknown() -> None:
    hedge_rule("passing")(median_beta)
    remove_hedge_rule("passing")
    assert "passing" not in HEDGE_RULES
    with pytest.raises(ConfigError, match="input should be"):
        Config.from_dict({"hedge": {"variants": ["passing"]}})


def test_every_built_in_name_has_its_function() -> None:
    from pairs_bt.config.hedge_rule_names import BUILT_IN

    assert set(BUILT_IN) == set(HEDGE_RULES)
