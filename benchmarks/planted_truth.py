"""Which hedge ratio finds the truth, and what it keeps of the money that was there: pairs that were planted.

Every market has pairs y = alpha + beta x + s whose beta, alpha and spread are known. Each is
traded in every window, without a selection, under every rule and filter setting, at the demo's costs and delay. An
oracle that knows beta_t, alpha_t and the stationary deviation of s trades the same windows on the same ledger. Three
questions of every rule and setting:

- ratio: its share ratio over the true one at the train end: median and 5-95% over all pairs and windows;
- kept: its net Sharpe ratio over the oracle's, from the dollars of all seeds laid end to end (P&L of one seed is
  one path; the ratio of two long ones is what is asked for);
- refused: the share of pairs that it does not trade.

On walks, where there is nothing to earn, the table shows the net and gross Sharpe ratio and the mean trade's t.

    python benchmarks/planted_truth.py [--seeds 30] [--pairs 12] [--markdown] [--out TABLE.csv]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pairs_bt.backtest.hedge_rules import Variant, variants
from pairs_bt.backtest.ledger import BLOCK
from pairs_bt.backtest.portfolio.returns import add_blocks, net_dollars
from pairs_bt.backtest.signals import SignalSet
from pairs_bt.backtest.study import Study, prepare
from pairs_bt.backtest.window_tasks import Candidates, trade_book, trade_task
from pairs_bt.config.schema import Config, has_optimal_entry
from pairs_bt.data.prices import check_prices
from pairs_bt.data.synthetic.market import PlantedPair, SyntheticMarket, make_market
from pairs_bt.kernels.ledger import CONVERGENCE, DRIFT

SEEDS, PAIRS, BARS = 30, 12, 1260
RULES = ("dynamic", "fixed_first", "averaged", "fixed_last", "ols", "rolling_ols", "tls", "johansen", "min_variance")

#: What is planted: a name, the pair, and what the market around it is like.
SCENARIOS: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "constant, half-life 5": ({"half_life": 5.0}, {}),
    "constant, half-life 15": ({"half_life": 15.0}, {}),
    "constant, half-life 40": ({"half_life": 40.0}, {}),
    "constant, no intercept": ({"half_life": 15.0, "intercept": 0.0}, {}),
    "volatility clusters": ({"half_life": 15.0}, {"clustering": 0.5, "tail_df": 5.0}),
    "strong common factor": ({"half_life": 15.0}, {"factor_share": 0.8}),
    "ratio walks slowly": ({"half_life": 15.0, "kind": "drifting", "beta_walk": 0.001}, {}),
    "ratio walks": ({"half_life": 15.0, "kind": "drifting", "beta_walk": 0.003}, {}),
    "ratio walks fast": ({"half_life": 15.0, "kind": "drifting", "beta_walk": 0.006}, {}),
    "ratio breaks once": ({"half_life": 15.0, "kind": "breaking"}, {}),
}
WALKS = "walks"

#: Filter settings that are compared; the first is that of Jansen's notebook (configs/book.toml).
BOOK = (
    "filter.model=random_walk", "filter.start=given", "filter.burn_in=1", "filter.noise=fixed", "filter.intercept=keep",
    "filter.smooth={transition_cov=0.05,observation_cov=1.0}", "signal.window_half_lives=2",
)  # fmt: skip
STARTED = (*BOOK, "filter.start=diffuse", "filter.burn_in=63", "filter.intercept=subtract")
FITTED = (*STARTED, "filter.noise=mle")
PLAIN = (*FITTED, "filter.smooth=none")
SETTINGS: dict[str, tuple[str, ...]] = {
    "book": BOOK,
    "+ diffuse start": STARTED,
    "+ fitted noise": FITTED,
    "+ no smoothing": PLAIN,
    "+ z over 8 half-lives": (*PLAIN, "signal.window_half_lives=8"),
    "+ spread in the model": (*PLAIN, "signal.window_half_lives=8", "filter.model=reverting_spread"),
}


@dataclass
class Tally:
    """What one rule did in one scenario under one setting, over all seeds."""

    ratio: list[np.ndarray] = field(default_factory=list)
    net: list[np.ndarray] = field(default_factory=list)
    gross: list[np.ndarray] = field(default_factory=list)
    trades: list[np.ndarray] = field(default_factory=list)
    refused: int = 0
    pairs: int = 0

    def sharpe(self, kind: str = "net") -> float:
        """Annual Sharpe ratio of the daily dollars."""
        daily = np.concatenate(getattr(self, kind))
        deviation = daily.std(ddof=1)
        return float(np.sqrt(252.0) * daily.mean() / deviation) if deviation > 0 else 0.0

    def ratios(self) -> tuple[float, float, float]:
        """Median and 5-95% of ratio over truth, of the pairs that have a ratio."""
        values = np.concatenate(self.ratio)
        return tuple(float(q) for q in np.nanquantile(values, (0.5, 0.05, 0.95)))  # type: ignore[return-value]

    def trade_t(self) -> float:
        """t of the mean net trade."""
        values = np.concatenate(self.trades)
        return float(values.mean() / (values.std(ddof=1) / np.sqrt(values.size))) if values.size > 2 else float("nan")


def market_of(scenario: str, seed: int, pairs: int, bars: int = BARS) -> SyntheticMarket:
    """A market of one scenario; walks come as planted pairs whose y is another walk (see `walk_pairs`)."""
    if scenario == WALKS:
        return make_market(seed=(seed, 97), pairs=(), n_independent=2 * pairs, n_bars=bars)
    pair, around = SCENARIOS[scenario]
    rng = np.random.default_rng((seed, len(scenario)))
    planted = [
        PlantedPair(**({"intercept": 0.4, "beta": float(rng.uniform(0.4, 2.5)), "spread_vol": 0.03} | pair))  # type: ignore[arg-type]
        for _ in range(pairs)
    ]
    return make_market(seed=(seed, 98), pairs=planted, n_independent=0, n_bars=bars, **around)  # type: ignore[arg-type]


def config_of(setting: tuple[str, ...], rules: tuple[str, ...] = RULES) -> Config:
    """The demo's method with one filter setting, every rule, on the whole sample."""
    config = Config.from_dict({"hedge": {"variants": list(rules)}})
    return config.with_changes(*setting)


def pair_rows(study: Study, market: SyntheticMarket) -> Candidates:
    """The planted pairs, or walks two by two."""
    place = {name: row for row, name in enumerate(study.tickers)}
    if len(market.truth):
        y, x = (np.array([place[name] for name in market.truth[leg]]) for leg in ("y", "x"))
    else:
        names = np.arange(len(study.tickers))
        y, x = names[0::2], names[1::2]
    return Candidates(y, x)


def oracle_signals(study: Study, k: int, market: SyntheticMarket) -> SignalSet:
    """Signals of a trader who knows beta_t, alpha_t and the standard deviation of the spread."""
    window = study.windows[k]
    bars = slice(window.split, window.stop)
    beta, spread = (np.ascontiguousarray(part.to_numpy()[bars].T) for part in (market.hedge_ratios, market.spreads))
    deviation = market.truth["spread_sd"].to_numpy()[:, None]
    pairs = beta.shape[0]
    return SignalSet(
        beta, beta, spread, spread / deviation, market.truth["half_life"].to_numpy(),
        np.zeros(pairs, np.int64), np.zeros(pairs, np.int8), np.zeros_like(spread),
    )  # fmt: skip


def add_window(tallies: dict[str, Tally], study: Study, k: int, pairs: Candidates, market: SyntheticMarket) -> None:
    """Trade one window under every rule and put what it gave into the tallies."""
    size = pairs.y.size
    result = trade_task(study, k, pairs, 0, size, delayed=False)
    window = study.windows[k]
    truth = market.hedge_ratios.to_numpy()[window.split - 1] if len(market.truth) else np.full(size, np.nan)
    for variant in variants(study.config.hedge):
        tally, done, signals = tallies[variant.name], result.variants[variant.name], result.rules[variant.rule]
        _add(tally, add_blocks([done.blocks]), done.trades)
        # the ratio of the first trade bar of a held rule is that of the train end; a moving one has moved by a bar
        tally.ratio.append(signals.hedge_ratio[:, 0] / truth)
        tally.refused += int((signals.refusal != 0).sum())
        tally.pairs += size
    # what the oracle knows are signals, not levels of its own
    if len(market.truth) and not has_optimal_entry(study.config.signal):
        book = trade_book(study, k, oracle_signals(study, k, market), ORACLE, pairs, 0, size)
        _add(tallies["oracle"], add_blocks([book.block_sums()]), book.trades)
        tallies["oracle"].pairs += size
        tallies["oracle"].ratio.append(np.ones(size))


ORACLE = Variant("oracle", "oracle", "oracle", "never")


def _add(tally: Tally, daily: np.ndarray, trades: np.ndarray) -> None:
    tally.net.append(net_dollars(daily))
    tally.gross.append(daily[:, CONVERGENCE] + daily[:, DRIFT])
    cost = trades["trade_cost"] + trades["rehedge_cost"] + trades["borrow"]
    tally.trades.append((trades["convergence"] + trades["hedge_drift"] - cost) / trades["capital"])


def run_scenario(
    scenario: str, setting: tuple[str, ...], *, seeds: int, pairs: int, rules: tuple[str, ...] = RULES
) -> dict[str, Tally]:
    """Tallies by rule (and of the oracle) of one scenario under one filter setting."""
    if pairs > BLOCK:
        raise ValueError(f"pairs = {pairs}: a market has at most {BLOCK} pairs here, one block of the ledger's sums")
    config = config_of(setting, rules)
    tallies = {name: Tally() for name in (*rules, "oracle")}
    for seed in range(seeds):
        market = market_of(scenario, seed, pairs)
        study = prepare(config, check_prices(market.prices, source="planted"))
        rows = pair_rows(study, market)
        for k in range(len(study.windows)):
            add_window(tallies, study, k, rows, market)
    return tallies


def table(seeds: int = SEEDS, pairs: int = PAIRS, settings: dict[str, tuple[str, ...]] | None = None) -> pd.DataFrame:
    """One row a scenario, setting and rule: ratio over truth, Sharpe ratios, the share of the oracle's, refusals."""
    return pd.DataFrame(list(_rows(seeds, pairs, SETTINGS if settings is None else settings)))


def _rows(seeds: int, pairs: int, settings: dict[str, tuple[str, ...]]) -> Iterator[dict[str, object]]:
    for scenario in (*SCENARIOS, WALKS):
        for name, setting in settings.items():
            tallies = run_scenario(scenario, setting, seeds=seeds, pairs=pairs)
            best = tallies["oracle"].sharpe() if tallies["oracle"].net else float("nan")
            for rule in (*RULES, *(["oracle"] if tallies["oracle"].net else [])):
                tally = tallies[rule]
                middle, low, high = tally.ratios() if scenario != WALKS else (np.nan,) * 3
                yield {
                    "scenario": scenario, "setting": name, "rule": rule, "ratio": middle, "low": low, "high": high,
                    "net": tally.sharpe(), "gross": tally.sharpe("gross"), "kept": tally.sharpe() / best,
                    "refused": tally.refused / max(tally.pairs, 1), "t": tally.trade_t(),
                    "trades": sum(part.size for part in tally.trades),
                }  # fmt: skip


SHOWN = ("dynamic", "fixed_first", "averaged", "fixed_last", "ols")


def markdown(found: pd.DataFrame) -> str:
    """The table of docs/method.md: what each rule keeps, what its ratio is, and what it earns on walks."""
    planted = found[found["scenario"] != WALKS]
    default = list(found["setting"].unique())[-1]
    parts = ["Median hedge ratio over the true one at the train end (5-95%), constant ratio with half-life 15:", ""]
    parts += _grid(planted[planted["scenario"] == "constant, half-life 15"], "setting", _ratio_text)
    parts += ["", "Share of the oracle's net Sharpe ratio that is kept, constant ratio with half-life 15:", ""]
    parts += _grid(planted[planted["scenario"] == "constant, half-life 15"], "setting", _kept_text)
    parts += ["", f"The same under the last setting ({default.lstrip('+ ')}), by what was planted:", ""]
    parts += _grid(planted[planted["setting"] == default], "scenario", _kept_text)
    parts += ["", "Net Sharpe ratio on walks, where there is nothing to earn (share of pairs that is not traded):", ""]
    parts += _grid(found[found["scenario"] == WALKS], "setting", lambda row: f"{row.net:.2f} ({row.refused:.0%})")
    return "\n".join(parts)


def _grid(rows: pd.DataFrame, by: str, text: Callable[[Any], str]) -> list[str]:
    lines = [f"| | {' | '.join(SHOWN)} |", "|---|" + "---:|" * len(SHOWN)]
    for name, part in rows.groupby(by, sort=False):
        own = {row.rule: text(row) for row in part.itertuples()}
        lines.append(f"| {name} | {' | '.join(own[rule] for rule in SHOWN)} |")
    return lines


def _ratio_text(row: Any) -> str:
    return f"{row.ratio:.2f} ({row.low:.2f}-{row.high:.2f})"


def _kept_text(row: Any) -> str:
    return f"{row.kept:.0%}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--out", type=Path, help="write the table as CSV too")
    parser.add_argument("--table", type=Path, help="print a table that was written before, make none")
    parser.add_argument("--markdown", action="store_true", help="the tables of docs/method.md")
    asked = parser.parse_args()
    if asked.table:
        found = pd.read_csv(asked.table)
    else:
        found = table(asked.seeds, asked.pairs)
    if asked.out:
        found.to_csv(asked.out, index=False)
    if asked.markdown:
        print(markdown(found))
        return
    with pd.option_context("display.width", 200, "display.max_rows", None, "display.float_format", "{:.2f}".format):
        print(found.to_string(index=False))


if __name__ == "__main__":
    main()
