"""An old door: what was here is in :mod:`pairs_bt.models.mean_reversion`."""

from pairs_bt.models.mean_reversion import (
    half_life,
    rolling_zscore,
)

__all__ = [
    "half_life",
    "rolling_zscore",
]
