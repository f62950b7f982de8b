"""What depends on one ticker alone, in the order in which four pairs in step read it: once a window."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from pairs_bt.kernels.scan import lanes
from pairs_bt.kernels.scan.cointegration import ScanInputs

Floats = npt.NDArray[np.float64]


def lane_inputs(one: ScanInputs) -> lanes.LaneInputs:
    """The facts of `one` in the order in which four pairs in step read them."""
    tickers, bars = one.z.shape
    lags = one.lags
    wide = lanes.STEP * (-(-bars // lanes.STEP) + 2)
    z, e = np.zeros((tickers, wide)), np.zeros((tickers, wide))
    z[:, :bars], e[:, :bars] = one.z, one.e
    last = np.arange(bars - 1, bars - lags - 2, -1)
    facts = [one.z[:, last], one.z[:, : lags + 1], one.e[:, last], one.e[:, : 2 * lags + 2], one.diff_diff]
    facts += [one.level_diff, np.column_stack([one.total, one.level_sum, one.level_square])]
    facts.append(np.zeros((tickers, -sum(fact.shape[1] for fact in facts) % 4)))
    stretches, points, cosine, sine, back = _transform_tables(bars, lags)
    kept, around = np.zeros((2, tickers * 2 * points * stretches))
    lanes.transform(e.ravel(), wide, bars, lags, stretches, points, cosine, sine, kept, around)
    table = np.concatenate(facts, axis=1)
    lag_weight = np.exp(2.0 * np.arange(-lags, 1) / (bars - lags - 1))
    order_weight = np.exp(8.0 * np.arange(-one.order_max, 1) / (bars - one.order_max))
    return lanes.LaneInputs(
        z.ravel(), e.ravel(), table.ravel(), kept, around, back, lag_weight, order_weight, bars, wide, table.shape[1],
        lags, one.order_max, stretches, points,
    )  # fmt: skip


@lru_cache(maxsize=16)
def _transform_tables(bars: int, lags: int) -> tuple[int, int, Floats, Floats, Floats]:
    """What windows of one length share, not to be changed; marked read-only it would be a type to compile again for."""
    stretches, points = lanes.transform_size(bars, lags)
    return stretches, points, *lanes.turning_tables(lags, points)
