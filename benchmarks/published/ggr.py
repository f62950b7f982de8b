"""Distance pairs as in Gatev, Goetzmann and Rouwenhorst (2006), on two public sets of price relatives.

    python benchmarks/published/ggr.py [WHEEL or FOLDER]

The sets `nyse_o` (36 stocks, 5,651 days from July 1962) and `nyse_n` (23 stocks, 6,431 days to 2010) travel inside the
wheel of `universal-portfolios`, which wants pandas below 3 and so cannot be installed beside this package: only its two
CSV files are read. Without an argument the wheel named by UNIVERSAL_PORTFOLIOS is taken, then the installed package,
then pip fetches the wheel into a temporary folder.

Rules: formation over 252 days, the 20 pairs with the least sum of squared differences of indexed prices, trading over
126 days, a new cohort every 21 days; a pair opens when its prices have diverged by two standard deviations of the
formation period and closes when they cross, or at the end; one day's wait; one dollar long and one short a pair;
returns on committed capital; no costs. Months are 21 days, because the sets have no dates.

What the paper leaves open is where the prices of the trading period are indexed to 1. Both readings are printed:
anew on the last formation day (rule `dollar`) and at the start of the formation period (rule `one_to_one`).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd

from pairs_bt import Config, run

MONTH, FORMATION, TRADING, PAIRS = 21, 252, 126, 20
SETS = ("nyse_o", "nyse_n")
# From the abstract.
PAPER = "The paper, all US stocks of CRSP from 1962 to 2002: excess returns of up to 11% a year, 0.9% a month.\n"
# An independent program, one day's wait: per cent a month.
REFERENCE = {"nyse_o": 0.31, "nyse_n": 0.23}


def find_source() -> Path | None:
    """The wheel that the environment names, or the folder of the installed package; None without either."""
    if named := os.environ.get("UNIVERSAL_PORTFOLIOS"):
        return Path(named)
    spec = find_spec("universal")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(next(iter(spec.submodule_search_locations)))
    return folder if (folder / "data" / "nyse_o.csv").is_file() else None


def read_set(source: Path, name: str) -> pd.DataFrame:
    """Prices of one set on consecutive days of an invented calendar, so that windows count bars."""
    if source.is_dir():
        nested = source / "data" / f"{name}.csv"
        raw = (nested if nested.is_file() else source / f"{name}.csv").read_bytes()
    else:
        with zipfile.ZipFile(source) as wheel:
            raw = wheel.read(f"universal/data/{name}.csv")
    prices = 100.0 * pd.read_csv(BytesIO(raw))
    prices.index = pd.date_range("1950-01-01", periods=len(prices), freq="D", name="date")
    return prices


def ggr_config(lag: int = 1) -> Config:
    """The paper's rules as a config; windows are in days of the invented calendar."""
    return Config.from_dict(
        {
            "windows": {
                "train": f"{FORMATION}D", "trade": f"{TRADING}D",
                "step": f"{MONTH}D", "entry_within": f"{TRADING}D",
            },
            "selection": {"method": "distance", "max_pairs": PAIRS},
            "filter": {"smooth": "none"},
            "hedge": {"variants": ["dollar", "one_to_one"]},
            "signal": {"z": "formation", "entry": 2.0, "exit": 0.0, "half_life": "ignore"},
            "execution": {"lag": lag, "cost_bps": 0.0, "borrow_bps": 0.0},
            "portfolio": {"sizing": "dollar_neutral", "min_pairs": 1},
            "comparison": {"draws": 100},
            "run": {"spreads": "none"},
        }
    )  # fmt: skip


def monthly(prices: pd.DataFrame, lag: int = 1) -> pd.DataFrame:
    """Monthly excess returns in per cent, one column a rule, on one dollar long and one short."""
    daily = run(ggr_config(lag), prices=prices).wide("gross")
    whole = len(daily) // MONTH
    # the ledger puts a dollar into both legs together; the paper puts a dollar into each
    values = 2.0 * 100.0 * daily.to_numpy()[: whole * MONTH]
    return pd.DataFrame(values.reshape(whole, MONTH, -1).sum(axis=1), columns=daily.columns)


def t_statistic(months: np.ndarray) -> float:
    """Newey-West t statistic of the mean with 6 lags, as the paper has it."""
    centred = months - months.mean()
    variance = float(centred @ centred)
    for lag in range(1, 7):
        variance += 2.0 * (1.0 - lag / 7.0) * float(centred[lag:] @ centred[:-lag])
    return float(months.mean() / np.sqrt(variance / months.size**2))


def main(arguments: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(arguments[0]) if arguments else find_source()
        if source is None:
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "universal-portfolios", "-d", folder]
            subprocess.run(command, check=True)
            source = next(Path(folder).glob("*.whl"))
        print(PAPER)
        print(f"{'set':8} {'prices indexed':32} {'wait':>4} {'% a month':>10} {'t':>6} {'months':>7} {'reference':>10}")
        for name in SETS:
            prices = read_set(source, name)
            for lag in (0, 1):
                table = monthly(prices, lag)
                for rule, text in (
                    ("dollar", "anew on the last formation day"),
                    ("one_to_one", "at the formation start"),
                ):
                    values = table[rule].to_numpy()
                    reference = f"{REFERENCE[name]:.2f}" if lag == 1 and rule == "dollar" else ""
                    print(
                        f"{name:8} {text:32} {lag:4d} {values.mean():10.3f} {t_statistic(values):6.1f} "
                        f"{values.size:7d} {reference:>10}"
                    )


if __name__ == "__main__":
    main(sys.argv[1:])
