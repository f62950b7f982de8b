"""What the Kalman hedge ratio of Jansen's chapter 9 is: the quotient of the two prices, on the demo's candidates.

The copied filter starts at ratio and intercept 0, with a covariance of ones: on prices indexed to 100 that is to be
sure of an intercept near 0, and a line through the origin has the slope y / x. The table sets its ratio beside that of
the defaults, on the same candidates: over the quotient of the prices, over the least squares slope (the relation
that the test accepted), and how often the spread that it makes is stationary in its own train window.

    python benchmarks/price_quotient.py
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pandas as pd

import pairs_bt
from benchmarks.planted_truth import BOOK

RULES = ("fixed_last", "averaged", "ols")


def table() -> pd.DataFrame:
    """One row a filter and rule: quantiles of ratio x / y and of ratio / least squares, share of stationary spreads."""
    parts = []
    for name, setting in (("copied filter", BOOK), ("default filter", ())):
        rules = f"hedge.variants={list(RULES)}".replace("'", '"')
        config = pairs_bt.Config.load().with_changes(*setting, rules, 'hedge.rehedge=["never"]', "run.spreads=none")
        held = pairs_bt.run(config).held
        if setting:
            held = held.drop(index="ols")
        parts.append(held.assign(filter=name).set_index("filter", append=True).swaplevel())
    return pd.concat(parts)


def text(found: pd.DataFrame) -> str:
    """The table as it is printed."""
    lines = [
        f"{int(found['pairs'].iloc[0])} candidates of the demo; 5%, 50% and 95% of pairs",
        "",
        f"{'':28}{'ratio times x / y':>22}{'ratio / least squares':>26}{'spread stationary':>20}",
    ]
    for (name, rule), row in found.iterrows():
        one = f"{row['quotient_low']:.2f} {row['quotient']:.2f} {row['quotient_high']:.2f}"
        two = f"{row['ols_low']:.2f} {row['ols']:.2f} {row['ols_high']:.2f}"
        lines.append(f"{name:16}{rule:12}{one:>22}{two:>26}{row['stationary']:>20.0%}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(text(table()))
