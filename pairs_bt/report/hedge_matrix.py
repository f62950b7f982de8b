"""The tables and the page that are derived from a hedge matrix; each can be made again from its state."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from pairs_bt.common.array_checks import Floats
from pairs_bt.common.formatting import number, significant
from pairs_bt.kernels.online import hedge_matrix as kernel
from pairs_bt.models.online.hedge_matrix import MIN_BARS, SPACE_NAMES, HedgeMatrix
from pairs_bt.models.online.hedge_matrix_file import AUTO, writing
from pairs_bt.report.blocks import Cell, Row, Table
from pairs_bt.report.hedge_matrix_page import picture, render, shade
from pairs_bt.report.orders import OrdersSection

__all__ = ["clustered_order", "page", "spreadsheet_safe", "tables_are_current", "write_tables"]

RATIOS, PAIRS, PAGE = "hedge_ratios.csv", "pairs.parquet", "matrix.html"

#: More tickers than this are drawn as a picture, and named in part.
NAMED = 60
_PART = 40
_TOP = 20
# A ratio that moves by more than so many standard errors is counted at the top of the page.
_MUCH = 3.0
_STATE = "pairs_bt.state"
_SPACE_NOTES = {
    "levels": "",
    "log": ", in dollars: both legs are in logs",
    "changes": ", in dollars: both legs are log changes",
}


def write_tables(
    matrix: HedgeMatrix,
    folder: Path,
    *,
    since: HedgeMatrix | None = None,
    notes: Iterable[str] = (),
    orders: OrdersSection | None = None,
) -> None:
    """Write ``hedge_ratios.csv``, ``matrix.html`` and ``pairs.parquet`` into ``folder``, each in one step.

    Parameters
    ----------
    matrix : HedgeMatrix
        Saved in the same folder before.
    folder : Path
        Where to write.
    since : HedgeMatrix, optional
        The matrix before the update, for the page's moves; None for the bar before.
    notes : iterable of str
        Lines for the top of the page.
    orders : OrdersSection, optional
        The page's section on orders.

    Raises
    ------
    ConfigError
        A folder that cannot be written.
    """
    text = page(matrix, since=since, notes=notes, orders=orders).encode()
    with writing(folder / RATIOS) as stream:
        _write_ratios(matrix, stream)
    with writing(folder / PAGE) as stream:
        stream.write(text)
    # last, because its mark says that all of them are of this state
    with writing(folder / PAIRS) as stream:
        _write_pairs(matrix, stream)


def tables_are_current(matrix: HedgeMatrix, folder: Path) -> bool:
    """Whether the tables in ``folder`` were made from this state: a kill may have come between."""
    if not all((folder / name).is_file() for name in (RATIOS, PAGE, PAIRS)):
        return False
    try:
        metadata = pq.read_metadata(folder / PAIRS).metadata or {}
    except (pa.ArrowException, OSError):
        return False
    return metadata.get(_STATE.encode()) == matrix.state.identity.encode()


def spreadsheet_safe(ticker: str) -> str:
    """``ticker`` with a leading apostrophe where a spreadsheet would take it for a formula (= + - @)."""
    return "'" + ticker if ticker.startswith(("=", "+", "-", "@", "\t", "\r")) else ticker


def _write_ratios(matrix: HedgeMatrix, stream: BinaryIO) -> None:
    names = [spreadsheet_safe(ticker) for ticker in matrix.tickers]
    beta = matrix.state.known(kernel.BETA)
    columns = [pa.array(names, pa.string())]
    columns += [pa.array(np.ascontiguousarray(beta[:, j]), from_pandas=True) for j in range(len(names))]
    pa_csv.write_csv(pa.Table.from_arrays(columns, names=["y", *names]), stream)


def _write_pairs(matrix: HedgeMatrix, stream: BinaryIO) -> None:
    columns: dict[str, Any] = matrix.pair_columns()
    names = pa.array(matrix.tickers, pa.string())
    for leg in ("y", "x"):
        columns[leg] = pa.DictionaryArray.from_arrays(columns[leg].codes, names)
    columns["last_date"] = pa.array(columns["last_date"]).cast(pa.date32())
    columns = {name: pa.array(column, from_pandas=True) for name, column in columns.items()}
    table = pa.table(columns)
    with pq.ParquetWriter(
        stream, table.schema, compression="none", use_dictionary=["y", "x", "bars", "last_date"], write_statistics=False
    ) as file:
        file.write_table(table)
        file.add_key_value_metadata({_STATE: matrix.state.identity})


def clustered_order(matrix: HedgeMatrix) -> list[int]:
    """Positions of the tickers, those that move together side by side.

    Average linkage on 1 - correlation of log changes over the last `window` bars.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    k = len(matrix.tickers)
    if k < 3:
        return list(range(k))
    recent = matrix.state.recent if matrix.state.space != "levels" else np.log(matrix.state.recent)
    changes = np.ascontiguousarray(np.diff(recent, axis=0).T)
    correlation = np.zeros((k, k))
    if changes.shape[1]:
        kernel.correlations(changes, MIN_BARS, correlation)
    distance = 1.0 - correlation
    np.fill_diagonal(distance, 0.0)
    return [int(i) for i in leaves_list(linkage(squareform(distance, checks=False), "average"))]


def page(
    matrix: HedgeMatrix,
    *,
    since: HedgeMatrix | None = None,
    notes: Iterable[str] = (),
    orders: OrdersSection | None = None,
) -> str:
    """``matrix.html`` as text; arguments as for `write_tables`."""
    state = matrix.state
    k = len(matrix.tickers)
    order = clustered_order(matrix)
    dollars = _dollar_ratio(matrix)
    ends = _colour_ends(dollars)
    shades = shade(dollars, *ends)
    before, moves = matrix.moves(since)
    current = state.last == state.bars - 1
    top = _largest(np.where(current, moves, np.nan), _TOP)
    part = order if k <= NAMED else _most_moved(np.where(current, moves, np.nan), order)
    ordered = shades[np.ix_(order, order)]
    passed = f"the bar before {matrix.last_bar}" if since is None else f"the last update ({since.last_bar})"
    return render(
        identity=state.identity,
        last_bar=matrix.last_bar,
        facts=_facts(matrix),
        headline=_headline(matrix, np.where(current, moves, np.nan), top, passed),
        orders=orders,
        notes=[*notes, *(_not_current(matrix) if since is None else ())],
        unit=_SPACE_NOTES[state.space],
        colour=_colour_text(ends),
        ends=[significant(end, 3) for end in ends],
        images=[picture(ordered, side) for side in (0, 1)] if k > NAMED else [],
        tickers=[matrix.tickers[i] for i in order],
        heat_names=[matrix.tickers[i] for i in part],
        heat=_heat(matrix, part, shades),
        since=passed,
        moved=_pairs_table(matrix, top, _moved(matrix, before, moves)),
        **_static(matrix, current),
    )


def _facts(matrix: HedgeMatrix) -> list[tuple[str, str]]:
    """What the matrix is of and how it was filtered, in the order of the report's own facts."""
    state, given = matrix.state, matrix.state.parameters
    k = len(state.tickers)
    return [
        ("tickers", f"{k:,}, {k * (k - 1):,} ratios"),
        ("bars", f"{state.bars:,} of {SPACE_NAMES[state.space]}"),
        (
            "filter starts",
            f"at ratio {given['init_beta']:g}, intercept {given['init_alpha']:g}, each with "
            f"{_variance(given['init_cov'], 'a variance that fits the prices')}",
        ),
        (
            "ratio and intercept move",
            f"with {_variance(given['trans_cov'], 'the variance that has predicted the pair best,')} a bar",
        ),
        ("y is off the line", f"with {_variance(given['obs_cov'], 'the variance that fits the pair')}"),
        ("z-score and half-life", f"of the last {len(state.days)} bars at today's ratio; half-lives in bars"),
    ]


def _variance(value: float | str, chosen: str) -> str:
    """A variance as it was given, or in words how each pair came by its own."""
    return chosen if value == AUTO else f"variance {value:g}"


def _headline(matrix: HedgeMatrix, moves: Floats, top: Sequence[tuple[int, int]], since: str) -> str:
    """The sentence at the top: which ratio moved most, and how many moved much."""
    if not top:
        return "No pair has a ratio before the last bar, so none has moved."
    y, x = top[0]
    known = np.abs(moves[np.isfinite(moves)])
    names, size, much = matrix.tickers, known.size, int((known > _MUCH).sum())
    return (
        f"Since {since} the ratio of {names[y]} on {names[x]} moved most, by "
        f"{significant(abs(float(moves[y, x])), 3)} of its standard errors. Of {size:,} ratios "
        f"{f'{much:,}' if much else 'none'} moved by more than {_MUCH:g}."
    )


def _not_current(matrix: HedgeMatrix) -> list[str]:
    absent = [t for t, value in zip(matrix.tickers, matrix.state.recent[-1], strict=True) if np.isnan(value)]
    if not absent:
        return []
    return [f"No price on {matrix.last_bar}, shown as of their last date: {', '.join(absent)}"]


def _dollar_ratio(matrix: HedgeMatrix) -> Floats:
    """Dollars of x against one dollar of y, at the last prices of each leg."""
    beta = matrix.state.known(kernel.BETA)
    if matrix.state.space != "levels":
        return beta
    recent = matrix.state.recent
    last = np.full(recent.shape[1], np.nan)
    for row in recent:
        last = np.where(np.isnan(row), last, row)
    return beta * last[np.newaxis, :] / last[:, np.newaxis]


def _colour_ends(dollars: Floats) -> tuple[float, float, float]:
    """The 1%, 50% and 99% points of the pairs, held apart so that equal ratios have one colour."""
    known = dollars[np.isfinite(dollars)]
    low, middle, high = np.quantile(known, (0.01, 0.5, 0.99)) if known.size else (0.0, 1.0, 2.0)
    least = 1e-6 * max(abs(float(middle)), 1.0)
    return min(float(low), float(middle) - least), float(middle), max(float(high), float(middle) + least)


def _colour_text(ends: tuple[float, float, float]) -> str:
    text = "dollars of x held against one dollar of y; the neutral colour is the median of all pairs"
    away = max(abs(end - 1.0) for end in ends)
    if away < 0.02:
        text += (
            f". Here nearly all ratios are equal dollars within {100.0 * away:.2g}%: with these variances the filter "
            "follows the quotient of the last two prices and little else. A smaller variance of the moves (trans_cov) "
            "makes it estimate"
        )
    return text


def _largest(values: Floats, count: int) -> list[tuple[int, int]]:
    """Positions of the largest |value|, the largest first; equal ones in the order of the tickers."""
    size = np.abs(values).reshape(-1)
    known = np.flatnonzero(np.isfinite(size))
    if known.size > count:
        edge = np.partition(size[known], known.size - count)[known.size - count]
        known = known[size[known] >= edge]
    best = known[np.argsort(-size[known], kind="stable")][:count]
    return [(int(i), int(j)) for i, j in zip(*np.unravel_index(best, values.shape), strict=True)]


def _most_moved(moves: Floats, order: Sequence[int]) -> list[int]:
    size = np.where(np.isfinite(moves), np.abs(moves), 0.0).max(axis=1)
    chosen = set(np.argsort(-size, kind="stable")[:_PART].tolist())
    return [i for i in order if i in chosen]


def _heat(matrix: HedgeMatrix, part: Sequence[int], shades: Any) -> list[dict[str, Any]]:
    state, names = matrix.state, matrix.tickers
    z, half_life = matrix.spread_statistics()
    days = state.last_day.astype("datetime64[D]")
    digits = 3 if len(part) <= 30 else 2
    rows = []
    for i in part:
        cells = []
        for j in part:
            beta, error = state.values[kernel.BETA, i, j], np.sqrt(state.values[kernel.BETA_VAR, i, j])
            if i == j or state.last[i, j] < 0:
                title = names[i] if i == j else f"{names[i]} on {names[j]}: no common bar"
                cells.append({"shade": shades[i, j], "title": title, "text": ""})
                continue
            title = (
                f"{names[i]} on {names[j]}: ratio {significant(beta, 6)}, standard error {significant(error, 3)}, "
                f"z {significant(z[i, j], 3)}, half-life {significant(half_life[i, j], 3)}, last bar {days[i, j]}"
            )
            cells.append({"shade": shades[i, j], "title": title, "text": significant(beta, digits)})
        rows.append({"name": names[i], "cells": cells})
    return rows


def _moved(matrix: HedgeMatrix, before: Floats, moves: Floats) -> dict[str, tuple[Floats, int]]:
    values = matrix.state.values
    z, half_life = matrix.spread_statistics()
    return {
        "before": (before, 6),
        "now": (values[kernel.BETA], 6),
        "moved, in standard errors": (moves, 3),
        "standard error now": (np.sqrt(values[kernel.BETA_VAR]), 3),
        "spread z": (z, 3),
        "half-life": (half_life, 3),
    }


def _pairs_table(
    matrix: HedgeMatrix, pairs: Sequence[tuple[int, int]], columns: dict[str, tuple[Floats, int]]
) -> Table:
    """A table of pairs: the two tickers, then each column's value with as many decimals as the column needs."""
    texts = [_column([float(values[i, j]) for i, j in pairs], digits) for values, digits in columns.values()]
    names = matrix.tickers
    rows = [Row(names[i], [Cell(names[j], "text"), *(text[k] for text in texts)]) for k, (i, j) in enumerate(pairs)]
    return Table(["y", "x", *columns], rows)


def _column(values: Sequence[float], digits: int) -> list[str]:
    """Numbers with the same decimals: those that show `digits` significant digits of the median size."""
    sizes = [abs(value) for value in values if np.isfinite(value) and value != 0.0]
    places = digits - 1 - math.floor(math.log10(float(np.median(sizes)))) if sizes else 0
    return [number(value, min(max(places, 0), 8)) for value in values]


def _static(matrix: HedgeMatrix, current: Any) -> dict[str, Any]:
    """The error of the lines of the bar before: how large it is, and where it surprised the filter most."""
    values, recent = matrix.state.values, matrix.state.recent
    error = np.where(current, matrix.state.known(kernel.INNOVATION, bars=2), np.nan)
    levels = matrix.state.space == "levels"
    percent = 100.0 * (error / recent[-1][:, np.newaxis] if levels else error)
    surprise = error / np.sqrt(values[kernel.INNOVATION_VAR])
    size = np.abs(percent[np.isfinite(percent)])
    unit = "% of y's price" if levels else "% (hundredths of a log)"
    if not size.size:
        return {"static_text": "No pair has a ratio before the last bar.", "static": Table([], [])}
    middle, high = (significant(float(q), 3) for q in np.quantile(size, (0.5, 0.95)))
    text = (
        f"Each pair's line of the bar before (ratio and intercept), held to the prices of {matrix.last_bar}, misses y "
        f"by {middle}{unit} in the median over {size.size:,} pairs and by {high}{unit} in the worst twentieth. Below, "
        "the pairs where the miss is largest for what the filter expected."
    )
    columns = {
        f"error, {unit}": (percent, 3),
        "error, in y's units": (error, 3),
        "expected deviations": (surprise, 3),
    }
    return {"static_text": text, "static": _pairs_table(matrix, _largest(surprise, _TOP), columns)}
