"""On independent random walks no hedge rule, noise or z-score earns anything before costs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pairs_bt import Config, run
from pairs_bt.backtest.hedge_rules import HEDGE_RULES

FORMS = {
    "rolling": ["hedge.variants=" + json.dumps(list(HEDGE_RULES)), 'hedge.rehedge=["never","daily"]'],
    "formation": ['hedge.variants=["dollar","one_to_one"]', "signal.z=formation"],
    "innovation": ["signal.z=innovation", "filter.noise=mle_two", "filter.smooth=none"],
    "residual": ['hedge.variants=["dynamic","rolling_ols"]', "filter.intercept=subtract"],
}


@pytest.fixture(scope="module")
def walks() -> pd.DataFrame:
    rng = np.random.default_rng(23)
    dates = pd.bdate_range("2010-01-01", "2012-06-29", name="date")
    values = 300.0 + np.cumsum(rng.normal(size=(len(dates), 600)), axis=0)
    return pd.DataFrame(values, index=dates, columns=[f"W{k:03d}" for k in range(600)])


@pytest.mark.parametrize("form", FORMS)
def test_no_form_of_the_signal_earns_on_independent_walks(walks: pd.DataFrame, form: str, tmp_path: Path) -> None:
    """Pairs share no ticker, so their trades are independent."""
    names = list(walks.columns)
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("y,x\n" + "".join(f"{y},{x}\n" for y, x in zip(names[::2], names[1::2], strict=True)))
    config = Config.from_dict(
        {
            "universe": {"pairs": str(pairs)},
            # every pair is traded, whatever the tests say of it
            "selection": {"method": "distance", "max_pairs": 300},
            "signal": {"half_life": "ignore"},
            "execution": {"cost_bps": 0.0, "borrow_bps": 0.0},
            "comparison": {"draws": 100},
        }
    )
    made = run(config.with_changes(*FORMS[form]), prices=walks)
    for variant in made.variants:
        trades = made.trades[made.trades["variant"] == variant.name]
        # pairs are independent, the trades of one pair in overlapping cohorts are not
        gross = (trades["gross_pnl"] / trades["capital"]).groupby(trades["y"]).sum()
        assert len(gross) > 40, variant.name
        assert abs(gross.mean()) < 3.5 * gross.std() / len(gross) ** 0.5, variant.name
    if form == "rolling":
        # the rebuilt spread claims no more than the shares that follow it earn
        follows = made.trades[made.trades["variant"] == "kalman_changes-rehedged"]
        assert abs(follows["phantom_pnl"].mean()) < 0.2 * follows["gross_pnl"].std() / len(follows) ** 0.5
        assert made.trades.loc[made.trades["variant"] == "dynamic", "phantom_pnl"].mean() > 0
