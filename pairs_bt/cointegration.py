"""An old door: what was here is in :mod:`pairs_bt.models.cointegration`."""

from pairs_bt.models.cointegration import (
    EngleGranger,
    Johansen,
    ScanResult,
    engle_granger,
    johansen,
    prepare,
    scan,
    scan_chunk,
    spread_stats,
    var_order,
)

__all__ = [
    "EngleGranger",
    "Johansen",
    "ScanResult",
    "engle_granger",
    "johansen",
    "prepare",
    "scan",
    "scan_chunk",
    "spread_stats",
    "var_order",
]
