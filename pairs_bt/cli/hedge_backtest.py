"""``pairs-bt hedge --backtest``: what each rule's hedge would have done, pair by pair."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import pandas as pd

FILE = "hedge_effectiveness.parquet"


def backtest(prices: Path, out: Path, start: str | None, jobs: int | None) -> None:
    """Measure every ordered pair of `prices`, write the table into `out` and print what it says."""
    import os

    from pairs_bt.common.files import replacing
    from pairs_bt.data.prices import read_prices
    from pairs_bt.engine.hedge_backtest import hedge_backtest
    from pairs_bt.engine.window_parts import to_arrow
    from pairs_bt.errors import ConfigError

    _check(out)
    data = read_prices(prices, start=start)
    table = hedge_backtest(data, jobs=jobs or os.cpu_count() or 1)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with replacing(out / FILE) as stream:
            import pyarrow.parquet as pq

            pq.write_table(to_arrow(table), stream, compression="zstd")
    except OSError as error:
        raise ConfigError(f"{out / FILE} cannot be written: {error}. Give a folder in which you may write.") from None
    click.echo(effectiveness_text(table))
    windows = table["test_end"].nunique()
    pairs = len(table[["test_end", "y", "x"]].drop_duplicates())
    click.echo(f"\n{pairs:,} ordered pairs in {windows:,} windows, in {out / FILE}")


def _check(out: Path) -> None:
    from pairs_bt.common.checkpoints import is_blank
    from pairs_bt.errors import ConfigError
    from pairs_bt.models.online.hedge_matrix_file import STATES

    if out.exists() and not out.is_dir():
        raise ConfigError(f"--out {out} is a file: give the path of a folder.")
    if out.is_dir() and not is_blank(out) and not any((out / name).is_file() for name in (FILE, STATES)):
        raise ConfigError(
            f"--out {out} is not empty, and neither a matrix nor a backtest of hedges has been made there. Give "
            "another folder, or an empty one."
        )


def effectiveness_text(table: pd.DataFrame) -> str:
    """Median and mean effectiveness of every rule by horizon, the best over one bar first."""
    from pairs_bt.common.formatting import in_ascii, number, percent, text_table
    from pairs_bt.models.hedge_effectiveness import HORIZONS, effectiveness_summary

    made = effectiveness_summary(table)
    if made.empty:
        return "No pair has enough bars after a test end to measure a hedge."
    medians_of = made["effectiveness"].unstack("horizon")
    rules = medians_of[1].sort_values(ascending=False, kind="stable").index
    rows = [["", *(f"{h} bars" if h > 1 else "1 bar" for h in HORIZONS), "mean, 1 bar", "helped", "turnover"]]
    for rule in rules:
        first = made.loc[(1, rule)]
        medians = [number(float(medians_of.loc[rule, h]), 3) for h in HORIZONS]
        tail = [number(first["effectiveness_mean"], 3), percent(first["helped"], 0), percent(first["turnover"], 2)]
        rows.append([str(rule), *medians, *tail])
    return (
        "Effectiveness, median over pairs and windows, out of sample: 1 less var(hedged) / var(unhedged)\n\n"
        + in_ascii(text_table(rows))
    )
