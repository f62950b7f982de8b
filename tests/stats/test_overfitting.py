"""What trying costs: CSCV against a literal twin, effective trials, the deflated best."""

import math
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.stats import rankdata

from pairs_bt.stats.backtest_overfitting import deflated_best, effective_trials, probability_of_backtest_overfitting
from pairs_bt.stats.performance import deflated_sharpe, probabilistic_sharpe


def noise(n, settings, seed=0, common=0.0):
    rng = np.random.default_rng(seed)
    values = rng.normal(0.0, 0.01, (n, settings)) + common * rng.normal(0.0, 0.01, (n, 1))
    return pd.DataFrame(values, columns=[f"s{k}" for k in range(settings)])


def twin(returns, partitions):
    """Steps 2 to 4 of the paper with whole matrices."""
    parts = np.array_split(returns.to_numpy(), partitions)
    logits, pairs = [], []
    for members in combinations(range(partitions), partitions // 2):
        inside = np.concatenate([parts[p] for p in members])
        outside = np.concatenate([parts[p] for p in range(partitions) if p not in members])
        in_sample = inside.mean(axis=0) / inside.std(axis=0, ddof=1)
        out_of_sample = outside.mean(axis=0) / outside.std(axis=0, ddof=1)
        best = int(np.argmax(in_sample))
        w = rankdata(out_of_sample)[best] / (len(out_of_sample) + 1)
        logits.append(math.log(w / (1 - w)))
        pairs.append((in_sample[best], out_of_sample[best]))
    return np.array(logits), np.array(pairs)


@pytest.mark.parametrize(("n", "settings", "partitions"), [(203, 7, 8), (50, 2, 6), (64, 5, 2)])
def test_equals_a_literal_twin(n, settings, partitions):
    returns = noise(n, settings, seed=n) + 0.01
    result = probability_of_backtest_overfitting(returns, partitions=partitions)
    logits, pairs = twin(returns, partitions)
    assert_allclose(result.logits, logits, rtol=1e-12, atol=1e-15)
    assert_allclose(np.column_stack([result.in_sample, result.out_of_sample]), pairs, rtol=1e-10)
    assert result.pbo == np.mean(logits <= 0)
    assert result.probability_of_loss == np.mean(pairs[:, 1] < 0)
    assert_allclose(result.slope, np.polyfit(pairs[:, 0], pairs[:, 1], 1)[0], rtol=1e-8)


def test_chunks_do_not_show():
    returns = noise(300, 6)
    result = probability_of_backtest_overfitting(returns, partitions=12)
    assert result.logits.size == 924
    assert_allclose(result.logits, twin(returns, 12)[0], rtol=1e-12)


def test_a_setting_that_is_truly_better_is_not_overfitting():
    returns = noise(1000, 10)
    returns["s3"] += 0.003
    result = probability_of_backtest_overfitting(returns, partitions=10)
    assert result.pbo == 0.0
    assert set(result.chosen) == {3}


def test_choosing_among_noise_is_a_coin_toss_or_worse():
    found = [probability_of_backtest_overfitting(noise(400, 20, seed), partitions=8).pbo for seed in range(60)]
    # Halves of one sample compensate: what is high in one is low in the other, so the mean lies above 1/2.
    assert 0.45 < np.mean(found) < 0.65


def test_equal_and_idle_settings():
    returns = noise(200, 1)
    same = pd.DataFrame({"a": returns["s0"], "b": returns["s0"]})
    # Both share rank 1.5 of 3, the median: a choice between equals is never good.
    assert_allclose(probability_of_backtest_overfitting(same, partitions=4).logits, 0.0, atol=1e-15)
    idle = pd.DataFrame({"a": np.zeros(200), "b": np.full(200, 0.003)})
    result = probability_of_backtest_overfitting(idle, partitions=4)
    assert_allclose(result.in_sample, 0.0)
    assert math.isnan(result.slope)


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="partitions is 5"):
        probability_of_backtest_overfitting(noise(100, 3), partitions=5)
    with pytest.raises(ValueError, match="at least 2"):
        probability_of_backtest_overfitting(noise(100, 1))
    with pytest.raises(ValueError, match="30 days are too few"):
        probability_of_backtest_overfitting(noise(30, 3))
    with pytest.raises(ValueError, match="none of the settings ever moved"):
        deflated_best(pd.DataFrame({"a": np.zeros(5)}))


@pytest.mark.parametrize("common", [0.0, 0.7, 3.0])
def test_effective_trials_follow_the_mean_correlation(common):
    returns = noise(900, 12, common=common)
    correlation = returns.corr().to_numpy()[np.triu_indices(12, 1)].mean()
    expected = max(correlation, 0) + (1 - max(correlation, 0)) * 12
    assert_allclose(effective_trials(returns), expected, rtol=1e-10)
    assert_allclose(effective_trials(returns.assign(idle=0.0)), expected, rtol=1e-10)


def test_effective_trials_at_the_ends():
    one = noise(100, 1)
    assert_allclose(effective_trials(pd.DataFrame({"a": one["s0"], "b": 2 * one["s0"]})), 1.0)
    assert effective_trials(one) == 1.0
    assert effective_trials(pd.DataFrame({"a": one["s0"], "b": -one["s0"]})) == 2.0
    assert math.isnan(effective_trials(pd.DataFrame({"a": np.zeros(9)})))


def test_deflated_best_is_the_formula_on_the_best_column():
    returns = noise(800, 15, common=0.5)
    daily = returns.mean() / returns.std()
    result = deflated_best(returns)
    assert result.best == daily.idxmax()
    assert_allclose(result.trial_variance, daily.var(), rtol=1e-12)
    chosen = returns[result.best]
    assert_allclose(result.probabilistic, probabilistic_sharpe(chosen))
    assert_allclose(
        result.deflated, deflated_sharpe(chosen, trials=effective_trials(returns), trial_variance=daily.var())
    )
    assert result.deflated_all < result.deflated < result.probabilistic
    alone = deflated_best(returns[["s1"]])
    assert alone.deflated == alone.deflated_all == alone.probabilistic
