"""Figures of one pair in one window: prices, hedge ratio with its band, spread, z-score with entries and exits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pairs_bt.config.hedge_rule_names import MOVING_RULES
from pairs_bt.config.schema import has_optimal_entry
from pairs_bt.errors import DataError, PairsError
from pairs_bt.report.palette import BAND, GAIN, INK, LOSS, MUTED, variant_color
from pairs_bt.report.plots import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from pairs_bt.runs.run_data import RunData


SPREAD_TITLE = "Spread in the trade window, less its first value"
# Marks on a z-score: what the legend says, and how they are drawn.
_MARKS: dict[str, dict[str, Any]] = {
    "entry signal": {
        "marker": "o", "color": INK, "markersize": 5, "markerfacecolor": "none", "markeredgewidth": 1.1,
        "linestyle": "none", "zorder": 3,
    },
    "buys the spread (fill)": {"marker": "^", "color": GAIN, "markersize": 7, "linestyle": "none", "zorder": 4},
    "sells the spread (fill)": {"marker": "v", "color": LOSS, "markersize": 7, "linestyle": "none", "zorder": 4},
    "closes (fill)": {
        "marker": "x", "color": INK, "markersize": 6, "markeredgewidth": 1.6, "linestyle": "none", "zorder": 4,
    },
}  # fmt: skip


@dataclass(frozen=True)
class PairView:
    """Everything that is known of one pair in one window.

    Attributes
    ----------
    y, x : str
        The legs, y on the left of the regression.
    test_end : Timestamp
    spreads : DataFrame
        Rows of the spreads table of this pair, all variants; empty if none were kept.
    trades : DataFrame
        Its trades, all variants.
    refusals : dict of str to str
        By variant, why the pair was not traded; '' where it could be.
    levels : DataFrame or None
        Over train and trade window, index date: y, x (filled prices), beta (the filter's path as a share ratio, or in
        logs) and sigma (its standard deviation). None where the prices are not at hand.
    missing : str
        Why `levels` is None; '' where it is not.
    """

    y: str
    x: str
    test_end: pd.Timestamp
    spreads: pd.DataFrame
    trades: pd.DataFrame
    refusals: dict[str, str]
    levels: pd.DataFrame | None
    missing: str
    thresholds: dict[str, tuple[float, float]]


def pair_view(run: RunData, y: str, x: str, test_end: Any) -> PairView:
    """Collect one pair's rows, and filter its hedge ratio again if the prices are at hand and still the same."""
    stamp = pd.Timestamp(test_end)
    try:
        table = run.select_spreads(lambda part: part[(part["y"] == y) & (part["x"] == x)], test_end=stamp)
    except DataError:
        from pairs_bt.backtest.table_columns import SPREADS, empty

        table = empty(SPREADS)
    trades = run.trades
    trades = trades[(trades["test_end"] == stamp) & (trades["y"] == y) & (trades["x"] == x)]
    lives = run.half_lives
    lives = lives[(lives["test_end"] == stamp) & (lives["y"] == y) & (lives["x"] == x)]
    refusals = {str(name): str(why) for name, why in zip(lives["variant"], lives["reason"], strict=True)}
    levels, missing = _levels(run, y, x, stamp)
    at = zip(lives["variant"], lives["entry_z"], lives["exit_z"], strict=True)
    thresholds = {str(name): (float(entry), float(leave)) for name, entry, leave in at}
    return PairView(y, x, stamp, table, trades, refusals, levels, missing, thresholds)


def _levels(run: RunData, y: str, x: str, test_end: pd.Timestamp) -> tuple[pd.DataFrame | None, str]:
    from pairs_bt.backtest.signals import prefilter, ratio_with_error, window_levels
    from pairs_bt.backtest.windows import split_windows
    from pairs_bt.data.prices import fill_gaps

    try:
        prices = run.prices
    except PairsError as error:
        return None, str(error)
    options = run.config
    filled = fill_gaps(prices[[y, x]], options.data.fill_limit)
    windows = split_windows(pd.DatetimeIndex(prices.index), options.windows, options.data.calendar)
    window = next(w for w in windows if pd.Timestamp(w.test_end) == test_end)
    bars = slice(window.first, window.stop)
    whole = np.ascontiguousarray(filled.to_numpy(dtype=np.float64).T)
    source = prefilter(whole, options.filter) if options.filter.spread_on == "filtered" else whole
    levels = window_levels(np.ascontiguousarray(whole[:, bars]), np.ascontiguousarray(source[:, bars]), options.filter)
    beta, sigma = ratio_with_error(replace(levels, n_train=window.n_train), options.filter)
    # From the normalised space back to shares: y/y0 - b x/x0 = (y - (b y0/x0) x) / y0
    scale = float(levels.spread[0, 0] / levels.spread[1, 0]) if options.filter.price_space == "normalised" else 1.0
    frame = pd.DataFrame(
        {
            "y": levels.raw[0],
            "x": levels.raw[1],
            "beta": beta * scale,
            "sigma": sigma * abs(scale),
        },
        index=pd.DatetimeIndex(filled.index[bars], name="date"),
    )
    return frame, ""


def window_of(run: RunData, y: str, x: str, test_end: Any = None) -> tuple[str, str, pd.Timestamp]:
    """Find a pair (in either order) and a window in which it was selected; by default the one with the most trades.

    Raises
    ------
    DataError
        When the pair was never selected, or not in that window.
    """
    chosen = run.tests[run.tests["selected"]]
    either = ((chosen["y"] == y) & (chosen["x"] == x)) | ((chosen["y"] == x) & (chosen["x"] == y))
    found = chosen[either]
    if test_end is not None:
        found = found[found["test_end"] == pd.Timestamp(test_end)]
    if found.empty:
        when = "" if test_end is None else f" in the window that ends {pd.Timestamp(test_end):%Y-%m-%d}"
        raise DataError(
            f"{y}/{x} was not selected{when}. run.tests holds every pair that was tested, with the reason why not."
        )
    traded = run.trades.groupby(["test_end", "y", "x"], observed=True).size()
    keys = list(found[["test_end", "y", "x"]].itertuples(index=False, name=None))
    best = max(keys, key=lambda key: (int(traded.get(key, 0)), key[0]))
    return str(best[1]), str(best[2]), pd.Timestamp(best[0])


def legs_of(run: RunData, pair: str) -> tuple[str, str]:
    """Legs of a pair as the tables print it, ``'CVX/XOM'`` or ``'CVX / XOM'``; a ticker may hold a stroke itself.

    Raises
    ------
    DataError
        A text that is not two tickers of the run.
    """
    table = run.tests_of("s1", "s2")
    known = {*table["s1"].unique(), *table["s2"].unique()}
    parts = pair.split("/")
    for place in range(1, len(parts)):
        y, x = ("/".join(part).strip() for part in (parts[:place], parts[place:]))
        if y in known and x in known:
            return y, x
    raise DataError(f"{pair!r} is not a pair of this run: give two tickers, such as 'CVX', 'XOM' or 'CVX/XOM'.")


@canvas.styled
def plot_pair_levels(run: RunData, view: PairView) -> Figure:
    """Prices and hedge ratio of a pair over train and trade window, the filter's with its one-sigma band."""
    titles, heights = [_ratio_title(run)], [230]
    if view.levels is not None:
        titles.insert(0, f"{view.y} (solid) and {view.x} (dotted), 100 at the train start")
        heights.insert(0, 170)
    labels = list(run.labels.values())
    figure, axes = canvas.panels(titles, heights, share_x=True, legend=canvas.legend_rows(labels))
    if view.levels is not None:
        _draw_prices(axes[0], view.levels, view.test_end)
    handles = _draw_ratios(axes[-1], run, view)
    canvas.date_axis(axes[-1])
    canvas.legend(figure, handles, labels)
    return figure


def _ratio_title(run: RunData) -> str:
    unit = "in logs" if run.config.filter.price_space == "log" else "shares of x for one of y"
    return f"Hedge ratio, {unit}; band: one sigma"


def _draw_prices(axis: Axes, levels: pd.DataFrame, test_end: pd.Timestamp) -> None:
    dates = levels.index.to_numpy()
    for name, dash in (("y", (1.0, 0.0)), ("x", (1.6, 1.6))):
        values = 100.0 * levels[name].to_numpy() / levels[name].iloc[0]
        axis.plot(dates, values, color=INK, linewidth=1.2, dashes=dash)
    _shade(axis, levels, test_end)


def _shade(axis: Axes, levels: pd.DataFrame, test_end: pd.Timestamp) -> None:
    first: Any = levels.index[0]
    last: Any = test_end
    axis.axvspan(first, last, color=BAND, linewidth=0, zorder=0)


def _draw_ratios(axis: Axes, run: RunData, view: PairView) -> list[Any]:
    handles = []
    if view.levels is not None:
        moving = [n for n, v in enumerate(run.variants) if v.rule in MOVING_RULES]
        color = variant_color(moving[0]) if moving else MUTED
        dates, beta, sigma = view.levels.index.to_numpy(), view.levels["beta"], view.levels["sigma"]
        # The filter still finds its start; its first values would set the scale.
        skip = slice(min(max(run.config.filter.burn_in, 20), len(dates) // 4), None)
        axis.fill_between(dates[skip], (beta - sigma)[skip], (beta + sigma)[skip], color=color, alpha=0.22, linewidth=0)
        axis.plot(dates[skip], beta[skip], color=color, linewidth=1.0)
        _shade(axis, view.levels, view.test_end)
    for number, name in enumerate(run.labels):
        own = view.spreads[view.spreads["variant"] == name]
        handles.append(canvas.line(axis, own["date"].to_numpy(), own["hedge_ratio"].to_numpy(), number, linewidth=1.6))
    return handles


def _draw_spreads(axis: Axes, run: RunData, view: PairView) -> None:
    for number, name in enumerate(run.labels):
        own = view.spreads[view.spreads["variant"] == name]
        if len(own):
            values = own["spread"].to_numpy()
            canvas.line(axis, own["date"].to_numpy(), values - values[0], number, linewidth=1.3)
    canvas.zero_line(axis)


@canvas.styled
def plot_pair_signals(run: RunData, view: PairView) -> Figure:
    """Spread of a pair, and its z-score with entries and exits, under every variant in the trade window."""
    names = list(run.labels)
    if view.spreads.empty or view.spreads["z_score"].isna().all():
        reasons = "; ".join(f"{run.labels[name]}: {view.refusals.get(name) or 'no z-score was kept'}" for name in names)
        return canvas.nothing(f"No variant traded this pair. {reasons}.")
    traded, refused = _told_apart(run, view)
    titles = [SPREAD_TITLE, *(f"{run.labels[name]}: z-score" for name in traded)]
    heights = [96, *[max(44, min(80, 340 // len(traded) - 24))] * len(traded)]
    rows = canvas.legend_rows(list(_MARKS))
    figure, axes = canvas.panels(titles, heights, share_x=True, legend=rows + len(refused))
    _draw_spreads(axes[0], run, view)
    for axis, name in zip(axes[1:], traded, strict=True):
        _draw_signals(axis, run, view, name)
    canvas.date_axis(axes[-1], short=True)
    canvas.legend(figure, _mark_handles(), list(_MARKS), above=len(refused))
    canvas.lines_below(figure, refused)
    return figure


def _told_apart(run: RunData, view: PairView) -> tuple[list[str], list[str]]:
    """Variants that have a z-score to draw, and a line on each of the others that says why it has none."""
    traded, refused = [], []
    for name, label in run.labels.items():
        own = view.spreads[view.spreads["variant"] == name]
        if own.empty or own["z_score"].isna().all():
            refused.append(f"{label} is not traded: {view.refusals.get(name) or 'no z-score was kept'}")
        else:
            traded.append(name)
    return traded, refused


def _draw_signals(axis: Axes, run: RunData, view: PairView, name: str) -> None:
    own = view.spreads[view.spreads["variant"] == name]
    trades = view.trades[view.trades["variant"] == name]
    entry, leave = view.thresholds.get(name, (np.nan, np.nan))
    number = list(run.labels).index(name)
    dates, z = own["date"].to_numpy(), own["z_score"].to_numpy(dtype=float)
    axis.plot(dates, z, color=variant_color(number), linewidth=1.2)
    # a pair's own exit lies beyond the mean, and the short trade's is its mirror image
    levels = (-entry, leave, *((-leave,) if has_optimal_entry(run.config.signal) else ()), entry)
    canvas.levels(axis, levels, color=MUTED, linewidth=0.8, dashes=(3, 3), zorder=1.5)
    reach = max(entry * 1.35, float(np.nanmax(np.abs(z))) * 1.15 if np.isfinite(z).any() else 0.0)
    axis.set_ylim(-reach, reach)
    axis.locator_params(axis="y", nbins=4)
    side, opened = trades["side"].to_numpy(), trades["entry_date"].to_numpy()
    closed = trades["exit_date"].to_numpy()
    marked = (trades["signal_date"].to_numpy(), opened[side == 1], opened[side == -1], closed[~np.isnat(closed)])
    for when, style in zip(marked, _MARKS.values(), strict=True):
        if when.size:
            axis.plot(when, _values_at(dates, z, when), **style)


def _values_at(
    dates: npt.NDArray[np.datetime64], values: npt.NDArray[np.float64], when: npt.NDArray[np.datetime64]
) -> npt.NDArray[np.float64]:
    """Values on some of the dates, which ascend; NaN on a date that is none of them."""
    place = np.minimum(np.searchsorted(dates, when), dates.size - 1)
    return np.where(dates[place] == when, values[place], np.nan)


def _mark_handles() -> list[Any]:
    """What the legend shows for the marks, whether or not they occur."""
    from matplotlib.lines import Line2D

    return [Line2D([], [], **style) for style in _MARKS.values()]


@canvas.styled
def plot_pair(run: RunData, y: str, x: str | None = None, test_end: Any = None) -> Figure:
    """One pair in one window, everything in one figure.

    Parameters
    ----------
    run : Run
        A finished run.
    y, x : str
        Tickers, in either order; or the pair as the tables print it, ``'CVX/XOM'``, in `y` alone.
    test_end : date, optional
        Test end of the window; default: the window in which the pair traded most.

    Raises
    ------
    DataError
        When the pair was not selected.
    """
    legs = (y, x) if x is not None else legs_of(run, y)
    view = pair_view(run, *window_of(run, *legs, test_end))
    titles, heights = [_ratio_title(run), SPREAD_TITLE], [130, 110]
    if view.levels is not None:
        titles.insert(0, f"{view.y} (solid) and {view.x} (dotted), 100 at the train start")
        heights.insert(0, 110)
    traded, refused = _told_apart(run, view)
    titles += [f"{run.labels[name]}: z-score" for name in traded]
    heights += [70] * len(traded)
    labels = [*run.labels.values(), *(_MARKS if traded else ())]
    legend = canvas.legend_rows(labels, 760)
    figure, axes = canvas.panels(titles, heights, legend=legend + len(refused), width=760)
    if view.levels is not None:
        _draw_prices(axes[0], view.levels, view.test_end)
        canvas.date_axis(axes[0])
    ratios, spreads, *signals = axes[1:] if view.levels is not None else axes
    handles = _draw_ratios(ratios, run, view)
    _draw_spreads(spreads, run, view)
    for axis, name in zip(signals, traded, strict=True):
        _draw_signals(axis, run, view, name)
    for axis in (ratios, spreads, *signals):
        if axis.lines or axis.collections:
            canvas.date_axis(axis)
        else:
            axis.xaxis.set_visible(False)
    canvas.legend(figure, [*handles, *(_mark_handles() if traded else ())], labels, above=len(refused))
    canvas.lines_below(figure, refused)
    return figure
