"""A finished run as users meet it: its data, its figures and what a notebook shows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from pairs_bt.runs.run_data import RunData
from pairs_bt.runs.tearsheets import Pyfolio, to_pyfolio

if TYPE_CHECKING:
    from pairs_bt.report.plots.accessor import PlotAccessor


@dataclass(frozen=True, repr=False)
class Run(RunData):
    """A finished run.

    Attributes
    ----------
    config : Config
    tests, half_lives, hedge_effectiveness, trades, fills : DataFrame
        See the tables of the run's folder.
    returns : ReturnsTable
        Daily returns of every variant; ``run.returns("dynamic")`` is one variant's Series.
    summary : DataFrame
        One row a variant.
    chance : dict
        What would pass if no two tickers had anything to do with each other: ``expected``, the 95% band of one
        universe ``low`` to ``high``, ``null``; see :class:`pairs_bt.backtest.selection_null.Chance`.
    source : dict
        Fingerprint of the prices.
    notes : list of str
        What was repaired, flagged or left out.
    versions : dict
        Versions of the packages that made it.
    folder : Path or None
        Where the run is stored.
    counts : dict
        Per test end: ``pairs`` of the universe, and those ``tested``, ``passed`` and ``selected``.
    bars_per_year : float
        Bars that annual figures count to a year (``data.bars_per_year``, resolved).

    See Also
    --------
    run : makes it, with an example.
    load_run : reads it back from its folder.
    """

    def diagnostics(self, test_end: Any = None, pairs: Iterable[tuple[str, str]] | None = None) -> pd.DataFrame:
        """Check the filter's model on one test end's train window, pair by pair.

        See :func:`pairs_bt.runs.filter_diagnostics.diagnostics`; by default the last test end and its selected pairs.
        """
        from pairs_bt.backtest.study import prepare
        from pairs_bt.data.prices import check_prices
        from pairs_bt.runs.filter_diagnostics import diagnostics

        return diagnostics(prepare(self.config, check_prices(self.prices)), test_end, pairs)

    def to_pyfolio(self, variant: str) -> Pyfolio:
        """Returns, positions and transactions of one variant, as pyfolio takes them."""
        return to_pyfolio(self, variant)

    def explore(self) -> Any:
        """Show a page that trades the run again as its thresholds move (Jupyter, VS Code, Colab, marimo).

        Returns
        -------
        object
            A widget where anywidget is installed (the extra ``notebook``), else the page in a frame. For a file see
            ``pairs-bt explore DIR``.
        """
        from pairs_bt.report.explorer.page import explorer_widget

        return explorer_widget(self)

    @property
    def plot(self) -> PlotAccessor:
        """Figures: ``run.plot.equity()``, ``run.plot.pair("CVX", "XOM")`` and others."""
        from pairs_bt.report.plots.accessor import PlotAccessor

        return PlotAccessor(self)

    def _repr_html_(self) -> str:
        """What Jupyter shows: the headline and a small equity curve."""
        from pairs_bt.report.page import render_card

        return render_card(self)
