"""How often the selection's rules accept a pair of independent random walks: their size.

Run ``python benchmarks/scan_size.py [BATCHES] [SEED]`` from the project's folder; it prints the table of docs/audit.md.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pairs_bt.chance import ChanceRate, chance_rate
from pairs_bt.config import Selection

BARS = (252, 504, 756)
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


def sizes(batches: int, seed: int) -> list[tuple[str, str, list[ChanceRate]]]:
    """The rate of every rule at every train length."""
    return [
        (name, nominal, [chance_rate(options, bars, seed=seed, batches=batches) for bars in BARS])
        for name, nominal, options in RULES
    ]


def main() -> None:
    """Print the table."""
    batches = int(sys.argv[1]) if len(sys.argv) > 1 else 64
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    table = sizes(batches, seed)
    pairs = table[0][2][0].pairs
    print(f"Share of {pairs:,} pairs of independent Gaussian walks that is accepted (standard error), seed {seed}.\n")
    print("| rule | nominal | " + " | ".join(f"{bars} bars" for bars in BARS) + " |")
    print("|---|---|" + "---|" * len(BARS))
    for name, nominal, rates in table:
        cells = " | ".join(f"{100 * r.rate:.2f}% ({100 * r.std_error:.2f})" for r in rates)
        print(f"| {name} | {nominal} | {cells} |")


if __name__ == "__main__":
    main()
