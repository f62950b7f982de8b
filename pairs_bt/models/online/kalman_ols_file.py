"""The file of a `KalmanOLS`: strict JSON, written in one step."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pairs_bt.common.array_checks import Floats, check_number
from pairs_bt.common.files import reason, write_text
from pairs_bt.errors import DataError

FORMAT = "pairs_bt.KalmanOLS"
VERSION = 1
PARAMETERS = ("init_beta", "init_alpha", "init_cov", "trans_cov", "obs_cov")


def label(column: Any) -> str | int:
    """A column name that JSON can hold, or DataError."""
    if isinstance(column, (str, int)):
        return column
    raise DataError(f"column {column!r} of the training data cannot be saved; name the columns with text")


def index_to_json(index: pd.Index) -> dict[str, Any]:
    """The index as JSON, with what `index_from_json` needs to make the same one."""
    name = index.name if index.name is None else str(index.name)
    if isinstance(index, pd.RangeIndex):
        return {"kind": "range", "name": name, "values": [index.start, index.stop, index.step]}
    if isinstance(index, pd.DatetimeIndex) and index.tz is None:
        return {
            "kind": "datetime",
            "name": name,
            "unit": index.unit,
            "values": [t.isoformat() for t in index],
        }
    if index.dtype.kind in "iu":
        return {"kind": "integer", "name": name, "values": index.tolist()}
    if all(isinstance(v, str) for v in index):
        return {"kind": "text", "name": name, "values": index.tolist()}
    raise DataError(
        f"the training data's index of type {index.dtype} cannot be saved; "
        "use dates without a time zone, integers or text"
    )


def index_from_json(entry: dict[str, Any]) -> pd.Index:
    """The index that `index_to_json` wrote."""
    kind, values, name = entry["kind"], entry["values"], entry["name"]
    if kind == "range":
        start, stop, step = values
        return pd.RangeIndex(start, stop, step, name=name)
    if kind == "datetime":
        return pd.DatetimeIndex(values, name=name).as_unit(entry["unit"])
    if kind == "integer":
        return pd.Index(values, name=name, dtype=np.int64)
    if kind == "text":
        return pd.Index(values, name=name, dtype="str")
    raise ValueError(f"unknown kind of index {kind!r}")


def rows_to_json(rows: Floats) -> list[list[float | None]]:
    """Bars (n, 2) as lists; a missing price is null."""
    return [[None if v != v else v for v in row] for row in rows.tolist()]


def rows_from_json(rows: list[list[float | None]]) -> Floats:
    """Bars (n, 2) that `rows_to_json` wrote."""
    values = [[np.nan if v is None else check_number("a saved price", v) for v in row] for row in rows]
    if any(len(row) != 2 for row in values):
        raise ValueError("a saved bar has two prices")
    return np.array(values, dtype=np.float64).reshape(-1, 2)


def write_document(path: Path, document: dict[str, Any]) -> Path:
    """Write a model's JSON in one step, into a folder that exists."""
    text = json.dumps(document, allow_nan=False) + "\n"
    try:
        if not path.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, "its folder does not exist")
        write_text(path, text)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {reason(error)}; give a path in a folder that exists") from error
    return path


def read_document(path: Path) -> dict[str, Any]:
    """The JSON object of a saved model, with exactly the keys of this version."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}; give a file that KalmanOLS.save wrote") from error
    except UnicodeDecodeError:
        raise DataError(f"{path} is not text; give a file that KalmanOLS.save wrote") from None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON: {error}; give a file that KalmanOLS.save wrote") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise DataError(f"{path} is not a saved KalmanOLS; give a file that KalmanOLS.save wrote")
    if document.get("version") != VERSION:
        raise DataError(
            f"{path} has version {document.get('version')!r}; "
            f"this pairs_bt reads version {VERSION}: save the model again"
        )
    wanted = {"format", "version", "parameters", "columns", "index", "training", "updates", "state"}
    odd = sorted(wanted.symmetric_difference(document))
    parameters = document.get("parameters")
    if not odd and (not isinstance(parameters, dict) or set(parameters) - {"transition"} != set(PARAMETERS)):
        odd = ["parameters"]
    if odd:
        raise DataError(f"{path} lacks or adds {', '.join(odd)}; save the model again")
    return document
