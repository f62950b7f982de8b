"""The tables of a run: arrays of the tasks as frames, with the columns that other programs read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from pairs_bt.hedge import variants
from pairs_bt.kernels.trading import FILL_KINDS, REASONS
from pairs_bt.selection import Choice, ScanColumns
from pairs_bt.signals import REFUSALS
from pairs_bt.study import Study
from pairs_bt.tasks import Candidates, TradeResult

TESTS = (
    "test_end", "s1", "s2", "eg_stat_12", "eg_pvalue_12", "eg_stat_21", "eg_pvalue_21", "var_order",
    "trace0", "trace1", "y", "x", "selected", "reason",
)  # fmt: skip
HALF_LIVES = ("test_end", "y", "x", "variant", "half_life", "window", "reason")
SPREADS = ("test_end", "date", "y", "x", "variant", "hedge_ratio", "spread", "z_score", "position")
TRADES = (
    "test_end", "y", "x", "variant", "side", "signal_date", "entry_date", "exit_date", "exit_reason", "hedge_ratio",
    "units_y", "units_x", "entry_y", "entry_x", "exit_y", "exit_x", "capital", "gross_pnl", "cost", "borrow", "net_pnl",
    "naive_pnl", "phantom_pnl", "convergence", "hedge_drift", "rehedge_cost", "turnover",
)  # fmt: skip
FILLS = ("test_end", "y", "x", "variant", "date", "ticker", "kind", "shares", "price", "entry_date")
RETURNS = (
    "date", "variant", "gross", "cost", "borrow", "net", "net_employed", "pairs_open", "gross_exposure", "net_exposure",
    "gross_employed", "convergence", "hedge_drift", "rehedge_cost", "interest", "turnover", "naive", "capital",
)  # fmt: skip


def names(study: Study) -> Any:
    """Tickers as a pandas string array, to be taken by position."""
    return pd.array(study.tickers, dtype="str")


def tests_frame(study: Study, k: int, scan: ScanColumns, choice: Choice) -> pd.DataFrame:
    """One row a pair of the universe, tested or not."""
    ticker = names(study)
    y = np.where(scan.y_is_first, scan.i, scan.j)
    x = np.where(scan.y_is_first, scan.j, scan.i)
    columns = {
        "test_end": _stamp(study, k, scan.i.size),
        "s1": ticker.take(scan.i),
        "s2": ticker.take(scan.j),
        **{name: getattr(scan, name) for name in TESTS[3:7]},
        "var_order": scan.var_order.astype(np.int32),
        "trace0": scan.trace0,
        "trace1": scan.trace1,
        "y": ticker.take(y),
        "x": ticker.take(x),
        "selected": choice.selected,
        "reason": pd.array(choice.reason, dtype="str"),
    }
    return pd.DataFrame(columns, columns=list(TESTS))


def half_lives_frame(study: Study, k: int, candidates: Candidates, results: Sequence[TradeResult]) -> pd.DataFrame:
    """One row a candidate and variant: half-life, z-score window, and why it is not traded."""
    parts = []
    for variant in variants(study.config.hedge):
        signals = [result.rules[variant.rule] for result in results]
        parts.append(
            pd.DataFrame(
                {
                    **_pair_columns(study, k, candidates, np.arange(candidates.y.size)),
                    "variant": variant.name,
                    "half_life": _join([s.half_life for s in signals]),
                    "window": _join([s.window for s in signals]).astype(np.int64),
                    "reason": pd.array(
                        np.array(REFUSALS, dtype=object)[_join([s.refusal for s in signals]).astype(np.int64)],
                        dtype="str",
                    ),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)[list(HALF_LIVES)]


def spreads_frame(study: Study, k: int, candidates: Candidates, result: TradeResult) -> pd.DataFrame:
    """One row a candidate, variant and trade bar, for the pairs that ``run.spreads`` keeps."""
    window = study.windows[k]
    dates = study.dates[window.split : window.stop]
    ticker = study.tickers
    keep_all = study.config.run.spreads == "all"
    labels = [variant.name for variant in variants(study.config.hedge)]
    parts = []
    for number, variant in enumerate(variants(study.config.hedge)):
        signals = result.rules[variant.rule]
        traded = np.zeros(signals.refusal.size, dtype=bool)
        traded[result.variants[variant.name].trades["row"] - result.first] = True
        rows = np.flatnonzero((signals.refusal == 0) & (keep_all | traded))
        bars = len(dates)
        pair = np.repeat(rows + result.first, bars)
        parts.append(
            pd.DataFrame(
                {
                    "test_end": _stamp(study, k, pair.size),
                    "date": np.tile(dates.to_numpy(), rows.size),
                    "y": pd.Categorical.from_codes(candidates.y[pair], categories=ticker),
                    "x": pd.Categorical.from_codes(candidates.x[pair], categories=ticker),
                    "variant": pd.Categorical.from_codes(np.full(pair.size, number), categories=labels),
                    "hedge_ratio": signals.hedge_ratio[rows].ravel(),
                    "spread": signals.spread[rows].ravel(),
                    "z_score": signals.z[rows].ravel(),
                    "position": result.variants[variant.name].position[rows].ravel(),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)[list(SPREADS)]


def trades_frame(study: Study, k: int, candidates: Candidates, results: Sequence[TradeResult]) -> pd.DataFrame:
    """One row a trade, in the order of variants, then of candidates, then of time."""
    parts = []
    for variant in variants(study.config.hedge):
        record = np.concatenate([r.variants[variant.name].trades for r in results]) if results else None
        if record is None or not record.size:
            continue
        gross = record["convergence"] + record["hedge_drift"]
        cost = record["trade_cost"] + record["rehedge_cost"]
        parts.append(
            pd.DataFrame(
                {
                    **_pair_columns(study, k, candidates, record["row"]),
                    "variant": variant.name,
                    "side": record["side"],
                    "signal_date": _dates(study, k, record["signal_bar"]),
                    "entry_date": _dates(study, k, record["entry_bar"]),
                    "exit_date": _dates(study, k, record["exit_bar"]),
                    "exit_reason": pd.array(np.array(REASONS, dtype=object)[record["reason"]], dtype="str"),
                    **{name: record[name] for name in TRADES[9:17]},
                    "gross_pnl": gross,
                    "cost": cost,
                    "borrow": record["borrow"],
                    "net_pnl": gross - cost - record["borrow"],
                    "naive_pnl": record["naive_pnl"],
                    "phantom_pnl": record["naive_pnl"] - gross,
                    **{name: record[name] for name in TRADES[23:]},
                }
            )
        )
    return pd.concat(parts, ignore_index=True)[list(TRADES)] if parts else empty(TRADES)


def fills_frame(study: Study, k: int, candidates: Candidates, results: Sequence[TradeResult]) -> pd.DataFrame:
    """One row a change of shares: what a broker would have seen."""
    parts = []
    for variant in variants(study.config.hedge):
        for result in results:
            done = result.variants[variant.name]
            if not done.fills.size:
                continue
            fill = done.fills
            leg = np.where(fill["leg"] == 0, candidates.y[fill["row"]], candidates.x[fill["row"]])
            parts.append(
                pd.DataFrame(
                    {
                        **_pair_columns(study, k, candidates, fill["row"]),
                        "variant": variant.name,
                        "date": _dates(study, k, fill["bar"]),
                        "ticker": names(study).take(leg),
                        "kind": pd.array(np.array(FILL_KINDS, dtype=object)[fill["kind"]], dtype="str"),
                        "shares": fill["shares"],
                        "price": fill["price"],
                        "entry_date": _dates(study, k, done.trades["entry_bar"][fill["trade"]]),
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)[list(FILLS)] if parts else empty(FILLS)


_STAMPS = {"test_end", "date", "signal_date", "entry_date", "exit_date"}
_TEXTS = {"s1", "s2", "y", "x", "variant", "reason", "exit_reason", "ticker", "kind"}
_WHOLE = {"side", "window", "pairs_open"}


def empty(columns: Sequence[str]) -> pd.DataFrame:
    """An empty table with the column types of a full one."""

    def kind(name: str) -> str:
        if name in _STAMPS:
            return "datetime64[us]"
        return "str" if name in _TEXTS else "int64" if name in _WHOLE else "float64"

    return pd.DataFrame({name: pd.Series([], dtype=kind(name)) for name in columns})


def _stamp(study: Study, k: int, size: int) -> np.ndarray:
    return np.full(size, study.windows[k].test_end).astype("datetime64[us]")


def _pair_columns(study: Study, k: int, candidates: Candidates, rows: np.ndarray) -> dict[str, Any]:
    ticker = names(study)
    return {
        "test_end": _stamp(study, k, rows.size),
        "y": ticker.take(candidates.y[rows]),
        "x": ticker.take(candidates.x[rows]),
    }


def _dates(study: Study, k: int, bars: np.ndarray) -> np.ndarray:
    """Dates of trade bars; NaT for bar -1, a trade that is still open."""
    stamps = study.dates.to_numpy().astype("datetime64[us]")
    out = stamps[np.minimum(study.windows[k].split + np.maximum(bars, 0), len(stamps) - 1)]
    out[bars < 0] = np.datetime64("NaT")
    return out


def _join(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.empty(0)
