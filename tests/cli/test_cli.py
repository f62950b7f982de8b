"""The command line as a new user meets it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from pairs_bt import __version__
from pairs_bt.cli.commands import cli
from pairs_bt.cli.terminal.console import next_step

SHORT = ["--set", "data.end=2008-06-30", "--set", "comparison.draws=100"]
FILES = {
    "config.toml", "config.resolved.json", "manifest.json", "timing.json", "report.html", "summary.csv",
    "tests.parquet", "half_lives.parquet", "trades.parquet", "returns.parquet", "spreads",
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[str, Path]:
    out = tmp_path_factory.mktemp("cli") / "run"
    result = CliRunner().invoke(cli, ["run", "--out", str(out), *SHORT], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout, out


def test_help_is_short_and_needs_no_heavy_import() -> None:
    code = (
        "import sys; sys.argv = ['pairs-bt', '--help']\n"
        "from pairs_bt.cli.commands import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'pandas', 'numba', 'matplotlib', 'pydantic', 'arch'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert len(done.stdout.splitlines()) < 30
    for command in ("run", "scan", "report", "validate"):
        assert command in done.stdout


def test_importing_the_package_loads_neither_pandas_nor_numba() -> None:
    code = "import sys, pairs_bt; print(sorted({'pandas', 'numba', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_a_run_prints_variants_as_columns_chance_verdict_and_report(finished) -> None:
    text, out = finished
    head = text.splitlines()[0].split()
    assert head == ["dynamic-frozen", "dynamic-rehedged", "fixed_first", "averaged", "fixed_last", "ols"]
    for row in ("trades", "closed at the exit level", "the mean caught up", "mean trade, gross",
                "mean trade, net", "annual return, net", "volatility",
                "Sharpe, net", "maximum drawdown", "cost drag"):  # fmt: skip
        assert row in text
    assert "Independent walks with these tickers' own volatility would give about" in text
    assert f"{out / 'report.html'}" in text
    assert max(map(len, text.split("\n\n")[0].splitlines())) <= 120


def test_the_demo_ends_with_what_to_type_next(finished) -> None:
    text, _ = finished
    assert text.splitlines()[-1].endswith(": pairs-bt run YOUR_PRICES.csv")
    assert next_step("/x/.venv/bin/pairs-bt").endswith(": /x/.venv/bin/pairs-bt run YOUR_PRICES.csv")


def test_a_run_of_own_prices_does_not_end_with_what_the_demo_ends_with(tmp_path) -> None:
    prices = pd.read_parquet(Path(__file__).parents[2] / "data" / "us_large_caps.parquet")
    prices[["date", "AAPL", "AMD", "BAC"]].head(880).to_csv(tmp_path / "own.csv", index=False)
    out = ["--out", str(tmp_path / "run"), "--no-report"]
    result = CliRunner().invoke(cli, ["run", str(tmp_path / "own.csv"), *out, *SHORT], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "YOUR_PRICES" not in result.stdout


def test_the_folder_has_the_documented_files(finished) -> None:
    _, out = finished
    assert {path.name for path in out.iterdir()} >= FILES
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["status"] == "complete"
    assert manifest["versions"]["pairs_bt"] == __version__
    assert not any(str(time.gmtime().tm_year) + "-" in str(v) for v in manifest["versions"].values())
    partition = next((out / "spreads").glob("test_end=*/*.parquet"))
    columns = list(pd.read_parquet(partition).columns)
    assert {"date", "y", "x", "variant", "hedge_ratio", "spread", "z_score", "position"} <= set(columns)


def test_the_stored_config_replays_the_run(finished, tmp_path) -> None:
    _, out = finished
    result = CliRunner().invoke(cli, ["run", str(out / "config.toml"), "--out", str(tmp_path / "again")])
    assert result.exit_code == 0, result.output
    for name in ("trades.parquet", "returns.parquet", "tests.parquet", "summary.csv", "manifest.json"):
        assert (tmp_path / "again" / name).read_bytes() == (out / name).read_bytes(), name


def test_report_writes_the_same_bytes_again(finished) -> None:
    _, out = finished
    before = (out / "report.html").read_bytes()
    result = CliRunner().invoke(cli, ["report", str(out)])
    assert result.exit_code == 0, result.output
    assert (out / "report.html").read_bytes() == before


def test_scan_lists_candidates_and_reasons(tmp_path) -> None:
    path = tmp_path / "tests.csv"
    result = CliRunner().invoke(cli, ["scan", *SHORT, "--out", str(path)])
    assert result.exit_code == 0, result.output
    assert "2006-12-31" in result.stdout
    assert "engle_granger" in result.stdout
    table = pd.read_csv(path)
    assert f"{int(table['selected'].sum()):,}  selected" in result.stdout


def test_validate_says_what_a_run_would_do() -> None:
    result = CliRunner().invoke(cli, ["validate", *SHORT])
    assert result.exit_code == 0, result.output
    for word in ("20 tickers", "windows", "190 a window", "dynamic-rehedged"):
        assert word in result.stdout
