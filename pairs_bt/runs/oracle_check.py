"""The kernels against statsmodels and pykalman, on a sample of the user's own pairs.

What is compared is what a run computes: the same tasks, on the same windows, against the libraries' own functions.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pairs_bt.backtest.hedge_rules import HEDGE_RULES, FilterPath
from pairs_bt.backtest.signals import Levels, filter_pairs, make_signals
from pairs_bt.backtest.study import Study
from pairs_bt.backtest.window_tasks import scan_task
from pairs_bt.config.schema import RULES, Config, HedgeFilter, Smooth
from pairs_bt.models.kalman import local_level_filter

# Largest deviation that rounding may leave; the filters' is relative to the path's largest value.
ALLOWED = {
    "Engle-Granger statistic": 1e-9,
    "Engle-Granger p-value": 1e-8,
    "Engle-Granger lag": 0.0,
    "VAR order": 0.0,
    "Johansen trace": 1e-9,
    "local level filter": 1e-12,
    "hedge filter, beta": 1e-10,
    "hedge filter, alpha": 1e-10,
    "half-life": 1e-7,
    "z-score": 1e-7,
}


@dataclass(frozen=True)
class Agreement:
    """How one quantity compares.

    Attributes
    ----------
    quantity : str
        What was compared.
    compared : int
        Numbers compared.
    largest : float
        Largest deviation: relative, or of paths relative to the path's largest value. NaN where nothing could be
        compared.
    allowed : float
        What rounding explains.
    """

    quantity: str
    compared: int
    largest: float
    allowed: float

    @property
    def holds(self) -> bool:
        """Whether nothing deviates by more than is allowed."""
        return self.compared == 0 or self.largest <= self.allowed


def sample_pairs(study: Study, size: int, seed: int) -> list[tuple[int, int]]:
    """Draw (window, position in the universe) of pairs that both tickers can take part in, without repetition."""
    rng = np.random.default_rng(seed)
    total = len(study.windows) * study.pair_i.size
    drawn: list[tuple[int, int]] = []
    for number in rng.permutation(total)[: 50 * size] if total < 5_000_000 else rng.integers(0, total, 50 * size):
        k, at = divmod(int(number), study.pair_i.size)
        codes = study.context(k).codes
        if codes[study.pair_i[at]] == 0 and codes[study.pair_j[at]] == 0 and (k, at) not in drawn:
            drawn.append((k, at))
        if len(drawn) == size:
            break
    return sorted(drawn)


def compare_kernels(study: Study, *, pairs: int = 24, seed: int | None = None) -> list[Agreement]:
    """Compare tests, filters, half-lives and z-scores on a seeded sample of pairs.

    Parameters
    ----------
    study : Study
        Config and prices.
    pairs : int
        Size of the sample, over all windows.
    seed : int, optional
        None takes `run.seed` of the config.

    Returns
    -------
    list of Agreement
        In the order of `ALLOWED`.
    """
    found: dict[str, list[float]] = {name: [] for name in ALLOWED}
    for k, at in sample_pairs(study, pairs, study.config.run.seed if seed is None else seed):
        for part in (_compare_tests(study, k, at), _compare_filters(study, k, at)):
            for name, deviation in part:
                found[name].append(deviation)
    return [
        Agreement(name, len(values), float(np.max(values)) if values else float("nan"), ALLOWED[name])
        for name, values in found.items()
    ]


def _compare_tests(study: Study, k: int, at: int) -> Iterator[tuple[str, float]]:
    from statsmodels.tsa.stattools import coint
    from statsmodels.tsa.vector_ar.var_model import VAR
    from statsmodels.tsa.vector_ar.vecm import coint_johansen

    from pairs_bt.models.cointegration import engle_granger

    ours = scan_task(study, k, at, at + 1)
    if ours.reason[0] != "":
        return  # refused (identical, collinear): there is nothing to agree on
    context = study.context(k)
    train = context.train[[study.pair_i[at], study.pair_j[at]]]
    if study.config.filter.price_space == "log":
        train = np.log(train)
    for first, label in ((0, "12"), (1, "21")):
        y, x = train[first], train[1 - first]
        stat, pvalue, _ = coint(y, x, trend="c", autolag="aic")
        yield "Engle-Granger statistic", _relative(getattr(ours, f"eg_stat_{label}")[0], stat)
        yield "Engle-Granger p-value", _relative(getattr(ours, f"eg_pvalue_{label}")[0], pvalue)
        yield "Engle-Granger lag", float(abs(engle_granger(y, x).lags - _coint_lag(y, x)))
    order = int(VAR(train.T).select_order().aic)
    yield "VAR order", float(abs(int(ours.var_order[0]) - order))
    theory = study.config.selection.var_order == "theory"
    trace = coint_johansen(train.T, 0, max(order - 1, 1) if theory else max(order, 1)).lr1
    yield "Johansen trace", abs(ours.trace0[0] - trace[0]) / max(abs(trace[0]), 1.0)
    yield "Johansen trace", abs(ours.trace1[0] - trace[1]) / max(abs(trace[1]), 1.0)


def _coint_lag(y: np.ndarray, x: np.ndarray) -> int:
    """Return the lag that `coint` chose, which it does not tell."""
    from statsmodels.regression.linear_model import OLS
    from statsmodels.tools.tools import add_constant
    from statsmodels.tsa.stattools import adfuller

    residual = OLS(y, add_constant(x)).fit().resid
    with warnings.catch_warnings():
        # Newer versions announce another return type, which is indexed the same.
        warnings.simplefilter("ignore", FutureWarning)
        return int(adfuller(residual, regression="n", autolag="aic")[2])


def _compare_filters(study: Study, k: int, at: int) -> Iterator[tuple[str, float]]:
    context, config = study.context(k), study.config
    levels, rows = context.levels, np.array([study.pair_i[at], study.pair_j[at]])
    if not np.isfinite(levels.space[rows]).all():
        return  # delisted while traded
    # the oracles know the usual form: one noise for all pairs, a rolling z-score of y - beta x
    options = config.filter.model_copy(
        update={"model": "random_walk", "noise": "fixed", "start": "given", "intercept": "keep"}
    )
    signal = config.signal.model_copy(update={"z": "rolling"})
    config = config.model_copy(update={"filter": options, "signal": signal})
    hedge = config.filter.hedge
    # the kernel is checked whether or not this config smooths its prices
    smooth = config.filter.smooth if isinstance(config.filter.smooth, Smooth) else Smooth()
    for row in rows:
        noise = {"transition_cov": smooth.transition_cov, "observation_cov": smooth.observation_cov}
        prices = levels.space[row]
        yield "local level filter", _of_path(local_level_filter(prices, **noise), _level_oracle(prices, **noise))
    iy, ix = rows[:1], rows[1:]
    path = filter_pairs(levels, iy, ix, config.filter)
    beta, alpha = _hedge_oracle(levels.filtered[rows[0]], levels.filtered[rows[1]], hedge)
    yield "hedge filter, beta", _of_path(path.beta[0], beta)
    yield "hedge filter, alpha", _of_path(path.alpha[0], alpha)
    for rule in RULES:
        yield from _compare_signals(path, rule, levels, iy, ix, context.window.n_train, config)


def _compare_signals(
    path: FilterPath, rule: str, levels: Levels, iy: np.ndarray, ix: np.ndarray, n_train: int, config: Config
) -> Iterator[tuple[str, float]]:
    import pandas as pd
    from statsmodels.regression.linear_model import OLS
    from statsmodels.tools.tools import add_constant

    ours = make_signals(path, rule, levels, iy, ix, n_train, config)
    if ours.refusal[0] or config.signal.half_life != "reject":
        return
    space = levels.space if config.filter.price_space == "log" else levels.spread
    unit = levels.spread[:, 0] if config.filter.price_space == "normalised" else np.ones(len(levels.spread))
    beta = np.broadcast_to(HEDGE_RULES[rule](path, n_train)[0], path.beta.shape[1:]) * (unit[iy[0]] / unit[ix[0]])
    spread = space[iy[0]] - beta * space[ix[0]]
    train = spread[:n_train]
    slope = OLS(np.diff(train), add_constant(train[:-1])).fit().params[1]
    yield "half-life", _relative(ours.half_life[0], -np.log(2.0) / slope)
    rolling = pd.Series(spread).rolling(int(ours.window[0]))
    z = ((spread - rolling.mean()) / rolling.std(ddof=1)).to_numpy()[n_train:]
    yield "z-score", _of_path(ours.z[0], z)


def _level_oracle(prices: np.ndarray, transition_cov: float, observation_cov: float) -> np.ndarray:
    from pykalman import KalmanFilter

    model = KalmanFilter(
        transition_matrices=[1], observation_matrices=[1], initial_state_mean=0, initial_state_covariance=1,
        observation_covariance=observation_cov, transition_covariance=transition_cov,
    )  # fmt: skip
    return np.asarray(model.filter(prices)[0])[:, 0]


def _hedge_oracle(y: np.ndarray, x: np.ndarray, options: HedgeFilter) -> tuple[np.ndarray, np.ndarray]:
    from pykalman import KalmanFilter

    model = KalmanFilter(
        n_dim_obs=1, n_dim_state=2,
        initial_state_mean=np.array(options.initial_mean), initial_state_covariance=np.array(options.initial_cov),
        transition_matrices=np.eye(2), observation_matrices=np.column_stack([x, np.ones(x.size)])[:, None, :],
        observation_covariance=options.observation_cov,
        transition_covariance=options.delta / (1.0 - options.delta) * np.eye(2),
    )  # fmt: skip
    means = np.asarray(model.filter(y)[0])
    return means[:, 0], means[:, 1]


def _relative(ours: float, theirs: float) -> float:
    return float(abs(ours - theirs) / max(abs(theirs), 1e-300))


def _of_path(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Largest deviation over the path's largest value; infinite where one side has a number and the other none."""
    if (np.isnan(ours) != np.isnan(theirs)).any():
        return float("inf")
    return float(np.nanmax(np.abs(ours - theirs)) / np.nanmax(np.abs(theirs)))
