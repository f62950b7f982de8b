"""Variants side by side: metrics, intervals, paired tests, cohorts, concentration, and the verdict."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pairs_bt.common.formatting import html_table, in_ascii, interval, number, percent, pvalue, text_table
from pairs_bt.common.periods import TRADING_DAYS
from pairs_bt.stats.bar_frequency import unit_of
from pairs_bt.stats.bootstrap import checked_frame, sharpe_contributions, sharpe_intervals
from pairs_bt.stats.multiple_comparison import model_confidence_set, superior_predictive_ability
from pairs_bt.stats.performance import summary_metrics, tail_share
from pairs_bt.stats.sharpe_difference import (
    SharpeDifference,
    paired_differences,
    robustness,
    sharpe_confidence_set,
    sharpe_difference,
)
from pairs_bt.stats.verdict import Outcome, VerdictInputs, verdict

__all__ = [
    "Comparison",
    "Outcome",
    "SharpeDifference",
    "VerdictInputs",
    "WinMatrix",
    "compare_variants",
    "concentration",
    "market_exposure",
    "model_confidence_set",
    "paired_differences",
    "robustness",
    "sharpe_confidence_set",
    "sharpe_difference",
    "sharpe_intervals",
    "superior_predictive_ability",
    "verdict",
    "win_matrix",
]


class WinMatrix(NamedTuple):
    """Square frames, variant x variant: `wins` (the row beat the column) out of `windows` (both took part)."""

    wins: pd.DataFrame
    windows: pd.DataFrame


def win_matrix(cohort_returns: pd.DataFrame) -> WinMatrix:
    """How often each variant had the higher return of a cohort.

    Parameters
    ----------
    cohort_returns : DataFrame
        test_end x variant, return (or P&L) of the cohort. NaN where the variant took no part.

    Returns
    -------
    WinMatrix
        Integers. A tie is a win of neither, so wins of A over B and of B over A may not add up to the windows.
        Cohorts overlap, so these are not independent contests.
    """
    names = cohort_returns.columns
    values = cohort_returns.to_numpy(dtype=np.float64)
    # (window, row, column); a comparison with NaN is false.
    beaten = values[:, :, None] > values[:, None, :]
    present = ~np.isnan(values)
    both = present[:, :, None] & present[:, None, :]
    return WinMatrix(
        pd.DataFrame(beaten.sum(axis=0), index=names, columns=names),
        pd.DataFrame(both.sum(axis=0), index=names, columns=names),
    )


def concentration(trades: pd.DataFrame, *, variants: Sequence[str] | None = None) -> pd.DataFrame:
    """How much of each variant's net P&L came from few trades, one pair, one cohort.

    Parameters
    ----------
    trades : DataFrame
        Columns variant, y, x, test_end, net_pnl; of a table without entry_date or capital the parts that need
        them are missing.
    variants : sequence of str, optional
        Rows of the result; default: those that traded, in order of appearance.

    Returns
    -------
    DataFrame, index variant
        trades, total_pnl (money), best_trades_share (best 1% of the trades, at least one), best_pair ("Y/X"),
        best_pair_share, best_cohort (test_end), best_cohort_share. Shares are of the total and NaN where it
        is not positive; above 1, everything else together lost. The same from the other end, worst_trades_share to
        worst_cohort_share: shares of a loss, NaN where the total is not negative.

        Of the largest single win and loss: win_pair, win_date (entry), win_cohort, win_capital (money the trade was
        given), win_pnl, and loss_pair to loss_pnl; missing where no trade won or lost. extreme_pnl is the one of the
        two that is larger in size, without_extreme the total without it.
    """
    names = list(variants) if variants is not None else list(trades["variant"].unique())
    rows = []
    for name in names:
        mine = trades[trades["variant"] == name]
        total = float(mine["net_pnl"].sum())
        row: dict[str, object] = {
            "trades": len(mine),
            "total_pnl": total,
            "best_trades_share": tail_share(mine["net_pnl"]),
        }
        pair = mine["y"].astype(str) + "/" + mine["x"].astype(str)
        for key, labels in (("pair", pair), ("cohort", mine["test_end"])):
            sums = mine["net_pnl"].groupby(labels, sort=True, observed=True).sum()
            row[f"best_{key}"] = sums.idxmax() if len(sums) else None
            row[f"best_{key}_share"] = float(sums.max()) / total if total > 0.0 else math.nan
            row[f"worst_{key}"] = sums.idxmin() if len(sums) else None
            row[f"worst_{key}_share"] = float(sums.min()) / total if total < 0.0 else math.nan
        row["worst_trades_share"] = tail_share(-mine["net_pnl"])
        win, loss = _single(mine, "win", 1.0), _single(mine, "loss", -1.0)
        found = [pnl for pnl in (win["win_pnl"], loss["loss_pnl"]) if not math.isnan(pnl)]
        extreme = max(found, key=abs, default=0.0)
        rows.append({**row, **win, **loss, "extreme_pnl": extreme, "without_extreme": total - extreme})
    ends = [f"{end}_{key}" for end in ("best", "worst") for key in _TAIL]
    singles = [f"{which}_{key}" for which in ("win", "loss") for key in _SINGLE]
    columns = ["trades", "total_pnl", *ends, *singles, "extreme_pnl", "without_extreme"]
    return pd.DataFrame(rows, index=pd.Index(names, name="variant"), columns=columns)


_TAIL = ("trades_share", "pair", "pair_share", "cohort", "cohort_share")
_SINGLE = ("pair", "date", "cohort", "capital", "pnl")


def _single(trades: pd.DataFrame, which: str, sign: float) -> dict[str, Any]:
    """The trade with the largest gain (`sign` 1) or loss (-1)."""
    out: dict[str, Any] = dict.fromkeys(f"{which}_{key}" for key in _SINGLE)
    out |= {f"{which}_capital": math.nan, f"{which}_pnl": math.nan}
    size = sign * trades["net_pnl"].to_numpy(dtype=np.float64)
    if not size.size or not size.max() > 0.0:
        return out
    row = trades.iloc[int(size.argmax())]
    out |= {f"{which}_pair": f"{row['y']}/{row['x']}", f"{which}_cohort": row["test_end"]}
    out |= {f"{which}_date": row.get("entry_date"), f"{which}_capital": float(row.get("capital", math.nan))}
    return out | {f"{which}_pnl": float(row["net_pnl"])}


def market_exposure(returns: pd.DataFrame, prices: pd.DataFrame) -> pd.DataFrame:
    """Residual market beta of each variant, against an equal-weight index of the universe.

    Parameters
    ----------
    returns : DataFrame (n, k)
        Daily simple returns, date x variant, without NaN.
    prices : DataFrame
        Date x ticker. The index's return is the mean over the tickers with a price on the day and on the
        row before it.

    Returns
    -------
    DataFrame, index variant
        beta (covariance over the index's variance), correlation, days (dates that both have). NaN for fewer
        than three such dates or, for the correlation, constant returns.
    """
    frame = checked_frame(returns)
    market = prices.pct_change(fill_method=None).mean(axis=1).dropna()
    dates = frame.index.intersection(market.index)
    index = market.loc[dates].to_numpy()
    rows = []
    for name in frame.columns:
        own = frame.loc[dates, name].to_numpy()
        beta = correlation = math.nan
        if dates.size >= 3 and index.min() < index.max():
            centred, market_part = own - own.mean(), index - index.mean()
            covariance, variance = (centred * market_part).sum(), (market_part**2).sum()
            beta = float(covariance / variance)
            if own.min() < own.max():
                correlation = float(covariance / math.sqrt(variance * (centred**2).sum()))
        rows.append((beta, correlation, dates.size))
    return pd.DataFrame(rows, index=frame.columns.rename("variant"), columns=["beta", "correlation", "days"])


@dataclass(frozen=True, repr=False)
class Comparison:
    """Everything the report says about variants against each other; see the functions of the same names.

    Attributes
    ----------
    settings : dict
        draws, block, seed, level, days, first and last date.
    metrics : DataFrame
        Metric x variant (`summary_metrics`).
    intervals, differences, robustness, confidence_set, superior : DataFrame
        `sharpe_intervals`, `paired_differences`, `robustness`, `sharpe_confidence_set`, and
        `superior_predictive_ability` of the days' contributions to the Sharpe ratio (`sharpe_contributions`).
    wins, windows, concentration : DataFrame or None
        None where the input they need was not given.
    verdict : str
        A sentence, one on what the sample could have seen, and one on what was not alike.
    """

    settings: dict[str, object]
    metrics: pd.DataFrame
    intervals: pd.DataFrame
    differences: pd.DataFrame
    robustness: pd.DataFrame
    confidence_set: pd.DataFrame
    superior: pd.DataFrame
    wins: pd.DataFrame | None
    windows: pd.DataFrame | None
    concentration: pd.DataFrame | None
    verdict: str

    def _described(self) -> tuple[str, list[list[str]]]:
        """What was compared, in one line, and a row a variant."""
        options, sets = self.settings, self.confidence_set.to_dict("index")
        line = (
            f"Comparison of {len(self.metrics.columns)} series over {options['days']:,} days; "
            f"{options['draws']:,} draws of blocks of {options['block']} days"
        )
        rows = [["", "return a year", "Sharpe ratio", f"{options['level']:.0%} interval", "drawdown", "p, none better"]]
        for name, own in self.intervals.to_dict("index").items():
            found = self.metrics[name]
            rows.append(
                [
                    str(name), percent(found["annual_return"]), number(found["sharpe"]),
                    interval(own["low"], own["high"]), percent(found["max_drawdown"]), pvalue(sets[name]["pvalue"]),
                ]
            )  # fmt: skip
        return line, rows

    def __repr__(self) -> str:
        line, rows = self._described()
        return in_ascii(f"{line}\n\n{text_table(rows)}\n\n{self.verdict}")

    def _repr_html_(self) -> str:
        """What Jupyter shows: a row a variant, and the verdict."""
        line, rows = self._described()
        return html_table(rows, line) + f"<p>{escape(self.verdict)}</p>"


def _risk_adjusted(frame: pd.DataFrame) -> pd.DataFrame:
    """Each day's contribution to the Sharpe ratio in place of its return: means are Sharpe ratios."""
    out = frame.copy()
    for name in frame.columns:
        values = frame[name].to_numpy()
        if values.size and values.min() < values.max():
            out[name] = sharpe_contributions(values)
    return out


def _outcomes(differences: pd.DataFrame) -> tuple[Outcome, ...]:
    columns = (differences[name] for name in ("first", "second", "difference", "pvalue_holm", "detectable"))
    return tuple(Outcome(*row) for row in zip(*columns, strict=True))


def _verdict_inputs(
    metrics: dict[str, dict[str, float]], traded: dict[str, bool], table: pd.DataFrame, block: int, dates: pd.Index
) -> VerdictInputs:
    by_block = {int(str(length)): _outcomes(part) for length, part in table.groupby("block")}
    # A block length that is too long for the sample says nothing, so it contradicts nothing.
    others = {
        length: rows
        for length, rows in by_block.items()
        if length != block and any(not math.isnan(row.pvalue_holm) for row in rows)
    }
    here = table[table["block"] == block]
    both = here[here["first"].map(traded) & here["second"].map(traded)]
    reasons = [reason for reason in both["reason"] if reason]
    return VerdictInputs(
        sharpes={name: values["sharpe"] for name, values in metrics.items()},
        annual_returns={name: values["annual_return"] for name, values in metrics.items()},
        traded=traded,
        outcomes=by_block.get(block, ()),
        block=block,
        other_blocks=others,
        reason=reasons[0] if reasons else "",
        days=len(dates),
        unit=unit_of(dates),
    )


def _labelled(inputs: VerdictInputs, labels: Mapping[str, str]) -> VerdictInputs:
    """Replace the names of variants by what a person reads."""

    def keys(values: Mapping[str, Any]) -> dict[str, Any]:
        return {labels.get(name, name): value for name, value in values.items()}

    def rows(outcomes: tuple[Outcome, ...]) -> tuple[Outcome, ...]:
        return tuple(
            replace(row, first=labels.get(row.first, row.first), second=labels.get(row.second, row.second))
            for row in outcomes
        )

    return replace(
        inputs,
        sharpes=keys(inputs.sharpes),
        annual_returns=keys(inputs.annual_returns),
        traded=keys(inputs.traded),
        outcomes=rows(inputs.outcomes),
        other_blocks={block: rows(outcomes) for block, outcomes in inputs.other_blocks.items()},
    )


def compare_variants(
    returns: pd.DataFrame,
    *,
    draws: int = 1000,
    block: int = 126,
    seed: int = 7,
    level: float = 0.95,
    cohort_returns: pd.DataFrame | None = None,
    trades: pd.DataFrame | None = None,
    labels: Mapping[str, str] | None = None,
    pairs: Collection[tuple[str, str]] | None = None,
    bars_per_year: float = TRADING_DAYS,
    unlike: str = "",
) -> Comparison:
    """All comparisons of the variants of a run, with the uncertainty that the data leave.

    Parameters
    ----------
    returns : DataFrame (n, k)
        Daily simple net returns, date x variant, without NaN: a day without a position is 0.
    draws, block, seed, level
        Resamples, block length in days (at least the overlap of the cohorts), seed, level of the intervals.
    cohort_returns : DataFrame, optional
        test_end x variant, for the win matrix.
    trades : DataFrame, optional
        The run's trades, for the concentration. Without it a variant has traded if a return is not 0.
    labels : mapping, optional
        What the verdict calls each variant, where it is not its name.
    pairs : collection of (str, str), optional
        The pairs that the paired tests and the verdict are about; every two by default.
    bars_per_year : float
        Bars that annual figures count to a year.
    unlike : str, optional
        In what the variants are not alike besides their ratio (:func:`pairs_bt.stats.like_with_like.unlike_words`);
        the verdict ends with it.

    Returns
    -------
    Comparison
        The same bytes for the same input.
    """
    frame = checked_frame(returns)
    names = list(frame.columns)
    metrics = {str(name): summary_metrics(frame[name], bars_per_year=bars_per_year) for name in names}
    chosen = {"draws": draws, "block": block, "seed": seed}
    table = robustness(frame, **chosen, level=level, pairs=pairs, bars_per_year=bars_per_year)
    here = table[table["block"] == block].drop(columns="block").reset_index(drop=True)
    traded = {name: bool(frame[name].ne(0.0).any()) for name in names}
    if trades is not None:
        present = set(trades["variant"].unique())
        traded = {name: name in present for name in names}
    matrix = win_matrix(cohort_returns) if cohort_returns is not None else None
    span = {"first": frame.index[0], "last": frame.index[-1]} if len(frame) else {}
    said = verdict(_labelled(_verdict_inputs(metrics, traded, table, block, frame.index), labels or {}))
    return Comparison(
        settings={**chosen, "level": level, "days": len(frame), **span},
        metrics=pd.DataFrame(metrics),
        intervals=sharpe_intervals(frame, block=block, level=level, bars_per_year=bars_per_year),
        differences=here,
        robustness=table,
        confidence_set=sharpe_confidence_set(here, names),
        superior=superior_predictive_ability(_risk_adjusted(frame), **chosen),
        wins=matrix.wins if matrix else None,
        windows=matrix.windows if matrix else None,
        concentration=concentration(trades, variants=names) if trades is not None else None,
        verdict=f"{said} {unlike}".rstrip(),
    )
