"""Bar-by-bar trading of many pairs: signals, fills, shares held, and every cent of their P&L.

`trade_rows` holds the rules. `trade_settings` trades the same pairs by many rules and keeps their daily sums;
`ended_sharpes` judges such sums as time goes by.

One row is one pair under one hedge ratio. Each close runs in a fixed order: mark the shares held since the last
close; read the signal; fill what was decided `lag` closes ago; re-hedge. So a decision at a close never touches
shares that earned before it.
"""

from __future__ import annotations

from collections import namedtuple

import numpy as np
from numba import njit

# Why a trade ended; index into REASONS.
OPEN, EXIT_LEVEL, STOP, STOP_LOSS, TIME_STOP, DELISTED, WINDOW_END = range(7)
REASONS = ("open", "exit_level", "stop", "stop_loss", "time_stop", "delisted", "window_end")

ENTRY_FILL, EXIT_FILL, REHEDGE_FILL = range(3)
FILL_KINDS = ("entry", "exit", "rehedge")

NEVER, DAILY, BAND = range(3)

# Columns of the daily output.
CONVERGENCE, DRIFT, TRADE_COST, REHEDGE_COST, BORROW, TURNOVER, NAIVE, GROSS_VALUE, NET_VALUE, HELD, OPENED = range(11)
N_DAILY = 11
# What an account adds up of them: P&L, costs and borrow, and behind these the gross and net value held.
N_ACCOUNT = TURNOVER + 2

TRADE = np.dtype(
    [
        ("row", "i8"), ("side", "i8"), ("signal_bar", "i8"), ("entry_bar", "i8"), ("exit_bar", "i8"), ("reason", "i8"),
        ("hedge_ratio", "f8"), ("units_y", "f8"), ("units_x", "f8"),
        ("entry_y", "f8"), ("entry_x", "f8"), ("exit_y", "f8"), ("exit_x", "f8"), ("capital", "f8"),
        ("convergence", "f8"), ("hedge_drift", "f8"), ("trade_cost", "f8"), ("rehedge_cost", "f8"),
        ("borrow", "f8"), ("naive_pnl", "f8"), ("turnover", "f8"),
    ]
)  # fmt: skip
FILL = np.dtype(
    [("trade", "i8"), ("row", "i8"), ("bar", "i8"), ("leg", "i8"), ("kind", "i8"), ("shares", "f8"), ("price", "f8")]
)
# What one row remembers from close to close.
STATE = np.dtype(
    [
        ("want", "i8"), ("want_bar", "i8"), ("bet", "i8"), ("trade", "i8"), ("entry_bar", "i8"),
        ("blocked", "i8"), ("dead", "i8"), ("opened", "i8"), ("leaving", "i8"),
        ("n_y", "f8"), ("n_x", "f8"), ("n_x_entry", "f8"), ("ratio", "f8"), ("last_y", "f8"), ("last_x", "f8"),
        ("spread_value", "f8"), ("last_spread", "f8"), ("pnl", "f8"),
    ]
)  # fmt: skip

TradingRules = namedtuple(
    "TradingRules",
    [
        "stop", "stop_loss", "lag", "side", "entry_stop", "closed", "drop_unconverged",
        "cost_rate", "half_spread", "delisting_loss", "reject_negative", "max_leg_share", "volatility",
        "rehedge", "band", "log_space", "book_spread", "capital",
        "bars_per_year",
    ],
)  # fmt: skip


# The same as a record, one a setting.
RULES = np.dtype(
    [
        ("stop", "f8"), ("stop_loss", "f8"), ("lag", "i8"), ("side", "i8"), ("entry_stop", "i8"), ("closed", "?"),
        ("drop_unconverged", "?"), ("cost_rate", "f8"), ("half_spread", "f8"), ("delisting_loss", "f8"),
        ("reject_negative", "?"), ("max_leg_share", "f8"), ("volatility", "f8"), ("rehedge", "i8"), ("band", "f8"),
        ("log_space", "?"), ("book_spread", "?"), ("capital", "f8"), ("bars_per_year", "f8"),
    ]
)  # fmt: skip


@njit(cache=True, nogil=True)
def trade_rows(
    prices, quotes, iy, ix, beta, ratio, spread, z, entry, leave, leave_short, time_stop, moments, borrow_rate,
    day_gap, rules, skip, trades, fills, daily
):  # fmt: skip
    """Trade every row; fill `trades`, `fills` and `daily`; return how many trades and fills were written.

    `prices` (tickers, bars) are raw, carried forward over short gaps, and `quotes` says where they are a day's own:
    on a bar on which a leg has none nothing is decided, an entry that is due is cancelled, and an exit waits. `beta`,
    `ratio`, `spread`, `z` (rows, bars): the signal's share ratio, the ratio to hold, the spread and its z-score;
    `entry`, `leave` and `leave_short` (rows,): the z-scores at which a pair is entered (NaN: never), and at which one
    that is long or short is left; `time_stop` (rows,) in bars; `moments` (rows, 3): variances of the daily changes of
    y and x and their covariance over the train window; `borrow_rate` (tickers,) per calendar day; `day_gap` (bars,)
    calendar days since the last bar; `skip` flags the trades, by their number, that a limit of the portfolio refuses;
    `daily` (rows, bars, N_DAILY) must be zero.
    """
    bars = prices.shape[1]
    state = np.zeros(1, STATE)
    target = np.zeros(bars, np.int64)
    why = np.zeros(bars, np.int64)
    # typed: of a bare 0 numba makes a type of its own, and compiles every callee for it as well
    n_trades = np.int64(0)
    n_fills = np.int64(0)
    for row in range(iy.size):
        s = state[0]
        s.want = s.want_bar = s.bet = s.blocked = s.dead = s.opened = s.leaving = 0
        s.n_y = s.n_x = s.pnl = 0.0
        y = prices[iy[row]]
        x = prices[ix[row]]
        day = daily[row]
        first_trade = n_trades
        first_fill = n_fills
        for t in range(bars):
            priced = np.isfinite(y[t]) and np.isfinite(x[t])
            quoted = quotes[iy[row], t] and quotes[ix[row], t]
            if s.bet != 0:
                _mark(s, y[t], x[t], spread[row, t], borrow_rate[iy[row]], borrow_rate[ix[row]], day_gap[t], rules,
                      trades[s.trade], day[t])  # fmt: skip
            if not priced:
                s.dead = 1
            why[t] = _decide(s, t, bars, z[row, t] if quoted else np.nan, beta[row, t], entry[row], leave[row],
                             leave_short[row], time_stop[row], rules)  # fmt: skip
            target[t] = s.want
            due = target[t - rules.lag] if t >= rules.lag else 0
            last = rules.closed and t == bars - 1
            if s.bet != 0:
                if s.leaving != OPEN and due != 0:
                    # an entry that comes due while the exit waits for a quote finds the place taken
                    _cancel(s, t, target, rules.lag)
                elif s.leaving == OPEN and due == 0:
                    s.leaving = why[t - rules.lag]
                reason = OPEN
                if not priced:
                    reason = DELISTED
                elif s.leaving != OPEN and (quoted or last):
                    reason = s.leaving
                elif last:
                    reason = WINDOW_END
                if reason != OPEN:
                    n_fills = _close(s, t, reason, row, rules, trades[s.trade], fills, n_fills, day[t])
                    if _refused(skip, s.trade):
                        day[s.entry_bar : t + 1] = 0.0
                elif rules.rehedge != NEVER and quoted and s.leaving == OPEN and t - rules.lag >= s.entry_bar:
                    n_fills = _rehedge(
                        s, t, ratio[row, t - rules.lag], row, rules, trades[s.trade], fills, n_fills, day[t]
                    )
            elif due != 0 and not last:
                held = ratio[row, t]
                if s.dead == 0 and quoted and _acceptable(beta[row, t], held, y[t], x[t], rules):
                    n_fills = _open(s, t, due, held, y[t], x[t], spread[row, t], moments[row], row, rules,
                                    n_trades, trades[n_trades], fills, n_fills, day[t])  # fmt: skip
                    # fully invested capital counts a pair once, however often it trades
                    if s.opened == 0 and not _refused(skip, s.trade):
                        s.opened = 1
                        day[t, OPENED] = 1.0
                    n_trades += 1
                else:
                    _cancel(s, t, target, rules.lag)
            if s.bet != 0:
                day[t, HELD] = 1.0
                day[t, GROSS_VALUE] = abs(s.n_y) * s.last_y + abs(s.n_x) * s.last_x
                day[t, NET_VALUE] = s.n_y * s.last_y + s.n_x * s.last_x
        if s.bet != 0:
            trade = trades[s.trade]
            trade.exit_y, trade.exit_x = s.last_y, s.last_x
            if _refused(skip, s.trade):
                day[s.entry_bar :] = 0.0
        if rules.drop_unconverged and n_trades > first_trade and trades[n_trades - 1].reason in (OPEN, WINDOW_END):
            day[:] = 0.0
            n_trades = first_trade
            n_fills = first_fill
    return n_trades, n_fills


@njit(cache=True, nogil=True)
def _mark(s, y, x, spread, rate_y, rate_x, gap, rules, trade, day):
    """Book the P&L and the borrow of the shares held since the last close."""
    price_y = _closing_price(y, s.last_y, s.n_y, rules.delisting_loss)
    price_x = _closing_price(x, s.last_x, s.n_x, rules.delisting_loss)
    dy = price_y - s.last_y
    dx = price_x - s.last_x
    # P&L = n_y dy + n_x dx, split into what the entry's shares earned and what re-hedging changed
    convergence = s.n_y * dy + s.n_x_entry * dx
    drift = (s.n_x - s.n_x_entry) * dx
    short = max(-s.n_y, 0.0) * s.last_y * rate_y + max(-s.n_x, 0.0) * s.last_x * rate_x
    borrow = short * gap
    naive = 0.0
    if np.isfinite(spread):
        # bet * u * (s_t - s_{t-1}): what differencing the spread claims, moving beta and all
        naive = s.spread_value * (spread - s.last_spread)
        s.last_spread = spread
    if rules.book_spread:
        convergence = naive
        drift = 0.0
    s.last_y = price_y
    s.last_x = price_x
    s.pnl += convergence + drift - borrow
    day[CONVERGENCE] += convergence
    day[DRIFT] += drift
    day[BORROW] += borrow
    day[NAIVE] += naive
    trade.convergence += convergence
    trade.hedge_drift += drift
    trade.borrow += borrow
    trade.naive_pnl += naive


@njit(cache=True, nogil=True)
def _closing_price(price, last, shares, loss):
    """The price to mark at: the quote, or the last one (less the stress loss on a long leg) once quotes end."""
    if np.isfinite(price):
        return price
    return last * (1.0 - loss) if shares > 0.0 else last


@njit(cache=True, nogil=True)
def _refused(skip, number):
    """Whether a limit refuses a trade; trades of a row that is dropped later may lie beyond the flags."""
    return number < skip.size and skip[number] > 0


@njit(cache=True, nogil=True)
def _cancel(s, t, target, lag):
    """Take back the entry that was due at this close, and no later entry decided since."""
    k = t - lag
    while k <= t and target[k] != 0:
        target[k] = 0
        k += 1
    if k > t:
        s.want = 0


@njit(cache=True, nogil=True)
def _decide(s, t, bars, z, beta, entry, leave, leave_short, time_stop, rules):
    """Read the signal at a close: set the wanted bet and return the reason if a trade is to end."""
    if np.isnan(z):
        return OPEN
    if s.want == 0:
        if s.blocked == 1 and abs(z) < entry:
            s.blocked = 0
        fillable = not rules.closed or t + rules.lag < bars - 1
        usable = np.isfinite(beta) and (beta > 0.0 or not rules.reject_negative)
        if s.blocked == 0 and s.dead == 0 and t < rules.entry_stop and fillable and usable and abs(z) >= entry:
            s.want = -1 if z > 0.0 else 1
            s.want_bar = t
        return OPEN
    reason = OPEN
    gain = s.want * z
    # until the wanted trade is filled, the shares held may be those of the trade before it
    filled = s.bet != 0 and s.entry_bar - rules.lag == s.want_bar
    if gain >= -(leave if s.want > 0 else leave_short):
        reason = EXIT_LEVEL
    elif gain <= -rules.stop:
        reason = STOP
    elif filled and s.pnl <= -rules.stop_loss * rules.capital:
        reason = STOP_LOSS
    elif filled and t - s.entry_bar >= time_stop:
        reason = TIME_STOP
    if reason != OPEN:
        s.want = 0
        # After a stop, z has to come back inside the band before the pair may be entered again.
        s.blocked = 1 if reason != EXIT_LEVEL else 0
    return reason


@njit(cache=True, nogil=True)
def _acceptable(beta, held, y, x, rules):
    """Whether the ratio at the fill is one that the rules allow to be held."""
    if not (np.isfinite(beta) and np.isfinite(held)):
        return False
    if rules.reject_negative and beta <= 0.0:
        return False
    return max(y, abs(held) * x) <= rules.max_leg_share * (y + abs(held) * x)


@njit(cache=True, nogil=True)
def _open(s, t, bet, held, y, x, spread, moments, row, rules, number, trade, fills, n_fills, day):
    """Buy and sell the shares of a new trade at this close."""
    # u (y + |beta| x) = capital
    u = rules.capital / (y + abs(held) * x)
    if rules.volatility > 0.0:
        # u sd(dy - beta dx) sqrt(bars_per_year) = volatility * capital, never more than fully invested
        variance = moments[0] - 2.0 * held * moments[2] + held * held * moments[1]
        if variance > 0.0:
            u = min(u, rules.volatility * rules.capital / np.sqrt(rules.bars_per_year * variance))
    side = bet * rules.side
    s.bet = bet
    s.leaving = OPEN
    s.trade = number
    s.entry_bar = t
    s.n_y = side * u
    s.n_x = -side * u * held
    s.n_x_entry = s.n_x
    s.ratio = held
    s.last_y = y
    s.last_x = x
    s.spread_value = bet * u * (y if rules.log_space else 1.0)
    s.last_spread = spread
    s.pnl = 0.0
    trade.row, trade.side, trade.signal_bar, trade.entry_bar = row, side, t - rules.lag, t
    trade.exit_bar, trade.reason = -1, OPEN
    trade.hedge_ratio, trade.units_y, trade.units_x = held, s.n_y, s.n_x
    trade.entry_y, trade.entry_x, trade.capital = y, x, rules.capital
    trade.convergence = trade.hedge_drift = trade.trade_cost = trade.rehedge_cost = 0.0
    trade.borrow = trade.naive_pnl = trade.turnover = 0.0
    kind = np.int64(ENTRY_FILL)
    n_fills = _fill(s, t, np.int64(0), kind, s.n_y, y, row, rules, trade, fills, n_fills, day)
    return _fill(s, t, np.int64(1), kind, s.n_x, x, row, rules, trade, fills, n_fills, day)


@njit(cache=True, nogil=True)
def _close(s, t, reason, row, rules, trade, fills, n_fills, day):
    """Sell what is held at the marked prices."""
    kind = np.int64(EXIT_FILL)
    n_fills = _fill(s, t, np.int64(0), kind, -s.n_y, s.last_y, row, rules, trade, fills, n_fills, day)
    n_fills = _fill(s, t, np.int64(1), kind, -s.n_x, s.last_x, row, rules, trade, fills, n_fills, day)
    trade.exit_bar, trade.reason = t, reason
    trade.exit_y, trade.exit_x = s.last_y, s.last_x
    if reason == DELISTED:
        s.want = 0
    s.bet = 0
    s.n_y = s.n_x = 0.0
    return n_fills


@njit(cache=True, nogil=True)
def _rehedge(s, t, wanted, row, rules, trade, fills, n_fills, day):
    """Move the shares of x to the ratio decided `lag` closes ago; the shares of y stay."""
    if not np.isfinite(wanted) or (rules.reject_negative and wanted <= 0.0):
        return n_fills
    moved = abs(wanted - s.ratio)
    if moved == 0.0 or (rules.rehedge == BAND and moved <= rules.band * abs(s.ratio)):
        return n_fills
    change = -s.n_y * wanted - s.n_x
    s.n_x += change
    s.ratio = wanted
    leg, kind = np.int64(1), np.int64(REHEDGE_FILL)
    return _fill(s, t, leg, kind, change, s.last_x, row, rules, trade, fills, n_fills, day)


@njit(cache=True, nogil=True)
def _fill(s, t, leg, kind, shares, price, row, rules, trade, fills, n_fills, day):
    """Record one fill and charge it: cost = |shares| (rate * price + half the quoted spread)."""
    notional = abs(shares) * price
    cost = rules.cost_rate * notional + rules.half_spread * abs(shares)
    s.pnl -= cost
    day[TURNOVER] += notional
    trade.turnover += notional
    if kind == REHEDGE_FILL:
        day[REHEDGE_COST] += cost
        trade.rehedge_cost += cost
    else:
        day[TRADE_COST] += cost
        trade.trade_cost += cost
    fill = fills[n_fills]
    fill.trade, fill.row, fill.bar, fill.leg, fill.kind = s.trade, row, t, leg, kind
    fill.shares, fill.price = shares, price
    return n_fills + 1


@njit(cache=True, nogil=True)
def block_sums(daily, size, out):
    """Add the rows of `daily` (rows, bars, components), in order, over blocks of `size` rows, into zeros `out`."""
    for row in range(daily.shape[0]):
        block = out[row // size]
        for t in range(daily.shape[1]):
            for c in range(daily.shape[2]):
                block[t, c] += daily[row, t, c]


@njit(cache=True, nogil=True)
def trade_settings(
    prices, quotes, iy, ix, beta, ratio, spread, z, levels, moments, borrow_rate, day_gap, rules, size, skip,
    trades, fills, daily, sums, counts
):  # fmt: skip
    """Trade the same rows under many settings: add their daily dollars to `sums` and their trades to `counts`.

    `rules` (settings,) are records of RULES; `levels` (4, settings, rows) holds `entry`, `leave`, `leave_short` and
    `time_stop`; `sums` (settings, bars, N_DAILY); `counts` (settings,). The rest is as in `trade_rows`, for blocks of
    `size` rows: `trades`, `fills` and the zeros `daily`, which are zeros again afterwards, hold one block. Rows are
    added in order within their block, and blocks in order, as `block_sums` and a sum over its blocks do.
    """
    bars = prices.shape[1]
    block = np.zeros((bars, N_DAILY))
    for k in range(rules.size):
        r = rules[k]
        rule = TradingRules(
            r.stop, r.stop_loss, r.lag, r.side, r.entry_stop, r.closed, r.drop_unconverged, r.cost_rate, r.half_spread,
            r.delisting_loss, r.reject_negative, r.max_leg_share, r.volatility, r.rehedge, r.band, r.log_space,
            r.book_spread, r.capital, r.bars_per_year,
        )  # fmt: skip
        for lo in range(0, iy.size, size):
            hi = min(lo + size, iy.size)
            made, _ = trade_rows(
                prices, quotes, iy[lo:hi], ix[lo:hi], beta[lo:hi], ratio[lo:hi], spread[lo:hi], z[lo:hi],
                levels[0, k, lo:hi], levels[1, k, lo:hi], levels[2, k, lo:hi], levels[3, k, lo:hi], moments[lo:hi],
                borrow_rate, day_gap, rule, skip, trades, fills, daily[: hi - lo],
            )  # fmt: skip
            # a row is zero outside its trades
            for n in range(made):
                day = daily[trades[n].row]
                stop = trades[n].exit_bar + 1 if trades[n].exit_bar >= 0 else bars
                for t in range(trades[n].entry_bar, stop):
                    for c in range(N_DAILY):
                        block[t, c] += day[t, c]
                        day[t, c] = 0.0
            for t in range(bars):
                for c in range(N_DAILY):
                    sums[k, t, c] += block[t, c]
                    block[t, c] = 0.0
            counts[k] += made


@njit(cache=True, nogil=True)
def add_cohort(daily, first, row, slot, dollars, earned):
    """Add a cohort's `daily` (series, bars, N_DAILY) to `dollars` (series, days, N_ACCOUNT) from its day `first` on.

    If `row` is not negative, the cohort's net returns on a `slot` of capital go into `earned` (rows, series) from
    there on.
    """
    for v in range(daily.shape[0]):
        for t in range(daily.shape[1]):
            day = daily[v, t]
            into = dollars[v, first + t]
            for c in range(TURNOVER):
                into[c] += day[c]
            into[TURNOVER] += day[GROSS_VALUE]
            into[TURNOVER + 1] += day[NET_VALUE]
            if row >= 0:
                net = day[CONVERGENCE] + day[DRIFT] - day[TRADE_COST] - day[REHEDGE_COST] - day[BORROW]
                earned[row + t, v] = net / slot


@njit(cache=True, nogil=True)
def ended_sharpes(daily, split, stop, year, out):
    """Sharpe ratios at each cohort's birth of what the cohorts that had ended by then earned, into zeros `out`.

    `daily` (bars of all cohorts, series): one cohort after the other, in the order of time; `split` and `stop`
    (cohorts,): each one's first bar and the bar after its last, counted from the first cohort's first; `out` (series,
    cohorts). A bar's return is the mean over the ended cohorts that were live on it; `year` scales daily ratios.
    """
    series = daily.shape[1]
    days = stop.max()
    earned, values, total = np.zeros((days, series)), np.empty((days, series)), np.zeros((days + 1, series))
    live, place = np.zeros(days), np.zeros(days, np.int64)
    added, row, last, held = 0, 0, 0, 0
    for k in range(split.size):
        begun, before = added, last
        while stop[added] <= split[k]:
            for t in range(split[added], stop[added]):
                live[t] += 1.0
                for v in range(series):
                    earned[t, v] += daily[row, v]
                row += 1
            last = max(last, stop[added])
            added += 1
        if added > begun:
            # bars before the oldest of these stay as they are, and so do their sums
            held = place[split[begun]] if split[begun] < before else held
            for t in range(split[begun], last):
                place[t] = held
                if live[t] > 0.0:
                    for v in range(series):
                        values[held, v] = earned[t, v] / live[t]
                        total[held + 1, v] = total[held, v] + values[held, v]
                    held += 1
        mean, square = total[held] / max(held, 1), np.zeros(series)
        for t in range(held):
            for v in range(series):
                gap = values[t, v] - mean[v]
                square[v] += gap * gap
        for v in range(series):
            t = 1
            while t < held and values[t, v] == values[0, v]:
                t += 1
            if t < held:
                out[v, k] = mean[v] / np.sqrt(square[v] / (held - 1)) * year


@njit(cache=True, nogil=True)
def held_sides(trades, out):
    """Write the side held after each close into zeros `out` (rows, bars)."""
    for k in range(trades.size):
        trade = trades[k]
        stop = trade.exit_bar if trade.exit_bar >= 0 else out.shape[1]
        for t in range(trade.entry_bar, stop):
            out[trade.row, t] = trade.side
