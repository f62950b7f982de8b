"""Bars of any length: how many a year has, and annual figures that are those of the calendar."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pairs_bt
from pairs_bt.audit.universe_statistics import measure_of_run
from pairs_bt.config.schema import Config
from pairs_bt.engine.identity import identify
from pairs_bt.errors import ConfigError, DataError
from pairs_bt.report.explorer import data
from pairs_bt.results import Run
from pairs_bt.runner import open_study
from pairs_bt.runs.run_comparison import compare_runs
from pairs_bt.stats.bar_frequency import annual_note, bars_a_year, bars_in_time, count_bars_a_year, kind_of_bars
from pairs_bt.stats.comparison import compare_variants
from pairs_bt.sweep.evidence.trial_cost import cost_of_trying


def sessions(days: int, *, minutes: int = 5, first: str = "2024-01-02") -> pd.DatetimeIndex:
    """Bars of New York's day, 9:35 to 16:00; every twentieth day closes at 13:00."""
    out = []
    for number, day in enumerate(pd.bdate_range(first, periods=days)):
        hours = 3.5 if number % 20 == 19 else 6.5
        start = day + pd.Timedelta(hours=9, minutes=30 + minutes)
        out.append(pd.date_range(start, periods=int(hours * 60 / minutes), freq=f"{minutes}min"))
    return pd.DatetimeIndex(np.concatenate(out))


def walks(index: pd.DatetimeIndex) -> pd.DataFrame:
    steps = np.random.default_rng(5).normal(0, 0.02, (len(index), 3)).cumsum(axis=0)
    return pd.DataFrame(50 * np.exp(steps), index=index.rename("date"), columns=["A", "B", "C"])


def tied(index: pd.DatetimeIndex, scale: float = 0.01, seed: int = 3) -> pd.DataFrame:
    """Two walks, and a partner of each that is pulled back to it with a half-life of five bars."""
    rng = np.random.default_rng(seed)
    n = len(index)
    columns = {}
    for left, right in (("A", "B"), ("C", "D")):
        x = 50.0 * np.exp(np.cumsum(rng.normal(0, scale, n)))
        gap = np.zeros(n)
        for t, shock in enumerate(rng.normal(0, scale * 50, n)):
            gap[t] = 0.87 * gap[t - 1] + shock if t else shock
        columns |= {left: 20.0 + 1.5 * x + gap, right: x}
    return pd.DataFrame(columns, index=index.rename("date"))


KINDS = {
    "weekly": (lambda: pd.date_range("2006-01-06", periods=500, freq="W-FRI"), 52.0, ("windows.train=4Y",)),
    "seven days": (lambda: pd.date_range("2019-01-01", periods=1200, freq="D"), 365.0, ("windows.train=1Y",)),
    "5 minutes": (
        lambda: sessions(45), 78 * 252.0,
        ("windows.train=2W", "windows.trade=2W", "windows.step=1W", "windows.entry_within=1W"),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    out = {}
    for name, (index, _, changes) in KINDS.items():
        config = Config().with_changes("comparison.draws=100", *changes)
        folder = tmp_path_factory.mktemp("bars") / "run"
        out[name] = pairs_bt.run(config, prices=tied(index(), 0.001 if name == "5 minutes" else 0.01), out=folder)
    return out


@pytest.mark.parametrize(
    ("frequency", "periods", "truth"), [("B", 600, 261), ("D", 800, 365), ("W-FRI", 400, 52), ("MS", 120, 12)]
)
def test_bars_a_year_are_those_of_the_calendar(frequency: str, periods: int, truth: int) -> None:
    dates = pd.date_range("2012-01-02", periods=periods, freq=frequency)
    assert bars_a_year(dates) == pytest.approx(truth, rel=0.01)
    assert (annual_note("auto", dates) is None) == (frequency == "B")


@pytest.mark.parametrize(
    ("dates", "year", "kind"),
    [
        (pd.bdate_range("2012-01-02", periods=600), 252, "daily"),
        (pd.bdate_range("2012-01-05", periods=3), 252, "daily"),
        (pd.DatetimeIndex([*pd.bdate_range("2012-01-02", periods=600), pd.Timestamp("2015-01-03")]), 252, "daily"),
        (pd.date_range("2019-01-01", periods=1200, freq="D"), 365, "seven-day"),
        (pd.date_range("2012-01-06", periods=300, freq="W-FRI"), 52, "weekly"),
        (pd.date_range("2012-01-02", periods=120, freq="MS"), 12, "monthly"),
        (pd.date_range("2012-01-31", periods=120, freq="ME"), 12, "monthly"),
        (pd.date_range("2002-01-31", periods=40, freq="QE"), 4, "irregular"),
        (sessions(45), 78 * 252, "5-minute"),
        (sessions(45, minutes=30), 13 * 252, "30-minute"),
        (pd.date_range("2023-01-01", periods=24 * 90, freq="h"), 24 * 365, "1-hour"),
        (pd.DatetimeIndex(["2020-01-02"]), 252, "daily"),
    ],
)
def test_the_kind_of_calendar_gives_the_number(dates: pd.DatetimeIndex, year: int, kind: str) -> None:
    assert count_bars_a_year(dates) == year
    assert kind_of_bars(dates) == kind


def test_a_calendar_cut_short_gives_the_same_number() -> None:
    for index, year, _ in KINDS.values():
        dates = index()
        assert {count_bars_a_year(dates[:cut]) for cut in range(len(dates) // 2, len(dates), 7)} == {year}


def test_monthly_prices_are_refused_with_the_bars_that_a_test_needs() -> None:
    prices = walks(pd.date_range("2008-01-01", periods=120, freq="MS"))
    with pytest.raises(DataError, match=r"needs 40 bars.*'2Y'\) has 24.*about 12 bars a year that is 3\.3 years"):
        pairs_bt.run(Config(), prices=prices)
    assert len(pairs_bt.run(Config().with_changes("windows.train=4Y"), prices=prices).windows)


@pytest.mark.parametrize("name", KINDS)
def test_annual_figures_equal_those_made_by_hand(made: dict[str, Run], name: str) -> None:
    run, year = made[name], KINDS[name][1]
    assert run.bars_per_year == year
    for row in run.summary.to_dict("records"):
        own = run.returns[run.returns["variant"] == row["variant"]]
        trades = run.trades[run.trades["variant"] == row["variant"]]
        assert len(trades) > 5
        net = own["net"].to_numpy()
        years = len(net) / year
        assert row["net_annual_return"] == pytest.approx(np.prod(1 + net) ** (1 / years) - 1, rel=1e-9)
        assert row["net_volatility"] == pytest.approx(net.std(ddof=1) * math.sqrt(year), rel=1e-9)
        assert row["net_sharpe"] == pytest.approx(net.mean() / net.std(ddof=1) * math.sqrt(year), rel=1e-9)
        assert row["net_calmar"] == pytest.approx(row["net_annual_return"] / -row["net_max_drawdown"], rel=1e-9)
        # from the trades alone: dollars over the capital, and the mean return a year that they make
        live = own["capital"] > 0
        assert trades["net_pnl"].sum() == pytest.approx((own["net"] * own["capital"])[live].sum(), rel=1e-9)
        assert row["turnover"] == pytest.approx(own["turnover"].sum() / years, rel=1e-9)
        found = run.comparison.metrics[row["variant"]]
        assert found["sharpe"] == pytest.approx(row["net_sharpe"], rel=1e-9)
        interval = run.comparison.intervals.loc[row["variant"]]
        assert interval["sharpe"] == pytest.approx(row["net_sharpe"], rel=1e-9)


@pytest.mark.parametrize("name", KINDS)
def test_the_number_is_said_in_notes_report_and_manifest(made: dict[str, Run], name: str) -> None:
    run, year = made[name], KINDS[name][1]
    assert run.folder is not None
    said = f"annual figures count {year:g} bars a year"
    assert any(said in note for note in run.notes)
    assert said in (run.folder / "report.html").read_text(encoding="utf-8")
    manifest = json.loads((run.folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["bars_per_year"] == year
    assert pairs_bt.load_run(run.folder).bars_per_year == year


def test_a_number_of_ones_own_takes_the_place_of_the_calendar() -> None:
    prices = tied(pd.bdate_range("2015-01-01", periods=700))
    config = Config().with_changes("windows.train=1Y", "selection.tests=[]", 'universe.pairs=[["A","B"]]')
    plain = pairs_bt.run(config, prices=prices)
    other = pairs_bt.run(config.with_changes("data.bars_per_year=260"), prices=prices)
    assert plain.bars_per_year == 252
    assert not any("bars a year" in note for note in plain.notes)
    assert other.bars_per_year == 260
    assert any("260 bars a year, as data.bars_per_year" in note for note in other.notes)
    ratio = other.summary["net_sharpe"] / plain.summary["net_sharpe"]
    np.testing.assert_allclose(ratio, math.sqrt(260 / 252), rtol=1e-12)
    pd.testing.assert_frame_equal(plain.trades, other.trades)
    for bad in ("0", "-5", '"weekly"'):
        with pytest.raises(ConfigError, match=r"data\.bars_per_year"):
            Config().with_changes(f"data.bars_per_year={bad}")


def test_borrow_within_the_day_is_the_time_between_bars(made: dict[str, Run]) -> None:
    """One trade's borrow by hand: the short leg's value at each close until the next, in days of 365."""
    run = made["5 minutes"]
    prices = run.prices
    trades = run.trades[(run.trades["variant"] == "fixed_first") & (run.trades["exit_reason"] == "exit_level")]
    inside = trades["exit_date"].dt.normalize() == trades["entry_date"].dt.normalize()
    assert inside.any()
    assert not inside.all()
    for trade in (trades[inside].iloc[0], trades[~inside].iloc[0]):
        held = prices.loc[trade["entry_date"] : trade["exit_date"]]
        days = np.diff(held.index.to_numpy()).astype("timedelta64[s]").astype(float) / 86_400
        value = sum(
            np.where(trade[f"units_{leg}"] < 0, -trade[f"units_{leg}"] * held[trade[leg]].to_numpy(), 0.0)[:-1]
            for leg in "yx"
        )
        assert trade["borrow"] == pytest.approx(float((value * days).sum()) * 0.01 / 365, rel=1e-9)


def test_stamps_keep_their_time_in_tables_and_windows_stay_calendar_periods(made: dict[str, Run]) -> None:
    run = made["5 minutes"]
    assert (run.trades["entry_date"].dt.normalize() != run.trades["entry_date"]).all()
    assert set(run.returns["date"]) <= set(run.prices.index)
    ends = run.windows.index
    assert (ends == ends.normalize()).all()
    for end, cohort in run.trades.groupby("test_end"):
        assert cohort["entry_date"].min().normalize() > end
        assert cohort["entry_date"].max() < end + pd.Timedelta(days=8)
        assert cohort["exit_date"].max() < end + pd.Timedelta(days=15)
    assert run.folder is not None
    entries = {f"{date:%Y-%m-%d %H:%M}" for date in run.trades["entry_date"]}
    report = (run.folder / "report.html").read_text(encoding="utf-8")
    assert entries & set(re.findall(r">(2024-\d\d-\d\d \d\d:\d\d)<", report))


@pytest.mark.parametrize("name", KINDS)
def test_what_comes_later_changes_nothing(made: dict[str, Run], name: str) -> None:
    """Bars cut off, in the middle of a day too, change no fit, no trade and no return before the cut."""
    run = made[name]
    prices = run.prices
    for cut in (int(len(prices) * 0.95),):
        short = pairs_bt.run(run.config, prices=prices.iloc[:cut])
        assert short.bars_per_year == run.bars_per_year
        ends = short.windows.index
        for table in ("tests", "half_lives"):
            whole, part = getattr(run, table), getattr(short, table)
            kept = whole[whole["test_end"].isin(ends)].reset_index(drop=True)
            pd.testing.assert_frame_equal(kept, part.reset_index(drop=True))
        # the other ledger's returns are left out: a period's last bar is closed on when the calendar says that it is it
        last = prices.index[cut - 1]
        before = pd.DataFrame(run.returns[run.returns["date"] < last]).reset_index(drop=True)
        again = pd.DataFrame(short.returns[short.returns["date"] < last]).reset_index(drop=True)
        pd.testing.assert_frame_equal(before[again.columns], again, check_exact=True)


def test_bars_in_time_says_hours_sessions_and_days() -> None:
    dates = sessions(40)
    assert bars_in_time(30, dates) == "2.5 h"
    assert bars_in_time(780, dates).endswith("sessions")
    assert bars_in_time(6, pd.date_range("2012-01-06", periods=300, freq="W-FRI")) == "42 d"
    assert bars_in_time(6, pd.bdate_range("2012-01-06", periods=300)) == ""
    assert bars_in_time(math.inf, dates) == ""


def test_files_keep_the_time_of_bars_within_the_day(tmp_path: Path) -> None:
    frame = tied(sessions(5))
    frame.to_csv(tmp_path / "wide.csv")
    frame.to_parquet(tmp_path / "wide.parquet")
    long = frame.melt(ignore_index=False, var_name="ticker", value_name="close").reset_index()
    long.to_csv(tmp_path / "long.csv", index=False)
    for name in ("wide.csv", "wide.parquet", "long.csv"):
        found = pairs_bt.read_prices(tmp_path / name).prices
        pd.testing.assert_frame_equal(found, frame, check_names=False, check_index_type=False, check_freq=False)
    cut = pairs_bt.read_prices(frame, start="2024-01-03", end="2024-01-04").prices
    assert cut.index[0] == pd.Timestamp("2024-01-03 09:35")
    assert cut.index[-1] == pd.Timestamp("2024-01-04 16:00")


def test_a_hedge_matrix_takes_a_bar_a_day() -> None:
    with pytest.raises(DataError, match="several bars on 2024-01-02, and a matrix takes one bar a day"):
        pairs_bt.HedgeMatrix.fit(tied(sessions(5)))


def test_comparison_and_cost_of_trying_scale_with_the_year() -> None:
    """Nothing but the unit changes: ratios and errors go with the root of the year, probabilities stay."""
    rng = np.random.default_rng(8)
    dates = pd.date_range("2000-01-07", periods=400, freq="W-FRI")
    returns = pd.DataFrame(rng.normal(0.001, 0.02, (400, 3)), index=dates, columns=["a", "b", "c"])
    root = math.sqrt(52 / 252)
    daily, weekly = (compare_variants(returns, draws=200, block=20, bars_per_year=year) for year in (252.0, 52.0))
    for name in ("sharpe", "std_error", "low", "high"):
        np.testing.assert_allclose(weekly.intervals[name], daily.intervals[name] * root, rtol=1e-12)
    for name in ("difference", "std_error", "low", "high", "detectable"):
        np.testing.assert_allclose(weekly.differences[name], daily.differences[name] * root, rtol=1e-12)
    np.testing.assert_array_equal(weekly.differences["pvalue"], daily.differences["pvalue"])
    assert "400 bars are 20 blocks" in weekly.verdict
    options = {"partitions": 4, "draws": 200, "block": 20, "seed": 7}
    by_day, by_week = (cost_of_trying(returns, "a", **options, bars_per_year=year) for year in (252.0, 52.0))
    assert by_week.sharpe == pytest.approx(by_day.sharpe * root, rel=1e-12)
    assert by_week.expected_maximum == pytest.approx(by_day.expected_maximum * root, rel=1e-12)
    assert (by_week.deflated, by_week.pbo, by_week.superior) == (by_day.deflated, by_day.pbo, by_day.superior)


@pytest.mark.parametrize("name", KINDS)
def test_audit_explorer_and_rolling_ratio_count_the_same_year(made: dict[str, Run], name: str) -> None:
    run, year = made[name], KINDS[name][1]
    found = measure_of_run(run).variants
    summary = run.summary.set_index("variant")
    for variant, numbers in found.items():
        assert numbers["sharpe"] == pytest.approx(summary.loc[variant, "net_sharpe"], rel=1e-9)
        assert numbers["annual_return"] == pytest.approx(summary.loc[variant, "net_annual_return"], rel=1e-9)
    study = open_study(run.config, run.prices)
    assert study.bars_per_year == year
    assert study.context(0).market.bars_per_year == year
    moments = data._days(study.dates)
    assert (moments.dtype == np.int32) == (name != "5 minutes")
    np.testing.assert_allclose(np.diff(moments), study.day_gap[1:], atol=1e-9)


def test_runs_of_other_bars_are_not_compared(made: dict[str, Run]) -> None:
    run = made["weekly"]
    with pytest.raises(DataError, match=r"different numbers of bars to a year: a 52; b 252\."):
        compare_runs({"a": run, "b": replace(run, bars_per_year=252.0)})


def test_the_calendar_s_version_is_part_of_a_run_that_uses_one() -> None:
    pytest.importorskip("exchange_calendars")
    prices = walks(pd.bdate_range("2015-01-01", periods=700))
    changes = ("windows.train=1Y", "data.calendar=XNYS")
    found = identify(open_study(Config().with_changes(*changes), prices))["versions"]
    assert found["exchange_calendars"] == version("exchange_calendars")
    assert "exchange_calendars" not in identify(open_study(Config().with_changes(changes[0]), prices))["versions"]
