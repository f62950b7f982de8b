"""What every figure shares: its size, its axes, its legend, and how long lines are thinned.

Figures are `matplotlib.figure.Figure` objects, never pyplot's: nothing is registered, nothing has to be closed.
Sizes are in pixels of 1/72 inch, so that a font size is a pixel size in the report.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from pairs_bt.common.formatting import minus
from pairs_bt.report.palette import MUTED, variant_color, variant_dash
from pairs_bt.report.plots.look import RC, rc_context

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import PathPatch

WIDTH = 500
_LEGEND_ROW = 17
_TITLE = 23
_AXIS = 22
_LEFT, _RIGHT = 48, 10
# Pixels of a letter on a narrow screen, where the page's style makes the text of a figure larger.
_PHONE = 8.4


def panels(
    titles: Sequence[str],
    heights: Sequence[int],
    *,
    columns: int = 1,
    width: int = WIDTH,
    legend: int = 0,
    share_x: bool = False,
    left: int = _LEFT,
    bottom: int = _AXIS,
) -> tuple[Figure, list[Axes]]:
    """Make a figure of stacked panels at fixed places.

    Parameters
    ----------
    titles : sequence of str
        One a panel, above it at the left; say the unit there.
    heights : sequence of int
        Pixels of each row of panels.
    columns : int
        Panels beside each other.
    width : int
        Pixels of the whole figure.
    legend : int
        Rows kept free below for :func:`legend`.
    share_x : bool
        Dates only under the lowest panel.
    left, bottom : int
        Pixels for the tick labels.
    """
    from pairs_bt.report.plots.axes import StampedAxes
    from pairs_bt.report.plots.notebook_figure import Drawing

    gaps = [(4 if share_x and k < len(heights) - 1 else bottom) + _TITLE for k in range(len(heights))]
    total = sum(heights) + sum(gaps) + _LEGEND_ROW * legend + (6 if legend else 2)
    figure = Drawing(figsize=(width / 72, total / 72), dpi=72)
    axes: list[Axes] = []
    top = total
    cell = width / columns
    for row, height in enumerate(heights):
        low = top - _TITLE - height
        for column in range(columns):
            if len(axes) == len(titles):
                break
            place = ((column * cell + left) / width, low / total, (cell - left - _RIGHT) / width, height / total)
            shared = axes[column] if share_x and axes else None
            axis = figure.add_axes(place, sharex=shared, axes_class=StampedAxes)
            axis.set_title(titles[len(axes)], loc="left", x=-left / (cell - left - _RIGHT) + 0.005, y=1.0, pad=7)
            if share_x and row < len(heights) - 1:
                axis.tick_params(labelbottom=False)
            axes.append(axis)
        top -= gaps[row] + height
    return figure, axes


def legend_rows(labels: Sequence[str], width: int = WIDTH) -> int:
    """Rows that :func:`legend` needs for these labels."""
    return math.ceil(len(labels) / _legend_columns(labels, width)) if labels else 0


def _legend_columns(labels: Sequence[str], width: int) -> int:
    widest = max((len(label) for label in labels), default=1)
    return max(1, min(len(labels), int((width + 20) // (widest * _PHONE + 54))))


def label_width(labels: Sequence[str], least: int = 0) -> int:
    """Pixels at the left of a panel that rows with these names need."""
    lines = [line for label in labels for line in label.splitlines()]
    return max(least, 16 + round(_PHONE * max(map(len, lines), default=4)))


def legend(figure: Figure, handles: Sequence[Any], labels: Sequence[str], *, above: int = 0) -> None:
    """Put the legend below the panels, in the rows kept free for it; `above` so many lines of text."""
    if not labels:
        return
    width, height = (round(side * 72) for side in figure.get_size_inches())
    figure.legend(
        handles,
        labels,
        loc="lower left",
        bbox_to_anchor=(0.0, above * _LEGEND_ROW / height),
        ncols=_legend_columns(labels, width),
        handlelength=2.6,
        # Room for the letters of a narrow screen.
        columnspacing=1.0 + 0.14 * max(map(len, labels)),
        handletextpad=0.6,
        labelspacing=0.35,
        borderaxespad=0.3,
        borderpad=0.1,
    )


def lines_below(figure: Figure, texts: Sequence[str]) -> None:
    """Write lines of text at the foot of a figure, in rows that were kept free for them."""
    height = figure.get_figheight() * 72
    for row, text in enumerate(reversed(texts)):
        figure.text(0.004, (row * _LEGEND_ROW + 5) / height, text, color=MUTED, fontsize=RC["legend.fontsize"])


def line(axis: Axes, x: Any, y: Any, number: int, **options: Any) -> Any:
    """Draw one variant's line in its colour and dash."""
    dash = variant_dash(number)
    style: dict[str, Any] = (
        {"color": variant_color(number), "dashes": dash} if dash else {"color": variant_color(number)}
    )
    style |= options
    if not dash:
        # Wider, so that a dashed line on the same path leaves it visible.
        style["linewidth"] = style.get("linewidth", RC["lines.linewidth"]) + 0.9
    return axis.plot(x, y, **style)[0]


def downsample(values: npt.NDArray[np.float64], columns: int = 480) -> npt.NDArray[np.int64]:
    """Positions that draw the same line: first, lowest, highest and last of each of `columns` equal stretches.

    The M4 aggregation (Jugel et al. 2014): at one stretch a pixel the picture is the one of all points. NaN breaks
    stay where they were as far as a stretch with any number in it can show them.
    """
    n = values.size
    if n <= 4 * columns:
        return np.arange(n)
    edges = np.linspace(0, n, columns + 1).astype(np.int64)
    first, stop = edges[:-1], edges[1:]
    places = first[:, None] + np.arange((stop - first).max())
    part = values[np.minimum(places, n - 1)]
    good = (places < stop[:, None]) & np.isfinite(part)
    known = good.any(axis=1)
    lowest = (first + np.where(good, part, np.inf).argmin(axis=1))[known]
    highest = (first + np.where(good, part, -np.inf).argmax(axis=1))[known]
    return np.unique(np.concatenate([first, stop - 1, lowest, highest]))


def bars(
    axis: Axes,
    across: tuple[npt.ArrayLike, npt.ArrayLike],
    up: tuple[npt.ArrayLike, npt.ArrayLike],
    x_ends: Sequence[float] = (),
    y_ends: Sequence[float] = (),
    **style: Any,
) -> PathPatch:
    """Draw many bars of one style as one patch.

    Parameters
    ----------
    axis : Axes
        Where they stand; its limits grow with them.
    across, up : (array, array)
        Left and right end, lower and upper end of each bar; numbers stand for all of them.
    x_ends, y_ends : sequence of float
        Places at which a scale may end: no margin is added beyond them.
    **style
        Of a `matplotlib.patches.PathPatch`.
    """
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    left, right, low, high = np.broadcast_arrays(*across, *up)
    corners = np.stack([left, low, right, low, right, high, left, high, left, low], axis=-1).astype(np.float64)
    one = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]
    patch = PathPatch(Path(corners.reshape(-1, 2), np.tile(one, left.size)), **style)
    patch.sticky_edges.x.extend(x_ends)
    patch.sticky_edges.y.extend(y_ends)
    # Its corners are its limits: matplotlib would look for those of a curve, side by side.
    axis.add_artist(patch)
    axis.update_datalim(corners.reshape(-1, 2))
    cast(Any, axis).autoscale(None)
    return patch


def dated_bars(axis: Axes, dates: npt.NDArray[Any], width: float, heights: npt.NDArray[Any], **style: Any) -> PathPatch:
    """Draw bars of `width` days about some dates, from zero to `heights`, which stays at the edge of the scale."""
    axis.xaxis.update_units(dates)
    middle = np.asarray(axis.convert_xunits(dates), dtype=np.float64)
    return bars(axis, (middle - width / 2, middle + width / 2), (0.0, heights), y_ends=[0.0], **style)


def name_rows(axis: Axes, labels: Sequence[str], **text: Any) -> None:
    """Name the rows 0, 1, ... of a panel at its left; `text` are properties of the names."""
    from matplotlib.ticker import FixedFormatter, FixedLocator

    axis.yaxis.set_major_locator(FixedLocator(range(len(labels))))
    axis.yaxis.set_major_formatter(FixedFormatter(labels))
    if text:
        axis.yaxis.majorTicks[0].label1.set(**text)


def percent_axis(axis: Axes, which: str = "y", digits: int | None = None) -> None:
    """Show fractions as percentages with as few digits as tell the ticks apart."""
    from matplotlib.ticker import FuncFormatter

    target = axis.yaxis if which == "y" else axis.xaxis

    def text(value: float, _: Any = None) -> str:
        ticks = target.get_majorticklocs()
        step = abs(float(ticks[1] - ticks[0])) if len(ticks) > 1 else 0.01
        places = digits if digits is not None else max(0, -math.floor(math.log10(max(step * 100, 1e-9)) + 1e-9))
        return minus(f"{value * 100:.{min(places, 4)}f}%")

    target.set_major_formatter(FuncFormatter(text))


def money_axis(axis: Axes, which: str = "y") -> None:
    """Show dollars in thousands or millions."""
    from matplotlib.ticker import FuncFormatter

    def text(value: float, _: Any = None) -> str:
        return minus(short_money(value))

    (axis.yaxis if which == "y" else axis.xaxis).set_major_formatter(FuncFormatter(text))


def short_money(value: float) -> str:
    """Dollars with a unit: 12k, 3.4M."""
    for size, unit in ((1e9, "bn"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def date_axis(axis: Axes, *, short: bool = False) -> None:
    """Dates as years, or as months over a short span."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=3, maxticks=6 if short else 8)
    axis.xaxis.set_major_locator(locator)
    formatter = ConciseDateFormatter(locator, show_offset=False)
    # Years stand for themselves; a month of January carries its year.
    formatter.formats = ["%Y", "%b", "%d %b", "%H:%M", "%H:%M", "%S"]
    formatter.zero_formats = ["", "%Y", "%b", "%d %b", "%H:%M", "%H:%M"]
    axis.xaxis.set_major_formatter(formatter)


def zero_line(axis: Axes, at: float = 0.0) -> None:
    """Mark a level that matters."""
    axis.axhline(at, color=MUTED, linewidth=0.9, zorder=1.5)


def levels(axis: Axes, heights: Sequence[float], **style: Any) -> None:
    """Draw lines from end to end of a panel at some heights, as one line with gaps; the scale is not changed."""
    from matplotlib.lines import Line2D

    across = np.tile([0.0, 1.0, np.nan], len(heights))[:-1]
    axis.add_line(Line2D(across, np.repeat(heights, 3)[:-1], transform=axis.get_yaxis_transform(), **style))


def nothing(text: str, *, width: int = WIDTH, height: int = 120) -> Figure:
    """A figure that says why there is nothing to draw."""
    from pairs_bt.report.plots.notebook_figure import Drawing

    with rc_context():
        figure = Drawing(figsize=(width / 72, height / 72), dpi=72)
        figure.text(0.5, 0.5, text, ha="center", va="center", color=MUTED)
    return figure


def styled(function: Callable[..., Figure]) -> Callable[..., Figure]:
    """Give a drawing function the project's look."""
    from functools import wraps

    @wraps(function)
    def inside(*args: Any, **kwargs: Any) -> Figure:
        with rc_context():
            figure = function(*args, **kwargs)
            for axes in figure.axes:
                if hasattr(axes, "keep_look"):
                    axes.keep_look()
        return figure

    return inside
