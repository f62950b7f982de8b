"""An old door: what was here is in :mod:`pairs_bt.data.prices`."""

from pairs_bt.data.prices import (
    PriceData,
    check_prices,
    fill_gaps,
    fingerprint_frame,
    read_prices,
)

__all__ = [
    "PriceData",
    "check_prices",
    "fill_gaps",
    "fingerprint_frame",
    "read_prices",
]
