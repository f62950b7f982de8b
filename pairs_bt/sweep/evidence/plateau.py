"""Plateau or spike: does a small step away from the best setting keep what it earned?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pairs_bt.sweep.grid import Parameter

# A best setting whose neighbours keep less than this share of its advantage is a spike ...
KEPT = 0.5
# ... unless a step away costs less than this in Sharpe ratios a year, which is about the same.
ALIKE = 0.1


@dataclass(frozen=True)
class Plateau:
    """The best setting of a grid and its neighbours.

    Attributes
    ----------
    best : tuple of int
        Its place in the grid.
    sharpe, neighbours, median : float
        Net Sharpe ratio of the best setting; mean over its neighbours; median over the different settings.
    count : int
        Neighbours: the nearest different settings along one ordered parameter.
    kept : float
        (neighbours - median) / (sharpe - median), the share of the best setting's advantage over the median one that
        its neighbours keep: in [0, 1], 0 where they are no better than the median. NaN without neighbours, or where
        nothing is better than the median.
    shape : str
        ``"plateau"`` where `kept` is at least 0.5 or the neighbours' mean is less than 0.1 below the best, ``"spike"``
        where neither holds, ``""`` where `kept` is NaN.
    """

    best: tuple[int, ...]
    sharpe: float
    neighbours: float
    median: float
    count: int
    kept: float
    shape: str


def find_plateau(
    sharpes: NDArray[np.float64], parameters: Sequence[Parameter], same: NDArray[np.int64] | None = None
) -> Plateau | None:
    """Compare the best setting with its neighbours.

    Parameters
    ----------
    sharpes : array, one axis a parameter
        Net Sharpe ratios, NaN where a setting never moved or lacks the variant.
    parameters : sequence of Parameter
        Steps are taken along the ordered ones.
    same : array like `sharpes`, optional
        The same number where settings have the same returns: they count as one setting. Default: all differ.

    Returns
    -------
    Plateau or None
        None where no setting has a Sharpe ratio.
    """
    if np.isnan(sharpes).all():
        return None
    if same is None:
        same = np.arange(sharpes.size).reshape(sharpes.shape)
    best = tuple(int(k) for k in np.unravel_index(int(np.nanargmax(sharpes)), sharpes.shape))
    near = _neighbours(sharpes, parameters, same, best)
    known = ~np.isnan(sharpes)
    _, first = np.unique(same[known], return_index=True)
    top, median = float(sharpes[best]), float(np.median(sharpes[known][first]))
    mean = float(np.mean(near)) if near else math.nan
    kept = min(max((mean - median) / (top - median), 0.0), 1.0) if near and top > median else math.nan
    shape = "" if math.isnan(kept) else "plateau" if kept >= KEPT or top - mean < ALIKE else "spike"
    return Plateau(best, top, mean, median, len(near), kept, shape)


def _neighbours(
    sharpes: NDArray[np.float64], parameters: Sequence[Parameter], same: NDArray[np.int64], best: tuple[int, ...]
) -> list[float]:
    """Sharpe ratios of the nearest settings that differ from the best, each once."""
    near: dict[int, float] = {}
    for axis, parameter in enumerate(parameters):
        for step in (-1, 1) if parameter.ordered else ():
            place = best[axis] + step
            while 0 <= place < sharpes.shape[axis]:
                at = (*best[:axis], place, *best[axis + 1 :])
                if same[at] != same[best]:
                    # A neighbour that never traded earned nothing: Sharpe 0.
                    near[int(same[at])] = float(np.nan_to_num(sharpes[at]))
                    break
                place += step
    return list(near.values())
