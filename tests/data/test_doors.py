"""Every shape in which people have prices, made as the program that writes it does, and read by the one door."""

from __future__ import annotations

import gzip
import io
import pickle
import re
import shutil
import sys
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

import pairs_bt
from pairs_bt.data.prices import PriceData, read_prices
from pairs_bt.errors import DataError
from tests.bad_inputs import good_frame
from tests.cli_tools import SHORT, call

FIELDS = ["Close", "High", "Low", "Open", "Volume"]


def closes(days: int = 60) -> pd.DataFrame:
    return good_frame(days).set_axis(["KO", "PEP", "BRK-B"], axis=1).rename_axis(index="Date")


def bars(adjusted: bool = False) -> dict[str, pd.DataFrame]:
    """Open, high, low, close and volume of each ticker; what the door should take is `closes`."""
    out = {}
    for name, close in closes().items():
        frame = pd.DataFrame({"Open": close * 0.99, "High": close * 1.02, "Low": close * 0.98, "Close": close})
        if adjusted:
            frame["Close"] = close * 1.01
            frame["Adj Close"] = close
        frame["Volume"] = 1000 * np.arange(1, len(close) + 1)
        out[str(name)] = frame
    return out


def yfinance(group_by: str = "column", adjusted: bool = False) -> pd.DataFrame:
    """What yfinance.download gives: levels (Price, Ticker), or (Ticker, Price) with group_by='ticker'."""
    frame = pd.concat(bars(adjusted), axis=1, names=["Ticker", "Price"])
    if group_by == "column":
        frame = frame.swaplevel(axis=1).sort_index(axis=1)
    return frame


def assert_is_closes(data: PriceData, rows: int = 60) -> None:
    want = closes().iloc[:rows]
    got = data.prices[list(want.columns)]
    assert sorted(data.prices.columns) == sorted(want.columns)
    assert list(got.index) == list(want.index)
    np.testing.assert_array_equal(got.to_numpy(), want.to_numpy())


def field_note(data: PriceData) -> str:
    (note,) = [note for note in data.notes if note.rule == "field"]
    assert note.kind == "taken"
    return note.text


# ------------------------------------------------------------------------------------------------- yfinance


@pytest.mark.parametrize("group_by", ["column", "ticker"])
@pytest.mark.parametrize("adjusted", [False, True])
@pytest.mark.parametrize("form", ["frame", "csv", "parquet", "excel", "unnamed csv", "feather"])
def test_yfinance(group_by: str, adjusted: bool, form: str, tmp_path: Path) -> None:
    frame = yfinance(group_by, adjusted)
    source: Any = tmp_path / f"prices.{form}"
    if form == "frame":
        source = frame
    elif form == "csv":
        frame.to_csv(source)
        assert source.read_text().startswith("Price,Close," if group_by == "column" and not adjusted else "")
    elif form == "unnamed csv":  # older versions name no level
        frame.rename_axis([None, None], axis=1).to_csv(source)
    elif form == "parquet":
        frame.to_parquet(source)
        assert any("('" in name for name in pq.read_schema(source).names)
    elif form == "feather":
        flat = frame.reset_index()
        flat.columns = [str(tuple(name)) for name in flat.columns]
        flat.to_feather(source)
    else:
        source = tmp_path / "prices.xlsx"
        frame.to_excel(source)
    data = read_prices(source)
    assert_is_closes(data)
    text = field_note(data)
    assert ("'Adj Close'" if adjusted else "'Close'") in text
    assert ("no adjusted close" in text) is not adjusted
    opens = read_prices(source, field="open")
    # openpyxl writes sixteen digits, as Excel does
    np.testing.assert_allclose(opens.prices["KO"], bars()["KO"]["Open"], rtol=1e-15 if form == "excel" else 0)
    assert "'Open' was taken" in field_note(opens)


def test_a_frame_with_two_header_rows_only(tmp_path: Path) -> None:
    """Without a name of the index pandas writes no third row."""
    yfinance().rename_axis(index=None).rename_axis([None, None], axis=1).to_csv(tmp_path / "p.csv")
    assert (tmp_path / "p.csv").read_text().splitlines()[2].startswith("2020-01-01")
    assert_is_closes(read_prices(tmp_path / "p.csv"))


@pytest.mark.parametrize("form", ["frame", "csv", "parquet", "flat csv"])
def test_one_ticker_is_refused_with_the_way_out(form: str, tmp_path: Path) -> None:
    frame = yfinance().xs("KO", level="Ticker", axis=1, drop_level=form == "flat csv")
    source: Any = tmp_path / "ko"
    if form == "frame":
        source = frame
    elif form == "parquet":
        frame.to_parquet(source)
    else:
        frame.to_csv(source)
    with pytest.raises(DataError, match=r"folder"):
        read_prices(source)


def test_fields_that_only_some_have_are_refused() -> None:
    frame = yfinance("ticker", adjusted=True).drop(columns=[("KO", "Adj Close")])
    with pytest.raises(DataError, match=r"mix fields: 'KO' has no 'Adj Close'.*field='close'"):
        read_prices(frame)
    assert read_prices(frame, field="close").prices.shape == (60, 3)


def test_a_field_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(DataError, match=r"have the fields .*open.*'vwap' was asked for.*--set data\.field="):
        read_prices(yfinance(), field="vwap")
    (note,) = read_prices(closes(), field="open").notes
    assert "has no fields" in note.text


def test_other_levels_are_refused() -> None:
    frame = pd.concat({"x": closes()}, axis=1)
    with pytest.raises(DataError, match=r"neither is one of fields.*droplevel"):
        read_prices(frame)
    with pytest.raises(DataError, match="columns of 3 levels"):
        read_prices(pd.concat({"y": frame}, axis=1))


def test_stacked_frames(tmp_path: Path) -> None:
    stacked = pd.concat(bars(), names=["Ticker", "Date"])
    for frame in (stacked, stacked.swaplevel(), stacked.swaplevel().sort_index(), stacked.reset_index()):
        assert_is_closes(read_prices(frame))
    assert_is_closes(read_prices(stacked["Close"]))
    assert_is_closes(read_prices(stacked["Close"].rename(None).rename_axis([None, None])))
    stacked.to_parquet(tmp_path / "named.parquet")
    stacked[["Close"]].rename_axis([None, None]).to_parquet(tmp_path / "unnamed.parquet")
    stacked.to_csv(tmp_path / "p.csv")
    for path in tmp_path.iterdir():
        assert_is_closes(read_prices(path))


# ------------------------------------------------------------------------------------- joined names, mixtures


@pytest.mark.parametrize("join", ["{f} {t}", "{t} {f}", "{t}_{f}", "{f}.{t}", "{t}|{f}"])
def test_fields_joined_to_tickers(join: str, tmp_path: Path) -> None:
    wide = pd.concat({join.format(f=f, t=t): frame[f] for t, frame in bars(True).items() for f in frame}, axis=1)
    wide.to_csv(tmp_path / "p.csv")
    for source in (wide, tmp_path / "p.csv"):
        data = read_prices(source)
        assert_is_closes(data)
        assert "'adj close' was taken" in field_note(data)


def test_mixed_columns_are_refused_by_name_and_order() -> None:
    wide = closes().assign(**{"KO High": closes()["KO"] * 1.01, "KO Low": closes()["KO"] * 0.99})
    with pytest.raises(DataError, match=r"mix fields.*KO High, KO Low.*frame\.drop\(columns=\['KO High', 'KO Low'\]\)"):
        read_prices(wide)
    wide["KO High"] = closes()["PEP"] * 0.01
    with pytest.raises(DataError, match=r"high >= close >= low holds in only 0 of 60"):
        read_prices(wide)
    two = pd.concat({f"{f} KO": frame for f, frame in bars()["KO"].items()}, axis=1).assign(PEP=closes()["PEP"])
    with pytest.raises(DataError, match=r"'PEP' has no field"):
        read_prices(two)


def test_real_tickers_that_are_words_stay_tickers() -> None:
    frame = closes().set_axis(["LOW", "OPEN", "LOW US Equity"], axis=1)
    assert list(read_prices(frame).prices.columns) == ["LOW", "OPEN", "LOW US Equity"]


@pytest.mark.parametrize(
    "name",
    [
        "Volume",
        "volume",
        "VOLUME",
        "Vol.",
        "Adj Close",
        "Close",
        "CLOSE",
        "Open",
        "High",
        "Low",
        "low",
        "vwap",
        "Turnover",
        "Dividends",
        "Stock Splits",
        "OpenInt",
        "Returns",
        "Change %",
        "Year",
        "Unnamed: 0",
        "index",
        "KO Volume",
        "KO_Close",
        "Volume KO",
        "SPY_volume",
        "SPY Adj Close",
        "KO High",
    ],
)
def test_a_field_beside_prices_is_no_ticker(name: str, tmp_path: Path) -> None:
    wide = closes().assign(**{name: 1000.0 + np.arange(60) % 7})
    wide.to_csv(tmp_path / "p.csv")
    for source in (wide, tmp_path / "p.csv", wide[[name, "KO", "PEP"]]):
        with pytest.raises(DataError, match=rf"column {re.escape(repr(name))}, beside 'KO'.*frame\.drop\(columns="):
            read_prices(source)


def test_fields_of_several_tickers_without_a_close_are_refused() -> None:
    frames = {"KO Open": closes()["KO"], "KO High": closes()["KO"], "PEP Open": closes()["PEP"]}
    with pytest.raises(DataError, match=r"'KO Open'.*field open of 'KO'"):
        read_prices(pd.DataFrame(frames))
    with pytest.raises(DataError, match=r"field volume of 'KO'"):
        read_prices(closes().add_suffix("_Volume"))
    assert read_prices(closes().add_suffix("_Close")).prices.shape == (60, 3)


def test_a_row_number_before_the_dates_is_named(tmp_path: Path) -> None:
    closes().reset_index().to_csv(tmp_path / "p.csv")
    with pytest.raises(DataError, match=r"begin with the column '', which is a row number.*index=False"):
        read_prices(tmp_path / "p.csv")


@pytest.mark.parametrize(
    "names",
    [
        ["KO", "PEP", "LOW"],
        ["KO", "LOW", "OPEN"],
        ["HIGH", "BTC", "ETH"],
        ["DAY", "KO", "PEP"],
        ["High Yield", "Low Vol", "Investment Grade"],
        ["Gold Price", "Silver", "Platinum"],
        ["US Value", "US", "US Growth"],
    ],
)
def test_names_that_only_resemble_fields_stay_tickers(names: list[str]) -> None:
    assert list(read_prices(closes().set_axis(names, axis=1)).prices.columns) == names


def test_bars_in_capitals_are_fields() -> None:
    with pytest.raises(DataError, match="mix fields with prices"):
        read_prices(bars()["KO"][["Open", "High", "Low"]].rename(columns=str.upper))
    with pytest.raises(DataError, match="bars of one ticker"):
        read_prices(bars()["KO"].rename(columns=str.upper))


# ------------------------------------------------------------------------------------------------- folders


def stooq(name: str, frame: pd.DataFrame) -> str:
    """A file of Stooq's bulk download (d_us_txt.zip)."""
    lines = ["<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>"]
    for day, row in frame.iterrows():
        cells = ",".join(repr(float(row[f])) for f in ("Open", "High", "Low", "Close", "Volume"))
        lines.append(f"{name}.US,D,{day:%Y%m%d},000000,{cells},0")
    return "\r\n".join(lines) + "\r\n"


def test_a_folder_of_csv_files(tmp_path: Path) -> None:
    for name, frame in bars(True).items():
        frame.to_csv(tmp_path / f"{name}.csv")
    (tmp_path / "README.md").write_text("not prices")
    (tmp_path / ".hidden.csv").write_text("x")
    data = read_prices(tmp_path)
    assert list(data.prices.columns) == ["BRK-B", "KO", "PEP"]  # in the order of the files' names
    assert_is_closes(data)
    assert "'Adj Close' was taken" in field_note(data)
    assert read_prices(tmp_path).source == data.source
    np.testing.assert_array_equal(read_prices(tmp_path, field="high").prices["KO"], bars(True)["KO"]["High"])
    (tmp_path / "EMPTY.csv").write_text("")
    assert [note.kind for note in read_prices(tmp_path).notes if note.rule == "empty_file"] == ["left_out"]


def test_the_order_of_files_on_the_disk_does_not_count(tmp_path: Path) -> None:
    for k, order in enumerate((["KO", "PEP", "BRK-B"], ["BRK-B", "PEP", "KO"])):
        (tmp_path / str(k)).mkdir()
        for name in order:
            bars()[name].to_csv(tmp_path / str(k) / f"{name}.csv")
    one, two = read_prices(tmp_path / "0"), read_prices(tmp_path / "1")
    pd.testing.assert_frame_equal(one.prices, two.prices)
    assert one.source["sha256"] == two.source["sha256"]


def test_stooq(tmp_path: Path) -> None:
    for name, frame in bars().items():
        place = tmp_path / "data" / "daily" / "us" / ("nyse stocks" if name == "KO" else "nasdaq stocks")
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{name.lower()}.us.txt").write_text(stooq(name, frame), newline="")
    data = read_prices(tmp_path)
    assert sorted(data.prices.columns) == ["BRK-B.US", "KO.US", "PEP.US"]
    np.testing.assert_array_equal(data.prices["KO.US"], closes()["KO"])
    with pytest.raises(DataError, match=r"1 ticker \('KO.US'\).*folder"):
        read_prices(tmp_path / "data/daily/us/nyse stocks/ko.us.txt")
    for path in tmp_path.rglob("*.txt"):
        path.unlink()
    for name, frame in bars().items():  # its files of one ticker
        frame[["Open", "High", "Low", "Close", "Volume"]].to_csv(tmp_path / f"{name.lower()}_us_d.csv")
    assert sorted(read_prices(tmp_path).prices.columns) == ["brk-b_us_d", "ko_us_d", "pep_us_d"]


def test_adjusted_closes_beside_plain_ones_are_refused(tmp_path: Path) -> None:
    bars(True)["KO"].to_csv(tmp_path / "KO.csv")
    bars()["PEP"].to_csv(tmp_path / "PEP.csv")
    with pytest.raises(DataError, match=r"'KO.csv' has an adjusted close, 'PEP.csv' has none.*data\.field=close"):
        read_prices(tmp_path)
    assert read_prices(tmp_path, field="close").prices.shape == (60, 2)


def test_folders_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    bars()["KO"].to_csv(tmp_path / "KO.csv")
    bars()["KO"].to_parquet(tmp_path / "KO.parquet")
    with pytest.raises(DataError, match="two files of ticker 'KO'"):
        read_prices(tmp_path)
    (tmp_path / "KO.parquet").unlink()
    closes().to_csv(tmp_path / "wide.csv")
    with pytest.raises(DataError, match=r"'KO.csv'.*'wide.csv'.*files of one kind"):
        read_prices(tmp_path)
    with pytest.raises(DataError, match="limits are"):
        read_prices(tmp_path, max_bytes=100)
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="no price files"):
        read_prices(tmp_path / "none")


def test_hive_parquet(tmp_path: Path) -> None:
    long = closes().reset_index().melt("Date", var_name="symbol", value_name="close").rename(columns={"Date": "date"})
    pq.write_to_dataset(pa.Table.from_pandas(long, preserve_index=False), tmp_path / "a", partition_cols=["symbol"])
    long["year"] = long["date"].dt.year
    pq.write_to_dataset(pa.Table.from_pandas(long, preserve_index=False), tmp_path / "b", partition_cols=["year"])
    wide = closes().reset_index()
    wide["month"] = wide["Date"].dt.month
    pq.write_to_dataset(pa.Table.from_pandas(wide, preserve_index=False), tmp_path / "c", partition_cols=["month"])
    duckdb.sql("select * from long").write_parquet(str(tmp_path / "d"), partition_by=["symbol"])
    (tmp_path / "a" / "_SUCCESS").write_text("")
    for name in "abcd":
        assert_is_closes(read_prices(tmp_path / name))


# ------------------------------------------------------------------------------------------------- long tables


def databento(frames: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """What DBNStore.to_df() gives of the schema ohlcv-1d."""
    parts = []
    for number, (name, frame) in enumerate(frames.items()):
        low = frame.rename(columns=str.lower)[["open", "high", "low", "close", "volume"]]
        low.insert(0, "rtype", 35)
        low.insert(1, "publisher_id", 2)
        low.insert(2, "instrument_id", number)
        parts.append(low.assign(symbol=name))
    out = pd.concat(parts)
    out.index = out.index.astype("datetime64[ns]").tz_localize("UTC").rename("ts_event")
    return out.sort_index(kind="stable")


def test_databento(tmp_path: Path) -> None:
    frame = databento(bars())
    frame.to_parquet(tmp_path / "p.parquet")
    frame.to_csv(tmp_path / "p.csv")
    raw = frame.reset_index()
    raw["ts_event"] = raw["ts_event"].astype("int64")  # pretty_ts off: nanoseconds
    raw.to_csv(tmp_path / "raw.csv", index=False)
    assert len(str(raw["ts_event"].iloc[0])) == 19
    for source in (frame, *sorted(tmp_path.iterdir())):
        data = read_prices(source)
        assert_is_closes(data)
        assert "'close' was taken" in field_note(data)


@pytest.mark.parametrize("price", ["close", "adj_close", "Adj Close", "price"])
@pytest.mark.parametrize("ticker", ["ticker", "Symbol"])
def test_long_tables(price: str, ticker: str, tmp_path: Path) -> None:
    long = closes().reset_index().melt("Date", var_name=ticker, value_name=price)
    long.to_csv(tmp_path / "p.csv", index=False)
    for source in (long, tmp_path / "p.csv", pl.from_pandas(long), pa.Table.from_pandas(long)):
        data = read_prices(source)
        assert_is_closes(data)
        assert data.notes == ()


@pytest.mark.parametrize(
    ("ticker", "price"),
    [("asset", "close"), ("isin", "close"), ("Name", "close"), ("security", "PX_LAST"), ("ticker", "last"),
     ("symbol", "value"), ("instrument", "settle")],
)  # fmt: skip
def test_long_tables_by_other_names(ticker: str, price: str, tmp_path: Path) -> None:
    long = closes().reset_index().melt("Date", var_name=ticker, value_name=price)
    long.to_csv(tmp_path / "p.csv", index=False)
    for source in (long, tmp_path / "p.csv"):
        assert_is_closes(read_prices(source))


def test_the_ticker_goes_before_the_name(tmp_path: Path) -> None:
    long = closes().reset_index().melt("Date", var_name="ticker", value_name="close")
    long.insert(1, "name", "a long name")
    assert_is_closes(read_prices(long))


def test_a_long_table_by_unknown_names_is_called_one(tmp_path: Path) -> None:
    long = closes().reset_index().melt("Date", var_name="paper", value_name="quote")
    long.to_csv(tmp_path / "p.csv", index=False)
    for source in (long, tmp_path / "p.csv", long.assign(close=1.0, volume=2.0)):
        with pytest.raises(DataError, match=r"long table.*Rename 'paper' to 'ticker', and 'quote'.*'close'") as caught:
            read_prices(source)
        assert "Keep one row" not in str(caught.value)


def test_files_of_investing_com(tmp_path: Path) -> None:
    for name, frame in bars().items():
        rows = frame.iloc[::-1]
        columns = {"Date": rows.index.strftime("%m/%d/%Y"), "Price": rows["Close"].map("{:,.2f}".format)}
        columns |= {field: rows[field].map("{:,.2f}".format) for field in ("Open", "High", "Low")}
        table = pd.DataFrame(columns | {"Vol.": "9.23M", "Change %": "-0.51%"})
        table.to_csv(tmp_path / f"{name} Historical Data.csv", index=False, quoting=1, encoding="utf-8-sig")
    data = read_prices(tmp_path)
    assert list(data.prices.columns) == ["BRK-B", "KO", "PEP"]
    np.testing.assert_allclose(data.prices["KO"], closes()["KO"], atol=0.0051)
    assert "'Price' was taken out of" in field_note(data)
    with pytest.raises(DataError, match="bars of one ticker"):
        read_prices(tmp_path / "KO Historical Data.csv")


def within_the_day() -> pd.DataFrame:
    days = np.repeat(closes().index[:20].to_numpy(), 3)
    stamps = days + np.tile(np.array([9, 10, 15], "timedelta64[h]") + np.timedelta64(30, "m"), 20)
    return closes().set_axis(pd.DatetimeIndex(stamps, name="stamp"))


@pytest.mark.parametrize("clock", ["%H:%M", "%H:%M:%S", "%H%M%S", "%H%M"])
def test_dates_and_times_in_two_columns(clock: str, tmp_path: Path) -> None:
    want = within_the_day()
    stamps = {"date": want.index.strftime("%Y-%m-%d"), "time": want.index.strftime(clock)}
    if clock == "%H%M":
        stamps["time"] = stamps["time"].str.lstrip("0")  # as a spreadsheet leaves 0930
    table = pd.DataFrame(stamps).join(want.reset_index(drop=True))
    table.to_csv(tmp_path / "p.csv", index=False)
    (tmp_path / "long").mkdir()
    for k, name in enumerate(want.columns):
        lines = pd.DataFrame({f"<{n.upper()}>": v for n, v in stamps.items()}).assign(**{"<CLOSE>": table[name]})
        lines.insert(0, "<TICKER>", name)
        lines.to_csv(tmp_path / "long" / f"{k}.txt", index=False)
    for source in (table, tmp_path / "p.csv", tmp_path / "long"):
        data = read_prices(source)
        assert list(data.prices.index) == list(want.index)
        np.testing.assert_array_equal(data.prices[want.columns], want)


def test_times_that_cannot_be_read_are_named_and_the_ticker_TIME_is_one() -> None:
    table = within_the_day().reset_index(names="date").assign(time="9.30")
    table["date"] = table["date"].dt.strftime("%Y-%m-%d")
    with pytest.raises(DataError, match=r"column 'time', times; '9\.30' in data row 1.*HH:MM:SS"):
        read_prices(table)
    assert "TIME" in read_prices(closes().assign(TIME=np.arange(60) + 1000).reset_index()).prices.columns


@pytest.mark.parametrize(("unit", "digits"), [("s", 10), ("ms", 13), ("us", 16), ("ns", 19)])
@pytest.mark.parametrize("name", ["time", "Open time", "unix"])
def test_time_since_1970(unit: str, digits: int, name: str, tmp_path: Path) -> None:
    frame = closes().set_axis(closes().index.as_unit(unit).astype("int64"))
    assert len(str(frame.index[0])) == digits
    frame.to_csv(tmp_path / "p.csv", index_label=name)
    assert_is_closes(read_prices(tmp_path / "p.csv"))
    text = (tmp_path / "p.csv").read_text().replace(f"\n{frame.index[3]}", "\n2020-01-06")
    with pytest.raises(DataError, match=r"written in two ways: .* and '2020-01-06'"):
        read_prices(written(text, tmp_path))


@pytest.mark.parametrize("name", ["<DTYYYYMMDD>", "window_start", "time"])
def test_dates_by_other_names(name: str, tmp_path: Path) -> None:
    long = closes().reset_index().melt("Date", var_name="ticker", value_name="close").rename(columns={"Date": name})
    form = (
        long[name].astype("datetime64[ns]").astype("int64")
        if name != "<DTYYYYMMDD>"
        else long[name].dt.strftime("%Y%m%d")
    )
    long.assign(**{name: form})[["ticker", name, "close"]].to_csv(tmp_path / "p.csv", index=False)
    assert_is_closes(read_prices(tmp_path / "p.csv"))


@pytest.mark.parametrize(
    "title", ["Prices of my universe", "# made by me", "https://www.CryptoDataDownload.com", "A\n\nB"]
)
def test_a_title_above_the_table_is_shown(title: str, tmp_path: Path) -> None:
    text = f"{title}\n{closes().to_csv()}"
    line = len(title.split("\n")) + 1
    with pytest.raises(
        DataError, match=rf"first line is '{title.splitlines()[0]}'.*begins in line {line}\. Remove the lines"
    ):
        read_prices(written(text, tmp_path))


def test_a_title_in_a_workbook_is_shown(tmp_path: Path) -> None:
    with pd.ExcelWriter(tmp_path / "p.xlsx") as book:
        closes().to_excel(book, startrow=2)
        book.sheets["Sheet1"]["A1"] = "Prices of my universe"
    with pytest.raises(DataError, match=r"begins with a title, 'Prices of my universe'.*Remove the lines"):
        read_prices(tmp_path / "p.xlsx")


def test_the_line_that_names_the_separator_is_passed_over(tmp_path: Path) -> None:
    data = read_prices(written("sep=;\n" + closes().to_csv(sep=";"), tmp_path))
    assert_is_closes(data)
    assert [note.kind for note in data.notes if note.rule == "separator_line"] == ["repaired"]


def test_json_where_a_config_stands_is_prices_that_are_no_table(tmp_path: Path) -> None:
    closes().to_json(tmp_path / "prices.json", date_format="iso")
    for command in ("run", "validate"):
        said = call(command, tmp_path / "prices.json")
        assert said.code == 3
        assert "is not a table but JSON" in said.err
        assert "pandas.read_json(" in said.err


def test_an_error_in_a_folder_names_the_file(tmp_path: Path) -> None:
    for name, frame in bars().items():
        frame.to_csv(tmp_path / f"{name}.csv")
    good = (tmp_path / "KO.csv").read_text()
    day = str(closes().index[5].date())
    for wrong, words in (
        (good.replace(f"\n{day}", "\nsoon"), "'soon' where a date is expected"),
        (good.replace(f"\n{day}", "\n06/01/2020"), "written in two ways"),
        (re.sub(rf"\n{day},.*", f"\n{day},1,1,1,oops,1", good), "has text 'oops' as its price"),
        (good.replace("-", "/"), "written in two ways"),
    ):
        (tmp_path / "KO.csv").write_text(wrong)
        with pytest.raises(DataError, match=rf"^File 'KO\.csv' of the folder .*{words}"):
            read_prices(tmp_path)
    (tmp_path / "KO.csv").write_text(good)
    for dates in ({"start": "2031-01-01"}, {"start": "2020-02-01", "end": "2020-01-01"}, {"start": "soon"}):
        with pytest.raises(DataError, match=r"^(No prices are left|start )"):
            read_prices(tmp_path, **dates)


def test_a_stray_text_in_a_folder_is_named_with_the_way_out(tmp_path: Path) -> None:
    for name, frame in bars().items():
        frame.to_csv(tmp_path / f"{name}.csv")
    (tmp_path / "README.txt").write_text("hello\n")
    with pytest.raises(DataError, match=r"README\.txt'.*move it out of the folder"):
        read_prices(tmp_path)
    (tmp_path / "README.txt").rename(tmp_path / "_README.txt")
    assert_is_closes(read_prices(tmp_path))


# ------------------------------------------------------------------------------------------ dots of thousands

GERMAN = "Datum;DAX;AU\n02.01.2018;12.042;1.295\n03.01.2018;12.050;1.301\n"


def written(text: str, folder: Path) -> Path:
    path = folder / "p.csv"
    path.write_text(text)
    return path


def test_three_places_in_a_german_file_are_ambiguous(tmp_path: Path) -> None:
    for text in (GERMAN, GERMAN.replace(";", ","), re.sub(r"(\d+)\.(\d+)\.(\d+);", r"\3-\2-\1;", GERMAN)):
        with pytest.raises(DataError, match=r"'12\.042' is ambiguous.*its dot marks decimals or thousands"):
            read_prices(written(text, tmp_path))


@pytest.mark.parametrize(
    ("more", "first"),
    [
        (["985", "1.001"], [12042.0, 1295.0, 985.0]),  # a price that crosses a thousand
        (["20,37", "20,40"], [12042.0, 1295.0, 20.37]),
        (["1.012.042", "1.013.000"], [12042.0, 1295.0, 1012042.0]),
        (["11.98", "12.1"], [12.042, 1.295, 11.98]),
        (["0.912", "0.913"], [12.042, 1.295, 0.912]),
    ],
)
def test_other_cells_settle_what_a_dot_is(more: list[str], first: list[float], tmp_path: Path) -> None:
    head, *rows = GERMAN.splitlines()
    text = "\n".join([f"{head};X", *(f"{row};{cell}" for row, cell in zip(rows, more, strict=True))])
    assert read_prices(written(text, tmp_path)).prices.iloc[0].tolist() == first


def test_dots_of_both_kinds_are_refused(tmp_path: Path) -> None:
    text = "d;A;B\n02.01.2018;1.012;20.5\n03.01.2018;985;21\n"
    with pytest.raises(
        DataError, match=r"mix decimal marks: '20.5' uses a dot, and in '1.012' the dot marks thousands"
    ):
        read_prices(written(text, tmp_path))


def test_three_decimals_in_an_ordinary_file_stay_decimals(tmp_path: Path) -> None:
    for cells in (["12.042,1.295", "12.050,1.301"], ["12.042,985", "11.98,1.301"], ["12.042,100", "12.1,99.875"]):
        text = "\n".join(["d,A,B", *(f"2018-01-0{2 + k},{row}" for k, row in enumerate(cells))])
        want = [float(cell) for cell in cells[0].split(",")]
        assert read_prices(written(text, tmp_path)).prices.iloc[0].tolist() == want
    # Settled it would turn the first row, which alone is read as 1.001, into a thousand.
    with pytest.raises(DataError, match=r"'1\.001' is ambiguous"):
        read_prices(written("d,A,B\n2018-01-02,12.042,1.001\n2018-01-03,12.050,985\n", tmp_path))


# --------------------------------------------------------------------------------------------- tables in memory


def streams() -> dict[str, Any]:
    frame = closes().reset_index()
    view = duckdb.connect().from_df(frame)
    return {
        "polars": pl.from_pandas(frame),
        "polars dates": pl.from_pandas(frame).with_columns(pl.col("Date").cast(pl.Date)),
        "polars text": pl.from_pandas(frame).with_columns(pl.col("Date").dt.strftime("%Y-%m-%d")),
        "polars long": pl.from_pandas(frame).unpivot(index="Date", variable_name="symbol", value_name="close"),
        "pyarrow": pa.Table.from_pandas(frame, preserve_index=False),
        "pyarrow with an index": pa.Table.from_pandas(closes()),
        "reader": pa.Table.from_pandas(frame, preserve_index=False).to_reader(),
        "duckdb": view,
        "duckdb long": view.query("t", 'unpivot t on "KO", "PEP", "BRK-B" into name symbol value close'),
    }


@pytest.mark.parametrize("name", list(streams()))
def test_anything_that_streams_arrow(name: str) -> None:
    assert_is_closes(read_prices(streams()[name]))


def test_what_is_no_table_says_what_to_pass() -> None:
    with pytest.raises(DataError, match=r"LazyFrame.*\.collect\(\)"):
        read_prices(pl.from_pandas(closes().reset_index()).lazy())
    for source in (closes().to_numpy(), [1, 2], {"KO": [1.0]}, 7, None):
        with pytest.raises(DataError, match=r"which is no table.*pandas\.DataFrame"):
            read_prices(source)
    with pytest.raises(DataError, match=r"cannot be read as a table|1 ticker|0 ticker"):
        read_prices(pl.Series("KO", [1.0, 2.0]))
    with pytest.raises(DataError, match="limit of 100"):
        read_prices(pl.from_pandas(closes().reset_index()), max_cells=100)
    data = read_prices(yfinance())
    assert read_prices(data) is data
    assert [note.rule for note in read_prices(data, end="2020-03-20").notes] == ["field", "end"]


# -------------------------------------------------------------------------------------------- packed, Excel, paths


def packed(kind: str, folder: Path) -> Path:
    text = closes().to_csv()
    path = folder / f"prices.{kind}"
    if kind == "csv.gz":
        path.write_bytes(gzip.compress(text.encode()))
    elif kind == "csv.zip":
        closes().to_csv(path)
        assert zipfile.is_zipfile(path)
    elif kind == "parquet.gz":
        stream = io.BytesIO()
        closes().to_parquet(stream)
        path.write_bytes(gzip.compress(stream.getvalue()))
    elif kind == "feather":
        closes().reset_index().to_feather(path)
    elif kind == "lz4.feather":
        feather.write_feather(closes().reset_index(), path, compression="lz4", chunksize=7)
    elif kind == "polars.feather":
        pl.from_pandas(closes().reset_index()).write_ipc(path, compression="zstd")
    elif kind == "xlsx":
        closes().to_excel(path)
    return path


KINDS = ["csv.gz", "csv.zip", "parquet.gz", "feather", "lz4.feather", "polars.feather", "xlsx"]


@pytest.mark.parametrize("kind", KINDS)
def test_packed_files_feather_and_excel(kind: str, tmp_path: Path) -> None:
    data = read_prices(packed(kind, tmp_path))
    assert_is_closes(data)
    assert data.notes == ()
    assert data.source["name"] == f"prices.{kind}"


@pytest.mark.parametrize("kind", [*KINDS, "parquet"])
def test_a_small_file_that_unpacks_to_much_is_refused(kind: str, tmp_path: Path) -> None:
    frame = pd.DataFrame(np.ones((40_000, 3)), pd.date_range("1900-01-01", periods=40_000, name="date"), list("ABC"))
    path = tmp_path / f"bomb.{kind}"
    limit = 200_000
    if kind.endswith("feather"):
        feather.write_feather(frame.reset_index(), path, compression="zstd")
    elif kind == "xlsx":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("xl/workbook.xml", "<" * 1_000_000)
    elif kind == "parquet":
        frame.to_parquet(path)
        limit = path.stat().st_size + 10
    elif kind == "csv.zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("p.csv", frame.to_csv())
    else:
        path.write_bytes(gzip.compress(frame.to_csv().encode()))
    limit = max(limit, path.stat().st_size + 10)
    with pytest.raises(DataError, match=r"unpacks to .* bytes.*limit is"):
        read_prices(path, max_bytes=limit)


def test_archives_that_are_no_single_table(tmp_path: Path) -> None:
    path = tmp_path / "p.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", "x")
        archive.writestr("b.csv", "x")
    with pytest.raises(DataError, match=r"zip archive of 2 files.*python -m zipfile -e"):
        read_prices(path)
    path.write_bytes(gzip.compress(gzip.compress(b"date,A,B\n")))
    with pytest.raises(DataError, match="gzip archive in an archive"):
        read_prices(path)
    path.write_bytes(gzip.compress(b"date,A,B\n" * 1000)[:-20])
    with pytest.raises(DataError, match=r"cannot be unpacked.*Download it again"):
        read_prices(path)


@pytest.mark.parametrize("kind", ["csv.gz", "csv.zip", "lz4.feather", "xlsx"])
def test_damaged_bytes_end_in_prices_or_in_one_paragraph(kind: str, tmp_path: Path) -> None:
    path = packed(kind, tmp_path)
    whole, rng = path.read_bytes(), np.random.default_rng(1)
    for k in range(12 if kind == "xlsx" else 40):
        damaged = bytearray(whole)
        for _ in range(rng.integers(1, 6)):
            damaged[rng.integers(len(damaged))] = rng.integers(256)
        path.write_bytes(bytes(damaged[: rng.integers(len(damaged))] if k % 5 == 0 else damaged))
        with suppress(DataError):
            read_prices(path, max_bytes=10_000_000)


@pytest.mark.parametrize("protocol", range(2, 6))
def test_a_pickle_is_never_opened(protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "p.pkl"
    path.write_bytes(pickle.dumps(closes(), protocol=protocol))
    with pytest.raises(DataError, match=r"p\.pkl.*pickle.*can run any code.*to_parquet"):
        read_prices(path)


def test_excel_without_its_reader_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed("xlsx", tmp_path)
    monkeypatch.setattr("pairs_bt.data.formats.archives.find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"pip install 'pairs-bt\[excel\]'"):
        read_prices(path)


def test_a_workbook_of_two_sheets_says_which_was_read(tmp_path: Path) -> None:
    with pd.ExcelWriter(tmp_path / "p.xlsx") as writer:
        closes().to_excel(writer, sheet_name="prices")
        closes().to_excel(writer, sheet_name="more")
    (note,) = read_prices(tmp_path / "p.xlsx").notes
    assert "'prices' was read" in note.text


def test_home_and_variables_in_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closes().to_csv(tmp_path / "p.csv")
    monkeypatch.setenv("HOME", str(tmp_path))
    for path in ("~/p.csv", "$HOME/p.csv", "${HOME}/p.csv"):
        assert_is_closes(read_prices(path))
        assert pairs_bt.Config.load(None, [f"data.path={path}"]).data.path == str(tmp_path / "p.csv")
    config = tmp_path / "c.toml"
    config.write_text('[data]\npath = "~/p.csv"\n')
    assert pairs_bt.Config.load(config).data.path == str(tmp_path / "p.csv")
    assert pairs_bt.Config.load("~/c.toml").data.path == str(tmp_path / "p.csv")
    (tmp_path / "$x.csv").write_text(closes().to_csv())
    assert_is_closes(read_prices(tmp_path / "$x.csv"))


@pytest.mark.parametrize("form", ["%d-%b-%Y", "%d %B %Y", "%d/%b/%Y"])
def test_months_by_name(form: str, tmp_path: Path) -> None:
    closes().to_csv(tmp_path / "p.csv", date_format=form)
    assert_is_closes(read_prices(tmp_path / "p.csv"))
    fourth = closes().index[3]
    text = (tmp_path / "p.csv").read_text().replace(fourth.strftime(form), fourth.strftime("%d-Xyz-%Y"))
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(DataError, match="where a date is expected"):
        read_prices(tmp_path / "p.csv")


# ------------------------------------------------------------------------------------------------ prefix, holidays


@pytest.mark.parametrize("cut", [2, 17, 59])
def test_later_rows_never_change_how_earlier_ones_are_read(cut: int, tmp_path: Path) -> None:
    yfinance().iloc[:cut].to_csv(tmp_path / "a.csv")
    databento({name: frame.iloc[:cut] for name, frame in bars().items()}).to_csv(tmp_path / "b.csv")
    folder = tmp_path / "c"
    folder.mkdir()
    for name, frame in bars().items():
        frame.iloc[:cut].to_csv(folder / f"{name}.csv")
    joined = pd.concat({f"{f} {t}": frame[f] for t, frame in bars().items() for f in frame}, axis=1).iloc[:cut]
    for source in (tmp_path / "a.csv", tmp_path / "b.csv", folder, joined):
        assert_is_closes(read_prices(source), rows=cut)


def with_holidays() -> pd.DataFrame:
    """Prices of NYSE sessions, and of five holidays on which they were carried forward."""
    days = pd.bdate_range("2020-01-02", "2020-05-29", name="date")
    frame = good_frame(len(days)).set_axis(days)
    holidays = pd.to_datetime(["2020-01-20", "2020-02-17", "2020-04-10", "2020-05-25"])
    for day in holidays:
        frame.loc[day] = frame.iloc[frame.index.get_loc(day) - 1]
    return frame


def test_holidays_carried_forward_are_flagged_and_dropped_by_a_calendar() -> None:
    frame = with_holidays()
    (note,) = [n for n in read_prices(frame).notes if n.rule == "holiday"]
    assert (note.kind, note.count, note.date) == ("flagged", 4, "2020-01-20")
    assert "data.calendar" in note.text
    data = read_prices(frame, calendar="XNYS")
    assert [(n.rule, n.count) for n in data.notes] == [("calendar", 4)]
    assert len(data.prices) == len(frame) - 4
    assert pd.Timestamp("2020-04-10") not in data.prices.index
    cut = read_prices(frame.iloc[:70], calendar="XNYS").prices
    pd.testing.assert_frame_equal(cut, data.prices.iloc[: len(cut)])
    with pytest.raises(DataError, match=r"'XNYX' is no calendar. Near it: .*XNYS"):
        read_prices(frame, calendar="XNYX")
    missing = read_prices(frame.drop(pd.Timestamp("2020-03-03")), calendar="XNYS")
    assert [(n.rule, n.date) for n in missing.notes if n.kind == "flagged"] == [("missing_sessions", "2020-03-03")]


def test_a_calendar_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pairs_bt.data.trading_calendar.find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"pip install 'pairs-bt\[calendar\]'"):
        read_prices(closes(), calendar="XNYS")


def test_the_calendar_says_which_bar_is_the_last() -> None:
    """A trade period to Good Friday 2021-04-02 has ended on the Thursday: only a calendar knows."""
    from pairs_bt.backtest.windows import split_windows
    from pairs_bt.config.schema import Windows

    options = Windows(train="1M", trade="2D", step="1D", entry_within="2D")
    days = pd.bdate_range("2021-01-04", "2021-04-01")

    def find(calendar: str) -> dict[str, bool]:
        return {w.label: w.closed for w in split_windows(days, options, calendar)}

    assert find("")["2021-03-31"] is False
    assert find("XNYS")["2021-03-31"] is True
    assert find("24/7")["2021-03-31"] is False


# --------------------------------------------------------------------------------------------- command line, runs

SETS = [p for s in ("windows.train=60D", "windows.trade=14D", "windows.step=14D", "windows.entry_within=7D",
                    "comparison.draws=100") for p in ("--set", s)]  # fmt: skip


def test_prices_where_a_config_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    yfinance().to_parquet("mine.parquet")
    folder = Path("bars")
    folder.mkdir()
    for name, frame in bars().items():
        frame.to_csv(folder / f"{name}.csv.gz")
    for source, name in (("mine.parquet", "mine"), ("bars", "bars")):
        said = call("run", source, *SETS, "--no-report")
        assert said.code == 0, said.err
        assert "note: field 'Close' was taken out of" in said.err
        assert f"Folder: runs/{name}" in said.out
        assert_is_closes(read_prices(pairs_bt.load_run(f"runs/{name}").prices))
        assert call("scan", source, *SETS).code == 0
        said = call("validate", source, *SETS)
        assert said.code == 0, said.err
        for words in ("prices   3 tickers, 2020-01-01 to 2020-03-24, 60 dates, about 26", "field    field 'Close'",
                      "gaps     none", "holidays no rows", "splits   none", "dead     none"):  # fmt: skip
            assert words in said.out, said.out
        assert call("hedge", source, "--out", f"matrix-{name}").code == 0
    said = call("run", "--set", "data.path=mine.parquet", *SETS, "--no-report")
    assert "complete" in said.err, said.err
    assert "Folder: runs/mine" in said.out


def test_validate_names_the_dead_and_the_split(tmp_path: Path) -> None:
    frame = closes()
    frame.iloc[40:, 0] = np.nan
    frame.iloc[30:, 1] *= 0.5
    frame.to_csv(tmp_path / "p.csv")
    said = call("validate", tmp_path / "p.csv", *SETS)
    assert "dead     1 ticker, with the last price: KO 2020-02-25" in said.out, said.out
    assert "splits   in 1 ticker: PEP" in said.out


def test_validate_says_what_the_prices_hold_before_it_refuses_the_windows(tmp_path: Path) -> None:
    closes().to_csv(tmp_path / "p.csv")
    said = call("validate", tmp_path / "p.csv")
    assert said.code == 3
    assert "prices   3 tickers" in said.out
    assert "No window fits" in said.err


def short_config(**data: Any) -> pairs_bt.Config:
    import tomllib

    return pairs_bt.Config.from_dict({**tomllib.loads(SHORT), "data": data} if data else tomllib.loads(SHORT))


def bytes_of(folder: Path) -> dict[str, bytes]:
    apart = {"manifest.json", "timing.json"}
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in folder.rglob("*") if p.is_file() and p.name not in apart
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["yfinance", "polars", "plain"])
def test_a_run_in_memory_is_replayed_from_its_folder(kind: str, tmp_path: Path) -> None:
    prices: Any = {"yfinance": yfinance(), "polars": pl.from_pandas(closes().reset_index()), "plain": closes()}[kind]
    made = pairs_bt.run(short_config(), prices=prices, out=tmp_path / "run", report=False)
    assert_is_closes(read_prices(tmp_path / "run" / "prices.parquet"))
    text = (tmp_path / "run" / "config.toml").read_text()
    assert 'path = "prices.parquet"' in text
    assert str(tmp_path) not in text + (tmp_path / "run" / "config.resolved.json").read_text()
    shutil.move(tmp_path / "run", tmp_path / "moved")
    said = call("run", tmp_path / "moved" / "config.toml", "--out", tmp_path / "again", "--no-report")
    assert said.code == 0, said.err
    again = pairs_bt.load_run(tmp_path / "again")
    pd.testing.assert_frame_equal(pd.DataFrame(again.returns), pd.DataFrame(made.returns))
    moved = pairs_bt.load_run(tmp_path / "moved")
    assert_is_closes(read_prices(moved.prices))
    assert moved.source == again.source
    one, two = bytes_of(tmp_path / "moved"), bytes_of(tmp_path / "again")
    for name in ("config.toml", "config.resolved.json", "prices.parquet"):
        one.pop(name), two.pop(name, None)
    assert one == two
    said = call("run", tmp_path / "moved" / "config.toml", "--out", tmp_path / "moved", "--no-report")
    assert "nothing to do" in said.err, said.err


def test_kept_prices_are_mended_and_survive_a_fresh_start(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    pairs_bt.run(short_config(), prices=closes(), out=folder, report=False)
    before = bytes_of(folder)
    (folder / "prices.parquet").write_bytes(b"broken")
    pairs_bt.run(short_config(), prices=closes(), out=folder, report=False)
    assert bytes_of(folder) == before
    said = call("run", folder / "config.toml", "--out", folder, "--fresh", "--no-report")
    assert said.code == 0, said.err
    assert bytes_of(folder) == before
    other = closes()
    other.iloc[5, 0] += 1
    with pytest.raises(pairs_bt.errors.ConfigError, match="data sha256"):
        pairs_bt.run(short_config(), prices=other, out=folder, report=False)
    assert call("verify", folder).code == 0


def test_dates_cut_what_is_kept(tmp_path: Path) -> None:
    import datetime as dt

    config = short_config(end=dt.date(2020, 3, 20))
    made = pairs_bt.run(config, prices=closes(), out=tmp_path / "run", report=False)
    kept = read_prices(tmp_path / "run" / "prices.parquet").prices
    assert kept.index[-1] == pd.Timestamp("2020-03-20")
    assert any("left out" in note for note in made.notes)


def test_a_path_in_python_is_read_and_named(tmp_path: Path) -> None:
    yfinance().to_csv(tmp_path / "p.csv")
    made = pairs_bt.run(short_config(), prices=tmp_path / "p.csv", out=tmp_path / "run", report=False)
    assert made.config.data.path == str(tmp_path / "p.csv")
    assert not (tmp_path / "run" / "prices.parquet").exists()
    memory = pairs_bt.run(short_config(), prices=str(tmp_path / "p.csv"))
    pd.testing.assert_frame_equal(pd.DataFrame(memory.returns), pd.DataFrame(made.returns))
    assert "pandas" in sys.modules
