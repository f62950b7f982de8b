"""``run.plot``: the report's figures, one method each."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, NoReturn

from pairs_bt.common.formatting import html_table
from pairs_bt.report.plots import all_pairs, pnl
from pairs_bt.report.plots import equity as portfolio
from pairs_bt.report.plots import one_pair as pair
from pairs_bt.report.plots.series import Names

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from pairs_bt.runs.run_data import RunData


class PlotAccessor:
    """Figures of a run; each method returns a `matplotlib.figure.Figure` that Jupyter shows.

    ``variants`` is one name or a list of them, as the tables print them (``'dynamic-frozen'``) or by their keys
    (``'dynamic'``); empty for all. A variant keeps its colour and dash whatever is drawn beside it.

    Examples
    --------
    ``run.plot.equity()``, ``run.plot.costs("dynamic")``, ``run.plot.pair("CVX/XOM").savefig("pair.svg")``
    """

    def __init__(self, run: RunData) -> None:
        self._run = run

    def __call__(self, *_: object, **__: object) -> NoReturn:
        """Say which figures there are: none is drawn by the name of all."""
        names = ", ".join(f"run.plot.{name}" for name, _ in self._described())
        raise TypeError(f"run.plot draws a figure by its name: {names}")

    def _described(self) -> list[tuple[str, str]]:
        """Every figure as it is called, and what it shows."""
        out = []
        for name, method in vars(type(self)).items():
            if not name.startswith("_"):
                given = [str(part) for part in inspect.signature(method, eval_str=False).parameters if part != "self"]
                said = (inspect.getdoc(method) or "").partition("\n")[0]
                out.append((f"{name}({', '.join(given)})", said.partition(": see")[0].rstrip(".")))
        return out

    def __repr__(self) -> str:
        rows = self._described()
        width = max(len(call) for call, _ in rows)
        lines = [f"  {call.ljust(width)}  {text}" for call, text in rows]
        return "\n".join([f"Figures of {self._run!r}, each a method:", *lines])

    def _repr_html_(self) -> str:
        """What Jupyter shows: every figure as it is called, and what it shows."""
        rows = [[f"run.plot.{call}", text] for call, text in self._described()]
        return html_table([["figure", "shows"], *rows], f"Figures of {self._run!r}")

    def equity(self, column: str = "net", variants: Names = ()) -> Figure:
        """Growth of 1 and drawdown: see :func:`pairs_bt.report.plots.equity.plot_equity`."""
        return portfolio.plot_equity(self._run, column, variants)

    def rolling_sharpe(self, window: int | Names = 126, variants: Names = ()) -> Figure:
        """Annualised net Sharpe ratio over the last `window` days.

        The name of a variant in place of the window is understood.
        """
        if isinstance(window, int):
            return portfolio.plot_rolling_sharpe(self._run, window, variants)
        return portfolio.plot_rolling_sharpe(self._run, variants=window)

    def cohorts(self, variants: Names = ()) -> Figure:
        """Net return of every cohort, one row a variant."""
        return portfolio.plot_cohorts(self._run, variants)

    def sharpe(self, variants: Names = ()) -> Figure:
        """Net Sharpe ratios with their intervals."""
        return portfolio.plot_sharpe(self._run, variants)

    def differences(self, variants: Names = ()) -> Figure:
        """Differences of net Sharpe ratios with their intervals."""
        return portfolio.plot_differences(self._run, variants)

    def decomposition(self, variants: Names = ()) -> Figure:
        """Where net P&L came from."""
        return pnl.plot_decomposition(self._run, variants)

    def phantom(self, variants: Names = ()) -> Figure:
        """What the differenced spread would have claimed, against what the shares earned."""
        return pnl.plot_phantom(self._run, variants)

    def costs(self, variants: Names = ()) -> Figure:
        """Annual net return against the cost of a trade."""
        return pnl.plot_costs(self._run, variants)

    def times(self, variants: Names = ()) -> Figure:
        """Half-lives and holding times."""
        return all_pairs.plot_times(self._run, variants)

    def hedge_paths(self, variants: Names = ()) -> Figure:
        """How far the moving hedge ratio wanders, and where the held ones stand."""
        return all_pairs.plot_hedge_paths(self._run, variants)

    def scatter(self, variants: Names = ()) -> Figure:
        """Net P&L of every pair, variant against variant."""
        return all_pairs.plot_scatter(self._run, variants)

    def candidates(self) -> Figure:
        """Candidates by window, against chance."""
        return all_pairs.plot_candidates(self._run)

    def pair(self, y: str, x: str | None = None, test_end: Any = None) -> Figure:
        """One pair in one window: see :func:`pairs_bt.report.plots.one_pair.plot_pair`."""
        return pair.plot_pair(self._run, y, x, test_end)
