"""Is the filter's model right for a pair? Its innovations say so: they should be white, normal and of the size claimed.

Over the train window, once the start no longer speaks: standardised innovations z_t = e_t / sqrt(S_t), which under
the model are independent N(0, 1) (Durbin and Koopman, *Time Series Analysis by State Space Methods*, 2012, 2.12).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from pairs_bt.backtest.signals import Levels, filter_noise, filter_pairs, filter_start
from pairs_bt.backtest.study import Study
from pairs_bt.config.schema import Filter, Smooth
from pairs_bt.errors import DataError
from pairs_bt.kernels.kalman import PATH, STATE, factor_state, hedge_path, hedge_paths_each
from pairs_bt.kernels.kalman_mle import KAPPA
from pairs_bt.models.kalman_mle import BURN, FLAGS, burn_in_bars
from pairs_bt.models.reverting_spread import FLAGS as SPREAD_FLAGS

#: Autocorrelations in the Ljung-Box statistic.
LAGS = 10

COLUMNS = (
    "test_end", "y", "x", "bars", "ljung_box", "ljung_box_pvalue", "jarque_bera", "jarque_bera_pvalue", "skewness",
    "excess_kurtosis", "mean", "variance", "coverage", "burn_in", "q_beta", "q_alpha", "observation_cov",
    "log_likelihood", "noise",
)  # fmt: skip


def ljung_box(values: np.ndarray, lags: int = LAGS) -> tuple[float, float]:
    """Ljung-Box statistic (1978) of the first `lags` autocorrelations, and its p-value; NaN for too few or constant."""
    from statsmodels.stats.diagnostic import acorr_ljungbox

    if values.size <= lags + 1 or not values.min() < values.max():
        return float("nan"), float("nan")
    row = acorr_ljungbox(values, lags=[lags]).iloc[0]
    return float(row["lb_stat"]), float(row["lb_pvalue"])


def jarque_bera(values: np.ndarray) -> tuple[float, float, float, float]:
    """Jarque-Bera statistic (1987), its p-value, skewness and excess kurtosis; NaN for constant values."""
    from statsmodels.stats.stattools import jarque_bera as statistic

    if not values.size or not values.min() < values.max():
        return float("nan"), float("nan"), float("nan"), float("nan")
    stat, pvalue, skew, kurtosis = statistic(values)
    return float(stat), float(pvalue), float(skew), float(kurtosis) - 3.0


def diagnostics(study: Study, test_end: Any = None, pairs: Iterable[tuple[str, str]] | None = None) -> pd.DataFrame:
    """Check the filter's model on the train window of one test end, pair by pair.

    Parameters
    ----------
    study : Study
        Prices and config (:func:`pairs_bt.backtest.study.prepare`); ``run.diagnostics(...)`` makes it from a run.
    test_end : date-like, optional
        One of the study's test ends; the last one by default.
    pairs : iterable of (y, x), optional
        Tickers; the pairs that the config selects in that window by default.

    Returns
    -------
    DataFrame
        One row a pair: ``bars`` counted (without the start); ``ljung_box`` of 10 lags and ``jarque_bera`` of the
        standardised innovations with p-values; their moments; ``coverage``, the share within one standard deviation
        (0.683 under the model: more says that S is too large); ``burn_in``, the share of the train window in which
        beta still depends on its start by more than its standard error; the noise in use, its ``log_likelihood``
        where it was fitted, and ``noise``: 'fixed', 'fitted', or why a fit fell back to the fixed values.

    Raises
    ------
    DataError
        A test end that the study does not have, or a pair whose tickers are not complete in its train window.
    """
    k = _window(study, test_end)
    iy, ix = _rows(study, k, pairs)
    levels, options = study.context(k).levels, study.config.filter
    n_train = study.windows[k].n_train
    if options.model == "reverting_spread":
        innovation, variance, burn_in, used = _reverting(levels, iy, ix, n_train, options)
    else:
        innovation, variance, burn_in, used = _random_walk(levels, iy, ix, n_train, options)
    first = BURN
    if isinstance(options.smooth, Smooth):
        first += burn_in_bars(options.smooth.transition_cov, options.smooth.observation_cov)
    scores = innovation[:, first:] / np.sqrt(variance[:, first:])
    rows = []
    for p in range(iy.size):
        z = scores[p][np.isfinite(scores[p])]
        name = (pd.Timestamp(study.windows[k].test_end), study.tickers[iy[p]], study.tickers[ix[p]], z.size)
        rows.append((*name, *ljung_box(z), *jarque_bera(z), *_size(z), burn_in[p] / n_train, *used[p]))
    return pd.DataFrame(rows, columns=list(COLUMNS))


Fitted = tuple[np.ndarray, np.ndarray, np.ndarray, list[tuple[Any, ...]]]


def _random_walk(levels: Levels, iy: np.ndarray, ix: np.ndarray, n_train: int, options: Filter) -> Fitted:
    """Innovations, their variances, bars of the start, and the noise of the filter on levels."""
    noise = filter_noise(levels, iy, ix, options)
    train = np.ascontiguousarray(levels.filtered[:, :n_train])
    beta, _, innovation, variance = _paths(train, iy, ix, noise.q, noise.r, filter_start(levels, iy, ix, options))
    burn_in = _burn_in(train, iy, ix, noise.q, noise.r, beta)
    states = ["fixed" if options.noise == "fixed" else FLAGS[int(flag)] or "fitted" for flag in noise.flag]
    used = [(noise.q[p, 0], noise.q[p, 1], noise.r[p], noise.log_likelihood[p], states[p]) for p in range(iy.size)]
    return innovation, variance, burn_in, used


def _reverting(levels: Levels, iy: np.ndarray, ix: np.ndarray, n_train: int, options: Filter) -> Fitted:
    """The same of the model with the spread in it, whose intercept stands still and whose start knows nothing."""
    made = filter_pairs(levels, iy, ix, options).spreads
    assert made is not None
    used = [
        (made.step_var[p], 0.0, made.shock_var[p], made.log_likelihood[p], SPREAD_FLAGS[int(made.flag[p])] or "fitted")
        for p in range(iy.size)
    ]
    train = slice(None, n_train)
    return made.innovation[:, train], made.innovation_var[:, train], np.full(iy.size, BURN), used


def _size(z: np.ndarray) -> tuple[float, float, float]:
    """Mean, variance (ddof 1), and the share within one standard deviation of the model."""
    if z.size < 2:
        return float("nan"), float("nan"), float("nan")
    return float(z.mean()), float(z.var(ddof=1)), float((np.abs(z) <= 1.0).mean())


def _window(study: Study, test_end: Any) -> int:
    if test_end is None:
        return len(study.windows) - 1
    wanted = np.datetime64(pd.Timestamp(test_end).date())
    ends = [window.test_end for window in study.windows]
    if wanted not in ends:
        raise DataError(f"There is no test end {wanted}: this study has {len(ends)}, from {ends[0]} to {ends[-1]}.")
    return ends.index(wanted)


def _rows(study: Study, k: int, pairs: Iterable[tuple[str, str]] | None) -> tuple[np.ndarray, np.ndarray]:
    if pairs is None:
        from pairs_bt.backtest.selection import select_pairs
        from pairs_bt.engine.pipeline import orient_pairs, scan_window, serial

        scan = scan_window(study, k, serial)
        chosen = orient_pairs(scan, select_pairs(scan, study.config.selection))
        return chosen.y, chosen.x
    place = {name: row for row, name in enumerate(study.tickers)}
    codes = study.context(k).codes
    names = [(str(y), str(x)) for y, x in pairs]
    for name in (name for pair in names for name in pair):
        if name not in place or codes[place[name]]:
            raise DataError(
                f"Ticker {name!r} does not take part in the window of {study.windows[k].label}: it is not among the "
                "prices, or its train prices are incomplete, constant or outside the membership."
            )
    rows = np.array([[place[y], place[x]] for y, x in names], dtype=np.int64).reshape(-1, 2)
    return np.ascontiguousarray(rows[:, 0]), np.ascontiguousarray(rows[:, 1])


def _paths(
    levels: np.ndarray,
    iy: np.ndarray,
    ix: np.ndarray,
    q: np.ndarray,
    r: np.ndarray,
    start: tuple[np.ndarray, np.ndarray],
) -> tuple[np.ndarray, ...]:
    out = tuple(np.empty((iy.size, levels.shape[1])) for _ in range(4))
    hedge_paths_each(levels, iy, ix, q, r, *start, *out)
    return out


def _burn_in(
    levels: np.ndarray, iy: np.ndarray, ix: np.ndarray, q: np.ndarray, r: np.ndarray, beta: np.ndarray
) -> np.ndarray:
    """Bars up to the last at which beta differs by over a standard error from that of a filter which knew nothing."""
    out = np.zeros(iy.size, dtype=np.int64)
    state, path, zero = np.empty(STATE), np.empty((PATH, levels.shape[1])), np.zeros(2)
    for p in range(iy.size):
        factor_state(zero, KAPPA * r[p] * np.eye(2), state)
        hedge_path(levels[iy[p]], levels[ix[p]], q[p, 0], q[p, 1], r[p], False, state, path)
        far = np.flatnonzero(np.abs(beta[p] - path[0]) > np.sqrt(path[2]))
        out[p] = max(BURN, far[-1] + 1 if far.size else 0)
    return out
