"""From windows to a run: the portfolio's returns, the summary, and what chance alone would have selected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from pairs_bt.backtest.hedge_rules import variants
from pairs_bt.backtest.portfolio.limits import limited
from pairs_bt.backtest.portfolio.netting import savings
from pairs_bt.backtest.portfolio.returns import Cohort, portfolio_returns
from pairs_bt.backtest.selection_null import simulate_chance
from pairs_bt.backtest.study import Study
from pairs_bt.runs.run_data import Made, ReturnsTable
from pairs_bt.runs.summary import summarise


def assemble(
    kind: type[Made],
    study: Study,
    cohorts: list[Cohort],
    tables: dict[str, Any],
    *,
    folder: Path | None = None,
    spreads: Callable[[], pd.DataFrame] | None = None,
) -> Made:
    """Make the run of a study's windows.

    Parameters
    ----------
    kind : type
        :class:`pairs_bt.runs.run_data.RunData`, or a face over it.
    study : Study
        Config, prices and windows.
    cohorts : list of Cohort
        Daily dollars, one entry a window.
    tables : dict
        tests, half_lives, hedge_effectiveness, trades and fills: frames, or functions that read them on first use.
        Trades are read, and under `portfolio.netting` fills. Both are at the capital of their cohorts
        (`pairs_bt.backtest.portfolio.returns.compound`).
    folder : Path, optional
        Where the run is stored.
    spreads : callable, optional
        Reads the spreads on first use; None when they are not kept.
    """
    config = study.config
    names = [variant.name for variant in variants(config.hedge)]
    trades = _read(tables["trades"])
    saved = savings(_read(tables["fills"]), config) if config.portfolio.netting else None
    returns = portfolio_returns(study, cohorts, names, saved=saved)
    # Limits and netting are worked out on the trades of one fill lag: there is no other lag to compare with.
    alone = limited(config) or config.portfolio.netting
    delayed = portfolio_returns(study, [] if alone else cohorts, names, delayed=True)
    return kind(
        config=config,
        returns=ReturnsTable(returns),
        summary=summarise(config, returns, trades, delayed, _refused(cohorts, names), study.bars_per_year),
        chance=expected_chance(study),
        source=study.source,
        notes=[note.text for note in study.notes],
        folder=folder,
        bars_per_year=study.bars_per_year,
        counts={
            study.windows[c.k].label: {"pairs": c.pairs, "tested": c.tested, "passed": c.passed, "selected": c.selected}
            for c in cohorts
        },
        _spreads=spreads,
        _prices=lambda: study.prices,
        **(tables | {"trades": trades}),
    )


def _refused(cohorts: list[Cohort], names: list[str]) -> dict[str, int]:
    return {name: sum(int(cohort.refused.get(name, 0)) for cohort in cohorts) for name in names}


def _read(table: pd.DataFrame | Callable[[], pd.DataFrame]) -> pd.DataFrame:
    return table() if callable(table) else table


def expected_chance(study: Study) -> dict[str, Any]:
    """What chance alone would select in a study's windows, as the manifest has it.

    See :class:`pairs_bt.backtest.selection_null.Chance`.
    """
    return asdict(simulate_chance(study))
