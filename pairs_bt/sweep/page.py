"""The page of a sweep: one self-contained HTML file in the look of a run's report."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
from markupsafe import Markup

from pairs_bt.common.formatting import NOTHING, day, number, percent, pvalue
from pairs_bt.report.blocks import Beside, Block, Bullets, Cell, Panel, Picture, Row, Table, Text
from pairs_bt.report.page import environment
from pairs_bt.report.palette import css_variables
from pairs_bt.report.plots.svg import to_svg
from pairs_bt.sweep.analysis import SweepResult
from pairs_bt.sweep.plots import curves_figure

BEST, BASE = "\N{BLACK STAR}", "\N{WHITE CIRCLE}"


def render(result: SweepResult) -> str:
    """Make the page's HTML."""
    labels = result.labels
    settings = len(result.grid.settings)
    source = ", ".join(f"{p.key} ({len(p.values)})" for p in result.grid.parameters)
    since = next((w.since for w in result.walks.values() if w.since < result.dates.size), None)
    return environment().get_template("sweep.html.jinja").render(
        title=f"pairs_bt sweep: {result.source.get('name') or 'prices'}",
        tried=f"{settings:,}",
        claim=result.config.execution.pnl == "spread",
        verdict=result.verdict,
        headline=headline(result),
        facts=[
            ("grid", source),
            ("base", _setting_text(result, result.grid.base)),
            ("days", f"{day(result.dates[0])} to {day(result.dates[-1])}"),
            ("cohorts", f"{result.outcomes.standings[0].ends.size}"),
            ("first choice", NOTHING if since is None else day(result.dates[since])),
        ],
        sections=[_curves(result, labels), _trying(result, labels), _grid(result, labels), _choices(result, labels),
                  _method(result)],
        swatches={},
        light=css_variables(0),
        dark=css_variables(1),
    )  # fmt: skip


def headline(result: SweepResult) -> Table:
    """The table that the page and the terminal begin with."""
    base = result.table[result.table["base"]].set_index("variant")["net_sharpe"]
    rows = []
    for name, label in result.labels.items():
        cost, walk, plateau = result.costs[name], result.walks[name], result.plateaus[name]
        rows.append(
            Row(label, [
                number(cost.sharpe), number(base.get(name, math.nan)), number(walk.sharpes["walk_forward"]),
                number(walk.sharpes["base"]), number(cost.deflated), number(cost.pbo), pvalue(cost.superior),
                Cell(plateau.shape if plateau is not None and plateau.shape else NOTHING),
                Cell(cost.best, "text"),
            ])
        )  # fmt: skip
    if len(rows) > 1:
        rows.append(_everything(result))
    head = ["", "best Sharpe", "base", "walk-forward", "base since", "deflated", "PBO", "p over base", "shape",
            "best setting in hindsight"]  # fmt: skip
    note = (
        "Net Sharpe ratios a year. Walk-forward and base since: from the first choice on. Deflated: probability that "
        "the best has a true Sharpe ratio above 0 after the trials of its row. PBO: probability of backtest "
        "overfitting."
    )
    return Table(head, rows, note=" ".join([note, *why_dashes(result)]))


def why_dashes(result: SweepResult) -> list[str]:
    """Why a number is missing in the headline, one line a reason; empty where none is."""
    found: dict[str, list[str]] = {}
    base = result.outcomes.standings[result.grid.base]
    for name, label in result.labels.items():
        outcomes = [one for one in result.outcomes.standings if name in one.variants]
        if not any(one.trades[one.variants.index(name)].any() for one in outcomes):
            found.setdefault(f"no setting made a trade. {_NO_TRADE}", []).append(label)
            continue
        if name in base.variants and not base.trades[base.variants.index(name)].any():
            found.setdefault(f"the config itself made no trade, so base is a dash. {_NO_TRADE}", []).append(label)
        plateau = result.plateaus[name]
        if plateau is None or not plateau.shape:
            found.setdefault(f"shape is a dash: {_NO_SHAPE}", []).append(label)
        if result.costs[name].reason:
            found.setdefault(f"{result.costs[name].reason}.", []).append(label)
    if all(math.isnan(walk.sharpes["walk_forward"]) for walk in result.walks.values()):
        found["too few cohorts had ended to choose as time went by, so they are dashes."] = ["walk-forward, base since"]
    return [f"{', '.join(labels)}: {why}" for why, labels in found.items()]


_NO_TRADE = (
    "Its candidates were refused, or z did not reach the entry level: over a window of w bars z cannot pass "
    "(w - 1) / sqrt(w), so a pair of short half-life never reaches a high one. `pairs-bt run` with that setting counts "
    "the reasons."
)
_NO_SHAPE = "the best setting has no neighbour on the grid, or is no better than the median setting."


def _everything(result: SweepResult) -> Row:
    """The row that the verdict is about."""
    cost, (variant, position) = result.costs["all"], result.best
    setting = result.grid.settings[position].name
    cells: list[Cell | str] = [number(cost.sharpe), *[NOTHING] * 3, number(cost.deflated), number(cost.pbo)]
    cells += [pvalue(cost.superior), Cell(NOTHING), Cell(f"{result.labels[variant]} with {setting}", "text")]
    return Row("everything tried", cells, kind="total")


def _setting_text(result: SweepResult, position: int) -> str:
    setting = result.grid.settings[position]
    return setting.name if setting.place else "the config itself, off the grid"


def _curves(result: SweepResult, labels: dict[str, str]) -> Panel:
    pictures = []
    for k, (name, label) in enumerate(labels.items()):
        svg = to_svg(curves_figure(result, name, label), f"s{k}", f"{label}: three equity curves")
        walk = result.walks[name].sharpes
        caption = ""
        if not math.isnan(walk["walk_forward"]):
            caption = (
                f"Net Sharpe since the first choice: walk-forward {number(walk['walk_forward'])}, base "
                f"{number(walk['base'])}, hindsight {number(walk['hindsight'])}."
            )
        pictures.append(Picture(Markup(svg), caption))
    sweep = result.config.sweep
    what = {
        "sharpe": "Sharpe ratio of the daily net returns",
        "mean": "mean net return",
    }[sweep.criterion]
    return Panel(
        "curves",
        "What choosing would have earned",
        f"On every test end the setting with the highest {what} of the cohorts that had ended by then is chosen and "
        f"trades the new cohort; before {sweep.minimum_cohorts} cohorts have ended, the base is traded. The best in "
        "hindsight could not have been known.",
        [Beside(pictures)] if len(pictures) > 1 else pictures,
    )


def _trying(result: SweepResult, labels: dict[str, str]) -> Panel:
    rows = []
    for name in [*labels, "all"]:
        cost = result.costs[name]
        rows.append(
            Row("everything tried" if name == "all" else labels[name], [
                f"{cost.trials:,}", f"{cost.equal:,}", number(cost.effective, 1), number(cost.correlation),
                number(cost.sharpe), number(cost.expected_maximum), number(cost.probabilistic), number(cost.deflated),
                number(cost.deflated_all), number(cost.pbo), number(cost.probability_of_loss),
                pvalue(cost.superior),
            ], kind="total" if name == "all" else "")
        )  # fmt: skip
    head = ["", "trials", "equal", "independent", "correlation", "best Sharpe", "luck's best", "alone", "deflated",
            "all trials", "PBO", "loses", "p over base"]  # fmt: skip
    reasons = {f"{labels.get(name, 'everything tried')}: {c.reason}" for name, c in result.costs.items() if c.reason}
    blocks: list[Block] = [Table(head, rows)]
    blocks.append(
        Bullets(
            [
                "trials, equal: settings with different returns, and settings that repeat the returns of another, "
                "which change nothing here and are not counted.",
                "independent: trials that the settings amount to, from their mean correlation.",
                "luck's best: the Sharpe ratio that the best of so many independent trials without skill would show.",
                "alone, deflated, all trials: probability of a true Sharpe ratio above 0 if the best had been the only "
                "one; after the independent trials; if all trials had been independent.",
                "PBO: probability that the best setting of half of the history is at or below the median in the other "
                "half; loses: that it loses money there.",
                "p over base: chance of so large a gain in mean return over the base if no setting were better "
                "(Hansen's test, consistent version).",
                *sorted(reasons),
            ]
        )
    )
    return Panel(
        "trying",
        "What trying costs",
        "The best of many is good by luck alone. How good, and how much of it is left, depends on how many were tried "
        "and how alike they are.",
        blocks,
    )


def _grid(result: SweepResult, labels: dict[str, str]) -> Panel:
    grid = result.grid
    rows = []
    for name, label in labels.items():
        found = result.plateaus[name]
        if found is not None:
            rows.append(
                Row(label, [
                    number(found.sharpe), number(found.neighbours), number(found.median), f"{found.count}",
                    percent(found.kept, 0), Cell(found.shape or NOTHING, "text"),
                ])
            )  # fmt: skip
    blocks: list[Block] = [
        Table(
            ["", "best", "neighbours' mean", "median", "neighbours", "advantage kept", "shape"], rows,
            note="Neighbours are the nearest different settings along one parameter that has an order; settings with "
            "the same returns count as one. Advantage kept: (neighbours' mean - median) / (best - median), from 0 (no "
            "better than the median) to 1. A plateau keeps at least half, or loses less than 0.1.",
        )
    ]  # fmt: skip
    scale = _scale(result)
    axes: list[tuple[int, ...]] = [*combinations(range(len(grid.parameters)), 2)] or [(0,)]
    for pair in axes:
        title = " \N{MULTIPLICATION SIGN} ".join(grid.parameters[k].key for k in pair)
        if len(grid.parameters) > 2:
            title += ", mean over the rest"
        blocks.append(Text(title, tone="heading"))
        maps = [_heatmap(result, name, label, pair, scale) for name, label in labels.items()]
        blocks.append(Beside(maps) if len(maps) > 1 else maps[0])
    return Panel(
        "grid",
        "Plateau or spike",
        f"Net Sharpe ratio of every setting, blue above and orange below zero, one scale for all maps. {BEST} holds "
        f"the variant's best setting, {BASE} the base.",
        blocks,
    )


def _scale(result: SweepResult) -> float:
    values = np.abs(result.table["net_sharpe"].to_numpy(dtype=np.float64))
    known = values[np.isfinite(values)]
    return float(known.max()) if known.size and known.max() > 0 else 1.0


def _heatmap(result: SweepResult, variant: str, label: str, pair: tuple[int, ...], scale: float) -> Table:
    grid = result.grid
    values = result.sharpes(variant)
    best = result.plateaus[variant]
    base = grid.settings[grid.base].place
    others = tuple(k for k in range(values.ndim) if k not in pair)
    count = np.isfinite(values).sum(axis=others)
    mean = np.where(count > 0, np.nansum(values, axis=others) / np.maximum(count, 1), np.nan)
    if len(pair) == 1:
        mean, rows, columns = mean[None, :], None, grid.parameters[pair[0]]
    else:
        rows, columns = (grid.parameters[k] for k in pair)
    body = []
    for r in range(mean.shape[0]):
        cells = []
        for c in range(mean.shape[1]):
            place = (c,) if rows is None else (r, c)
            value = float(mean[r, c])
            marks = BEST if best is not None and tuple(best.best[k] for k in pair) == place else ""
            marks += BASE if base and tuple(base[k] for k in pair) == place else ""
            share = 0.0 if math.isnan(value) else max(-1.0, min(1.0, value / scale))
            cells.append(Cell(f"{marks} {number(value)}".strip(), share=share, heat=True))
        body.append(Row("net Sharpe" if rows is None else rows.texts[r], cells))
    corner = columns.key if rows is None else f"{rows.key} \\ {columns.key}"
    return Table([corner, *columns.texts], body, caption=label, narrow=True)


def _choices(result: SweepResult, labels: dict[str, str]) -> Panel:
    rows = []
    for name, label in labels.items():
        own = result.choices[(result.choices["variant"] == name) & result.choices["free"]]
        if own.empty:
            rows.append(Row(label, ["0", NOTHING, NOTHING, NOTHING, Cell(NOTHING, "text")]))
            continue
        counts = own["setting"].value_counts(sort=False)
        most = counts.index[int(counts.to_numpy().argmax())]
        setting = next(s for s in result.grid.settings if s.number == most)
        gain = (own["cohort_return"] - own["base_cohort_return"]).mean()
        rows.append(
            Row(label, [
                f"{len(own)}", f"{result.walks[name].switches}", percent(counts.max() / len(own), 0), percent(gain, 3),
                Cell(setting.name, "text"),
            ])
        )  # fmt: skip
    return Panel(
        "choices",
        "What was chosen",
        "Every choice, with the criterion it was made on and what its cohort went on to earn, is in choices.csv.",
        [Table(["", "choices", "switches", "share", "gain a cohort over the base", "chosen most often"], rows)],
    )


def _method(result: SweepResult) -> Panel:
    comparison = result.config.comparison
    parts = max((cost.partitions for cost in result.costs.values()), default=0)
    days = result.dates.size // parts if parts else 0
    lines = [
        "Every setting is traded on the same prices and cohorts; its returns are those of `pairs-bt run` with that "
        "setting. A day without a position is a return of 0.",
        f"Overfitting: the history is cut into {parts} parts of about {days} days; every way of choosing half of them "
        "is a split. Trades that are open at a cut belong to both sides, so the parts are not wholly independent.",
        f"Test against the base: stationary bootstrap, {comparison.draws:,} draws, mean block {comparison.block} days, "
        f"seed {comparison.seed}.",
        "The deflated Sharpe ratio allows for skew and fat tails, not for autocorrelation, and only for the trials of "
        "this sweep: whatever was tried before it was free of charge here, and should not be.",
    ]  # fmt: skip
    return Panel("method", "How it was done", "", [Bullets([line.replace("`", "") for line in lines]),
                                                  *(Text(note) for note in result.notes[:12])])  # fmt: skip
