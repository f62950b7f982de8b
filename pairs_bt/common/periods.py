"""Calendar periods such as '2Y', '6M', '90D': a whole number and a unit."""

from __future__ import annotations

import re
from typing import Any

_PERIOD = re.compile(r"^([1-9][0-9]{0,3})([YMWD])$")

#: Bars of a year of daily prices.
TRADING_DAYS = 252
#: Mean calendar days of a period's unit.
UNIT_DAYS = {"Y": 365.25, "M": 30.4375, "W": 7.0, "D": 1.0}


def check_period(value: Any) -> Any:
    """Pass a period on, and refuse a text that is none; what is no text is for others to judge."""
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError(f"a period has a unit: '{value}D' for {value} calendar days, '1Y' for a year")
    if isinstance(value, str) and not _PERIOD.match(value):
        raise ValueError("a period is a whole number and a unit, Y, M, W or D: '2Y', '6M', '90D'")
    return value


def split_period(text: str) -> tuple[int, str]:
    """Split a period into its number and unit: ``'6M'`` gives ``(6, 'M')``."""
    match = _PERIOD.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not a period such as '2Y', '6M', '90D'")
    return int(match[1]), match[2]
