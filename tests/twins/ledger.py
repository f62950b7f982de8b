"""The ledger, one pair and one day at a time, in plain Python: written from the rules, not from the kernel.

An entry signal makes a Plan. The plan's orders wait in a list until their close comes. A plan that was filled has
shares, a diary of dollars, and in the end a reason. Nothing here is fast.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, isfinite, isnan, nan, sqrt

import numpy as np

DAILY = (
    "convergence", "hedge_drift", "trade_cost", "rehedge_cost", "borrow", "turnover", "naive_pnl",
    "gross_value", "net_value", "held", "opened",
)  # fmt: skip
PARTS = DAILY[:7]


@dataclass
class Plan:
    """One bet, from its signal to its end."""

    bet: int
    signal_bar: int
    leaving: str = ""
    must_leave: bool = False
    entry_bar: int = -1
    exit_bar: int = -1
    reason: str = "open"
    n_y: float = 0.0
    n_x: float = 0.0
    n_x_entry: float = 0.0
    units: float = 0.0
    entry_ratio: float = nan
    ratio: float = nan
    entry: tuple = (nan, nan)
    last: tuple = (nan, nan)
    exit: tuple = (nan, nan)
    spread: float = nan
    dollars: dict = field(default_factory=dict)
    fills: list = field(default_factory=list)

    def book(self, bar, part, dollars):
        day = self.dollars.setdefault(bar, dict.fromkeys(PARTS, 0.0))
        day[part] += dollars

    def total(self, part):
        return sum(day[part] for day in self.dollars.values())

    def net(self):
        return (
            self.total("convergence") + self.total("hedge_drift")
            - self.total("trade_cost") - self.total("rehedge_cost") - self.total("borrow")
        )  # fmt: skip


class Row:
    """One pair in one window."""

    def __init__(self, signals, market, iy, ix, row, config, capital, rehedge, moments, lag):
        self.y = [float(v) for v in market.prices[iy[row]]]
        self.x = [float(v) for v in market.prices[ix[row]]]
        shown = np.isfinite(market.prices) if market.quotes is None else market.quotes
        self.quoted = [bool(a and b) for a, b in zip(shown[iy[row]], shown[ix[row]], strict=True)]
        self.rates = float(market.borrow_rate[iy[row]]), float(market.borrow_rate[ix[row]])
        self.gap = [float(v) for v in market.day_gap]
        self.beta = [float(v) for v in signals.share_ratio[row]]
        self.spread = [float(v) for v in signals.spread[row]]
        self.z = [float(v) for v in signals.z[row]]
        self.half_life = float(signals.half_life[row])
        self.moments = None if moments is None else [float(v) for v in moments[row]]
        self.entry_bars, self.closed = market.entry_bars, market.closed
        self.config, self.capital, self.rehedge = config, capital, rehedge
        self.lag = config.execution.lag if lag is None else lag
        self.bars, self.year = len(self.z), market.bars_per_year
        self.wanted = None  # the plan that the last decision is in
        self.held = None  # the plan that has shares
        self.orders = []  # (bar due, what, plan)
        self.trades = []
        self.blocked = self.delisted = False
        self.holdings = {}  # bar -> (gross, net) value after the close's fills

    # -- what is known at a bar ------------------------------------------------------------------------------

    def ratio(self, t):
        if self.config.portfolio.sizing != "dollar_neutral":
            return self.beta[t]
        return (-1.0 if self.beta[t] < 0 else 1.0) * self.y[t] / self.x[t]

    def usable(self, ratio):
        return isfinite(ratio) and (ratio > 0.0 or not self.config.hedge.reject_negative)

    # -- one close -------------------------------------------------------------------------------------------

    def run(self):
        for t in range(self.bars):
            self.mark(t)
            priced = not isnan(self.y[t]) and not isnan(self.x[t])
            if not priced:
                self.delisted = True
            if self.quoted[t]:
                self.decide(t)
            self.fill(t, priced)
            if self.held is not None and self.quoted[t] and not self.held.must_leave:
                self.follow_ratio(t)
            if self.held is not None:
                p = self.held
                self.holdings[t] = (
                    abs(p.n_y) * self.y[t] + abs(p.n_x) * self.x[t],
                    p.n_y * self.y[t] + p.n_x * self.x[t],
                )
        if self.held is not None:
            self.held.exit = self.held.last
        return self

    def mark(self, t):
        p = self.held
        if p is None:
            return
        shares, loss = (p.n_y, p.n_x), self.config.execution.delisting_loss
        now = []
        for leg, price in enumerate((self.y[t], self.x[t])):
            if isnan(price):
                price = p.last[leg] * (1.0 - loss) if shares[leg] > 0 else p.last[leg]
            now.append(price)
            if shares[leg] < 0:
                p.book(t, "borrow", -shares[leg] * p.last[leg] * self.rates[leg] * self.gap[t])
        dy, dx = now[0] - p.last[0], now[1] - p.last[1]
        change = 0.0
        if isfinite(self.spread[t]):
            change = self.spread[t] - p.spread
            p.spread = self.spread[t]
        scale = p.entry[0] if self.config.filter.price_space == "log" else 1.0
        naive = p.bet * p.units * scale * change
        p.book(t, "naive_pnl", naive)
        if self.config.execution.pnl == "spread":
            p.book(t, "convergence", naive)
        else:
            p.book(t, "convergence", p.n_y * dy + p.n_x_entry * dx)
            p.book(t, "hedge_drift", (p.n_x - p.n_x_entry) * dx)
        p.last = tuple(now)

    def decide(self, t):
        z, rules = self.z[t], self.config.signal
        if isnan(z) or self.delisted:
            return
        p = self.wanted
        if p is None:
            if self.blocked and abs(z) < rules.entry:
                self.blocked = False
            late = t >= self.entry_bars or (self.closed and t + self.lag >= self.bars - 1)
            if abs(z) < rules.entry or self.blocked or late or not self.usable(self.beta[t]):
                return
            self.wanted = Plan(bet=1 if z < 0 else -1, signal_bar=t)
            self.orders.append((t + self.lag, "enter", self.wanted))
            return
        why = ""
        has_shares = p is self.held
        leave = rules.exit if p.bet > 0 or rules.exit_short is None else rules.exit_short
        if p.bet * z >= -leave:
            why = "exit_level"
        elif rules.stop is not None and p.bet * z <= -rules.stop:
            why = "stop"
        elif rules.stop_loss is not None and has_shares and p.net() <= -rules.stop_loss * self.capital:
            why = "stop_loss"
        elif rules.time_stop is not None and has_shares and t - p.entry_bar >= rules.time_stop * self.half_life:
            why = "time_stop"
        if why:
            p.leaving = why
            self.blocked = why != "exit_level"
            self.orders.append((t + self.lag, "leave", p))
            self.wanted = None

    def fill(self, t, priced):
        due = [(what, p) for bar, what, p in self.orders if bar == t]
        busy = self.held is not None  # one fill a close: an exit's close takes no entry
        if self.held is not None:
            last = self.closed and t == self.bars - 1
            if ("leave", self.held) in due:
                self.held.must_leave = True
            if not priced:
                self.close(t, "delisted")
            elif self.held.must_leave and (self.quoted[t] or last):
                self.close(t, self.held.leaving)
            elif last:
                self.close(t, "window_end")
        for what, p in due:
            if what == "enter":
                self.open(t, p, priced and self.quoted[t] and not busy)

    def open(self, t, p, free):
        hedge = self.config.hedge
        fine = free and not self.delisted and self.usable(self.beta[t]) and isfinite(self.ratio(t))
        if fine:
            y, x, b = self.y[t], self.x[t], self.ratio(t)
            whole = y + abs(b) * x
            fine = max(y, abs(b) * x) / whole <= hedge.max_leg_share
        if not fine:
            if self.wanted is p:
                self.wanted = None
            return
        u = self.capital / whole
        if self.config.portfolio.sizing == "volatility":
            vyy, vxx, vxy = self.moments
            var = vyy - 2.0 * b * vxy + b * b * vxx
            u = min(u, self.config.portfolio.volatility * self.capital / sqrt(self.year * var) if var > 0 else inf)
        side = p.bet if self.config.signal.side == "reversion" else -p.bet
        p.entry_bar, p.units, p.entry, p.last, p.spread = t, u, (y, x), (y, x), self.spread[t]
        p.n_y, p.n_x = side * u, -side * u * b
        p.n_x_entry, p.entry_ratio, p.ratio = p.n_x, b, b
        self.pay(p, t, "entry", "trade_cost", p.n_y, p.n_x)
        self.trades.append(p)
        self.held = p

    def close(self, t, reason):
        p = self.held
        p.exit_bar, p.reason, p.exit = t, reason, p.last
        self.pay(p, t, "exit", "trade_cost", -p.n_y, -p.n_x)
        self.held = None
        if self.wanted is p:
            self.wanted = None

    def follow_ratio(self, t):
        p, since = self.held, t - self.lag
        if self.rehedge == "never" or since < p.entry_bar:
            return
        want = self.ratio(since)
        if not self.usable(want):
            return
        if self.rehedge != "daily" and not abs(want - p.ratio) > self.rehedge.band * abs(p.ratio):
            return
        change = -p.n_y * want - p.n_x
        p.ratio, p.n_x = want, -p.n_y * want
        self.pay(p, t, "rehedge", "rehedge_cost", 0.0, change)

    def pay(self, p, t, kind, part, d_y, d_x):
        execution = self.config.execution
        for leg, shares in enumerate((d_y, d_x)):
            if shares == 0.0:
                continue
            price = p.last[leg]
            p.book(t, part, abs(shares) * (execution.cost_bps / 1e4 * price + execution.spread / 2.0))
            p.book(t, "turnover", abs(shares) * price)
            p.fills.append((t, leg, kind, shares, price))


def trade_pairs(
    signals, market, iy, ix, *, config, pair_capital, rehedge="never", moments=None, refused=None, lag=None
):
    """The same face as :func:`pairs_bt.backtest.ledger.trade_pairs`: lists of plain records, and daily dollars."""
    trades, fills = [], []
    daily = np.zeros((len(iy), signals.z.shape[1], len(DAILY)))
    for row in range(len(iy)):
        r = Row(signals, market, iy, ix, row, config, pair_capital, rehedge, moments, lag).run()
        gone = r.trades and r.trades[-1].reason in ("open", "window_end")
        if config.execution.unconverged == "drop" and gone:
            continue
        opened = False
        for p in r.trades:
            number = len(trades)
            trades.append(_record(row, p, pair_capital))
            fills += [(number, row, *f) for f in p.fills]
            if refused is not None and refused[number]:
                continue
            _write(daily[row], p, r.holdings, first=not opened)
            opened = True
    return trades, fills, daily


def trade_settings(signals, market, iy, ix, *, configs, capitals, rehedge, moments, trade):
    """Daily dollars and trades of every setting by `trade`, one setting after the other: the sums of its rows,
    over blocks of 64 in their order, and the blocks in theirs."""
    sums, counts = [], []
    for config, capital in zip(configs, capitals, strict=True):
        made = trade(
            signals, market, iy, ix, config=config, pair_capital=capital, rehedge=rehedge, moments=moments
        )  # fmt: skip
        total = np.zeros(made.daily.shape[1:])
        for lo in range(0, len(made.daily), 64):
            block = np.zeros_like(total)
            for row in made.daily[lo : lo + 64]:
                block = block + row
            total = total + block
        sums.append(total)
        counts.append(len(made.trades))
    return np.array(sums), np.array(counts)


def _record(row, p, capital):
    return {
        "row": row, "side": int(np.sign(p.n_y)), "signal_bar": p.signal_bar, "entry_bar": p.entry_bar,
        "exit_bar": p.exit_bar, "reason": p.reason, "hedge_ratio": p.entry_ratio, "units_y": p.n_y,
        "units_x": p.n_x_entry, "entry_y": p.entry[0], "entry_x": p.entry[1], "exit_y": p.exit[0],
        "exit_x": p.exit[1], "capital": capital,
        **{part: p.total(part) for part in (*PARTS[:5], "naive_pnl", "turnover")},
    }  # fmt: skip


def _write(day, p, holdings, first):
    for bar, parts in p.dollars.items():
        for part, dollars in parts.items():
            day[bar, DAILY.index(part)] += dollars
    end = p.exit_bar if p.exit_bar >= 0 else len(day)
    for bar in range(p.entry_bar, end):
        day[bar, DAILY.index("gross_value")], day[bar, DAILY.index("net_value")] = holdings[bar]
        day[bar, DAILY.index("held")] = 1.0
    if first:
        day[p.entry_bar, DAILY.index("opened")] = 1.0
