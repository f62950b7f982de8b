"""The few numbers of a study that are compared with chance, from the same stages as a run but without its tables."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pairs_bt.backtest.hedge_rules import variants
from pairs_bt.backtest.portfolio.limits import limited
from pairs_bt.backtest.portfolio.returns import Cohort, add_blocks, portfolio_returns
from pairs_bt.backtest.selection import ScanColumns, engle_granger_pvalue, select_pairs
from pairs_bt.backtest.study import Study
from pairs_bt.backtest.window_tasks import Candidates
from pairs_bt.config.schema import Config, Selection
from pairs_bt.engine.pipeline import TRADE_CHUNK, orient_pairs, scan_window, serial, trade_window
from pairs_bt.models.scan.partial_cointegration import COLUMNS as PARTIAL
from pairs_bt.results import Run
from pairs_bt.stats.performance import annual_return, mean_trade_bp, sharpe

# Tail in which a strategy on real relations would stand out: short half-lives, more of everything else.
STATISTICS = {"half_life": "low", "trades": "high", "mean_trade_bp": "high", "annual_return": "high", "sharpe": "high"}


@dataclass(frozen=True)
class UniverseStatistics:
    """One universe's numbers.

    Attributes
    ----------
    tested, passed, selected : list of int
        Pairs tested, passing the tests, and selected, by window.
    bh, by : list of int
        Rejections at the config's alpha by Benjamini-Hochberg and Benjamini-Yekutieli within each window.
    pooled_bh, pooled_by : int
        The same over all windows' pairs together.
    variants : dict
        Per variant the `STATISTICS`: median half-life of the candidates (bars), number of trades, mean net trade
        (bp of its capital), net annual return and net Sharpe ratio. NaN where the universe gave none.
    """

    tested: list[int]
    passed: list[int]
    selected: list[int]
    bh: list[int]
    by: list[int]
    pooled_bh: int
    pooled_by: int
    variants: dict[str, dict[str, float]]

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return asdict(self)


def universe_statistics(study: Study) -> UniverseStatistics:
    """Scan, choose and trade every window of a study, and keep its numbers only.

    The stages are those of :func:`pairs_bt.run`; what is left out is what a run stores: spreads, fills, how the held
    ratios stand and hedge, the ledger at the other lag. Where limits, netting or compounding make windows depend on
    each other, the run itself is made and its tables are read.
    """
    if _windows_depend(study.config):
        return _measure_by_run(study)
    scans, passed, selected = [], [], []
    cohorts: list[Cohort] = []
    collected: dict[str, _Collected] = {v.name: _Collected([], [], []) for v in variants(study.config.hedge)}
    for k in range(len(study.windows)):
        scan = scan_window(study, k, serial)
        choice = select_pairs(scan, study.config.selection)
        scans.append(scan)
        passed.append(int(choice.passed.sum()))
        selected.append(int(choice.selected.sum()))
        cohorts.append(_trade(study, k, orient_pairs(scan, choice), collected))
    returns = portfolio_returns(study, cohorts, list(collected))
    net = (returns["net"] - returns["riskless"]).to_numpy().reshape(len(collected), -1)
    numbers = {
        name: _numbers(
            _joined(own.half_lives), _joined(own.net_pnl), _joined(own.capital), net[place], study.bars_per_year
        )
        for place, (name, own) in enumerate(collected.items())
    }
    return _assemble(scans, study.config.selection, passed, selected, numbers)


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.empty(0)


@dataclass(frozen=True)
class _Collected:
    """One variant's half-lives and trades, window by window."""

    half_lives: list[np.ndarray]
    net_pnl: list[np.ndarray]
    capital: list[np.ndarray]


def _windows_depend(config: Config) -> bool:
    return limited(config) or config.portfolio.netting or config.portfolio.compounding


def _trade(study: Study, k: int, candidates: Candidates, collected: dict[str, _Collected]) -> Cohort:
    """Trade one window's candidates under every variant, at the config's fill lag only."""
    results = trade_window(study, k, candidates, serial, TRADE_CHUNK, None, delayed=False, measured=False)
    daily = {}
    for variant in variants(study.config.hedge):
        done = [result.variants[variant.name] for result in results]
        daily[variant.name] = add_blocks([part.blocks for part in done]) if done else _no_dollars(study, k)
        own = collected[variant.name]
        own.half_lives.extend(result.rules[variant.rule].half_life for result in results)
        own.net_pnl.extend(net_pnl(part.trades) for part in done)
        own.capital.extend(part.trades["capital"] for part in done)
    return Cohort(k, candidates.y.size, daily, {})


def net_pnl(trades: np.ndarray) -> np.ndarray:
    """Dollars of each trade after costs and borrow, added in the order of the trades table."""
    gross = trades["convergence"] + trades["hedge_drift"]
    return np.asarray(gross - (trades["trade_cost"] + trades["rehedge_cost"]) - trades["borrow"])


def _no_dollars(study: Study, k: int) -> np.ndarray:
    from pairs_bt.kernels.ledger import N_DAILY

    return np.zeros((study.windows[k].n_trade, N_DAILY))


def _numbers(
    half_lives: np.ndarray, net: np.ndarray, capital: np.ndarray, returns: np.ndarray, year: float
) -> dict[str, float]:
    finite = half_lives[np.isfinite(half_lives)]
    return {
        "half_life": float(np.median(finite)) if finite.size else math.nan,
        "trades": float(net.size),
        "mean_trade_bp": mean_trade_bp(net, capital).mean_bp,
        "annual_return": annual_return(returns, bars_per_year=year),
        "sharpe": sharpe(returns, bars_per_year=year),
    }


def _assemble(
    scans: list[ScanColumns],
    options: Selection,
    passed: list[int],
    selected: list[int],
    numbers: dict[str, dict[str, float]],
) -> UniverseStatistics:
    pvalues = [scan_pvalues(scan, options) for scan in scans]
    everything = np.concatenate(pvalues)
    return UniverseStatistics(
        tested=[int(scan.tested.sum()) for scan in scans],
        passed=passed,
        selected=selected,
        bh=[rejections(p, options.alpha, "fdr_bh") for p in pvalues],
        by=[rejections(p, options.alpha, "fdr_by") for p in pvalues],
        pooled_bh=rejections(everything, options.alpha, "fdr_bh"),
        pooled_by=rejections(everything, options.alpha, "fdr_by"),
        variants=numbers,
    )


def scan_pvalues(scan: ScanColumns, options: Selection) -> np.ndarray:
    """Engle-Granger p-values of a window's tested pairs, corrected for both ways but not for multiplicity."""
    return engle_granger_pvalue(scan, options)[scan.tested]


def rejections(pvalues: np.ndarray, alpha: float, method: str) -> int:
    """How many hypotheses a procedure of `statsmodels.stats.multitest` rejects at false discovery rate alpha."""
    if not pvalues.size:
        return 0
    from statsmodels.stats.multitest import multipletests

    return int(multipletests(pvalues, alpha=alpha, method=method)[0].sum())


def _measure_by_run(study: Study) -> UniverseStatistics:
    from pairs_bt.runner import run

    config = study.config.with_changes('run.spreads="none"', 'selection.keep="all"')
    return measure_of_run(run(config, prices=study.prices, jobs=1))


def measure_of_run(run: Run) -> UniverseStatistics:
    """The same numbers, read from the tables of a run."""
    options = run.config.selection
    groups = [part for _, part in run.tests.groupby("test_end", sort=True)]
    scans = [_columns(part) for part in groups]
    numbers = {}
    for variant in run.variants:
        trades = run.trades[run.trades["variant"] == variant.name]
        lives = run.half_lives[run.half_lives["variant"] == variant.name]
        numbers[variant.name] = _numbers(
            lives["half_life"].to_numpy(dtype=np.float64),
            trades["net_pnl"].to_numpy(dtype=np.float64),
            trades["capital"].to_numpy(dtype=np.float64),
            run.excess[variant.name].to_numpy(dtype=np.float64),
            run.bars_per_year,
        )
    windows = run.windows
    return _assemble(scans, options, windows["passed"].tolist(), windows["selected"].tolist(), numbers)


def _columns(tests: Any) -> ScanColumns:
    """A window of the tests table as the scan that it was made from."""
    made = tests["eg_stat_12"].notna().to_numpy()
    place = np.arange(len(tests))
    reason = np.where(made, "", "not tested").astype(object)
    columns = {name: tests[name].to_numpy() for name in _SCAN_COLUMNS}
    if PARTIAL[0] in tests:
        columns["partial"] = tests[list(PARTIAL)].to_numpy()
    return ScanColumns(i=place, j=place, reason=reason, **columns)


_SCAN_COLUMNS = ("eg_stat_12", "eg_pvalue_12", "eg_stat_21", "eg_pvalue_21", "var_order", "trace0", "trace1")
