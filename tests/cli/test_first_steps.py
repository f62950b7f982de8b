"""What a person types first: no command, a frame where a config stands, one override as a text, a number of days."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path

import pandas as pd
import pytest

import pairs_bt
from pairs_bt import Config
from pairs_bt.errors import ConfigError, DataError
from pairs_bt.report.page import render_report
from tests.cli_tools import call
from tests.markets import one_reverting_pair


@pytest.fixture(scope="module")
def prices() -> pd.DataFrame:
    return one_reverting_pair()


def test_no_command_prints_the_help_as_lines() -> None:
    done = subprocess.run([sys.executable, "-m", "pairs_bt.cli"], capture_output=True, text=True)
    assert done.returncode == 2
    assert r"\n" not in done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Usage:")
    assert any(line.strip().startswith("run ") for line in lines)


def test_a_frame_where_a_config_stands_is_prices(prices: pd.DataFrame) -> None:
    one, other = pairs_bt.run(prices), pairs_bt.run(prices=prices)
    pd.testing.assert_frame_equal(one.trades, other.trades)
    pd.testing.assert_frame_equal(one.tests, other.tests)


def test_one_override_as_a_text_is_one_override() -> None:
    assert Config.load(None, "signal.entry=1.5").signal.entry == 1.5
    with pytest.raises(ConfigError, match="'signal' is not of the form"):
        Config.load(None, "signal")


def test_a_number_of_days_is_told_its_unit() -> None:
    with pytest.raises(ConfigError, match=r"windows.train = 252: .*'252D' for 252 calendar days, '1Y' for a year"):
        Config.load(None, ["windows.train=252"])
    assert "'252D'" in call("validate", "--set", "windows.train=252").err


def test_a_variant_s_curve_is_drawn_by_the_name_that_the_tables_print(prices: pd.DataFrame) -> None:
    made = pairs_bt.run(prices)
    assert not made.trades.empty
    for name in ("fixed_last", "dynamic", "dynamic-frozen", "net_employed"):
        figure = made.plot.equity(name)
        assert len(figure.axes[0].lines) >= 2
    alone = made.plot.equity("dynamic-frozen")
    assert [text.get_text() for text in alone.legends[0].get_texts()] == ["dynamic-frozen"]
    with pytest.raises(DataError, match=r"neither a variant of this run .*fixed_last"):
        made.plot.equity("fixedlast")


def test_a_refused_variant_takes_no_axis_of_1970(prices: pd.DataFrame) -> None:
    made = pairs_bt.run(Config.from_dict({"hedge": {"max_leg_share": 0.5001}}), prices=prices)
    row = made.half_lives.iloc[0]
    assert set(made.half_lives["reason"]) <= {"leg share", "no reversion"}
    figure = made.plot.pair(row["y"], row["x"], row["test_end"])
    words = " ".join(text.get_text() for axis in figure.axes for text in axis.texts)
    words += " ".join(text.get_text() for text in figure.texts)
    assert "leg share" in words
    ticks = [tick.get_text() for axis in figure.axes for tick in axis.get_xticklabels()]
    assert not any("1970" in tick for tick in ticks)


@pytest.fixture(scope="module")
def price_file(prices: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("prices") / "mine.csv"
    prices.assign(FLAT=5.0).to_csv(path)
    return path


def test_a_matrix_says_each_note_once_and_which_file_to_open(price_file: Path, tmp_path: Path) -> None:
    said = call("hedge", price_file, "--out", tmp_path / "m")
    assert said.code == 0, said.err
    (flat,) = [line for line in said.err.splitlines() if "FLAT" in line]
    assert flat.count("FLAT") == 1
    for name in ("matrix.html", "hedge_ratios.csv", "pairs.parquet"):
        assert str(tmp_path / "m" / name) in said.out
        assert (tmp_path / "m" / name).exists()


def test_a_scan_names_the_best_evidence_first(price_file: Path, tmp_path: Path) -> None:
    asked = ("scan", price_file, "--set", "selection.alpha=0.9", "--set", "selection.tests=['engle_granger']")
    whole = call(*asked, "--out", tmp_path / "all.csv")
    table = pd.read_csv(tmp_path / "all.csv").query("selected")
    table["p"] = table[["eg_pvalue_12", "eg_pvalue_21"]].min(axis=1)
    found = 0
    for end, rows in table.groupby("test_end"):
        best = [f"{y}/{x}" for y, x in rows.sort_values("p")[["y", "x"]].to_numpy()]
        (line,) = [text for text in whole.out.splitlines() if text.startswith(end)]
        assert line.endswith(", ".join(best))
        (one,) = [text for text in call(*asked, "--top", "1").out.splitlines() if text.startswith(end)]
        assert one.split(maxsplit=2)[2].split(", and ")[0] == best[0]
        found = max(found, len(best))
    assert found > 1


def test_a_check_says_what_was_checked(prices: pd.DataFrame, tmp_path: Path) -> None:
    pairs_bt.run(prices, out=tmp_path / "r", report=False)
    said = call("verify", tmp_path / "r")
    count = len(json.loads((tmp_path / "r" / "manifest.json").read_text())["files"])
    assert f"{count} files were read and compared with their checksums" in said.out
    assert "None is missing, and none has changed" in said.out


def test_a_variant_that_never_traded_has_no_volatility_and_its_dashes_have_a_reason(prices: pd.DataFrame) -> None:
    made = pairs_bt.run(Config.from_dict({"signal": {"entry": 60.0, "half_life": "book"}}), prices=prices)
    assert (made.summary["trades"] == 0).all()
    for column in ("net_volatility", "gross_volatility", "net_annual_return", "net_max_drawdown"):
        assert (made.summary[column] == 0.0).all(), column
    labels = " and ".join(made.labels.values())
    assert f"A dash: {labels} made no trade, so there is nothing to measure." in render_report(made)
    assert "A dash: " not in made._repr_html_() or "made no trade" in made._repr_html_()


def test_nothing_in_process_warns_of_names_outside_a_category(prices: pd.DataFrame, tmp_path: Path) -> None:
    """pandas 3 deprecates a Categorical with values outside its categories: all reads of spreads go through one."""
    config = Config.from_dict({"selection": {"keep": "selected"}, "universe": {"pairs": [["AAA", "BBB"]]}})
    wanted = ["test_end", "y", "spread"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = pairs_bt.run(config, prices=prices)
        stored = pairs_bt.run(config, prices=prices, out=tmp_path / "run")
        for one in (made, stored, pairs_bt.load_run(tmp_path / "run")):
            assert set(one.spreads["y"].cat.categories) <= {"AAA", "BBB"}
            assert not one.spreads[["y", "x", "variant"]].isna().any().any()
            last = one.spreads["test_end"].max()
            some = one.select_spreads(lambda part: part[part["y"] == "AAA"], test_end=last)
            assert some["y"].notna().all()
            drawn = one.select_spreads(lambda part: part[wanted], test_end=last, columns=wanted)
            pd.testing.assert_frame_equal(drawn, one.select_spreads(lambda part: part, test_end=last)[wanted])
            one.plot.pair("AAA/BBB")
            one._repr_html_()
    pd.testing.assert_frame_equal(made.spreads, stored.spreads)
