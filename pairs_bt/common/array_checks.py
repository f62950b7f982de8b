"""Checks at the door of the array functions: what is wrong, where, and how to mend it."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pairs_bt.errors import DataError

Floats = NDArray[np.float64]

# The kernels multiply a squared price by a covariance: inside these bounds nothing overflows or vanishes.
LARGEST = 1e50
SMALLEST_VARIANCE = 1e-50


def check_number(name: str, value: Any, *, low: float = -LARGEST) -> float:
    """``value`` as a float in [low, 1e50], or ValueError naming it."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Real):
        raise ValueError(f"{name} is {value!r}; it must be one real number")
    try:
        number = float(value)
    except OverflowError:
        number = np.inf
    if not low <= number <= LARGEST:
        rule = "positive" if low > 0.0 else "at least 0" if low == 0.0 else "finite"
        raise ValueError(f"{name} is {number:g}; it must be {rule} and no larger than {LARGEST:g}")
    return number


def check_values(name: str, values: Any, *, ndim: tuple[int, ...] = (1,)) -> Floats:
    """``values`` as contiguous float64, NaN allowed, infinity refused; DataError says where it is."""
    array = _as_floats(values)
    if array is None:
        raise DataError(
            f"{name} holds something that is not a real number; convert it to floats, with NaN for a missing bar"
        )
    if array.ndim not in ndim or array.size == 0:
        wanted = " or ".join(f"{d}-D" for d in ndim)
        raise DataError(f"{name} has shape {array.shape}; it must be {wanted} and hold at least one bar")
    bad = np.abs(array) > LARGEST
    if bad.any():
        place = tuple(int(i) for i in np.argwhere(bad)[0])
        raise DataError(
            f"{name} is {array[place]:g} at bar {place[0]}; prices must be finite and below {LARGEST:g}: "
            "use NaN for a missing bar"
        )
    return array


def _as_floats(values: Any) -> Floats | None:
    # a copy that can be written to: the kernels are then compiled for one kind of array
    if isinstance(values, (pd.Series, pd.DataFrame)):
        plain = values.to_numpy(dtype=np.float64, na_value=np.nan) if _numeric(values) else None
    else:
        try:
            raw = np.ma.asarray(values) if np.ma.isMaskedArray(values) else np.asarray(values)
        except ValueError:
            return None
        plain = np.ma.filled(raw.astype(np.float64), np.nan) if raw.dtype.kind in "iuf" else None
    return None if plain is None else np.array(plain, dtype=np.float64, order="C", copy=True)


def _numeric(values: pd.Series | pd.DataFrame) -> bool:
    dtypes = values.dtypes if isinstance(values, pd.DataFrame) else [values.dtype]
    return all(pd.api.types.is_numeric_dtype(d) and getattr(d, "kind", "f") in "iuf" for d in dtypes)
