"""Calendar periods such as '2Y', '6M', '90D': a whole number and a unit."""

from __future__ import annotations

import re
from typing import Any

_PERIOD = re.compile(r"^([1-9][0-9]{0,3})([YMWD])$")


def check_period(value: Any) -> Any:
    """Pass a period on, and refuse a text that is none; what is no text is for others to judge."""
    if isinstance(value, str) and not _PERIOD.match(value):
        raise ValueError("a period is a whole number and a unit, Y, M, W or D: '2Y', '6M', '90D'")
    return value


def split_period(text: str) -> tuple[int, str]:
    """Split a period into its number and unit: ``'6M'`` gives ``(6, 'M')``."""
    match = _PERIOD.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not a period such as '2Y', '6M', '90D'")
    return int(match[1]), match[2]
