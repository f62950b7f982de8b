"""What the terminal shows: a bar while it works, one table at the end, and where to read on."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import pandas as pd

from pairs_bt.backtest.selection import taken_by
from pairs_bt.common.formatting import against_chance, in_ascii, refusal, text_table
from pairs_bt.engine.scan_file import ScanSummary
from pairs_bt.results import Run
from pairs_bt.runs.run_folder import REPORT

MAX_NOTES = 12
# Under so many trades the standard error of a Sharpe ratio is as large as any that one hopes for.
FEW_TRADES = 30


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
    return "-" if math.isnan(value) else f"{number(100 * value, digits)}%"


def number(value: float, digits: int = 2) -> str:
    """A number; a dash where there is none, and no minus before a zero."""
    if math.isnan(value):
        return "-"
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if not text.strip("-0.") else text


# Label, column of the summary, and how to print it; None is an empty line.
_ROWS: tuple[tuple[str, str, Callable[[float], str]] | None, ...] = (
    ("trades", "trades", lambda v: f"{v:.0f}"),
    ("closed at the exit level", "exit_level", lambda v: percent(v, 0)),
    ("  the spread came back", "spread_came_back", lambda v: percent(v, 0)),
    ("  the mean caught up", "mean_caught_up", lambda v: percent(v, 0)),
    ("  the ratio moved", "ratio_moved", lambda v: percent(v, 0)),
    ("mean trade, gross (bp)", "mean_trade_gross_bp", lambda v: number(v, 1)),
    ("mean trade, net (bp)", "mean_trade_net_bp", lambda v: number(v, 1)),
    None,
    ("annual return, gross", "gross_annual_return", percent),
    ("annual return, net", "net_annual_return", percent),
    ("  on employed capital", "net_return_on_employed", percent),
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
    return text_table([head, *rows])


_LEGEND = (
    "closed at the exit level: z crossed it. The three rows below say what moved z most; only the spread earns.\n"
    "on employed capital: net P&L over the capital that was in trades times the years it was there.\n"
    "filled at the signal's close: net Sharpe without the delay of a fill. break-even: the cost that leaves nothing."
)


def legend() -> str:
    """What a person must know to read the table."""
    return _LEGEND


def thin_sample_notes(run: Run) -> list[str]:
    """Which variants have no trades, with the reason, and which have too few to judge; one line a reason."""
    found: dict[str, list[str]] = {}
    for name, label, count in run.summary[["variant", "label", "trades"]].itertuples(index=False):
        if count == 0:
            found.setdefault(f"no trades; {_why_none(run, name)}.", []).append(label)
        elif count < FEW_TRADES:
            some = "trade" if count == 1 else "trades"
            found.setdefault("too few for a Sharpe ratio to mean much.", []).append(f"{label}, {count} {some}")
    return [f"{'; '.join(labels) if 'few' in what else ', '.join(labels)}: {what}" for what, labels in found.items()]


def _why_none(run: Run, variant: str) -> str:
    """The most frequent reason why a variant's candidates were not traded."""
    if not run.windows["selected"].sum():
        return "no pair was selected"
    reasons = run.half_lives.loc[run.half_lives["variant"] == variant, "reason"].astype(str)
    refused = reasons[reasons != ""]
    if len(refused) < len(reasons) / 2 or refused.empty:
        return f"{len(reasons) - len(refused):,} of {len(reasons):,} candidates could trade, and none was opened"
    most = refused.value_counts()
    why = refusal(str(most.index[0]), run.config.signal.entry)
    return f"{most.iloc[0]:,} of {len(reasons):,} candidates: {why}"


def false_positive_line(run: Run) -> str:
    """One line: candidates found, and how many chance alone would give."""
    counts = {str(name): int(count) for name, count in run.windows.sum().items()}
    return chance_words(counts, len(run.windows), taken_by(run.config.selection), run.chance)


def chance_words(counts: Mapping[str, int], windows: int, method: str, chance: Mapping[str, Any]) -> str:
    """The chance line from its numbers: pairs ``tested``, ``passed`` and ``selected``, and the simulated band."""
    tested = counts["tested"]
    if method != "cointegration":
        return (
            f"{counts['selected']:,} pairs taken by {method} out of {tested:,} in {windows} "
            "windows; no test decides, so chance alone would fill every place."
        )
    found = counts["passed"]
    return f"{found:,} candidates in {tested:,} tests of {windows} windows. {against_chance(found, chance)}"


def show_run(run: Run) -> None:
    """The end of a run: table, chance line, verdict, and the report's path."""
    click.echo(f"{headline(run.summary)}\n\n{legend()}\n")
    for line in thin_sample_notes(run):
        click.echo(line)
    if run.config.execution.pnl == "spread":
        click.echo('P&L here is the differenced spread (execution.pnl = "spread"): a claim, not money.')
    click.echo(false_positive_line(run))
    click.echo(in_ascii(run.comparison.verdict))
    if run.folder is not None:
        page = run.folder / REPORT
        click.echo(f"Report: {page}" if page.exists() else f"Folder: {run.folder}")


def next_step(command: str) -> str:
    """What to type after the demo; `command` is how this program was called."""
    known = command if Path(command).name.startswith("pairs-bt") else "pairs-bt"
    return f"Next, with your own prices (CSV, Parquet, Excel or a folder of files): {known} run YOUR_PRICES.csv"


def show_scan(found: ScanSummary, method: str, chance: Mapping[str, Any], out: Path | None) -> None:
    """Candidates by window, what happened to the rest, and what chance alone would give."""
    click.echo("test end    selected  pairs (y/x), best evidence first")
    click.echo("\n".join(found.lines))
    click.echo(f"\n{found.counts['selected']:10,d}  selected")
    rejected = [(reason, count) for reason, count in found.outcomes.most_common() if reason != "selected"]
    if rejected:
        click.echo("\n  rejected  reason")
        click.echo("\n".join(f"{count:10,d}  {reason}" for reason, count in rejected))
    click.echo(f"\n{chance_words(found.counts, len(found.lines), method, chance)}")
    if out is not None:
        click.echo(f"All tested pairs: {out}")
