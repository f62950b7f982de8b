"""Which variants a figure draws, under which colour and name, and which of them are one curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pairs_bt.errors import DataError

if TYPE_CHECKING:
    from pairs_bt.runs.run_data import RunData

#: One name or several, as the tables print them; empty for all variants.
Names = str | Sequence[str]


@dataclass(frozen=True)
class Series:
    """What a figure draws as one thing.

    Attributes
    ----------
    name : str
        Key of the variant in the run's tables.
    label : str
        What a person reads; of several variants that are one curve, all of their labels.
    number : int
        Place among all variants of the run: its colour and dash, whatever else is drawn.
    """

    name: str
    label: str
    number: int


def chosen(run: RunData, variants: Names = ()) -> list[Series]:
    """Find the variants that are asked for, in the order of the run.

    Parameters
    ----------
    run : RunData
        A finished run.
    variants : str or sequence of str
        Names or labels, as the tables print them; empty for all.

    Raises
    ------
    DataError
        A name that no variant of the run has.
    """
    wanted = {variants} if isinstance(variants, str) else set(variants)
    every = [Series(name, label, number) for number, (name, label) in enumerate(run.labels.items())]
    unknown = wanted - {known for series in every for known in (series.name, series.label)}
    if unknown:
        raise DataError(
            f"{min(unknown)!r} is not a variant of this run: give one of {', '.join(run.labels.values())}, or several "
            "of them in a list."
        )
    return [series for series in every if not wanted or {series.name, series.label} & wanted]


def merged(series: Sequence[Series], curves: Mapping[str, npt.NDArray[np.float64]], pixel: float) -> list[Series]:
    """Leave the first of every set of curves that cannot be told apart, under the names of all of them.

    Parameters
    ----------
    series : sequence of Series
        In the order in which they are drawn.
    curves : mapping of str to array
        What is drawn of each variant, by its name; all of one length.
    pixel : float
        Height of a pixel: curves that are nowhere further apart are one line on the screen.

    Returns
    -------
    list of Series
        ``a = b`` are equal in every value, ``a ≈ b`` are closer than a pixel everywhere.
    """
    out: list[Series] = []
    for one in series:
        values = curves[one.name]
        for place, other in enumerate(out):
            first = curves[other.name]
            if np.array_equal(first, values, equal_nan=True):
                out[place] = replace(other, label=f"{other.label} = {one.label}")
                break
            if _within(first, values, pixel):
                out[place] = replace(other, label=f"{other.label} \N{ALMOST EQUAL TO} {one.label}")
                break
        else:
            out.append(one)
    return out


def _within(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64], pixel: float) -> bool:
    known = np.isfinite(one)
    return bool((known == np.isfinite(other)).all() and (np.abs(one[known] - other[known]) < pixel).all())


def height_of_a_pixel(curves: Mapping[str, npt.NDArray[np.float64]], height: int) -> float:
    """Height of a pixel in a panel of `height` pixels whose scale holds all curves."""
    values = np.concatenate([values[np.isfinite(values)] for values in curves.values()] or [np.zeros(1)])
    return float(np.ptp(values)) / height if values.size else 0.0
