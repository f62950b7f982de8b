"""Axes that stamp their ticks: one tick object is drawn at all places of an axis.

Matplotlib makes an object of five artists for every tick of every axis, copies its properties from the first one and
measures all labels up to three times. Most of the time of a small figure goes there. Here one tick of each kind lends
its properties to one line of grid lines and one of marks, and to each label in turn: the picture is the same. Where
somebody has asked for the single ticks, or where a label must keep clear of them, matplotlib draws its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib import axis as mpl_axis
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

if TYPE_CHECKING:
    from matplotlib.axis import Tick

# Where matplotlib keeps the ticks of an axis once they are made.
_LISTS = ("majorTicks", "minorTicks")
#: Ticks this close to the ends of an axis, as parts of its length, are on it: matplotlib's own tolerance.
_AT_THE_END = 1e-10


class _Stamped:
    """What both axes share; stands before a class of `matplotlib.axis` among the bases."""

    _clip: tuple[Any, Any] | None = None

    def set_clip_path(self: Any, path: Any, transform: Any = None) -> None:
        """Clip the grid; ticks that are not there yet are clipped when they are made."""
        self._clip = (path, transform)
        Artist.set_clip_path(self, path, transform)
        for tick in self._made():
            tick.set_clip_path(path, transform)

    def set_tick_params(self: Any, *args: Any, **kwargs: Any) -> None:
        """Keep the parameters, for ticks that are there and for those to come; none is made for it."""
        missing = [name for name in _LISTS if name not in self.__dict__]
        self.__dict__.update({name: [] for name in missing})
        try:
            super().set_tick_params(*args, **kwargs)  # type: ignore[misc]
        finally:
            for name in missing:
                self.__dict__.pop(name, None)

    def _get_tick(self: Any, major: bool) -> Tick:
        tick: Tick = super()._get_tick(major)  # type: ignore[misc]
        if self._clip is not None:
            tick.set_clip_path(*self._clip)
        return tick

    def _made(self: Any) -> list[Tick]:
        """Ticks that are there: asking matplotlib for them would make one."""
        return [tick for name in _LISTS for tick in self.__dict__.get(name, ())]

    def draw(self: Any, renderer: Any, *args: Any, **kwargs: Any) -> None:
        """Draw all grid lines of one kind as one line, their marks as one line, then the labels."""
        groups = self._groups() if self.get_visible() else None
        if groups is None:
            super().draw(renderer, *args, **kwargs)  # type: ignore[misc]
            return
        renderer.open_group(mpl_axis.__name__, gid=self.get_gid())
        for tick, places, texts in groups:
            self._draw_lines(tick, places, renderer)
            for label in (tick.label1, tick.label2):
                if not label.get_visible():
                    continue
                move = label.set_x if self.axis_name == "x" else label.set_y
                for place, text in zip(places.tolist(), texts, strict=True):
                    move(place)
                    label.set_text(text)
                    label.draw(renderer)
        renderer.close_group(mpl_axis.__name__)
        self.stale = False

    def _draw_lines(self: Any, tick: Tick, places: npt.NDArray[np.float64], renderer: Any) -> None:
        # From end to end of the panel at each place, with a gap before the next.
        along, across = np.repeat(places, 3), np.tile([0.0, 1.0, np.nan], places.size)
        along[2::3] = np.nan
        x_axis = self.axis_name == "x"
        tick.gridline.set_data(*((along, across) if x_axis else (across, along)))
        for mark in (tick.tick1line, tick.tick2line):
            (mark.set_xdata if x_axis else mark.set_ydata)(places)
        for line in (tick.gridline, tick.tick1line, tick.tick2line):
            line.draw(renderer)
        # As matplotlib has them, should it draw this tick itself.
        tick.gridline.set_data(*(((0.0,), (0.0, 1.0)) if x_axis else ((0.0, 1.0), (0.0,))))
        tick.update_position(0.0)

    def stamps(self: Any) -> list[Tick]:
        """The tick for all major places and the one for the minor ones; made where it is missing."""
        tickers = zip((self.major, self.minor), _LISTS, strict=True)
        return [getattr(self, name)[0] for ticker, name in tickers if not isinstance(ticker.locator, NullLocator)]

    def _groups(self: Any) -> list[tuple[Tick, npt.NDArray[np.float64], list[str]]] | None:
        """Tick, places and labels of what is drawn, major ones first; None where matplotlib has to do it."""
        if any(len(self.__dict__.get(name, ())) > 1 for name in _LISTS) or self.label.get_text():
            return None
        out = []
        for major, ticker in ((True, self.major), (False, self.minor)):
            if isinstance(ticker.locator, NullLocator):
                continue
            places = np.asarray(self.get_majorticklocs() if major else self.get_minorticklocs(), dtype=np.float64)
            texts = ticker.formatter.format_ticks(places)
            if major and ticker.formatter.get_offset():
                return None
            shown = np.flatnonzero(self._inside(places))
            if shown.size:
                tick = getattr(self, _LISTS[0 if major else 1])[0]
                out.append((tick, places[shown], [texts[k] for k in shown]))
        return out

    def _inside(self: Any, places: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Which places are on the axis, ends included."""
        change = self.get_transform().transform
        low, high = sorted(change(np.asarray(self.get_view_interval(), dtype=float)).tolist())
        at, slack = change(places), _AT_THE_END * (high - low)
        return np.asarray((at >= low - slack) & (at <= high + slack))


class XAxis(_Stamped, mpl_axis.XAxis):
    """Matplotlib's x axis, its ticks stamped."""


class YAxis(_Stamped, mpl_axis.YAxis):
    """Matplotlib's y axis, its ticks stamped."""


class StampedAxes(Axes):
    """Matplotlib's axes, their ticks stamped."""

    xaxis: XAxis
    yaxis: YAxis

    def keep_look(self) -> None:
        """Make the stamps now: they take the settings of matplotlib that hold when they are made."""
        for axis in (self.xaxis, self.yaxis):
            axis.stamps()

    def _init_axis(self) -> None:
        self.xaxis = XAxis(self, clear=False)
        self.yaxis = YAxis(self, clear=False)
        for side, axis in (("bottom", self.xaxis), ("top", self.xaxis), ("left", self.yaxis), ("right", self.yaxis)):
            self.spines[side].register_axis(axis)
