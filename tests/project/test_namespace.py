"""What `import pairs_bt` gives: the commands as functions, packages that can be called, and reprs for a person."""

from __future__ import annotations

import copy
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pairs_bt
from pairs_bt import Config
from pairs_bt.errors import ConfigError, DataError
from tests.cli_tools import call
from tests.markets import one_reverting_pair

COMMANDS = ("run", "scan", "sweep", "audit", "compare", "validate", "explore")


@pytest.fixture(scope="module")
def made(short_config: Config) -> pairs_bt.Run:
    return pairs_bt.run(short_config)


@pytest.fixture(scope="module")
def prices() -> pd.DataFrame:
    return one_reverting_pair()[["AAA", "BBB"]]


@pytest.mark.parametrize("name", [*COMMANDS, "report"])
def test_every_command_is_a_function_of_the_package(name: str) -> None:
    found = getattr(pairs_bt, name)
    assert callable(found)
    assert "(" in str(inspect.signature(found))
    assert list(inspect.signature(found).parameters)
    wrapped = inspect.unwrap(found)
    assert "Parameters\n" in (inspect.getdoc(wrapped) or "")
    assert name == "report" or name in pairs_bt.__all__


@pytest.mark.parametrize("first", ["name", "module"])
@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("audit", "pairs_bt.audit.page"),
        ("sweep", "pairs_bt.sweep.page"),
        ("report", "pairs_bt.report.page"),
        ("compare", "pairs_bt.compare"),
    ],
)
def test_a_name_is_callable_and_its_modules_import_in_any_order(name: str, module: str, first: str) -> None:
    lines = [f"assert callable(pairs_bt.{name})", f"import {module}; from {module} import *"]
    code = "; ".join(["import pairs_bt", *(lines if first == "name" else lines[::-1]), *lines])
    code += f"; import sys; assert sys.modules['{module}'].__name__.startswith('pairs_bt.')"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_module_below_a_callable_package_is_an_attribute() -> None:
    importlib.import_module("pairs_bt.audit.page")
    importlib.import_module("pairs_bt.sweep.page")
    assert sys.modules["pairs_bt.audit"].page is sys.modules["pairs_bt.audit.page"]  # type: ignore[attr-defined]
    assert sys.modules["pairs_bt.sweep"].page is sys.modules["pairs_bt.sweep.page"]  # type: ignore[attr-defined]


def test_the_names_cost_nothing_until_they_are_used() -> None:
    code = "import sys, pairs_bt; assert 'audit' in dir(pairs_bt); assert not {'pandas', 'numba'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'swep'"):
        pairs_bt.swep  # noqa: B018


def test_scan_gives_the_tests_of_a_run(made: pairs_bt.Run, short_config: Config) -> None:
    pd.testing.assert_frame_equal(pairs_bt.scan(short_config), made.tests)


def test_scan_and_validate_take_a_frame_where_a_config_stands(prices: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(pairs_bt.scan(prices), pairs_bt.run(prices).tests)
    found = pairs_bt.validate(prices)
    assert list(found.study.tickers) == ["AAA", "BBB"]
    assert repr(found).startswith("prices   2 tickers")
    with pytest.raises(DataError):
        pairs_bt.validate(prices.iloc[:50])


def test_validate_says_what_the_command_says(tmp_path: Path, prices: pd.DataFrame) -> None:
    prices.to_csv(tmp_path / "mine.csv")
    found = pairs_bt.validate(prices=tmp_path / "mine.csv")
    assert found.cost.seconds > 0
    assert call("validate", tmp_path / "mine.csv").out == f"{found!r}\n"


def test_sweep_and_audit_are_called_by_their_packages(prices: pd.DataFrame, tmp_path: Path) -> None:
    config = Config.load(None, ["comparison.draws=100", 'hedge.variants=["dynamic"]'], own_prices=True)
    swept = pairs_bt.sweep(config, {"signal.entry": [1.5, 2.0]}, prices=prices)
    assert type(swept).__name__ == "SweepResult"
    assert repr(swept).startswith("<SweepResult: 2 settings of signal.entry, ")
    found = pairs_bt.audit(config, prices=prices, draws_each=2, dates=1, out=str(tmp_path / "a"), jobs=1)
    assert (tmp_path / "a" / "audit.html").is_file()
    assert "no look-ahead found" in repr(found)
    assert len(repr(found)) < 400


def test_compare_takes_runs_and_folders(made: pairs_bt.Run, short_config: Config, tmp_path: Path) -> None:
    other = pairs_bt.run(short_config.with_changes("signal.entry=1.5"), out=tmp_path / "eager", report=False)
    found = pairs_bt.compare(made, tmp_path / "eager", variants="dynamic-frozen")
    assert found.names == ("run 1", "eager")
    assert list(found.net.columns) == ["run 1 / dynamic-frozen", "eager / dynamic-frozen"]
    pd.testing.assert_frame_equal(pairs_bt.compare(made, other, variants="dynamic").net, found.net)
    text = repr(found)
    assert text.startswith("run 1 and eager on the ")
    assert found.comparison.verdict in text.replace("-", "\N{MINUS SIGN}") or "Sharpe" in text
    with pytest.raises(ConfigError, match="at least two"):
        pairs_bt.compare(made)
    with pytest.raises(ConfigError, match="given twice"):
        pairs_bt.compare(tmp_path / "eager", other)


def test_explore_writes_the_page_of_a_run(made: pairs_bt.Run, short_config: Config, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="in memory"):
        pairs_bt.explore(made)
    page = pairs_bt.explore(made, out=tmp_path / "page.html")
    assert "<script" in page.read_text(encoding="utf-8")
    pairs_bt.run(short_config, out=tmp_path / "run", report=False)
    assert pairs_bt.explore(tmp_path / "run") == tmp_path / "run" / "explore.html"
    assert "explore.html" in (tmp_path / "run" / "manifest.json").read_text(encoding="utf-8")


def test_a_kalman_ols_shows_its_coefficients() -> None:
    rng = np.random.default_rng(1)
    x = 50.0 + rng.normal(size=200).cumsum()
    model = pairs_bt.KalmanOLS(pd.DataFrame({"SPY<b>": 3.0 + 2.0 * x, "QQQ": x}), trans_cov=1e-6)
    model.update(X=51.0, Y=105.0)
    beta, alpha = model.get_state()["mean"]
    text = repr(model)
    assert text.startswith("<KalmanOLS of SPY<b> on QQQ: trained on 200 bars, then moved by 1; beta ")
    assert f"beta {beta:#.6g} (standard error " in text
    assert f"alpha {alpha:#.6g} (standard error " in text
    page = model._repr_html_()
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert "trans_cov 1e-06" in page


def test_a_hedge_matrix_shows_its_size_and_first_ratios(prices: pd.DataFrame) -> None:
    many = pd.DataFrame({f"T{k}": prices["BBB"] * (1 + k) + np.sin(np.arange(700) * (k + 1)) for k in range(10)})
    matrix = pairs_bt.HedgeMatrix.fit(many)
    assert repr(matrix) == "<HedgeMatrix: 10 tickers, 90 ratios of prices; 700 bars, the last on 2016-09-06>"
    page = matrix._repr_html_()
    assert page.count("<tr>") == 9
    assert f"{matrix.beta.loc['T0', 'T1']:.4g}" in page
    assert "And 2 more tickers" in page
    holes = many.copy()
    holes.loc[holes.index[::2], "T0"] = np.nan
    holes.loc[holes.index[1::2], "T1"] = np.nan
    assert "2 of them without a common bar" in repr(pairs_bt.HedgeMatrix.fit(holes))
    assert repr(copy.copy(matrix)) == repr(matrix)


def test_a_comparison_shows_its_numbers_and_its_verdict(made: pairs_bt.Run) -> None:
    found = made.comparison
    lines = repr(found).splitlines()
    assert lines[0].startswith(f"Comparison of {len(made.labels)} series over {len(made.net):,} days")
    for name in made.labels:
        (line,) = [line for line in lines if line.startswith(f"{name} ")]
        assert f"{found.metrics.loc['sharpe', name]:.2f}" in line
    assert len(repr(found)) < 3000
    page = found._repr_html_()
    assert page.count("<tr>") == len(made.labels) + 1
    assert "<p>" in page


def test_run_plot_lists_its_figures(made: pairs_bt.Run) -> None:
    text = repr(made.plot)
    for call_of in ("equity(column, variants)", "pair(y, x, test_end)", "costs(variants)"):
        assert call_of in text
    assert "run.plot.equity(column, variants)" in made.plot._repr_html_()


def test_dir_lists_the_public_names_alone() -> None:
    assert [name for name in dir(pairs_bt) if not name.startswith("__")] == sorted(pairs_bt.__all__)


def test_a_mapping_of_tables_is_a_config(prices: pd.DataFrame) -> None:
    small = {"universe": {"pairs": [["AAA", "BBB"]]}, "selection": {"tests": []}, "hedge": {"variants": ["ols"]}}
    run = pairs_bt.run(small, prices=prices)
    assert [variant.name for variant in run.variants] == ["ols"]
    with pytest.raises(ConfigError, match="config is 5; it must be a Config"):
        pairs_bt.run(5)
    with pytest.raises(ConfigError, match="config is 5; it must be a Config"):
        pairs_bt.run(5, prices=prices)
    # columns of prices are no tables of a config
    assert "AAA" in pairs_bt.read_prices(prices).prices
    with pytest.raises(DataError):
        pairs_bt.run({"AAA": 1, "BBB": 2})


def test_what_is_called_by_the_wrong_name_says_the_right_one(made: pairs_bt.Run, prices: pd.DataFrame) -> None:
    with pytest.raises(TypeError, match=r"HedgeMatrix\.fit\(prices\)"):
        pairs_bt.HedgeMatrix(prices)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"run\.plot\.equity\("):
        made.plot()


def test_a_pair_of_one_ticker_and_a_name_in_another_case_are_told(prices: pd.DataFrame) -> None:
    with pytest.raises(ConfigError, match="y and x are both 'AAA'"):
        pairs_bt.study_pair(prices, "AAA", "AAA")
    with pytest.raises(ConfigError, match=r"'aaa'\. Near it: AAA\."):
        pairs_bt.study_pair(prices, "aaa", "BBB")


def test_a_run_without_a_trade_says_no_more_than_that(short_config: Config) -> None:
    run = pairs_bt.run(short_config.with_changes("signal.entry=50", "signal.stop=60"))
    assert run.trades.empty
    assert "They do not trade alike" not in run.comparison.verdict
