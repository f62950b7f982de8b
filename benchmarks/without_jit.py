"""A small run through every command with compiled code off, so that lines of kernels can be counted.

Run under coverage with NUMBA_DISABLE_JIT=1. Python is some hundred times slower than the compiled kernels, so the
market is small: six tickers, a few windows. What is counted is which lines run; that they are right is the tests' part.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd

CONFIG = """
[data]
path = "prices.csv"
[windows]
train = "3M"
trade = "2M"
step = "1M"
entry_within = "1M"
[selection]
combine = "any"
alpha = 0.9
two_way = "none"
johansen = "book"
[hedge]
rehedge = ["never", "daily", { band = 0.05 }]
reject_negative = false
[signal]
entry = 0.8
stop = 2.5
time_stop = 1.5
stop_loss = 0.2
[comparison]
draws = 100
block = 10
"""

OTHERS = [
    ("filter.price_space=log", "filter.spread_on=filtered", "execution.lag=0", "signal.half_life=book"),
    ("filter.price_space=raw", "signal.side=book", "execution.unconverged=drop", "execution.pnl=spread"),
    ("portfolio.max_pairs_held=2", "portfolio.max_ticker_share=0.5", "portfolio.max_gross=1.5"),
    ("portfolio.sizing=volatility", "portfolio.compounding=true", "portfolio.netting=true", "portfolio.cash_rate=0.02"),
    (
        "hedge.variants=['ols', 'rolling_ols', 'tls', 'min_variance', 'johansen', 'dollar', 'kalman_changes']",
        "hedge.rolling_window=20",
    ),
    ("portfolio.sizing=dollar_neutral", "selection.multiplicity=bh", "selection.var_order=book", "run.spreads=none"),
]


class Records:
    """numpy for the trading kernel: compiled code reads a record's fields as attributes, and so must Python."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    @staticmethod
    def zeros(shape: Any, dtype: Any = float) -> np.ndarray:
        made = np.zeros(shape, dtype)
        return made.view(np.recarray) if made.dtype.names else made

    empty = zeros


def loosen() -> None:
    """Let the kernels run as Python, and the simulation of chance be small."""
    from pairs_bt.backtest import ledger, selection_null
    from pairs_bt.kernels import ledger as trading

    for module in (ledger, trading):
        vars(module)["np"] = Records()
    vars(selection_null).update(BUDGET=60, FEWEST=2)


def prices(folder: Path) -> None:
    rng = np.random.default_rng(6)
    index = pd.bdate_range("2020-01-01", periods=170, name="date")
    walk = 50.0 * np.exp(0.01 * rng.normal(size=(170, 5)).cumsum(axis=0))
    walk = np.column_stack([walk, walk[:, 0] * (1.0 + 0.01 * rng.normal(size=170))])
    frame = pd.DataFrame(walk, index=index, columns=list("ABCDEF"))
    frame.iloc[150:, 4] = np.nan
    frame.to_csv(folder / "prices.csv")


def call(cli: ModuleType, *args: str) -> None:
    sys.argv = ["pairs-bt", *args]
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = cli._exit_code()
    if code not in (0, 2, 3):
        print(f"pairs-bt {' '.join(args)}: exit code {code}\n{said.getvalue()[-2000:]}", file=sys.stderr)


def library(frame: pd.DataFrame) -> None:
    """Functions that no command of the small run reaches."""
    from typing import get_args

    from pairs_bt.models.kalman_mle import NoiseModel, fit_noise
    from pairs_bt.models.scan.pair_distance import pair_measures

    pair_measures(frame)
    for model in get_args(NoiseModel):
        fit_noise(frame["A"].to_numpy(), frame["B"].to_numpy(), model=model, burn=10)


def main() -> None:
    loosen()
    from pairs_bt import KalmanOLS
    from pairs_bt.cli import commands as cli

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prices(folder)
        config, out = folder / "config.toml", folder / "run"
        config.write_text(CONFIG)
        call(cli, "run", str(config), "--out", str(out), "--jobs", "1")
        call(cli, "run", str(config), "--out", str(out))
        (out / "trades.parquet").write_bytes(b"")
        call(cli, "verify", str(out))
        call(cli, "report", str(out), "--pair", "A,F")
        for number, changes in enumerate(OTHERS):
            sets = [part for change in changes for part in ("--set", change)]
            call(cli, "run", str(config), "--out", str(folder / f"run{number}"), "--no-report", *sets)
        call(cli, "scan", str(config), "--out", str(folder / "scan.csv"))
        call(cli, "validate", str(config))
        call(cli, "verify", str(config), "--pairs", "2")
        call(cli, "hedge", str(folder / "prices.csv"), "--out", str(folder / "matrix"))
        call(cli, "hedge", "--update", str(folder / "prices.csv"), "--out", str(folder / "matrix"))
        call(cli, "compare", str(folder / "run0"), str(folder / "run1"))
        call(
            cli, "sweep", str(config), "--out", str(folder / "sweep"), "--set", "sweep.grid={'signal.entry'=[0.8, 1.2]}"
        )
        library(pd.read_csv(folder / "prices.csv", index_col=0, parse_dates=True).iloc[:70, :3])
        model = KalmanOLS(np.column_stack([np.arange(50.0) + 1, np.arange(50.0) ** 1.1 + 2]))
        model.update(X=60.0, Y=50.0)
        model.save(folder / "model.json")
        KalmanOLS.load(folder / "model.json")


if __name__ == "__main__":
    main()
