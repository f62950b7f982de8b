"""Orders from an inventory: by hand, round trips, instruments, lots, and every bad input."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pairs_bt.data.positions import Position, positions_from_csv, read_positions
from pairs_bt.errors import DataError
from pairs_bt.models.online.hedge_matrix import HedgeMatrix
from pairs_bt.models.online.hedge_orders import COLUMNS
from pairs_bt.report.orders import orders_section
from tests.cli_tools import call, is_one_paragraph

NAMES = ("A", "B", "C", "SPY", "QQQ")


def make_prices(bars: int = 120, seed: int = 4) -> pd.DataFrame:
    """SPY drives A and B, QQQ drives C, with noise of their own."""
    rng = np.random.default_rng(seed)
    spy, qqq = (rng.normal(size=bars).cumsum() for _ in range(2))
    own = rng.normal(scale=0.2, size=(bars, 3)).cumsum(axis=0)
    values = np.column_stack(
        [60 + 0.5 * spy + own[:, 0], 90 + 1.5 * spy + own[:, 1], 80 + 0.8 * qqq + own[:, 2], 200 + spy, 150 + qqq]
    )
    return pd.DataFrame(values, index=pd.bdate_range("2024-01-01", periods=bars, name="date"), columns=list(NAMES))


@pytest.fixture(scope="module")
def matrix() -> HedgeMatrix:
    return HedgeMatrix.fit(make_prices(), trans_cov=1e-5)


def by_ticker(orders: pd.DataFrame) -> pd.DataFrame:
    assert tuple(orders.columns) == COLUMNS
    assert orders["ticker"].is_unique
    return orders.set_index("ticker")


def test_one_position_by_hand(matrix) -> None:
    made = by_ticker(matrix.orders({"A": 1000.0}, instrument="SPY", lot=0.0))
    beta, error = matrix.beta.loc["A", "SPY"], matrix.standard_error.loc["A", "SPY"]
    price = make_prices().iloc[-1]
    spy = made.loc["SPY"]
    assert spy["held"] == 0.0
    assert spy["trade"] == spy["target"] == pytest.approx(-1000.0 * beta)
    assert spy["dollars"] == pytest.approx(-1000.0 * beta * price["SPY"])
    assert (spy["ratio"], spy["standard_error"]) == (beta, error)
    assert made.loc["A"].tolist() == [1000.0, 1000.0, 0.0, price["A"], 0.0, beta, error]


def test_a_short_position_is_hedged_by_buying(matrix) -> None:
    made = by_ticker(matrix.orders({"B": -300}, instrument="SPY"))
    assert made.loc["SPY", "trade"] == round(300 * matrix.beta.loc["B", "SPY"]) > 0


def test_the_book_is_netted_into_one_order_a_ticker(matrix) -> None:
    book = pd.DataFrame({"ticker": ["A", "B", "SPY"], "shares": [1000, -200, -150]})
    made = by_ticker(matrix.orders(book, instrument="SPY", lot=0.0))
    beta = matrix.beta["SPY"]
    target = -(1000 * beta["A"] - 200 * beta["B"])
    assert made.loc["SPY", "target"] == pytest.approx(target)
    assert made.loc["SPY", "trade"] == pytest.approx(target + 150)
    assert np.isnan(made.loc["SPY", "ratio"])
    assert made.loc[["A", "B"], "ratio"].tolist() == beta[["A", "B"]].tolist()


@pytest.mark.parametrize("space", ["levels", "log", "changes"])
def test_a_round_trip_has_the_target_ratios_and_adds_up(space) -> None:
    prices = make_prices()
    noise = {"levels": {}, "log": {"obs_cov": 1e-3}, "changes": {"trans_cov": 1e-4, "obs_cov": 1e-4}}[space]
    matrix = HedgeMatrix.fit(prices.iloc[:-2], space=space, **{"trans_cov": 1e-6, **noise})
    book = {"A": 1000.0, "B": -400.0, "C": 250.0, "SPY": 37.0}
    cash, last = 10_000.0, prices.iloc[-3]
    worth = cash + sum(n * last[t] for t, n in book.items())
    for day in (prices.iloc[-3:-2], prices.iloc[-2:-1], prices.iloc[-1:]):
        if day.index[0] > prices.index[-3]:
            worth += sum(n * (day.iloc[0][t] - last[t]) for t, n in book.items())
            matrix.update(day)
        last = day.iloc[0]
        orders = by_ticker(matrix.orders(book, instrument="SPY", lot=0.0))
        np.testing.assert_allclose(orders["held"] + orders["trade"], orders["target"], rtol=1e-12)
        np.testing.assert_allclose(orders["price"], last[orders.index], rtol=1e-11)
        book = {**book, **orders["target"].to_dict()}
        cash -= orders["dollars"].sum()
        assert cash + sum(n * last[t] for t, n in book.items()) == pytest.approx(worth, rel=1e-10)
        unit = 1.0 if space == "levels" else last / last["SPY"]
        ratio = matrix.beta["SPY"] * unit
        assert book["SPY"] == pytest.approx(-sum(ratio[t] * book[t] for t in ("A", "B", "C")))
        assert by_ticker(matrix.orders(book, instrument="SPY", lot=0.0))["trade"].abs().max() < 1e-9


def test_of_several_instruments_each_position_takes_its_best(matrix) -> None:
    made = matrix.orders({"A": 1000, "C": 1000}, instrument=["QQQ", "SPY"], lot=0.0)
    assert made["ticker"].tolist() == ["A", "C", "QQQ", "SPY"]
    rows = by_ticker(made)
    assert rows.loc["SPY", "target"] == pytest.approx(-1000 * matrix.beta.loc["A", "SPY"])
    assert rows.loc["QQQ", "target"] == pytest.approx(-1000 * matrix.beta.loc["C", "QQQ"])


def test_the_choice_reads_the_last_bars_only() -> None:
    """A follows QQQ until 30 bars before the end, and SPY after."""
    prices = make_prices(200)
    moved = prices["SPY"].diff().where(np.arange(200) >= 170, prices["QQQ"].diff())
    prices["A"] = 60 + (0.5 * moved).fillna(0.0).cumsum()
    matrix = HedgeMatrix.fit(prices, trans_cov=1e-5)
    chosen = {
        bars: by_ticker(matrix.orders({"A": 100}, instrument=["SPY", "QQQ"], lot=0.0, best_over=bars))["target"]
        for bars in (20, 180)
    }
    assert chosen[20]["QQQ"] == 0.0 != chosen[20]["SPY"]
    assert chosen[180]["SPY"] == 0.0 != chosen[180]["QQQ"]


def test_a_position_may_name_its_own_instrument(matrix) -> None:
    book = pd.DataFrame({"ticker": ["A", "C"], "shares": [100, 100], "instrument": ["", "QQQ"]})
    made = by_ticker(matrix.orders(book, instrument="SPY", lot=0.0))
    assert made.loc["QQQ", "target"] == pytest.approx(-100 * matrix.beta.loc["C", "QQQ"])
    assert made.loc["SPY", "target"] == pytest.approx(-100 * matrix.beta.loc["A", "SPY"])
    alone = matrix.orders(book)
    assert alone.attrs["unhedged"] == {"A": "no hedge instrument is named for it"}


@pytest.mark.parametrize("lot", [1.0, 10.0, 100.0])
def test_orders_are_whole_lots_as_near_as_they_come(matrix, lot) -> None:
    made = by_ticker(matrix.orders({"A": 1234, "SPY": -7}, instrument="SPY", lot=lot)).loc["SPY"]
    exact = -1234 * matrix.beta.loc["A", "SPY"]
    assert made["trade"] % lot == 0.0
    assert abs(made["target"] - exact) <= lot / 2
    assert made["target"] == made["held"] + made["trade"]


def test_an_order_below_the_smallest_is_left_out_and_said(matrix) -> None:
    kept = by_ticker(matrix.orders({"A": 10}, instrument="SPY", smallest=0.0)).loc["SPY"]
    size = abs(kept["dollars"])
    left = matrix.orders({"A": 10}, instrument="SPY", smallest=size + 1)
    assert by_ticker(left).loc["SPY", ["trade", "dollars", "target"]].tolist() == [0.0, 0.0, 0.0]
    assert "below the smallest order" in left.attrs["notes"][0]
    assert by_ticker(matrix.orders({"A": 10}, instrument="SPY", smallest=size)).loc["SPY", "trade"] == kept["trade"]


def test_the_hedge_of_a_position_without_a_price_stays() -> None:
    """Without a price today A asks for no hedge; selling what was its hedge yesterday would leave it bare."""
    prices = make_prices()
    prices.iloc[-1, 0] = np.nan
    matrix = HedgeMatrix.fit(prices, trans_cov=1e-5)
    made = matrix.orders({"A": 1000, "B": 100, "SPY": -900}, instrument="SPY")
    assert by_ticker(made).loc["SPY", ["held", "target", "trade"]].tolist() == [-900.0, -900.0, 0.0]
    assert made.attrs["notes"] == [
        "SPY: no order. The -900 shares held may hedge A, which cannot be judged on this bar, so they stay as they are"
    ]
    assert "for 1 of 2 positions" in orders_section(made, "2024-06-14").text
    # where nothing is held of it, nothing can be A's hedge
    free = by_ticker(matrix.orders({"A": 1000, "B": 100}, instrument="SPY", lot=0.0))
    assert free.loc["SPY", "trade"] == pytest.approx(-100.0 * matrix.beta.loc["B", "SPY"])
    own = pd.DataFrame({"ticker": ["A", "QQQ", "SPY"], "shares": [10, 5, 7], "instrument": ["QQQ", "", ""]})
    left = by_ticker(matrix.orders(own, instrument="SPY"))
    assert left["trade"].to_dict() == {"A": 0.0, "QQQ": 0.0, "SPY": -7.0}


def test_what_cannot_be_hedged_is_named_with_the_reason() -> None:
    prices = make_prices()
    prices.iloc[-1, 1] = np.nan
    prices.iloc[:-1, 2] = np.nan
    made = HedgeMatrix.fit(prices).orders({"A": 10, "B": 10, "C": 10}, instrument="SPY")
    assert made.attrs["unhedged"] == {
        "B": f"no price on {prices.index[-1].date()}",
        "C": "no hedge ratio: fewer than two common bars with SPY",
    }
    assert by_ticker(made).loc[["B", "C"], "ratio"].isna().all()


BAD = {
    "unknown ticker": ("ticker,shares\nA,10\nZZZ,5\n", "'ZZZ'"),
    "no number": ("ticker,shares\nA,ten\n", "'ten'"),
    "no shares": ("ticker,shares\nA,\n", "nothing as the shares"),
    "infinite": ("ticker,shares\nA,inf\n", "'inf'"),
    "thousands": ('ticker,shares\nA,"1,000"\n', "'1,000'"),
    "twice": ("ticker,shares\nA,10\nB,1\nA,5\n", "after row 1"),
    "after the prices": ("ticker,shares,date\nA,10,2031-01-01\n", "2031-01-01"),
    "no date": ("ticker,shares,date\nA,10,soon\n", "'soon'"),
    "own instrument without a price": ("ticker,shares,instrument\nA,10,QQQ\n", "no price on"),
    "unknown instrument": ("ticker,shares,instrument\nA,10,ZZZ\n", "'ZZZ'"),
    "hedge that is hedged": ("ticker,shares,instrument\nA,10,SPY\nSPY,5,B\n", "SPY"),
    "no columns": ("name,amount\nA,10\n", "lack ticker and shares"),
    "no rows": ("ticker,shares\n", "no row"),
    "no ticker": ("ticker,shares\n,10\n", "no ticker"),
    "nothing": ("", "cannot be read"),
}


def digests(folder) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir()) if p.name != ".lock"}


@pytest.fixture
def morning(tmp_path):
    """A matrix in a folder, and a bar that has no price of QQQ."""
    prices = make_prices()
    prices.iloc[-1, 4] = np.nan
    prices.iloc[:-1].to_csv(tmp_path / "prices.csv")
    prices.iloc[-1:].to_csv(tmp_path / "today.csv")
    made = call("hedge", tmp_path / "prices.csv", "--trans-cov", "1e-5", "--out", tmp_path / "m")
    assert made.code == 0, made.err
    return tmp_path


@pytest.mark.parametrize("what", BAD)
def test_a_bad_inventory_is_one_paragraph_and_changes_nothing(morning, what) -> None:
    text, message = BAD[what]
    (morning / "inventory.csv").write_text(text)
    before = digests(morning / "m")
    said = call(
        "hedge", "--update", morning / "today.csv", "--positions", morning / "inventory.csv", "--instrument", "SPY",
        "--out", morning / "m",
    )  # fmt: skip
    assert said.code == 3
    assert is_one_paragraph(said.err), said.err
    assert message in said.err
    assert digests(morning / "m") == before


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--instrument", "QQQ"], 3, "no price on"),
        (["--instrument", "ZZZ"], 3, "not in the matrix"),
        ([], 3, "No hedge instrument is named"),
        (["--instrument", "SPY", "--lot", "-1"], 2, "lot"),
        (["--instrument", "SPY", "--best-over", "3"], 2, "best_over"),
    ],
)
def test_a_bad_instrument_or_option_changes_nothing(morning, options, code, message) -> None:
    (morning / "inventory.csv").write_text("ticker,shares\nA,10\n")
    before = digests(morning / "m")
    said = call(
        "hedge", "--update", morning / "today.csv", "--positions", morning / "inventory.csv", "--out", morning / "m",
        *options,
    )  # fmt: skip
    assert said.code == code
    assert is_one_paragraph(said.err), said.err
    assert message in said.err
    assert digests(morning / "m") == before


def test_the_command_writes_orders_of_the_updated_matrix_and_a_section(morning) -> None:
    (morning / "inventory.csv").write_text("ticker,shares,instrument,date\nA,1000,,2024-01-02\nB,-200,SPY,\nC,5,,\n")
    arguments = ["--positions", morning / "inventory.csv", "--instrument", "SPY", "--out", morning / "m"]
    said = call("hedge", "--update", morning / "today.csv", *arguments)
    assert said.code == 0, said.err
    stored = pd.read_csv(morning / "m" / "orders.csv")
    matrix = HedgeMatrix.load(morning / "m")
    assert matrix.last_bar == str(make_prices().index[-1].date())
    wanted = matrix.orders({"A": 1000, "B": -200, "C": 5}, instrument="SPY")
    pd.testing.assert_frame_equal(stored, wanted, check_dtype=False)
    page = (morning / "m" / "matrix.html").read_text()
    assert "<h2>Orders</h2>" in page
    assert "1 order at the prices of" in page
    # again, without new bars: the same bytes
    before = digests(morning / "m")
    assert call("hedge", *arguments).code == 0
    assert digests(morning / "m")["orders.csv"] == before["orders.csv"]
    # orders are of one bar: a matrix that goes on without an inventory has none
    assert call("hedge", "--out", morning / "m").code == 0
    assert not (morning / "m" / "orders.csv").exists()
    assert "<h2>Orders</h2>" not in (morning / "m" / "matrix.html").read_text()


def test_instruments_without_positions_are_a_mistake(morning) -> None:
    said = call("hedge", "--update", morning / "today.csv", "--instrument", "SPY", "--out", morning / "m")
    assert said.code == 2
    assert "--positions" in said.err


@pytest.mark.parametrize("positions", [[("A", 1)], 5, pd.DataFrame({"ticker": ["A"], "shares": [True]})])
def test_python_positions_that_are_none_are_refused(matrix, positions) -> None:
    with pytest.raises(DataError):
        matrix.orders(positions, instrument="SPY")


@pytest.mark.parametrize("header", ["symbol,quantity", "Symbol;Qty", "Ticker\tShares", "ticker|shares"])
def test_an_inventory_as_a_broker_writes_it(header: str, tmp_path: Path) -> None:
    mark = next(mark for mark in ",;\t|" if mark in header)
    path = tmp_path / "inventory.csv"
    path.write_text(f"{header}\nA{mark}100\nB{mark}-250\n")
    assert read_positions(positions_from_csv(path), NAMES, "2024-06-01") == [
        Position("A", 100.0),
        Position("B", -250.0),
    ]


def test_two_columns_for_the_shares_are_refused() -> None:
    frame = pd.DataFrame({"symbol": ["A"], "quantity": [1], "qty": [2]})
    with pytest.raises(DataError, match="have a column twice"):
        read_positions(frame, NAMES, "2024-06-01")
    with pytest.raises(DataError, match=r"lack shares.*symbol and quantity.*rename"):
        read_positions(frame[["symbol"]].assign(count=1), NAMES, "2024-06-01")
