"""The report of a run: one self-contained HTML file, the same bytes whenever it is made from the same run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from pairs_bt.common.files import write_text
from pairs_bt.errors import PairsError
from pairs_bt.report.palette import css_variables, variant_dash
from pairs_bt.runs.run_data import RunData
from pairs_bt.runs.run_folder import EXPLORER

# With more variants the headline table needs the whole width, and the equity stands below it.
MAX_BESIDE_EQUITY = 8

if TYPE_CHECKING:
    from jinja2 import Environment


def write_report(run: RunData, path: Path, *, pairs: Sequence[tuple[str, str]] = ()) -> None:
    """Write the report of a finished run.

    Parameters
    ----------
    run : Run
        Its tables are read, and the prices if they are at hand. Where its folder holds ``explore.html``, a report in
        the same folder links every pair to it.
    path : Path
        The file to write.
    pairs : sequence of (y, x)
        Pairs that get a page beside the best, the median and the worst; in either order.
    """
    path = Path(path)
    write_text(path, render_report(run, pairs=pairs, explorer=_explorer_beside(run, path)))


def _explorer_beside(run: RunData, path: Path) -> str:
    """Address of the run's explorer as seen from the report at `path`; '' unless both are in the run's folder."""
    if run.folder is None or path.absolute().parent != run.folder.absolute():
        return ""
    return EXPLORER if (run.folder / EXPLORER).is_file() else ""


def render_report(run: RunData, *, pairs: Sequence[tuple[str, str]] = (), explorer: str = "") -> str:
    """Make the report's HTML; with an address of the run's explorer, pairs are linked to it."""
    from pairs_bt.report.blocks import Drawer, styles
    from pairs_bt.report.panels import (
        concentration,
        entry_levels,
        hedge_effectiveness,
        held_ratios,
        pair_index,
        results,
        scan,
        trades,
    )  # fmt: skip
    from pairs_bt.report.plots.equity import plot_equity

    draw = Drawer(run)
    makers = (
        results.metrics_panel,
        results.evidence_panel,
        held_ratios.held_panel,
        hedge_effectiveness.effectiveness_panel,
        results.equity_panel,
        trades.money_panel,
        trades.costs_panel,
        results.cohorts_panel,
        results.calendar_panel,
        trades.trades_panel,
    )
    sections = [make(run, draw) for make in makers]
    sections += entry_levels.thresholds_panels(run, draw)
    sections.append(trades.pair_panels(run, draw, pairs))
    sections.append(pair_index.index_panel(run, draw, explorer))
    sections += [scan.scan_panel(run, draw), scan.data_panel(run, draw)]
    return (
        environment()
        .get_template("report.html.jinja")
        .render(
            title=f"pairs_bt: {run.source.get('name') or 'prices'}",
            facts=_facts(run),
            verdict=run.comparison.verdict,
            claim=run.config.execution.pnl == "spread",
            empty=run.trades.empty,
            held=held_ratios.held_notes(run),
            headline=_headline(run),
            single_trades=concentration.single_trades(run),
            picture=draw(plot_equity),
            sections=sections,
            swatches=_swatches(styles(run)),
            crowded=len(run.labels) > MAX_BESIDE_EQUITY,
            light=css_variables(0),
            dark=css_variables(1),
        )
    )


def render_card(run: RunData) -> str:
    """A run as Jupyter shows it: verdict, headline table, equity."""
    from pairs_bt.report.blocks import styles
    from pairs_bt.report.plots.equity import plot_equity
    from pairs_bt.report.plots.svg import to_svg

    picture = Markup(to_svg(plot_equity(run), "card", "Growth of 1 and drawdown"))
    return environment().get_template("card.html.jinja").render(
        headline=_headline(run), verdict=run.comparison.verdict, picture=picture, swatches=_swatches(styles(run)),
        claim=run.config.execution.pnl == "spread", light=css_variables(0),
    )  # fmt: skip


def environment() -> Environment:
    """The templates: everything is escaped, and a missing value is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    out = Environment(
        loader=PackageLoader("pairs_bt.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    out.filters["ticks"] = _ticks
    return out


def _ticks(text: str) -> Markup:
    """Escape a text, and show what stands between backticks as code."""
    parts = str(escape(text)).split("`")
    if len(parts) % 2 == 0:
        return Markup("`".join(parts))
    return Markup("".join(f"<code>{part}</code>" if k % 2 else part for k, part in enumerate(parts)))


def _facts(run: RunData) -> list[tuple[str, str]]:
    from pairs_bt.common.formatting import day
    from pairs_bt.report.panels.bar_lengths import bars_fact

    source, counts, execution = run.source, run.windows.sum(), run.config.execution
    span = run.net.index
    later = "at the next close" if execution.lag == 1 else f"{execution.lag} closes later"
    fills = "at the signal's own close" if execution.lag == 0 else later
    return [
        ("prices", f"{source.get('tickers')} tickers, {_span(run)}"),
        ("traded", f"{day(span[0])} to {day(span[-1])}" if len(span) else "nothing"),
        ("windows", f"{len(run.windows)} of {run.config.windows.train} train, {run.config.windows.trade} trade"),
        ("pairs", f"{int(counts['tested']):,} tested, {int(counts['selected']):,} selected"),
        ("costs", f"{execution.cost_bps:g} bp a leg and side, {execution.borrow_bps:g} bp borrow a year"),
        ("fills", fills),
        *bars_fact(run),
    ]  # fmt: skip


def _span(run: RunData) -> str:
    """First and last date of the prices used."""
    from pairs_bt.common.formatting import day, span

    try:
        dates = run.prices.index
    except PairsError:
        return span(run.source, run.config.data.start, run.config.data.end)
    return f"{day(dates[0])} to {day(dates[-1])}"


def _headline(run: RunData) -> Any:
    from pairs_bt.common.formatting import number, percent
    from pairs_bt.report.blocks import Row, Table, styles
    from pairs_bt.report.panels.concentration import headline_rows

    table = run.summary
    interval = run.comparison.intervals
    rows = [
        Row("Net return a year", [percent(v) for v in table["net_annual_return"]]),
        Row("Net Sharpe ratio", [number(v) for v in table["net_sharpe"]], kind="total"),
        Row("  95% interval from", [number(v) for v in interval["low"]]),
        Row("  to", [number(v) for v in interval["high"]]),
        Row("Maximum drawdown", [percent(v) for v in table["net_max_drawdown"]]),
        *headline_rows(run),
        Row("Trades", [number(v, 0) for v in table["trades"]]),
        Row("Mean trade, net (bp)", [number(v, 1) for v in table["mean_trade_net_bp"]]),
        Row("Break-even (bp a leg)", [number(v, 1) for v in table["break_even_cost_bps"]]),
    ]
    idle = [str(label) for label, trades in zip(table["label"], table["trades"], strict=True) if not trades]
    why = f"A dash: {' and '.join(idle)} made no trade, so there is nothing to measure." if idle else ""
    return Table(["", *table["label"]], rows, note=why, marks=styles(run))


def _swatches(numbers: dict[str, int]) -> dict[str, tuple[int, str]]:
    """Colour number and SVG dash of each label."""
    return {
        label: (number, " ".join(f"{1.6 * part:g}" for part in variant_dash(number)))
        for label, number in numbers.items()
    }
