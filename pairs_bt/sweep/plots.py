"""The figures of a sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pairs_bt.report.palette import MUTED
from pairs_bt.report.plots.canvas import date_axis, downsample, legend, legend_rows, line, panels, styled, zero_line
from pairs_bt.stats.performance import equity

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pairs_bt.sweep.analysis import SweepResult

CURVES = {
    "walk_forward": "walk-forward",
    "base": "base",
    "hindsight": "best in hindsight",
}


@styled
def curves_figure(result: SweepResult, variant: str, label: str) -> Figure:
    """Growth of 1: chosen as time went by, the base, and the best setting in hindsight."""
    walk = result.walks[variant]
    names = list(CURVES.values())
    figure, (axis,) = panels([f"{label}: growth of 1, net"], [190], legend=legend_rows(names))
    handles = []
    for place, key in enumerate(CURVES):
        values = np.asarray(equity(getattr(walk, key)))
        at = downsample(values)
        handles.append(line(axis, result.dates[at], values[at], place))
    if walk.since < result.dates.size:
        axis.axvline(result.dates[walk.since], color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)))
        axis.annotate("first choice", (result.dates[walk.since], 0.0), xycoords=("data", "axes fraction"),
                      xytext=(4, 2), textcoords="offset points", va="bottom", color=MUTED, fontsize=11)  # fmt: skip
    zero_line(axis, 1.0)
    date_axis(axis)
    legend(figure, handles, names)
    return figure
