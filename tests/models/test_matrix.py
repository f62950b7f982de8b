import csv
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from copy import copy
from html.parser import HTMLParser
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from pairs_bt.cli.hedge import hedge
from pairs_bt.common import files as atomic
from pairs_bt.common.formatting import significant
from pairs_bt.common.lock import folder_lock
from pairs_bt.errors import ConfigError, DataError
from pairs_bt.models.mean_reversion import half_life
from pairs_bt.models.online.hedge_matrix import MIN_BARS, HedgeMatrix
from pairs_bt.models.online.hedge_matrix_file import COLUMNS, STATES
from pairs_bt.models.online.kalman_ols import KalmanOLS
from pairs_bt.report import hedge_matrix
from pairs_bt.report.hedge_matrix_page import DEPTH, MISSING, STEPS, picture, shade

ROOT = Path(__file__).resolve().parents[2]
SPACES = ("levels", "log", "changes")
CHANGES = {"trans_cov": 1e-5, "obs_cov": 1e-4}
OLD = {"trans_cov": 1, "obs_cov": 1, "init_cov": 1}


def make_prices(n=60, k=5, seed=0):
    rng = np.random.default_rng(seed)
    steps = 0.01 * (rng.normal(size=(n, k)) + rng.normal(size=(n, 1)))
    index = pd.date_range("2024-01-01", periods=n, freq="B", name="date")
    return pd.DataFrame(50.0 * np.exp(steps.cumsum(axis=0)), index=index, columns=[f"T{i}" for i in range(k)])


def with_gaps(prices, seed=1):
    """Scattered missing prices, a ticker that lists late, one that stops, and one without any price."""
    holes = prices.mask(np.random.default_rng(seed).random(prices.shape) < 0.05)
    holes.iloc[:20, 0] = np.nan
    holes.iloc[-7:, 1] = np.nan
    holes.iloc[:, 2] = np.nan
    return holes


def in_space(prices, space):
    if space == "levels":
        return prices
    return np.log(prices) if space == "log" else np.log(prices).diff().iloc[1:]


def same(one, other):
    """Two matrices hold the same bits."""
    a, b = one.state, other.state
    assert a.header() == b.header()
    assert_array_equal(a.values, b.values)
    off = ~np.eye(len(a.tickers), dtype=bool)
    for name in ("seen", "last", "last_day"):
        known = off & ((a.last >= 0) | (name != "last_day"))
        assert_array_equal(getattr(a, name)[known], getattr(b, name)[known])
    for left, right in zip(one.spread_statistics(), other.spread_statistics(), strict=True):
        assert_array_equal(left, right)


# ------------------------------------------------------------------------------------------------ the filters


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("gaps", [False, True])
def test_every_pair_is_its_own_kalman_ols_to_the_last_bit(space, gaps):
    prices = make_prices(k=35)  # more tickers than lanes
    if gaps:
        prices = with_gaps(prices)
    matrix = HedgeMatrix.fit(prices, space=space, jobs=2, **OLD)
    data = in_space(prices, space)
    some = prices.columns[[0, 1, 2, 3, 4, 30, 31, 32, 33, 34]]  # on both sides of the lanes' end
    for y, x in permutations(some, 2):
        pair = data[[y, x]]
        complete = pair.notna().all(axis=1).to_numpy()
        if not complete.any():
            assert np.isnan(matrix.beta.loc[y, x])
            assert pd.isna(matrix.last_date.loc[y, x])
            continue
        end = np.flatnonzero(complete)[-1] + 1
        model = KalmanOLS(pair.iloc[:end])
        assert matrix.loc[y, x] == model.get_state()
        last = model.history.iloc[-1]
        i, j = matrix.tickers.index(y), matrix.tickers.index(x)
        values = dict(zip(COLUMNS, matrix.state.values[:, i, j], strict=True))
        assert values["innovation"] == last["innovation"]
        assert values["innovation_var"] == last["innovation_var"]
        assert matrix.state.seen[i, j] == complete.sum()
        assert matrix.last_date.loc[y, x] == pair.index[end - 1]
        if complete.sum() > 1:
            before = model.history.iloc[np.flatnonzero(complete)[-2]]
            assert values["beta_before"] == before["beta"]
            assert values["beta_var_before"] == before["beta_var"]
            assert matrix.static_error.loc[y, x] == last["innovation"]


@pytest.mark.parametrize(
    "parameters",
    [
        {"init_beta": 1.5, "init_alpha": -3, "init_cov": 10, "trans_cov": 1e-4, "obs_cov": 0.5},
        {"init_cov": 0, "trans_cov": 0},
        {"trans_cov": 0},
    ],
)
@pytest.mark.parametrize("gaps", [False, True])
def test_parameters_are_those_of_kalman_ols(parameters, gaps):
    prices = make_prices(k=4)
    if gaps:
        prices.iloc[[0, 5, 6, 30]] = np.nan
    matrix = HedgeMatrix.fit(prices, **parameters)
    for y, x in (("T0", "T1"), ("T1", "T0"), ("T3", "T2")):
        assert matrix.loc[y, x] == KalmanOLS(prices[[y, x]], **parameters).get_state()


@pytest.mark.parametrize("space", SPACES)
def test_frames_agree_with_the_states(space):
    prices = make_prices()
    matrix = HedgeMatrix.fit(prices, space=space)
    for i, y in enumerate(matrix.tickers):
        for j, x in enumerate(matrix.tickers):
            if i == j:
                for frame in (matrix.beta, matrix.standard_error, matrix.spread_z, matrix.static_error):
                    assert np.isnan(frame.iloc[i, j])
                continue
            state = matrix.loc[y, x]
            assert matrix.beta.loc[y, x] == state["mean"][0]
            assert matrix.alpha.loc[y, x] == state["mean"][1]
            assert matrix.standard_error.loc[y, x] == np.sqrt(state["cov"][0][0])
    long = matrix.pairs().set_index(["y", "x"])
    assert long.loc[("T1", "T3"), "beta"] == matrix.beta.loc["T1", "T3"]
    assert len(long) == 20


@pytest.mark.parametrize("gaps", [False, True])
def test_numbers_do_not_depend_on_jobs(gaps):
    prices = with_gaps(make_prices(k=40)) if gaps else make_prices(k=40)
    one = HedgeMatrix.fit(prices, jobs=1)
    for jobs in (2, 3):
        same(one, HedgeMatrix.fit(prices, jobs=jobs))


def test_a_pair_does_not_depend_on_its_company():
    prices = make_prices(k=40)
    alone = HedgeMatrix.fit(prices[["T7", "T33"]])
    assert alone.loc["T7", "T33"] == HedgeMatrix.fit(prices).loc["T7", "T33"]


# ------------------------------------------------------------------------------------------- spread statistics


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("window", [MIN_BARS, 30, 252])
def test_z_and_half_life_are_those_of_the_held_ratio(space, window):
    prices = make_prices(n=80, seed=3)
    prices.iloc[[60, 61, 70], 1] = np.nan
    prices.iloc[-2:, 2] = np.nan
    matrix = HedgeMatrix.fit(prices, space=space, window=window, **CHANGES)
    base = in_space(prices, "levels" if space == "levels" else "log").iloc[-window:]
    for y in matrix.tickers:
        for x in matrix.tickers:
            if y == x:
                continue
            spread = base[y] - matrix.beta.loc[y, x] * base[x]
            known = spread.dropna()
            if len(known) < MIN_BARS:
                assert np.isnan(matrix.spread_z.loc[y, x])
                assert np.isnan(matrix.half_life.loc[y, x])
                continue
            assert_allclose(matrix.spread_z.loc[y, x], (known.iloc[-1] - known.mean()) / known.std(), rtol=1e-9)
            assert_allclose(matrix.half_life.loc[y, x], half_life(spread), rtol=1e-8)


def test_a_spread_without_variance_has_no_z():
    prices = make_prices(k=3)
    prices["T2"] = 2.0 * prices["T1"]
    prices["T3"] = 7.0
    matrix = HedgeMatrix.fit(prices, init_beta=2, init_cov=0, trans_cov=0)
    assert np.isnan(matrix.spread_z.loc["T2", "T1"])
    assert np.isnan(matrix.half_life.loc["T2", "T1"])
    assert np.isfinite(matrix.spread_z.loc["T2", "T0"])


def test_a_spread_that_runs_away_has_no_half_life():
    n = 40
    prices = make_prices(n, 2)
    prices["T0"] = 100.0 * 1.05 ** np.arange(n)
    prices["T1"] = 10.0
    matrix = HedgeMatrix.fit(prices, init_beta=1, init_cov=0, trans_cov=0)
    assert matrix.half_life.loc["T0", "T1"] == np.inf


def test_z_keeps_its_digits_at_a_high_level():
    rng = np.random.default_rng(5)
    x = 1e5 + rng.normal(size=100).cumsum()
    prices = make_prices(100, 2)
    prices["T0"], prices["T1"] = x + 0.01 * rng.normal(size=100), x
    matrix = HedgeMatrix.fit(prices, init_beta=1, init_cov=0, trans_cov=0)
    spread = prices["T0"] - prices["T1"]
    assert_allclose(matrix.spread_z.loc["T0", "T1"], (spread.iloc[-1] - spread.mean()) / spread.std(), rtol=1e-7)


# ------------------------------------------------------------------------------------------------------ update


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("gaps", [False, True])
def test_an_update_is_a_fit_on_the_longer_history(space, gaps):
    prices = with_gaps(make_prices(k=7)) if gaps else make_prices(k=7)
    options = {"space": space, "window": 25, **CHANGES}
    matrix = HedgeMatrix.fit(prices.iloc[:40], **options)
    matrix.update(prices.iloc[40])
    same(matrix, HedgeMatrix.fit(prices.iloc[:41], **options))
    matrix.update(prices.iloc[41:45])
    same(matrix, HedgeMatrix.fit(prices.iloc[:45], **options))
    for t in range(45, 60):
        matrix.update(prices.iloc[[t]])
    same(matrix, HedgeMatrix.fit(prices, **options))


def test_a_matrix_from_the_file_moves_like_the_one_in_memory(tmp_path):
    prices = with_gaps(make_prices(k=7))
    matrix = HedgeMatrix.fit(prices.iloc[:50])
    matrix.save(tmp_path)
    loaded = HedgeMatrix.load(tmp_path)
    same(matrix, loaded)
    loaded.update(prices.iloc[50:])
    same(loaded, HedgeMatrix.fit(prices))


def test_the_future_does_not_change_a_prefix():
    prices = make_prices(k=4)
    changed = prices.copy()
    changed.iloc[30:] *= 3.0
    same(HedgeMatrix.fit(prices.iloc[:30]), HedgeMatrix.fit(changed.iloc[:30]))
    history = KalmanOLS(prices[["T2", "T0"]]).history
    for n in (1, 2, 17, 60):
        beta = HedgeMatrix.fit(prices.iloc[:n], **OLD).beta.loc["T2", "T0"]
        assert beta == history["beta"].iloc[n - 1]


def test_a_missing_ticker_skips_its_pairs_and_is_named():
    prices = make_prices()
    matrix = HedgeMatrix.fit(prices.iloc[:50], **OLD)
    before, day = copy(matrix), prices.index[50]
    report = matrix.update(prices.iloc[50].drop("T2"))
    assert report.missing == {"2024-03-11": ("T2",)}
    assert any("T2" in line and "2024-03-11" in line for line in report.lines)
    for other in ("T0", "T1", "T3", "T4"):
        for pair in ((other, "T2"), ("T2", other)):
            assert matrix.loc[pair] == before.loc[pair]
            assert matrix.last_date.loc[pair] == prices.index[49]
    assert matrix.loc["T0", "T1"] != before.loc["T0", "T1"]
    assert matrix.last_date.loc["T0", "T1"] == day
    filled = prices.iloc[:51].copy()
    filled.loc[day, "T2"] = np.nan
    same(matrix, HedgeMatrix.fit(filled, **OLD))
    matrix.update(prices.iloc[51])
    filled.loc[prices.index[51]] = prices.iloc[51]
    assert matrix.loc["T2", "T0"] == KalmanOLS(filled[["T2", "T0"]]).get_state()


def test_in_changes_a_bar_after_a_missing_one_is_missing_too():
    prices = make_prices()
    matrix = HedgeMatrix.fit(prices.iloc[:50], space="changes")
    matrix.update(prices.iloc[50].drop("T2"))
    assert matrix.update(prices.iloc[51]).missing == {"2024-03-12": ("T2",)}
    assert matrix.update(prices.iloc[52]).missing == {}


def test_the_same_bar_twice_is_refused_and_changes_nothing():
    prices = make_prices()
    matrix = HedgeMatrix.fit(prices.iloc[:50])
    kept = copy(matrix)
    for rows in (prices.iloc[49], prices.iloc[30], prices.iloc[48:52]):
        with pytest.raises(DataError, match=r"not after the matrix's last bar, 2024-03-08"):
            matrix.update(rows)
    same(matrix, kept)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (lambda p: p.iloc[50] * np.nan, "No ticker of the matrix has a price on 2024-03-11"),
        (lambda p: p.iloc[50].rename({t: t.lower() for t in p}), "No ticker of the matrix"),
        (lambda p: p.iloc[50].rename(None), "its name must be its date"),
        (lambda p: p.iloc[50].rename(7), "its name must be its date"),
        (lambda p: -p.iloc[50], "negative price"),
        (lambda p: p.iloc[50].astype(object).replace(p.iloc[50, 0], "abc"), "abc"),
        (lambda p: p.iloc[[50, 50]], "Duplicate dates"),
        (lambda p: 3.0, "which is no table"),
    ],
)
def test_rows_that_cannot_be_used_are_refused_and_change_nothing(rows, message):
    prices = make_prices()
    matrix = HedgeMatrix.fit(prices.iloc[:50])
    kept = copy(matrix)
    with pytest.raises(DataError, match=message):
        matrix.update(rows(prices))
    same(matrix, kept)


def test_a_gap_and_an_unknown_ticker_are_named():
    prices = make_prices()
    matrix = HedgeMatrix.fit(prices.iloc[:50])
    report = matrix.update(prices.iloc[[50, 53, 54]].assign(NEW=1.0))
    assert report.unknown == ("NEW",)
    assert report.gaps == (
        "no bar on 2 weekdays between 2024-03-11 and 2024-03-14 (a holiday, or a gap in the data); the two are "
        "treated as consecutive",
    )
    assert report.dates == ("2024-03-11", "2024-03-14", "2024-03-15")
    assert not matrix.update(prices.iloc[55]).lines  # over a weekend


def test_moves_are_in_standard_errors_since_the_bar_before_or_an_earlier_matrix():
    prices = make_prices()
    matrix = HedgeMatrix.fit(prices.iloc[:50])
    earlier = copy(matrix)
    matrix.update(prices.iloc[50:53])
    error = earlier.standard_error.to_numpy()
    assert_allclose(matrix.move(earlier), (matrix.beta - earlier.beta) / error, rtol=1e-12)
    day_before = HedgeMatrix.fit(prices.iloc[:52])
    assert_array_equal(matrix.move(), matrix.move(day_before))
    assert not np.array_equal(matrix.move(), matrix.move(earlier))
    assert HedgeMatrix.fit(prices.iloc[:1]).move().isna().all(axis=None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"space": "logs"}, "levels, log, changes"),
        ({"window": 19}, "at least 20"),
        ({"window": True}, "whole number"),
        ({"obs_cov": 0}, "obs_cov is 0"),
        ({"trans_cov": -1}, "trans_cov is -1"),
        ({"jobs": 0}, "jobs is 0"),
    ],
)
def test_options_outside_their_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        HedgeMatrix.fit(make_prices(), **options)


def test_changes_of_one_bar_are_refused():
    with pytest.raises(DataError, match="a change needs two"):
        HedgeMatrix.fit(make_prices(n=1), space="changes")


@pytest.mark.parametrize("pair", [("T0", "T9"), ("T0", "T0"), "T0", ("T0", "T1", "T2")])
def test_loc_says_what_it_wants(pair):
    with pytest.raises(KeyError):
        HedgeMatrix.fit(make_prices()).loc[pair]


# -------------------------------------------------------------------------------------------------- the file


def test_the_file_can_be_read_by_anyone(tmp_path):
    prices = with_gaps(make_prices())
    matrix = HedgeMatrix.fit(prices, **OLD)
    frame = pd.read_parquet(matrix.save(tmp_path))
    assert list(frame.columns) == ["y", "x", *COLUMNS, "bars", "last_bar", "last_date"]
    row = frame.set_index(["y", "x"]).loc[("T3", "T4")]
    state = matrix.loc["T3", "T4"]
    assert [row["beta"], row["alpha"]] == state["mean"]
    assert -row["centre"] * row["beta_var"] == state["cov"][0][1]
    assert str(row["last_date"]) == str(matrix.last_date.loc["T3", "T4"].date())
    assert matrix.save(tmp_path).read_bytes() == matrix.save(tmp_path).read_bytes()


def damage(path, what):
    if what == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif what == "empty":
        path.write_bytes(b"")
    elif what == "text":
        path.write_text("y,x,beta\n")
    elif what == "a bit":
        data = bytearray(path.read_bytes())
        data[len(data) // 4] ^= 1
        path.write_bytes(bytes(data))
    elif what == "saved by pandas":
        pd.read_parquet(path).to_parquet(path)
    elif what == "another header":
        path.write_bytes(path.read_bytes().replace(b'"window": 252', b'"window": 253'))


@pytest.mark.parametrize("what", ["cut", "empty", "text", "a bit", "saved by pandas", "another header"])
def test_a_damaged_file_is_refused(tmp_path, what):
    path = HedgeMatrix.fit(make_prices(k=20)).save(tmp_path)
    damage(path, what)
    with pytest.raises(DataError, match="make it again"):
        HedgeMatrix.load(tmp_path)


def test_a_folder_without_a_matrix_is_refused(tmp_path):
    with pytest.raises(DataError, match="there is no matrix"):
        HedgeMatrix.load(tmp_path / "nowhere")


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_before_the_rename_leaves_the_old_file(tmp_path, monkeypatch, step):
    prices = make_prices()
    matrix = HedgeMatrix.fit(prices.iloc[:50])
    matrix.save(tmp_path)
    old = (tmp_path / STATES).read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.os, step, fail)
    matrix.update(prices.iloc[50])
    with pytest.raises(ConfigError, match="no space is left on the disk"):
        matrix.save(tmp_path)
    assert (tmp_path / STATES).read_bytes() == old
    assert [path.name for path in tmp_path.iterdir()] == [STATES]


KILLED = """
import sys
from pathlib import Path
import pandas as pd
from pairs_bt.models.online.hedge_matrix import HedgeMatrix
from pairs_bt.report.hedge_matrix import write_tables

folder, rows = Path(sys.argv[1]), pd.read_parquet(sys.argv[2])
for t in range(50, len(rows)):
    matrix = HedgeMatrix.load(folder)
    matrix.update(rows.iloc[t])
    matrix.save(folder)
    if t == 50:
        print("moving", flush=True)
    if t % 8 == 0:
        write_tables(matrix, folder)
"""


def test_a_kill_leaves_the_old_matrix_or_the_new_one(tmp_path):
    prices = make_prices(n=1500, k=45)
    prices.to_parquet(tmp_path / "prices.parquet")
    start = HedgeMatrix.fit(prices.iloc[:50])
    delays = random.Random(0)
    for attempt in range(3):
        folder = tmp_path / str(attempt)
        start.save(folder)
        arguments = [sys.executable, "-c", KILLED, str(folder), str(tmp_path / "prices.parquet")]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, cwd=ROOT, env={**os.environ, "PYTHONPATH": "."}) as p:
            assert p.stdout.readline() == b"moving\n"
            time.sleep(delays.uniform(0.0, 0.2))
            p.send_signal(signal.SIGKILL)
            assert p.wait() == -signal.SIGKILL
        left = HedgeMatrix.load(folder)
        same(left, HedgeMatrix.fit(prices.iloc[: left.state.bars]))
        assert left.state.bars > 50
        assert run(hedge, "--out", folder).exit_code == 0
        assert hedge_matrix.tables_are_current(left, folder)
        assert not list(folder.glob(".*.tmp"))


# ------------------------------------------------------------------------------------------ tables and page


class Page(HTMLParser):
    """Start tags and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.words.append(data)

    def titles(self):
        return [a["title"] for tag, a in self.tags if tag == "td" and "title" in a]


EVIL = ["<script>alert(1)</script>", '"><img src=x>', "=cmd|' /C calc'!A0", "+A", "-A", "@A", "A,B", 'A"B', "N&A"]


def test_names_are_escaped_everywhere(tmp_path):
    prices = make_prices(k=len(EVIL))
    prices.columns = EVIL
    matrix = HedgeMatrix.fit(prices)
    matrix.save(tmp_path)
    hedge_matrix.write_tables(matrix, tmp_path, notes=["<b>note</b> & more"])
    assert HedgeMatrix.load(tmp_path).tickers == tuple(EVIL)
    text = (tmp_path / "matrix.html").read_text()
    parsed = Page(text)
    assert not {"script", "img", "b", "iframe", "link"} & {tag for tag, _ in parsed.tags}
    assert all(name in "".join(parsed.words) for name in EVIL)
    assert any(title.startswith("<script>alert(1)</script> on ") for title in parsed.titles())
    with (tmp_path / "hedge_ratios.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    safe = [("'" + name if name[0] in "=+-@" else name) for name in EVIL]
    assert rows[0] == ["y", *safe]
    assert [row[0] for row in rows[1:]] == safe


def test_the_tables_hold_the_numbers(tmp_path):
    prices = with_gaps(make_prices())
    matrix = HedgeMatrix.fit(prices)
    hedge_matrix.write_tables(matrix, tmp_path)
    with (tmp_path / "hedge_ratios.csv").open(newline="") as file:
        rows = [[float(cell or "nan") for cell in row[1:]] for row in list(csv.reader(file))[1:]]
    assert_array_equal(rows, matrix.beta.to_numpy())
    pairs = pd.read_parquet(tmp_path / "pairs.parquet")
    wanted = matrix.pairs()
    assert list(pairs.columns) == list(wanted.columns)
    for name in pairs.columns[2:-1]:
        assert_array_equal(pairs[name].to_numpy(dtype=float), wanted[name].to_numpy(dtype=float))
    assert hedge_matrix.tables_are_current(matrix, tmp_path)
    assert not hedge_matrix.tables_are_current(HedgeMatrix.fit(prices.iloc[:-1]), tmp_path)
    (tmp_path / "matrix.html").unlink()
    assert not hedge_matrix.tables_are_current(matrix, tmp_path)


def test_numbers_of_the_page_have_steady_digits():
    assert [significant(v, 3) for v in (1.5, 0.01, 123.4, 1234.5, np.nan)] == [
        "1.50", "0.0100", "123", "1,234", "\N{EN DASH}",
    ]  # fmt: skip
    assert hedge_matrix._column([1.25, -10.0, 0.5], 3) == ["1.25", "\N{MINUS SIGN}10.00", "0.50"]
    assert hedge_matrix._column([np.nan, np.inf, 0.0], 3) == ["\N{EN DASH}", "\N{INFINITY}", "0"]


def test_the_page_shows_every_pair_and_what_moved():
    prices = make_prices()
    matrix = HedgeMatrix.fit(prices.iloc[:50])
    earlier = copy(matrix)
    matrix.update(prices.iloc[50:52])
    text = hedge_matrix.page(matrix, since=earlier)
    parsed = Page(text)
    assert len(parsed.titles()) == 25
    state = matrix.loc["T1", "T4"]
    (title,) = [t for t in parsed.titles() if t.startswith("T1 on T4: ratio ")]
    shown = title.removeprefix("T1 on T4: ratio ").partition(", ")[0].replace("\N{MINUS SIGN}", "-")
    assert float(shown.replace(",", "")) == pytest.approx(state["mean"][0], rel=1e-5)
    assert "since the last update (2024-03-08)" in text
    moves = matrix.move(earlier).stack().abs().sort_values(ascending=False)
    y, x = moves.index[0]
    table = text[text.index("Ratios that moved most") :]
    assert re.search(r'<tbody>\s*<tr><th scope="row">(\w+)</th><td class="text">(\w+)</td>', table).groups() == (y, x)
    assert "prefers-color-scheme:dark" in text
    assert "http" not in text
    assert hedge_matrix.page(matrix, since=earlier) == text


def test_the_page_says_in_words_how_the_filter_was_set_and_what_moved():
    prices = make_prices()
    matrix = HedgeMatrix.fit(prices, init_cov=2.5, trans_cov=1e-4, obs_cov=0.5, space="log")
    text = " ".join("".join(Page(hedge_matrix.page(matrix)).words).split())
    assert "at ratio 0, intercept 0, each with variance 2.5" in text
    assert "with variance 0.0001 a bar" in text
    assert "with variance 0.5" in text
    assert f"{len(prices):,} of log prices" in text
    assert not re.search(r"(init_beta|init_alpha|init_cov|space) \S", text)
    moves = matrix.move().stack().dropna().abs().sort_values(ascending=False)
    y, x = moves.index[0]
    much = int((moves > 3.0).sum())
    assert f"the ratio of {y} on {x} moved most, by {significant(moves.iloc[0], 3)} of its standard errors" in text
    assert f"Of {len(moves)} ratios {much or 'none'} moved by more than 3." in text


def test_a_ticker_without_a_price_today_is_named_on_the_page():
    prices = make_prices()
    prices.iloc[-1, 3] = np.nan
    assert "No price on 2024-03-22, shown as of their last date: T3" in hedge_matrix.page(HedgeMatrix.fit(prices))


def test_the_page_says_when_the_ratios_are_only_price_quotients():
    page = hedge_matrix.page(HedgeMatrix.fit(make_prices(n=300), **OLD))
    assert "A smaller variance of the moves (trans_cov) makes it estimate" in page
    for better in ({"trans_cov": 1e-6}, {}):
        assert "makes it estimate" not in hedge_matrix.page(HedgeMatrix.fit(make_prices(n=300), **better))


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("space", ["levels", "changes"])
def test_a_page_of_almost_nothing(n, space):
    if space == "changes" and n == 1:
        return
    assert "<h1>" in hedge_matrix.page(HedgeMatrix.fit(make_prices(n, 2), space=space))
    empty = make_prices(n, 2)
    empty["T1"] = np.nan
    assert "<h1>" in hedge_matrix.page(HedgeMatrix.fit(empty, space=space))


def test_many_tickers_are_a_picture_in_clustered_order(tmp_path):
    rng = np.random.default_rng(2)
    n, k = 100, 64
    group = np.arange(k) % 2  # two sectors, interleaved
    steps = 0.01 * rng.normal(size=(n, 2))[:, group] + 0.002 * rng.normal(size=(n, k))
    prices = make_prices(n, k)
    prices[:] = 50.0 * np.exp(steps.cumsum(axis=0))
    matrix = HedgeMatrix.fit(prices)
    order = hedge_matrix.clustered_order(matrix)
    assert sorted(order) == list(range(k))
    assert np.count_nonzero(np.diff(group[order])) == 1
    parsed = Page(hedge_matrix.page(matrix))
    sources = [a["src"] for tag, a in parsed.tags if tag == "img"]
    assert len(sources) == 1
    assert sources[0].startswith("data:image/png;base64,")
    assert len(parsed.titles()) == 40 * 40


def test_the_picture_is_a_png_with_these_pixels(tmp_path):
    import base64

    values = np.array([[np.nan, 1.0, 9.0], [-9.0, 2.0, 0.5]])
    shades = shade(values, 0.0, 1.0, 3.0)
    assert shades.tolist() == [[MISSING, STEPS // 2, STEPS], [0, 15, 5]]
    path = tmp_path / "p.png"
    path.write_bytes(base64.b64decode(picture(shades, 0).split(",")[1]))
    with Image.open(path) as image:
        assert image.size == (3, 2)
        assert image.mode == "RGBA"
        end = round(255 * DEPTH)
        assert image.getpixel((2, 0)) == (0xC8, 0x50, 0x1E, end)  # the high end is the report's orange
        assert image.getpixel((0, 1)) == (0x0A, 0x6E, 0xBD, end)  # the low end its blue
        assert image.getpixel((1, 0))[3] == 0  # neutral is the page itself
        assert image.getpixel((0, 0)) == (0xEE, 0xF1, 0xF4, 255)
        assert image.getpixel((1, 1))[3] == round(255 * DEPTH / 2)
        assert "Software" not in image.info


# ------------------------------------------------------------------------------------------ the command line


def run(*arguments):
    command, *rest = arguments
    return CliRunner().invoke(command, [str(a) for a in rest])


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


@pytest.mark.parametrize("space", SPACES)
def test_overnight_and_in_the_morning(tmp_path, space):
    prices = make_prices()
    prices.iloc[:50].to_csv(tmp_path / "prices.csv")
    prices.to_parquet(tmp_path / "all.parquet")
    prices.iloc[50:].to_csv(tmp_path / "today.csv")
    out = tmp_path / "matrix"
    made = run(hedge, tmp_path / "prices.csv", "--out", out, "--space", space, "--jobs", 2)
    assert made.exit_code == 0, made.output
    assert "5 tickers, 20 hedge ratios" in made.output
    assert set(files(out)) == {"states.parquet", "hedge_ratios.csv", "pairs.parquet", "matrix.html"}
    moved = run(hedge, "--update", tmp_path / "today.csv", "--out", out)
    assert moved.exit_code == 0, moved.output
    again = run(hedge, tmp_path / "all.parquet", "--out", tmp_path / "whole", "--space", space)
    assert again.exit_code == 0, again.output
    updated, whole = files(out), files(tmp_path / "whole")
    for name in ("states.parquet", "hedge_ratios.csv", "pairs.parquet"):
        assert updated[name] == whole[name]
    assert b"since the last update (2024-03-08)" in updated["matrix.html"]


def make_matrix(tmp_path, **options):
    prices = make_prices()
    out = tmp_path / "matrix"
    prices.iloc[:50].to_csv(tmp_path / "prices.csv")
    result = run(hedge, tmp_path / "prices.csv", "--out", out)
    assert result.exit_code == 0, result.output
    return prices, out


def test_missing_tickers_and_gaps_are_said_on_stderr_and_on_the_page(tmp_path):
    prices, out = make_matrix(tmp_path)
    prices.iloc[[52]].drop(columns="T1").to_csv(tmp_path / "today.csv")
    result = run(hedge, "--update", tmp_path / "today.csv", "--out", out)
    assert result.exit_code == 0
    assert "no value on 2024-03-13, their pairs are skipped: T1" in result.stderr
    assert "no bar on 2 weekdays" in result.stderr
    assert "their pairs are skipped: T1" in (out / "matrix.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["--update", "old.csv"], DataError, "not after the matrix's last bar"),
        (["--update", "none.csv"], DataError, "does not exist"),
        (["--update", "old.csv", "--space", "log"], ConfigError, "--space can only be chosen when the matrix is made"),
        (["prices.csv", "--update", "old.csv"], ConfigError, "Both PRICES"),
        (["prices.csv", "--obs-cov", "0"], ConfigError, "obs_cov is 0"),
        (["prices.csv", "--window", "3"], ConfigError, "at least 20"),
        (["prices.csv", "--start", "soon"], DataError, "not a date"),
    ],
)
def test_mistakes_are_errors_of_the_package_and_change_nothing(tmp_path, monkeypatch, arguments, error, message):
    prices, out = make_matrix(tmp_path)
    prices.iloc[[49]].to_csv(tmp_path / "old.csv")
    monkeypatch.chdir(tmp_path)
    before = files(out)
    result = run(hedge, *arguments, "--out", out)
    assert isinstance(result.exception, error)
    assert re.search(message, str(result.exception))
    assert files(out) == before


def test_an_update_without_a_matrix_makes_no_folder(tmp_path):
    make_prices().to_csv(tmp_path / "today.csv")
    for rest in (["--update", tmp_path / "today.csv"], []):
        result = run(hedge, *rest, "--out", tmp_path / "nowhere")
        assert isinstance(result.exception, DataError)
        assert not (tmp_path / "nowhere").exists()


def test_an_out_that_is_a_file_is_refused(tmp_path):
    make_prices().to_csv(tmp_path / "prices.csv")
    result = run(hedge, tmp_path / "prices.csv", "--out", tmp_path / "prices.csv")
    assert isinstance(result.exception, ConfigError)


def test_a_folder_with_other_things_is_not_made_a_matrix(tmp_path):
    make_prices().to_csv(tmp_path / "prices.csv")
    for rest in ([], ["--fresh"]):
        result = run(hedge, tmp_path / "prices.csv", "--out", tmp_path, *rest)
        assert isinstance(result.exception, ConfigError)
        assert "is not empty" in str(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["prices.csv"]
    # what a command that was killed at once has left is nothing
    out = tmp_path / "matrix"
    out.mkdir()
    (out / ".lock").touch()
    (out / ".states.parquet.x.tmp").touch()
    assert run(hedge, tmp_path / "prices.csv", "--out", out).exit_code == 0


def test_older_prices_do_not_replace_a_newer_matrix_unless_asked(tmp_path):
    prices, out = make_matrix(tmp_path)
    prices.iloc[:40].to_csv(tmp_path / "old.csv")
    before = files(out)
    result = run(hedge, tmp_path / "old.csv", "--out", out)
    assert isinstance(result.exception, ConfigError)
    assert "--fresh" in str(result.exception)
    assert str(prices.index[49].date()) in str(result.exception)
    assert files(out) == before
    assert run(hedge, tmp_path / "prices.csv", "--out", out).exit_code == 0
    assert files(out) == before
    assert run(hedge, tmp_path / "old.csv", "--out", out, "--fresh").exit_code == 0
    assert HedgeMatrix.load(out).last_bar == str(prices.index[39].date())
    refused = run(hedge, "--update", tmp_path / "prices.csv", "--out", out, "--fresh")
    assert isinstance(refused.exception, ConfigError)


def test_what_cannot_be_read_is_replaced_only_when_asked(tmp_path):
    _, out = make_matrix(tmp_path)
    (out / "states.parquet").write_text("not a matrix")
    result = run(hedge, tmp_path / "prices.csv", "--out", out)
    assert isinstance(result.exception, ConfigError)
    assert (out / "states.parquet").read_text() == "not a matrix"
    assert run(hedge, tmp_path / "prices.csv", "--out", out, "--fresh").exit_code == 0


def test_the_help_says_what_the_defaults_are_worth():
    text = " ".join(run(hedge, "--help").output.split())
    assert "close to the quotient of the last two prices" in text
    assert "levels --trans-cov 1e-6 log --trans-cov 1e-6 --obs-cov 1e-3" in text


def test_tables_that_a_kill_left_behind_are_made_again_even_by_a_refused_update(tmp_path):
    prices, out = make_matrix(tmp_path)
    matrix = HedgeMatrix.load(out)
    matrix.update(prices.iloc[50])
    matrix.save(out)  # and then killed
    prices.iloc[[50]].to_csv(tmp_path / "today.csv")
    result = run(hedge, "--update", tmp_path / "today.csv", "--out", out)
    assert isinstance(result.exception, DataError)
    assert hedge_matrix.tables_are_current(matrix, out)
    wanted = (out / "hedge_ratios.csv").read_bytes()
    (out / "hedge_ratios.csv").unlink()
    assert run(hedge, "--out", out).exit_code == 0
    assert (out / "hedge_ratios.csv").read_bytes() == wanted


def test_two_writers_do_not_meet(tmp_path):
    prices, out = make_matrix(tmp_path)
    prices.iloc[[50]].to_csv(tmp_path / "today.csv")
    with folder_lock(out):
        result = run(hedge, "--update", tmp_path / "today.csv", "--out", out)
    assert isinstance(result.exception, ConfigError)
    assert "Another run is at work" in str(result.exception)
    assert run(hedge, "--update", tmp_path / "today.csv", "--out", out).exit_code == 0


def test_help_imports_neither_pandas_nor_numba():
    code = (
        "import sys; from click.testing import CliRunner; from pairs_bt.cli.hedge import hedge; "
        "r = CliRunner().invoke(hedge, ['--help']); assert r.exit_code == 0, r.output; "
        "print(sorted({'pandas', 'numba', 'numpy', 'pyarrow'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert found.stdout.strip() == "[]"


def test_states_survive_a_copy_to_another_folder(tmp_path):
    prices, out = make_matrix(tmp_path)
    shutil.copytree(out, tmp_path / "copy")
    same(HedgeMatrix.load(tmp_path / "copy"), HedgeMatrix.fit(prices.iloc[:50]))
    assert pq.read_metadata(out / STATES).num_rows == 20


def test_the_notebook_runs(monkeypatch):
    notebook = ROOT / "notebooks" / "morning_matrix.ipynb"
    cells = json.loads(notebook.read_text())["cells"]
    monkeypatch.chdir(notebook.parent)
    names = {"__name__": "notebook"}
    for cell in cells:
        if cell["cell_type"] == "code":
            assert cell["outputs"] or "assert" in "".join(cell["source"])  # it was saved after it had run
            exec(compile("".join(cell["source"]), str(notebook), "exec"), names)
    assert names["today"].tickers == names["matrix"].tickers


def test_the_page_of_the_manual_names_the_columns_and_options():
    text = (ROOT / "docs" / "matrix.md").read_text()
    matrix = HedgeMatrix.fit(make_prices())
    for name in (*COLUMNS, *matrix.pairs().columns, "last_bar"):
        assert f"`{name}`" in text
    for option in hedge.params:
        assert option.name == "prices" or option.opts[0] in text
