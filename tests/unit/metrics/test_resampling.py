import numpy as np
import pytest
from scipy import stats

from scripts.metrics import resampling


@pytest.mark.parametrize("prompts", [10, 48])
def test_few_prompts_have_the_interval_of_students_t(prompts):
    values = 3 + stats.norm.ppf((np.arange(prompts) + 0.5) / prompts)  # as normal as so few can be
    low, high = resampling.percentile_interval(resampling.resampled_means(values[None])[0])
    expected = stats.t.interval(0.95, prompts - 1, values.mean(), stats.sem(values))
    assert [low, high] == pytest.approx(expected, abs=0.03 * (expected[1] - expected[0]))


def test_means_of_what_is_never_negative_are_not():
    rare = np.eye(1, 12)  # one prompt of 12 has a value
    assert resampling.resampled_means(rare).min() == 0
    assert resampling.resampled_means(-rare).min() < -1 / 12


def test_columns_see_the_same_draws():
    values = np.random.default_rng(0).normal(5, 1, 30)
    one, twice = resampling.resampled_means(np.array([values, 2 * values]))
    assert twice == pytest.approx(2 * one)
