"""Exact maximum likelihood of an Ornstein-Uhlenbeck process that is seen once a bar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pairs_bt.common.array_checks import check_number, check_values
from pairs_bt.common.periods import TRADING_DAYS
from pairs_bt.errors import DataError
from pairs_bt.kernels import ornstein_uhlenbeck as kernel


@dataclass(frozen=True)
class OUFit:
    """Parameters of ``dX = reversion (mean - X) dt + sigma dW`` and their standard errors.

    Attributes
    ----------
    reversion, mean, sigma : float
        A year, in the units of X, and in those a root year. NaN where neighbouring bars are not positively correlated,
        which no such process is.
    reversion_se, mean_se, sigma_se : float
        Asymptotic standard errors.
    """

    reversion: float
    mean: float
    sigma: float
    reversion_se: float
    mean_se: float
    sigma_se: float

    @property
    def deviation(self) -> float:
        """Stationary standard deviation, sigma / sqrt(2 reversion)."""
        return float(self.sigma / np.sqrt(2.0 * self.reversion))


def fit_ou(spread: Any, *, bars_per_year: float = float(TRADING_DAYS)) -> OUFit:
    """Fit an Ornstein-Uhlenbeck process to a spread.

    Parameters
    ----------
    spread
        (n,) array or Series, one value a bar; NaN only before the first value.
    bars_per_year : float
        Bars of a year, above 0: the unit of time of what is returned.

    Returns
    -------
    OUFit

    Raises
    ------
    DataError
        Fewer than 4 bars, a NaN between values, a spread that does not move, infinite values or something that is not a
        number.
    ValueError
        `bars_per_year` that is not above 0.

    Notes
    -----
    The bars of the process are an AR(1) with coefficient exp(-reversion / bars_per_year), exactly and not as an
    approximation, and its first value has the stationary distribution: all of its likelihood is maximised (Beach and
    MacKinnon, "A maximum likelihood procedure for regression with autocorrelated errors", Econometrica 46, 1978).
    In a window of few half-lives the reversion is overestimated, by about 4 over the length of the window in years
    (Tang and Chen, "Parameter estimation and bias correction for diffusion processes", Journal of Econometrics 149,
    2009), and a random walk has a fitted reversion too: test for cointegration first.
    """
    values = check_values("spread", spread)
    per_year = check_number("bars_per_year", bars_per_year, low=1e-50)
    found = np.flatnonzero(~np.isnan(values))
    own = values[found[0] :] if found.size else values[:0]
    if own.size < 4:
        raise DataError(f"spread has {own.size} bars with a value; a fit of an Ornstein-Uhlenbeck process needs 4")
    holes = np.flatnonzero(np.isnan(own))
    if holes.size:
        raise DataError(
            f"spread is NaN at bar {int(found[0] + holes[0])}, after its first value; cut the series there, or fill it"
        )
    if np.ptp(own) <= 1e-12 * np.abs(own).max():
        raise DataError(f"spread is {own[0]:g} at every bar; a fit needs a spread that moves")
    made = np.empty((1, kernel.N_FIT))
    kernel.fit_rows(own[np.newaxis, :], 0, own.size, made)
    root = np.sqrt(per_year)
    return OUFit(*(float(v) for v in made[0] * np.array([per_year, 1.0, root, per_year, 1.0, root])))
