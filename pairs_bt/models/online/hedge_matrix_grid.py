"""``trans_cov="auto"``: each pair's step variance is the one of a grid that has predicted its bars best so far."""

from __future__ import annotations

from typing import Any

import numpy as np

from pairs_bt.common.array_checks import SMALLEST_VARIANCE, Floats, check_number
from pairs_bt.kernels.online import hedge_grid as kernel
from pairs_bt.models.online.hedge_matrix_file import AUTO, MatrixState

__all__ = ["GRIDS", "best_steps", "check_variances", "known_error", "learn_scales", "new_grid", "steps_of"]

#: Step variances of a bar in units of the error's variance: of the intercept, and of the ratio's effect on y. Chosen
#: on planted pairs (`benchmarks/matrix_variances.py`): in `changes` a ratio that moves more than these is noise.
GRIDS = {
    "levels": (0.0, 1e-3, 1e-1, 1.0, 10.0),
    "log": (0.0, 1e-3, 1e-1, 1.0, 10.0),
    "changes": (0.0, 1e-5, 1e-4, 1e-3),
}
#: Prior variance of the intercept, and of the ratio's effect on y, in units of the error's variance.
WIDE = 1e6
#: Square of a usual daily log change.
CHANGE = 1e-4


def check_variances(init_cov: Any, trans_cov: Any, obs_cov: Any) -> dict[str, Any]:
    """The three variances of a matrix: numbers, or ``"auto"``; what is None follows from ``trans_cov``.

    Raises
    ------
    ValueError
        A value outside its range, or ``"auto"`` for another one beside a number for ``trans_cov``.
    """
    auto = _is_auto("trans_cov", trans_cov)
    made: dict[str, Any] = {}
    for name, value, low in (("init_cov", init_cov, 0.0), ("obs_cov", obs_cov, SMALLEST_VARIANCE)):
        if value is None:
            made[name] = AUTO if auto else 1.0
        elif _is_auto(name, value):
            if not auto:
                raise ValueError(f'{name} is "auto", which needs trans_cov "auto" beside it; give a number')
            made[name] = AUTO
        else:
            made[name] = check_number(name, value, low=low)
    step = AUTO if auto else check_number("trans_cov", trans_cov, low=0.0)
    return {"init_cov": made["init_cov"], "trans_cov": step, "obs_cov": made["obs_cov"]}


def _is_auto(name: str, value: Any) -> bool:
    if isinstance(value, str) and value != AUTO:
        raise ValueError(f'{name} is {value!r}; it must be a number or "auto"')
    return isinstance(value, str)


def known_error(state: MatrixState) -> float:
    """The error's variance as the kernels take it: 0 where each pair finds its own."""
    value = state.parameters["obs_cov"]
    return 0.0 if value == AUTO else float(value)


def new_grid(space: str, parameters: dict[str, Any], k: int) -> Floats:
    """Filters before their first bar: (grid, 8, k, k). Their prior of the ratio waits for x's scale."""
    grid = np.zeros((len(GRIDS[space]), kernel.GRID_FIELDS, k, k))
    grid[:, 0] = parameters["init_beta"]
    grid[:, 1] = parameters["init_alpha"]
    grid[:, 4] = _prior(parameters)
    grid[:, kernel.PRODUCT] = 1.0
    return grid


def _prior(parameters: dict[str, Any]) -> float:
    if parameters["init_cov"] == AUTO:
        return WIDE
    unit = 1.0 if parameters["obs_cov"] == AUTO else parameters["obs_cov"]
    return float(parameters["init_cov"] / unit)


def learn_scales(state: MatrixState, bars: Floats, grid: Floats) -> Floats:
    """Squared size (k,) of each ticker as x, from its first bar; the priors in ``grid`` of those now known are set."""
    assert state.scale is not None
    scale = state.scale.copy()
    for x in np.flatnonzero(np.isnan(scale)):
        known = bars[~np.isnan(bars[:, x]), x]
        if known.size:
            scale[x] = _size(state.space, float(known[0]))
            prior = _prior(state.parameters)
            grid[:, 2, :, x] = prior / scale[x] if state.parameters["init_cov"] == AUTO else prior
    return scale


def _size(space: str, first: float) -> float:
    if space == "changes":
        return CHANGE  # one change says nothing of the size of the next
    if space == "log":
        return max(first * first, 1.0)  # the log of a price near 1 has no size
    return first * first if first else 1.0


def steps_of(state: MatrixState, scale: Floats) -> tuple[Floats, Floats]:
    """Step variances of the ratio (grid, k) and of the intercept (grid,), in units of the error's variance."""
    levels = np.array(GRIDS[state.space])
    return levels[:, None] / scale[None, :], levels


def best_steps(state: MatrixState) -> tuple[Floats, Floats]:
    """Each pair's step variance of the ratio and error's variance (k, k), in squared units of the space."""
    assert state.grid is not None
    assert state.scale is not None
    k = len(state.tickers)
    best, variance = np.zeros((k, k), np.int32), np.full((k, k), np.nan)
    kernel.best_filters(known_error(state), state.grid, state.seen, best, variance)
    steps, _ = steps_of(state, state.scale)
    variance[np.arange(k), np.arange(k)] = np.nan
    return steps[best, np.arange(k)[None, :]] * variance, variance
