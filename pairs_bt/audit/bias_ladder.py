"""The bias ladder: from the choices of Jansen's notebook to the user's, one of them mended a rung.

The ladder is a list of config keys. Every rung is a config of its own that `pairs-bt run` accepts, and its numbers
come from that run: there is no second pipeline.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pairs_bt.common.files import write_text
from pairs_bt.config.schema import Config
from pairs_bt.config.writer import to_toml
from pairs_bt.engine.pipeline import Progress
from pairs_bt.results import Run
from pairs_bt.runner import run
from pairs_bt.stats.clustered_mean import trade_t


@dataclass(frozen=True)
class Step:
    """One rung's change.

    Attributes
    ----------
    name : str
        Short; part of the rung's file name.
    what : str
        What is mended, in words.
    book : dict
        The notebook's value of every key (``table.key``) that this rung mends; the user's comes from the user's config.
    """

    name: str
    what: str
    book: dict[str, Any]


STEPS = (
    Step("shares", "P&L of the differenced spread, with its moving beta -> of shares held",
         {"execution.pnl": "spread"}),
    Step("side", "the notebook's side of the trade (inverted) -> the bet on reversion", {"signal.side": "book"}),
    Step("unconverged", "pairs whose last trade has not converged dropped -> closed and counted",
         {"execution.unconverged": "drop"}),
    Step("spread_on", "prices filtered twice, spread of filtered prices -> filtered once, spread of raw prices",
         {"filter.spread_on": "filtered"}),
    Step("universe", "tickers that are complete over the whole sample -> over the train window",
         {"universe.complete_over": "sample"}),
    Step("price_space", "filter noise in dollars -> scale-free", {"filter.price_space": "raw"}),
    Step("start", "the filter starts sure of an intercept near 0, so its ratio is the price quotient -> knows nothing",
         {"filter.start": "given", "filter.burn_in": 1, "filter.intercept": "keep"}),
    Step("noise", "the same filter noise for every pair -> each pair's own, fitted on its train window",
         {"filter.noise": "fixed"}),
    Step("smooth", "the ratio is filtered from smoothed prices -> from prices",
         {"filter.smooth": {"transition_cov": 0.05, "observation_cov": 1.0}}),
    Step("johansen", "Johansen: both statistics above (rank two), lag order of the levels -> rank one, order less one",
         {"selection.johansen": "book", "selection.var_order": "book"}),
    Step("combine", "either test accepts -> both accept", {"selection.combine": "any"}),
    Step("two_way", "the smaller of two p-values as it is -> doubled, because both were looked at",
         {"selection.two_way": "none"}),
    Step("model", "a ratio that moves beside white noise -> beside a spread that reverts",
         {"filter.model": "random_walk"}),
    Step("window", "the z-score's mean and deviation over 2 half-lives, which follow the spread -> over more",
         {"signal.window_half_lives": 2.0}),
    Step("half_life", "no reversion becomes the fastest pair -> is refused", {"signal.half_life": "book"}),
    Step("negative", "negative hedge ratios traded -> refused", {"hedge.reject_negative": False}),
    Step("lag", "filled at the signal's own close -> at a later close", {"execution.lag": 0}),
    Step("costs", "no costs -> costs of every fill", {"execution.cost_bps": 0.0, "execution.spread": 0.0}),
    Step("borrow", "no borrow -> borrow on the short leg", {"execution.borrow_bps": 0.0, "execution.borrow_table": ""}),
    Step("min_pairs", "a lone pair gets the whole slot of its cohort -> a slot is divided by at least so many pairs",
         {"portfolio.min_pairs": 1}),
    Step("multiplicity", "every pair tested alone -> adjusted for the number of pairs tested",
         {"selection.multiplicity": "none"}),
)  # fmt: skip


@dataclass(frozen=True)
class Rung:
    """One config of the ladder.

    Attributes
    ----------
    number : int
        0 for the notebook's choices.
    name, what : str
        What it mends.
    config : Config
        Everything mended so far.
    changed : tuple of str
        The overrides against the rung before, ``table.key=value``.
    """

    number: int
    name: str
    what: str
    config: Config
    changed: tuple[str, ...]

    @property
    def file_name(self) -> str:
        """Name of the rung's config file."""
        return f"{self.number:02d}_{self.name}.toml"


def ladder_configs(config: Config) -> list[Rung]:
    """The ladder of a config, from the notebook's choices on its prices, dates and variants to the config itself.

    Keys that the notebook and the config share make no rung; keys that the ladder does not name (windows, levels,
    filter noise, portfolio) are the config's own from the first rung on.
    """
    user = config.to_dict()
    tables = {name: dict(table) for name, table in user.items()}
    steps = [step for step in STEPS if any(_get(user, key) != value for key, value in step.book.items())]
    for step in steps:
        for key, value in step.book.items():
            _put(tables, key, value)
    out = [Rung(0, "book", "the choices of Jansen's notebook", Config.from_dict(tables), ())]
    for number, step in enumerate(steps, start=1):
        changed = []
        for key in step.book:
            value = _get(user, key)
            if _get(tables, key) != value:
                changed.append(f"{key}={value if isinstance(value, str) else json.dumps(value)}")
            _put(tables, key, value)
        out.append(Rung(number, step.name, step.what, Config.from_dict(tables), tuple(changed)))
    return out


def _get(tables: dict[str, Any], key: str) -> Any:
    table, _, name = key.partition(".")
    return tables[table][name]


def _put(tables: dict[str, Any], key: str, value: Any) -> None:
    table, _, name = key.partition(".")
    tables[table] = tables[table] | {name: value}


def write_rungs(ladder: Sequence[Rung], folder: Path) -> None:
    """Write every rung's config as a file that `pairs-bt run` takes, and remove those of an earlier ladder."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("[0-9][0-9]_*.toml"):
        path.unlink()
    for rung in ladder:
        write_text(folder / rung.file_name, f"# {rung.what}\n\n{to_toml(rung.config)}")


def run_ladder(
    ladder: Sequence[Rung],
    prices: pd.DataFrame,
    *,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Run every rung and lay its numbers out (ladder.csv).

    Parameters
    ----------
    ladder : sequence of Rung
        From :func:`ladder_configs`.
    prices : DataFrame
        The prices that the config names, as checked.
    jobs : int, optional
        Threads of each run.
    progress : callable, optional
        Called with (rungs done, rungs in all).

    Returns
    -------
    DataFrame
        One row a rung and variant: rung, name, what, changed, variant, tested, candidates (pairs that pass the
        tests), selected, trades, mean_trade_bp (net), mean_trade_t (clustered by month of entry and by ticker),
        annual_return, volatility and sharpe (net, on committed capital), pnl ('spread' where the P&L is the
        differenced spread, which nobody earns).
    """
    parts = []
    for done, rung in enumerate(ladder, start=1):
        # Spreads are most of a run's tables and none of its numbers.
        parts.append(_rows(rung, run(rung.config.with_changes('run.spreads="none"'), prices=prices, jobs=jobs)))
        if progress is not None:
            progress(done, len(ladder))
    return pd.concat(parts, ignore_index=True)


def _rows(rung: Rung, made: Run) -> pd.DataFrame:
    counts = made.windows.sum()
    summary, trades = made.summary, made.trades
    return pd.DataFrame(
        {
            "rung": rung.number,
            "name": rung.name,
            "what": rung.what,
            "changed": "; ".join(rung.changed),
            "variant": summary["variant"],
            "tested": int(counts["tested"]),
            "candidates": int(counts["passed"]),
            "selected": int(counts["selected"]),
            "trades": summary["trades"],
            "mean_trade_bp": summary["mean_trade_net_bp"],
            "mean_trade_t": [trade_t(trades[trades["variant"] == name]) for name in summary["variant"]],
            "annual_return": summary["net_annual_return"],
            "volatility": summary["net_volatility"],
            "sharpe": summary["net_sharpe"],
            "pnl": rung.config.execution.pnl,
        }
    )
