"""Panels on what the variants earned and whether the data can tell them apart."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from pairs_bt.common.formatting import NOTHING, interval, number, percent, pvalue, signed, why_not
from pairs_bt.errors import PairsError
from pairs_bt.report.blocks import Beside, Block, Cell, Drawer, Panel, Row, Table, Text, side_by_side, styles
from pairs_bt.report.panels.bar_lengths import year_of
from pairs_bt.report.panels.concentration import concentration_tables
from pairs_bt.report.plots import equity
from pairs_bt.runs.run_data import RunData
from pairs_bt.stats.bar_frequency import unit_of
from pairs_bt.stats.comparison import market_exposure

Format = Callable[[float], str]


def _bp(value: float) -> str:
    return number(value, 1)


def _whole(value: float) -> str:
    return number(value, 0)


def _percent0(value: float) -> str:
    return percent(value, 0)


# Head, column of the summary, format; one string is a heading within the table. {Unit} is "Days" or "Bars".
RETURNS: tuple[str | tuple[str, str, Format], ...] = (
    "Net of costs and borrow, on committed capital",
    ("Return a year", "net_annual_return", percent),
    ("Volatility", "net_volatility", percent),
    ("Sharpe ratio", "net_sharpe", number),
    ("Sortino ratio", "net_sortino", number),
    ("Calmar ratio", "net_calmar", number),
    ("Maximum drawdown", "net_max_drawdown", percent),
    ("{Unit} that gained", "net_hit_rate", _percent0),
    "Gross, on committed capital",
    ("Return a year", "gross_annual_return", percent),
    ("Volatility", "gross_volatility", percent),
    ("Sharpe ratio", "gross_sharpe", number),
    ("Maximum drawdown", "gross_max_drawdown", percent),
    "On employed capital, money-weighted",
    ("Return a year, net", "net_return_on_employed", percent),
    ("Return a year, gross", "gross_return_on_employed", percent),
    "Fully invested, as Gatev et al. 2006",
    ("Return, net", "net_employed_annual_return", percent),
    ("Return, gross", "gross_employed_annual_return", percent),
    ("Sharpe, net", "net_employed_sharpe", number),
    ("Sharpe, gross", "gross_employed_sharpe", number),
    ("Drawdown, net", "net_employed_max_drawdown", percent),
)
TRADING: tuple[str | tuple[str, str, Format], ...] = (
    "Trades",
    ("Trades", "trades", _whole),
    ("At the exit level, of closed trades", "exit_level", _percent0),
    ("  the spread came back", "spread_came_back", _percent0),
    ("  the mean caught up", "mean_caught_up", _percent0),
    ("  the ratio moved", "ratio_moved", _percent0),
    ("Winning trades", "winning_trades", _percent0),
    ("Profit factor", "profit_factor", number),
    ("Mean trade, net (bp)", "mean_trade_net_bp", _bp),
    ("  its t-statistic", "mean_trade_net_t", number),
    ("Mean trade, gross (bp)", "mean_trade_gross_bp", _bp),
    ("  its t-statistic", "mean_trade_gross_t", number),
    ("Days held (calendar)", "holding_days", _bp),
    "Costs",
    ("Cost drag a year", "cost_drag", percent),
    ("Turnover (x capital)", "turnover", number),
    ("Break-even (bp a leg)", "break_even_cost_bps", _bp),
    "Net, by the delay of the fill after the signal",
    ("Return, same close", "delay_0_annual_return", percent),
    ("Return, next close", "delay_1_annual_return", percent),
    ("Sharpe, same close", "delay_0_sharpe", number),
    ("Sharpe, next close", "delay_1_sharpe", number),
)


def metrics_panel(run: RunData, draw: Drawer) -> Panel:
    """Every metric, variants as columns."""
    unit = unit_of(run.net.index)
    return Panel(
        "metrics",
        "Every metric",
        "Committed capital counts every pair that was selected. Employed capital is what was in trades, by the time it "
        "was there: P&L over capital-years. Fully invested is the series of Gatev, Goetzmann and Rouwenhorst (2006), "
        f"each {unit[:-1]} over the pairs that have opened so far: {unit} on which few have count as much as {unit} on "
        "which all "
        "have, so that its sign may differ from the P&L's. Returns and costs are a year's, of "
        f"{year_of(run)}.",
        side_by_side(run, _metrics(run, RETURNS), _metrics(run, TRADING)),
    )


def _metrics(run: RunData, lines: tuple[str | tuple[str, str, Format], ...]) -> Table:
    table, unit = run.summary, unit_of(run.net.index).capitalize()
    rows = []
    for line in lines:
        if isinstance(line, str):
            rows.append(Row(line, kind="group"))
        else:
            head, column, shape = line
            rows.append(Row(head.format(Unit=unit), [shape(float(value)) for value in table[column]]))
    return Table(["", *table["label"]], rows, marks=styles(run))


def evidence_panel(run: RunData, draw: Drawer) -> Panel:
    """Paired differences, other block lengths, model confidence set, track record."""
    options, unit = run.comparison.settings, unit_of(run.net.index)
    return Panel(
        "evidence",
        "Can the data tell them apart?",
        "Differences of Sharpe ratios after Ledoit and Wolf (2008), studentised circular blocks, the same resampled "
        f"{unit} for every variant: {options['draws']:,} draws, blocks of {options['block']} {unit}, "
        f"{options['days']:,} {unit}. The intervals at the top are t intervals with a degree of freedom a block.",
        [
            Beside([draw(equity.plot_sharpe), draw(equity.plot_differences)]),
            _variants(run),
            _differences(run),
            _like_with_like(run),
        ],
    )


def _like_with_like(run: RunData) -> Block:
    """Windows and holding times side by side, and the candidates that all may trade at one risk."""
    table = run.like_with_like
    first = next(iter(run.labels.values()))
    lines: tuple[str | tuple[str, str, Format], ...] = (
        "Its own candidates",
        ("Candidates that it refuses", "refused", _whole),
        ("Bars of the z-score (median)", "window", _whole),
        ("Days held (calendar)", "holding_days", _bp),
        ("Net P&L", "pnl", _whole),
        (f"  at the volatility of {first}", "pnl_at_risk", _whole),
        "Candidates that all may trade",
        ("Candidates", "common", _whole),
        ("Trades", "common_trades", _whole),
        ("Mean trade, net (bp)", "common_mean_bp", _bp),
        ("Sharpe ratio, by cohort", "common_sharpe", number),
        ("Net P&L", "common_pnl", _whole),
        (f"  at the risk of {first}", "common_pnl_at_risk", _whole),
    )
    rows = []
    for line in lines:
        if isinstance(line, str):
            rows.append(Row(line, kind="group"))
        else:
            head, column, shape = line
            rows.append(Row(head, [shape(float(value)) for value in table[column]]))
    return Table(
        ["", *run.labels.values()], rows, "Like with like",
        "A rule's half-life sets its window, and so what it trades and for how long. signal.window gives all rules one "
        "window; `pairs-bt audit` shows what each variant earns by chance. Sharpe ratio: of the returns of the "
        "cohorts, without interest. Risk: the deviation of those returns.",
        marks=styles(run),
    )  # fmt: skip


def _name(run: RunData, name: object) -> str:
    return run.labels.get(str(name), str(name))


def _by_block(table: pd.DataFrame) -> dict[int, pd.DataFrame]:
    return {int(str(length)): part for length, part in table.groupby("block")}


def _differences(run: RunData) -> Block:
    table = run.comparison.differences
    if table.empty:
        return Text("One variant: there is no difference to test.")
    block = int(str(run.comparison.settings["block"]))
    others = {n: part for n, part in _by_block(run.comparison.robustness).items() if n != block}
    rows = []
    for place, row in enumerate(table.to_dict("records")):
        elsewhere = [pvalue(part["pvalue_holm"].iloc[place]) for part in others.values()]
        rows.append(
            Row(
                f"{_name(run, row['first'])} over {_name(run, row['second'])}",
                [
                    signed(row["difference"]), number(row["std_error"]),
                    interval(row["low"], row["high"]),
                    pvalue(row["pvalue"]), pvalue(row["pvalue_holm"]), number(row["detectable"]), *elsewhere,
                ],
                note=why_not(row),
            )
        )  # fmt: skip
    head = ["Net Sharpe ratio", "difference", "std. error", "95% interval", "p", "p (Holm)", "findable"]
    return Table(
        [*head, *(f"p (Holm), {n}-{unit_of(run.net.index)[:-1]} blocks" for n in others)],
        rows,
        "Paired differences",
        "Holm's adjustment pays for the number of pairs compared; below 0.05 two variants differ. Findable: the "
        "true difference that four of five such samples would find. A verdict that turns with the block length is not "
        "settled.",
    )


def _line(metrics: pd.DataFrame, name: str) -> list[float]:
    return [float(value) for value in metrics.loc[name].to_numpy(dtype=float)]


def _variants(run: RunData) -> Block:
    found = run.comparison
    names = list(found.confidence_set.index)
    sets, metrics = found.confidence_set, found.metrics
    unit = unit_of(run.net.index).capitalize()
    rows = [
        Row("Highest Sharpe ratio?", kind="group"),
        Row(
            "In the 95% set",
            [
                ("yes" if row else "no") if not math.isnan(p) else NOTHING
                for row, p in zip(sets["included"], sets["pvalue"], strict=True)
            ],
        ),
        Row("p that none is better", [pvalue(v) for v in sets["pvalue"]]),
        Row("Track record", kind="group"),
        Row("P(Sharpe ratio > 0)", [percent(v, 0) for v in _line(metrics, "probabilistic_sharpe")]),
        Row(f"{unit} needed for 95%", [number(v, 0) for v in _line(metrics, "minimum_track_record_days")]),
        Row(f"{unit} there are", [number(v, 0) for v in _line(metrics, "days")]),
        Row("Skewness", [number(v) for v in _line(metrics, "skew")]),
        Row("Kurtosis (normal: 3)", [number(v, 1) for v in _line(metrics, "kurtosis")]),
    ]
    reasons = sorted({str(text) for text in sets["reason"] if text})
    note = (
        "In the 95% set: no other variant is shown to have a higher Sharpe ratio, by the adjusted p-values of the "
        "paired differences. Track record: Bailey and Lopez de Prado (2012)."
    )
    if reasons:
        note += f" A dash: {'; '.join(reasons)}."
    try:
        exposure = market_exposure(run.net, run.prices)
    except PairsError as error:
        note += f" The market's part is not shown: {error}"
    else:
        rows += [
            Row("Against an equal-weight index of the universe", kind="group"),
            Row("Beta", [number(v, 3) for v in exposure["beta"]]),
            Row("Correlation", [number(v, 3) for v in exposure["correlation"]]),
        ]
    return Table(["", *(_name(run, n) for n in names)], rows, note=note, marks=styles(run))


def equity_panel(run: RunData, draw: Drawer) -> Panel:
    """Rolling Sharpe ratio, and equity before costs; net equity stands at the top of the page."""
    return Panel(
        "equity",
        "Through time",
        "On committed capital, profits reinvested. Growth net of costs and borrow is at the top; before them it was "
        "this:",
        [Beside([draw(equity.plot_equity, "gross"), draw(equity.plot_rolling_sharpe)])],
    )


def cohorts_panel(run: RunData, draw: Drawer) -> Panel:
    """Cohort bars, win matrix, concentration."""
    blocks: list[Block] = [*side_by_side(run, draw(equity.plot_cohorts), _wins(run)), *concentration_tables(run)]
    return Panel(
        "cohorts",
        "Cohort by cohort",
        "Each window's pairs are one cohort with its own capital. Cohorts overlap in time, so neighbouring bars are "
        "not independent.",
        blocks,
    )


def _wins(run: RunData) -> Block:
    wins, windows = run.comparison.wins, run.comparison.windows
    if wins is None or windows is None or len(wins) < 2:
        return Text("One variant: nothing to win against.")
    rows = []
    for name in wins.index:
        cells = []
        for other in wins.columns:
            total = int(windows.loc[name, other])
            share = wins.loc[name, other] / total if total else 0.0
            text = NOTHING if name == other else f"{wins.loc[name, other]} of {total}"
            cells.append(Cell(text, share=0.0 if name == other else 2 * share - 1, heat=name != other))
        rows.append(Row(_name(run, name), cells))
    head = ["beat \N{RIGHTWARDS ARROW}", *(_name(run, n) for n in wins.columns)]
    note = "Windows in which the row earned more than the column. Ties count for neither."
    return Table(head, rows, "Cohorts won", note, marks=styles(run))


def calendar_panel(run: RunData, draw: Drawer) -> Panel:
    """Annual table and monthly heatmaps."""
    wide = run.net
    blocks: list[Block] = []
    if wide.empty:
        return Panel("calendar", "Year by year", "", [Text("No day was traded.")])
    dates = pd.DatetimeIndex(wide.index)
    yearly = _compound(wide, dates.year)
    depth = max(float(np.nanmax(np.abs(yearly.to_numpy()))), 1e-12)
    rows = [Row(str(year), [_heat(value, depth) for value in values]) for year, values in _rows(yearly)]
    blocks.append(
        Table(["", *(_name(run, n) for n in yearly.columns)], rows, "Net return by year (%)", marks=styles(run))
    )
    monthly = _compound(wide, [dates.year, dates.month])
    depth = max(float(np.nanquantile(np.abs(monthly.to_numpy()), 0.98)), 1e-12)
    maps = [_months(monthly[name], _name(run, name), depth) for name in monthly.columns]
    return Panel(
        "calendar",
        "Year by year",
        "Compound net returns on committed capital, in per cent. Blue gained, orange lost; every month map has the "
        "same depth of colour.",
        [*blocks, Beside(maps)],
    )


def _rows(frame: pd.DataFrame) -> list[tuple[Any, list[float]]]:
    return [(key, [float(v) for v in row]) for key, row in zip(frame.index, frame.to_numpy(), strict=True)]


def _compound(wide: pd.DataFrame, by: Any) -> pd.DataFrame:
    # prod(1 + r) - 1 within each period
    return (1.0 + wide).groupby(by).prod() - 1.0


def _heat(value: float, depth: float, digits: int = 2) -> Cell:
    if math.isnan(value):
        return Cell("")
    return Cell(number(100 * value, digits), share=max(-1.0, min(1.0, value / depth)), heat=True)


def _months(series: pd.Series, label: str, depth: float) -> Table:
    grid = series.unstack().reindex(columns=range(1, 13))
    rows = [Row(str(year), [_heat(value, depth, 1) for value in values], kind="tight") for year, values in _rows(grid)]
    return Table(["", *"JFMAMJJASOND"], rows, label, marks={}, narrow=True)
