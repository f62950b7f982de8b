"""The tables of a run: arrays of the tasks under the names of the columns that other programs read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pairs_bt.backtest import entry_levels, held_ratios
from pairs_bt.backtest.hedge_rules import variants
from pairs_bt.backtest.signals import REFUSALS
from pairs_bt.backtest.study import Study
from pairs_bt.backtest.window_tasks import Candidates, TradeResult
from pairs_bt.common.column_table import Coded, ColumnTable, repeated, select
from pairs_bt.kernels.ledger import FILL, FILL_KINDS, REASONS, TRADE
from pairs_bt.models import hedge_effectiveness

TESTS = (
    "test_end", "s1", "s2", "eg_stat_12", "eg_pvalue_12", "eg_stat_21", "eg_pvalue_21", "var_order",
    "trace0", "trace1", "y", "x", "selected", "reason",
)  # fmt: skip
HALF_LIVES = (
    "test_end",
    "y",
    "x",
    "variant",
    "half_life",
    "window",
    "reason",
    *held_ratios.COLUMNS,
    *entry_levels.COLUMNS,
)
HEDGE_EFFECTIVENESS = ("test_end", "y", "x", "variant", "horizon", *hedge_effectiveness.MEASURES)
SPREADS = ("test_end", "date", "y", "x", "variant", "hedge_ratio", "spread", "z_score", "position")
TRADES = (
    "test_end", "y", "x", "variant", "side", "signal_date", "entry_date", "exit_date", "exit_reason", "hedge_ratio",
    "units_y", "units_x", "entry_y", "entry_x", "exit_y", "exit_x", "capital", "gross_pnl", "cost", "borrow", "net_pnl",
    "naive_pnl", "phantom_pnl", "convergence", "hedge_drift", "rehedge_cost", "turnover", "spread_entry", "spread_exit",
    "mean_entry", "mean_exit",
)  # fmt: skip
FILLS = ("test_end", "y", "x", "variant", "date", "ticker", "kind", "shares", "price", "entry_date")
RETURNS = (
    "date", "variant", "gross", "cost", "borrow", "net", "net_employed", "pairs_open", "gross_exposure", "net_exposure",
    "gross_employed", "convergence", "hedge_drift", "rehedge_cost", "interest", "turnover", "naive", "netting",
    "riskless", "capital",
)  # fmt: skip


def half_lives_table(study: Study, k: int, candidates: Candidates, results: Sequence[TradeResult]) -> ColumnTable:
    """One row a candidate and variant: half-life, z-score window, and why it is not traded."""
    labels = _labels(study)
    size = candidates.y.size
    if not results:
        return without_rows(HALF_LIVES)
    signals = [result.rules[variant.rule] for variant in variants(study.config.hedge) for result in results]
    described = [result.held[variant.rule] for variant in variants(study.config.hedge) for result in results]
    levels = [entry_levels.levels_or_fixed(s.levels, s.refusal.size, study.config) for s in signals]
    return select(
        {
            **_pair_columns(study, k, candidates, np.tile(np.arange(size), len(labels))),
            "variant": Coded(np.repeat(np.arange(len(labels)), size), labels),
            "half_life": np.concatenate([s.half_life for s in signals]),
            "window": np.concatenate([s.window for s in signals]),
            "reason": Coded(np.concatenate([s.refusal for s in signals]), REFUSALS),
            **{name: np.concatenate([getattr(d, name) for d in described]) for name in held_ratios.COLUMNS},
            **{name: np.concatenate([getattr(v, name) for v in levels]) for name in entry_levels.COLUMNS},
        },
        HALF_LIVES,
    )


def hedge_effectiveness_table(
    study: Study, k: int, candidates: Candidates, results: Sequence[TradeResult]
) -> ColumnTable:
    """One row a candidate, variant and horizon: how its ratio hedged over the trade window."""
    rules = [variant.rule for variant in variants(study.config.hedge)]
    return effectiveness_of_pairs(study, k, candidates, [result.hedged for result in results], rules)


def effectiveness_of_pairs(
    study: Study, k: int, candidates: Candidates, blocks: Sequence[dict[str, np.ndarray]], rules: Sequence[str]
) -> ColumnTable:
    """Rows of every variant, whose rules are `rules`, of what blocks of candidates measured of each rule."""
    if not blocks:
        return without_rows(HEDGE_EFFECTIVENESS)
    labels, horizons = _labels(study), len(hedge_effectiveness.HORIZONS)
    rows = np.tile(np.repeat(np.arange(candidates.y.size), horizons), len(labels))
    return select(
        {
            **_pair_columns(study, k, candidates, rows),
            "variant": Coded(np.repeat(np.arange(len(labels)), candidates.y.size * horizons), labels),
            **hedge_effectiveness.rows_of([block[rule] for rule in rules for block in blocks]),
        },
        HEDGE_EFFECTIVENESS,
    )


def spreads_table(study: Study, k: int, candidates: Candidates, results: Sequence[TradeResult]) -> ColumnTable:
    """One row a trade bar and variant of the candidates that it does not refuse, as far as ``run.spreads`` keeps them.

    In the order of variants, then of candidates, then of time.
    """
    keep_all = study.config.run.spreads == "all"
    window = study.windows[k]
    bars = window.n_trade
    parts: dict[str, list[np.ndarray]] = {name: [] for name in ("pair", "variant", *SPREADS[5:])}
    for number, variant in enumerate(variants(study.config.hedge)):
        for result in results:
            done, signals = result.variants[variant.name], result.rules[variant.rule]
            traded = np.zeros(signals.refusal.size, dtype=bool)
            traded[done.trades["row"] - result.first] = True
            rows = np.flatnonzero((signals.refusal == 0) & (keep_all | traded))
            position = done.position(result.first, signals.refusal.size)
            parts["pair"].append(rows + result.first)
            parts["variant"].append(np.full(rows.size, number, dtype=np.int8))
            for name, values in zip(
                SPREADS[5:], (signals.hedge_ratio, signals.spread, signals.z, position), strict=True
            ):
                parts[name].append(values[rows].ravel())
    if not any(part.size for part in parts["pair"]):
        return without_rows(SPREADS)
    joined = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    pair, which = joined.pop("pair"), joined.pop("variant")
    dates = study.dates[window.split : window.stop].to_numpy().astype("datetime64[us]")
    return select(
        {
            "test_end": _stamp(study, k, pair.size * bars),
            "date": np.tile(dates, pair.size),
            "y": repeated(candidates.y[pair], tuple(study.tickers), bars),
            "x": repeated(candidates.x[pair], tuple(study.tickers), bars),
            "variant": repeated(which, _labels(study), bars),
            **joined,
        },
        SPREADS,
    )


def trades_table(study: Study, k: int, candidates: Candidates, results: Sequence[TradeResult]) -> ColumnTable:
    """One row a trade, in the order of variants, then of candidates, then of time."""
    which, record = join_records(study, results, "trades")
    if not record.size:
        return without_rows(TRADES)
    gross = record["convergence"] + record["hedge_drift"]
    cost = record["trade_cost"] + record["rehedge_cost"]
    return select(
        {
            **_pair_columns(study, k, candidates, record["row"]),
            "variant": Coded(which, _labels(study)),
            "side": record["side"],
            "signal_date": _dates(study, k, record["signal_bar"]),
            "entry_date": _dates(study, k, record["entry_bar"]),
            "exit_date": _dates(study, k, record["exit_bar"]),
            "exit_reason": Coded(record["reason"], REASONS),
            **{name: record[name] for name in TRADES[9:17]},
            "gross_pnl": gross,
            "cost": cost,
            "borrow": record["borrow"],
            "net_pnl": gross - cost - record["borrow"],
            "naive_pnl": record["naive_pnl"],
            "phantom_pnl": record["naive_pnl"] - gross,
            **{name: record[name] for name in TRADES[23:27]},
            **_levels_at_fills(study, results, record),
        },
        TRADES,
    )


def _levels_at_fills(study: Study, results: Sequence[TradeResult], record: np.ndarray) -> dict[str, np.ndarray]:
    """Spread and mean at the closes of entry and exit; of an open trade at the last bar."""
    out = {name: np.empty(record.size) for name in TRADES[27:]}
    done = 0
    for variant in variants(study.config.hedge):
        for result in results:
            signals, trades = result.rules[variant.rule], result.variants[variant.name].trades
            at = slice(done, done + trades.size)
            row, entry = trades["row"] - result.first, trades["entry_bar"]
            leave = np.where(trades["exit_bar"] < 0, signals.z.shape[1] - 1, trades["exit_bar"])
            for name, path in (("spread", signals.spread), ("mean", signals.mean)):
                out[f"{name}_entry"][at] = path[row, entry]
                out[f"{name}_exit"][at] = path[row, _last_priced(signals.spread, row, leave)]
            done += trades.size
    return out


def _last_priced(spread: np.ndarray, row: np.ndarray, bar: np.ndarray) -> np.ndarray:
    """The last bar up to `bar` with a spread: a pair whose prices have ended is closed at its last ones."""
    bar = bar.copy()
    while (gone := ~np.isfinite(spread[row, bar]) & (bar > 0)).any():
        bar[gone] -= 1
    return bar


def fills_table(study: Study, k: int, candidates: Candidates, results: Sequence[TradeResult]) -> ColumnTable:
    """One row a change of shares: what a broker would have seen."""
    which, fill = join_records(study, results, "fills")
    if not fill.size:
        return without_rows(FILLS)
    # a fill counts the trades of its own task
    entry = np.concatenate(
        [
            done.trades["entry_bar"][done.fills["trade"]]
            for variant in variants(study.config.hedge)
            for done in (result.variants[variant.name] for result in results)
        ]
    )
    leg = np.where(fill["leg"] == 0, candidates.y[fill["row"]], candidates.x[fill["row"]])
    return select(
        {
            **_pair_columns(study, k, candidates, fill["row"]),
            "variant": Coded(which, _labels(study)),
            "date": _dates(study, k, fill["bar"]),
            "ticker": Coded(leg, tuple(study.tickers)),
            "kind": Coded(fill["kind"], FILL_KINDS),
            "shares": fill["shares"],
            "price": fill["price"],
            "entry_date": _dates(study, k, entry),
        },
        FILLS,
    )


def join_records(study: Study, results: Sequence[TradeResult], part: str) -> tuple[np.ndarray, np.ndarray]:
    """Join the records (``'trades'`` or ``'fills'``) of a window; also the number of each record's variant."""
    names = _labels(study)
    parts = [(number, getattr(r.variants[name], part)) for number, name in enumerate(names) for r in results]
    if not parts:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=TRADE if part == "trades" else FILL)
    which = np.repeat([number for number, _ in parts], [records.size for _, records in parts])
    return which, np.concatenate([records for _, records in parts])


_STAMPS = {"test_end", "date", "signal_date", "entry_date", "exit_date"}
_TEXTS = {"s1", "s2", "y", "x", "variant", "reason", "exit_reason", "ticker", "kind"}
_WHOLE = {"side", "window", "pairs_open", "horizon", "bars"}


def empty(columns: Sequence[str]) -> pd.DataFrame:
    """An empty table with the column types of a full one."""
    return without_rows(columns).frame()


def without_rows(columns: Sequence[str]) -> ColumnTable:
    """A table without a row, its names as text."""
    whole = np.empty(0, dtype=np.int64)

    def column(name: str) -> np.ndarray | Coded:
        if name in _STAMPS:
            return np.empty(0, dtype="datetime64[us]")
        return Coded(whole, ()) if name in _TEXTS else whole if name in _WHOLE else np.empty(0)

    return ColumnTable({name: column(name) for name in columns})


def _labels(study: Study) -> tuple[str, ...]:
    return tuple(variant.name for variant in variants(study.config.hedge))


def _stamp(study: Study, k: int, size: int) -> np.ndarray:
    return np.broadcast_to(study.windows[k].test_end.astype("datetime64[us]"), size)


def _pair_columns(study: Study, k: int, candidates: Candidates, rows: np.ndarray) -> dict[str, np.ndarray | Coded]:
    tickers = tuple(study.tickers)
    return {
        "test_end": _stamp(study, k, rows.size),
        "y": Coded(candidates.y[rows], tickers),
        "x": Coded(candidates.x[rows], tickers),
    }


def _dates(study: Study, k: int, bars: np.ndarray) -> np.ndarray:
    """Dates of trade bars; NaT for bar -1, a trade that is still open."""
    window = study.windows[k]
    stamps = study.dates[window.split : window.stop].to_numpy().astype("datetime64[us]")
    # position -1 is the last one
    return np.append(stamps, np.datetime64("NaT", "us"))[bars]
