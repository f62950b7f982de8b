"""The summary of a run: one row a variant, net and gross, on each capital, and what costs and delay do."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from pairs_bt.backtest.hedge_rules import variants
from pairs_bt.common.periods import TRADING_DAYS
from pairs_bt.config.schema import Config
from pairs_bt.runs.exit_causes import causes
from pairs_bt.stats.performance import (
    annual_return,
    annual_volatility,
    break_even_cost_bps,
    calmar,
    hit_rate,
    max_drawdown,
    mean_trade_bp,
    profit_factor,
    sharpe,
    sortino,
    win_rate,
)

COST_CURVE_BPS = (0, 2, 5, 10, 20, 50)
DAYS_A_YEAR = 365.25


def summarise(
    config: Config,
    returns: pd.DataFrame,
    trades: pd.DataFrame,
    delayed: pd.DataFrame,
    refused: dict[str, int] | None = None,
    bars_per_year: float = TRADING_DAYS,
) -> pd.DataFrame:
    """Summarise every variant.

    Parameters
    ----------
    config : Config
        Names the variants and the fill lag.
    returns, trades : DataFrame
        The tables of the run.
    delayed : DataFrame
        The returns table at the other fill lag (0 where the config's is 1 or more); empty where a portfolio limit
        makes trades of one lag meaningless at another.
    refused : dict, optional
        Signals that the portfolio's limits refused, per variant.
    bars_per_year : float
        Bars that annual figures count to a year.

    Returns
    -------
    DataFrame
        One row a variant. Returns and shares are fractions, trades in basis points of their capital, costs in basis
        points of traded notional per leg and side, holding in calendar days. NaN where a metric has no meaning.
    """
    rows = []
    for variant in variants(config.hedge):
        own = returns[returns["variant"] == variant.name]
        other = delayed[delayed["variant"] == variant.name]
        rows.append(
            {
                "variant": variant.name,
                "label": variant.label,
                **_trade_metrics(config, trades[trades["variant"] == variant.name]),
                "refused": (refused or {}).get(variant.name, 0),
                **_return_metrics(own, bars_per_year),
                **_employed_metrics(own, trades[trades["variant"] == variant.name]),
                **_delay_metrics(config, own, other, bars_per_year),
                **_cost_metrics(config, own, bars_per_year),
            }
        )
    return pd.DataFrame(rows)


def _trade_metrics(config: Config, trades: pd.DataFrame) -> dict[str, float]:
    net, gross, naive = (
        mean_trade_bp(trades[column].to_numpy(), trades["capital"].to_numpy())
        for column in ("net_pnl", "gross_pnl", "naive_pnl")
    )
    closed = trades[trades["exit_reason"] != "open"]
    cause = causes(closed, config)
    held = days_between(closed["entry_date"], closed["exit_date"])
    return {
        "trades": len(trades),
        "exit_level": _share(closed["exit_reason"] == "exit_level"),
        "spread_came_back": _share(cause == "spread"),
        "mean_caught_up": _share(cause == "mean"),
        "ratio_moved": _share(cause == "ratio"),
        "mean_trade_net_bp": net.mean_bp,
        "mean_trade_net_t": net.t_stat,
        "mean_trade_gross_bp": gross.mean_bp,
        "mean_trade_gross_t": gross.t_stat,
        "mean_trade_naive_bp": naive.mean_bp,
        "mean_trade_phantom_bp": naive.mean_bp - gross.mean_bp,
        "winning_trades": win_rate(trades["net_pnl"].to_numpy()),
        "profit_factor": profit_factor(trades["net_pnl"].to_numpy()),
        "holding_days": float(held.mean()) if len(held) else math.nan,
    }


def days_between(first: pd.Series, last: pd.Series) -> pd.Series:
    """Calendar days from each stamp to its other, with fractions within the day."""
    return (last - first).dt.total_seconds() / 86_400.0


def _share(chosen: pd.Series) -> float:
    return float(chosen.mean()) if len(chosen) else math.nan


def _return_metrics(own: pd.DataFrame, year: float) -> dict[str, float]:
    out: dict[str, float] = {}
    for basis, column in (
        ("net", "net"),
        ("gross", "gross"),
        ("net_employed", "net_employed"),
        ("gross_employed", "gross_employed"),
    ):
        values = own[column].to_numpy()
        # Only net returns on committed capital have the interest of idle cash in them: it is nobody's skill.
        skill = _excess(own) if column == "net" else values
        out |= {
            f"{basis}_annual_return": annual_return(values, bars_per_year=year),
            f"{basis}_volatility": annual_volatility(values, bars_per_year=year),
            f"{basis}_sharpe": sharpe(skill, bars_per_year=year),
            f"{basis}_max_drawdown": max_drawdown(values) if values.size else math.nan,
        }
    net = own["net"].to_numpy()
    out |= {
        "net_sortino": sortino(_excess(own), bars_per_year=year),
        "net_calmar": calmar(net, bars_per_year=year),
        "net_hit_rate": hit_rate(net),
    }
    return out


def _employed_metrics(own: pd.DataFrame, trades: pd.DataFrame) -> dict[str, float]:
    """P&L over the capital-years that were in trades: of one sign with the P&L, whatever was in trades when."""
    until = trades["exit_date"].fillna(own["date"].max())
    years = float((trades["capital"] * days_between(trades["entry_date"], until)).sum()) / DAYS_A_YEAR
    netted = float((own["netting"] * own["capital"]).sum())
    earned = {"net": float(trades["net_pnl"].sum()) + netted, "gross": float(trades["gross_pnl"].sum())}
    return {
        f"{basis}_return_on_employed": dollars / years if years > 0 else math.nan for basis, dollars in earned.items()
    }


def _excess(own: pd.DataFrame) -> np.ndarray:
    """Net returns less what the committed capital would have earned as cash."""
    return np.asarray((own["net"] - own["riskless"]).to_numpy())


def _delay_metrics(config: Config, own: pd.DataFrame, other: pd.DataFrame, year: float) -> dict[str, float]:
    """Net metrics filled at the signal's own close and one close later."""
    lag = config.execution.lag
    tables = {lag: own, 0 if lag else 1: other}
    out = {}
    for delay in (0, 1):
        table = tables.get(delay, other.iloc[:0])
        out[f"delay_{delay}_annual_return"] = annual_return(table["net"].to_numpy(), bars_per_year=year)
        out[f"delay_{delay}_sharpe"] = sharpe(_excess(table), bars_per_year=year)
    return out


def _cost_metrics(config: Config, own: pd.DataFrame, year: float) -> dict[str, float]:
    """What trading costs, and what it would cost at other rates: trades stay, only their price changes."""
    years = len(own) / year
    cost, turnover = own["cost"].to_numpy(), own["turnover"].to_numpy()
    # Before netting: rate * turnover, and the rest is half the quoted spread on every share.
    charged = cost + own["netting"].to_numpy()
    left = np.divide(cost, charged, out=np.ones_like(cost), where=charged > 0)
    spread = np.maximum(charged - config.execution.cost_bps / 1e4 * turnover, 0.0) * left
    traded = turnover * left
    # over what the capital would have earned as cash: interest pays for no trade
    before = (own["gross"] - own["borrow"] + own["interest"] - own["riskless"]).to_numpy() - spread
    out = {
        "turnover": float(turnover.sum()) / years if years else math.nan,
        "netting_saving": float(own["netting"].sum()) / years if years else math.nan,
        "cost_drag": annual_return((own["gross"] + own["interest"]).to_numpy(), bars_per_year=year)
        - annual_return(own["net"].to_numpy(), bars_per_year=year),
        "break_even_cost_bps": break_even_cost_bps(before, traded),
    }
    for bps in COST_CURVE_BPS:
        # gross - borrow - spread - c traded + interest - riskless
        values = before - bps / 1e4 * traded
        out[f"cost_{bps}bp_annual_return"] = annual_return(values, bars_per_year=year)
        out[f"cost_{bps}bp_sharpe"] = sharpe(values, bars_per_year=year)
    return out
