"""P-values of Johansen's statistics against the published critical values and a simulation."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.tsa.coint_tables import c_sja, c_sjt

from benchmarks.johansen_tail import first_column, tails
from pairs_bt.models.cointegration import johansen
from pairs_bt.models.johansen_pvalues import last_pvalues, max_eig_pvalues, trace_pvalues


def test_the_published_critical_values() -> None:
    """MacKinnon, Haug and Michelis (1999), as statsmodels has them: 90, 95 and 99%."""
    for pvalues, table in (
        (trace_pvalues, c_sjt(2, 0)),
        (max_eig_pvalues, c_sja(2, 0)),
        (last_pvalues, c_sjt(1, 0)),
        (last_pvalues, c_sja(1, 0)),
    ):
        np.testing.assert_allclose(pvalues(table), [0.10, 0.05, 0.01], atol=2e-4)
        assert pvalues(table[1]) == pytest.approx(0.05, abs=1e-15)


def test_they_fall_from_one_to_nothing() -> None:
    x = np.linspace(0.0, 400.0, 100_001)
    for pvalues in (trace_pvalues, max_eig_pvalues, last_pvalues):
        p = pvalues(x)
        assert (np.diff(p) <= 0).all()
        assert p[0] > 0.999
        assert p[-1] < 1e-50
        assert np.isnan(pvalues(np.nan))


def test_they_are_those_of_the_limit_law() -> None:
    draws = first_column(60_000, 250, np.random.default_rng(4))
    points = np.array([2.0, 4.0, 7.0, 10.0, 14.0, 18.0, 24.0, 30.0])
    found = tails(draws, points)
    np.testing.assert_allclose(trace_pvalues(points), found["trace"], atol=0.004)
    np.testing.assert_allclose(max_eig_pvalues(points), found["max_eig"], atol=0.004)
    np.testing.assert_allclose(trace_pvalues(points), found["trace"], rtol=0.15)


def test_a_pairs_statistics_come_with_their_pvalues() -> None:
    rng = np.random.default_rng(1)
    x = 100.0 + np.cumsum(rng.normal(size=500))
    found = johansen(2.0 * x + rng.normal(size=500), x)
    np.testing.assert_array_equal(found.trace_pvalue, [trace_pvalues(found.trace[0]), last_pvalues(found.trace[1])])
    np.testing.assert_array_equal(
        found.max_eig_pvalue, [max_eig_pvalues(found.max_eig[0]), last_pvalues(found.max_eig[1])]
    )
    assert found.trace_pvalue[0] < 1e-6


def test_outside_the_points_of_the_fit_the_normal_score_goes_on_straight() -> None:
    from scipy.special import ndtri

    for pvalues in (trace_pvalues, max_eig_pvalues):
        for roots in (np.linspace(0.2, 1.2, 6), np.linspace(3.2, 6.0, 6)):
            # below, 1 - p is small; above, p
            score = -ndtri(pvalues(roots**3))
            slopes = np.diff(score) / np.diff(roots)
            np.testing.assert_allclose(slopes, slopes[0], rtol=1e-3)
            assert slopes[0] > 1.0
