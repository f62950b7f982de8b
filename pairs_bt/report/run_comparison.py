"""The comparison of runs for the terminal and as a page."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from markupsafe import Markup

from pairs_bt.common.formatting import day, in_ascii, interval, number, percent, pvalue, signed, text_table, why_not
from pairs_bt.report.blocks import Beside, Block, Cell, Picture, Row, Table, Text
from pairs_bt.report.page import environment
from pairs_bt.report.palette import css_variables
from pairs_bt.report.plots.equity import plot_runs_equity
from pairs_bt.report.plots.svg import to_svg
from pairs_bt.runs.run_comparison import RunComparison


def tables(found: RunComparison) -> dict[str, Table]:
    """The tables of both faces: days, configs, metrics, across (one variant, two runs), differences (of two runs)."""
    return {
        "days": _days(found),
        "configs": _configs(found),
        "metrics": _metrics(found),
        "across": _differences(found.across.to_dict("records"), "The same variant in two runs"),
        "differences": _differences(found.comparison.differences.to_dict("records"), "Every two series of two runs"),
    }


def _days(found: RunComparison) -> Table:
    rows = [
        Row(str(name), [day(row["first"]), day(row["last"]), number(row["days"], 0), number(row["in common"], 0)])
        for name, row in zip(found.days.index, found.days.to_dict("records"), strict=True)
    ]
    return Table(["run", "from", "to", "days", "in common"], rows, "Dates")


def _configs(found: RunComparison) -> Table:
    rows = [
        # Checksums and long lists may break anywhere.
        Row(
            str(key),
            [Cell(v or "(none)", "text code" if len(v) > 40 else "text") for v in map(str, found.configs.loc[key])],
        )
        for key in found.configs.index
    ]
    return Table(["key", *found.names], rows, "What differs between the configs, the prices and the versions")


def _metrics(found: RunComparison) -> Table:
    found_metrics = found.comparison.metrics.to_dict()
    intervals = found.comparison.intervals.to_dict("index")
    sets = found.comparison.confidence_set.to_dict("index")
    trades = {name: float(found.series["trades"][equal[0]]) for name, equal in found.members.items()}
    rows = []
    for name in found.comparison.metrics:
        own, bounds = found_metrics[name], intervals[name]
        cells = [percent(own[key]) for key in ("annual_return", "annual_volatility")]
        cells += [number(own["sharpe"]), interval(bounds["low"], bounds["high"]), percent(own["max_drawdown"])]
        rows.append(Row(str(name), [*cells, number(trades[str(name)], 0), pvalue(sets[name]["pvalue"])]))
    head = ["net, on the common dates", "return a year", "volatility", "Sharpe", "95% interval", "drawdown", "trades"]
    return Table([*head, "p, none better"], rows, "Metrics")


def _differences(records: list[dict[Hashable, Any]], title: str) -> Table:
    rows = [
        Row(
            f"{row['first']} over {row['second']}",
            [signed(row["difference"]), number(row["std_error"]), interval(row["low"], row["high"]),
             pvalue(row["pvalue"]), pvalue(row["pvalue_holm"]), number(row["detectable"])],
            note=why_not(row),
        )
        for row in records
    ]  # fmt: skip
    head = ["net Sharpe ratio", "difference", "std. error", "95% interval", "p", "p (Holm)", "findable"]
    return Table(head, rows, title)


def as_text(table: Table) -> str:
    """A table for the terminal, in ASCII signs: first column left, text left, numbers right."""
    body = [[row.head, *(in_ascii(c if isinstance(c, str) else c.text) for c in row.cells)] for row in table.rows]
    left = [k == 0 or kind == "text" for k, (_, kind) in enumerate(table.columns)]
    return text_table([[str(head) for head in table.head], *body], left)


def render_comparison(found: RunComparison) -> str:
    """The page: one self-contained file, the same bytes for the same runs."""
    laid = tables(found)
    # One variant may be called differently in two runs, by what stands beside it there.
    names = found.series.groupby("variant", sort=False)["label"].agg(lambda own: " / ".join(own.unique())).to_dict()
    pictures = [
        Picture(Markup(to_svg(plot_runs_equity(net, names[key]), f"equity{number}", f"Growth of 1 of {names[key]}")))
        for number, (key, net) in enumerate(found.by_variant().items())
    ]
    same = Text("The configs, prices and versions are the same.")
    blocks: list[Block] = [
        Beside(pictures),
        laid["metrics"],
        laid["configs"] if laid["configs"].rows else same,
        laid["days"],
        laid["across"] if laid["across"].rows else Text("No variant is in two of the runs."),
        laid["differences"],
    ]
    return (
        environment()
        .get_template("compare.html.jinja")
        .render(
            title=" and ".join(found.names),
            verdict=found.verdict,
            intro=_intro(found),
            blocks=blocks,
            light=css_variables(0),
            dark=css_variables(1),
        )
    )


def _intro(found: RunComparison) -> str:
    options = found.comparison.settings
    count = len(found.comparison.differences)
    return (
        f"{len(found.names)} runs on the {len(found.net):,} dates that they share, {day(found.net.index[0])} to "
        f"{day(found.net.index[-1])}. Differences after Ledoit and Wolf (2008), {options['draws']:,} draws, blocks of "
        f"{options['block']} days; Holm's adjustment pays for all {count} pairs of series from two runs. Findable: "
        "the true difference that four of five such samples would find. Runs that were chosen after looking "
        "at results need more than that: count the runs that were not kept, too."
    )
