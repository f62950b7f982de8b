"""What a run says about its own fills, checked against the prices: the right bar, the right price, the right cause.

A fill at the signal's own close is as invisible to a cut of the future as an honest one, because that close is no
future. It shows here: every trade must be filled `lag` bars after a close at which the z-score called for it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from pairs_bt.audit.run_differences import Break, StudyRun

_PAIR = ["test_end", "y", "x", "variant"]
_TOLERANCE = 1e-9


def check_fills(made: StudyRun) -> tuple[int, Break | None]:
    """Check every trade of a run.

    1. Filled `execution.lag` bars after its signal, and closed `lag` bars after the close that ended it.
    2. At the closes of the fill's bar, both legs (a delisted pair: at its last ones).
    3. On a z-score at or beyond its pair's entry at the signal's close, on the side that the config takes; a trade that
       ended at the exit level: on a z-score that has crossed its exit.
    4. Gross P&L = -sum(shares x price) over its fills.

    Returns
    -------
    int
        Trades checked.
    Break or None
        The first rule broken, stage 'fills' (1 to 3) or 'ledger' (4).
    """
    trades = made.run.trades
    if trades.empty:
        return 0, None
    for check in (_lags, _prices, _causes, _profits):
        found = check(made, trades)
        if found is not None:
            return len(trades), found
    return len(trades), None


def _bars(made: StudyRun, dates: pd.Series) -> np.ndarray:
    """Positions of dates in the calendar; -1 for NaT."""
    return made.study.dates.get_indexer(pd.DatetimeIndex(dates))


def _first(trades: pd.DataFrame, wrong: np.ndarray, stage: str, rule: str, expected: str, found: list[str]) -> Break:
    row = int(np.argmax(wrong))
    trade = trades.iloc[row]
    where = f"trade {trade['y']}/{trade['x']} {trade['variant']} entered {trade['entry_date']:%Y-%m-%d}: {rule}"
    return Break(stage, where, expected, found[row])


def _lags(made: StudyRun, trades: pd.DataFrame) -> Break | None:
    lag = made.study.config.execution.lag
    delay = _bars(made, trades["entry_date"]) - _bars(made, trades["signal_date"])
    wrong = delay != lag
    if not wrong.any():
        return None
    return _first(trades, wrong, "fills", "bars from signal to fill", str(lag), [str(d) for d in delay])


def _prices(made: StudyRun, trades: pd.DataFrame) -> Break | None:
    place = {name: row for row, name in enumerate(made.study.tickers)}
    quotes = made.study.quotes
    for leg in ("y", "x"):
        rows = trades[leg].map(place).to_numpy(dtype=np.int64)
        for side in ("entry", "exit"):
            bars = _bars(made, trades[f"{side}_date"])
            quoted = (trades["exit_reason"] != "delisted").to_numpy() | (side == "entry")
            stated = trades[f"{side}_{leg}"].to_numpy()
            close = made.study.filled[rows, bars]
            carried = (bars >= 0) & ~quotes[rows, bars]
            if side == "exit":
                # What ends by itself ends at the last price there is.
                carried &= ~trades["exit_reason"].isin(["delisted", "window_end"]).to_numpy()
                carried &= ~_at_the_end(made, trades, bars)
            if carried.any():
                rule = f"{side} on a bar on which {leg} has a quote"
                return _first(
                    trades, carried, "fills", rule, "a quote of that day", ["a price carried forward"] * len(trades)
                )
            wrong = (bars >= 0) & quoted & (stated != close)
            if wrong.any():
                row = int(np.argmax(wrong))
                rule = f"{side} price of {leg}"
                return _first(trades, wrong, "fills", rule, repr(float(close[row])), [repr(float(p)) for p in stated])
    return None


def _at_the_end(made: StudyRun, trades: pd.DataFrame, bars: np.ndarray) -> np.ndarray:
    """Where an exit falls on its window's last bar, which waits for no quote."""
    last = {pd.Timestamp(window.test_end): window.stop - 1 for window in made.study.windows if window.closed}
    return np.asarray(bars == trades["test_end"].map(last).fillna(-2).to_numpy(dtype=np.int64))


def _causes(made: StudyRun, trades: pd.DataFrame) -> Break | None:
    signal = made.study.config.signal
    bet = trades["side"].to_numpy() * (-1 if signal.side == "book" else 1)
    z = _z_at(made, trades, trades["signal_date"])
    # flat and z <= -entry: bet on a rise of the spread; z >= entry: on a fall
    levels = _levels(made, trades)
    wrong = ~(-bet * z >= levels["entry_z"])
    if wrong.any():
        rule = "z-score at the signal, against the side taken"
        return _first(
            trades,
            wrong,
            "fills",
            rule,
            f"at least {levels['entry_z'][np.argmax(wrong)]:g}",
            [repr(float(v)) for v in -bet * z],
        )
    bars = _bars(made, trades["exit_date"]) - made.study.config.execution.lag
    crossed = (trades["exit_reason"] == "exit_level").to_numpy()
    decided = pd.Series(made.study.dates[np.where(crossed, bars, 0)])
    z = _z_at(made, trades, decided)
    leave = levels["exit_z"] if signal.exit_short is None else np.where(bet < 0, signal.exit_short, levels["exit_z"])
    wrong = crossed & ~(bet * z >= -leave)
    if wrong.any():
        rule = "z-score at the close that ended it, on the side held"
        return _first(
            trades,
            wrong,
            "fills",
            rule,
            f"at least {-leave[np.argmax(wrong)]:g}",
            [repr(float(v)) for v in bet * z],
        )
    return None


def _levels(made: StudyRun, trades: pd.DataFrame) -> dict[str, np.ndarray]:
    """Entry and exit of every trade's pair, as z-scores."""
    lives = made.run.half_lives[[*_PAIR, "entry_z", "exit_z"]]
    joined = trades[_PAIR].merge(lives, on=_PAIR, how="left")
    return {name: joined[name].to_numpy() for name in ("entry_z", "exit_z")}


def _z_at(made: StudyRun, trades: pd.DataFrame, dates: pd.Series) -> np.ndarray:
    keys = [*_PAIR, "date"]
    wanted = trades[_PAIR].assign(date=dates.to_numpy())
    spreads = made.run.spreads[[*keys, "z_score"]].astype(dict.fromkeys(("y", "x", "variant"), "str"))
    return wanted.merge(spreads, on=keys, how="left")["z_score"].to_numpy()


def _profits(made: StudyRun, trades: pd.DataFrame) -> Break | None:
    keys = [*_PAIR, "entry_date"]
    cash = made.run.fills.assign(cash=-made.run.fills["shares"] * made.run.fills["price"])
    paid = cash.groupby(keys, sort=False)["cash"].sum().rename("cash").reset_index()
    owed = trades[keys].merge(paid, on=keys, how="left")["cash"].to_numpy()
    gross = trades["gross_pnl"].to_numpy()
    closed = (trades["exit_reason"] != "open").to_numpy()
    wrong = closed & ~(np.abs(gross - owed) <= _TOLERANCE * trades["capital"].to_numpy())
    if not wrong.any():
        return None
    row = int(np.argmax(wrong))
    rule = "gross P&L against the cash of its fills"
    return _first(trades, wrong, "ledger", rule, repr(float(owed[row])), [repr(float(v)) for v in gross])
