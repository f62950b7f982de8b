"""What the terminal shows: a bar while it works, one table at the end, and where to read on."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
import pandas as pd

from pairs_bt.results import Run
from pairs_bt.scan_writer import ScanSummary

MAX_NOTES = 12


@contextmanager
def progress_bar(unit: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on stderr for a person, silence for a pipe."""
    from tqdm import tqdm

    bar = tqdm(total=0, unit=f" {unit}", disable=not sys.stderr.isatty(), leave=False, file=sys.stderr)

    def advance(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    try:
        yield advance
    finally:
        bar.close()


def show_notes(notes: Sequence[str]) -> None:
    """Notes about the data, on stderr."""
    for text in notes[:MAX_NOTES]:
        click.echo(f"note: {text}", err=True)
    if len(notes) > MAX_NOTES:
        click.echo(f"note: {len(notes) - MAX_NOTES} more; `pairs-bt validate` lists them all", err=True)


def percent(value: float, digits: int = 2) -> str:
    """A fraction as a percentage; a dash where there is none."""
    return "-" if math.isnan(value) else f"{100 * value:.{digits}f}%"


def number(value: float, digits: int = 2) -> str:
    """A number; a dash where there is none."""
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


# Label, column of the summary, and how to print it; None is an empty line.
_ROWS: tuple[tuple[str, str, Callable[[float], str]] | None, ...] = (
    ("trades", "trades", lambda v: f"{v:.0f}"),
    ("converged", "converged", lambda v: percent(v, 0)),
    ("mean trade, gross (bp)", "mean_trade_gross_bp", lambda v: number(v, 1)),
    ("mean trade, net (bp)", "mean_trade_net_bp", lambda v: number(v, 1)),
    None,
    ("annual return, gross", "gross_annual_return", percent),
    ("annual return, net", "net_annual_return", percent),
    ("  on employed capital", "net_employed_annual_return", percent),
    ("cost drag a year", "cost_drag", percent),
    ("volatility", "net_volatility", percent),
    ("Sharpe, gross", "gross_sharpe", number),
    ("Sharpe, net", "net_sharpe", number),
    ("  filled at the signal's close", "delay_0_sharpe", number),
    ("maximum drawdown", "net_max_drawdown", percent),
    ("break-even cost (bp a leg)", "break_even_cost_bps", lambda v: number(v, 1)),
)


def headline(summary: pd.DataFrame) -> str:
    """Lay the summary out as a text table, variants as columns."""
    head = ["", *summary["label"]]
    rows: list[list[str]] = [
        [] if row is None else [row[0], *(row[2](float(v)) for v in summary[row[1]])] for row in _ROWS
    ]
    widths = [max(len(r[c]) for r in [head, *rows] if r) for c in range(len(head))]

    def line(cells: list[str]) -> str:
        first, *rest = cells
        return "  ".join(
            [first.ljust(widths[0]), *(c.rjust(w) for c, w in zip(rest, widths[1:], strict=True))]
        ).rstrip()

    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join([line(head), rule, *(line(r) if r else "" for r in rows)])


def chance_line(run: Run) -> str:
    """One line: candidates found, and how many chance alone would give."""
    counts = run.windows.sum()
    method = run.config.selection.method
    if method != "cointegration":
        return (
            f"{counts['selected']:,} pairs taken by {method} out of {counts['tested']:,} in {len(run.windows)} "
            "windows; no test decides, so chance alone would fill every place."
        )
    expected = run.expected_by_chance
    error = run.chance["std_error"] * float(counts["tested"])
    return (
        f"{counts['passed']:,} candidates in {counts['tested']:,} tests of {len(run.windows)} windows; "
        f"independent random walks would give about {expected:,.0f} (+/- {error:,.0f})."
    )


def show_run(run: Run) -> None:
    """The end of a run: table, chance line, verdict, and the report's path."""
    click.echo(headline(run.summary))
    click.echo()
    if run.config.execution.pnl == "spread":
        click.echo('P&L here is the differenced spread (execution.pnl = "spread"): a claim, not money.')
    click.echo(chance_line(run))
    click.echo(run.comparison.verdict)
    if run.folder is not None:
        page = run.folder / "report.html"
        click.echo(f"Report: {page}" if page.exists() else f"Folder: {run.folder}")


def show_scan(found: ScanSummary, out: Path | None) -> None:
    """Candidates by window, and what happened to the rest."""
    click.echo("\n".join(found.lines))
    click.echo()
    click.echo("\n".join(f"{count:10,d}  {reason}" for reason, count in found.outcomes.most_common()))
    if out is not None:
        click.echo(f"All tested pairs: {out}")
