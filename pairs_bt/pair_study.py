"""One pair of any two series, whether a test would have chosen it or not: what a run would do with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from pairs_bt.config.hedge_rule_names import rule_names
from pairs_bt.config.schema import Config
from pairs_bt.errors import ConfigError
from pairs_bt.results import Run
from pairs_bt.runner import run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure


@dataclass(frozen=True)
class PairStudy:
    """A pair under every hedge ratio, in every window; see :func:`study_pair`.

    Attributes
    ----------
    y, x : str
        The legs as they were named: y on the left of every regression.
    run : Run
        The run of this pair alone, with all its tables. The pair has the whole capital of each cohort.

    See Also
    --------
    study_pair : makes it, with an example.
    """

    y: str
    x: str
    run: Run

    @property
    def tests(self) -> pd.DataFrame:
        """Engle-Granger both ways and Johansen, one row a window, with the columns of :attr:`pairs_bt.Run.tests`."""
        return self.run.tests

    @property
    def hedge_ratios(self) -> pd.DataFrame:
        """Half-life, z-score window, held ratio and why it is not traded, by test end and variant."""
        return self.run.half_lives

    @property
    def spreads(self) -> pd.DataFrame:
        """Hedge ratio, spread, z-score and position on every bar of the trade windows, by variant."""
        return self.run.spreads

    @property
    def trades(self) -> pd.DataFrame:
        """Every trade, with the columns of :attr:`pairs_bt.Run.trades`."""
        return self.run.trades

    @property
    def fills(self) -> pd.DataFrame:
        """Every fill of the trades."""
        return self.run.fills

    @property
    def summary(self) -> pd.DataFrame:
        """One row a variant, over all windows."""
        return self.run.summary

    def plot(self, test_end: Any = None) -> Figure:
        """Prices, hedge ratios, spreads and z-scores in one window; default: that in which the pair traded most."""
        return self.run.plot.pair(self.y, self.x, test_end)

    def write(self, path: str | Path) -> None:
        """Write the pair's page: one self-contained HTML file."""
        from pairs_bt.common.files import write_text
        from pairs_bt.report.pair_study import render_pair

        write_text(Path(path), render_pair(self))

    def __repr__(self) -> str:
        return f"<PairStudy: {self.y}/{self.x}, {len(self.tests)} windows, {len(self.trades):,} trades>"

    def _repr_html_(self) -> str:
        """What Jupyter shows: the tests, and the rules side by side."""
        from pairs_bt.report.pair_study import render_pair_card

        return render_pair_card(self)


def study_pair(
    prices: Any,
    y: str,
    x: str,
    *,
    config: Config | str | Path | None = None,
    variants: Sequence[str] | None = None,
    jobs: int | None = None,
) -> PairStudy:
    """Test, hedge and trade one pair in every window, selected or not.

    Parameters
    ----------
    prices : DataFrame, path or any other source of :func:`pairs_bt.read_prices`, or None
        Needs the columns `y` and `x`. The others serve the hedge rule ``beta`` as the market; with the two alone
        their mean return is the market. None reads the prices that `config` names.
    y, x : str
        The legs. y is on the left of every regression, whatever the tests prefer.
    config : Config, path or None
        Windows, filter, signal and costs; None takes those of the built-in demo. Its pairs and tests are replaced:
        ``universe.pairs = [[y, x]]`` and ``selection.tests = []``.
    variants : sequence of str, optional
        Hedge rules to compare; None takes all of them, or those of `config` where ``signal.z`` fits only some.
    jobs : int, optional
        Threads; results do not depend on it.

    Returns
    -------
    PairStudy

    Raises
    ------
    ConfigError
        When the prices lack a leg, or a variant is unknown.
    DataError
        When the prices are shorter than one window, or the legs are never complete in one.

    See Also
    --------
    run : all pairs of a universe.

    Examples
    --------
    >>> import numpy as np, pandas as pd, pairs_bt
    >>> rng, days = np.random.default_rng(1), pd.bdate_range("2014-01-01", periods=700)
    >>> x = 100 + rng.normal(size=700).cumsum()
    >>> gap = 3 * pd.Series(rng.normal(size=700)).ewm(alpha=0.1, adjust=False).mean().to_numpy()
    >>> prices = pd.DataFrame({"AAA": 20 + 0.8 * x + gap, "BBB": x}, index=days)
    >>> study = pairs_bt.study_pair(prices, "AAA", "BBB", variants=["ols"])
    >>> study.hedge_ratios["ratio"].round(1).tolist()
    [0.8, 0.8, 0.8]
    >>> len(study.trades)
    5
    """
    settings = config if isinstance(config, Config) else Config.load(config, own_prices=prices is not None)
    if y == x:
        raise ConfigError(f"y and x are both {y!r}: a pair needs two tickers.")
    return PairStudy(y, x, run(pair_config(settings, y, x, variants), prices=prices, jobs=jobs))


def pair_config(config: Config, y: str, x: str, variants: Sequence[str] | None = None) -> Config:
    """The config of one pair: it is named, no test decides, and every hedge rule that fits is compared."""
    tables = config.to_dict()
    # one pair is all there is: it has the whole slot
    tables["portfolio"]["min_pairs"] = 1
    tables["universe"]["pairs"] = ((y, x),)
    tables["selection"] |= {"tests": (), "method": "cointegration", "multiplicity": "none", "keep": "all"}
    tables["run"]["spreads"] = "all"
    tables.pop("sweep")
    if variants is not None:
        tables["hedge"]["variants"] = tuple(variants)
    elif config.signal.z in ("auto", "rolling"):
        tables["hedge"]["variants"] = rule_names()
    return Config.from_dict(tables)
