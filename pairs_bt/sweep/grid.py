"""The grid: keys of the config, the values to try, and every combination as one checked setting."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from types import NoneType
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from pairs_bt.common.periods import UNIT_DAYS, split_period
from pairs_bt.config.reader import toml_value
from pairs_bt.config.schema import Config
from pairs_bt.config.schema import Sweep as SweepOptions
from pairs_bt.errors import ConfigError

BASE = 0

# Keys that a sweep does not vary, and why; a name without a dot stands for its whole table.
_FIXED = {
    "data.path": "all settings share the same prices",
    "data.synthetic": "all settings share the same prices",
    "data.start": "all settings share the same dates",
    "data.end": "all settings share the same dates",
    "windows.trade": "walk-forward choice needs the same cohorts in every setting; sweep twice",
    "windows.step": "walk-forward choice needs the same cohorts in every setting; sweep twice",
    "portfolio.capital": "returns do not depend on it",
    "portfolio.cash_rate": "it belongs to the account that all settings share",
    "portfolio.short_rebate": "it belongs to the account that all settings share",
    "portfolio.compounding": "it belongs to the account that all settings share",
    "comparison": "it changes no return",
    "run": "it changes no return",
    "sweep": "it is the sweep itself",
}


@dataclass(frozen=True)
class Parameter:
    """One key of the grid.

    Attributes
    ----------
    key : str
        Such as ``"filter.hedge.delta"``.
    values : tuple
        As the config takes them; None leaves the key out. Sorted where `ordered`.
    texts : tuple of str
        The same for people.
    ordered : bool
        Whether the values have an order (numbers, periods), so that some are neighbours.
    """

    key: str
    values: tuple[Any, ...]
    texts: tuple[str, ...]
    ordered: bool


@dataclass(frozen=True)
class Setting:
    """One combination of the grid.

    Attributes
    ----------
    number : int
        From 1 in the order of the grid, the last key fastest; 0 is the config itself when the grid lacks it.
    place : tuple of int
        Position of its value in each parameter; empty for a base off the grid.
    name : str
        ``"signal.entry=1.5 signal.exit=0"``.
    config : Config
    """

    number: int
    place: tuple[int, ...]
    name: str
    config: Config


@dataclass(frozen=True)
class Grid:
    """Parameters and settings; `base` is the position of the config itself among the settings."""

    parameters: tuple[Parameter, ...]
    settings: tuple[Setting, ...]
    base: int


def parse_options(options: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """Read ``key=v1,v2`` options: values are TOML, and what is not TOML is text.

    Commas inside quotes, brackets and braces part nothing, so a list or a table is one value:
    ``hedge.variants=["dynamic"],["averaged","fixed_last"]``.
    """
    grid: dict[str, tuple[Any, ...]] = {}
    for option in options:
        key, sign, text = option.partition("=")
        key = key.strip()
        if not sign or not key:
            raise ConfigError(f"--grid {option!r} is not of the form table.key=v1,v2, such as signal.entry=1.5,2.")
        if key in grid:
            raise ConfigError(f"--grid names {key} twice: give all of its values at once, as {key}=v1,v2.")
        pieces = [piece.strip() for piece in _split(text)]
        if not all(pieces):
            raise ConfigError(f"--grid {option!r} has an empty value: write {key}=v1,v2 without a comma too many.")
        grid[key] = tuple(toml_value(piece) for piece in pieces)
    return grid


def _split(text: str) -> list[str]:
    pieces, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in "[{":
            depth += 1
        elif letter in "]}":
            depth -= 1
        if letter == "," and not quote and depth <= 0:
            pieces.append("")
        else:
            pieces[-1] += letter
    return pieces


def make_grid(config: Config, values: Mapping[str, Sequence[Any]] | None = None, *, yes: bool = False) -> Grid:
    """Check a grid and make its settings.

    Parameters
    ----------
    config : Config
        The base: what every setting changes, and what each is compared with.
    values : mapping, optional
        Key to values; None takes ``[sweep] grid`` of the config. The value None, or the text ``"none"`` where a key
        may be absent, leaves the key out.
    yes : bool
        Allow more than ``sweep.limit`` settings.

    Raises
    ------
    ConfigError
        For an empty grid, an unknown or fixed key, a value or a combination that breaks a rule, a value given
        twice, too many settings.
    """
    given = config.sweep.grid if values is None else values
    wanted = {key: (items,) if isinstance(items, (str, float, int)) else tuple(items) for key, items in given.items()}
    if not wanted:
        raise ConfigError("The grid is empty: give --grid table.key=v1,v2, or a [sweep] table with grid = { ... }.")
    plain = config.model_copy(update={"sweep": SweepOptions()})
    # A key or a value that no setting can take is told before the number of settings is.
    parameters = tuple(_parameter(plain, key, items) for key, items in wanted.items())
    count = math.prod(len(parameter.values) for parameter in parameters)
    if count > config.sweep.limit and not yes:
        raise ConfigError(
            f"The grid has {count:,} settings, more than sweep.limit = {config.sweep.limit:,}: give --yes to run "
            "them all, or fewer values. The more are tried, the less the best of them means."
        )
    places = product(*(range(len(parameter.values)) for parameter in parameters))
    settings = tuple(_setting(plain, parameters, n, place) for n, place in enumerate(places, start=1))
    for position, setting in enumerate(settings):
        if setting.config == plain:
            return Grid(parameters, settings, position)
    return Grid(parameters, (Setting(BASE, (), "base", plain), *settings), 0)


def _parameter(config: Config, key: str, items: tuple[Any, ...]) -> Parameter:
    if "." not in key:
        raise ConfigError(f"The grid names {key!r}: a key of a grid is table.key, such as signal.entry.")
    for name, why in _FIXED.items():
        if key == name or key.startswith(f"{name}."):
            raise ConfigError(f"The grid varies {key}, which a sweep does not: {why}.")
    if not items:
        raise ConfigError(f"The grid has no value for {key}: give at least one, such as --grid {key}=v1,v2.")
    values = tuple(_checked_value(config, key, item) for item in items)
    if len({repr(value) for value in values}) < len(values):
        raise ConfigError(f"The grid lists the same value of {key} twice: {', '.join(map(_text, values))}.")
    ordered = all(_rank(value) is not None for value in values)
    if ordered:
        values = tuple(sorted(values, key=_rank))  # type: ignore[arg-type]
    return Parameter(key, values, tuple(_text(value) for value in values), ordered)


def _checked_value(config: Config, key: str, value: Any) -> Any:
    """The value as the config takes it; rules between keys are left to the combinations."""
    tables = _with(config, {key: value})
    try:
        node: Any = Config.model_validate(tables)
    except ValidationError:
        Config.from_dict(tables)  # says it in the config's words
        raise
    for part in key.split("."):
        node = getattr(node, part)
    return node


def _with(config: Config, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The config's tables with some keys changed."""
    tables = _copy(config.to_dict())
    for key, value in changes.items():
        *path, last = key.split(".")
        node = tables
        for part in path:
            child = node.get(part)
            node[part] = child if isinstance(child, dict) else {}
            node = node[part]
        if value is None or (value == "none" and _may_be_absent(key)):
            node.pop(last, None)
        else:
            node[last] = value
    return tables


def _copy(node: Any) -> Any:
    return {key: _copy(value) for key, value in node.items()} if isinstance(node, dict) else node


def _may_be_absent(key: str) -> bool:
    model: Any = Config
    options: tuple[Any, ...] = ()
    for part in key.split("."):
        field = model.model_fields.get(part) if isinstance(model, type) and issubclass(model, BaseModel) else None
        if field is None:
            return False
        options = (field.annotation, *get_args(field.annotation))
        model = next((o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), None)
    return NoneType in options


def _rank(value: Any) -> float | None:
    """Place of a value among its like: numbers, periods, and an absent limit after every limit."""
    if value is None:
        return math.inf
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    try:
        number, unit = split_period(value)
    except (ValueError, TypeError):
        return None
    return number * UNIT_DAYS[unit]


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:.10g}"
    if isinstance(value, tuple | list):
        return "+".join(_text(item) for item in value)
    plain = value.model_dump(mode="json", exclude_none=True) if isinstance(value, BaseModel) else value
    return json.dumps(plain, sort_keys=True)


def _setting(config: Config, parameters: Sequence[Parameter], number: int, place: tuple[int, ...]) -> Setting:
    chosen = {p.key: p.values[k] for p, k in zip(parameters, place, strict=True)}
    name = " ".join(f"{p.key}={p.texts[k]}" for p, k in zip(parameters, place, strict=True))
    plain = {key: value.model_dump(exclude_none=True) if isinstance(value, BaseModel) else value
             for key, value in chosen.items()}  # fmt: skip
    try:
        made = Config.from_dict(_with(config, plain))
    except ConfigError as error:
        raise ConfigError(f"The setting {name} of the grid breaks a rule. {error}") from None
    return Setting(number, place, name, made)
