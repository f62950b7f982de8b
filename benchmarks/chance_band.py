"""How often the chance band holds the count found, on universes in which nothing is related.

    python -m benchmarks.chance_band [--universes 100] [--tickers 20] [--years 8] [--rules default|book|bh]

Families of walks: Gaussian; Student t with 4 degrees of freedom; Gaussian times a volatility that all tickers share
(log-volatility AR(1), 0.98 a day, so that clusters last for months and a wild year is several times a calm one). The
count of a universe must lie in the band that is made from that universe's own prices in about 95 of 100.

    python -m benchmarks.chance_band --overlap

prints how acceptance in one window is correlated with acceptance in another, by the share of bars that they have in
common: what `pairs_bt.backtest.selection_null` holds as SAME_PAIR and SHARED_TICKER.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd

from pairs_bt.backtest import selection_null
from pairs_bt.backtest.selection import accepts
from pairs_bt.backtest.study import Study, prepare
from pairs_bt.backtest.window_tasks import scan_task
from pairs_bt.config.schema import Config
from pairs_bt.data.prices import PriceData
from pairs_bt.data.synthetic.random_walks import business_days, stream

FAMILIES = ("gaussian", "t", "common volatility")
RULES: dict[str, dict[str, object]] = {
    "default": {},
    "engle_granger": {"tests": ["engle_granger"]},
    "book": {"combine": "any", "two_way": "none", "johansen": "book"},
    "bh": {"tests": ["engle_granger"], "multiplicity": "bh", "alpha": 0.2},
}
# Under SeedSequence keys that no other generator of the package uses.
BAND_STREAMS = 90


def walks(family: str, tickers: int, bars: int, seed: int) -> pd.DataFrame:
    """Prices of independent walks, 1.5% a day on average."""
    rng = stream((seed, FAMILIES.index(family)), BAND_STREAMS)
    shocks = rng.standard_t(4, size=(bars, tickers)) / 2**0.5 if family == "t" else rng.normal(size=(bars, tickers))
    if family == "common volatility":
        noise, log_volatility = rng.normal(size=bars), np.zeros(bars)
        for t in range(1, bars):
            log_volatility[t] = 0.98 * log_volatility[t - 1] + 0.14 * noise[t]
        volatility = np.exp(log_volatility)
        shocks *= (volatility / np.sqrt((volatility**2).mean()))[:, None]
    prices = 100.0 * np.exp(np.cumsum(0.015 * shocks, axis=0))
    return pd.DataFrame(prices, business_days("2005-01-03", bars), [f"T{k:03d}" for k in range(tickers)])


def study_of(prices: pd.DataFrame, rules: dict[str, object], seed: int) -> Study:
    """The prices under the default windows and these rules."""
    config = Config.from_dict({"data": {"path": "walks"}, "selection": rules, "run": {"seed": seed}})
    return prepare(config, PriceData(prices, (), {}))


def found_in(study: Study) -> int:
    """Pairs that pass the tests, over all windows."""
    options = study.config.selection
    scans = (scan_task(study, k, 0, study.pair_i.size) for k in range(len(study.windows)))
    return sum(int(accepts(scan, options).sum()) for scan in scans)


def trial(
    family: str, rules: dict[str, object], tickers: int, bars: int, seed: int
) -> tuple[int, selection_null.Chance]:
    """Count found in one universe, and the band made from its prices."""
    study = study_of(walks(family, tickers, bars, seed), rules, seed)
    return found_in(study), selection_null.simulate_chance(study)


def coverage(trials: list[tuple[int, selection_null.Chance]]) -> tuple[float, float, float]:
    """Share of counts below, inside and above their band."""
    below = np.mean([found < band.low for found, band in trials])
    above = np.mean([found > band.high for found, band in trials])
    return float(below), float(1.0 - below - above), float(above)


def overlap(universes: int, bars: int, tickers: int = 20) -> None:
    """Print correlations of acceptance by lag of the windows, from whole universes of Gaussian walks."""
    for name in ("default", "engle_granger", "book"):
        accepted, place = [], np.zeros(0)
        for seed in range(universes):
            study = study_of(walks("gaussian", tickers, bars, seed), RULES[name], seed)
            options = study.config.selection
            scans = [scan_task(study, k, 0, study.pair_i.size) for k in range(len(study.windows))]
            accepted.append([accepts(scan, options) for scan in scans])
            place = np.arange(tickers)
        off = np.array(accepted, dtype=float) - np.mean(accepted)
        touches = (study.pair_i[:, None] == place) | (study.pair_j[:, None] == place)
        degree = off @ touches
        same, shared = [], []
        for lag in range(8):
            pairs = (off[:, : off.shape[1] - lag] * off[:, lag:]).mean(axis=(0, 1)).sum()
            ticker = (degree[:, : off.shape[1] - lag] * degree[:, lag:]).mean(axis=(0, 1)).sum()
            same.append(pairs)
            shared.append(ticker - 2.0 * pairs)
        for what, row in (("same pair", same), ("shared ticker", shared)):
            print(f"{name:14s} {what:14s}", " ".join(f"{value / row[0]:6.2f}" for value in row))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--universes", type=int, default=100)
    parser.add_argument("--tickers", type=int, default=20)
    parser.add_argument("--years", type=int, default=8)
    parser.add_argument("--rules", choices=sorted(RULES), default="default")
    parser.add_argument("--family", choices=FAMILIES, action="append", help="only this family; repeatable")
    parser.add_argument("--overlap", action="store_true")
    asked = parser.parse_args()
    bars = 261 * asked.years
    if asked.overlap:
        print("lag in windows, each 1/8 of the train bars       ", " ".join(f"{lag:6d}" for lag in range(8)))
        overlap(asked.universes, bars, asked.tickers)
        return
    print(f"{asked.universes} universes of {asked.tickers} tickers, {asked.years} years, rules {asked.rules}\n")
    print("walks                mean found  mean expected  mean band        below  inside  above")
    for family in asked.family or FAMILIES:
        trials = [trial(family, RULES[asked.rules], asked.tickers, bars, seed) for seed in range(asked.universes)]
        below, inside, above = coverage(trials)
        found, expected, low, high = (
            np.mean(values)
            for values in zip(*((n, band.expected, band.low, band.high) for n, band in trials), strict=True)
        )
        print(
            f"{family:20s} {found:10.1f}  {expected:13.1f}  {low:6.1f} to {high:6.1f}  {below:6.1%}  {inside:6.1%} "
            f"{above:6.1%}"
        )


if __name__ == "__main__":
    main()
