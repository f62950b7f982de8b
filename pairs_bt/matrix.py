"""An old door: what was here is in :mod:`pairs_bt.models.online.hedge_matrix`."""

from pairs_bt.models.online.hedge_matrix import (
    HedgeMatrix,
)

__all__ = [
    "HedgeMatrix",
]
