"""What a study knows of the variance of its techniques' runs, and that equal techniques stay equal with it."""

import numpy as np
import pytest
from scipy import stats

from scripts.comparison import changes, run_layout, verdicts
from scripts.comparison.columns import Columns
from scripts.comparison.run_layout import MAX_PRIOR_FREEDOM, MIN_TECHNIQUES, run_noise
from scripts.metrics import resampling
from tests.support.synthetic_timings import Chance, Technique, make_study


def groups(deviations, runs=3, seed=0, round_sd=0.0):
    draw = np.random.default_rng(seed)
    rounds = draw.normal(0, round_sd, runs)
    return {f"t{i}": tuple(np.exp(rounds + draw.normal(0, sd, runs))) for i, sd in enumerate(deviations)}


def noise(found, scatter=0.0):
    return run_noise(found, dict.fromkeys(found, scatter))


def test_rounds_that_are_slower_for_all_are_no_noise():
    calm, drifting = (noise(groups([0.01] * 12, runs=5, round_sd=sd)) for sd in (0.0, 0.3))
    for name, each in calm.items():
        assert drifting[name].variance == pytest.approx(each.variance, rel=1e-6)


def test_variances_that_agree_speak_for_one_another():
    found = noise(groups([0.1] * 200))
    deviations = np.sqrt([each.variance for each in found.values()])
    assert np.median(deviations) == pytest.approx(0.1, rel=0.1)
    # A variance that came out small by chance is not believed.
    assert deviations.min() > 0.09
    assert {each.freedom for each in found.values()} == {2 + MAX_PRIOR_FREEDOM}


def test_a_noisy_technique_keeps_most_of_its_own_variance():
    found = noise(groups([0.01] * 10 + [0.2], runs=5, seed=4))
    assert found["t10"].variance ** 0.5 > 0.1
    assert found["t0"].variance ** 0.5 < 0.02


def test_scatter_of_requests_is_expected_of_those_that_have_it():
    """Two techniques whose runs agree by luck are not taken to be quiet, since their requests scatter."""
    study = groups([0.002] * 10, seed=1) | {"noisy": (1.0, 1.0001, 1.0), "other": (1.0, 1.0, 1.0001)}
    scatter = {name: 0.03**2 if name in ("noisy", "other") else 0.0 for name in study}
    found = run_noise(study, scatter)
    assert found["noisy"].variance >= 0.03**2
    assert found["t0"].variance < 0.01**2


def test_no_more_is_known_than_all_runs_together_can_say():
    found = noise(groups([0.1] * MIN_TECHNIQUES, runs=2))
    assert found["t0"].freedom <= found["t0"].most == MIN_TECHNIQUES - 1


@pytest.mark.parametrize("few", [groups([0.1] * (MIN_TECHNIQUES - 1)), groups([0.1] * 20, runs=1), {}])
def test_too_little_says_nothing(few):
    assert noise(few) == {}


def test_runs_that_do_not_differ_have_no_noise():
    assert noise(dict.fromkeys("abcdefg", (1.0, 1.0, 1.0)))["a"].variance == 0


def test_the_density_is_that_of_scipy():
    x = np.array([0.1, 1.0, 7.0])
    assert run_layout._log_f(x, 4, np.array(3.0)) == pytest.approx(stats.f.logpdf(x, 4, 3))


@pytest.fixture
def fewer_resamples(monkeypatch):
    monkeypatch.setattr(resampling, "RESAMPLES", 1_000)  # of prompts; enough for a verdict


SPEED = [key for key, change in verdicts.tested_changes().items() if change.family == "speed"]


def studies(names, chance, count):
    for seed in range(count):
        metrics = make_study(names, chance, seed)[2]
        columns, first = Columns(metrics), metrics[names[0].name]
        compared = {name.name: changes.changes(metrics[name.name], first, columns) for name in names[1:]}
        verdicts.add_verdicts(compared)
        yield list(compared.values())


@pytest.mark.parametrize(
    "noisy", [{"noise_sd": 0.15}, {"process_sd": 0.05}, {}], ids=["noisy requests", "noisy processes", "all alike"]
)
def test_a_noisy_pair_among_quiet_techniques_is_not_called_different(noisy, fewer_resamples):
    """Ten quiet techniques must not speak for a pair that is not."""
    names = [Technique("a", **noisy), Technique("b", "a", **noisy), *(Technique(f"q{i}", "a") for i in range(10))]
    chance = Chance(runs=5, prompts=24, fixed=10, process_sd=0.005, noise_sd=0.02, round_sd=0.03)
    wrong = sum(
        any(each[key]["verdict"] != verdicts.SAME for each in figures for key in SPEED)
        for figures in studies(names, chance, 30)
    )
    assert wrong <= 5  # 5% of studies: more than five of 30 have a chance of 0.3%


def test_a_technique_twice_as_fast_is_found_on_a_noisy_machine():
    names = [Technique("a"), *(Technique(f"b{number}", "a") for number in range(7)), Technique("fast", "a", 0.5)]
    chance = Chance(process_sd=0.1, prompts=24, fixed=12)
    found = [figures[-1]["latency_change_percent"]["verdict"] for figures in studies(names, chance, 10)]
    assert found.count("faster") >= 9
