"""Panel on what each variant held: the price quotient, the relation that was tested, or something else."""

from __future__ import annotations

from pairs_bt.backtest.held_ratios import MOST, NEAR, quotient_variants
from pairs_bt.common.formatting import number, percent
from pairs_bt.config.schema import Filter
from pairs_bt.report.blocks import Block, Drawer, Panel, Row, Table, Text, styles
from pairs_bt.runs.run_data import RunData

_INTRO = (
    "A hedge ratio times x / y is the dollars of x against one dollar of y. Where it is 1, the ratio is the quotient "
    "of the prices and the position is equal dollars. A hedge ratio over the least squares slope of the train window "
    "is 1 where the position is the relation that the tests accepted. All figures are of the ratio on the first trade "
    "bar, over every candidate of every window, traded or refused."
)

_LINES = (
    ("Ratio times x / y", None, None),
    ("5% of pairs below", "quotient_low", number),
    ("median", "quotient", number),
    ("5% of pairs above", "quotient_high", number),
    ("within 5% of the price quotient", "near_quotient", percent),
    ("Ratio over least squares slope", None, None),
    ("5% of pairs below", "ols_low", number),
    ("median", "ols", number),
    ("5% of pairs above", "ols_high", number),
    ("Spread and market", None, None),
    ("spread stationary in its own train window", "stationary", percent),
    ("size of the position's beta on the universe's mean (median)", "market_beta", number),
)


def held_panel(run: RunData, draw: Drawer) -> Panel:
    """What the ratios are, a column a variant."""
    blocks: list[Block] = []
    table = run.held
    if table.empty:
        blocks.append(Text("No candidate had a hedge ratio."))
    else:
        names = [name for name in run.labels if name in table.index]
        rows = [
            Row(head, kind="group")
            if column is None or shape is None
            else Row(head, [shape(float(table[column][name])) for name in names])
            for head, column, shape in _LINES
        ]
        note = (
            "Stationary: an augmented Dickey-Fuller test of the spread about its mean rejects a unit root at 5%. A "
            "ratio that was fitted to the same bars, such as ols, passes more easily than one that was not."
        )
        blocks.append(Table(["", *(run.labels[n] for n in names)], rows, "What was held", note, marks=styles(run)))
    return Panel("held", "What was held", _INTRO, blocks)


def held_notes(run: RunData) -> list[str]:
    """Sentences for the headline: which variants are the price quotient, and what `fixed_first` holds."""
    named = [run.labels[name] for name in quotient_variants(run.held) if name in run.labels]
    notes = []
    if named:
        which = ", ".join(named[:-1]) + (" and " if len(named) > 1 else "") + named[-1]
        verb, their = ("are", "their ratios are") if len(named) > 1 else ("is", "its ratio is")
        notes.append(
            f"{which} {verb} the price quotient: in {MOST:.0%} of the pairs or more, {their} within {NEAR:.0%} of "
            "y / x. That is a position in equal dollars of both legs, not the relation that the tests accepted."
        )
    moving = [variant.label for variant in run.variants if variant.rule == "dynamic"]
    if moving and run.config.filter.model == "random_walk":
        notes.append(
            f"{moving[0]} takes its ratio from a filter that has only white noise beside it. A spread that reverts is "
            "no white noise, and the ratio moves to explain it: on planted pairs this rule earns nothing."
        )
    elif moving:
        notes.append(
            f"{moving[0]} follows a ratio that walks. After a break it finds no reversion for a while and trades less: "
            "there a held ratio keeps more on planted pairs."
        )
    first = [variant.label for variant in run.variants if variant.rule == "fixed_first"]
    if first:
        notes.append(f"{first[0]} holds {_first_value(run.config.filter)}.")
    return notes


def _first_value(options: Filter) -> str:
    if options.burn_in > 1:
        return (
            f"the filter's value after {options.burn_in} train bars: the first ones, at which it is still finding its "
            "start, are left out. Later bars do not change it, so it is an estimate from few and old prices"
        )
    if options.start == "given":
        return (
            "the filter's first value, after one bar: what its start makes of it, before a price change has been seen"
        )
    return "the filter's first value, after one bar: half of the price quotient, for the filter knows nothing yet"
