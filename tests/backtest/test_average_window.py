"""`hedge.average_window`: the mean of the ratio over the last bars of the train window."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pairs_bt.backtest.selection import select_pairs
from pairs_bt.backtest.study import Study, prepare
from pairs_bt.backtest.window_tasks import Candidates, pair_paths, rule_signals
from pairs_bt.config.schema import Config
from pairs_bt.data.prices import check_prices
from pairs_bt.engine.pipeline import orient_pairs, scan_window, serial
from pairs_bt.errors import ConfigError


def prepared(prices: pd.DataFrame, *overrides: str) -> tuple[Study, Candidates]:
    config = Config.from_dict({"selection": {"alpha": 0.3}}).with_changes('hedge.variants=["averaged"]', *overrides)
    study = prepare(config, check_prices(prices))
    scan = scan_window(study, 0, serial)
    return study, orient_pairs(scan, select_pairs(scan, config.selection))


def ratios(study: Study, candidates: Candidates, rule: str = "averaged") -> tuple[np.ndarray, np.ndarray]:
    """Share ratios of the trade bars, and the filter's path over the train window in the same units."""
    size = candidates.y.size
    path = pair_paths(study, 0, candidates, 0, size)
    made = rule_signals(study, 0, path, rule, candidates, 0, size)
    context = study.context(0)
    unit = context.levels.spread[:, 0]
    train = path.beta[:, : context.window.n_train] * (unit[candidates.y] / unit[candidates.x])[:, None]
    return made.share_ratio, train


@pytest.mark.parametrize("window", [1, 20, 250])
def test_the_last_bars_are_averaged_and_held(demo_prices, window) -> None:
    study, candidates = prepared(demo_prices.loc["2005":"2007"], f"hedge.average_window={window}")
    found, train = ratios(study, candidates)
    assert found.shape[0] > 1
    np.testing.assert_allclose(
        found, np.repeat(train[:, -window:].mean(axis=1)[:, None], found.shape[1], 1), rtol=1e-12
    )


def test_by_default_and_with_more_bars_than_there_are_all_that_count_are_averaged(demo_prices) -> None:
    prices = demo_prices.loc["2005":"2007"]
    plain = ratios(*prepared(prices))
    long = ratios(*prepared(prices, "hedge.average_window=9999"))
    np.testing.assert_array_equal(plain[0], long[0])
    burn_in = Config().filter.burn_in
    np.testing.assert_allclose(plain[0][:, 0], plain[1][:, burn_in - 1 :].mean(axis=1), rtol=1e-12)


def test_one_bar_is_the_last_value(demo_prices) -> None:
    study, candidates = prepared(demo_prices.loc["2005":"2007"], "hedge.average_window=1")
    np.testing.assert_array_equal(ratios(study, candidates)[0], ratios(study, candidates, "fixed_last")[0])


def test_the_trade_window_changes_nothing(demo_prices) -> None:
    prices = demo_prices.loc["2005":"2007"]
    study, candidates = prepared(prices, "hedge.average_window=60")
    bent = prices.copy()
    bent.iloc[study.windows[0].split :] *= 1.7
    other, same = prepared(bent, "hedge.average_window=60")
    np.testing.assert_array_equal(candidates.y, same.y)
    np.testing.assert_array_equal(ratios(study, candidates)[0], ratios(other, same)[0])


@pytest.mark.parametrize("value", ["0", "-5", "2.5"])
def test_a_window_of_no_bars_is_refused(value) -> None:
    with pytest.raises(ConfigError, match="average_window"):
        Config().with_changes(f"hedge.average_window={value}")
