"""The defaults find planted ratios and keep the money that is there; the widely copied filter does not."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import planted_truth as bench

RULES = ("dynamic", "averaged", "fixed_last", "ols")
DEFAULT = ()


def tallies(scenario: str, setting: tuple[str, ...] = DEFAULT, seeds: int = 3) -> dict[str, bench.Tally]:
    return bench.run_scenario(scenario, setting, seeds=seeds, pairs=8, rules=RULES)


def test_the_last_setting_of_the_benchmark_is_the_default() -> None:
    last = bench.config_of(list(bench.SETTINGS.values())[-1])
    assert last == bench.config_of(DEFAULT)


@pytest.mark.parametrize("half_life", [5, 15])
def test_constant_ratios_are_found_and_the_money_is_kept(half_life) -> None:
    found = tallies(f"constant, half-life {half_life}")
    best = found["oracle"].sharpe()
    assert best > 2.0
    for rule in ("dynamic", "averaged", "fixed_last"):
        median, low, high = found[rule].ratios()
        assert median == pytest.approx(1.0, abs=0.05), rule
        assert 0.8 < low < high < 1.2, rule
        assert found[rule].sharpe() > 0.8 * best, rule
        assert found[rule].refused == 0


def test_the_book_s_filter_finds_the_price_quotient_and_loses_the_money() -> None:
    found = tallies("constant, half-life 15", bench.BOOK)
    for rule in ("dynamic", "averaged", "fixed_last"):
        assert found[rule].ratios()[0] > 1.15, rule
        assert found[rule].sharpe() < 0.4 * found["oracle"].sharpe(), rule
    # least squares sees the same prices and finds the ratio
    assert found["ols"].ratios()[0] == pytest.approx(1.0, abs=0.05)


def test_a_dynamic_ratio_wins_where_the_ratio_moves() -> None:
    found = tallies("ratio walks fast", seeds=4)
    for rule in ("averaged", "fixed_last", "ols"):
        assert found["dynamic"].sharpe() > found[rule].sharpe(), rule


def test_nobody_earns_on_walks() -> None:
    found = tallies(bench.WALKS)
    for rule in RULES:
        assert found[rule].sharpe() < 0.5, rule
        assert not found[rule].trade_t() > 2.0, rule


def test_the_oracle_s_z_is_of_unit_deviation() -> None:
    market = bench.market_of("constant, half-life 15", 0, 6)
    study = bench.prepare(bench.config_of(DEFAULT), bench.check_prices(market.prices, source="planted"))
    scores = np.concatenate([bench.oracle_signals(study, k, market).z.ravel() for k in range(len(study.windows))])
    assert scores.std() == pytest.approx(1.0, abs=0.25)
