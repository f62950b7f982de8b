"""The figures of an audit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pairs_bt.audit.null_evidence import lookup
from pairs_bt.audit.sentences import KINDS
from pairs_bt.report.palette import BAND, INK, MUTED, variant_color
from pairs_bt.report.plots.canvas import label_width, legend, legend_rows, line, panels, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pairs_bt.audit.result import Audit


@styled
def ladder_figure(audit: Audit) -> Figure:
    """Net Sharpe ratio of every variant, rung by rung, from the choices of Jansen's notebook to the config's."""
    table = audit.ladder.pivot(index="rung", columns="variant", values="sharpe")[list(audit.labels)]
    names = audit.ladder.drop_duplicates("rung").sort_values("rung")["name"].tolist()
    labels = list(audit.labels.values())
    claims = int((audit.ladder.drop_duplicates("rung")["pnl"] == "spread").sum())
    shaded = " (shaded: a claim, not money)" if claims else ""
    figure, (axis,) = panels(
        [f"Net Sharpe ratio by rung{shaded}"], [30 * len(names) + 10],
        legend=legend_rows(labels), left=label_width(names),
    )  # fmt: skip
    places = np.arange(len(names))
    handles = [
        line(axis, table[name].to_numpy(), places, number, marker="o", markersize=4)
        for number, name in enumerate(audit.labels)
    ]
    if claims:
        axis.axhspan(-0.5, claims - 0.5, color=BAND, zorder=0)
    axis.grid(axis="x", visible=True)
    axis.axvline(0.0, color=MUTED, linewidth=0.9, zorder=1.5)
    axis.set_yticks(places, names)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.locator_params(axis="x", nbins=6)
    axis.margins(x=0.04)
    legend(figure, handles, labels)
    return figure


@styled
def windows_figure(audit: Audit) -> Figure:
    """Candidates found in every window, against what each kind of null universe gives."""
    table = audit.windows
    kinds = [kind for kind in KINDS if f"expected_{kind}" in table]
    labels = ["found", *(f"expected: {KINDS[kind]}" for kind in kinds), "95% of null universes"]
    figure, (axis,) = panels(["Candidates by window (pairs that pass the tests)"], [190], legend=legend_rows(labels))
    x = np.arange(len(table))
    low = table[[f"low_{kind}" for kind in kinds]].min(axis=1)
    high = table[[f"high_{kind}" for kind in kinds]].max(axis=1)
    band = axis.fill_between(x, low, high, color=BAND, linewidth=0, zorder=1)
    bars = axis.bar(x, table["found"], width=0.55, color=MUTED, zorder=2)
    handles = [
        line(axis, x, table[f"expected_{kind}"].to_numpy(), number, zorder=3) for number, kind in enumerate(kinds)
    ]
    step = max(1, -(-len(table) // 6))
    axis.set_xticks(x[::step], [str(label)[:7] for label in table["test_end"][::step]])
    axis.set_xlim(-0.7, len(table) - 0.3)
    legend(figure, [bars, *handles, band], labels)
    return figure


@styled
def place_figure(audit: Audit, statistic: str, title: str) -> Figure:
    """The real value of every variant among the null universes: 95% of them, their median, and the real one."""
    table = lookup(audit.null)
    kinds = [kind for kind in KINDS if kind in set(audit.null["kind"])]
    names = list(audit.labels)
    labels = [*(KINDS[kind] for kind in kinds), "real"]
    height = 26 * len(names) * max(len(kinds), 1) // 2 + 20
    left = label_width(list(audit.labels.values()))
    figure, (axis,) = panels([title], [height], legend=legend_rows(labels), left=left)
    handles = []
    for number, kind in enumerate(kinds):
        rows = [table[name, statistic, kind] for name in names]
        low, middle, high = ([row[key] for row in rows] for key in ("null_q025", "null_median", "null_q975"))
        y = np.arange(len(names)) + (number - (len(kinds) - 1) / 2) * 0.24
        color = variant_color(number)
        handles.append(axis.hlines(y, low, high, color=color, linewidth=4, alpha=0.55))
        axis.plot(middle, y, "|", color=color, markersize=9, markeredgewidth=2)
    for place, name in enumerate(names):
        value = table[name, statistic, kinds[0]]["real"]
        axis.plot([value, value], [place - 0.4, place + 0.4], color=INK, linewidth=2)
    (mark,) = axis.plot([], [], color=INK, linewidth=2)
    axis.set_yticks(range(len(names)), list(audit.labels.values()))
    axis.set_ylim(len(names) - 0.45, -0.55)
    axis.grid(axis="x")
    axis.grid(axis="y", visible=False)
    legend(figure, [*handles, mark], labels)
    return figure
