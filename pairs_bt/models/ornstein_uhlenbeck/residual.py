"""The s-score of a stock against a sector ETF (Avellaneda and Lee 2010): a rolling regression and an AR(1), every bar.

At a bar the last 60 returns of y are regressed on those of x and a constant. Their residuals, added up, are X, the
part of y's return that the ETF does not explain; X ends at 0, because residuals sum to nothing. X is fitted as an
Ornstein-Uhlenbeck process seen once a bar,

    X_{k+1} = a + b X_k + z,   reversion = -log b a bar,   mean m = a / (1 - b),   deviation = sqrt(Var z / (1 - b^2)),

and the s-score is how far X is from its mean, s = (0 - m) / deviation. Where it reverts too slowly for the window,
that is where 1 / reversion is above half of it (30 days of 60), there is none. The mean may be taken less that of all
stocks of the bar, which takes out what they have in common.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pairs_bt.kernels import return_residual as kernel

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ResidualFit:
    """What is fitted at every bar; all (pairs, bars), NaN before there are enough returns.

    Attributes
    ----------
    slope : numpy.ndarray
        Dollars of x against one dollar of y.
    mean, deviation : numpy.ndarray
        Of the cumulated residual, as a share of y's price; NaN where it does not revert.
    reversion : numpy.ndarray
        A bar; NaN where it does not revert.
    """

    slope: Floats
    mean: Floats
    deviation: Floats
    reversion: Floats

    def scores(self, window: int, centre: Floats | None = None) -> Floats:
        """The s-scores, (pairs, bars).

        Parameters
        ----------
        window : int
            Returns of the fit; NaN where 1 / reversion is above half of them.
        centre : numpy.ndarray, shape (bars,), optional
            Taken off the means: see :func:`mean_of_means`.
        """
        mean = self.mean if centre is None else self.mean - centre
        fast = self.reversion * (0.5 * window) > 1.0
        return np.where(fast, -mean / self.deviation, np.nan)


def fit_residuals(y: Floats, x: Floats, window: int, first: int = 0) -> ResidualFit:
    """Fit every bar from `first` on to the `window` returns that end there.

    Parameters
    ----------
    y, x : numpy.ndarray, shape (pairs, bars)
        Prices; not checked. A bar that is NaN makes those NaN whose returns need it.
    window : int
        At least 3.
    first : int
        Bars before it are left NaN.

    Returns
    -------
    ResidualFit

    References
    ----------
    Avellaneda and Lee (2010), "Statistical arbitrage in the US equities market", Quantitative Finance 10(7), 761-782,
    section 4 and the appendix.
    """
    out = np.full((*y.shape, kernel.N_RESIDUAL), np.nan)
    kernel.residual_rows(np.ascontiguousarray(y), np.ascontiguousarray(x), window, first, out)
    reversion = -np.log(out[:, :, kernel.KEPT])
    return ResidualFit(out[:, :, kernel.SLOPE], out[:, :, kernel.LEVEL], out[:, :, kernel.DEVIATION], reversion)


def mean_of_means(fit: ResidualFit) -> Floats:
    """Mean over the pairs of the means of a bar, of those that revert: (bars,); 0 where none does."""
    there = np.isfinite(fit.mean)
    return np.asarray(np.where(there, fit.mean, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1))
