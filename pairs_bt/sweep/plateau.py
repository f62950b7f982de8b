"""Plateau or spike: does a small step away from the best setting keep what it earned?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pairs_bt.sweep.grid import Parameter

# A best setting whose neighbours keep less than this share of its advantage is a spike.
KEPT = 0.5


@dataclass(frozen=True)
class Plateau:
    """The best setting of a grid and its neighbours.

    Attributes
    ----------
    best : tuple of int
        Its place in the grid.
    sharpe, neighbours, median : float
        Net Sharpe ratio of the best setting; mean over its neighbours; median over the grid.
    count : int
        Neighbours: one step away in one ordered parameter.
    kept : float
        (neighbours - median) / (sharpe - median): the share of the best setting's advantage over the median one that
        its neighbours keep. NaN without neighbours, or where nothing is better than the median.
    shape : str
        ``"plateau"`` where `kept` is at least 0.5, ``"spike"`` below, ``""`` where it is NaN.
    """

    best: tuple[int, ...]
    sharpe: float
    neighbours: float
    median: float
    count: int
    kept: float
    shape: str


def find_plateau(sharpes: NDArray[np.float64], parameters: Sequence[Parameter]) -> Plateau | None:
    """Compare the best setting with its neighbours.

    Parameters
    ----------
    sharpes : array, one axis a parameter
        Net Sharpe ratios, NaN where a setting never moved or lacks the variant.
    parameters : sequence of Parameter
        Steps are taken along the ordered ones.

    Returns
    -------
    Plateau or None
        None where no setting has a Sharpe ratio.
    """
    if np.isnan(sharpes).all():
        return None
    best = tuple(int(k) for k in np.unravel_index(int(np.nanargmax(sharpes)), sharpes.shape))
    near = []
    for axis, parameter in enumerate(parameters):
        for step in (-1, 1):
            place = best[axis] + step
            if parameter.ordered and 0 <= place < sharpes.shape[axis]:
                # A neighbour that never traded earned nothing: Sharpe 0.
                near.append(float(np.nan_to_num(sharpes[(*best[:axis], place, *best[axis + 1 :])])))
    top, median = float(sharpes[best]), float(np.nanmedian(sharpes))
    mean = float(np.mean(near)) if near else math.nan
    kept = (mean - median) / (top - median) if near and top > median else math.nan
    shape = "" if math.isnan(kept) else "plateau" if kept >= KEPT else "spike"
    return Plateau(best, top, mean, median, len(near), kept, shape)
