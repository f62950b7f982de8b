"""What the scan finds in markets of known truth, and what the audit thinks of it.

Markets of planted pairs with one half-life among independent walks. Counted: the share of planted pairs that is found
(power), the share of what is found that was not planted (the realised false discovery rate), and beside it the
audit's own estimate from null universes, which knows nothing of the truth.

Run ``python benchmarks/scan_power.py [MARKETS] [DRAWS] [SEED]`` from the project's folder; it prints the tables of
docs/audit.md.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pairs_bt.backtest.selection import select_pairs
from pairs_bt.backtest.study import Study, prepare
from pairs_bt.config.schema import Config
from pairs_bt.data.prices import PriceData, check_prices
from pairs_bt.data.synthetic.cointegrated_pairs import PlantedPair
from pairs_bt.data.synthetic.market import make_market
from pairs_bt.data.synthetic.surrogates import NullKind, null_market
from pairs_bt.engine.pipeline import scan_window, serial

# Of independent walks: the kind that keeps common factors is in benchmarks/factor_null.py.
KINDS: tuple[NullKind, ...] = ("circular_shift", "block_bootstrap", "gaussian")
HALF_LIVES = (10.0, 20.0, 40.0)
PLANTED, WALKS = 10, 10
RULES = {
    "default": {},
    "Benjamini-Hochberg": {"tests": ("engle_granger",), "multiplicity": "bh"},
    "book": {"combine": "any", "two_way": "none", "johansen": "book", "var_order": "book"},
}


@dataclass
class Tally:
    """Counts of one market under one rule."""

    planted: int
    found: int
    true: int
    expected: dict[str, float]
    low: dict[str, float]
    high: dict[str, float]

    @property
    def false_share(self) -> float:
        """Realised false discovery proportion; 0 where nothing was found."""
        return (self.found - self.true) / self.found if self.found else 0.0


def count(half_life: float, market: int, draws: int, seed: int) -> dict[str, Tally]:
    """Scan one market and its null universes under every rule."""
    made = make_market(
        seed=(seed, int(half_life), market), n_bars=560, n_independent=WALKS, start="2015-01-01",
        pairs=[PlantedPair(half_life=half_life, spread_vol=0.02) for _ in range(PLANTED)],
    )  # fmt: skip
    studies = {
        name: prepare(Config.from_dict({"selection": options, "data": {"end": made.prices.index[-1].date()}}),
                      check_prices(made.prices))
        for name, options in RULES.items()
    }  # fmt: skip
    truth = {frozenset(pair) for pair in zip(made.truth["y"], made.truth["x"], strict=True)}
    null: dict[str, dict[str, list[int]]] = {name: {kind: [] for kind in KINDS} for name in RULES}
    for kind in KINDS:
        for draw in range(draws):
            prices = null_market(made.prices, kind, seed=(seed, market, KINDS.index(kind), draw))
            for name, study in studies.items():
                other = prepare(study.config, PriceData(prices, (), {}))
                null[name][kind].append(len(passing(other)))
    out = {}
    for name, study in studies.items():
        found = passing(study)
        counts = {kind: np.array(values, dtype=float) for kind, values in null[name].items()}
        out[name] = Tally(
            len(truth), len(found), len(found & truth),
            {kind: float(values.mean()) for kind, values in counts.items()},
            {kind: float(np.quantile(values, 0.025)) for kind, values in counts.items()},
            {kind: float(np.quantile(values, 0.975)) for kind, values in counts.items()},
        )  # fmt: skip
    return out


def passing(study: Study) -> set[frozenset[str]]:
    """Pairs that pass the tests in the first window."""
    scan = scan_window(study, 0, serial)
    rows = np.flatnonzero(select_pairs(scan, study.config.selection).passed)
    return {frozenset((study.tickers[i], study.tickers[j])) for i, j in zip(scan.i[rows], scan.j[rows], strict=True)}


def share(values: list[float]) -> str:
    """Mean over markets in per cent, with its standard error."""
    array = 100 * np.asarray(values)
    if array.size < 2:
        return "-"
    return f"{array.mean():.0f}% ({array.std(ddof=1) / np.sqrt(array.size):.0f})"


def estimate(tallies: list[Tally], kind: str) -> str:
    """The audit's estimate, expected over found, averaged over the markets in which something was found."""
    return share([min(1.0, t.expected[kind] / t.found) for t in tallies if t.found])


def inside(tallies: list[Tally], kind: str) -> float:
    """Share of markets whose number of false discoveries lies in the interval of the null universes."""
    return float(np.mean([t.low[kind] <= t.found - t.true <= t.high[kind] for t in tallies]))


def main() -> None:
    """Print the tables."""
    markets = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    draws = int(sys.argv[2]) if len(sys.argv) > 2 else 25
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    pairs = (2 * PLANTED + WALKS) * (2 * PLANTED + WALKS - 1) // 2
    print(
        f"{markets} markets of {PLANTED} planted pairs and {WALKS} walks ({pairs} pairs, one window of 2 years), "
        f"{draws} null universes of each kind a market, seed {seed}. In brackets: standard errors over markets.\n"
    )
    print("| rule | half-life | power | realised FDR | estimate: shifted | blocks | Gaussian | within 95% (blocks) |")
    print("|---|---|---|---|---|---|---|---|")
    tallies = {h: [count(h, market, draws, seed) for market in range(markets)] for h in HALF_LIVES}
    for name in RULES:
        for h in HALF_LIVES:
            own = [tally[name] for tally in tallies[h]]
            cells = [
                share([t.true / t.planted for t in own]), share([t.false_share for t in own if t.found]),
                *(estimate(own, kind) for kind in KINDS), f"{100 * inside(own, 'block_bootstrap'):.0f}%",
            ]  # fmt: skip
            print(f"| {name} | {h:.0f} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
