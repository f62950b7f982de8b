"""Axes that stamp their ticks draw what matplotlib's own axes draw; stretches are those of a loop over the rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pairs_bt.report.plots import axes as stamped
from pairs_bt.report.plots import canvas
from pairs_bt.report.plots.axes import StampedAxes
from pairs_bt.report.plots.stretches import stretches_of
from pairs_bt.report.plots.svg import to_svg


def _shapes(svg: str) -> Counter[str]:
    """Every stroke, mark and text of a figure with its style, however they are joined into elements."""
    out: Counter[str] = Counter()
    for found in re.finditer(r'<path d="([^"]*)"([^>]*)>', svg):
        out.update(f"{part.strip()} {found[2]}" for part in re.findall("M[^M]*", found[1]))
    out.update(re.findall(r"<use [^>]*>", svg))
    out.update(re.findall(r"<text.*?</text>", svg, re.DOTALL))
    return out


def _dates(axis: Axes) -> None:
    axis.plot(pd.date_range("2015-01-02", periods=900).to_numpy(), np.linspace(-0.02, 0.05, 900))
    canvas.date_axis(axis)
    canvas.percent_axis(axis)


def _logarithmic(axis: Axes) -> None:
    axis.plot([3.0, 400.0], [1.0, 2.0])
    axis.set_xscale("log")


def _turned(axis: Axes) -> None:
    axis.plot([-5e5, 3e6], [0.0, 2.0])
    axis.grid(axis="y", visible=False)
    axis.grid(axis="x", visible=True)
    axis.set_ylim(2.5, -0.5)
    canvas.money_axis(axis, "x")


def _offset(axis: Axes) -> None:
    axis.plot([0.0, 1.0], [1e9 + 1.0, 1e9 + 2.0])


def _labelled(axis: Axes) -> None:
    axis.plot([0.0, 1.0], [0.0, 1.0])
    axis.set_xlabel("days")
    axis.tick_params(axis="x", labelsize=7, bottom=True, top=True, labeltop=True, color="red")


def _bare(axis: Axes) -> None:
    axis.tick_params(labelbottom=False, left=False)
    axis.yaxis.set_visible(False)


def _asked(axis: Axes) -> None:
    axis.plot([0.0, 1.0], [0.0, 1.0])
    axis.get_yticklabels()[1].set_color("green")


CASES = (_dates, _logarithmic, _turned, _offset, _labelled, _bare, _asked)


@pytest.mark.parametrize("draw", CASES)
def test_the_picture_is_matplotlibs_own(draw: Callable[[Axes], None], monkeypatch: pytest.MonkeyPatch) -> None:
    @canvas.styled
    def figure() -> Figure:
        made, drawn = canvas.panels(["one", "two"], [90, 90], share_x=True)
        for axis in drawn:
            draw(axis)
        return made

    mine = to_svg(figure(), "f", "")
    # drawn twice, the same bytes: the stamps are as they were
    again = figure()
    assert to_svg(again, "f", "") == to_svg(again, "f", "") == mine
    monkeypatch.setattr(stamped, "StampedAxes", Axes)
    theirs = to_svg(figure(), "f", "")
    assert _shapes(mine) == _shapes(theirs)
    assert sum(_shapes(mine).values()) > 4


def test_ticks_keep_the_look_outside_of_its_settings() -> None:
    @canvas.styled
    def figure() -> Figure:
        made, (axis,) = canvas.panels(["one"], [90])
        _logarithmic(axis)
        return made

    made = figure()
    axis = made.axes[0]
    assert isinstance(axis, StampedAxes)
    assert [len(axis.xaxis.stamps()), len(axis.yaxis.stamps())] == [2, 1]
    assert {text.get_fontsize() for text in axis.get_xticklabels()} == {11.0}


@pytest.mark.parametrize("values", [[3.0, 1.0, 2.0], [-3.0, -1.0, 0.0], [-2.0, 5.0, 1.0]])
def test_bars_have_the_scale_of_matplotlibs(values: list[float]) -> None:
    dates, rows = pd.date_range("2020-01-01", periods=3, freq="90D").to_numpy(), np.arange(3)
    _, (mine, theirs) = canvas.panels(["", ""], [90, 90])
    canvas.dated_bars(mine, dates, 60.0, np.array(values), color="#0a6ebd")
    theirs.bar(dates, values, width=60.0)
    np.testing.assert_allclose([*mine.get_xlim(), *mine.get_ylim()], [*theirs.get_xlim(), *theirs.get_ylim()])
    _, (mine, theirs) = canvas.panels(["", ""], [90, 90])
    canvas.bars(mine, (0.0, np.array(values)), (rows - 0.31, rows + 0.31), [0.0], color="#0a6ebd")
    theirs.barh(rows, values, height=0.62)
    np.testing.assert_allclose([*mine.get_xlim(), *mine.get_ylim()], [*theirs.get_xlim(), *theirs.get_ylim()])


def test_stretches_are_those_of_a_loop_over_the_rows() -> None:
    rng = np.random.default_rng(3)
    blocks = [(end, y, x, v) for end in (3, 9) for y, x in (("B", "A"), ("C", "A")) for v in ("ols", "dynamic")]
    sizes = rng.integers(1, 6, len(blocks))
    rows = [(*block, place) for block, size in zip(blocks, sizes, strict=True) for place in range(size)]
    table = pd.DataFrame(rows, columns=["test_end", "y", "x", "variant", "spread"])
    table["test_end"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(table["test_end"], unit="D")
    table = table.astype({"y": pd.CategoricalDtype(["A", "B", "C"]), "x": "category", "variant": "category"})
    found = stretches_of(table, ["spread"])
    expected: dict[tuple[object, ...], list[int]] = {}
    for row in table.itertuples(index=False):
        expected.setdefault((row.test_end.date(), row.y, row.x, row.variant), []).append(row.spread)
    bounds = zip(found.starts[:-1], found.starts[1:], strict=True)
    parts = [found.values["spread"][first:stop].tolist() for first, stop in bounds]
    assert dict(zip(found.names_of_each(), parts, strict=True)) == expected
    # one number a window and pair
    pairs = {key[:3] for key in expected}
    assert len(set(zip([key[:3] for key in found.names_of_each()], found.pair.tolist(), strict=True))) == len(pairs)
    assert len(set(found.pair.tolist())) == len(pairs)
    empty = stretches_of(table.iloc[:0], ["spread"])
    assert empty.starts.tolist() == [0]
    assert not list(empty.names_of_each())
