"""Arrays and coded names give the frame and the Arrow table that pandas and pyarrow make of the same values."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from pairs_bt.common.column_table import Coded, ColumnTable, decoded, select
from pairs_bt.engine.window_parts import to_arrow

NAMES = ("B", "A", "\u00c4 x", "")


def made(size: int) -> dict[str, object]:
    rng = np.random.default_rng(size)
    records = np.zeros(size, dtype=[("shares", "f8"), ("kind", "i1"), ("bar", "i8")])
    records["shares"] = rng.normal(size=size)
    records["shares"][1::3] = np.nan
    records["kind"] = rng.integers(0, len(NAMES), size)
    dates = np.array(["2020-01-02", "NaT", "2021-05-06"], dtype="datetime64[us]")[rng.integers(0, 3, size)]
    return {
        "date": dates,
        "text": Coded(records["kind"], NAMES),
        "name": Coded(rng.integers(0, len(NAMES), size), NAMES, category=True),
        "shares": records["shares"],
        "bar": records["bar"],
        "side": records["kind"],
        "open": rng.random(size) < 0.5,
    }


def by_hand(columns: dict[str, object]) -> pd.DataFrame:
    def plain(column: object) -> object:
        if not isinstance(column, Coded):
            return np.array(column)
        text = [column.names[code] for code in column.codes]
        return pd.Categorical(text, categories=list(NAMES)) if column.category else pd.array(text, dtype="str")

    return pd.DataFrame({name: plain(column) for name, column in columns.items()})


@pytest.mark.parametrize("size", [0, 1, 50])
def test_a_table_is_the_frame_of_its_values(size: int) -> None:
    columns = made(size)
    table = select(columns, list(columns))
    assert len(table) == size
    pd.testing.assert_frame_equal(table.frame(), by_hand(columns), check_exact=True)
    assert table.frame()["shares"].to_numpy().flags.c_contiguous


@pytest.mark.parametrize("size", [1, 50])
def test_straight_to_arrow_is_the_way_through_a_frame(size: int) -> None:
    table = ColumnTable(made(size))
    through_pandas = to_arrow(by_hand(table.columns))
    texts = table.without("name")
    assert decoded(texts.arrow()).equals(through_pandas.drop_columns("name"))
    assert decoded(texts.arrow()).schema == through_pandas.drop_columns("name").schema
    assert table.arrow().select(["name"]).equals(through_pandas.select(["name"]))
    assert table.arrow().column("shares").null_count == int(np.isnan(table.columns["shares"]).sum())


@pytest.mark.parametrize("count", [3, 126, 127, 128, 32_766, 32_767, 32_768])
def test_categories_have_the_codes_of_pandas(count: int) -> None:
    names = tuple(f"T{number}" for number in range(count))
    column = Coded(np.array([0, count - 1]), names, category=True)
    expected = pa.array(pd.Categorical.from_codes([0, count - 1], categories=pd.Index(names)), from_pandas=True)
    assert column.arrow().type == expected.type
    assert column.arrow().equals(expected)


def test_columns_come_in_the_order_that_is_asked_for() -> None:
    columns = made(3)
    assert list(select(columns, ["side", "date"]).frame().columns) == ["side", "date"]
    assert list(ColumnTable(columns).without("bar").columns) == [name for name in columns if name != "bar"]
