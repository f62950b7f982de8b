"""P-values of Johansen's trace and maximum-eigenvalue statistics: two series, a constant that is not restricted.

Of rank 0 the limit law has no closed form. It was simulated (`python -m benchmarks.johansen_tail`), and its upper tail
is held as p = 1 - Phi(z), with z a polynomial in the cube root of the statistic, in which a chi-squared variable is
nearly normal. Of rank <= 1 it is chi-squared with one degree of freedom. Each p is 5% at the 95% value that MacKinnon,
Haug and Michelis (1999) give to four places, so that p <= 0.05 and "above the 95% value" say the same.

p is within 0.0002 of 10, 5 and 1% at the published values. Against a million draws, whose own error is half of it,
p is off by at most 0.0006, and by at most 10% of itself down to p = 1e-5; below that, outside the points of the fit, it
errs on the large side.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["last_pvalues", "max_eig_pvalues", "trace_pvalues"]

Floats = npt.NDArray[np.float64]

# MacKinnon, Haug and Michelis (1999), 95%: rank 0 of the trace and of the largest eigenvalue, and rank <= 1 of both.
TRACE_95, MAX_EIG_95, LAST_95 = 15.4943, 14.2639, 3.8415
# 95% points of chi-squared with one degree of freedom, of which LAST_95 is the rounding, and of the normal.
_CHI2_95, _Z_95 = 3.841458820694124, 1.6448536269514722
# Powers 1, 2, .. of cbrt(x) - cbrt(95% value), as the benchmark prints them.
TRACE_TAIL = (3.123406, -0.014715, 0.104987, -0.003929, 0.016873, -0.025774)
MAX_EIG_TAIL = (3.095781, -0.047136, 0.129771, 0.013276, 0.04047, -0.023661)
# Cube roots between which the polynomials were fitted; outside z goes on straight.
_FROM, _TO = 1.2, 3.2


def _upper_tail(statistic: npt.ArrayLike, anchor: float, powers: tuple[float, ...]) -> Floats:
    from scipy.special import ndtr

    root = np.cbrt(np.asarray(statistic, dtype=np.float64))
    off = np.clip(root, _FROM, _TO) - np.cbrt(anchor)
    z, slope = np.zeros_like(off), np.zeros_like(off)
    for power in reversed(powers):
        slope = slope * off + z
        z = z * off + power
    slope = slope * off + z
    z = z * off
    return np.asarray(ndtr(-(_Z_95 + z + slope * (root - np.clip(root, _FROM, _TO)))))


def trace_pvalues(trace0: npt.ArrayLike) -> Floats:
    """P-values of the trace statistic of rank 0: the share of pairs without a relation whose statistic is larger.

    Parameters
    ----------
    trace0 : array_like
        `trace0` of a scan, or `trace[0]` of :func:`pairs_bt.models.cointegration.johansen`. NaN gives NaN.

    Returns
    -------
    numpy.ndarray
        Of the same shape, in 0..1, falling.

    References
    ----------
    Johansen (1995), chapter 15; MacKinnon, Haug and Michelis (1999), Journal of Applied Econometrics 14.
    """
    return _upper_tail(trace0, TRACE_95, TRACE_TAIL)


def max_eig_pvalues(max_eig0: npt.ArrayLike) -> Floats:
    """P-values of the maximum-eigenvalue statistic of rank 0; otherwise as `trace_pvalues`."""
    return _upper_tail(max_eig0, MAX_EIG_95, MAX_EIG_TAIL)


def last_pvalues(statistic: npt.ArrayLike) -> Floats:
    """P-values of the statistic of rank <= 1, which is the same for both tests: chi-squared, one degree of freedom."""
    from scipy.special import erfc

    # The factor is 1 to five places: with it p is 5% at the table's rounded value.
    scaled = np.asarray(statistic, dtype=np.float64) * (_CHI2_95 / LAST_95)
    return np.asarray(erfc(np.sqrt(0.5 * np.maximum(scaled, 0.0))))
