"""An old door: what was here is in :mod:`pairs_bt.models.kalman`."""

from pairs_bt.models.kalman import (
    HedgeRatioFilter,
    check_state,
    hedge_ratio_filter,
    local_level_filter,
    unpack_state,
)

__all__ = [
    "HedgeRatioFilter",
    "check_state",
    "hedge_ratio_filter",
    "local_level_filter",
    "unpack_state",
]
