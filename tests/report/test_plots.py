"""Figures: their data, their bytes, and that they leave matplotlib as they found it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from pairs_bt import Config, run
from pairs_bt.errors import DataError
from pairs_bt.report.palette import _VARIANTS, DASHES, THEME, variant_color, variant_dash
from pairs_bt.report.plots import canvas
from pairs_bt.report.plots.accessor import PlotAccessor
from pairs_bt.report.plots.all_pairs import pair_pnl, relative_paths
from pairs_bt.report.plots.one_pair import pair_view, window_of
from pairs_bt.report.plots.pnl import decomposition
from pairs_bt.report.plots.series import chosen, merged
from pairs_bt.report.plots.svg import to_svg
from pairs_bt.results import Run
from pairs_bt.runs.run_data import ReturnsTable


@pytest.fixture(scope="module")
def made(short_config: Config) -> Run:
    return run(short_config)


FIGURES = [name for name in vars(PlotAccessor) if not name.startswith("_") and name != "pair"]


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_drawn_and_has_the_same_bytes_twice(made: Run, name: str) -> None:
    first, second = (getattr(made.plot, name)() for _ in range(2))
    assert isinstance(first, Figure)
    text = to_svg(first, "f", "what it shows")
    assert text == to_svg(second, "f", "what it shows")
    assert 'aria-label="what it shows"' in text
    assert "http" not in text
    # Every colour of ours has become a variable, so that the page's theme decides.
    assert not [color for color in THEME if color in text.replace("var(", "")]


NAMED = [name for name in FIGURES if name != "candidates"]


@pytest.mark.parametrize("name", NAMED)
def test_every_figure_takes_names_as_the_tables_print_them(made: Run, name: str) -> None:
    labels = list(made.summary["label"])
    plot = getattr(made.plot, name)
    some = plot(variants=[labels[0], labels[2]])
    assert to_svg(some, "f", "") == to_svg(plot(variants=list(made.labels)[0:3:2]), "f", "")
    text = to_svg(some, "f", "")
    assert f">{labels[1]}<" not in text
    assert labels[2] in text
    one = labels[1]
    if name not in ("differences", "scatter"):
        assert to_svg(plot(one), "f", "") == to_svg(plot(variants=[one]), "f", "")
    with pytest.raises(DataError, match=r"'nonsense' is .*fixed_last"):
        plot("nonsense")


def test_a_variant_keeps_its_colour_whatever_is_beside_it(made: Run) -> None:
    label = list(made.labels.values())[3]
    alone = made.plot.equity(label).axes[0].lines[0].get_color()
    assert alone == variant_color(3)
    assert made.plot.costs(label).axes[0].lines[0].get_color() == variant_color(3)


def test_curves_that_cannot_be_told_apart_are_drawn_once_and_named_together(made: Run) -> None:
    every = chosen(made)
    base = np.linspace(1.0, 2.0, 50)
    curves = {one.name: base + place for place, one in enumerate(every)}
    assert [one.label for one in merged(every, curves, 0.01)] == list(made.labels.values())
    curves[every[2].name] = curves[every[0].name].copy()
    curves[every[3].name] = curves[every[1].name] + 0.009
    found = merged(every, curves, 0.01)
    label = [one.label for one in every]
    assert [one.label for one in found][:2] == [f"{label[0]} = {label[2]}", f"{label[1]} \u2248 {label[3]}"]
    assert [one.number for one in found] == [0, 1, *range(4, len(every))]
    curves[every[2].name][7] = np.nan
    assert len(merged(every, curves, 0.01)) == len(every) - 1
    # in the figure: the rules that hold their ratio are the same whether it is set again or not
    returns = made.returns.copy()
    first, second = list(made.labels)[2:4]
    own = returns["variant"] == second
    for column in ("net", "gross"):
        returns.loc[own, column] = returns.loc[returns["variant"] == first, column].to_numpy()
    same = replace(made, returns=ReturnsTable(returns))
    figure = same.plot.equity()
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert f"{made.labels[first]} = {made.labels[second]}" in names
    assert len(names) == len(made.labels) - 1


def test_a_pair_is_found_by_the_name_that_the_tables_print(made: Run) -> None:
    row = made.trades.iloc[0]
    expected = to_svg(made.plot.pair(row["y"], row["x"]), "f", "")
    for text in (f"{row['y']}/{row['x']}", f"{row['y']} / {row['x']}"):
        assert to_svg(made.plot.pair(text), "f", "") == expected
    with pytest.raises(DataError, match="not a pair of this run"):
        made.plot.pair("NOBODY/XOM")


def test_jupyter_shows_a_figure_without_pyplot(made: Run) -> None:
    text = made.plot.costs()._repr_svg_()  # type: ignore[attr-defined]
    assert text.startswith("<svg")
    assert "var(" not in text
    assert text.rstrip().endswith("</svg>")


def test_settings_of_matplotlib_are_left_alone(made: Run) -> None:
    before = dict(mpl.rcParams)
    made.plot.costs()
    assert dict(mpl.rcParams) == before


def test_pyplot_is_never_imported() -> None:
    code = (
        "import sys, pairs_bt.report.page, pairs_bt.report.panels.trades;"
        "import pairs_bt.report.plots.accessor, pairs_bt.report.run_comparison;"
        "assert 'matplotlib.pyplot' not in sys.modules; assert 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_thinned_lines_keep_what_can_be_seen() -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(size=10_000).cumsum()
    values[3000:3100] = np.nan
    kept = canvas.downsample(values, 100)
    assert len(kept) <= 400
    assert (np.diff(kept) > 0).all()
    for first in range(0, 10_000, 100):
        part = values[first : first + 100]
        inside = set(kept[(kept >= first) & (kept < first + 100)] - first)
        assert {0, 99} <= inside
        if np.isfinite(part).any():
            assert {int(np.nanargmin(part)), int(np.nanargmax(part))} <= inside
    assert (canvas.downsample(values[:300], 100) == np.arange(300)).all()


def test_the_parts_add_up_to_the_net_of_the_tables(made: Run) -> None:
    table = decomposition(made)
    daily = (made.returns["net"] * made.returns["capital"]).groupby(made.returns["variant"].astype(str)).sum()
    trades = made.trades.groupby(made.trades["variant"].astype(str))[["net_pnl", "phantom_pnl"]].sum()
    scale = made.config.portfolio.capital
    for name in made.labels:
        assert table.loc[name, "net"] == pytest.approx(daily[name], abs=1e-9 * scale)
        assert table.loc[name, "net"] == pytest.approx(trades.loc[name, "net_pnl"], abs=1e-9 * scale)
        assert table.loc[name, "phantom"] == pytest.approx(trades.loc[name, "phantom_pnl"], abs=1e-9 * scale)
    assert table.loc["dynamic", "phantom"] > 0
    assert abs(table.loc["averaged", "phantom"]) < 1e-6


def test_the_filter_that_is_drawn_is_the_filter_that_was_traded(made: Run) -> None:
    y, x, end = (made.trades.loc[made.trades["variant"] == "dynamic", ["y", "x", "test_end"]]).iloc[0]
    view = pair_view(made, y, x, end)
    assert view.levels is not None
    own = view.spreads[view.spreads["variant"] == "dynamic"].set_index("date")["hedge_ratio"]
    assert len(own) > 100
    np.testing.assert_allclose(view.levels["beta"].loc[own.index], own, rtol=1e-12)
    assert (view.levels["sigma"] > 0).all()


def test_the_wandering_ratio_starts_at_zero(made: Run) -> None:
    found = relative_paths(made)
    assert found is not None
    name, paths, held = found
    assert name == "dynamic"
    assert (paths[:, 0] == 0.0).all()
    assert set(held) == {"fixed_first", "averaged", "fixed_last", "ols"}


def test_pairs_are_found_in_either_order_and_missed_with_a_reason(made: Run) -> None:
    row = made.trades.iloc[0]
    assert window_of(made, row["y"], row["x"])[:2] == window_of(made, row["x"], row["y"])[:2]
    assert window_of(made, row["y"], row["x"], row["test_end"])[2] == row["test_end"]
    assert isinstance(made.plot.pair(row["x"], row["y"]), Figure)
    with pytest.raises(DataError, match="was not selected"):
        made.plot.pair("NOBODY", row["x"])


def test_a_pair_s_marks_stand_at_its_signals_and_its_fills(made: Run) -> None:
    row = made.trades.iloc[0]
    figure = made.plot.pair(row["y"], row["x"], row["test_end"])
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names[-4:] == ["entry signal", "buys the spread (fill)", "sells the spread (fill)", "closes (fill)"]
    own = made.trades[made.trades[["test_end", "y", "x"]].eq(row[["test_end", "y", "x"]]).all(axis=1)]
    own = own[own["variant"] == row["variant"]]
    label = made.labels[row["variant"]]
    (axis,) = [a for a in figure.axes if a.get_title(loc="left") == f"{label}: z-score"]
    marks = {mark: set() for mark in "o^v"}
    for drawn in axis.lines:
        if drawn.get_marker() in marks:
            marks[drawn.get_marker()] |= set(pd.DatetimeIndex(drawn.get_xdata()))
    assert marks["o"] == set(own["signal_date"])
    assert marks["^"] == set(own.loc[own["side"] > 0, "entry_date"])
    assert marks["v"] == set(own.loc[own["side"] < 0, "entry_date"])
    assert (own["signal_date"] < own["entry_date"]).all()


def test_a_dashed_line_leaves_a_solid_one_below_it_visible() -> None:
    _, (axis,) = canvas.panels(["x"], [50])
    solid, dashed = (canvas.line(axis, [0.0, 1.0], [0.0, 1.0], number, linewidth=1.5) for number in (0, 1))
    assert solid.get_linewidth() > dashed.get_linewidth() == 1.5
    assert not solid.is_dashed()
    assert dashed.is_dashed()


def test_pair_pnl_sums_the_trades(made: Run) -> None:
    table = pair_pnl(made)
    assert table.sum().sum() == pytest.approx(made.trades["net_pnl"].sum())
    assert list(table.columns) == list(made.labels)


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "A&B", "A$B$", '"quoted"', "#0072b2"])
def test_a_name_in_a_figure_is_text(name: str) -> None:
    text = to_svg(canvas.nothing(name), "f", name)
    assert "<script" not in text
    shown = name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert shown in text.partition("<text")[2]


def test_missing_data_give_a_figure_that_says_so(made: Run) -> None:
    assert "No trade" in to_svg(canvas.nothing("No trade"), "f", "")
    short = made.plot.rolling_sharpe(window=10**6)
    assert "Fewer than" in to_svg(short, "f", "")


def _contrast(one: str, other: str) -> float:
    """WCAG 2.2 contrast ratio of two #rrggbb colours."""

    def luminance(color: str) -> float:
        parts = [int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_colours_stand_out_from_both_pages_and_dashes_differ() -> None:
    for light, dark in _VARIANTS:
        assert _contrast(light, "#ffffff") >= 3.0, light
        assert _contrast(dark, "#14181d") >= 4.5, dark
    assert len({variant_color(k) for k in range(8)}) == 8
    assert len({variant_dash(k) for k in range(8)}) == 8 == len(DASHES)
    assert variant_color(9) == variant_color(1)


def test_percent_axes_tell_their_ticks_apart() -> None:
    figure, (axis,) = canvas.panels(["t"], [100])
    axis.plot([0, 1], [0.0, 0.002])
    canvas.percent_axis(axis)
    figure.draw_without_rendering()
    labels = [label.get_text() for label in axis.get_yticklabels()]
    assert len(set(labels)) == len(labels)
    assert pd.Series(labels).str.endswith("%").all()
