"""Fixed entry at 2.0 against levels that each pair finds for itself: on planted pairs, on walks, and on the demo.

Planted pairs are those of benchmarks/planted_truth.py: traded in every window, without a selection, at the demo's
costs and delay. On walks there is nothing to earn. The demo is the built-in run, selection and all.

    python benchmarks/optimal_thresholds.py [--seeds 10] [--pairs 12] [--no-demo]
"""

from __future__ import annotations

import argparse
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.planted_truth import WALKS, run_scenario
from pairs_bt import run
from pairs_bt.config.schema import Config
from pairs_bt.kernels import ornstein_uhlenbeck
from pairs_bt.models.ornstein_uhlenbeck.thresholds import optimal_thresholds

SCENARIOS = (
    "constant, half-life 5", "constant, half-life 15", "constant, half-life 40", "ratio walks slowly", WALKS,
)  # fmt: skip
RULES = ("dynamic", "fixed_last", "ols")
SETTINGS = {
    "2.0": (),
    "optimal": ("signal.entry=optimal",),
    "2.0, stationary z": ("signal.z=stationary",),
    "optimal, stationary z": ("signal.entry=optimal", "signal.z=stationary"),
    "optimal sharpe": ("signal.entry=optimal", "signal.optimal=sharpe"),
}
STEPS = 252


def planted(seeds: int, pairs: int) -> pd.DataFrame:
    """Net Sharpe ratio and trades by scenario, rule and setting."""
    rows = []
    for scenario in SCENARIOS:
        for name, changes in SETTINGS.items():
            found = run_scenario(scenario, changes, seeds=seeds, pairs=pairs, rules=RULES)
            rows += [
                {"scenario": scenario, "rule": rule, "entry": name, "net": found[rule].sharpe(),
                 "gross": found[rule].sharpe("gross"), "t": found[rule].trade_t(),
                 "trades": sum(part.size for part in found[rule].trades)}
                for rule in RULES
            ]  # fmt: skip
    return pd.DataFrame(rows)


def demo() -> pd.DataFrame:
    """Net Sharpe ratio, return and trades of the demo's variants by setting."""
    parts = []
    for name, changes in SETTINGS.items():
        made = run(Config.load(None, [*changes, "run.spreads=none"]))
        entry = made.half_lives.groupby("variant")["entry_z"].median()
        columns = ["variant", "net_sharpe", "net_annual_return", "trades"]
        parts.append(made.summary[columns].assign(entry=name, median_entry=made.summary["variant"].map(entry)))
    return pd.concat(parts, ignore_index=True)


def what_closes_and_a_lag_cost() -> pd.DataFrame:
    """Share of the formula's rate that the ledger's rule earns at closes, and filled at the next; by half-life."""
    rows = []
    for half_life in (1.0, 2.0, 5.0, 10.0, 20.0, 40.0):
        speed = np.log(2.0) / half_life * STEPS
        best = optimal_thresholds(reversion=speed, sigma=0.3, cost=0.002, rule="two_sided")
        rows.append({"half_life": half_life} | {f"lag {lag}": _earned(best, speed, lag) / best.rate for lag in (0, 1)})
    return pd.DataFrame(rows)


def decide(now: np.ndarray, x: np.ndarray, entry: float, leave: float) -> np.ndarray:
    """Sides (1 long, -1 short, 0 none) wanted after a close at ``x``: one decision a close, as in the ledger.

    A close that ends a long trade at the other side's entry begins no short one; the next close may.
    """
    opened = np.where(x <= entry, 1.0, np.where(x >= -entry, -1.0, 0.0))
    return np.where(now == 0.0, opened, np.where(now * x >= leave, 0.0, now))


def _earned(best: object, speed: float, lag: int, *, sigma: float = 0.3, cost: float = 0.002) -> float:
    """Net earnings a year on 400 paths of 60 years, a value a day, both sides traded as the ledger trades them."""
    rng = np.random.default_rng(5)
    phi = np.exp(-speed / STEPS)
    noise = sigma * np.sqrt((1.0 - phi * phi) / (2.0 * speed))
    x = rng.normal(0.0, sigma / np.sqrt(2.0 * speed), 400)
    held = np.zeros(x.size)
    wanted = [held] * (lag + 1)
    earned, years = 0.0, 60
    for _ in range(STEPS * years):
        new = phi * x + rng.normal(0.0, noise, x.size)
        earned += float((held * (new - x)).sum())
        x = new
        wanted = [*wanted[1:], decide(wanted[-1], x, best.entry, best.exit)]  # type: ignore[attr-defined]
        earned -= 0.5 * cost * float(np.abs(wanted[0] - held).sum())
        held = wanted[0]
    return earned / years / x.size


def timing(pairs: int = 20_000) -> pd.DataFrame:
    """Microseconds a pair of the fit over 504 bars and of each rule's levels; the best of five."""
    rng = np.random.default_rng(0)
    values = np.cumsum(rng.normal(size=(2000, 504)), axis=1) * 0.1 + rng.normal(size=(2000, 504))
    fit = np.empty((2000, ornstein_uhlenbeck.N_FIT))
    rows = [{"what": "fit", "us": _best(lambda: ornstein_uhlenbeck.fit_rows(values, 0, 504, fit)) / 2000}]
    given = {"reversion": rng.uniform(5, 200, pairs), "sigma": rng.uniform(0.05, 1, pairs), "cost": 0.002}
    for rule, more in {
        "return": {}, "sharpe": {"rate": 0.01}, "two_sided": {}, "return with a stop": {"stop": 4.0},
    }.items():  # fmt: skip
        name = rule.split()[0]
        rows.append({"what": rule, "us": _best(partial(optimal_thresholds, rule=name, **given, **more)) / pairs})
    return pd.DataFrame(rows)


def _best(work) -> float:  # type: ignore[no-untyped-def]
    """Microseconds of the fastest of five calls after one that compiles."""
    took = []
    for _ in range(6):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return min(took[1:]) * 1e6


def main() -> None:
    """Print the tables of docs/thresholds.md."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--no-demo", action="store_true", help="leave out the demo, which takes the longest")
    asked = parser.parse_args()
    with pd.option_context("display.width", 160, "display.max_rows", None, "display.float_format", "{:.3f}".format):
        print(timing().to_string(index=False), flush=True)
        print(what_closes_and_a_lag_cost().to_string(index=False), flush=True)
        found = planted(asked.seeds, asked.pairs)
        for what in ("net", "t", "trades"):
            print(f"\n{what}, planted")
            wide = found.pivot_table(index=["scenario", "rule"], columns="entry", values=what, sort=False)
            print(wide.to_string(), flush=True)
        if not asked.no_demo:
            print("\ndemo")
            print(demo().to_string(index=False), flush=True)


if __name__ == "__main__":
    main()
