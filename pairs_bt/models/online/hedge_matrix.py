"""Every hedge ratio of a table of prices at once, and the next morning's without the history.

The state of a pair moves bar by bar. With given variances it is that of `pairs_bt.models.online.kalman_ols.KalmanOLS`
on its two columns, to the last bit; with ``trans_cov="auto"`` it is that of the best filter of a grid so far. What is
shown beside the ratios (z-score, half-life) is a function of the states and of the last ``window`` prices, both of
which are stored: nothing drifts between a matrix that was updated and one that was fitted on the longer history.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pairs_bt.common.array_checks import Floats, check_number
from pairs_bt.common.formatting import html_table, significant
from pairs_bt.data.formats.number_parsing import shown
from pairs_bt.data.prices import PriceData, check_prices, read_prices
from pairs_bt.errors import DataError
from pairs_bt.kernels.online import hedge_matrix as kernel
from pairs_bt.models.kalman import unpack_state
from pairs_bt.models.online.hedge_matrix_file import MatrixState, off_diagonal, pair_codes, read_state, write_state
from pairs_bt.models.online.hedge_matrix_grid import best_steps, check_variances
from pairs_bt.models.online.hedge_matrix_steps import (
    advance,
    count_threads,
    filter_inputs,
    in_space,
    in_threads,
    initial_state,
    whole_days,
)
from pairs_bt.models.online.hedge_matrix_update import UpdateReport, as_frame, name_gaps

__all__ = ["MIN_BARS", "SPACES", "SPACE_NAMES", "HedgeMatrix", "UpdateReport"]

SPACES = ("levels", "log", "changes")

#: What is regressed on what, in words.
SPACE_NAMES = {"levels": "prices", "log": "log prices", "changes": "log changes of prices"}
# Tickers that a notebook shows.
_SHOWN = 8

#: Bars with both legs, among the last `window`, that a z-score and a half-life need.
MIN_BARS = 20


class HedgeMatrix:
    """Regression filters of every ordered pair of tickers, y down and x across.

    Made by `fit` or `load`. ``update`` changes it in place.

    Attributes
    ----------
    beta, alpha : ndarray, shape (tickers, tickers)
        Units of x a unit of y, and the intercept in y's units: row y, column x; NaN on the diagonal.

    See Also
    --------
    KalmanOLS : the filter of one pair.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> days = pd.date_range("2024-01-01", periods=30, freq="B")
    >>> steps = np.random.default_rng(0).normal(size=(30, 3))
    >>> prices = pd.DataFrame(50 + steps.cumsum(axis=0), index=days, columns=["A", "B", "C"])
    >>> matrix = HedgeMatrix.fit(prices.iloc[:-1])
    >>> matrix.update(prices.iloc[-1]).dates
    ('2024-02-09',)
    >>> matrix.beta.shape
    (3, 3)
    """

    def __init__(self, state: MatrixState) -> None:
        if not isinstance(state, MatrixState):
            raise TypeError(
                "A HedgeMatrix is made by HedgeMatrix.fit(prices) or HedgeMatrix.load(folder), not by its name."
            )
        self._state = state
        self._spread: tuple[Floats, Floats] | None = None

    # ------------------------------------------------------------------------------------------ making, moving

    @classmethod
    def fit(
        cls,
        prices: Any,
        *,
        space: str = "levels",
        init_beta: float = 0,
        init_alpha: float = 0,
        init_cov: float | str | None = None,
        trans_cov: float | str = "auto",
        obs_cov: float | str | None = None,
        window: int = 252,
        jobs: int | None = None,
    ) -> HedgeMatrix:
        """Filter every ordered pair through the whole history.

        Parameters
        ----------
        prices : path, DataFrame, shape (days, tickers), or any other source of `read_prices`
            A pair moves on the bars that have both legs. A bar that lacks one
            leaves its state and its last date as they were; the variance that it adds is added when the
            pair's next bar comes, as in `KalmanOLS` on the same two columns with their NaN.
        space : {"levels", "log", "changes"}
            What is regressed: prices, log prices, or log changes between consecutive bars (the first bar, and one
            after a missing price, has none).
        init_beta, init_alpha : float
            Ratio and intercept before the first bar, of every pair.
        trans_cov : float or "auto"
            A number is that of `KalmanOLS`: the variance of a step of ratio and intercept, in squared units of the
            space. ``"auto"`` takes for each pair the one of a grid whose one-step predictions have had the highest
            likelihood so far; ratio, intercept and their variance are those of that filter.
        init_cov, obs_cov : float, "auto" or None
            Variance of ratio and intercept before the first bar, and of the error. None is 1 beside a number for
            `trans_cov`, and ``"auto"`` beside ``"auto"``: each pair's error variance is fitted by the same
            likelihood, and the start is wide. A number for `init_cov` without one for `obs_cov` is in
            units of the error's variance there.
        window : int
            Bars of the spread's z-score and half-life, at least 20.
        jobs : int, optional
            Threads; None for all processors. The numbers are the same bits for any.

        Raises
        ------
        DataError
            Prices that cannot be used, or too few bars.
        ValueError
            An option outside its range.
        """
        if space not in SPACES:
            raise ValueError(f"space is {space!r}; it must be one of {', '.join(SPACES)}")
        if isinstance(window, bool) or not isinstance(window, (int, np.integer)) or window < MIN_BARS:
            raise ValueError(f"window is {window!r}; it must be a whole number of bars, at least {MIN_BARS}")
        parameters = {
            "init_beta": check_number("init_beta", init_beta),
            "init_alpha": check_number("init_alpha", init_alpha),
        } | check_variances(init_cov, trans_cov, obs_cov)
        threads = count_threads(jobs)
        frame = (prices if isinstance(prices, PriceData) else read_prices(prices)).prices
        if space == "changes" and len(frame) < 2:
            raise DataError(f"Prices have {len(frame)} bar; a change needs two. Pass a longer history.")
        empty = initial_state(frame, space, parameters, int(window))
        days = whole_days(frame)
        return cls(advance(empty, days, in_space(frame.to_numpy(), space), threads))

    def update(self, rows: pd.Series | pd.DataFrame | PriceData, *, jobs: int | None = None) -> UpdateReport:
        """Move every pair by one bar or several; the same bits as a fit on the longer history.

        Parameters
        ----------
        rows : Series, DataFrame or PriceData
            New prices: a Series by ticker whose name is the date, or a frame as for `fit`. A ticker that is
            absent or NaN skips its pairs; the report names it.
        jobs : int, optional
            Threads; None for all processors.

        Raises
        ------
        DataError
            A bar that is not after the last one, a row without any price, or prices that cannot be used. The
            matrix is then as it was.
        """
        threads = count_threads(jobs)
        given = (rows if isinstance(rows, PriceData) else check_prices(as_frame(rows))).prices
        state = self._state
        days = whole_days(given)
        last = state.days[-1]
        if days[0] <= last:
            old = days[days <= last]
            which = f"{old[0]} is" if len(old) == 1 else f"{len(old)} bars, {old[0]} to {old[-1]}, are"
            raise DataError(
                f"{which} not after the matrix's last bar, {last}. A bar counts once: pass only the bars after {last}, "
                "or fit the matrix again where the past was corrected."
            )
        frame = given.reindex(columns=list(state.tickers))
        values = frame.to_numpy(dtype=np.float64)
        empty = np.isnan(values).all(axis=1)
        if empty.any():
            raise DataError(
                f"No ticker of the matrix has a price on {days[empty][0]}. Leave the row out where there was no "
                "market; otherwise check that its tickers are named as in the matrix "
                f"({shown(', '.join(state.tickers))})."
            )
        base = in_space(values, state.space)
        inputs = filter_inputs(state, base)
        missing = {
            str(day): tuple(t for t, value in zip(state.tickers, row, strict=True) if np.isnan(value))
            for day, row in zip(days, inputs, strict=True)
        }
        unknown = tuple(str(t) for t in given.columns if t not in set(state.tickers))
        self._state = advance(state, days, base, threads)
        self._spread = None
        return UpdateReport(
            tuple(str(day) for day in days),
            {day: tickers for day, tickers in missing.items() if tickers},
            unknown,
            name_gaps(np.concatenate([state.days[-1:], days])),
        )

    # ------------------------------------------------------------------------------------------------- reading

    @property
    def state(self) -> MatrixState:
        """The arrays behind the frames; not to be written into."""
        return self._state

    @property
    def tickers(self) -> tuple[str, ...]:
        """Rows and columns of every frame."""
        return self._state.tickers

    @property
    def last_bar(self) -> str:
        """Date of the last bar."""
        return str(self._state.days[-1])

    def __repr__(self) -> str:
        state, k = self._state, len(self.tickers)
        missing = int(np.count_nonzero(off_diagonal(state.last) < 0))
        without = f", {missing:,} of them without a common bar" if missing else ""
        return (
            f"<HedgeMatrix: {k:,} tickers, {k * (k - 1):,} ratios of {SPACE_NAMES[state.space]}{without}; "
            f"{state.bars:,} bars, the last on {self.last_bar}>"
        )

    def _repr_html_(self) -> str:
        """What Jupyter shows: what the matrix is of, and its first ratios."""
        names, beta = self.tickers[:_SHOWN], self._state.known(kernel.BETA)
        rows = [["y \\ x", *names]]
        for i, name in enumerate(names):
            rows.append([name, *("" if i == j else significant(beta[i, j]) for j in range(len(names)))])
        more = len(self.tickers) - len(names)
        rest = f"<p>And {more:,} more tickers: <code>beta</code> is the whole frame.</p>" if more > 0 else ""
        return html_table(rows, repr(self)[1:-1]) + rest

    @property
    def beta(self) -> pd.DataFrame:
        """Hedge ratio (k, k): units of x (columns) against one of y (rows); NaN on the diagonal and without a bar."""
        return self._frame(self._state.known(kernel.BETA))

    @property
    def alpha(self) -> pd.DataFrame:
        """Intercept (k, k), in units of y."""
        return self._frame(self._state.known(kernel.ALPHA))

    @property
    def standard_error(self) -> pd.DataFrame:
        """Standard error of the ratio (k, k), as of the pair's last date."""
        return self._frame(np.sqrt(self._state.known(kernel.BETA_VAR)))

    @property
    def trans_cov(self) -> pd.DataFrame:
        """Variance (k, k) of the ratio's step from bar to bar, in squared units of the ratio.

        The one given, or with ``"auto"`` each pair's best so far times its error's variance: NaN before its third bar.
        """
        state = self._state
        if state.grid is None:
            given = np.full(state.seen.shape, state.parameters["trans_cov"])
            return self._frame(np.where(np.isnan(state.known(kernel.BETA)), np.nan, given))
        return self._frame(best_steps(state)[0])

    @property
    def spread_z(self) -> pd.DataFrame:
        """z-score (k, k) of the last spread.

        The spread is ``y - beta x`` with today's beta held over the last `window` bars, of prices in ``levels`` and of
        log prices in ``log`` and ``changes``. NaN with fewer than 20 bars, or where it is constant.
        """
        return self._frame(self.spread_statistics()[0])

    @property
    def half_life(self) -> pd.DataFrame:
        """Half-life (k, k) of the same spread, in bars; inf where nothing pulls it back."""
        return self._frame(self.spread_statistics()[1])

    @property
    def static_error(self) -> pd.DataFrame:
        """Error (k, k) of the line of the bar before: ``y_t - beta_{t-1} x_t - alpha_{t-1}``, in units of y.

        The pair's innovation; NaN where it has had fewer than two bars.
        """
        return self._frame(self._state.known(kernel.INNOVATION, bars=2))

    @property
    def last_date(self) -> pd.DataFrame:
        """Date (k, k) of the last bar that had both legs; NaT where there was none."""
        days = self._state.last_day.astype("datetime64[D]").astype("datetime64[s]")
        days[(self._state.last < 0) | np.eye(len(days), dtype=bool)] = np.datetime64("NaT")
        return self._frame(days)

    @property
    def loc(self) -> _Pairs:
        """``matrix.loc[y, x]``: that pair's state, as `KalmanOLS.get_state` gives it."""
        return _Pairs(self._state)

    def move(self, since: HedgeMatrix | None = None) -> pd.DataFrame:
        """Change of the ratio (k, k) in standard errors of the ratio before.

        Parameters
        ----------
        since : HedgeMatrix, optional
            An earlier copy of this matrix (`copy.copy` before ``update``); None for the pair's bar before its last.
            NaN where the pair has had no bar before, and where its ratio had no variance.
        """
        return self._frame(self.moves(since)[1])

    def moves(self, since: HedgeMatrix | None = None) -> tuple[Floats, Floats]:
        """Ratios before (k, k), and the changes since in standard errors; arrays of `move`."""
        state = self._state
        if since is None:
            before, variance = state.values[kernel.BETA_BEFORE], state.values[kernel.BETA_VAR_BEFORE]
            known = state.seen > 1
        else:
            if since.tickers != self.tickers:
                raise ValueError("since has other tickers than this matrix; give an earlier copy of the same matrix")
            before, variance = since._state.values[kernel.BETA], since._state.values[kernel.BETA_VAR]
            known = since._state.seen > 0
        known &= variance > 0.0
        before = np.where(known, before, np.nan)
        return before, (state.values[kernel.BETA] - before) / np.sqrt(np.where(known, variance, 1.0))

    def spread_statistics(self, jobs: int | None = None) -> tuple[Floats, Floats]:
        """Arrays (k, k) of `spread_z` and `half_life`, computed once for each state."""
        if self._spread is None:
            state, k = self._state, len(self.tickers)
            z, half_life = np.empty((k, k)), np.empty((k, k))
            beta = np.ascontiguousarray(state.values[kernel.BETA])

            def rows(lo: int, hi: int) -> None:
                kernel.spread_statistics(state.recent, beta, lo, hi, MIN_BARS, z, half_life)

            in_threads(rows, k, count_threads(jobs))
            self._spread = z, half_life
        return self._spread

    def pairs(self) -> pd.DataFrame:
        """Every ordered pair in a long frame, in the order of the tickers.

        Columns y, x, beta, alpha, standard_error, spread_z, half_life, static_error, move (in standard errors,
        since the bar before), bars, last_date.
        """
        return pd.DataFrame(self.pair_columns())

    def pair_columns(self) -> dict[str, Any]:
        """The columns of `pairs` as arrays; y and x as categories."""
        state = self._state
        y, x = pair_codes(len(self.tickers))
        names = pd.Index(self.tickers)
        z, half_life = self.spread_statistics()
        columns: dict[str, Any] = {
            "y": pd.Categorical.from_codes(y, names),
            "x": pd.Categorical.from_codes(x, names),
        }
        squares = {
            "beta": state.known(kernel.BETA),
            "alpha": state.known(kernel.ALPHA),
            "standard_error": np.sqrt(state.known(kernel.BETA_VAR)),
            "spread_z": z,
            "half_life": half_life,
            "static_error": state.known(kernel.INNOVATION, bars=2),
            "move": self.moves()[1],
            "bars": state.seen,
        }
        columns |= {name: off_diagonal(square) for name, square in squares.items()}
        days = off_diagonal(state.last_day).astype("datetime64[D]").astype("datetime64[s]")
        days[off_diagonal(state.last) < 0] = np.datetime64("NaT")
        return columns | {"last_date": days}

    def orders(
        self,
        positions: Any,
        *,
        instrument: str | Sequence[str] | None = None,
        lot: float = 1.0,
        smallest: float = 0.0,
        best_over: int = 63,
    ) -> pd.DataFrame:
        """Orders that bring the hedges of an inventory to today's ratios: one a hedge instrument.

        Parameters
        ----------
        positions : DataFrame, Series or mapping
            Columns ticker and shares (below 0 for a short), and where wanted instrument and date; or shares by ticker.
            What is held of an instrument is its present hedge, not a position to be hedged.
        instrument : str or sequence of str, optional
            What positions that name none are hedged with. Of several, each takes the one that would have hedged it
            best over the last `best_over` bars, at today's ratio.
        lot : float
            Shares of a lot; orders are rounded to whole lots. 0 leaves fractions.
        smallest : float
            Orders of fewer dollars are left out.
        best_over : int
            Bars by which an instrument is chosen, at least 20, of those that the matrix keeps (its `window`).

        Returns
        -------
        DataFrame
            ticker, held, target (held + trade), trade (shares to buy, below 0 to sell), price (of the last bar),
            dollars (trade times price), ratio (shares of the instrument against one share) and its standard_error.
            First the positions, which are not traded, with their ratios; then the instruments, whose ratio is given
            where they hedge one position. ``attrs["unhedged"]`` has the reason by ticker for what cannot be hedged,
            ``attrs["notes"]`` the orders that were left out.

        Raises
        ------
        DataError
            An unknown or repeated ticker, shares that are no number, a position dated after the last bar, an instrument
            that is unknown or has no price on the last bar, or none named.
        ValueError
            An option outside its range.
        """
        from pairs_bt.models.online.hedge_orders import hedge_orders

        return hedge_orders(self, positions, instrument=instrument, lot=lot, smallest=smallest, best_over=best_over)

    # ------------------------------------------------------------------------------------------------- keeping

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write ``states.parquet`` into ``folder``, in one step: a reader sees the old matrix or the new one.

        Raises
        ------
        ConfigError
            A folder that cannot be written.
        """
        return write_state(self._state, Path(folder))

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> HedgeMatrix:
        """Read the matrix that `save` wrote.

        Raises
        ------
        DataError
            No matrix there, or a file that is damaged, was changed, or has another version.
        """
        return cls(read_state(Path(folder)))

    def _frame(self, values: Any) -> pd.DataFrame:
        index = pd.Index(self.tickers, name="y", dtype="str")
        return pd.DataFrame(values.copy(), index=index, columns=index.rename("x"))


class _Pairs:
    def __init__(self, state: MatrixState) -> None:
        self._state = state

    def __getitem__(self, pair: Any) -> dict[str, list[Any]]:
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise KeyError(f"loc takes two tickers, y and x, not {pair!r}")
        for ticker in pair:
            if ticker not in self._state.tickers:
                raise KeyError(f"{ticker!r} is not a ticker of this matrix")
        if pair[0] == pair[1]:
            raise KeyError(f"{pair[0]!r} on itself has no hedge ratio")
        i, j = (self._state.tickers.index(ticker) for ticker in pair)
        mean, cov = unpack_state(self._state.values[: kernel.STATE, i, j])
        return {"mean": mean.tolist(), "cov": cov.tolist()}
