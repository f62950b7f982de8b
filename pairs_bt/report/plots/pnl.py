"""Figures of the money: where it came from, what the moving spread would have claimed, and what costs do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pairs_bt.report.palette import GAIN, INK, LOSS, MUTED, PHANTOM, variant_color
from pairs_bt.report.plots import canvas, look
from pairs_bt.report.plots.series import Names, Series, chosen, height_of_a_pixel, merged
from pairs_bt.runs.summary import COST_CURVE_BPS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pairs_bt.runs.run_data import RunData

# Part of net P&L: what a person reads, its colour, its sign in net. Costs of re-hedging are within `cost`.
PARTS = (
    ("convergence", "convergence", GAIN, 1.0),
    ("hedge_drift", "hedge drift", "#00875f", 1.0),
    ("trade_cost", "entry and exit costs", LOSS, -1.0),
    ("rehedge_cost", "re-hedging costs", "#a67c00", -1.0),
    ("borrow", "borrow", "#b0558b", -1.0),
    ("interest", "interest", "#4b4f56", 1.0),
)


CLAIM = "differenced spread: a claim"
_HATCHED: dict[str, Any] = {
    "facecolor": "none", "edgecolor": PHANTOM, "hatch": "////", "linewidth": 1.2, "linestyle": (0, (4, 2)),
}  # fmt: skip


def decomposition(run: RunData) -> pd.DataFrame:
    """Dollars of each part of net P&L, one row a variant.

    Columns convergence, hedge_drift, trade_cost, rehedge_cost, borrow, interest with the sign they have in net, net,
    gross, naive (what differencing the spread with its moving ratio would have claimed) and phantom = naive - gross.
    """
    daily = run.returns
    dollars = daily[["convergence", "hedge_drift", "cost", "rehedge_cost", "borrow", "interest", "naive"]].mul(
        daily["capital"], axis=0
    )
    total = dollars.groupby(daily["variant"].astype(str)).sum().reindex(list(run.labels), fill_value=0.0)
    out = pd.DataFrame(index=total.index)
    out["convergence"] = total["convergence"]
    out["hedge_drift"] = total["hedge_drift"]
    out["trade_cost"] = total["rehedge_cost"] - total["cost"]
    for name in ("rehedge_cost", "borrow"):
        out[name] = 0.0 - total[name]
    out["interest"] = total["interest"]
    out["net"] = out.sum(axis=1)
    out["gross"] = total["convergence"] + total["hedge_drift"]
    out["naive"] = total["naive"]
    out["phantom"] = out["naive"] - out["gross"]
    return out


@canvas.styled
def plot_decomposition(run: RunData, variants: Names = ()) -> Figure:
    """Where each variant's net P&L came from: gains to the right of zero, losses to the left, net as a mark."""
    series = chosen(run, variants)
    table = decomposition(run).loc[[one.name for one in series]]
    shown = [part for part in PARTS if table[part[0]].abs().max() > 0]
    if not shown:
        return canvas.nothing("No trade: no money was made or lost.")
    claimed = run.config.execution.pnl == "spread"
    names = [CLAIM if claimed and part[0] == "convergence" else part[1] for part in shown] + ["net"]
    capital = f"${canvas.short_money(run.config.portfolio.capital)} of capital"
    figure, (axis,) = _rows(series, f"Dollars over the run, on {capital}", names)
    right, left, rows = np.zeros(len(table)), np.zeros(len(table)), np.arange(len(table))
    handles: list[Any] = []
    for part, _, color, _ in shown:
        values = table[part].to_numpy()
        start = np.where(values >= 0, right, left)
        style: dict[str, Any] = _HATCHED if claimed and part == "convergence" else {"color": color, "linewidth": 0}
        handles.append(canvas.bars(axis, (start, start + values), (rows - 0.31, rows + 0.31), start.tolist(), **style))
        right += np.maximum(values, 0)
        left += np.minimum(values, 0)
    handles += axis.plot(table["net"], range(len(table)), "D", color=INK, markersize=7, markeredgecolor="white")
    canvas.legend(figure, handles, names)
    return figure


@canvas.styled
def plot_phantom(run: RunData, variants: Names = ()) -> Figure:
    """What differencing the spread with its moving ratio would have claimed, against what the shares earned."""
    series = chosen(run, variants)
    table = decomposition(run).loc[[one.name for one in series]]
    if not table.to_numpy().any():
        return canvas.nothing("No trade: nothing was claimed.")
    if run.config.execution.pnl == "spread":
        return canvas.nothing("All P&L of this run is the differenced spread: the phantom is inside it.")
    names = ["earned by the shares held (gross)", "claimed by differencing the spread (nobody earns it)"]
    figure, (axis,) = _rows(series, "Dollars before costs over the run", names)
    rows = np.arange(len(table))
    handles = [
        canvas.bars(axis, (0.0, table["gross"].to_numpy()), (rows, rows + 0.34), [0.0], color=GAIN, linewidth=0),
        canvas.bars(axis, (0.0, table["naive"].to_numpy()), (rows, rows - 0.34), [0.0], **_HATCHED),
    ]
    canvas.legend(figure, handles, names)
    return figure


def _rows(series: Sequence[Series], title: str, legend: list[str]) -> tuple[Figure, list[Axes]]:
    labels = [one.label for one in series]
    left = canvas.label_width(labels)
    figure, axes = canvas.panels([title], [38 * len(labels) + 10], left=left, legend=canvas.legend_rows(legend))
    axis = axes[0]
    axis.grid(axis="y", visible=False)
    axis.grid(axis="x", visible=True)
    axis.axvline(0.0, color=MUTED, linewidth=0.9)
    canvas.name_rows(axis, labels)
    axis.set_ylim(len(labels) - 0.5, -0.5)
    axis.margins(x=0.06)
    axis.locator_params(axis="x", nbins=5)
    canvas.money_axis(axis, "x")
    return figure, axes


def over_cash(run: RunData) -> str:
    """What a title adds to returns that are less the cash rate, where there is one."""
    return " over cash" if run.config.portfolio.cash_rate else ""


@canvas.styled
def plot_costs(run: RunData, variants: Names = ()) -> Figure:
    """Annual net return against the cost of a trade; a dot where a variant breaks even."""
    if run.trades.empty:
        return canvas.nothing("No trade: no costs.")
    rows = run.summary.set_index("variant").to_dict("index")
    levels = [float(bps) for bps in COST_CURVE_BPS]
    series = chosen(run, variants)
    curves = {
        one.name: np.array([float(rows[one.name][f"cost_{bps}bp_annual_return"]) for bps in COST_CURVE_BPS])
        for one in series
    }
    series = merged(series, curves, height_of_a_pixel(curves, 230))
    labels = [one.label for one in series]
    figure, (axis,) = canvas.panels(
        [f"Net return a year{over_cash(run)} against cost (bp a leg and side)"], [230],
        legend=canvas.legend_rows(labels),
    )  # fmt: skip
    handles = []
    for one in series:
        curve = dict(zip(levels, curves[one.name].tolist(), strict=True))
        level = float(rows[one.name]["break_even_cost_bps"])
        even = 0.0 <= level <= max(COST_CURVE_BPS)
        if even:
            curve[level] = 0.0
        costs = sorted(curve)
        handles.append(canvas.line(axis, costs, [curve[cost] for cost in costs], one.number, linewidth=1.8))
        if even:
            axis.plot([level], [0.0], "o", color=variant_color(one.number), markersize=7, zorder=4)
    axis.axvline(run.config.execution.cost_bps, color=MUTED, linewidth=0.9, dashes=(2, 2))
    axis.annotate(
        "this run", (run.config.execution.cost_bps, 0.0), (4, 5), xycoords=("data", "axes fraction"),
        textcoords="offset points", color=MUTED, fontsize=look.FONT - 1,
    )  # fmt: skip
    canvas.zero_line(axis)
    canvas.percent_axis(axis)
    canvas.legend(figure, handles, labels)
    return figure
