"""``run.plot``: the report's figures, one method each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pairs_bt.report.plots import all_pairs, pnl
from pairs_bt.report.plots import equity as portfolio
from pairs_bt.report.plots import one_pair as pair

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pairs_bt.runs.run_data import RunData


class PlotAccessor:
    """Figures of a run; each method returns a `matplotlib.figure.Figure` that Jupyter shows.

    Examples
    --------
    ``run.plot.equity()``, ``run.plot.pair("CVX", "XOM").savefig("pair.svg")``
    """

    def __init__(self, run: RunData) -> None:
        self._run = run

    def equity(self, column: str = "net") -> Figure:
        """Growth of 1 and drawdown: see :func:`pairs_bt.report.plots.equity.plot_equity`."""
        return portfolio.plot_equity(self._run, column)

    def rolling_sharpe(self, window: int = 126) -> Figure:
        """Annualised net Sharpe ratio over the last `window` days."""
        return portfolio.plot_rolling_sharpe(self._run, window)

    def cohorts(self) -> Figure:
        """Net return of every cohort, one row a variant."""
        return portfolio.plot_cohorts(self._run)

    def sharpe(self) -> Figure:
        """Net Sharpe ratios with their intervals."""
        return portfolio.plot_sharpe(self._run)

    def differences(self) -> Figure:
        """Differences of net Sharpe ratios with their intervals."""
        return portfolio.plot_differences(self._run)

    def decomposition(self) -> Figure:
        """Where net P&L came from."""
        return pnl.plot_decomposition(self._run)

    def phantom(self) -> Figure:
        """What the differenced spread would have claimed, against what the shares earned."""
        return pnl.plot_phantom(self._run)

    def costs(self) -> Figure:
        """Annual net return against the cost of a trade."""
        return pnl.plot_costs(self._run)

    def times(self) -> Figure:
        """Half-lives and holding times."""
        return all_pairs.plot_times(self._run)

    def hedge_paths(self) -> Figure:
        """How far the moving hedge ratio wanders, and where the held ones stand."""
        return all_pairs.plot_hedge_paths(self._run)

    def scatter(self) -> Figure:
        """Net P&L of every pair, variant against variant."""
        return all_pairs.plot_scatter(self._run)

    def candidates(self) -> Figure:
        """Candidates by window, against chance."""
        return all_pairs.plot_candidates(self._run)

    def pair(self, y: str, x: str, test_end: Any = None) -> Figure:
        """One pair in one window: see :func:`pairs_bt.report.plots.one_pair.plot_pair`."""
        return pair.plot_pair(self._run, y, x, test_end)
