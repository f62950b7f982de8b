"""The names of hedge rules that a config may give, and what is true of each rule.

A config is checked before the functions (and Numba with them) are loaded, so the names of the built-in rules stand
here; their functions, and the door for rules from outside, are in :mod:`pairs_bt.backtest.hedge_rules`.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class RuleTraits:
    """What the stages ask of a hedge rule.

    Attributes
    ----------
    moves : bool
        Gives another ratio at every bar of the trade window, so that shares can be re-hedged to it.
    reads_filter : bool
        Reads the state of the regression filter on levels: its intercept and its innovations are the rule's, too.
    intercept : bool
        Fits an intercept, or holds one, that can be taken out of the spread.
    rebuilt : bool
        Its spread is the value of a position rebuilt from changes.
    reads_market : bool
        Needs the market's returns over the train window.
    """

    moves: bool = False
    reads_filter: bool = False
    intercept: bool = False
    rebuilt: bool = False
    reads_market: bool = False


_FILTER = RuleTraits(reads_filter=True, intercept=True)
_TRAITS: dict[str, RuleTraits] = {
    "dynamic": RuleTraits(moves=True, reads_filter=True, intercept=True),
    "fixed_first": _FILTER,
    "averaged": _FILTER,
    "fixed_last": _FILTER,
    "ols": RuleTraits(),
    "rolling_ols": RuleTraits(moves=True, intercept=True),
    "tls": RuleTraits(),
    "min_variance": RuleTraits(),
    "johansen": RuleTraits(),
    "dollar": RuleTraits(),
    "one_to_one": RuleTraits(),
    "beta": RuleTraits(reads_market=True),
    "kalman_changes": RuleTraits(moves=True, rebuilt=True),
    "kalman_reverting": RuleTraits(moves=True, intercept=True),
    "residual": RuleTraits(moves=True, rebuilt=True),
}
BUILT_IN = tuple(_TRAITS)


class _RulesWith(Collection[str]):
    """Names of the rules that have a trait, now and after another rule is registered."""

    def __init__(self, trait: str) -> None:
        self.trait = trait

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in _TRAITS and bool(getattr(_TRAITS[name], self.trait))

    def __iter__(self) -> Iterator[str]:
        return (name for name in _TRAITS if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


MOVING_RULES = _RulesWith("moves")
FILTER_RULES = _RulesWith("reads_filter")
INTERCEPT_RULES = _RulesWith("intercept")
REBUILT_RULES = _RulesWith("rebuilt")
MARKET_RULES = _RulesWith("reads_market")


def declare_rule(name: str, traits: RuleTraits) -> None:
    """Make a name known to configs (see :func:`pairs_bt.backtest.hedge_rules.hedge_rule`, which calls this).

    Raises
    ------
    ValueError
        When the name is no identifier, or stands for another rule.
    """
    if not name.isidentifier():
        raise ValueError(f"{name!r} cannot name a hedge rule: take letters, digits and underscores, a letter first")
    if name in _TRAITS:
        raise ValueError(f"{name!r} is the name of another hedge rule; the names taken are {', '.join(_TRAITS)}")
    _TRAITS[name] = traits


def is_declared(name: str) -> bool:
    """Whether a config may give this name."""
    return name in _TRAITS


def rule_names() -> tuple[str, ...]:
    """Every name that a config may give, the built-in rules first."""
    return tuple(_TRAITS)


def forget_rule(name: str) -> None:
    """Undo :func:`declare_rule`; nothing happens when there is no such name.

    Raises
    ------
    ValueError
        When the rule is built in.
    """
    if name in BUILT_IN:
        raise ValueError(f"{name!r} is built in and cannot be removed")
    _TRAITS.pop(name, None)


def check_rule(value: Any) -> Any:
    """Pass on the name of a rule, and refuse any other value with the names there are and the nearest of them."""
    if isinstance(value, str) and value in _TRAITS:
        return value
    *names, last = map(repr, _TRAITS)
    near = difflib.get_close_matches(str(value), _TRAITS, n=1, cutoff=0.6)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"input should be {', '.join(names)} or {last}{hint}")
