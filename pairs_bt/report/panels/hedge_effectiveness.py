"""Panel on how well each variant's ratio hedged the bars that followed it."""

from __future__ import annotations

import math

import pandas as pd

from pairs_bt.common.formatting import number, percent
from pairs_bt.models.hedge_effectiveness import HORIZONS, effectiveness_summary
from pairs_bt.report.blocks import Block, Bullets, Drawer, Panel, Row, Table, Text, styles
from pairs_bt.runs.run_data import RunData
from pairs_bt.stats.hedge_effectiveness import NO_HEDGE

_INTRO = (
    "A holder of one share of y is short the ratio in shares of x. The hedge error is what the two gain together over "
    "the bars that follow, with the ratio as it was known before them, over the trade window of every candidate, "
    "traded or refused. Effectiveness is 1 less the error's variance over that of y's change alone: 1 is a perfect "
    "hedge, 0 no hedge, and below 0 the hedge adds risk. A ratio that makes the spread stationary is not always one "
    "that hedges tomorrow: the first is about where prices meet again, the second about how they move together."
)
_LEVEL = 0.05
_NAMES = {1: "Next bar", 5: "Five bars", 21: "21 bars"}
_LINES = (
    ("effectiveness, median", "effectiveness", percent),
    ("effectiveness, mean", "effectiveness_mean", percent),
    ("of all dollars pooled", "pooled", percent),
    ("pairs with less risk than no hedge", "helped", percent),
    ("mean error smaller by (median)", "mae", percent),
    ("worst 5% of errors smaller by (median)", "tail", percent),
    ("x traded a bar for a dollar of y (median)", "turnover", lambda value: percent(value, 3)),
)


def effectiveness_panel(run: RunData, draw: Drawer) -> Panel:
    """Effectiveness by horizon, a column a variant, and the tests between them."""
    blocks: list[Block] = []
    made = effectiveness_summary(run.hedge_effectiveness)
    if made.empty:
        blocks.append(Text("No candidate had enough bars in its trade window."))
    else:
        present = set(made.index.get_level_values("variant"))
        names = [name for name in run.labels if name in present]
        rows = []
        for horizon in HORIZONS:
            if horizon not in made.index.get_level_values("horizon"):
                continue
            part = made.loc[horizon]
            rows.append(Row(_NAMES[horizon], kind="group"))
            for head, column, shape in _LINES:
                values = [float(part[column].get(name, math.nan)) for name in names]
                rows.append(Row(head, [shape(value) for value in values]))
        heads = ["", *(run.labels[name] for name in names)]
        note = "A mean far below the median comes from a few wild ratios."
        blocks.append(Table(heads, rows, "Hedge effectiveness, out of sample", note, marks=styles(run)))
        blocks.append(Bullets(effectiveness_words(run)))
    return Panel("effectiveness", "Does the hedge hedge?", _INTRO, blocks)


def effectiveness_words(run: RunData) -> list[str]:
    """Sentences: which rules beat no hedge over the next bar, which lose to it, and what the best one leads by."""
    table = run.hedge_differences
    labels = run.labels
    against = table[table["second"] == NO_HEDGE].set_index("first")
    if against.empty or against["pvalue"].isna().all():
        windows = int(against["windows"].max()) if len(against) else 0
        return [f"{windows} windows are too few to test the differences."]
    sure = against["pvalue_holm"] < _LEVEL
    better, worse = against.index[sure & (against["mean"] < 0.0)], against.index[sure & (against["mean"] > 0.0)]
    open_ = [name for name in against.index if name not in better and name not in worse]
    out = [
        f"{text}: {', '.join(labels[name] for name in which)}."
        for text, which in (
            ("Less risk than no hedge", better), ("More risk than no hedge", worse), ("Not told from no hedge", open_),
        )
        if len(which)
    ]  # fmt: skip
    best = str(against["mean"].idxmin())
    out.append(_lead(table, best, labels))
    kept = [labels.get(str(name), str(name)) for name in run.hedge_set.index[run.hedge_set["included"]]]
    if kept:
        out.append(f"Not shown to be worse than the best (model confidence set, 5%): {', '.join(kept)}.")
    first = against.iloc[0]
    out.append(
        f"Diebold-Mariano tests of log variances over {int(first['windows'])} windows ({int(first['pairs'])} "
        f"pair-windows), each the mean over its pairs, for windows that overlap; p-values by Holm over all "
        f"{int(table['pvalue'].notna().sum())} comparisons, at {_LEVEL:.0%}."
    )
    return out


def _lead(table: pd.DataFrame, best: str, labels: dict[str, str]) -> str:
    """What the best rule leads the others by."""
    mine = table[(table["first"] == best) | (table["second"] == best)]
    mine = mine[mine["second"] != NO_HEDGE]
    lost = [
        str(r["second"] if r["first"] == best else r["first"]) for _, r in mine.iterrows() if r["pvalue_holm"] < _LEVEL
    ]
    if not lost:
        return f"{labels[best]} has the smallest errors, and no other rule is shown to have larger ones."
    against = table[(table["first"] == best) & (table["second"] == NO_HEDGE)].iloc[0]
    share = 1.0 - math.exp(float(against["mean"]))
    return (
        f"{labels[best]} has the smallest errors: in the mean its variance is {percent(share, 0)} below that of no "
        f"hedge (log {number(float(against['mean']))}), and smaller than that of {', '.join(labels[n] for n in lost)}."
    )
