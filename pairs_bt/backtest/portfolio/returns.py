"""From cohorts to a portfolio: daily returns on committed capital, and fully invested.

The capital is divided into as many equal slots as cohorts live at once; each cohort trades one slot, divided
into equal parts among its selected pairs, and into at least `portfolio.min_pairs` of them. A day's committed
return is the day's dollars over the capital of the live cohorts: the mean of the live cohorts' returns (Gatev,
Goetzmann and Rouwenhorst 2006, section 2.3). Fully invested returns, the columns `net_employed` and
`gross_employed`, divide by the pairs that have opened so far in the window, so that a day's return never
depends on a later entry; at the window's end that is the paper's count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from pairs_bt.backtest.study import Study
from pairs_bt.backtest.table_columns import RETURNS, empty
from pairs_bt.config.schema import slot_parts
from pairs_bt.kernels import ledger as kernel


@dataclass(frozen=True)
class Cohort:
    """One window's daily dollars, per variant: arrays (bars, components of the trading kernel).

    Attributes
    ----------
    k : int
        Number of the window.
    selected : int
        Pairs that capital was committed to.
    daily, delayed : mapping of str to numpy.ndarray
        At the config's fill lag, and at the other one.
    refused : dict of str to numpy.ndarray
        Signals that a portfolio limit refused, a count per variant; empty without limits.
    pairs, tested, passed : int
        Pairs of the universe, tested, and passing the tests.
    """

    k: int
    selected: int
    daily: Mapping[str, np.ndarray]
    delayed: Mapping[str, np.ndarray]
    refused: dict[str, np.ndarray] = field(default_factory=dict)
    pairs: int = 0
    tested: int = 0
    passed: int = 0


def add_blocks(blocks: list[np.ndarray]) -> np.ndarray:
    """Add block sums in the order of the pairs, one by one."""
    total = np.zeros(blocks[0].shape[1:])
    for part in blocks:
        for block in part:
            total += block
    return total


@dataclass(frozen=True)
class _Sums:
    """Dollars of one variant on the run's calendar."""

    dollars: np.ndarray
    capital: np.ndarray
    employed_net: np.ndarray
    employed_gross: np.ndarray
    interest: np.ndarray


def portfolio_returns(
    study: Study,
    cohorts: list[Cohort],
    variants: list[str],
    *,
    delayed: bool = False,
    saved: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Daily simple returns and exposures of every variant, one row a date and variant.

    `cost` and `borrow` are positive fractions of committed capital: net = gross - cost - borrow + interest.
    Exposures are dollars held at the close over committed capital. `capital` is that capital, in dollars; on days
    without a live cohort it is 0, and so are all returns. `riskless` is what the capital would have earned at
    `portfolio.cash_rate`: skill is net less riskless.

    Parameters
    ----------
    study : Study
        Config, calendar and windows.
    cohorts : list of Cohort
        Of every window.
    variants : list of str
        Keys of the variants.
    delayed : bool
        Take the cohorts' dollars at the other fill lag.
    saved : DataFrame, optional
        Columns date, variant, saving: dollars that netting took off the costs
        (:func:`pairs_bt.backtest.portfolio.netting.savings`). It belongs to the account, not to a cohort, so fully
        invested returns do not have it.
    """
    if not cohorts:
        return empty(RETURNS)
    first = min(study.windows[c.k].split for c in cohorts)
    last = max(study.windows[c.k].stop for c in cohorts)
    dates = study.dates[first:last].to_numpy().astype("datetime64[us]")
    frames = []
    for name in variants:
        sums = _add_up(study, cohorts, name, first, last, delayed)
        base = np.where(sums.capital > 0, sums.capital, 1.0)
        part = sums.dollars / base[:, None]
        gross = part[:, kernel.CONVERGENCE] + part[:, kernel.DRIFT]
        netting = _saved_on(saved, name, dates) / base
        cost = part[:, kernel.TRADE_COST] + part[:, kernel.REHEDGE_COST] - netting
        interest = sums.interest / base
        frames.append(
            pd.DataFrame(
                {
                    "date": dates,
                    "variant": name,
                    "gross": gross,
                    "cost": cost,
                    "borrow": part[:, kernel.BORROW],
                    "net": gross - cost - part[:, kernel.BORROW] + interest,
                    "net_employed": sums.employed_net,
                    "pairs_open": sums.dollars[:, kernel.HELD].astype(np.int64),
                    "gross_exposure": part[:, kernel.GROSS_VALUE],
                    "net_exposure": part[:, kernel.NET_VALUE],
                    "gross_employed": sums.employed_gross,
                    "convergence": part[:, kernel.CONVERGENCE],
                    "hedge_drift": part[:, kernel.DRIFT],
                    "rehedge_cost": part[:, kernel.REHEDGE_COST],
                    "interest": interest,
                    "turnover": part[:, kernel.TURNOVER],
                    "naive": part[:, kernel.NAIVE],
                    "netting": netting,
                    "riskless": np.where(sums.capital > 0, cash_growth(study, first, last), 0.0),
                    "capital": sums.capital,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)[list(RETURNS)]


def excess_and_gross(study: Study, dollars: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Daily ``net - riskless`` and ``gross`` of :func:`portfolio_returns`, bit for bit, without its frame.

    Parameters
    ----------
    study : Study
        Without compounding, under which a cohort's capital is each variant's own.
    dollars : numpy.ndarray, shape (variants, days, N_ACCOUNT)
        Sums over the cohorts of all windows: P&L, costs and borrow, as the trading kernel has them, and the gross and
        net value held; see :func:`pairs_bt.kernels.ledger.add_cohort`.

    Returns
    -------
    excess, gross : numpy.ndarray, shape (variants, days)
    """
    first = study.windows[0].split
    last = first + dollars.shape[1]
    capital = np.zeros(last - first)
    for window in study.windows:
        capital[window.split - first : window.stop - first] += study.config.portfolio.capital / study.slots
    base = np.where(capital > 0, capital, 1.0)
    parts = np.ascontiguousarray(np.moveaxis(dollars, 2, 0))
    interest = _interest(study, capital, _tied_up(study, parts[-2], parts[-1]), first) / base
    parts = parts[:-2] / base
    gross = parts[kernel.CONVERGENCE] + parts[kernel.DRIFT]
    cost = parts[kernel.TRADE_COST] + parts[kernel.REHEDGE_COST]
    net = gross - cost - parts[kernel.BORROW] + interest
    return net - np.where(capital > 0, cash_growth(study, first, last), 0.0), gross


def _saved_on(saved: pd.DataFrame | None, name: str, dates: np.ndarray) -> np.ndarray:
    out = np.zeros(dates.size)
    if saved is not None:
        own = saved[saved["variant"] == name]
        out[np.searchsorted(dates, own["date"].to_numpy().astype("datetime64[us]"))] = own["saving"].to_numpy()
    return out


# Columns in dollars or shares, which grow with the capital of their cohort.
_SCALED = {
    "trades": (
        "units_y", "units_x", "capital", "gross_pnl", "cost", "borrow", "net_pnl", "naive_pnl", "phantom_pnl",
        "convergence", "hedge_drift", "rehedge_cost", "turnover",
    ),
    "fills": ("shares",),
}  # fmt: skip


def compound(table: pd.DataFrame, name: str, study: Study, cohorts: list[Cohort]) -> pd.DataFrame:
    """Bring a table of trades or fills, made with equal slots, to the capital that each cohort had."""
    if name not in _SCALED or not study.config.portfolio.compounding or table.empty:
        return table
    scale = pd.Series(
        {
            (pd.Timestamp(study.windows[c.k].test_end), variant): value
            for variant in cohorts[0].daily
            for c, value in zip(sorted(cohorts, key=lambda c: c.k), cohort_scales(study, cohorts, variant), strict=True)
        }
    )
    factor = scale.reindex(pd.MultiIndex.from_frame(table[["test_end", "variant"]])).to_numpy()
    columns = list(_SCALED[name])
    return table.assign(**{column: table[column].to_numpy() * factor for column in columns})


def cohort_scales(study: Study, cohorts: list[Cohort], name: str, delayed: bool = False) -> list[float]:
    """How many times the initial slot each cohort trades: 1, or under compounding the equity at its birth.

    The equity counts P&L and interest; what netting saves is known only once the sizes are, and is not reinvested.
    """
    options = study.config.portfolio
    if not options.compounding:
        return [1.0] * len(cohorts)
    first = min(study.windows[c.k].split for c in cohorts)
    last = max(study.windows[c.k].stop for c in cohorts)
    earned, tied_up, capital = np.zeros(last - first), np.zeros(last - first), np.zeros(last - first)
    scales = []
    for cohort in sorted(cohorts, key=lambda c: c.k):
        window = study.windows[cohort.k]
        birth = window.split - first
        # Cohorts born before this one are all known by now, and so is the interest up to its birth.
        before = float(earned[:birth].sum() + _interest(study, capital, tied_up, first)[:birth].sum())
        # A cohort cannot be given less than nothing.
        scale = max(1.0 + before / options.capital, 0.0)
        scales.append(scale)
        daily = cohort.delayed[name] if delayed else cohort.daily[name]
        at = slice(birth, window.stop - first)
        earned[at] += scale * net_dollars(daily)
        tied_up[at] += scale * _cash_tied_up(study, daily)
        capital[at] += scale * options.capital / study.slots
    return scales


def cash_growth(study: Study, first: int, last: int) -> np.ndarray:
    """What a dollar of cash earns on each bar: the annual rate by calendar days since the bar before."""
    return np.asarray(study.config.portfolio.cash_rate * study.day_gap[first:last] / 365.0)


def _cash_tied_up(study: Study, daily: np.ndarray) -> np.ndarray:
    return _tied_up(study, daily[:, kernel.GROSS_VALUE], daily[:, kernel.NET_VALUE])


def _tied_up(study: Study, gross: np.ndarray, net: np.ndarray) -> np.ndarray:
    """Dollars of each close that earn no interest: the longs, less the share of the shorts that a rebate is paid on."""
    longs, shorts = (gross + net) / 2.0, (gross - net) / 2.0
    return np.asarray(longs - study.config.portfolio.short_rebate * shorts)


def _interest(study: Study, capital: np.ndarray, tied_up: np.ndarray, first: int) -> np.ndarray:
    """Interest on the committed capital less the cash that the close before left tied up."""
    before = np.zeros_like(tied_up)
    before[..., 1:] = tied_up[..., :-1]
    return np.asarray((capital - before) * cash_growth(study, first, first + capital.size))


def net_dollars(daily: np.ndarray) -> np.ndarray:
    """P&L after costs and borrow of each bar."""
    return (
        daily[:, kernel.CONVERGENCE]
        + daily[:, kernel.DRIFT]
        - daily[:, kernel.TRADE_COST]
        - daily[:, kernel.REHEDGE_COST]
        - daily[:, kernel.BORROW]
    )


def _add_up(study: Study, cohorts: list[Cohort], name: str, first: int, last: int, delayed: bool) -> _Sums:
    options = study.config.portfolio
    size = last - first
    dollars = np.zeros((size, kernel.N_DAILY))
    capital = np.zeros(size)
    live = np.zeros(size)
    employed = np.zeros((2, size))
    scales = cohort_scales(study, cohorts, name, delayed)
    for cohort, scale in zip(sorted(cohorts, key=lambda c: c.k), scales, strict=True):
        window = study.windows[cohort.k]
        at = slice(window.split - first, window.stop - first)
        daily = (cohort.delayed if delayed else cohort.daily)[name]
        scaled = daily * scale
        scaled[:, kernel.HELD] = daily[:, kernel.HELD]
        dollars[at] += scaled
        slot = options.capital / study.slots
        capital[at] += scale * slot
        live[at] += 1.0
        opened = np.cumsum(daily[:, kernel.OPENED])
        base = np.where(opened > 0, opened, 1.0) * slot / slot_parts(cohort.selected, options)
        employed[0, at] += net_dollars(daily) / base
        employed[1, at] += (daily[:, kernel.CONVERGENCE] + daily[:, kernel.DRIFT]) / base
    employed /= np.where(live > 0, live, 1.0)
    interest = _interest(study, capital, _cash_tied_up(study, dollars), first)
    return _Sums(dollars, capital, employed[0], employed[1], interest)
