"""One call for many settings gives, bit for bit, what the ledger gives for each of them."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from pairs_bt.backtest.entry_levels import PairLevels
from pairs_bt.backtest.ledger import BLOCK, SettingRules, trade_pairs, trade_settings
from pairs_bt.config.schema import Config
from pairs_bt.kernels.ledger import N_DAILY, REASONS, RULES, TradingRules
from tests.twins import ledger as twin
from tests.twins.ledger_cases import random_case, random_tables, random_z, signal_set

SETTINGS, PAIRS = 7, 150


def many_pairs(seed: int):
    """A random case of more pairs than two blocks, and settings of every option over its signals."""
    case = random_case(seed, portfolio={"sizing": ("hedge_ratio", "dollar_neutral", "volatility")[seed % 3]})
    rng = np.random.default_rng([seed, 1])
    bars = case.signals.z.shape[1]
    pick = rng.integers(len(case.iy), size=PAIRS)
    iy, ix = case.iy[pick], case.ix[pick]
    log_space = case.config.filter.price_space == "log"
    signals = signal_set(
        case.market.prices, iy, ix, case.signals.share_ratio[pick] * rng.uniform(0.8, 1.2, (PAIRS, 1)),
        random_z(rng, PAIRS, bars), rng.uniform(0.0, 20.0, PAIRS), log_space,
    )  # fmt: skip
    if seed % 4 == 0:
        own = [rng.uniform(0.5, 2.0, PAIRS), rng.uniform(-0.4, 0.4, PAIRS)]
        own[0][rng.random(PAIRS) < 0.2] = np.nan
        own += [np.full(PAIRS, np.nan) for _ in fields(PairLevels)[2:]]
        signals = replace(signals, levels=PairLevels(*own))
    base, configs = case.config.to_dict(), []
    while len(configs) < SETTINGS:
        tables = random_tables(rng)
        # settings that share signals share the price space and the hedge's rules; here also the sizing
        tables |= {name: base[name] for name in ("filter", "hedge")}
        neutral = base["portfolio"]["sizing"] == "dollar_neutral"
        if (tables["portfolio"]["sizing"] == "dollar_neutral") == neutral:
            configs.append(Config.from_dict(tables))
    moments = case.moments[pick]
    return case, signals, iy, ix, configs, rng.uniform(1e3, 1e6, SETTINGS), moments


def traded(case, signals, iy, ix, configs, capitals, moments, cuts):
    """What `trade_settings` adds up over calls for parts of the pairs."""
    sums = np.zeros((len(configs), signals.z.shape[1], N_DAILY))
    counts = np.zeros(len(configs), dtype=np.int64)
    rules = SettingRules.join([SettingRules.of(config) for config in configs])
    rows = {f.name for f in fields(signals)} - {"levels"}
    for lo, hi in zip((0, *cuts), (*cuts, len(iy)), strict=True):
        part = replace(signals, **{name: getattr(signals, name)[lo:hi] for name in rows})
        if signals.levels is not None:
            levels = (getattr(signals.levels, f.name)[lo:hi] for f in fields(PairLevels))
            part = replace(part, levels=PairLevels(*levels))
        trade_settings(
            part, case.market, iy[lo:hi], ix[lo:hi], settings=rules, pair_capital=capitals, rehedge=case.rehedge,
            moments=moments[lo:hi], sums=sums, counts=counts,
        )  # fmt: skip
    return sums, counts


@pytest.mark.parametrize("seed", range(24))
def test_many_settings_at_once_are_the_ledger_of_each_bit_for_bit(seed: int) -> None:
    case, signals, iy, ix, configs, capitals, moments = many_pairs(seed)
    want, counts = twin.trade_settings(
        signals, case.market, iy, ix, configs=configs, capitals=capitals, rehedge=case.rehedge, moments=moments,
        trade=trade_pairs,
    )  # fmt: skip
    for cuts in ((), (BLOCK,), (2 * BLOCK,)):
        got, number = traded(case, signals, iy, ix, configs, capitals, moments, cuts)
        np.testing.assert_array_equal(got, want)
        assert not np.signbit(got[got == 0.0]).any()
        np.testing.assert_array_equal(number, counts)


def test_the_cases_reach_every_reason_and_settings_that_differ() -> None:
    reasons, different = set(), 0
    for seed in range(24):
        case, signals, iy, ix, configs, capitals, moments = many_pairs(seed)
        for config, capital in zip(configs, capitals, strict=True):
            book = trade_pairs(
                signals, case.market, iy, ix, config=config, pair_capital=capital, rehedge=case.rehedge,
                moments=moments,
            )  # fmt: skip
            reasons |= set(book.trades["reason"].tolist())
        sums, _ = traded(case, signals, iy, ix, configs, capitals, moments, ())
        different += len({part.tobytes() for part in sums})
    assert reasons == set(range(len(REASONS)))
    assert different > 12 * SETTINGS


def test_a_record_of_rules_has_the_fields_that_the_ledger_reads() -> None:
    assert RULES.names == TradingRules._fields
