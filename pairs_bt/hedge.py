"""Hedge rules: from the filter's path to the hedge ratio of every bar.

A rule takes the filter's path over train and trade window and the train length, and returns the ratio of every
bar. Nothing after a bar may decide the ratio of that bar in the trade window; over the train window a held ratio
is shown as the constant it is, because the half-life and the first z-scores are measured with it.
Adding a rule is adding one function and its name in `HEDGE_RULES` (and in the config's list).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pairs_bt.config import MOVING_RULES, Band, Hedge


@dataclass(frozen=True)
class FilterPath:
    """The regression filter of many pairs over one window, and the levels it was given.

    Attributes
    ----------
    beta, alpha : numpy.ndarray, shape (pairs, bars)
        Filtered state after each bar.
    y, x : numpy.ndarray, shape (pairs, bars)
        Levels in the space in which beta was fitted (as they enter the spread).
    """

    beta: np.ndarray
    alpha: np.ndarray
    y: np.ndarray
    x: np.ndarray


HedgeRule = Callable[[FilterPath, int], np.ndarray]


def dynamic(path: FilterPath, n_train: int) -> np.ndarray:
    """Take the filter's current value: a new ratio every bar."""
    return path.beta


def fixed_first(path: FilterPath, n_train: int) -> np.ndarray:
    """Hold the first value of the path.

    With the filter started at m0 = 0, P0 = ones this is close to y_1 / x_1 whatever the data are: equal dollars
    at the train start.
    """
    return _held(path.beta[:, 0], path)


def averaged(path: FilterPath, n_train: int) -> np.ndarray:
    """Hold the mean over the train window, and never over the trade window: that would look ahead."""
    # numpy's pairwise sum depends on the row alone, so a pair gets the same mean in any chunk.
    return _held(path.beta[:, :n_train].mean(axis=1), path)


def fixed_last(path: FilterPath, n_train: int) -> np.ndarray:
    """Hold the value at the train end: what a trader could freeze on the first trading morning."""
    return _held(path.beta[:, n_train - 1], path)


def _held(ratio: np.ndarray, path: FilterPath) -> np.ndarray:
    return np.broadcast_to(ratio[:, None], path.beta.shape)


HEDGE_RULES: dict[str, HedgeRule] = {
    "dynamic": dynamic,
    "fixed_first": fixed_first,
    "averaged": averaged,
    "fixed_last": fixed_last,
}


@dataclass(frozen=True)
class Variant:
    """One strategy that is compared: a hedge rule and how its shares are re-hedged.

    Attributes
    ----------
    name : str
        The key in every table: the rule's name, with ``-rehedged`` or ``-band-0.1`` where shares follow it.
    label : str
        What a person reads; ``dynamic-frozen`` where a re-hedged form of the same rule stands beside it.
    rule : str
        Name of the hedge rule.
    rehedge : str or Band
        ``'never'``, ``'daily'`` or a band.
    """

    name: str
    label: str
    rule: str
    rehedge: str | Band


def variants(options: Hedge) -> list[Variant]:
    """Every rule with every way of re-hedging that changes anything for it (a held ratio is never re-hedged)."""
    out = []
    for rule in options.variants:
        ways = options.rehedge if rule in MOVING_RULES else ("never",)
        for way in ways:
            if isinstance(way, Band):
                name = f"{rule}-band-{way.band:g}"
            else:
                name = rule if way == "never" else f"{rule}-rehedged"
            label = f"{rule}-frozen" if way == "never" and len(ways) > 1 else name
            out.append(Variant(name, label, rule, way))
    return out
