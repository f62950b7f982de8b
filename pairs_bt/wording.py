"""Numbers as a person reads them: one minus sign, one dash for nothing, aligned digits."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

NOTHING = "\N{EN DASH}"


def number(value: float, digits: int = 2) -> str:
    """A number with a fixed count of decimals; a dash for NaN, a sign of infinity for infinities."""
    value = float(value)
    if math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "\N{INFINITY}" if value > 0 else "\N{MINUS SIGN}\N{INFINITY}"
    return minus(f"{value:,.{digits}f}")


def percent(value: float, digits: int = 2) -> str:
    """A fraction as a percentage."""
    return number(100 * float(value), digits) + ("%" if math.isfinite(float(value)) else "")


def signed(value: float, digits: int = 2) -> str:
    """A number that always shows its sign."""
    text = number(value, digits)
    return f"+{text}" if value > 0 and any(c in "123456789" for c in text) else text


def money(value: float) -> str:
    """Whole dollars."""
    return number(value, 0)


def pvalue(value: float) -> str:
    """A p-value: three decimals, or that it is below a thousandth."""
    return "< 0.001" if value < 0.001 else number(value, 3)


def day(value: Any) -> str:
    """A date as ISO text."""
    return NOTHING if pd.isna(value) else f"{pd.Timestamp(value):%Y-%m-%d}"


def minus(text: str) -> str:
    """A number's text with a real minus sign, and none before a zero."""
    if text.startswith("-"):
        return "\N{MINUS SIGN}" + text[1:] if any(c in "123456789" for c in text) else text[1:]
    return text
