"""One pair for the terminal, for Jupyter and as a page."""

from __future__ import annotations

from typing import Protocol

import pandas as pd

from pairs_bt.common.formatting import day, number, percent, pvalue
from pairs_bt.models.johansen_pvalues import LAST_95, TRACE_95
from pairs_bt.report.blocks import Block, Cell, Drawer, Row, Table, Text
from pairs_bt.report.page import environment
from pairs_bt.report.palette import css_variables
from pairs_bt.report.panels.trades import asked_pages
from pairs_bt.report.run_comparison import as_text
from pairs_bt.runs.run_data import RunData
from pairs_bt.stats.bar_frequency import bars_in_time


class PairTables(Protocol):
    """What a page of one pair reads of a :class:`pairs_bt.PairStudy`."""

    @property
    def y(self) -> str:
        """Leg on the left of every regression."""

    @property
    def x(self) -> str:
        """The other leg."""

    @property
    def run(self) -> RunData:
        """The run of this pair alone."""

    @property
    def tests(self) -> pd.DataFrame:
        """Tests on each train window."""

    @property
    def hedge_ratios(self) -> pd.DataFrame:
        """Ratio and half-life by test end and variant."""

    @property
    def trades(self) -> pd.DataFrame:
        """Every trade."""

    @property
    def summary(self) -> pd.DataFrame:
        """One row a variant."""


def tests_table(found: PairTables) -> Table:
    """The tests on each train window."""
    rows = []
    for row in found.tests.to_dict("records"):
        as_named, other = ("12", "21") if row["s1"] == found.y else ("21", "12")
        cells = [pvalue(row[f"eg_pvalue_{as_named}"]), pvalue(row[f"eg_pvalue_{other}"])]
        cells += [number(row["trace0"], 1), number(row["trace1"], 1)]
        rows.append(Row(day(row["test_end"]), [*cells, Cell(row["reason"] or "yes", "text")]))
    head = ["train to", f"p, {found.y} on {found.x}", f"p, {found.x} on {found.y}", "trace, rank 0", "trace, rank 1"]
    note = (
        "Engle-Granger p-values, each regression on its own. Johansen's trace statistics have the 95% values "
        f"{TRACE_95:.1f} and {LAST_95:.1f}. No test decides here: the pair was named."
    )
    return Table([*head, "traded"], rows, "Tests on the train windows", note)


def ratios_table(found: PairTables) -> Table:
    """The hedge ratio that each rule would hold in the last window, and what it earned over all windows."""
    own = found.hedge_ratios
    last = own[own["test_end"] == own["test_end"].max()].set_index("variant").to_dict("index")
    summary = found.summary.set_index("variant").to_dict("index")
    rows = []
    for name, label in found.run.labels.items():
        state, earned = last[name], summary[name]
        rows.append(
            Row(
                label,
                [number(state["ratio"], 4), _half_life(found, state["half_life"]), number(earned["trades"], 0),
                 percent(earned["net_annual_return"]), number(earned["net_sharpe"]),
                 percent(earned["net_max_drawdown"]), Cell(state["reason"] or "yes", "text")],
            )
        )  # fmt: skip
    head = ["hedge ratio", "ratio", "half-life (bars)", "trades", "net a year", "Sharpe, net", "drawdown"]
    when = f"Ratio and half-life as of {day(own['test_end'].max())}; money over all windows" if len(own) else ""
    return Table([*head, "can be traded"], rows, when)


def _half_life(found: PairTables, bars: float) -> str | Cell:
    """A half-life in bars, and in time where they are no days."""
    time = bars_in_time(bars, pd.DatetimeIndex(found.run.net.index))
    return Cell(f"{number(bars, 1)} ({time})") if time else number(bars, 1)


def as_lines(found: PairTables) -> str:
    """What the terminal shows."""
    tables = [tests_table(found)] + ([ratios_table(found)] if len(found.hedge_ratios) else [])
    return "\n\n".join(f"{table.caption}\n\n{as_text(table)}" for table in tables)


def render_pair(found: PairTables) -> str:
    """The page: one self-contained file, the same bytes for the same study."""
    return _page(found, [*_tables(found), *asked_pages(found.run, Drawer(found.run), found.y, found.x)])


def render_pair_card(found: PairTables) -> str:
    """A study as Jupyter shows it: the two tables."""
    from markupsafe import escape

    return f"<h3>{escape(found.y)} on {escape(found.x)}</h3><pre>{escape(as_lines(found))}</pre>"


def _tables(found: PairTables) -> list[Block]:
    if found.hedge_ratios.empty:
        return [tests_table(found), Text("In no window could the pair be traded.")]
    return [tests_table(found), ratios_table(found)]


def _page(found: PairTables, blocks: list[Block]) -> str:
    windows = found.run.config.windows
    return (
        environment()
        .get_template("compare.html.jinja")
        .render(
            eyebrow="pairs_bt: one pair",
            title=f"{found.y} on {found.x}",
            verdict=f"{len(found.trades):,} trades in {len(found.tests)} windows, over all hedge ratios.",
            intro=(
                f"Windows of {windows.train} train and {windows.trade} trade, a new one every {windows.step}. The pair "
                "was named, not found: its past says nothing about pairs that were looked for. Where a pair was named "
                "after looking at its prices, nor does it about this one."
            ),
            blocks=blocks,
            light=css_variables(0),
            dark=css_variables(1),
        )
    )
