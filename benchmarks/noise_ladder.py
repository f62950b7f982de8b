"""The first rungs of the audit's bias ladder on prices that have nothing to do with each other.

    python benchmarks/noise_ladder.py [UNIVERSES]      # default 4, a few seconds each

The demo's prices are replaced by Gaussian walks with the same dates, gaps, first and last prices, as the audit's null
does, so that every mean trade apart from zero is bias, or luck that t understates: it takes trades for independent.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pairs_bt import Config
from pairs_bt.audit.bias_ladder import ladder_configs, run_ladder
from pairs_bt.data.synthetic.surrogates import null_market
from pairs_bt.runner import open_study


def main(universes: int) -> None:
    config = Config.load(None)
    prices = open_study(config).prices
    steps = [rung for rung in ladder_configs(config) if rung.name in ("book", "shares", "side", "unconverged")]
    parts = [
        run_ladder(steps, null_market(prices, "gaussian", seed=(7, 0, number))).assign(universe=number)
        for number in range(universes)
    ]
    table = pd.concat(parts, ignore_index=True)
    text = table.groupby(["rung", "name", "variant"], sort=False).agg(
        trades=("trades", "mean"), mean_trade_bp=("mean_trade_bp", "mean"),
        t_low=("mean_trade_t", "min"), t_high=("mean_trade_t", "max"),
    )  # fmt: skip
    print(f"means over {universes} universes of Gaussian walks; t: least and largest")
    print(text.round({"trades": 0, "mean_trade_bp": 1, "t_low": 1, "t_high": 1}).to_string())


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4)
