"""Figures over all pairs: half-lives, holding times, hedge-ratio paths, pair against pair, candidates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from pairs_bt.config.hedge_rule_names import MOVING_RULES
from pairs_bt.errors import DataError
from pairs_bt.report.palette import GAIN, GRID, INK, MUTED, variant_color
from pairs_bt.report.plots import canvas
from pairs_bt.report.plots.series import Names, Series, chosen
from pairs_bt.report.plots.stretches import Stretches, each_window
from pairs_bt.runs.summary import days_between

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pairs_bt.runs.run_data import RunData


@canvas.styled
def plot_times(run: RunData, variants: Names = ()) -> Figure:
    """Half-lives of the candidates and holding times of the trades: median, middle half and 5-95% of each variant."""
    series = chosen(run, variants)
    labels = [one.label for one in series]
    height = 26 * len(labels) + 8
    figure, axes = canvas.panels(
        ["Half-life of the spread over the train window (bars)", "Holding time (calendar days)"],
        [height, height],
        left=canvas.label_width(labels),
    )
    half = run.half_lives[np.isfinite(run.half_lives["half_life"])]
    closed = run.trades[run.trades["exit_date"].notna()]
    held = closed.assign(days=days_between(closed["entry_date"], closed["exit_date"]))
    for axis, table, column in ((axes[0], half, "half_life"), (axes[1], held, "days")):
        _strips(
            axis,
            [(one, table.loc[table["variant"] == one.name, column].to_numpy(dtype=float)) for one in series],
        )
        axis.set_xscale("log")
        _plain_log(axis)
    return figure


def _strips(axis: Axes, samples: Sequence[tuple[Series, npt.NDArray[np.float64]]]) -> None:
    """One row each: a thin line from 5% to 95%, a thick one over the middle half, a mark at the median."""
    axis.grid(axis="y", visible=False)
    axis.grid(axis="x", visible=True)
    for row, (one, values) in enumerate(samples):
        good = values[np.isfinite(values)]
        if not good.size:
            continue
        low, first, middle, third, high = np.quantile(good, [0.05, 0.25, 0.5, 0.75, 0.95])
        color = variant_color(one.number)
        axis.plot([low, high], [row, row], color=color, linewidth=1.5)
        axis.plot([first, third], [row, row], color=color, linewidth=9)
        axis.plot([middle], [row], "D", color=INK, markersize=6, markeredgecolor="white", zorder=4)
    canvas.name_rows(axis, [one.label for one, _ in samples])
    axis.set_ylim(len(samples) - 0.5, -0.5)


def _plain_log(axis: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.xaxis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0)))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())


def relative_paths(run: RunData) -> tuple[str, npt.NDArray[np.float64], dict[str, npt.NDArray[np.float64]]] | None:
    """Hedge ratios relative to the moving rule's on the first trading day.

    Returns
    -------
    (name, paths, held) or None
        Name of the first moving variant; its ratio over its first value, minus 1, (pairs, bars) with NaN beyond a
        window's end; and for every other rule the held ratio on the same scale, (pairs,). None without a moving rule
        or without spreads.
    """
    moving = [v for v in run.variants if v.rule in MOVING_RULES]
    if not moving:
        return None
    name = moving[0].name
    paths: list[npt.NDArray[np.float64]] = []
    held: dict[str, list[npt.NDArray[np.float64]]] = {v.name: [] for v in run.variants if v.rule not in MOVING_RULES}

    def see(found: Stretches) -> None:
        ratio, opening = found.values["hedge_ratio"], found.values["hedge_ratio"][found.starts[:-1]]
        mine = np.flatnonzero(found.names["variant"] == name)
        paths.extend(ratio[found.starts[k] : found.starts[k + 1]].copy() for k in mine)
        for other, values in held.items():
            own = np.flatnonzero(found.names["variant"] == other)
            _, first, second = np.intersect1d(found.pair[mine], found.pair[own], return_indices=True)
            with np.errstate(divide="ignore", invalid="ignore"):
                values.append(opening[own[second]] / opening[mine[first]] - 1.0)

    try:
        each_window(run, ["hedge_ratio"], see)
    except DataError:
        return None
    if not paths:
        return None
    table = np.full((len(paths), max(map(len, paths))), np.nan)
    for row, path in zip(table, paths, strict=True):
        row[: path.size] = path
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = table / table[:, :1] - 1.0
    return name, relative, {other: np.concatenate(values) for other, values in held.items()}


@canvas.styled
def plot_hedge_paths(run: RunData, variants: Names = ()) -> Figure:
    """How far the moving ratio wanders in a trade window, and how far away the held ratios stand at its start.

    Of the held ratios those among `variants` are drawn; empty for all.
    """
    found = relative_paths(run)
    if found is None:
        return canvas.nothing("No moving hedge ratio was kept: nothing wanders.")
    name, paths, held = found
    labels = run.labels
    shown = [(one, held[one.name]) for one in chosen(run, variants) if one.name in held]
    titles = [f"{labels[name]}: change of the ratio since the first trading day"]
    heights = [170]
    if shown:
        titles.append(f"Held ratios against {labels[name]}'s on the first trading day")
        heights.append(26 * len(shown) + 8)
    left = canvas.label_width([one.label for one, _ in shown], 52)
    figure, axes = canvas.panels(titles, heights, left=left)
    enough = np.isfinite(paths).sum(axis=0) >= max(4, 0.25 * len(paths))
    bars = np.flatnonzero(enough)
    top = axes[0]
    if bars.size:
        low, first, middle, third, high = np.nanquantile(paths[:, bars], [0.05, 0.25, 0.5, 0.75, 0.95], axis=0)
        color = variant_color(list(labels).index(name))
        top.fill_between(bars, low, high, color=color, alpha=0.16, linewidth=0)
        top.fill_between(bars, first, third, color=color, alpha=0.32, linewidth=0)
        top.plot(bars, middle, color=color, linewidth=1.8)
    canvas.zero_line(top)
    canvas.percent_axis(top)
    if shown:
        axes[1].axvline(0.0, color=MUTED, linewidth=0.9)
        _strips(axes[1], shown)
        canvas.percent_axis(axes[1], "x")
    return figure


def pair_pnl(run: RunData) -> pd.DataFrame:
    """Net P&L in dollars by (test_end, y, x) x variant; NaN where a variant did not trade what another did."""
    table = run.trades.pivot_table(
        index=["test_end", "y", "x"], columns="variant", values="net_pnl", aggfunc="sum", observed=True
    )
    return table.reindex(columns=list(run.labels))


# More would cover each other, and every one is a line of the report's file.
SCATTER_POINTS = 1500


@canvas.styled
def plot_scatter(run: RunData, variants: Names = ()) -> Figure:
    """Net P&L of every pair and window: the first variant across, each other one up."""
    names = [one.name for one in chosen(run, variants)]
    table = pair_pnl(run)[names]
    if len(names) < 2 or table.empty:
        why = "one variant." if len(names) < 2 else "no trade."
        return canvas.nothing(f"Nothing to set against each other: {why}")
    first, *others = names
    columns = min(2, len(others))
    figure, axes = canvas.panels(
        [run.labels[name] for name in others],
        [180] * -(-len(others) // columns), columns=columns,
    )  # fmt: skip
    table = table.fillna(0.0)
    values = table.to_numpy()
    # The scale shows the middle 98%; what lies outside is drawn at the edge.
    limit = float(np.quantile(np.abs(values), 0.99)) * 1.1 or 1.0
    table = table.iloc[:: -(-len(table) // SCATTER_POINTS)]
    for axis, name in zip(axes, others, strict=True):
        across, up = (np.clip(table[n].to_numpy(), -limit, limit) for n in (first, name))
        axis.grid(axis="x", visible=True)
        axis.plot([-limit, limit], [-limit, limit], color=MUTED, linewidth=0.9, dashes=(3, 2))
        axis.axvline(0.0, color=GRID, linewidth=1.2)
        axis.axhline(0.0, color=GRID, linewidth=1.2)
        color = variant_color(list(run.labels).index(name))
        axis.plot(across, up, "o", color=color, alpha=0.55, markersize=4, markeredgewidth=0)
        axis.set_xlim(-limit * 1.05, limit * 1.05)
        axis.set_ylim(-limit * 1.05, limit * 1.05)
        axis.locator_params(nbins=5)
        for which in "xy":
            canvas.money_axis(axis, which)
    return figure


@canvas.styled
def plot_candidates(run: RunData) -> Figure:
    """Candidates found in every window, against the number that chance would give."""
    table = run.windows
    if table.empty:
        return canvas.nothing("No window was scanned.")
    names = ["passed the tests", "expected by chance"]
    figure, (axis,) = canvas.panels(["Pairs that passed, by window"], [190], legend=canvas.legend_rows(names))
    dates = table.index.to_numpy()
    step = float(np.median(np.diff(dates).astype("timedelta64[D]").astype(float))) if len(dates) > 1 else 90.0
    bars = canvas.dated_bars(axis, dates, 0.78 * step, table["passed"].to_numpy(), color=GAIN, linewidth=0)
    expected = axis.plot(dates, run.chance["rate"] * table["tested"], color=INK, linewidth=1.6, dashes=(4, 2))[0]
    canvas.date_axis(axis)
    canvas.legend(figure, [bars, expected], names)
    return figure
