"""``pairs-bt hedge``: the matrix of hedge ratios, overnight and in the morning."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from pairs_bt.data.prices import PriceData
    from pairs_bt.models.online.hedge_matrix import HedgeMatrix

_MOST_NOTES = 10


@dataclass(frozen=True)
class Wanted:
    """The orders that are asked for."""

    positions: Path
    instruments: tuple[str, ...]
    lot: float
    smallest: float
    best_over: int

    def orders(self, matrix: HedgeMatrix) -> pd.DataFrame:
        """Make them; an option outside its range is a mistake of the command."""
        from pairs_bt.data.positions import positions_from_csv
        from pairs_bt.errors import ConfigError

        try:
            return matrix.orders(
                positions_from_csv(self.positions), instrument=self.instruments, lot=self.lot,
                smallest=self.smallest, best_over=self.best_over,
            )  # fmt: skip
        except ValueError as error:
            raise ConfigError(f"An option cannot be used: {error}.") from None


def _variance(_: click.Context, __: click.Parameter, value: str | None) -> float | str | None:
    """Take a number, or the word auto."""
    if value is None or value == "auto":
        return value
    try:
        return float(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is neither a number nor auto.") from None


@click.command(short_help="Hedge ratios of every y on every x, kept current bar by bar.")
@click.argument("prices", type=click.Path(path_type=Path), required=False)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the matrix.")
@click.option("--update", type=click.Path(path_type=Path), help="New bars: move the matrix in --out by them.")
@click.option("--backtest", type=click.Path(path_type=Path), help="Measure how well every rule hedges these prices.")
@click.option("--space", type=click.Choice(["levels", "log", "changes"]), help="What is regressed.  [default: levels]")
@click.option("--start", metavar="DATE", help="First day of the prices to use (YYYY-MM-DD).")
@click.option(
    "--init-cov",
    callback=_variance,
    metavar="NUMBER|auto",
    help="Variance of ratio and intercept before the first bar.",
)
@click.option(
    "--trans-cov",
    callback=_variance,
    metavar="NUMBER|auto",
    help="Variance of their step from bar to bar.  [default: auto]",
)
@click.option(
    "--obs-cov", callback=_variance, metavar="NUMBER|auto", help="Variance of the error, in squared units of y."
)
@click.option("--window", type=int, help="Bars of the spread's z-score and half-life.  [default: 252]")
@click.option("--positions", type=click.Path(path_type=Path), help="Inventory (ticker, shares): write orders.csv.")
@click.option("--instrument", multiple=True, metavar="TICKER", help="What hedges it; of several, the best for each.")
@click.option("--lot", type=float, default=1.0, show_default=True, help="Shares of a lot; 0 for fractions.")
@click.option("--smallest", type=float, default=0.0, help="Dollars below which no order is made.  [default: 0]")
@click.option("--best-over", type=int, default=63, show_default=True, help="Bars by which the best is chosen.")
@click.option("--jobs", type=click.IntRange(min=1), help="Threads.  [default: all processors]")
@click.option("--fresh", is_flag=True, help="Let PRICES replace a matrix that is newer than they are, or damaged.")
def hedge(
    prices: Path | None,
    out: Path,
    update: Path | None,
    backtest: Path | None,
    start: str | None,
    jobs: int | None,
    fresh: bool,
    positions: Path | None,
    instrument: tuple[str, ...],
    lot: float,
    smallest: float,
    best_over: int,
    **options: Any,
) -> None:
    """Filter a hedge ratio for every ordered pair of PRICES into the folder --out, or move it by new bars.

    Overnight:  pairs-bt hedge PRICES --out matrix/

    In the morning:  pairs-bt hedge --update TODAY.csv --out matrix/

    And what to trade:  pairs-bt hedge --update TODAY.csv --positions inventory.csv --instrument SPY --out matrix/

    Which ratio hedges:  pairs-bt hedge --backtest PRICES --out effectiveness/

    With neither PRICES nor --update the tables are made again from the states in the folder. PRICES and TODAY are
    a file or folder in any shape that `pairs-bt run` takes (docs/data.md).

    --trans-cov auto takes for each pair the step variance, of a grid, that has predicted its bars best so far, and
    fits the variance of the error with it. Beside a number --init-cov and --obs-cov are 1 unless given. With all
    three at 1, the values of the streaming model and the defaults of 0.1.0, most ratios are close to the quotient of
    the last two prices. Numbers to start from:

    \b
      levels   --trans-cov 1e-6
      log      --trans-cov 1e-6 --obs-cov 1e-3
      changes  --trans-cov 1e-4 --obs-cov 1e-4
    """  # noqa: D301  # click takes \b for "do not wrap"
    from pairs_bt.common.lock import taken
    from pairs_bt.errors import ConfigError

    wanted = None
    if positions is not None:
        wanted = Wanted(positions, instrument, lot, smallest, best_over)
    elif instrument:
        raise ConfigError("--instrument says what hedges the inventory: name that with --positions, too.")
    given = {name: value for name, value in options.items() if value is not None}
    if backtest is not None:
        if prices is not None or update is not None or fresh or given or wanted:
            raise ConfigError(
                "--backtest measures the rules of a run over its own windows and takes only --out, --start and --jobs "
                "beside it. Leave the other arguments out."
            )
        from pairs_bt.cli.hedge_backtest import backtest as measure

        measure(backtest, out, start, jobs)
        return
    if prices is not None and update is not None:
        raise ConfigError(
            f"Both PRICES ({prices}) and --update ({update}) are given. Pass PRICES to make the matrix, --update to "
            "move the one that --out holds."
        )
    if prices is None and fresh:
        raise ConfigError("--fresh is for a matrix that is made from PRICES: give those too, or leave it out.")
    if prices is None and given:
        raise ConfigError(
            f"--{', --'.join(name.replace('_', '-') for name in given)} can only be chosen when the matrix is made; "
            f"the one in {out} keeps its own. Leave the option out, or pass PRICES to make the matrix again."
        )
    if prices is not None:
        _check_folder(out)
        matrix, notes = _fit(prices, start, jobs, given)
        if not fresh:
            _check_newer(matrix, out)
        with taken(out):
            _keep(matrix, out, notes, wanted=wanted)
    else:
        _existing(out)
        with taken(out):
            _move(out, update, start, jobs, wanted)


def _check_folder(out: Path) -> None:
    """Refuse a folder in which something else lies than a matrix."""
    from pairs_bt.common.checkpoints import is_blank
    from pairs_bt.errors import ConfigError
    from pairs_bt.models.online.hedge_matrix_file import STATES

    if out.is_dir() and not (out / STATES).is_file() and not is_blank(out):
        raise ConfigError(
            f"--out {out} is not empty, and no matrix has been made there. Give another folder, or an empty one."
        )


def _check_newer(matrix: HedgeMatrix, out: Path) -> None:
    """Refuse to go back in time, and to replace what cannot be read."""
    from pairs_bt.errors import ConfigError, DataError
    from pairs_bt.models.online.hedge_matrix_file import STATES, read_state

    if not (out / STATES).is_file():
        return
    try:
        last = read_state(out).days[-1]
    except DataError as error:
        raise ConfigError(f"{error} (--fresh replaces it.)") from None
    if last > matrix.state.days[-1]:
        raise ConfigError(
            f"The matrix in {out} has bars to {last}, PRICES end on {matrix.state.days[-1]}: making it again would "
            "lose what came since. Pass newer prices, another folder, or --fresh to replace it."
        )


def _existing(out: Path) -> None:
    # before the lock, which would make the folder
    from pairs_bt.models.online.hedge_matrix_file import STATES, read_state

    if not (out / STATES).is_file():
        read_state(out)


def _fit(prices: Path, start: str | None, jobs: int | None, options: dict[str, Any]) -> tuple[HedgeMatrix, list[str]]:
    from pairs_bt.data.prices import read_prices
    from pairs_bt.errors import ConfigError
    from pairs_bt.models.online.hedge_matrix import HedgeMatrix

    data = read_prices(prices, start=start)
    try:
        return HedgeMatrix.fit(data, jobs=jobs, **options), _price_notes(data)
    except ValueError as error:
        raise ConfigError(f"An option cannot be used: {error}.") from None


def _move(out: Path, update: Path | None, start: str | None, jobs: int | None, wanted: Wanted | None) -> None:
    from copy import copy

    from pairs_bt.data.prices import read_prices
    from pairs_bt.models.online.hedge_matrix import HedgeMatrix
    from pairs_bt.report.hedge_matrix import tables_are_current, write_tables
    from pairs_bt.report.orders import drop_orders

    matrix = HedgeMatrix.load(out)
    if update is None:
        if wanted:
            _keep(matrix, out, [], wanted=wanted)
            return
        drop_orders(out)
        write_tables(matrix, out)
        click.echo(f"tables of {matrix.last_bar} written again in {out}")
        return
    if not tables_are_current(matrix, out):
        # the last update was killed after its state was kept and before its tables were
        write_tables(matrix, out)
    data = read_prices(update, start=start)
    earlier = copy(matrix)
    report = matrix.update(data, jobs=jobs)
    _keep(matrix, out, [*report.lines, *_price_notes(data, new=True)], since=earlier, wanted=wanted)


def _keep(
    matrix: HedgeMatrix,
    out: Path,
    notes: Sequence[str],
    since: HedgeMatrix | None = None,
    wanted: Wanted | None = None,
) -> None:
    from pairs_bt.report.hedge_matrix import PAGE, PAIRS, RATIOS, write_tables
    from pairs_bt.report.orders import drop_orders, order_lines, orders_section, write_orders

    # before anything is written: an inventory that cannot be used leaves all as it was
    orders = wanted.orders(matrix) if wanted else None
    drop_orders(out)
    matrix.save(out)
    section = None if orders is None else orders_section(orders, matrix.last_bar)
    write_tables(matrix, out, since=since, notes=notes, orders=section)
    if orders is not None:
        write_orders(orders, out)
        notes = [*notes, *order_lines(orders)]
    for note in notes:
        click.echo(f"note: {note}", err=True)
    if section is not None:
        click.echo(section.text)
    k = len(matrix.tickers)
    click.echo(f"{k:,} tickers, {k * (k - 1):,} hedge ratios, {matrix.state.bars:,} bars to {matrix.last_bar}.")
    click.echo(f"Page: {out / PAGE}")
    click.echo(f"Tables: {out / RATIOS} (the ratios, y down and x across), {out / PAIRS} (everything of every pair)")


def _price_notes(data: PriceData, *, new: bool = False) -> list[str]:
    # a few new rows are too few to call a ticker stale, constant or short
    notes = [note for note in data.notes if not new or note.kind == "repaired" or not note.ticker]
    # what --start leaves out was asked for in this very command
    notes = [note for note in notes if note.rule != "start"]
    lines = [note.text for note in notes]
    if len(lines) > _MOST_NOTES:
        lines[_MOST_NOTES:] = [f"and {len(lines) - _MOST_NOTES} more notes on the prices"]
    return lines
