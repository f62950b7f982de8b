"""The return series of everything that was tried, read some at a time: thousands of them need not fit in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pairs_bt.stats.bootstrap import checked_frame
from pairs_bt.stats.deflated_sharpe import SharpeMoments, sharpe_moments

Floats = NDArray[np.float64]

# Series that are looked at together.
ROWS = 256


@dataclass(frozen=True)
class Trial:
    """What is kept of one series.

    Attributes
    ----------
    name : str
        Unlike that of any other.
    digest : bytes
        Equal for series of equal returns.
    moments : SharpeMoments
        Of its returns.
    low, high : float
        Lowest and highest return.
    """

    name: str
    digest: bytes
    moments: SharpeMoments
    low: float
    high: float

    @classmethod
    def of(cls, name: str, returns: Floats) -> Trial:
        """Look at one series (days,) of finite returns."""
        # + 0.0: no sign on a zero
        digest = hashlib.blake2b((returns + 0.0).tobytes(), digest_size=16).digest()
        return cls(name, digest, sharpe_moments(returns), float(returns.min()), float(returns.max()))

    @property
    def moved(self) -> bool:
        """Whether its returns differ from day to day."""
        return self.low < self.high


@dataclass(frozen=True)
class Trials:
    """Return series over the same days.

    Attributes
    ----------
    kept : sequence of Trial
        One a series.
    days : int
        Their days.
    read : callable
        Takes numbers of series and gives their returns: (series, days), contiguous.
    """

    kept: Sequence[Trial]
    days: int
    read: Callable[[Sequence[int]], Floats]

    @classmethod
    def of_frame(cls, returns: pd.DataFrame) -> Trials:
        """The columns of a frame."""
        rows = np.ascontiguousarray(checked_frame(returns).to_numpy().T)
        kept = [Trial.of(str(name), row) for name, row in zip(returns.columns, rows, strict=True)]
        return cls(kept, len(returns), lambda numbers: rows[list(numbers)])

    def blocks(self, numbers: Sequence[int]) -> Iterator[Floats]:
        """The returns of some series, in order, some rows at a time."""
        for first in range(0, len(numbers), ROWS):
            yield self.read(numbers[first : first + ROWS])

    def number(self, name: str) -> int:
        """Number of a series."""
        return next(n for n, trial in enumerate(self.kept) if trial.name == name)

    def firsts(self, base: int | None = None) -> list[int]:
        """For each series the number of the first one with the same returns, or of the base where it is one of them."""
        seen: dict[bytes, int] = {} if base is None else {self.kept[base].digest: base}
        return [seen.setdefault(trial.digest, n) for n, trial in enumerate(self.kept)]
