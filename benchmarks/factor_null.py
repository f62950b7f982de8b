"""Whether the p-values of each kind of null universe are uniform on markets whose names share a factor.

Markets of one factor without any pair, seeded, each with null universes of every kind; counted are the pairs that
Engle-Granger accepts (two-way, at 10%). Where the real market is a draw of the null its p-value is uniform
(Kolmogorov-Smirnov); the null that independent walks make is too narrow, so that its p-values lie at both ends. Then
markets with planted pairs: the share of them in which the count, here at 1%, stands out at 5% (power).

Run ``python benchmarks/factor_null.py [MARKETS] [DRAWS]`` from the project's folder; it prints the table of
docs/audit.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pairs_bt.audit.null_draws import KINDS
from pairs_bt.audit.null_evidence import p_value
from pairs_bt.data.synthetic.cointegrated_pairs import PlantedPair
from pairs_bt.data.synthetic.market import make_market
from pairs_bt.data.synthetic.surrogates import NullKind, null_market
from pairs_bt.models import cointegration
from pairs_bt.models.factors import common_returns

MARKETS_OF = {
    "one factor, 90% of the variance": {"factor_share": 0.9},
    "the same in calm and wild times": {"factor_share": 0.9, "clustering": 0.5},
}
TICKERS, BARS, PLANTED = 20, 504, 6


def accepted(prices: pd.DataFrame, level: float = 0.1) -> int:
    """Pairs that Engle-Granger accepts, the smaller of the two p-values doubled."""
    i, j = np.triu_indices(prices.shape[1], 1)
    inputs = cointegration.prepare(np.ascontiguousarray(prices.to_numpy().T))
    found = cointegration.scan_chunk(inputs, i, j, var_order="theory")
    return int((2 * np.minimum(found.eg_pvalue_12, found.eg_pvalue_21) < level).sum())


def null_counts(prices: pd.DataFrame, kind: NullKind, draws: int, seed: int, level: float = 0.1) -> list[int]:
    """The same count in null universes of a kind."""
    parts = common_returns(prices, [(0, len(prices))])[0] if kind == "factor" else None
    return [accepted(null_market(prices, kind, seed=(seed, draw), parts=parts), level) for draw in range(draws)]


def spread_p_value(real: float, null: list[int], rng: np.random.Generator) -> float:
    """p-value with ties broken at random and spread within its step: uniform where the real value is a null draw."""
    values = np.asarray(null)
    return float(((values > real).sum() + rng.uniform() * ((values == real).sum() + 1)) / (values.size + 1))


def pairless(
    markets: int, draws: int, kinds: tuple[NullKind, ...], *, tickers: int = TICKERS, bars: int = BARS, **options: float
) -> dict[NullKind, np.ndarray]:
    """p-values of seeded markets without pairs, by kind."""
    rng = np.random.default_rng(0)
    out: dict[NullKind, list[float]] = {kind: [] for kind in kinds}
    for seed in range(markets):
        prices = make_market(seed=(57, seed), n_bars=bars, n_independent=tickers, pairs=[], **options).prices
        real = accepted(prices)
        for kind in kinds:
            out[kind].append(spread_p_value(real, null_counts(prices, kind, draws, seed), rng))
    return {kind: np.array(values) for kind, values in out.items()}


def power(markets: int, draws: int, kinds: tuple[NullKind, ...]) -> dict[NullKind, float]:
    """Share of seeded markets with planted pairs whose count stands out at 5%, by kind."""
    out = dict.fromkeys(kinds, 0)
    pairs = [PlantedPair(half_life=6.0, spread_vol=0.02) for _ in range(PLANTED)]
    for seed in range(markets):
        made = make_market(seed=(58, seed), n_bars=BARS, n_independent=2, pairs=pairs, factor_share=0.6)
        real = accepted(made.prices, 0.01)
        for kind in kinds:
            out[kind] += p_value(real, null_counts(made.prices, kind, draws, seed, 0.01), "high") <= 0.05
    return {kind: count / markets for kind, count in out.items()}


def main() -> None:
    """Print the table."""
    from scipy.stats import kstest

    markets = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    draws = int(sys.argv[2]) if len(sys.argv) > 2 else 19
    print("| market | " + " | ".join(KINDS) + " |\n|---|" + "---|" * len(KINDS))
    for name, options in MARKETS_OF.items():
        found = pairless(markets, draws, KINDS, **options)
        for head, cell in (
            ("KS p", lambda p: f"{kstest(p, 'uniform').pvalue:.4f}"),
            ("p-values below 5%, above 95%", lambda p: f"{np.mean(p < 0.05):.0%}, {np.mean(p > 0.95):.0%}"),
        ):
            print(f"| {name}: {head} | " + " | ".join(cell(found[kind]) for kind in KINDS) + " |", flush=True)
    shares = power(markets // 2, draws, KINDS)
    print(f"| {PLANTED} planted pairs: power | " + " | ".join(f"{shares[kind]:.0%}" for kind in KINDS) + " |")


if __name__ == "__main__":
    main()
