"""A hedge ratio that moves one bar at a time, on the kernel of the batch filter."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pairs_bt.common.array_checks import LARGEST, SMALLEST_VARIANCE, Floats, check_number, check_values
from pairs_bt.common.formatting import html_table, significant
from pairs_bt.errors import DataError
from pairs_bt.kernels.kalman import PATH, hedge_path, transition_path
from pairs_bt.models.kalman import check_state, unpack_state
from pairs_bt.models.online.kalman_ols_file import (
    FORMAT,
    VERSION,
    index_from_json,
    index_to_json,
    label,
    read_document,
    rows_from_json,
    rows_to_json,
    write_document,
)

HISTORY = (
    "y",
    "x",
    "beta",
    "alpha",
    "beta_var",
    "beta_alpha_cov",
    "alpha_var",
    "innovation",
    "innovation_var",
)


class KalmanOLS:
    """Regression of Y on X whose coefficients follow a random walk, trained once and then moved bar by bar.

    ``Y_t = beta_t X_t + alpha_t + e_t``; (beta, alpha) starts at (init_beta, init_alpha) with covariance
    ``init_cov I``; before every bar but the first it is multiplied by ``transition`` and moves with covariance
    ``trans_cov I``; e has variance ``obs_cov``.

    Parameters
    ----------
    dataset
        (n, 2) frame or array, Y in the first column and X in the second. A row with a NaN is a missing bar:
        the state stands and its variance grows.
    init_beta, init_alpha
        Mean of the state before the first bar.
    init_cov, trans_cov
        Variances on the diagonals (>= 0).
    obs_cov
        Variance of the observation (> 0), in squared units of Y.
    transition
        What (beta, alpha) is multiplied by before every bar but the first: a (2, 2) matrix, or a number for that
        multiple of the identity. Default: the identity, a random walk.

    Raises
    ------
    DataError
        A dataset that is not two columns of finite numbers.
    ValueError
        A parameter outside its range.

    See Also
    --------
    HedgeMatrix : the same for every ordered pair of many tickers.

    Examples
    --------
    >>> model = KalmanOLS([[105.35, 201.02], [102.71, 201.36], [100.70, 198.82]])
    >>> state = model.update(X=197.0, Y=99.5)
    >>> sorted(state)
    ['cov', 'mean']
    """

    def __init__(
        self,
        dataset: Any,
        init_beta: float = 0,
        init_alpha: float = 0,
        init_cov: float = 1,
        trans_cov: float = 1,
        obs_cov: float = 1,
        transition: Any = 1,
    ) -> None:
        self._parameters = {
            "init_beta": check_number("init_beta", init_beta),
            "init_alpha": check_number("init_alpha", init_alpha),
            "init_cov": check_number("init_cov", init_cov, low=0.0),
            "trans_cov": check_number("trans_cov", trans_cov, low=0.0),
            "obs_cov": check_number("obs_cov", obs_cov, low=SMALLEST_VARIANCE),
        }
        self._transition = _transition_matrix(transition)
        self._training = _training_frame(dataset)
        values = check_values("dataset", self._training, ndim=(2,))
        self._rows: list[Floats] = []
        variance = self._parameters["init_cov"]
        self._state = check_state(
            (self._parameters["init_beta"], self._parameters["init_alpha"]),
            ((variance, 0.0), (0.0, variance)),
        )
        self._move(np.ascontiguousarray(values[:, 0]), np.ascontiguousarray(values[:, 1]), predict_first=False)

    def get_state(self) -> dict[str, list[Any]]:
        """Return ``{"mean": [beta, alpha], "cov": [[..], [..]]}`` after the last bar."""
        mean, cov = unpack_state(self._state)
        return {"mean": mean.tolist(), "cov": cov.tolist()}

    def update(self, *, X: float, Y: float) -> dict[str, list[Any]]:
        """Move one bar and return the new state.

        Raises
        ------
        DataError
            X or Y that is not one finite real number; the state is left as it was.
        """
        x, y = _one_price("X", X), _one_price("Y", Y)
        self._move(np.array([y]), np.array([x]), predict_first=True)
        return self.get_state()

    def get_training_data(self) -> pd.DataFrame:
        """Return a copy of the two columns that the model was made from; updates are not among them."""
        return self._training.copy()

    @property
    def history(self) -> pd.DataFrame:
        """State after every bar, training and updates.

        Columns y, x, beta, alpha, beta_var, beta_alpha_cov, alpha_var, innovation, innovation_var; the
        index counts bars from 0.
        """
        return pd.DataFrame(
            np.hstack(self._rows).T.copy(),
            columns=list(HISTORY),
            index=pd.RangeIndex(sum(block.shape[1] for block in self._rows), name="bar"),
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the model as JSON, in one step: a reader sees the old file or the new one.

        Raises
        ------
        DataError
            An index of the training data that JSON cannot hold, or a path that cannot be written.
        """
        bars = np.hstack([block[:2] for block in self._rows]).T
        n = len(self._training)
        document = {
            "format": FORMAT,
            "version": VERSION,
            "parameters": self._saved_parameters(),
            "columns": [label(c) for c in self._training.columns],
            "index": index_to_json(self._training.index),
            "training": rows_to_json(bars[:n]),
            "updates": rows_to_json(bars[n:]),
            "state": self._state.tolist(),
        }
        return write_document(Path(path), document)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> KalmanOLS:
        """Read a model that `save` wrote.

        The bars are filtered again, and the state they give must be the one that the file holds.

        Raises
        ------
        DataError
            A file that is missing, is not such a model, has another version, or does not agree with itself.
        """
        source = Path(path)
        document = read_document(source)
        try:
            frame = pd.DataFrame(
                rows_from_json(document["training"]),
                columns=document["columns"],
                index=index_from_json(document["index"]),
            )
            model = cls(frame, **document["parameters"])
            for y, x in rows_from_json(document["updates"]):
                model.update(X=x, Y=y)
            saved = np.array(document["state"], dtype=np.float64)
        except (TypeError, ValueError, KeyError, OverflowError, DataError) as error:
            raise DataError(
                f"{source} is not a saved KalmanOLS that can be read: {error}; save the model again"
            ) from error
        if saved.shape != model._state.shape or not np.allclose(saved, model._state, rtol=1e-9, atol=0.0):
            raise DataError(
                f"{source} holds state {saved.tolist()}, but its bars give {model._state.tolist()}; "
                "the file was changed after it was saved: save the model again"
            )
        return model

    def _is_random_walk(self) -> bool:
        return bool(np.array_equal(self._transition, np.eye(2)))

    def _saved_parameters(self) -> dict[str, Any]:
        # a random walk's file is that of 0.1.0, which knew no other transition
        if self._is_random_walk():
            return dict(self._parameters)
        return {**self._parameters, "transition": self._transition.tolist()}

    def _described(self) -> tuple[str, list[list[str]]]:
        """What the model is of, in one line, and its coefficients as rows of a table."""
        y, x = (str(column) for column in self._training.columns)
        mean, cov = unpack_state(self._state)
        errors = np.sqrt(np.diag(cov))
        trained, bars = len(self._training), sum(block.shape[1] for block in self._rows)
        line = f"KalmanOLS of {y} on {x}: trained on {trained:,} bars, then moved by {bars - trained:,}"
        rows = [["", "estimate", "standard error"]]
        for name, value, error in zip(("beta", "alpha"), mean, errors, strict=True):
            rows.append([name, significant(value, 6), significant(error, 3)])
        return line, rows

    def __repr__(self) -> str:
        line, (_, *rows) = self._described()
        return f"<{line}; " + ", ".join(f"{name} {value} (standard error {error})" for name, value, error in rows) + ">"

    def _repr_html_(self) -> str:
        """What Jupyter shows: the coefficients with their standard errors, and the filter's parameters."""
        line, rows = self._described()
        parameters = ", ".join(f"{name} {value:g}" for name, value in self._parameters.items())
        return html_table(rows, line) + f"<p>{parameters}</p>"

    def _move(self, y: Floats, x: Floats, *, predict_first: bool) -> None:
        q, r = self._parameters["trans_cov"], self._parameters["obs_cov"]
        path = np.empty((PATH, len(y)))
        state = self._state.copy()
        if self._is_random_walk():
            hedge_path(y, x, q, q, r, predict_first, state, path)
        else:
            transition_path(y, x, self._transition, q, r, predict_first, state, path)
            if not np.isfinite(path[:5]).all():
                raise DataError(
                    f"transition {self._transition.tolist()} makes the state grow beyond every number; "
                    "give one whose eigenvalues are at most 1 in size. The state is as it was"
                )
        self._state = state
        self._rows.append(np.vstack([y, x, path]))


def _transition_matrix(value: Any) -> Floats:
    if np.ndim(value) == 0:
        return check_number("transition", value) * np.eye(2)
    if np.shape(value) != (2, 2):
        raise ValueError(f"transition has shape {np.shape(value)}; give one number or a (2, 2) matrix")
    entries = [[check_number(f"transition[{i}][{j}]", v) for j, v in enumerate(np.asarray(value)[i])] for i in (0, 1)]
    return np.array(entries)


def _training_frame(dataset: Any) -> pd.DataFrame:
    frame: pd.DataFrame | None
    if isinstance(dataset, pd.DataFrame):
        frame = dataset.copy()
    else:
        try:
            array = np.asarray(dataset)
        except ValueError as error:
            raise DataError(f"dataset is not a table ({error}); give two columns, Y then X") from error
        frame = pd.DataFrame(array, columns=["Y", "X"]) if array.ndim == 2 and array.shape[1] == 2 else None
    if frame is None or frame.shape[1] != 2 or len(frame) == 0:
        shape = np.shape(dataset)
        raise DataError(f"dataset has shape {shape}; it must have two columns, Y then X, and at least one bar")
    return frame


def _one_price(name: str, value: Any) -> float:
    try:
        number = check_number(name, value)
    except ValueError:
        shown = value.item() if isinstance(value, np.generic) else value
        raise DataError(
            f"{name} is {shown!r}; an update needs one finite real number below {LARGEST:g}: "
            "skip a bar that is missing. The state is as it was"
        ) from None
    return number
