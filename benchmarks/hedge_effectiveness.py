"""Hedge effectiveness of all rules on the demo: ``python -m benchmarks.hedge_effectiveness``."""

from __future__ import annotations

import pairs_bt
from pairs_bt.config.hedge_rule_names import rule_names
from pairs_bt.config.schema import Config
from pairs_bt.models.hedge_effectiveness import effectiveness_summary
from pairs_bt.stats.hedge_effectiveness import NO_HEDGE, effectiveness_differences

OLD = ("filter.model=random_walk", "filter.start=given", "filter.burn_in=1", "filter.noise=fixed")


def main() -> None:
    """Print the summary over one bar and the tests, with the filter as it is and as it was."""
    names = "[" + ", ".join(f'"{name}"' for name in rule_names()) + "]"
    for title, extra in (("as it is", ()), ("as it was", OLD)):
        config = Config.load(None, [f"hedge.variants={names}", 'hedge.rehedge=["never"]', "run.spreads=none", *extra])
        table = pairs_bt.run(config).hedge_effectiveness
        print(f"\nThe filter {title}\n")
        print(effectiveness_summary(table).loc[1].sort_values("pooled", ascending=False).round(3).to_string())
        made = effectiveness_differences(table)
        told = made["second"].eq(NO_HEDGE) | made["first"].isin(("dynamic", "min_variance"))
        print(made[told].round(3).to_string(index=False))


if __name__ == "__main__":
    main()
