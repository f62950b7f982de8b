"""Figures of the portfolio through time: equity, drawdown, rolling Sharpe ratio, cohorts, intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pairs_bt.common.formatting import percent
from pairs_bt.errors import DataError
from pairs_bt.report.palette import GAIN, LOSS, MUTED, variant_color
from pairs_bt.report.plots import canvas, look
from pairs_bt.report.plots.series import Names, Series, chosen, height_of_a_pixel, merged
from pairs_bt.stats.bar_frequency import unit_of
from pairs_bt.stats.performance import drawdown, equity, rolling_sharpe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pairs_bt.runs.run_data import RunData


#: Columns of the returns that can be drawn as a curve.
CURVES = ("net", "gross", "net_employed", "gross_employed")
# Pixels of the panel that shows growth.
_GROWTH = 230


def claim(run: RunData) -> str:
    """What a title adds when the P&L of a run is the differenced spread."""
    return " (a claim: differenced spreads)" if run.config.execution.pnl == "spread" else ""


@canvas.styled
def plot_equity(run: RunData, column: str = "net", variants: Names = ()) -> Figure:
    """Growth of 1 and drawdown of every variant, on committed capital or fully invested.

    Variants whose curves cannot be told apart are drawn as one line that is named after all of them.

    Parameters
    ----------
    run : Run
        A finished run.
    column : str
        ``'net'``, ``'gross'``, ``'net_employed'`` or ``'gross_employed'``; or the name of a variant, as the tables
        print it, whose net curve is then drawn alone.
    variants : str or sequence of str
        Variants to draw, as the tables print them; empty for all.

    Raises
    ------
    DataError
        A name that is neither.
    """
    column, series = _column_and_variants(run, column, variants)
    wide = run.wide(column)[[one.name for one in series]]
    if not wide.to_numpy().any():
        return canvas.nothing("No trade was made: nothing grew or fell.")
    growth = {one.name: np.asarray(equity(wide[one.name].to_numpy())) for one in series}
    series = merged(series, growth, height_of_a_pixel(growth, _GROWTH))
    labels = [one.label for one in series]
    what = f"{column.removesuffix('_employed')}, fully invested" if "_" in column else f"{column} on committed capital"
    figure, (top, bottom) = canvas.panels(
        [f"Growth of 1, {what}{claim(run)}", "Drawdown"],
        [_GROWTH, 110],
        share_x=True,
        legend=canvas.legend_rows(labels),
    )
    dates = wide.index.to_numpy()
    handles = []
    for one in series:
        fall = np.asarray(drawdown(wide[one.name].to_numpy()))
        for axis, values in ((top, growth[one.name]), (bottom, fall)):
            at = canvas.downsample(values)
            handle = canvas.line(axis, dates[at], values[at], one.number)
            if axis is top:
                handles.append(handle)
    canvas.zero_line(top, 1.0)
    canvas.percent_axis(bottom)
    canvas.date_axis(bottom)
    canvas.legend(figure, handles, labels)
    return figure


def _column_and_variants(run: RunData, column: str, variants: Names) -> tuple[str, list[Series]]:
    """Take a column that names a variant for that variant's net curve; an error that lists both otherwise."""
    if column in CURVES:
        return column, chosen(run, variants)
    try:
        return "net", chosen(run, column)
    except DataError:
        raise DataError(
            f"{column!r} is neither a variant of this run ({', '.join(run.labels.values())}) nor a kind of return "
            f"({', '.join(CURVES)})."
        ) from None


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
def plot_rolling_sharpe(run: RunData, window: int = 126, variants: Names = ()) -> Figure:
    """Annualised net Sharpe ratio over a rolling window of days, one row a variant, all on one scale."""
    shown = chosen(run, variants)
    wide = run.wide("net")[[one.name for one in shown]]
    if not wide.to_numpy().any():
        return canvas.nothing("No trade was made: no Sharpe ratio.")
    if len(wide) < window:
        return canvas.nothing(f"Fewer than {window} {unit_of(wide.index)}: no rolling Sharpe ratio.")
    curves = {
        name: np.asarray(rolling_sharpe(wide[name].to_numpy(), window, bars_per_year=run.bars_per_year))
        for name in wide.columns
    }
    found = np.concatenate([values[np.isfinite(values)] for values in curves.values()])
    limit = max(float(np.quantile(np.abs(found), 0.995)), 1.0) if found.size else 1.0
    shown = merged(shown, curves, 2.0 * limit / _row_height(len(shown), 330))
    figure, axes = canvas.panels(
        _titles(run, f"Net Sharpe ratio over the last {window} {unit_of(wide.index)}", shown),
        [_row_height(len(shown), 330)] * len(shown), share_x=True,
    )  # fmt: skip
    dates = wide.index.to_numpy()
    for axis, one in zip(axes, shown, strict=True):
        values = curves[one.name]
        at = canvas.downsample(values, 240)
        color = variant_color(one.number)
        axis.fill_between(dates[at], values[at], 0.0, color=color, alpha=0.22, linewidth=0)
        axis.plot(dates[at], values[at], color=color, linewidth=1.0)
        axis.set_ylim(-limit, limit)
        axis.locator_params(axis="y", nbins=3)
        canvas.zero_line(axis)
    canvas.date_axis(axes[-1])
    return figure


def _titles(run: RunData, what: str, shown: Sequence[Series]) -> list[str]:
    """Titles of one row a variant; the first says what is shown."""
    first, *others = (one.label for one in shown)
    return [f"{what}{claim(run)}: {first}", *others]


def _row_height(rows: int, total: int) -> int:
    """Height of each of some stacked rows whose titles and axes leave `total` pixels in all, within reason."""
    return max(50, min(110, total // max(rows, 1) - 24))


@canvas.styled
def plot_cohorts(run: RunData, variants: Names = ()) -> Figure:
    """Net return of every cohort, one row of bars a variant, all on one scale."""
    shown = chosen(run, variants)
    table = run.cohort_returns[[one.name for one in shown]]
    if not table.to_numpy().any():
        return canvas.nothing("No cohort was traded.")
    shown = merged(shown, {str(name): table[name].to_numpy() for name in table.columns}, 0.0)
    figure, axes = canvas.panels(
        _titles(run, "Net return of each cohort", shown),
        [_row_height(len(shown), 360)] * len(shown), share_x=True,
    )  # fmt: skip
    dates = table.index.to_numpy()
    step = float(np.median(np.diff(dates).astype("timedelta64[D]").astype(float))) if len(dates) > 1 else 90.0
    # One disaster would flatten all other bars: what lies beyond the scale is cut and its number written.
    limit = float(np.quantile(np.abs(table.to_numpy()), 0.98)) * 1.25 or float(np.abs(table.to_numpy()).max()) or 0.01
    for axis, one in zip(axes, shown, strict=True):
        values = table[one.name].to_numpy()
        gained = values >= 0
        for mine, color in ((gained, GAIN), (~gained, LOSS)):
            heights = np.clip(values[mine], -limit, limit)
            if heights.size:
                canvas.dated_bars(axis, dates[mine], 0.78 * step, heights, color=color, linewidth=0)
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
def plot_sharpe(run: RunData, variants: Names = ()) -> Figure:
    """Net Sharpe ratio of every variant with its interval."""
    table = run.comparison.intervals
    level = f"{float(run.comparison.settings['level']):.0%}"  # type: ignore[arg-type]
    rows = [(one, table.loc[one.name]) for one in chosen(run, variants)]
    return _forest(
        [(one.label, variant_color(one.number), row["sharpe"], row["low"], row["high"]) for one, row in rows],
        f"Net Sharpe ratio a year, {level} interval",
    )


@canvas.styled
def plot_differences(run: RunData, variants: Names = ()) -> Figure:
    """Difference of the net Sharpe ratios of every two variants with its interval."""
    names = [one.name for one in chosen(run, variants)]
    table = run.comparison.differences
    table = table[table["first"].isin(names) & table["second"].isin(names)]
    if table.empty:
        return canvas.nothing("One variant: no difference to show.")
    level = f"{float(run.comparison.settings['level']):.0%}"  # type: ignore[arg-type]
    label = run.labels
    rows = [
        (
            f"{label.get(row['first'], row['first'])}\nover {label.get(row['second'], row['second'])}",
            MUTED, row["difference"], row["low"], row["high"],
        )
        for row in table.to_dict("records")
    ]  # fmt: skip
    return _forest(rows, f"Differences of net Sharpe ratios, {level} intervals, not adjusted")


def _forest(rows: list[tuple[str, str, Any, Any, Any]], title: str) -> Figure:
    """Points with intervals, one row each."""
    if not any(np.isfinite(row[2]) for row in rows):
        return canvas.nothing("No Sharpe ratio is defined: no return ever moved.")
    lines = max((len(row[0].splitlines()) for row in rows), default=1)
    height = (26 if lines == 1 else 42) * len(rows) + 8
    figure, (axis,) = canvas.panels([title], [height], left=canvas.label_width([row[0] for row in rows]))
    axis.grid(axis="y", visible=False)
    axis.grid(axis="x", visible=True)
    axis.axvline(0.0, color=MUTED, linewidth=0.9)
    for place, (_, color, value, low, high) in enumerate(rows):
        if np.isfinite(low) and np.isfinite(high):
            axis.plot([low, high], [place, place], color=color, linewidth=2.2, solid_capstyle="round")
        if np.isfinite(value):
            axis.plot([value], [place], "o", color=color, markersize=7)
    canvas.name_rows(axis, [row[0] for row in rows], linespacing=1.35, multialignment="right")
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.margins(x=0.06)
    axis.locator_params(axis="x", nbins=6)
    return figure
