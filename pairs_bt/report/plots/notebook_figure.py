"""A matplotlib figure that Jupyter shows without pyplot."""

from __future__ import annotations

from matplotlib.figure import Figure

from pairs_bt.report.plots.svg import standalone_svg


class Drawing(Figure):
    """A figure of the project; its last expression in a notebook cell is shown as SVG."""

    def _repr_svg_(self) -> str:
        return standalone_svg(self)
