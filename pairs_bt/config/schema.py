"""The config of a run: its tables, their defaults and the rules between them.

Every table is strict (no unknown key, no silent conversion, no NaN) and frozen. Reading files, overrides
and error texts live in :mod:`pairs_bt.config.reader`; this module says what a config *is*.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WrapValidator, field_validator

from pairs_bt.common.periods import check_period
from pairs_bt.config.hedge_rule_names import check_rule
from pairs_bt.config.reader import apply_overrides, config_from_dict, load_config

# What is compared unless a config says otherwise: the rules that read the filter's state.
RULES = ("dynamic", "fixed_first", "averaged", "fixed_last")


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


Period = Annotated[str, BeforeValidator(check_period)]
Share = Annotated[float, Field(gt=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]


@dataclass(frozen=True)
class Reading:
    """Keys of the config that decide a result: whole tables and single ``table.key``s, `but` for some.

    A stage declares more than it reads rather than less: a key too many costs a sweep time, one too few makes it wrong.
    """

    keys: tuple[str, ...]
    but: tuple[str, ...]

    def values(self, tables: dict[str, Any]) -> dict[str, Any]:
        """Their values in a resolved config, by ``table.key``."""
        flat = {f"{name}.{key}": value for name, table in tables.items() for key, value in table.items()}
        own = {key for key in flat if key in self.keys or key.partition(".")[0] in self.keys}
        return {key: flat[key] for key in sorted(own.difference(self.but))}


F = TypeVar("F", bound=Callable[..., Any])
_READINGS: dict[Any, Reading] = {}


def reads(*keys: str, but: tuple[str, ...] = ()) -> Callable[[F], F]:
    """Declare which keys of the config decide the result of a stage, beside those that its arguments come from."""

    def mark(stage: F) -> F:
        _READINGS[stage] = Reading(keys, but)
        return stage

    return mark


def declared(stage: Callable[..., Any]) -> Reading:
    """What a stage has declared with `reads`."""
    return _READINGS[stage]


class Table(BaseModel):
    """One table of the config: strict, frozen, nothing unknown, nothing infinite."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)


class SyntheticUniverse(Table):
    """A seeded market of known truth in place of a file; its pairs are left x right.

    See :mod:`pairs_bt.data.synthetic.pair_universe`.
    """

    left: Annotated[int, Field(ge=1, le=5000)] = 172
    right: Annotated[int, Field(ge=1, le=5000)] = 139
    cointegrated_share: Annotated[float, Field(ge=0, le=1)] = 0.02
    seed: Annotated[int, Field(ge=0)] = 7


class Data(Table):
    """Where prices come from and which dates of them are used."""

    path: str = ""
    synthetic: SyntheticUniverse | None = None
    start: date | None = None
    end: date | None = None
    field: str = ""
    calendar: str = ""
    bars_per_year: Literal["auto"] | Positive = "auto"
    fill_limit: Annotated[int, Field(ge=0, le=60)] = 5
    max_bytes: Annotated[int, Field(ge=1)] = 2**31
    max_cells: Annotated[int, Field(ge=1)] = 200_000_000


class PairGroups(Table):
    """Every pair of one ticker on the left with one on the right."""

    left: Annotated[tuple[str, ...], BeforeValidator(_as_tuple), Field(min_length=1)]
    right: Annotated[tuple[str, ...], BeforeValidator(_as_tuple), Field(min_length=1)]


def _as_matrix(value: Any) -> Any:
    return tuple(_as_tuple(row) for row in value) if isinstance(value, list | tuple) else value


NamedPairs = Annotated[tuple[tuple[str, str], ...], BeforeValidator(_as_matrix), Field(min_length=1)]


class Universe(Table):
    """Which pairs are looked at, and when a ticker may take part."""

    pairs: str | PairGroups | NamedPairs = "all"
    membership: str = ""
    complete_over: Literal["train", "sample"] = "train"


class Windows(Table):
    """Lengths of the train and trade windows and the step between test ends."""

    train: Period = "2Y"
    trade: Period = "6M"
    step: Period = "3M"
    entry_within: Period = "3M"


Test = Literal["engle_granger", "johansen", "partial"]


class Selection(Table):
    """How tested pairs become candidates."""

    tests: Annotated[tuple[Test, ...], BeforeValidator(_as_tuple)] = ("engle_granger", "johansen")
    combine: Literal["all", "any"] = "all"
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05
    two_way: Literal["bonferroni", "none"] = "bonferroni"
    johansen: Literal["rank_one", "book"] = "rank_one"
    var_order: Literal["theory", "book"] = "theory"
    multiplicity: Literal["none", "bh", "by"] = "none"
    max_pairs: Annotated[int, Field(ge=1)] = 50
    method: Literal["cointegration", "distance", "correlation"] = "cointegration"
    heuristics: bool = False
    keep: Literal["all", "selected"] = "all"


class Smooth(Table):
    """Noise of the local level filter on prices."""

    transition_cov: NonNegative = 0.05
    observation_cov: Positive = 1.0


Pair = Annotated[tuple[float, float], BeforeValidator(_as_tuple)]
Matrix = Annotated[tuple[Pair, Pair], BeforeValidator(_as_matrix)]


class HedgeFilter(Table):
    """Noise of the regression filter on the hedge ratio, and the start that ``filter.start = "given"`` takes."""

    delta: Annotated[float, Field(ge=0, lt=1)] = 1e-3
    observation_cov: Positive = 2.0
    initial_mean: Pair = (0.0, 0.0)
    initial_cov: Matrix = ((1.0, 1.0), (1.0, 1.0))

    @field_validator("initial_cov")
    @classmethod
    def _is_covariance(cls, value: Matrix) -> Matrix:
        (a, b), (c, d) = value
        if b != c or min(a, d) < 0 or a * d - b * c < 0:
            raise ValueError("a covariance is symmetric and has no negative eigenvalue: [[1, 0], [0, 1]], say")
        return value


class Filter(Table):
    """The filters, and the space they work in."""

    price_space: Literal["raw", "normalised", "log"] = "normalised"
    spread_on: Literal["raw", "filtered"] = "raw"
    smooth: Smooth | Literal["none"] = "none"
    hedge: HedgeFilter = HedgeFilter()
    model: Literal["random_walk", "reverting_spread"] = "reverting_spread"
    start: Literal["diffuse", "given"] = "diffuse"
    burn_in: Annotated[int, Field(ge=1)] = 63
    noise: Literal["fixed", "mle", "mle_two"] = "mle"
    intercept: Literal["keep", "subtract"] = "subtract"


class Band(Table):
    """Re-hedge when the ratio has moved by more than this share of the ratio held."""

    band: Positive


Rule = Annotated[str, BeforeValidator(check_rule)]
Rehedge = Literal["never", "daily"] | Band


class Hedge(Table):
    """Which hedge ratios are compared and which shares are held for them."""

    variants: Annotated[tuple[Rule, ...], BeforeValidator(_as_tuple), Field(min_length=1)] = RULES
    rehedge: Annotated[tuple[Rehedge, ...], BeforeValidator(_as_tuple), Field(min_length=1)] = ("never",)
    rolling_window: Annotated[int, Field(ge=3, le=10_000)] = 126
    residual_window: Annotated[int, Field(ge=20, le=10_000)] = 60
    average_window: Annotated[int, Field(ge=1, le=10_000)] | None = None
    market: str = ""
    reject_negative: bool = True
    max_leg_share: Share = 1.0


def _number_or_optimal(value: Any, check: Callable[[Any], float]) -> Any:
    return value if value == "optimal" else check(value)


# The word beside numbers, without a union, whose errors would name both of its members.
Entry = Annotated[Positive, WrapValidator(_number_or_optimal), PlainSerializer(lambda value: value)]


class Signal(Table):
    """When a trade is opened and closed."""

    entry: Entry = 2.0
    optimal: Literal["return", "sharpe", "two_sided"] = "return"
    interest: Annotated[float, Field(gt=0, le=1)] = 0.01
    exit: float = 0.0
    exit_short: float | None = None
    z: Literal["auto", "rolling", "stationary", "innovation", "formation", "s_score"] = "auto"
    s_score: Literal["own", "centred"] = "own"
    half_life: Literal["reject", "ignore", "book"] = "reject"
    window_half_lives: Annotated[float, Field(ge=1, le=1000)] = 8.0
    window: Literal["own", "longest"] | Annotated[int, Field(ge=2, le=10_000)] = "own"
    side: Literal["reversion", "book"] = "reversion"
    stop: Positive | None = None
    stop_loss: Share | None = None
    time_stop: Positive | None = None


def has_optimal_entry(signal: Signal) -> bool:
    """Whether every pair has levels of its own, ``signal.entry = "optimal"``."""
    return isinstance(signal.entry, str)


class Execution(Table):
    """Fills and what they cost."""

    lag: Annotated[int, Field(ge=0, le=20)] = 1
    cost_bps: NonNegative = 5.0
    spread: NonNegative = 0.0
    borrow_bps: NonNegative = 100.0
    borrow_table: str = ""
    delisting_loss: Annotated[float, Field(ge=0, le=1)] = 0.0
    unconverged: Literal["close", "drop"] = "close"
    pnl: Literal["shares", "spread"] = "shares"


class Portfolio(Table):
    """Capital, sizes and limits."""

    capital: Positive = 1_000_000.0
    sizing: Literal["hedge_ratio", "dollar_neutral", "volatility"] = "hedge_ratio"
    volatility: Share = 0.1
    min_pairs: Annotated[int, Field(ge=1)] = 5
    max_pairs_held: Annotated[int, Field(ge=1)] | None = None
    max_ticker_share: Share | None = None
    max_gross: Positive | None = None
    netting: bool = False
    cash_rate: Annotated[float, Field(ge=-0.5, le=1)] = 0.0
    short_rebate: Annotated[float, Field(ge=0, le=1)] = 0.0
    compounding: bool = False


def slot_parts(selected: Any, options: Portfolio) -> Any:
    """Equal parts that a cohort's slot is cut into: one a selected pair, and at least `min_pairs`.

    What no pair takes stays idle, so that a lone candidate is no portfolio. A number, or an array or Series of them.
    """
    least = max(options.min_pairs, 1)
    return max(selected, least) if isinstance(selected, int) else selected.clip(least)


class Comparison(Table):
    """The bootstrap behind the comparison of variants."""

    draws: Annotated[int, Field(ge=100, le=1_000_000)] = 1000
    block: Annotated[int, Field(ge=1)] = 126
    seed: Annotated[int, Field(ge=0)] = 7


def _as_grid(value: Any) -> Any:
    """Flatten ``{signal = {entry = [..]}}``, which TOML makes of a dotted key, to ``{"signal.entry": (..)}``."""
    if not isinstance(value, dict):
        return value
    flat: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, dict):
            flat |= {f"{key}.{rest}": inner for rest, inner in _as_grid(item).items()}
        elif isinstance(item, list | tuple):
            flat[str(key)] = tuple(item)
        else:
            raise ValueError(f"{key} needs a list of values, such as [1.5, 2.0]; it is {item!r}")
    return flat


class Sweep(Table):
    """A grid of settings for `pairs-bt sweep`, and how one is chosen as time goes by; a run reads none of it."""

    grid: Annotated[dict[str, tuple[Any, ...]], BeforeValidator(_as_grid)] = Field(default_factory=dict)
    limit: Annotated[int, Field(ge=1)] = 500
    criterion: Literal["sharpe", "mean"] = "sharpe"
    minimum_cohorts: Annotated[int, Field(ge=2)] = 8
    partitions: Annotated[int, Field(ge=2, le=20, multiple_of=2)] = 16

    def __hash__(self) -> int:
        """Hash by text: the grid is a table."""
        return hash(repr(self))


class RunOptions(Table):
    """What is kept, and the seed of whatever is drawn."""

    seed: Annotated[int, Field(ge=0)] = 7
    spreads: Literal["all", "traded", "none"] = "all"


class Config(Table):
    """The whole config. Build it with :meth:`load`, :meth:`from_dict` or keyword tables.

    Attributes
    ----------
    data, universe, windows, selection, filter, hedge, signal, execution, portfolio, comparison, run, sweep : Table
        The tables of a config file, each with the keys and defaults of docs/config.md. All are frozen.

    Raises
    ------
    ConfigError
        From :meth:`load`, :meth:`from_dict` and :meth:`with_changes`: every key that is wrong, with its value, the
        rule and the nearest known name.

    See Also
    --------
    run : runs a config.

    Examples
    --------
    >>> Config.from_dict({"signal": {"entry": 1.5}}).signal.entry
    1.5
    """

    data: Data = Data()
    universe: Universe = Universe()
    windows: Windows = Windows()
    selection: Selection = Selection()
    filter: Filter = Filter()
    hedge: Hedge = Hedge()
    signal: Signal = Signal()
    execution: Execution = Execution()
    portfolio: Portfolio = Portfolio()
    comparison: Comparison = Comparison()
    run: RunOptions = RunOptions()
    sweep: Sweep = Sweep()

    @classmethod
    def load(
        cls,
        path: str | Path | None = None,
        overrides: tuple[str, ...] | list[str] = (),
        *,
        own_prices: bool = False,
    ) -> Config:
        """Read a TOML file (None: the built-in demo) and apply ``a.b=value`` overrides to it.

        Paths in the file are taken from the file's folder, paths in an override from the current one. An override of
        ``data.path`` or ``data.synthetic`` without a file drops the demo's ``data.start`` and ``data.end``, too; so
        does `own_prices`, which says that the prices are given in memory.

        Raises
        ------
        ConfigError
            Naming every offending key with its path, its value, the rule and the nearest known name.
        """
        return load_config(cls, path, overrides, own_prices=own_prices)

    @classmethod
    def from_dict(cls, tables: dict[str, Any], base: str | Path | None = None) -> Config:
        """Check a dictionary of tables; relative paths are taken from `base` (default: as they are)."""
        return config_from_dict(cls, tables, base)

    def with_changes(self, *overrides: str) -> Config:
        """Return a copy with ``a.b=value`` overrides applied, checked like a file."""
        return config_from_dict(type(self), apply_overrides(self.to_dict(), overrides))

    def to_dict(self) -> dict[str, Any]:
        """Every key with its value, defaults included; keys without a value (None) are left out."""
        return self.model_dump(mode="python", exclude_none=True)
