import numpy as np
import pytest
from scipy import stats

from scripts.comparison import two_levels
from scripts.comparison.two_levels import Quantity, ratio
from scripts.metrics import resampling

FLAT = np.ones(resampling.RESAMPLES)


def quantity(runs, spread=FLAT, noise=0.0):
    return Quantity(48, float(np.mean(runs)), np.mean(runs) * spread, tuple(runs), noise=noise)


def test_without_prompt_effects_it_is_welchs_interval():
    mine, other = [1.02, 1.05, 1.03, 1.09], [1.0, 0.99, 1.02]
    found = ratio([quantity(mine)], [quantity(other)])
    welch = stats.ttest_ind(np.log(mine), np.log(other), equal_var=False)
    expected = welch.confidence_interval(0.95)
    assert np.log([found.low, found.high]) == pytest.approx([expected.low, expected.high], abs=0.004)
    assert found.p_value == pytest.approx(welch.pvalue, abs=0.01)


def test_processes_widen_the_interval_of_the_prompts():
    spread = np.exp(np.random.default_rng(2).normal(0, 0.01, resampling.RESAMPLES))
    calm = ratio([quantity([1.0, 1.0], spread)], [quantity([1.0, 1.0])])
    noisy = ratio([quantity([1.0, 1.04, 0.97], spread)], [quantity([1.0, 1.05, 0.98])])
    assert noisy.high - noisy.low > 2 * (calm.high - calm.low)


def test_scatter_of_requests_is_not_counted_twice():
    draw = np.random.default_rng(3)
    times = np.exp(draw.normal(0, 0.05, (3, 5_000)))
    noise = two_levels.request_noise(times)
    assert noise == pytest.approx(0.05**2 / times.size, rel=0.1)
    spread = np.exp(draw.normal(0, np.sqrt(noise), resampling.RESAMPLES))
    runs = list(times.mean(axis=1))
    found = ratio([quantity(runs, spread, noise)], [quantity(runs)])
    alone = ratio([quantity(runs)], [quantity(runs)])
    assert found.high - found.low == pytest.approx(alone.high - alone.low, rel=0.2)


def test_runs_that_do_not_differ_leave_the_prompts_alone():
    same = ratio([quantity([2.0, 2.0])], [quantity([2.0, 2.0])])
    assert (same.low, same.high, same.p_value) == (1.0, 1.0, 1.0)
    half = ratio([quantity([1.0, 1.0])], [quantity([2.0, 2.0])])
    assert (half.low, half.high) == (0.5, 0.5)
    assert half.p_value < 0.001


@pytest.mark.parametrize("runs", [(), (1.0,)])
def test_one_run_has_an_interval_over_prompts_and_no_test(runs):
    spread = np.exp(np.random.default_rng(0).normal(0, 0.01, resampling.RESAMPLES))
    found = ratio([Quantity(48, 1.0, spread, runs)], [quantity([2.0, 2.0])])
    assert found.low < 0.5 < found.high
    assert found.p_value is None
    assert found.verdict == two_levels.ONE_RUN
    assert "another process" in found.note


def test_two_runs_far_apart_are_no_evidence():
    found = ratio([quantity([1.0, 2.0])], [quantity([1.0, 1.0])])
    assert np.isfinite([found.low, found.high]).all()
    assert found.p_value > 0.3


def test_what_few_prompts_have_has_no_interval():
    """Hardly any headline has two tokens, so that some resamples have no time per token."""
    spread = FLAT.copy()
    spread[:5] = np.nan
    for runs in [(1.0, 1.1), (1.0,)]:
        found = ratio([Quantity(48, 1.0, spread, runs)], [quantity([2.0, 2.1])])
        assert (found.low, found.p_value, found.verdict) == (None, None, None)
        assert "no interval" in found.note


def test_a_reference_of_zero_has_no_ratio():
    assert ratio([Quantity(48, 1.0, FLAT)], [Quantity(48, 0.0, 0 * FLAT)]) is None
    few = ratio([Quantity(4, 1.0, None, (1.0, 1.0))], [Quantity(4, 2.0, None, (2.0, 2.0))])
    assert (few.value, few.low, few.verdict) == (0.5, None, two_levels.FEW_PROMPTS)
