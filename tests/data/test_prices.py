"""The door: every case of the catalogue, round trips, causality, and a fuzz of the bytes."""

from __future__ import annotations

import base64
import csv
import datetime as dt
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pairs_bt.data.prices import PriceData, check_prices, fill_gaps, fingerprint_frame, read_prices
from pairs_bt.errors import DataError
from tests.bad_inputs import CASES, BadInput, docs_row, good_frame, read

REAL = Path(__file__).resolve().parents[3] / "shared" / "data"
DOCS = Path(__file__).resolve().parents[2] / "docs" / "data.md"


def assert_contract(data: PriceData) -> None:
    frame = data.prices
    assert frame.index.name == "date"
    assert frame.columns.name == "ticker"
    assert frame.index.is_monotonic_increasing
    assert frame.index.is_unique
    assert frame.index.tz is None
    days = frame.index.normalize()
    assert days.has_duplicates or (frame.index == days).all()
    assert frame.columns.is_unique
    assert all(type(name) is str for name in frame.columns)
    assert (frame.dtypes == np.float64).all()
    values = frame.to_numpy()
    assert (np.isnan(values) | ((values > 0) & np.isfinite(values))).all()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_catalogue(case: BadInput, tmp_path: Path) -> None:
    made = case.make(tmp_path)
    if case.outcome == "refused":
        with pytest.raises(DataError) as caught:
            read(made, **case.options)
        message = str(caught.value)
        assert "\n" not in message
        assert message.endswith(".")
        for word in case.words:
            assert word in message
        return
    before = made.copy() if isinstance(made, pd.DataFrame) else None
    data = read(made, **case.options)
    if before is not None:
        pd.testing.assert_frame_equal(made, before)
    assert_contract(data)
    if case.outcome == "kept":
        assert data.notes == ()
        return
    (note,) = [n for n in data.notes if n.rule == case.rule][:1]
    assert note.kind == case.outcome
    assert note.count >= 1
    assert "\n" not in note.text
    for word in case.words:
        assert word in note.text


def test_a_good_table_has_no_notes_and_no_cases_share_a_name() -> None:
    assert check_prices(good_frame()).notes == ()
    assert len({case.name for case in CASES}) == len(CASES) >= 45


def test_the_docs_show_every_case_with_its_message(tmp_path: Path) -> None:
    """Print the tables anew with ``python -m tests.bad_inputs`` when this fails."""
    text = DOCS.read_text()
    for number, case in enumerate(CASES):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert docs_row(case, folder) in text


@pytest.mark.parametrize("ticker", ["NA", "ON", "TRUE", "../x", "=cmd()", "EWG US Equity"])
def test_tickers_are_kept_as_written(ticker: str, tmp_path: Path) -> None:
    wide, long = tmp_path / "wide.csv", tmp_path / "long.csv"
    frame = good_frame().rename(columns={"A": ticker})
    frame.to_csv(wide)
    frame.reset_index().melt("date", var_name="ticker", value_name="close").to_csv(long, index=False)
    assert list(read_prices(wide).prices.columns) == [ticker, "B", "C"]
    assert list(read_prices(long).prices.columns) == [ticker, "B", "C"]


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "prices.csv"
    good_frame().to_csv(path)

    def denied(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)  # root may read anything, so chmod would prove nothing
    with pytest.raises(DataError, match="permission denied"):
        read_prices(path)


# ------------------------------------------------------------------------------------------- forms and values


def forms(frame: pd.DataFrame, folder: Path) -> dict[str, Path | pd.DataFrame]:
    """The same prices in every form that the door takes."""
    long = frame.reset_index().melt("date", var_name="ticker", value_name="close")
    frame.to_csv(folder / "wide.csv")
    long.to_csv(folder / "long.csv", index=False)
    frame.to_csv(folder / "us.csv", date_format="%m/%d/%Y")
    frame.to_csv(folder / "german.csv", sep=";", decimal=",", date_format="%d.%m.%Y", encoding="utf-16")
    frame.to_parquet(folder / "index.parquet")
    frame.reset_index().to_parquet(folder / "column.parquet", index=False)
    long.to_parquet(folder / "long.parquet")
    long.astype({"ticker": "category"}).to_parquet(folder / "category.parquet")
    made: dict[str, Path | pd.DataFrame] = {path.name: path for path in folder.iterdir()}
    return made | {
        "frame": frame,
        "long frame": long,
        "date column": frame.reset_index(),
        "filtered long frame": long[long["close"] > 0],
        "objects": frame.astype(object),
        "date objects": frame.set_axis(frame.index.date),
        "column major": pd.DataFrame(np.asfortranarray(frame.to_numpy()), frame.index, frame.columns),
    }


def test_all_forms_give_the_same_bits(tmp_path: Path) -> None:
    frame = good_frame()
    frame.iloc[:, 1] *= np.pi  # all 17 digits
    frame.iloc[4, 0] = np.nan
    made = forms(frame, tmp_path)
    assert len(made) == 15
    for name, form in made.items():
        data = read(form)
        np.testing.assert_array_equal(data.prices.to_numpy(), frame.to_numpy(), err_msg=name)
        assert list(data.prices.index) == list(frame.index), name
        assert list(data.prices.columns) == ["A", "B", "C"], name
        assert fingerprint_frame(data.prices) == fingerprint_frame(frame), name
        assert {k: v for k, v in data.source.items() if k not in ("name", "sha256")} == {
            "rows": 60,
            "tickers": 3,
            "first_date": "2020-01-01",
            "last_date": "2020-03-24",
        }


def test_long_table_prefers_adjusted_closes_and_leaves_gaps() -> None:
    long = pd.DataFrame(
        {
            "Symbol": ["B", "A", "A", "B"],
            "Close": [1.0, 2.0, 3.0, 4.0],
            "Adj Close": [10.0, 20.0, 30.0, 40.0],
            "Date": pd.to_datetime(["2020-01-03", "2020-01-03", "2020-01-02", "2020-01-06"]),
        }
    )
    prices = check_prices(long).prices
    assert list(prices.columns) == ["B", "A"]
    np.testing.assert_array_equal(prices.to_numpy(), [[np.nan, 30.0], [10.0, 20.0], [40.0, np.nan]])


def test_thousands_and_spaces_are_read_as_the_number(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text('date,A,B\n2020-01-02,"1,234.50", 2 \n2020-01-03,"1,234,567","+3"\n2020-01-06,.5,1e1\n')
    np.testing.assert_array_equal(read_prices(path).prices.to_numpy(), [[1234.5, 2.0], [1234567.0, 3.0], [0.5, 10.0]])


def test_only_what_lies_between_start_and_end_is_judged() -> None:
    frame = good_frame()
    frame.iloc[50, 1] = -1.0
    with pytest.raises(DataError, match="negative"):
        check_prices(frame)
    data = check_prices(frame, start=frame.index[5], end=frame.index[40].date())
    pd.testing.assert_frame_equal(data.prices, frame.iloc[5:41].rename_axis(columns="ticker"), check_freq=False)
    assert data.source["rows"] == 60


def test_every_broken_rule_is_named_at_once() -> None:
    frame = good_frame()
    frame.iloc[3, 0], frame.iloc[4, 1], frame.iloc[5:7, 2] = -1.0, 0.0, np.inf
    with pytest.raises(DataError) as caught:
        check_prices(frame)
    for words in ("negative price, -1.0 (cells like this: 1)", "zero", "infinite price, inf (cells like this: 2)"):
        assert words in str(caught.value)


def test_real_prices_simply_work() -> None:
    path = REAL / "country_etfs_2016-2021.csv"
    if not path.exists():
        pytest.skip("the ETF prices are not on this machine")
    data = read_prices(path)
    assert data.prices.shape == (1324, 45)
    assert not data.prices.isna().any().any()
    assert data.prices.loc["2016-01-04", "EWG US Equity"] == 25.56
    assert {note.kind for note in data.notes} <= {"flagged"}
    with path.open(newline="") as stream:
        twin = list(csv.reader(stream))
    assert list(data.prices.columns) == twin[0][1:]
    assert data.prices.to_numpy().tolist() == [[float(cell) for cell in row[1:]] for row in twin[1:]]
    assert list(data.prices.index) == [dt.datetime.strptime(row[0], "%m/%d/%Y") for row in twin[1:]]


# --------------------------------------------------------------------------------------------------- Parquet


def test_parquet_dates_with_a_zone_keep_the_local_day(tmp_path: Path) -> None:
    frame = good_frame().tz_localize("America/New_York")  # stored as 05:00 UTC
    frame.to_parquet(tmp_path / "p.parquet")
    for data in (read_prices(tmp_path / "p.parquet"), check_prices(frame)):
        assert list(data.prices.index) == list(good_frame().index)
        assert [note.rule for note in data.notes] == ["time_zone"]


@pytest.mark.parametrize(("unit", "zone"), [("ms", "America/New_York"), ("us", "UTC"), ("ns", None)])
@pytest.mark.parametrize("far", [-(2**63) + 2, 2**63 - 2])
def test_parquet_dates_of_absurd_years(unit: str, zone: str | None, far: int, tmp_path: Path) -> None:
    days = pa.array([0, far], pa.timestamp(unit, zone))
    pq.write_table(pa.table({"date": days, "A": [1.0, 2.0], "B": [1.0, 2.0]}), tmp_path / "p.parquet", version="2.6")
    with pytest.raises(DataError, match=r"Data row 2.*1900-2199"):
        read_prices(tmp_path / "p.parquet")


def test_parquet_dates_of_an_unknown_zone(tmp_path: Path) -> None:
    days = pa.array([0, 10**9], pa.timestamp("us", "Mars/Olympus"))
    pq.write_table(pa.table({"date": days, "A": [1.0, 2.0], "B": [1.0, 2.0]}), tmp_path / "p.parquet")
    with pytest.raises(DataError, match="unknown time zone 'Mars/Olympus'"):
        read_prices(tmp_path / "p.parquet")


def test_parquet_zone_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    good_frame().tz_localize("Asia/Tokyo").to_parquet(path)
    schema = pq.read_metadata(path).metadata[b"ARROW:schema"]
    damaged = base64.b64encode(base64.b64decode(schema).replace(b"Asia/Tokyo", b"Asia\xcdTokyo"))
    assert len(damaged) == len(schema)
    path.write_bytes(path.read_bytes().replace(schema, damaged))
    with pytest.raises(DataError, match="damaged"):
        read_prices(path)


def test_parquet_metadata_is_not_trusted(tmp_path: Path) -> None:
    table = pa.Table.from_pandas(good_frame().reset_index(), preserve_index=False)
    for metadata in (b"\x80\x04not json", b'{"index_columns": [{"kind": "range"}]}', b"[" * 5000):
        pq.write_table(table.replace_schema_metadata({b"pandas": metadata}), tmp_path / "p.parquet")
        np.testing.assert_array_equal(read_prices(tmp_path / "p.parquet").prices, good_frame())


def test_parquet_columns_that_are_no_prices(tmp_path: Path) -> None:
    days = pa.array(good_frame().index[:2])
    pq.write_table(pa.table({"date": days, "A": [[1.0], [2.0]], "B": [1.0, 2.0]}), tmp_path / "p.parquet")
    with pytest.raises(DataError, match=r"'A'.*list"):
        read_prices(tmp_path / "p.parquet")
    pq.write_table(pa.Table.from_arrays([days, days, days], ["date", "A", "A"]), tmp_path / "p.parquet")
    with pytest.raises(DataError, match="'A' appears twice"):
        read_prices(tmp_path / "p.parquet")


# ------------------------------------------------------------------------------------------------ fill_gaps


def slow_fill(column: np.ndarray, limit: int) -> np.ndarray:
    filled = column.copy()
    for t in range(len(column)):
        for back in range(1, limit + 1):
            if np.isnan(filled[t]) and t - back >= 0 and not np.isnan(column[t - back]):
                filled[t] = column[t - back]
    return filled


@pytest.mark.parametrize("limit", [0, 1, 3, 5, 100])
def test_fill_gaps_equals_its_slow_twin_and_is_causal(limit: int) -> None:
    rng = np.random.default_rng(3)
    frame = good_frame().mask(rng.random((60, 3)) < 0.6)
    before = frame.copy()
    filled = fill_gaps(frame, limit)
    pd.testing.assert_frame_equal(frame, before)
    for name in frame:
        np.testing.assert_array_equal(filled[name], slow_fill(frame[name].to_numpy(), limit))
    for cut in (1, 7, 30, 59):
        pd.testing.assert_frame_equal(fill_gaps(frame.iloc[:cut], limit), filled.iloc[:cut])


@pytest.mark.parametrize("limit", [-1, 2.5, True, None])
def test_fill_gaps_refuses_a_limit_that_is_no_count(limit: Any) -> None:
    with pytest.raises(ValueError, match="whole number"):
        fill_gaps(good_frame(), limit)


# ------------------------------------------------------------------------------------- causality, fingerprints


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.group == "prices" and c.outcome != "refused"], ids=lambda case: case.name
)
def test_later_rows_never_change_earlier_prices(case: BadInput, tmp_path: Path) -> None:
    made = case.make(tmp_path)
    frame = read(made).prices
    for cut in (5, 12, 35):
        if isinstance(made, pd.DataFrame):
            part = check_prices(made.iloc[:cut])
        else:
            short = tmp_path / "short.csv"
            short.write_text("\n".join(made.read_text().split("\n")[: cut + 1]))
            part = read_prices(short)
        pd.testing.assert_frame_equal(part.prices, frame.iloc[:cut], check_freq=False)


MARKS = st.sampled_from(["1.5", "12.345", "1,234", "1,5", "1,234.5", "1.234,5", "1,234,567", "7", "0.123", "10.250"])
STYLES = (
    ["1/2/2020", "2/13/2020", "13/3/2020", "4/5/2020", "6/12/2020", "7/7/2020"],
    ["3.4.2020", "4.13.2020", "13.5.2020", "6.7.2020"],
    ["2020-05-06", "2020-05-07", "2020-06-01", "20200607"],
)
LINES = st.sampled_from(STYLES).flatmap(
    lambda dates: st.lists(
        st.tuples(st.sampled_from(dates), MARKS, MARKS), min_size=2, max_size=4, unique_by=lambda row: row[0]
    )
)


def rows_or_refusal(lines: list[tuple[str, str, str]], path: Path) -> dict[str, Any] | None:
    text = "date;A;B\n" + "".join(f"{d};{a};{b}\n" for d, a, b in lines)
    path.write_text(text)
    try:
        frame = read_prices(path).prices
    except DataError:
        return None
    return {str(day): tuple(row) for day, row in zip(frame.index, frame.to_numpy().tolist(), strict=True)}


@settings(
    max_examples=400, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(LINES, st.data())
def test_a_reading_is_never_revised_by_later_rows(
    tmp_path: Path, lines: list[tuple[str, str, str]], data: st.DataObject
) -> None:
    """Marks and day order: the start of a table is read as in the whole, or one of the two is refused."""
    whole = rows_or_refusal(lines, tmp_path / "p.csv")
    part = rows_or_refusal(lines[: data.draw(st.integers(1, len(lines)))], tmp_path / "p.csv")
    if whole is not None and part is not None:
        assert part.items() <= whole.items()


def test_fingerprint_sees_every_part() -> None:
    frame = check_prices(good_frame()).prices
    same = fingerprint_frame(frame)
    assert re.fullmatch("[0-9a-f]{64}", same)
    assert same == fingerprint_frame(frame.copy())
    assert same == check_prices(frame.iloc[::-1], end="2020-02-01").source["sha256"]
    other_nan = frame.copy()
    other_nan.iloc[0, 0] = np.nan
    values = other_nan.to_numpy(copy=True)
    values.view(np.uint64)[0, 0] = 0xFFF8_0000_0000_0001  # another NaN
    negative_nan = pd.DataFrame(values, frame.index, frame.columns)
    assert negative_nan.to_numpy().tobytes() != other_nan.to_numpy().tobytes()
    assert fingerprint_frame(other_nan) == fingerprint_frame(negative_nan) != same
    assert fingerprint_frame(frame * (1 + 1e-15)) != same
    assert fingerprint_frame(frame.rename(columns={"A": "Z"})) != same
    assert fingerprint_frame(frame.shift(freq="D")) != same


# ------------------------------------------------------------------------------------------------------ fuzz

SEEDS = (
    good_frame(6).to_csv().encode(),
    good_frame(6).to_csv(sep=";", decimal=",", date_format="%d.%m.%Y").encode("utf-16"),
    b'Date,Ticker,Close\n1/2/2020,A,"1,234.5"\n1/13/2020,B,2\n1/13/2020,A,3\n',
)
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["replace", "insert", "delete", "repeat", "cut"]),
        st.floats(0, 1),
        st.one_of(
            st.binary(min_size=1, max_size=6),
            st.sampled_from([b",", b'"', b"\n", b"\r", b"\x00", b"nan", b"1e999", b"-", b"\xff\xfe", b";", b"PAR1"]),
        ),
    ),
    min_size=1,
    max_size=6,
)


def mutate(data: bytes, edits: list[tuple[str, float, bytes]]) -> bytes:
    for what, where, chunk in edits:
        at = int(where * len(data))
        if what == "replace":
            data = data[:at] + chunk + data[at + len(chunk) :]
        elif what == "insert":
            data = data[:at] + chunk + data[at:]
        elif what == "delete":
            data = data[:at] + data[at + len(chunk) :]
        elif what == "repeat":
            data = data[:at] + data[at : at + 30] + data[at:]
        else:
            data = data[:at]
    return data


def assert_prices_or_one_paragraph(path: Path) -> None:
    try:
        data = read_prices(path)
    except DataError as error:
        message = str(error)
    else:
        assert_contract(data)
        message = ""
    assert "\n" not in message


@settings(
    max_examples=400, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.sampled_from(SEEDS), edits=EDITS)
def test_no_bytes_of_text_give_a_traceback(tmp_path: Path, seed: bytes, edits: list[tuple[str, float, bytes]]) -> None:
    path = tmp_path / "p.csv"
    path.write_bytes(mutate(seed, edits))
    assert_prices_or_one_paragraph(path)


@settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(edits=EDITS)
def test_no_bytes_of_parquet_give_a_traceback(tmp_path: Path, edits: list[tuple[str, float, bytes]]) -> None:
    path = tmp_path / "p.parquet"
    good_frame(6).to_parquet(path)
    path.write_bytes(mutate(path.read_bytes(), edits))
    assert_prices_or_one_paragraph(path)
