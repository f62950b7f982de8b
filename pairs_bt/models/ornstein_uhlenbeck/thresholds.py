"""Levels at which an Ornstein-Uhlenbeck spread earns most for the time it takes, after its costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairs_bt.common.array_checks import LARGEST
from pairs_bt.errors import DataError
from pairs_bt.kernels import ornstein_uhlenbeck as kernel

RULES = {"return": kernel.RETURN, "sharpe": kernel.SHARPE, "two_sided": kernel.TWO_SIDED}


@dataclass(frozen=True)
class Thresholds:
    """Levels of the long trade and what they are expected to earn; the short trade is its mirror image about the mean.

    Attributes
    ----------
    entry, exit : float or numpy.ndarray
        Levels of the process at which the long trade begins and ends, entry below exit. NaN where no level pays.
    trade_length : float or numpy.ndarray
        Expected years from one entry to the next: the trade and the wait for its level.
    rate : float or numpy.ndarray
        Expected net earnings a year, in the units of the process: a return where it is a log price.
    """

    entry: Any
    exit: Any
    trade_length: Any
    rate: Any


def optimal_thresholds(
    *,
    reversion: Any,
    sigma: Any,
    cost: Any,
    mean: Any = 0.0,
    rate: Any = 0.0,
    rule: str = "return",
    stop: Any = None,
) -> Thresholds:
    """Levels of ``dX = reversion (mean - X) dt + sigma dW`` that are worth most to who trades it again and again.

    Parameters
    ----------
    reversion : float or array
        Speed of the reversion, a year; above 0.
    sigma : float or array
        Volatility of X, a root year; above 0.
    cost : float or array
        Cost of one trade, in and out together, in the units of X; at least 0.
    mean : float or array
        Level that X reverts to.
    rate : float or array
        Interest, in the units of X a year, that the Sharpe ratio is measured from. It moves no level of the other
        rules: a constant has no part in where the greatest rate lies.
    rule : {"return", "sharpe", "two_sided"}
        ``"return"``: the greatest expected net earnings a year of the long trade alone. ``"sharpe"``: the greatest
        ratio of these less the interest to their standard deviation. ``"two_sided"``: the greatest earnings of long and
        short trades together, each from its own side.
    stop : float or array, optional
        Distance below the mean, in stationary standard deviations sigma / sqrt(2 reversion), at which a long trade is
        given up, to begin again when X is next at the entry. None or inf: no stop. Not with ``"sharpe"``.

    Returns
    -------
    Thresholds
        Floats where every argument is one, else arrays of their common shape.

    Raises
    ------
    DataError
        A value that is not a number, or out of its range; shapes that do not fit one another.
    ValueError
        An unknown rule; ``"sharpe"`` with a stop or without interest, where its ratio has no greatest value.

    Notes
    -----
    Bertram, "Analytic solutions for optimal statistical arbitrage trading", Physica A 389 (2010): with exit at the
    mirror image of the entry the cycle takes (pi / reversion) (erfi(exit') - erfi(entry')) in expectation, where a
    primed level is (level - mean) sqrt(reversion) / sigma, and the best entry' = -e solves D(e) = e - cost' / 2 with
    Dawson's function D; it earns sigma sqrt(reversion / (4 pi)) exp(-e^2) a year.

    Zeng and Lee, "Pairs trading: optimal thresholds and profitability", Quantitative Finance 14 (2014): of all rules
    that enter at either of +-a and leave at an exit between them, the best leaves at the other side's entry. It has
    the levels of ``"return"``, twice its rate, and cycles half as long.

    Leung and Li, "Optimal mean reversion trading with transaction costs and stop-loss exit", International Journal of
    Theoretical and Applied Finance 18 (2015), stop the trade at a fixed level and find entry and exit given it. They
    discount one trade; here the same rule is traded for ever and the earnings per time are maximised, as without stop.

    See Also
    --------
    run : trades at these levels with ``signal.entry = "optimal"``.

    Examples
    --------
    >>> best = optimal_thresholds(reversion=180.967, sigma=0.1538, cost=0.001)
    >>> round(best.entry, 6), round(best.trade_length, 7), round(best.rate, 6)
    (-0.004715, 0.0171224, 0.492358)
    """
    if rule not in RULES:
        raise ValueError(f"rule is {rule!r}; it must be one of {', '.join(map(repr, RULES))}")
    if rule == "sharpe" and stop is not None:
        raise ValueError(
            "stop is not known to rule 'sharpe': its variance has no stop in it; take 'return', or no stop"
        )
    given = [
        _numbers("reversion", reversion, positive=True),
        _numbers("sigma", sigma, positive=True),
        _numbers("cost", cost, low=0.0),
        _numbers("mean", mean),
        _numbers("rate", rate),
        _numbers("stop", np.inf if stop is None else stop, positive=True, endless=True),
    ]
    if rule == "sharpe" and not (given[4] > 0.0).all():
        raise ValueError(
            "rate must be above 0 for rule 'sharpe': without interest the ratio is greatest where a trade earns nothing"
        )
    try:
        shaped = np.broadcast_arrays(*given)
    except ValueError:
        shapes = ", ".join(str(one.shape) for one in given)
        raise DataError(
            f"the arguments have the shapes {shapes}; they must be of one shape, or single numbers"
        ) from None
    rows = [np.ascontiguousarray(one).reshape(-1) for one in shaped]
    made = np.empty((rows[0].size, kernel.N_LEVELS))
    kernel.level_rows(rows[0], rows[1], rows[2], rows[4], rows[5], RULES[rule], made)
    made[:, kernel.ENTRY] += rows[3]
    made[:, kernel.EXIT] += rows[3]
    shape = shaped[0].shape
    values = [np.ascontiguousarray(column).reshape(shape) if shape else float(column[0]) for column in made.T]
    return Thresholds(*values)


def _numbers(
    name: str, value: Any, *, low: float = -LARGEST, positive: bool = False, endless: bool = False
) -> NDArray[np.float64]:
    """`value` as floats inside its range, or DataError naming it, its place and the rule."""
    raw = np.asarray(value)
    if raw.dtype.kind not in "iuf":
        raise DataError(f"{name} is {value!r}; it must be a real number or an array of them")
    array = raw.astype(np.float64)
    right = array > 0.0 if positive else array >= low
    right &= (array <= LARGEST) | (endless & (array == np.inf))
    if not right.all():
        place = tuple(int(i) for i in np.argwhere(~right)[0])
        at = f" at {', '.join(map(str, place))}" if place else ""
        rule = "above 0" if positive else "at least 0" if low == 0.0 else "finite"
        raise DataError(f"{name} is {array[place]:g}{at}; it must be {rule} and no larger than {LARGEST:g}")
    return array
