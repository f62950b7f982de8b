"""Avellaneda and Lee (2010), stocks against the ETF of their sector: the paper's Sharpe ratios beside ours.

    python -m benchmarks.published.avellaneda_lee [CONFIG]

CONFIG is `configs/avellaneda_lee.toml`, or a copy of it that names prices and pairs of your own: the paper has 1,417 US
stocks with fifteen ETFs, 1996 to 2007. The file that travels with the package has two ETFs that stand for a sector and
1.8 years, of another time; what is compared is the method. The paper fills at the close that shows the signal; a close
later is what can be done. Then the same rules on a planted market, in which every residual is the paper's
process and there is nothing else to earn on, and on one in which no residual reverts.
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd

from pairs_bt import Config, run
from pairs_bt.config.reader import builtin

# From the abstract: after costs of 10 basis points in and out.
PAPER = (
    ("ETFs, 1997 to 2007", 1.1),
    ("ETFs with trading volume in the signal, 2003 to 2007", 1.51),
    ("15 principal components, 1997 to 2007", 1.44),
    ("15 principal components, 2003 to 2007", 0.9),
)
STOCKS, BARS = 40, 1500


def sector_market(half_life: float, seed: int) -> pd.DataFrame:
    """One ETF and stocks with a residual of 3% stationary deviation and that half-life; 0: a walk of the same steps."""
    rng = np.random.default_rng(seed)
    sector = 0.01 * rng.normal(size=BARS)
    keep = 0.5 ** (1.0 / half_life) if half_life else 1.0
    steps = 0.03 * np.sqrt(1.0 - (0.5 ** (1.0 / (half_life or 10.0))) ** 2) * rng.normal(size=(STOCKS, BARS))
    away = np.zeros((STOCKS, BARS))
    for t in range(1, BARS):
        away[:, t] = keep * away[:, t - 1] + steps[:, t]
    returns = rng.uniform(0.6, 1.4, size=(STOCKS, 1)) * sector + np.diff(away, axis=1, prepend=0.0)
    values = 50.0 * np.cumprod(1.0 + np.concatenate([returns, sector[None, :]]), axis=1)
    names = [f"S{k:02d}" for k in range(STOCKS)] + ["ETF"]
    return pd.DataFrame(values.T, index=pd.bdate_range("2000-01-03", periods=BARS), columns=names)


def row(config: Config, prices: pd.DataFrame | None = None) -> str:
    """Sharpe ratios and trades of one run."""
    found = run(config.with_changes("comparison.draws=100", "run.spreads=none"), prices=prices).summary.iloc[0]
    return f"{found['gross_sharpe']:.2f} | {found['net_sharpe']:.2f} | {int(found['trades']):,}"


def main() -> None:
    config = Config.load(sys.argv[1] if len(sys.argv) > 1 else builtin("avellaneda_lee.toml"))
    print("| the paper | net Sharpe ratio |\n|---|---|")
    for name, value in PAPER:
        print(f"| {name} | {value} |")
    print("\n| ours | gross Sharpe ratio | net | trades |\n|---|---|---|---|")
    for lag, when in ((0, "at the signal's close"), (1, "a close later")):
        for score in ("centred", "own"):
            made = row(config.with_changes(f"execution.lag={lag}", f"signal.s_score={score}"))
            print(f"| the config's prices, filled {when}, s-score {score} | {made} |", flush=True)
    tables = config.to_dict()
    tables["data"], tables["universe"] = {}, {"pairs": [[f"S{k:02d}", "ETF"] for k in range(STOCKS)]}
    planted = Config.from_dict(tables)
    for half_life, text in ((5.0, "half-life 5 bars"), (10.0, "half-life 10 bars"), (0.0, "walks")):
        prices = sector_market(half_life, 11)
        for lag, when in ((0, "at the signal's close"), (1, "a close later")):
            made = row(planted.with_changes(f"execution.lag={lag}"), prices)
            print(f"| planted, {text}, filled {when} | {made} |", flush=True)


if __name__ == "__main__":
    main()
