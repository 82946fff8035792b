import numpy as np
import pytest
from scipy import stats

from scripts.comparison import two_levels
from scripts.comparison.run_layout import RunNoise
from scripts.comparison.two_levels import Quantity, ratio
from scripts.metrics import resampling
from scripts.metrics.spread import run_scatter

FLAT = np.ones(resampling.RESAMPLES)


def quantity(runs, spread=FLAT, scatter=0.0, in_rounds=False, noise=None):
    value = float(np.mean(runs))
    return Quantity(48, value, value * spread, tuple(runs), scatter=scatter, in_rounds=in_rounds, noise=noise)


def test_without_prompt_effects_runs_apart_have_welchs_interval():
    mine, other = [1.02, 1.05, 1.03, 1.09], [1.0, 0.99, 1.02]
    found = ratio([quantity(mine)], [quantity(other)])
    welch = stats.ttest_ind(np.log(mine), np.log(other), equal_var=False)
    interval = welch.confidence_interval(0.95)
    reach = (interval.high - interval.low) / 2
    assert np.log(found.high / found.low) == pytest.approx(2 * reach)
    assert found.p_value == pytest.approx(welch.pvalue, abs=0.001)
    assert "Welch" in found.interval


def test_runs_in_rounds_are_compared_inside_their_rounds():
    """A machine that is 30% slower in one round is so for both, which Welch's test does not know."""
    mine, other = [1.05, 1.37, 1.04, 0.9], [1.0, 1.3, 1.0, 0.86]
    found = ratio([quantity(mine, in_rounds=True)], [quantity(other, in_rounds=True)])
    paired = stats.ttest_rel(np.log(mine), np.log(other))
    assert found.p_value == pytest.approx(paired.pvalue, rel=0.05)
    assert found.p_value < 0.01 < 0.5 < ratio([quantity(mine)], [quantity(other)]).p_value
    assert "inside rounds" in found.interval


def test_a_whole_study_says_how_noisy_runs_in_rounds_are():
    noise = RunNoise(variance=0.02**2, freedom=8, most=40)
    pair = [
        quantity([1.0, 1.0, 1.0, 1.0], in_rounds=True, noise=noise),
        quantity([1.1] * 4, in_rounds=True, noise=noise),
    ]
    found = ratio(pair[:1], pair[1:])
    error = 0.02 * np.sqrt(2 / 4)
    assert found.p_value == pytest.approx(2 * stats.t.sf(np.log(1.1) / error, 16))
    assert np.log(found.high / found.low) == pytest.approx(2 * error * stats.t.ppf(0.975, 16))


def test_small_p_values_have_no_floor():
    """Holm's correction over hundreds of techniques asks for p-values far below one in the number of resamples."""
    calm = [1.0, 1.001, 0.999, 1.0, 1.001]
    assert ratio([quantity(calm)], [quantity([2 * each for each in calm])]).p_value < 1e-8
    draw = np.random.default_rng(4)
    scores = draw.beta(4, 4, 100) + np.array([[0.0], [0.2]])
    lower, upper = resampling.resampled_means(scores)
    p_value = ratio([Quantity(100, scores[1].mean(), upper)], [Quantity(100, scores[0].mean(), lower)]).p_value
    assert p_value < 1e-6


def test_processes_widen_the_interval_of_the_prompts():
    spread = np.exp(np.random.default_rng(2).normal(0, 0.01, resampling.RESAMPLES))
    calm = ratio([quantity([1.0, 1.0], spread)], [quantity([1.0, 1.0])])
    noisy = ratio([quantity([1.0, 1.04, 0.97], spread)], [quantity([1.0, 1.05, 0.98])])
    assert noisy.high - noisy.low > 2 * (calm.high - calm.low)


def test_scatter_of_requests_is_not_counted_twice():
    draw = np.random.default_rng(3)
    times = np.exp(draw.normal(0, 0.05, (3, 5_000)))
    scatter = run_scatter(times)
    assert scatter == pytest.approx(0.05**2 / 5_000, rel=0.1)
    spread = np.exp(draw.normal(0, np.sqrt(scatter / 3), resampling.RESAMPLES))
    runs = list(times.mean(axis=1))
    found = ratio([quantity(runs, spread, scatter)], [quantity(runs)])
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
