"""Figures of the portfolio through time: equity, drawdown, rolling Sharpe ratio, cohorts, intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pairs_bt.common.formatting import percent
from pairs_bt.errors import DataError
from pairs_bt.report.palette import GAIN, LOSS, MUTED, variant_color
from pairs_bt.report.plots import canvas, look
from pairs_bt.stats.bar_frequency import unit_of
from pairs_bt.stats.performance import drawdown, equity, rolling_sharpe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pairs_bt.runs.run_data import RunData


#: Columns of the returns that can be drawn as a curve.
CURVES = ("net", "gross", "net_employed", "gross_employed")


def claim(run: RunData) -> str:
    """What a title adds when the P&L of a run is the differenced spread."""
    return " (a claim: differenced spreads)" if run.config.execution.pnl == "spread" else ""


@canvas.styled
def plot_equity(run: RunData, column: str = "net") -> Figure:
    """Growth of 1 and drawdown of every variant, on committed capital or fully invested.

    Parameters
    ----------
    run : Run
        A finished run.
    column : str
        ``'net'``, ``'gross'``, ``'net_employed'`` or ``'gross_employed'``; or the name of a variant, as the tables
        print it, whose net curve is then drawn alone.

    Raises
    ------
    DataError
        A name that is neither.
    """
    only = _variant_named(run, column)
    wide = run.wide("net")[[only]] if only else run.wide(column)
    column = "net" if only else column
    if not wide.to_numpy().any():
        return canvas.nothing("No trade was made: nothing grew or fell.")
    places = [list(run.labels).index(name) for name in wide.columns]
    labels = [run.labels[name] for name in wide.columns]
    what = f"{column.removesuffix('_employed')}, fully invested" if "_" in column else f"{column} on committed capital"
    figure, (top, bottom) = canvas.panels(
        [f"Growth of 1, {what}{claim(run)}", "Drawdown"],
        [230, 110],
        share_x=True,
        legend=canvas.legend_rows(labels),
    )
    dates = wide.index.to_numpy()
    handles = []
    for number, name in zip(places, wide.columns, strict=True):
        values = wide[name].to_numpy()
        for axis, series in ((top, equity(values)), (bottom, drawdown(values))):
            at = canvas.downsample(np.asarray(series))
            handle = canvas.line(axis, dates[at], np.asarray(series)[at], number)
            if axis is top:
                handles.append(handle)
    canvas.zero_line(top, 1.0)
    canvas.percent_axis(bottom)
    canvas.date_axis(bottom)
    canvas.legend(figure, handles, labels)
    return figure


def _variant_named(run: RunData, name: str) -> str:
    """Key of the variant that is called so, '' for a column of the returns; an error that lists both otherwise."""
    if name in CURVES:
        return ""
    for key, label in run.labels.items():
        if name in (key, label):
            return key
    raise DataError(
        f"{name!r} is neither a variant of this run ({', '.join(run.labels.values())}) nor a kind of return "
        f"({', '.join(CURVES)})."
    )


@canvas.styled
def plot_runs_equity(net: pd.DataFrame, variant: str) -> Figure:
    """Growth of 1 of one variant on the dates that all runs share, one line a run.

    Parameters
    ----------
    net : DataFrame
        Daily net returns, date x run.
    variant : str
        What the figure is called.
    """
    runs = [str(name) for name in net.columns]
    figure, (axis,) = canvas.panels([f"Growth of 1, net: {variant}"], [190], legend=canvas.legend_rows(runs))
    dates = net.index.to_numpy()
    handles = []
    for number, name in enumerate(net.columns):
        values = np.asarray(equity(net[name].to_numpy()))
        at = canvas.downsample(values)
        handles.append(canvas.line(axis, dates[at], values[at], number))
    canvas.zero_line(axis, 1.0)
    canvas.date_axis(axis)
    canvas.legend(figure, handles, runs)
    return figure


@canvas.styled
def plot_rolling_sharpe(run: RunData, window: int = 126) -> Figure:
    """Annualised net Sharpe ratio over a rolling window of days, one row a variant, all on one scale."""
    wide = run.wide("net")
    if not wide.to_numpy().any():
        return canvas.nothing("No trade was made: no Sharpe ratio.")
    if len(wide) < window:
        return canvas.nothing(f"Fewer than {window} {unit_of(wide.index)}: no rolling Sharpe ratio.")
    series = {
        name: np.asarray(rolling_sharpe(wide[name].to_numpy(), window, bars_per_year=run.bars_per_year))
        for name in wide.columns
    }
    found = np.concatenate([values[np.isfinite(values)] for values in series.values()])
    limit = max(float(np.quantile(np.abs(found), 0.995)), 1.0) if found.size else 1.0
    figure, axes = canvas.panels(
        _titles(run, f"Net Sharpe ratio over the last {window} {unit_of(wide.index)}"),
        [_row_height(len(wide.columns), 330)] * len(wide.columns), share_x=True,
    )  # fmt: skip
    dates = wide.index.to_numpy()
    for number, (axis, values) in enumerate(zip(axes, series.values(), strict=True)):
        at = canvas.downsample(values, 240)
        color = variant_color(number)
        axis.fill_between(dates[at], values[at], 0.0, color=color, alpha=0.22, linewidth=0)
        axis.plot(dates[at], values[at], color=color, linewidth=1.0)
        axis.set_ylim(-limit, limit)
        axis.locator_params(axis="y", nbins=3)
        canvas.zero_line(axis)
    canvas.date_axis(axes[-1])
    return figure


def _titles(run: RunData, what: str) -> list[str]:
    """Titles of one row a variant; the first says what is shown."""
    first, *others = run.labels.values()
    return [f"{what}{claim(run)}: {first}", *others]


def _row_height(rows: int, total: int) -> int:
    """Height of each of some stacked rows whose titles and axes leave `total` pixels in all, within reason."""
    return max(36, min(110, total // max(rows, 1) - 24))


@canvas.styled
def plot_cohorts(run: RunData) -> Figure:
    """Net return of every cohort, one row of bars a variant, all on one scale."""
    table = run.cohort_returns
    if not table.to_numpy().any():
        return canvas.nothing("No cohort was traded.")
    figure, axes = canvas.panels(
        _titles(run, "Net return of each cohort"),
        [_row_height(len(table.columns), 360)] * len(table.columns), share_x=True,
    )  # fmt: skip
    dates = table.index.to_numpy()
    step = float(np.median(np.diff(dates).astype("timedelta64[D]").astype(float))) if len(dates) > 1 else 90.0
    # One disaster would flatten all other bars: what lies beyond the scale is cut and its number written.
    limit = float(np.quantile(np.abs(table.to_numpy()), 0.98)) * 1.25 or float(np.abs(table.to_numpy()).max()) or 0.01
    for axis, name in zip(axes, table.columns, strict=True):
        values = table[name].to_numpy()
        colors = np.where(values >= 0, GAIN, LOSS)
        axis.bar(dates, np.clip(values, -limit, limit), width=0.78 * step, color=list(colors), linewidth=0)
        for place in np.flatnonzero(np.abs(values) > limit):
            axis.annotate(
                percent(values[place], 0), (dates[place], np.copysign(limit, values[place])), (5, 0),
                textcoords="offset points", va="center", color=MUTED, fontsize=look.FONT - 1.5,
            )  # fmt: skip
        axis.set_ylim(-limit * 1.12, limit * 1.12)
        axis.locator_params(axis="y", nbins=3)
        canvas.zero_line(axis)
        canvas.percent_axis(axis)
    canvas.date_axis(axes[-1])
    return figure


@canvas.styled
def plot_sharpe(run: RunData) -> Figure:
    """Net Sharpe ratio of every variant with its interval."""
    table = run.comparison.intervals
    level = f"{float(run.comparison.settings['level']):.0%}"  # type: ignore[arg-type]
    rows = [(run.labels.get(str(name), str(name)), number, row) for number, (name, row) in enumerate(table.iterrows())]
    return _forest([(text, variant_color(n), row["sharpe"], row["low"], row["high"]) for text, n, row in rows],
                   f"Net Sharpe ratio a year, {level} interval")  # fmt: skip


@canvas.styled
def plot_differences(run: RunData) -> Figure:
    """Difference of the net Sharpe ratios of every two variants with its interval."""
    table = run.comparison.differences
    if table.empty:
        return canvas.nothing("One variant: no difference to show.")
    level = f"{float(run.comparison.settings['level']):.0%}"  # type: ignore[arg-type]
    label = run.labels
    rows = [
        (
            f"{label.get(row['first'], row['first'])} over {label.get(row['second'], row['second'])}",
            MUTED, row["difference"], row["low"], row["high"],
        )
        for row in table.to_dict("records")
    ]  # fmt: skip
    return _forest(rows, f"Difference of net Sharpe ratios, {level} interval (not adjusted for their number)")


def _forest(rows: list[tuple[str, str, Any, Any, Any]], title: str) -> Figure:
    """Points with intervals, one row each."""
    if not any(np.isfinite(row[2]) for row in rows):
        return canvas.nothing("No Sharpe ratio is defined: no return ever moved.")
    left = min(270, 16 + round(6.6 * max((len(row[0]) for row in rows), default=4)))
    figure, (axis,) = canvas.panels([title], [26 * len(rows) + 8], left=left)
    axis.grid(axis="y", visible=False)
    axis.grid(axis="x", visible=True)
    axis.axvline(0.0, color=MUTED, linewidth=0.9)
    for place, (_, color, value, low, high) in enumerate(rows):
        if np.isfinite(low) and np.isfinite(high):
            axis.plot([low, high], [place, place], color=color, linewidth=2.2, solid_capstyle="round")
        if np.isfinite(value):
            axis.plot([value], [place], "o", color=color, markersize=7)
    axis.set_yticks(range(len(rows)), [row[0] for row in rows])
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.margins(x=0.06)
    axis.locator_params(axis="x", nbins=6)
    return figure
