"""The first rungs of the audit's bias ladder on prices that have nothing to do with each other.

    python benchmarks/noise_ladder.py [UNIVERSES]             # default 4, a few seconds each
    python benchmarks/noise_ladder.py --size [UNIVERSES]      # default 100

The demo's prices are replaced by Gaussian walks with the same dates, gaps, first and last prices, as the audit's null
does, so that every mean trade apart from zero is bias, or luck. With `--size`: how often the clustered t of held ratios
is within 2.5 on seeded walks without drift and costs, whose mean trade is zero, beside the t that takes trades for
independent.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pairs_bt import Config
from pairs_bt.audit.bias_ladder import ladder_configs, run_ladder
from pairs_bt.data.synthetic.random_walks import random_walks
from pairs_bt.data.synthetic.surrogates import null_market
from pairs_bt.runner import open_study, run
from pairs_bt.stats.clustered_mean import trade_t


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


def noise_t(universes: int, tickers: int = 12, bars: int = 850) -> pd.DataFrame:
    """Clustered and plain t of held ratios on seeded walks: one row a universe and variant."""
    config = Config.from_dict(
        {
            "windows": {"train": "1Y"},
            "selection": {"alpha": 0.3, "combine": "any"},
            "hedge": {"variants": ["fixed_first", "averaged", "fixed_last"]},
            "execution": {"cost_bps": 0.0, "borrow_bps": 0.0},
            "comparison": {"draws": 100},
            "run": {"spreads": "none"},
        }
    )
    parts = []
    for seed in range(universes):
        made = run(config, prices=random_walks(tickers, bars, seed=[57, seed]), jobs=1)
        plain = made.summary.set_index("variant")["mean_trade_net_t"]
        clustered = {name: trade_t(part) for name, part in made.trades.groupby("variant", observed=True)}
        parts.append(pd.DataFrame({"clustered": clustered, "plain": plain, "universe": seed}))
    return pd.concat(parts).rename_axis("variant").reset_index()


def print_size(universes: int) -> None:
    found = noise_t(universes)
    print(f"{universes} universes of 12 walks, 850 bars")
    for variant, part in found.groupby("variant"):
        for kind in ("plain", "clustered"):
            t = part[kind]
            print(f"{variant:12} {kind:10} within 2.5: {(t.abs() <= 2.5).mean():.0%}, deviation of t: {t.std():.2f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--size"]:
        print_size(int(sys.argv[2]) if len(sys.argv) > 2 else 100)
        sys.exit()
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4)
