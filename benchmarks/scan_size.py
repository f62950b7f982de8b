"""How often the selection's rules accept a pair of independent random walks: their size.

Run ``python benchmarks/scan_size.py [PAIRS] [SEED]`` from the project's folder; it prints the table of docs/audit.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pairs_bt.backtest.selection import ScanColumns, select_pairs
from pairs_bt.config.schema import Selection
from pairs_bt.models import cointegration

BARS = (252, 504, 756)
CHUNK = 2000
_BOOK = {"two_way": "none", "johansen": "book", "var_order": "book"}

# Rule in words, nominal rate, options of `[selection]`.
RULES: tuple[tuple[str, str, Selection], ...] = (
    ("book: smaller Engle-Granger p < .05", "5%", Selection.model_validate({**_BOOK, "tests": ("engle_granger",)})),
    ("book: Johansen, both statistics above", "-", Selection.model_validate({**_BOOK, "tests": ("johansen",)})),
    ("book: both tests", "-", Selection.model_validate({**_BOOK, "combine": "all"})),
    ("book: either test", "-", Selection.model_validate({**_BOOK, "combine": "any"})),
    ("mended: Engle-Granger p doubled", "5%", Selection(tests=("engle_granger",))),
    ("mended: Johansen rank one", "5%", Selection(tests=("johansen",))),
    ("mended: both tests (the default)", "-", Selection()),
    ("mended: either test", "-", Selection(combine="any")),
)


def sizes(pairs: int, bars: int, seed: int) -> list[float]:
    """Share of `pairs` independent pairs that every rule accepts; no two of them share a walk."""
    accepted = np.zeros(len(RULES))
    made = 0
    while made < pairs:
        n = min(CHUNK, pairs - made)
        rng = np.random.default_rng([seed, bars, made])
        walks = 1000.0 + np.cumsum(rng.normal(size=(2 * n, bars)), axis=1)
        i = np.arange(0, 2 * n, 2)
        scans = {order: _scan(walks, i, order) for order in ("book", "theory")}
        for k, (_, _, options) in enumerate(RULES):
            accepted[k] += select_pairs(scans[options.var_order], options).passed.sum()
        made += n
    return list(accepted / pairs)


def _scan(walks: np.ndarray, i: np.ndarray, var_order: str) -> ScanColumns:
    found = cointegration.scan_chunk(cointegration.prepare(walks), i, i + 1, var_order=var_order)
    return ScanColumns(
        i, i + 1, found.eg_stat_12, found.eg_pvalue_12, found.eg_stat_21, found.eg_pvalue_21, found.var_order,
        found.trace0, found.trace1, np.where(found.code == 0, "", "refused").astype(object),
    )  # fmt: skip


def main() -> None:
    """Print the table."""
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    print(
        f"Share of {pairs:,} independent pairs of Gaussian random walks that is accepted (standard error), seed {seed}."
    )
    print("\n| rule | nominal | " + " | ".join(f"{bars} bars" for bars in BARS) + " |")
    print("|---|---|" + "---|" * len(BARS))
    rates = [sizes(pairs, bars, seed) for bars in BARS]
    for k, (name, nominal, _) in enumerate(RULES):
        cells = " | ".join(f"{100 * r[k]:.2f}% ({100 * (r[k] * (1 - r[k]) / pairs) ** 0.5:.2f})" for r in rates)
        print(f"| {name} | {nominal} | {cells} |")


if __name__ == "__main__":
    main()
