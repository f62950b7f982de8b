"""The peers of `benchmarks/limits.py` do the same work, and its counts are those of the kernels' formulas."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from benchmarks import limits
from pairs_bt.kernels import kalman, mean_reversion
from pairs_bt.models import cointegration


@pytest.fixture(scope="module")
def data() -> limits.Data:
    return limits.Data()


def test_the_batch_in_numpy_is_the_same_filter(data: limits.Data) -> None:
    few = slice(0, 16)
    beta, alpha = np.empty((16, limits.BARS)), np.empty((16, limits.BARS))
    start, cov = np.zeros(2), np.eye(2)
    kalman.hedge_paths(data.prices, data.i[few], data.j[few], limits.Q, limits.R, start, cov, beta, alpha)
    slopes = limits.batched_filter(data.prices[data.i[few]], data.prices[data.j[few]])
    np.testing.assert_allclose(beta, slopes, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(("library", "peer"), [("bottleneck", limits._bottleneck), ("polars", limits._polars)])
def test_the_rolling_peers_give_the_same_scores(library, peer, data: limits.Data) -> None:
    module = pytest.importorskip(library)
    rows = data.spread[:4]
    ours = np.empty(rows.shape)
    mean_reversion.rolling_zscores(rows, 0, np.full(4, 20), ours)
    theirs = np.array([np.asarray(row, dtype=float) for row in peer(module, rows, 20)])
    np.testing.assert_allclose(theirs[:, 19:], ours[:, 19:], rtol=1e-8, atol=1e-9)


def test_every_kernel_has_counts_and_a_limit_that_sets_its_least_time(data: limits.Data) -> None:
    peaks = limits.Peaks(fused=2e9, apart=1e9, divisions=1e9, roots=5e8, near=1e10, far=1e9)
    found = list(limits.counted(data))
    assert len({one.name for one in found}) == len(found) >= 9
    for one in found:
        one.work()
        assert min(one.flops, one.bytes, one.units) > 0
    score = next(one for one in found if one.name == "rolling z-score, 20 bars")
    # one division and one root a bar, which share a unit
    assert score.least(peaks)["divisions"] == pytest.approx(limits.BARS * (1e-9 + 2e-9))
    assert score.least(peaks)["operations"] == pytest.approx(31 * limits.BARS / 2e9)


def test_the_scan_in_lanes_and_its_peer_decide_the_same(data: limits.Data) -> None:
    inputs = cointegration.prepare(np.ascontiguousarray(data.prices[:, : limits.TRAIN]))
    if inputs.four is None:
        pytest.skip("no compiled code: every pair takes the kernel for one pair")
    alone = copy.copy(inputs)
    alone.four = None
    one, other = (cointegration.scan_chunk(each, data.i, data.j) for each in (inputs, alone))
    for name in ("var_order", "eg_lag_12", "eg_lag_21", "code"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    np.testing.assert_allclose(one.eg_stat_12, other.eg_stat_12, rtol=1e-9)
    # the peer took the other way: last digits differ
    assert one.trace0.tobytes() != other.trace0.tobytes()
