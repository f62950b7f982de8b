"""The catalogue of bad price inputs as data: how to make each, and what must become of it.

``refused``: DataError whose message has `words`. ``repaired``, ``flagged``, ``left_out``: prices are returned
with a note of that kind whose rule is `rule` and whose text has `words`. ``kept``: prices are returned
unchanged and without a note about it.

``python -m tests.bad_inputs`` prints the tables of ``docs/data.md``.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pairs_bt.data.prices import PriceData, check_prices, read_prices
from pairs_bt.errors import DataError

GROUPS = {"file": "Files", "dates": "Dates", "prices": "Prices", "tickers": "Tickers"}


@dataclass(frozen=True)
class BadInput:
    name: str
    group: str  # file, dates, prices, tickers
    make: Callable[[Path], Path | pd.DataFrame]  # gets an empty folder
    outcome: str
    words: tuple[str, ...]
    rule: str = ""
    options: dict[str, Any] = field(default_factory=dict)


def good_frame(days: int = 60, seed: int = 1) -> pd.DataFrame:
    """Random walks A, B, C in cents over business days from 2020-01-01."""
    steps = np.random.default_rng(seed).normal(0, 0.01, (days, 3))
    index = pd.bdate_range("2020-01-01", periods=days, name="date")
    return pd.DataFrame(np.round([20, 50, 90] * np.exp(steps.cumsum(axis=0)), 2), index=index, columns=list("ABC"))


def read(made: Path | pd.DataFrame, **options: Any) -> PriceData:
    """Through the door that fits."""
    return check_prices(made, **options) if isinstance(made, pd.DataFrame) else read_prices(made, **options)


def docs_row(case: BadInput, folder: Path) -> str:
    """The case's line in the docs, with the message that it really gives."""
    try:
        notes = read(case.make(folder), **case.options).notes
        text = next((note.text for note in notes if note.rule == case.rule), "")
    except DataError as error:
        text = str(error)
    text = re.sub(r"Parquet file \(.*\)\.", "Parquet file (...).", text)  # pyarrow's own words vary
    text = text.replace(f"{folder}/", "").replace(str(folder), "prices")
    text = text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
    return f"| {case.name.replace('<', '&lt;')} | {case.outcome.replace('_', ' ')} | {text} |"


CASES: list[BadInput] = []


def _add(name: str, group: str, outcome: str, *words: str, rule: str = "", **options: Any) -> Callable[..., Any]:
    def keep(make: Callable[[Path], Path | pd.DataFrame]) -> Callable[[Path], Path | pd.DataFrame]:
        CASES.append(BadInput(name, group, make, outcome, words, rule, options))
        return make

    return keep


def _text(name: str, group: str, outcome: str, *words: str, edit: Callable[[str], str | bytes], **more: Any) -> None:
    """A case made by editing the text of a good CSV file."""

    def make(folder: Path) -> Path:
        content = edit(good_frame().to_csv())
        path = folder / "prices.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    _add(name, group, outcome, *words, **more)(make)


def _frame(name: str, group: str, outcome: str, *words: str, edit: Callable[[pd.DataFrame], Any], **more: Any) -> None:
    """A case made by editing a good frame; `edit` may change it in place and return None."""

    def make(folder: Path) -> pd.DataFrame:
        frame = good_frame()
        changed = edit(frame)
        return frame if changed is None else changed

    _add(name, group, outcome, *words, **more)(make)


def _cell(value: str) -> Callable[[str], str]:
    """Replace the price of B on the fourth day (2020-01-06) of the CSV text."""

    def edit(text: str) -> str:
        lines = text.split("\n")
        cells = lines[4].split(",")
        cells[2] = value
        lines[4] = ",".join(cells)
        return "\n".join(lines)

    return edit


def _zip_of(name: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), "not a workbook")
    return packed.getvalue()


def _dates(form: str) -> Callable[[str], str]:
    def edit(text: str) -> str:
        return good_frame().to_csv(date_format=form)

    return edit


def _rename(new: str) -> Callable[[str], str]:
    return lambda text: text.replace("date,A,", f"date,{new},", 1)


def _set(row: int, value: object, ticker: str = "B", stop: int | None = None) -> Callable[[pd.DataFrame], None]:
    def edit(frame: pd.DataFrame) -> None:
        frame.iloc[row : row + 1 if stop is None else stop, list("ABC").index(ticker)] = value

    return edit


def _scale(ticker: str, rows: slice, factor: float) -> Callable[[pd.DataFrame], None]:
    def edit(frame: pd.DataFrame) -> None:
        frame.loc[frame.index[rows], ticker] *= factor

    return edit


# ---------------------------------------------------------------------------------------------------- files


@_add("missing file", "file", "refused", "does not exist", "Check the path")
def _missing(folder: Path) -> Path:
    return folder / "nothing.csv"


@_add("folder without price files", "file", "refused", "no price files", "Name the folder")
def _directory(folder: Path) -> Path:
    return folder


@_add("symbolic link loop", "file", "refused", "symbolic link that loops", "Point it")
def _loop(folder: Path) -> Path:
    (folder / "a.csv").symlink_to(folder / "b.csv")
    (folder / "b.csv").symlink_to(folder / "a.csv")
    return folder / "a.csv"


@_add("named pipe", "file", "refused", "a device or a pipe", "Save the prices")
def _pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.csv")
    return folder / "pipe.csv"


@_add("zip of several files", "file", "refused", "zip archive of 2 files", "python -m zipfile -e")
def _zip(folder: Path) -> Path:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("prices.csv", good_frame().to_csv())
        archive.writestr("more.csv", good_frame().to_csv())
    (folder / "prices.csv").write_bytes(packed.getvalue())
    return folder / "prices.csv"


def _parquet(folder: Path) -> Path:
    good_frame().to_parquet(folder / "prices.parquet")
    return folder / "prices.parquet"


@_add("truncated Parquet", "file", "refused", "truncated Parquet", "Copy or download it again")
def _cut_parquet(folder: Path) -> Path:
    path = _parquet(folder)
    path.write_bytes(path.read_bytes()[:-200])
    return path


@_add("Parquet with a damaged footer", "file", "refused", "truncated Parquet", "write it anew")
def _flip_parquet(folder: Path) -> Path:
    path = _parquet(folder)
    data = bytearray(path.read_bytes())
    data[-60:-20] = b"\xff" * 40
    path.write_bytes(data)
    return path


@_add("Parquet named .csv", "file", "flagged", "read by its content", rule="name_and_content")
def _misnamed(folder: Path) -> Path:
    return _parquet(folder).rename(folder / "prices.csv")


@_add("Parquet over the cell limit", "file", "refused", "limit of 100 cells", "raise max_cells", max_cells=100)
def _many_cells(folder: Path) -> Path:
    return _parquet(folder)


_text("empty file", "file", "refused", "is empty (0 bytes)", "Pass a CSV", edit=lambda t: "")
_text("white space only", "file", "refused", "not a table", "Pass a CSV", edit=lambda t: "\n\n \n")
_text("header only", "file", "refused", "header only", "Pass a table", edit=lambda t: "date,A,B\n")
_text(
    "no header", "file", "refused", "no header", "'2020-01-01'", "Add a first line", edit=lambda t: t.split("\n", 1)[1]
)
_text("prose", "file", "refused", "not a table", "one column only", edit=lambda t: "These are not prices.\nNo.\n")
_text("HTML named .csv", "file", "refused", "HTML", "Download the table", edit=lambda t: "<!DOCTYPE html><html>")
_text(
    "HTML that names no tickers",
    "file",
    "refused",
    "HTML",
    edit=lambda t: "<html><body>Too many requests</body></html>",
)
_text("JSON named .csv", "file", "refused", "JSON", "Pass a CSV", edit=lambda t: '{"A": [1, 2]}')
_text(
    "pickle named .csv",
    "file",
    "refused",
    "pickle, which is never opened",
    "to_parquet",
    edit=lambda t: b"\x80\x04\x95\x00cbuiltins\n",
)
_text(
    "gzip cut short",
    "file",
    "refused",
    "cannot be unpacked",
    "Download it again",
    edit=lambda t: gzip.compress(t.encode(), mtime=0)[:-20],
)
_text("gzip named .csv", "file", "kept", edit=lambda t: gzip.compress(t.encode(), mtime=0))
_text(
    "Excel workbook that is none",
    "file",
    "refused",
    "cannot be read",
    "Save the sheet as CSV",
    edit=lambda t: _zip_of("xl/workbook.xml"),
)
_text("Git LFS pointer", "file", "refused", "LFS", "git lfs pull", edit=lambda t: "version https://git-lfs.github.com")
_text("binary", "file", "refused", "not a table", "CSV or Parquet", edit=lambda t: b"date,A,B\n\x00\x01\x02,1,2\n")
_text("Latin-1 text", "file", "refused", "0xfc", "UTF-8", edit=lambda t: t.replace("A", "M\xfcller").encode("latin-1"))
_text("line cut short", "file", "refused", "line 61 has 2 columns", "Every line", edit=lambda t: t.rsplit(",", 2)[0])
_text(
    "unclosed quote",
    "file",
    "refused",
    "line 5 has 1 column,",
    "Every line",
    edit=lambda t: t.replace("2020-01-06", '"2020'),
)
_text("over the byte limit", "file", "refused", "limit is 100", "raise max_bytes", edit=str, max_bytes=100)
_text(
    "byte order mark",
    "file",
    "repaired",
    "byte order mark",
    rule="byte_order_mark",
    edit=lambda t: t.encode("utf-8-sig"),
)
_text("UTF-16", "file", "repaired", "UTF-16", rule="utf_16", edit=lambda t: t.encode("utf-16"))
_text("UTF-16 without a mark", "file", "repaired", "UTF-16", rule="utf_16", edit=lambda t: t.encode("utf-16-le"))
_text("semicolons", "file", "repaired", "separated by ';'", rule="delimiter", edit=lambda t: t.replace(",", ";"))
_text("tabs", "file", "repaired", "separated by", rule="delimiter", edit=lambda t: t.replace(",", "\t"))
_text(
    "decimal commas",
    "file",
    "repaired",
    "decimal comma",
    rule="decimal_comma",
    edit=lambda t: t.replace(",", ";").replace(".", ","),
)
_text(
    "blank rows at the end", "file", "repaired", "without any cell", rule="blank_rows", edit=lambda t: t + ",,,\n,,,\n"
)
_text(
    "comma at every line's end",
    "file",
    "repaired",
    "last column",
    rule="blank_column",
    edit=lambda t: t.replace("\n", ",\n"),
)
_text("old Mac line ends", "file", "kept", edit=lambda t: t.replace("\n", "\r"))
_text("Windows line ends", "file", "kept", edit=lambda t: t.replace("\n", "\r\n"))

# ---------------------------------------------------------------------------------------------------- dates

_text(
    "duplicate dates",
    "dates",
    "refused",
    "Duplicate dates: 2020-01-06",
    "Keep one row",
    edit=lambda t: t.replace("2020-01-07", "2020-01-06"),
)
_text(
    "duplicate date and ticker in a long table",
    "dates",
    "refused",
    "2020-01-06",
    "'A'",
    "Keep one row",
    edit=lambda t: "date,ticker,close\n2020-01-06,A,1\n2020-01-06,B,2\n2020-01-06,A,1\n",
)
_frame("unsorted dates", "dates", "repaired", "sorted by date", rule="unsorted_dates", edit=lambda f: f.iloc[::-1])
_frame(
    "weekend rows",
    "dates",
    "flagged",
    "Saturday or Sunday",
    "2020-01-04",
    rule="weekend",
    edit=lambda f: f.set_axis(pd.date_range("2020-01-01", periods=len(f))),
)
_frame("future dates", "dates", "flagged", "after 2020-02-03", rule="future", edit=lambda f: None, today="2020-02-03")
_text(
    "mixed day/month order",
    "dates",
    "refused",
    "'1/13/2020'",
    "day/month order",
    "YYYY-MM-DD",
    edit=lambda t: "date,A,B\n13/1/2020,1,2\n1/13/2020,2,3\n",
)
_text(
    "ambiguous day and month",
    "dates",
    "refused",
    "'1/2/2020' is ambiguous",
    "YYYY-MM-DD",
    edit=lambda t: "date,A,B\n1/2/2020,1,2\n2/2/2020,2,3\n",
)
_text(
    "two date formats",
    "dates",
    "refused",
    "two ways",
    "YYYY-MM-DD",
    edit=lambda t: t.replace("2020-01-06", "01/06/2020"),
)
_text(
    "time zones mixed",
    "dates",
    "refused",
    "mix time zones",
    "YYYY-MM-DD",
    edit=lambda t: "date,A,B\n2020-01-02 00:00-05:00,1,2\n2020-01-03 00:00+09:00,2,3\n",
)
_text(
    "time zone in some rows",
    "dates",
    "refused",
    "has none",
    "YYYY-MM-DD",
    edit=lambda t: t.replace("2020-01-06", "2020-01-06 00:00:00Z"),
)
_frame("uniform time zone", "dates", "repaired", "zone", rule="time_zone", edit=lambda f: f.tz_localize("Asia/Tokyo"))
_text(
    "summer and winter time",
    "dates",
    "repaired",
    "zone",
    rule="time_zone",
    edit=lambda t: "date,A,B\n2020-03-06 00:00:00-05:00,1,2\n2020-03-09 00:00:00-04:00,2,3\n",
)
_frame(
    "intraday stamps, one a day",
    "dates",
    "repaired",
    "times of day",
    rule="intraday",
    edit=lambda f: f.set_axis(f.index + pd.Timedelta(hours=16)),
)
_frame(
    "a day with two rows among days with one",
    "dates",
    "refused",
    "2020-01-",
    "Keep one close",
    edit=lambda f: f.set_axis([f.index[0], f.index[0] + pd.Timedelta(hours=6), *f.index[2:]]),
)
_frame(
    "intraday stamps, several a day",
    "dates",
    "kept",
    edit=lambda f: f.set_axis(
        [
            day + pd.Timedelta(hours=h)
            for day in pd.bdate_range("2020-01-01", periods=len(f) // 4)
            for h in (10, 12, 14, 16)
        ]
    ),
)
_text("US dates", "dates", "kept", edit=_dates("%m/%d/%Y"))
_text(
    "dates with dots are day.month.year",
    "dates",
    "flagged",
    "2020-02-01",
    rule="weekend",
    edit=lambda t: "date,A,B\n1.2.2020,1,2\n3.2.2020,2,3\n",
)
_text(
    "dates with dots, month first",
    "dates",
    "refused",
    "'2.13.2020' the month",
    "YYYY-MM-DD",
    edit=lambda t: "date,A,B\n1.2.2020,1,2\n2.13.2020,2,3\n",
)
_text("dates with the month's name", "dates", "kept", edit=_dates("%d-%b-%Y"))
_text("European dates", "dates", "kept", edit=_dates("%d.%m.%Y"))
_text("compact dates", "dates", "kept", edit=_dates("%Y%m%d"))
_text(
    "impossible date",
    "dates",
    "refused",
    "Data row 4",
    "'2020-02-30'",
    "Correct or remove",
    edit=lambda t: t.replace("2020-01-06", "2020-02-30"),
)
_text(
    "year 0020", "dates", "refused", "'0020-01-06'", "1900-2199", edit=lambda t: t.replace("2020-01-06", "0020-01-06")
)
_text("missing date", "dates", "refused", "Data row 4", "YYYY-MM-DD", edit=lambda t: t.replace("2020-01-06", ""))
_text(
    "row numbers before the dates",
    "dates",
    "refused",
    "row number",
    "index=False",
    edit=lambda t: good_frame().reset_index().to_csv(),
)
_frame(
    "Excel day numbers",
    "dates",
    "refused",
    "'43831'",
    "YYYY-MM-DD",
    edit=lambda f: f.set_axis(list(range(43831, 43891))),
)
_text(
    "start after end",
    "dates",
    "refused",
    "is after end",
    "Give a start",
    edit=str,
    start="2020-03-01",
    end="2020-02-01",
)
_text(
    "no rows between start and end",
    "dates",
    "refused",
    "No prices are left",
    "Move start",
    edit=str,
    start="2021-01-01",
)
_text("start is not a date", "dates", "refused", "start is 'soon'", "YYYY-MM-DD", edit=str, start="soon")

# --------------------------------------------------------------------------------------------------- prices

_text("text in a price", "prices", "refused", "'B' on 2020-01-06", "'abc'", "correct the cells", edit=_cell("abc"))
_text("error of a spreadsheet", "prices", "refused", "'B' on 2020-01-06", "'#REF!'", "empty", edit=_cell("#REF!"))
_text("negative price", "prices", "refused", "'B' on 2020-01-06", "negative", "-1.5", "empty", edit=_cell("-1.5"))
_text("zero price", "prices", "refused", "'B' on 2020-01-06", "zero", "0.0", "empty", edit=_cell("0"))
_text("infinite price", "prices", "refused", "'B' on 2020-01-06", "infinite", "inf", "empty", edit=_cell("inf"))
_text("1e308", "prices", "refused", "'B' on 2020-01-06", "absurd", "1e+308", "empty", edit=_cell("1e308"))
_text("beyond float64", "prices", "refused", "'B' on 2020-01-06", "infinite", "empty", edit=_cell("1e999"))
_text("1e-320", "prices", "refused", "'B' on 2020-01-06", "absurd", "between 1e-09", edit=_cell("1e-320"))
_text(
    "thousands separators", "prices", "repaired", "from 1 price", rule="thousands_separator", edit=_cell('"1,234.50"')
)
_text(
    "dots that may be either mark",
    "prices",
    "refused",
    "'12.042'",
    "ambiguous",
    edit=lambda t: "date;A;B\n02.01.2018;12.042;1.295\n03.01.2018;12.050;1.301\n",
)
_text(
    "one comma that may be either mark",
    "prices",
    "refused",
    "'1,234' is ambiguous",
    "decimal dot",
    edit=lambda t: 'date,A,B\n2020-01-02,"1,234",5\n2020-01-03,"1,235",6\n',
)
_text(
    "decimal marks mixed",
    "prices",
    "refused",
    "mix decimal marks",
    "'1,5'",
    "decimal dot",
    edit=_cell('"1,5"'),
)
_text("empty price", "prices", "kept", edit=_cell(""))
_text("NA for no price", "prices", "kept", edit=_cell("#N/A"))
_text("space around a price", "prices", "kept", edit=_cell(" 50.1 "))
_frame("NaN run", "prices", "flagged", "2020-01-15", "gap of", rule="gap", edit=_set(10, np.nan, stop=20))
_frame("late start", "prices", "flagged", "first price", rule="starts_late", edit=_set(0, np.nan, stop=20))
_frame(
    "holidays carried forward",
    "prices",
    "flagged",
    "2020-01-15",
    "data.calendar",
    rule="holiday",
    edit=lambda f: f.mask(np.outer(np.arange(60) == 10, np.ones(3, dtype=bool))).ffill(),
)
_frame("delisting", "prices", "flagged", "last price", rule="ends_early", edit=_set(40, np.nan, stop=60))
_frame("column without prices", "prices", "left_out", "no price at all", rule="empty", edit=_set(0, np.nan, stop=60))
_frame("constant column", "prices", "left_out", "never changes", rule="constant", edit=_set(0, 7.0, stop=60))
_frame("identical series", "prices", "flagged", "'A' and 'C'", rule="identical", edit=lambda f: f.assign(C=f["A"]))
_frame("spike x100", "prices", "flagged", "2020-01-15", rule="spike", edit=_scale("B", slice(10, 11), 100.0))
_frame(
    "unadjusted split", "prices", "flagged", "2020-01-15", "x 0.2", rule="split", edit=_scale("B", slice(10, 60), 0.25)
)
_frame("reverse split", "prices", "flagged", "2020-01-15", "x 9.", rule="split", edit=_scale("B", slice(10, 60), 10.0))
_frame("change of unit x100", "prices", "flagged", "2020-01-15", rule="jump", edit=_scale("B", slice(10, 60), 100.0))
_frame("stale for 30 days", "prices", "flagged", "2020-01-15", rule="stale", edit=_set(10, 50.0, stop=40))
_frame(
    "integer cents",
    "prices",
    "flagged",
    "whole number",
    rule="whole_numbers",
    edit=lambda f: (f * 100).round().astype(int),
)
_frame(
    "coarse tick", "prices", "flagged", "0.25", rule="coarse_tick", edit=lambda f: f.assign(A=(f["A"] * 4).round() / 4)
)
_frame("booleans", "prices", "refused", "'B'", "bool", "numbers", edit=lambda f: f.assign(B=f["B"] > 50))
_frame(
    "mixed objects",
    "prices",
    "refused",
    "'B' on 2020-01-06",
    "'x'",
    edit=lambda f: f.astype(object).mask(
        pd.DataFrame(np.outer(np.arange(60) == 3, [False, True, False]), f.index, f.columns), "x"
    ),
)

# -------------------------------------------------------------------------------------------------- tickers

for _name in ("NA", "NULL", "nan", "ON", "NO", "TRUE", "EWG US Equity", "BRK/B", "../x", "<script>", "=cmd()", "700"):
    _text(f"ticker {_name}", "tickers", "kept", edit=_rename(_name))
_text("duplicate tickers", "tickers", "refused", "'B' appears twice", "Keep one column", edit=_rename("B"))
_text("empty ticker", "tickers", "refused", "empty name", "needs a ticker", edit=_rename(""))
_text("case collision", "tickers", "flagged", "'b' and 'B'", "case", rule="case_collision", edit=_rename("b"))
_text("unicode look-alike", "tickers", "flagged", "looks like 'B'", rule="lookalike", edit=_rename("В"))
_text("white space around a ticker", "tickers", "repaired", "white space", rule="trimmed_name", edit=_rename(" A "))
_text("control character", "tickers", "refused", "do not print", "Rename", edit=_rename("A\x07"))
_text("endless ticker", "tickers", "refused", "longer than 100", "Rename", edit=_rename("A" * 5000))
_frame("one ticker", "tickers", "refused", "1 ticker", "at least one more", edit=lambda f: f[["A"]])
_frame("no tickers", "tickers", "refused", "0 ticker", "at least one more", edit=lambda f: f[[]])
_frame(
    "two levels of columns",
    "tickers",
    "refused",
    "levels",
    "frame['Close']",
    edit=lambda f: pd.concat({"x": f}, axis=1),
)
_frame(
    "bars of one ticker",
    "tickers",
    "refused",
    "bars of one ticker",
    "folder",
    edit=lambda f: pd.DataFrame({"Open": f["A"], "High": f["A"] + 1, "Low": f["A"] - 1, "Close": f["A"]}),
)
_frame(
    "fields beside prices",
    "tickers",
    "refused",
    "mix fields",
    "frame.drop(columns=['A High', 'A Low'])",
    edit=lambda f: f.assign(**{"A High": f["A"] + 1, "A Low": f["A"] - 1}),
)
_frame(
    "volume beside prices",
    "tickers",
    "refused",
    "mix fields with prices",
    "'Volume'",
    "frame.drop(columns=['Volume'])",
    edit=lambda f: f.assign(Volume=1000 * np.arange(1, len(f) + 1)),
)
_frame(
    "fields in no order",
    "tickers",
    "refused",
    "high >= close >= low holds in only 0 of 60 rows",
    "rename them",
    edit=lambda f: f.assign(**{"A High": f["A"] - 1, "A Low": f["A"] + 1}),
)
_frame(
    "close of every ticker among its fields",
    "tickers",
    "taken",
    "'Close' was taken",
    rule="field",
    edit=lambda f: pd.concat({"Close": f, "High": f + 1, "Low": f - 1}, axis=1),
)


def main() -> None:
    for group, title in GROUPS.items():
        print(f"\n### {title}\n\n| Case | What happens | Message |\n|---|---|---|")
        for case in CASES:
            if case.group == group:
                with tempfile.TemporaryDirectory() as folder:
                    print(docs_row(case, Path(folder)))


if __name__ == "__main__":
    main()
