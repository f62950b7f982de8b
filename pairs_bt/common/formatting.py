"""Numbers as a person reads them: one minus sign, one dash for nothing, aligned digits."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from datetime import date
from html import escape
from typing import Any

import pandas as pd

NOTHING = "\N{EN DASH}"
# The null universes behind the chance line.
NULLS = {"sign_flip": "Independent walks with these tickers' own volatility"}
WEAKEST = (
    "That null is the weakest: names that share a factor, as real ones do, pass or fail together, so their count "
    "scatters more; `pairs-bt audit` keeps the factors."
)


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


def in_ascii(text: str) -> str:
    """A text that pages show, too, for the terminal: one minus sign and dash there, the one on the keyboard."""
    return text.replace("\N{MINUS SIGN}", "-").replace("\N{EN DASH}", "-").replace("\N{INFINITY}", "inf")


def text_table(rows: Sequence[Sequence[str]], left: Sequence[bool] = (True,)) -> str:
    """Rows of text as a table for the terminal, the first of them its head.

    Parameters
    ----------
    rows : sequence of rows
        All of one length; one without cells is an empty line.
    left : sequence of bool
        Which of the first columns are aligned left; all that it does not name are aligned right.
    """
    widths = [max(map(len, column)) for column in zip(*(row for row in rows if row), strict=True)]
    flush = [*left, *[False] * (len(widths) - len(left))]

    def line(row: Sequence[str]) -> str:
        cells = (c.ljust(w) if f else c.rjust(w) for c, w, f in zip(row, widths, flush, strict=False))
        return "  ".join(cells).rstrip()

    head, *body = map(line, rows)
    return "\n".join([head, "-" * (sum(widths) + 2 * (len(widths) - 1)), *body])


def html_table(rows: Sequence[Sequence[str]], caption: str = "") -> str:
    """Rows of text as a table for a notebook, the first of them its head; everything is escaped."""
    head, *body = ([escape(text) for text in row] for row in rows)
    lines = ["".join(f"<th>{text}</th>" for text in head)]
    lines += [f"<th>{first}</th>" + "".join(f"<td>{text}</td>" for text in rest) for first, *rest in body]
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{title}{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def signed(value: float, digits: int = 2) -> str:
    """A number that always shows its sign."""
    text = number(value, digits)
    return f"+{text}" if value > 0 and any(c in "123456789" for c in text) else text


def money(value: float) -> str:
    """Whole dollars."""
    return number(value, 0)


def dollars(value: float) -> str:
    """Whole dollars with their sign."""
    text = number(value, 0)
    if text == NOTHING:
        return text
    return f"\N{MINUS SIGN}${text[1:]}" if text.startswith("\N{MINUS SIGN}") else f"${text}"


def interval(low: float, high: float) -> str:
    """Two bounds; a dash where the data give none (NaN, or no bound at all)."""
    return f"{number(low)} to {number(high)}" if math.isfinite(low) and math.isfinite(high) else NOTHING


def why_not(row: Mapping[Hashable, Any]) -> str:
    """Why a row of paired differences has no numbers or no interval; '' where it has both."""
    unbounded = math.isinf(row["low"]) or math.isinf(row["high"])
    return row["reason"] or ("too few days moved to bound it" if unbounded else "")


def refusal(reason: str, entry: float) -> str:
    """Why a candidate is not traded, as a person reads it; `entry` is the entry level of the z-score."""
    if reason == "window below entry level":
        return f"{reason} (the z-score's window has so few bars that |z| cannot reach {entry:g})"
    return reason


def span(source: Mapping[str, Any], start: date | None, end: date | None) -> str:
    """First and last date of the prices that are used: those of the file within `start` and `end`."""
    first, last = (str(source.get(key)) for key in ("first_date", "last_date"))
    # ISO dates sort as text.
    first, last = max(first, str(start or first)), min(last, str(end or last))
    return f"{first} to {last}"


def significant(value: float, digits: int = 4) -> str:
    """A number with that many significant digits, zeros at the end included, and at most eight decimals."""
    value = float(value)
    if not math.isfinite(value):
        return number(value)
    places = digits - 1 - math.floor(math.log10(abs(value))) if value else 0
    return number(value, min(max(places, 0), 8))


def pvalue(value: float) -> str:
    """A p-value: three decimals, or that it is below a thousandth."""
    return "< 0.001" if value < 0.001 else number(value, 3)


def day(value: Any) -> str:
    """A date as ISO text, with hours and minutes where it has a time."""
    if pd.isna(value):
        return NOTHING
    stamp = pd.Timestamp(value)
    return f"{stamp:%Y-%m-%d}" if stamp == stamp.normalize() else f"{stamp:%Y-%m-%d %H:%M}"


def minus(text: str) -> str:
    """A number's text with a real minus sign, and none before a zero."""
    if text.startswith("-"):
        return "\N{MINUS SIGN}" + text[1:] if any(c in "123456789" for c in text) else text[1:]
    return text


def against_chance(found: int, chance: Mapping[str, Any]) -> str:
    """What chance would give, where the count found lies, and which null says so."""
    expected, low, high = chance["expected"], chance["low"], chance["high"]
    place = "above" if found > high else "below" if found < low else "inside"
    verdict = {
        "inside": f"{found:,} lies inside, so chance alone could have given it",
        "above": f"{found:,} lies above",
        "below": f"{found:,} lies below, so chance alone would have given more",
    }[place]
    about = number(expected, 0 if expected >= 10 else 1)
    return (
        f"{NULLS[chance['null']]} would give about {about}, and {low:,} to {high:,} in 95 of 100 such universes: "
        f"{verdict}. {WEAKEST}"
    )
