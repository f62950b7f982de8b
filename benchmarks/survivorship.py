"""What survivorship is worth: one config on all tickers, on those that lived to the end, and with losses at death.

    python -m benchmarks.survivorship [CONFIG]

Prints one table a question, as docs/survivorship.md shows them. Survivors are the tickers with a price in the last ten
sessions. Four runs of half a million pairs a window: some minutes on two processors.
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd

import pairs_bt
from pairs_bt.backtest.study import load_prices
from pairs_bt.config.reader import builtin
from pairs_bt.config.schema import Config
from pairs_bt.results import Run

LAST_SESSIONS = 10
# Shumway (1997): a listing dropped for bad performance returns about -30% on its last day; 100% is the bound.
LOSSES = (0.3, 1.0)


def survivors(prices: pd.DataFrame) -> list[str]:
    """Tickers with a price in the last ten sessions."""
    return list(prices.columns[prices.tail(LAST_SESSIONS).notna().any()])


def ended_trades(run: Run, dead: list[str]) -> pd.DataFrame:
    """Trades with a leg that died while they were on: the exit reason says so."""
    trades = run.trades
    return trades[(trades["y"].isin(dead) | trades["x"].isin(dead)) & (trades["exit_reason"] == "delisted")]


def row(run: Run, variant: str) -> list[str]:
    """Sharpe ratio with its interval, return and drawdown of one variant."""
    own = run.summary.set_index("variant").loc[variant]
    bounds = run.comparison.intervals.loc[variant]
    return [
        f"{own['trades']:.0f}",
        f"{100 * own['net_annual_return']:.2f}%",
        f"{own['net_sharpe']:.2f}",
        f"{bounds['low']:.2f} to {bounds['high']:.2f}",
        f"{100 * own['net_max_drawdown']:.2f}%",
    ]


def print_table(head: list[str], rows: list[list[str]]) -> None:
    """Print a table in Markdown."""
    for line in (head, ["---"] + ["---:"] * (len(head) - 1), *rows):
        print("| " + " | ".join(line) + " |")
    print()


def main(config: Config) -> None:
    """Run all versions and print the tables."""
    data = load_prices(config)
    alive = survivors(data.prices)
    dead = sorted(set(data.prices.columns) - set(alive))
    runs = {"all": pairs_bt.run(config), "survivors": pairs_bt.run(config, prices=data.prices[alive])}
    for loss in LOSSES:
        changed = config.with_changes(f"execution.delisting_loss={loss}")
        runs[f"all, a dead long leg loses {loss:.0%}"] = pairs_bt.run(changed)
    ends = runs["all"].windows.index
    early = sum(data.prices[name].last_valid_index() <= ends[0] for name in dead)
    print(
        f"{len(data.prices.columns):,} tickers, {len(dead)} dead, {early} of them by the first test end; "
        f"{len(ends)} windows\n"
    )
    print_candidates(runs, dead)
    print_legs(runs["all"], data.prices)
    print_deaths(runs["all"], dead)
    for variant, label in runs["all"].labels.items():
        print(f"{label}\n")
        print_table(
            ["net", "trades", "return a year", "Sharpe", "95% interval", "drawdown"],
            [[name, *row(run, variant)] for name, run in runs.items()],
        )


def print_candidates(runs: dict[str, Run], dead: list[str]) -> None:
    """What the scan found in each run, and how many chosen pairs and trades have a leg that died."""
    rows = []
    for name, run in list(runs.items())[:2]:
        counts = run.windows.sum()
        chosen = run.tests[run.tests["selected"]]
        doomed = int((chosen["y"].isin(dead) | chosen["x"].isin(dead)).sum())
        share = counts["passed"] / counts["tested"]
        rows.append(
            [
                name, f"{counts['tested']:,}", f"{counts['passed']:,}", f"{100 * share:.2f}%",
                f"{100 * run.chance['rate']:.2f}%", f"{counts['selected']:,}", f"{doomed:,}",
                f"{len(ended_trades(run, dead)):,}",
            ]
        )  # fmt: skip
    print_table(
        ["", "tests", "pass", "share", "of walks", "selected", "with a leg that dies", "trades ended by it"], rows
    )


def print_legs(run: Run, prices: pd.DataFrame) -> None:
    """The tickers that most of the selected pairs share, each with its largest fall in a day."""
    chosen = run.tests[run.tests["selected"]]
    legs = pd.concat([chosen["y"], chosen["x"]]).value_counts().sort_index().sort_values(ascending=False, kind="stable")
    falls = prices[legs.index[:5]].pct_change(fill_method=None).min()
    named = ", ".join(f"{name} {legs[name]} ({100 * fall:.0f}%)" for name, fall in falls.items())
    print(f"Of {len(chosen)} selected pairs, those with a leg in (its largest fall in a day): {named}\n")


def print_deaths(run: Run, dead: list[str]) -> None:
    """Trades with a leg that dies some day, beside the others: how many, and what they earned a trade."""
    trades = run.trades
    doomed = trades["y"].isin(dead) | trades["x"].isin(dead)
    rows = []
    for variant, label in run.labels.items():
        own = trades["variant"] == variant
        cells = []
        for part in (trades[own & doomed], trades[own & ~doomed]):
            bp = 1e4 * part["net_pnl"] / part["capital"]
            mean, error = ("-" if np.isnan(v) else f"{v:.0f}" for v in (bp.mean(), bp.sem()))
            cells += [f"{len(part):,}", mean, error, f"{part['net_pnl'].sum():,.0f}"]
        rows.append([label, *cells])
    part = ["trades", "mean net bp", "std. error", "net ($)"]
    print("Trades with a leg that dies before the data end (first four columns), and the others\n")
    print_table(["", *part, *part], rows)


if __name__ == "__main__":
    main(Config.load(sys.argv[1] if len(sys.argv) > 1 else builtin("with_the_dead.toml")))
