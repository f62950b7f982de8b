"""Panels on what the variants earned and whether the data can tell them apart."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from pairs_bt.compare import market_exposure
from pairs_bt.errors import PairsError
from pairs_bt.panels import Beside, Block, Cell, Drawer, Panel, Row, Table, Text, styles
from pairs_bt.plots import portfolio
from pairs_bt.results import Run
from pairs_bt.wording import NOTHING, number, percent, pvalue, signed

Format = Callable[[float], str]


def _bp(value: float) -> str:
    return number(value, 1)


def _whole(value: float) -> str:
    return number(value, 0)


def _percent0(value: float) -> str:
    return percent(value, 0)


# Head, column of the summary, format; one string is a heading within the table.
METRICS: tuple[str | tuple[str, str, Format], ...] = (
    "Net of costs and borrow, on committed capital",
    ("Return a year", "net_annual_return", percent),
    ("Volatility", "net_volatility", percent),
    ("Sharpe ratio", "net_sharpe", number),
    ("Sortino ratio", "net_sortino", number),
    ("Calmar ratio", "net_calmar", number),
    ("Maximum drawdown", "net_max_drawdown", percent),
    ("Days that gained", "net_hit_rate", _percent0),
    "Gross, on committed capital",
    ("Return a year", "gross_annual_return", percent),
    ("Volatility", "gross_volatility", percent),
    ("Sharpe ratio", "gross_sharpe", number),
    ("Maximum drawdown", "gross_max_drawdown", percent),
    "On employed capital (pairs that opened)",
    ("Return a year, net", "net_employed_annual_return", percent),
    ("Return a year, gross", "gross_employed_annual_return", percent),
    ("Sharpe ratio, net", "net_employed_sharpe", number),
    ("Sharpe ratio, gross", "gross_employed_sharpe", number),
    ("Maximum drawdown, net", "net_employed_max_drawdown", percent),
    "Filled at the close of the signal, or one close later (net)",
    ("Return a year, delay 0", "delay_0_annual_return", percent),
    ("Return a year, delay 1", "delay_1_annual_return", percent),
    ("Sharpe ratio, delay 0", "delay_0_sharpe", number),
    ("Sharpe ratio, delay 1", "delay_1_sharpe", number),
    "Trades",
    ("Trades", "trades", _whole),
    ("Converged", "converged", _percent0),
    ("Winning trades", "winning_trades", _percent0),
    ("Profit factor", "profit_factor", number),
    ("Mean trade, net (bp)", "mean_trade_net_bp", _bp),
    ("  its t-statistic", "mean_trade_net_t", number),
    ("Mean trade, gross (bp)", "mean_trade_gross_bp", _bp),
    ("  its t-statistic", "mean_trade_gross_t", number),
    ("Holding (calendar days)", "holding_days", _bp),
    "Costs",
    ("Cost drag a year", "cost_drag", percent),
    ("Turnover a year (times capital)", "turnover", number),
    ("Break-even cost (bp a leg and side)", "break_even_cost_bps", _bp),
)


def metrics_panel(run: Run, draw: Drawer) -> Panel:
    """Every metric, variants as columns."""
    table = run.summary
    rows = []
    for line in METRICS:
        if isinstance(line, str):
            rows.append(Row(line, kind="group"))
        else:
            head, column, shape = line
            rows.append(Row(head, [shape(float(value)) for value in table[column]]))
    return Panel(
        "metrics",
        "Every metric",
        "Committed capital counts every pair that was selected, employed capital only pairs that opened a trade "
        "(Gatev, Goetzmann and Rouwenhorst 2006). A year has 252 days; idle cash earns the config's rate.",
        [Table(["", *table["label"]], rows, marks=styles(run))],
    )


def evidence_panel(run: Run, draw: Drawer) -> Panel:
    """Intervals, paired differences, other block lengths, model confidence set."""
    found = run.comparison
    options = found.settings
    blocks: list[Block] = [Beside([draw(portfolio.plot_sharpe), draw(portfolio.plot_differences)])]
    blocks += [_differences(run), Beside([_robustness(run), _sets(run)]), Beside([_track(run), _exposure(run)])]
    return Panel(
        "evidence",
        "Can the data tell them apart?",
        f"Sharpe ratios with stationary-bootstrap intervals, the same resampled days for every variant; differences "
        f"after Ledoit and Wolf (2008), studentised circular blocks. {options['draws']:,} draws, blocks of "
        f"{options['block']} days, {options['days']:,} days.",
        blocks,
    )


def _name(run: Run, name: object) -> str:
    return run.labels.get(str(name), str(name))


def _differences(run: Run) -> Block:
    table = run.comparison.differences
    if table.empty:
        return Text("One variant: there is no difference to test.")
    rows = [
        Row(
            f"{_name(run, row.first)} over {_name(run, row.second)}",
            [signed(row.difference), number(row.std_error), f"{number(row.low)} to {number(row.high)}",
             pvalue(row.pvalue), pvalue(row.pvalue_holm)],
            note=row.reason,
        )
        for row in table.itertuples()
    ]  # fmt: skip
    return Table(
        ["Net Sharpe ratio", "difference", "std. error", "95% interval", "p", "p (Holm)"],
        rows,
        "Paired differences",
        "Holm's adjustment pays for the number of pairs compared; below 0.05 two variants differ.",
    )


def _robustness(run: Run) -> Block:
    table = run.comparison.robustness
    if table.empty:
        return Text("One variant: nothing to repeat with other block lengths.")
    wide = table.pivot_table(index=["first", "second"], columns="block", values="pvalue_holm", sort=False, dropna=False)
    lengths = sorted(int(length) for length in table["block"].unique())
    rows = []
    for (first, second), part in table.groupby(["first", "second"], sort=False):
        values = part.set_index("block")["pvalue_holm"].reindex(lengths)
        rows.append(Row(f"{_name(run, first)} over {_name(run, second)}", [pvalue(v) for v in values]))
    del wide
    return Table(
        ["p (Holm) with blocks of", *(f"{length} days" for length in lengths)],
        rows,
        "Half and double the block length",
        "A verdict that turns with the block length is not settled.",
    )


def _sets(run: Run) -> Block:
    confidence, superior = run.comparison.confidence_set, run.comparison.superior
    rows = []
    for name in confidence.index:
        mcs, spa = confidence.loc[name], superior.loc[name]
        inside = ("yes" if mcs["included"] else "no") if not math.isnan(mcs["pvalue"]) else NOTHING
        rows.append(
            Row(
                _name(run, name),
                [Cell(inside, "text"), pvalue(mcs["pvalue"]), pvalue(spa["consistent"])],
                note=mcs["reason"],
            )
        )
    return Table(
        ["", "in the set (95%)", "p, MCS", "p, SPA"],
        rows,
        "Best by mean return",
        "Model Confidence Set (Hansen, Lunde and Nason 2011): variants not shown to earn less than the best. SPA "
        "(Hansen 2005): a small p says that some other variant earns more than this one.",
        marks=styles(run),
    )


def _track(run: Run) -> Block:
    metrics = run.comparison.metrics
    rows = [
        Row("P(Sharpe ratio > 0)", [percent(v, 0) for v in metrics.loc["probabilistic_sharpe"]]),
        Row("Days needed to show it (95%)", [number(v, 0) for v in metrics.loc["minimum_track_record_days"]]),
        Row("Days there are", [number(v, 0) for v in metrics.loc["days"]]),
        Row("Skewness", [number(v) for v in metrics.loc["skew"]]),
        Row("Kurtosis (normal: 3)", [number(v, 1) for v in metrics.loc["kurtosis"]]),
    ]
    return Table(["", *(_name(run, n) for n in metrics.columns)], rows, "Track record",
                 "Bailey and Lopez de Prado (2012): a Sharpe ratio judged with its skewness and kurtosis.",
                 marks=styles(run))  # fmt: skip


def _exposure(run: Run) -> Block:
    try:
        table = market_exposure(run.net, run.prices)
    except PairsError as error:
        return Text(f"Market exposure is not shown: {error}")
    rows = [
        Row("Beta", [number(v, 3) for v in table["beta"]]),
        Row("Correlation", [number(v, 3) for v in table["correlation"]]),
    ]
    return Table(["", *(_name(run, n) for n in table.index)], rows, "Against an equal-weight index of the universe",
                 "A hedged book should have little of either.", marks=styles(run))  # fmt: skip


def equity_panel(run: Run, draw: Drawer) -> Panel:
    """Equity, drawdown, rolling Sharpe ratio."""
    return Panel(
        "equity",
        "Through time",
        "Net of costs and borrow, profits reinvested, on committed capital.",
        [Beside([draw(portfolio.plot_equity), draw(portfolio.plot_rolling_sharpe)])],
    )


def cohorts_panel(run: Run, draw: Drawer) -> Panel:
    """Cohort bars, win matrix, concentration."""
    blocks: list[Block] = [Beside([draw(portfolio.plot_cohorts), _wins(run)]), _concentration(run)]
    return Panel(
        "cohorts",
        "Cohort by cohort",
        "Each window's pairs are one cohort with its own capital. Cohorts overlap in time, so neighbouring bars are "
        "not independent.",
        blocks,
    )


def _wins(run: Run) -> Block:
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
    return Table(["beat \N{RIGHTWARDS ARROW}", *(_name(run, n) for n in wins.columns)], rows, "Cohorts won",
                 "Windows in which the row earned more than the column. Ties count for neither.", marks=styles(run))  # fmt: skip


def _concentration(run: Run) -> Block:
    table = run.comparison.concentration
    if table is None or not table["trades"].sum():
        return Text("No trade: nothing to be concentrated.")
    rows = []
    for name, row in table.iterrows():
        best = row["best_cohort"]
        cohort = f"{pd.Timestamp(best):%Y-%m-%d}" if best is not None and not pd.isna(best) else NOTHING
        rows.append(
            Row(
                _name(run, name),
                [number(row["total_pnl"], 0), percent(row["best_trades_share"], 0),
                 Cell(str(row["best_pair"]) if row["best_pair"] is not None else NOTHING, "text"), percent(row["best_pair_share"], 0),
                 Cell(cohort, "text"), percent(row["best_cohort_share"], 0)],
            )
        )  # fmt: skip
    return Table(
        ["", "net P&L ($)", "best 1% of trades", "best pair", "its share", "best cohort", "its share"],
        rows,
        "How much came from how little",
        "Shares of a variant's net P&L; above 100%, everything else together lost. A dash where the variant lost money.",
        marks=styles(run),
    )


def calendar_panel(run: Run, draw: Drawer) -> Panel:
    """Annual table and monthly heatmaps."""
    wide = run.net
    blocks: list[Block] = []
    if wide.empty:
        return Panel("calendar", "Year by year", "", [Text("No day was traded.")])
    yearly = _compound(wide, wide.index.year)
    depth = max(float(np.nanmax(np.abs(yearly.to_numpy()))), 1e-12)
    rows = [Row(str(year), [_heat(value, depth) for value in values]) for year, values in _rows(yearly)]
    blocks.append(
        Table(["", *(_name(run, n) for n in yearly.columns)], rows, "Net return by year (%)", marks=styles(run))
    )
    monthly = _compound(wide, [wide.index.year, wide.index.month])
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
