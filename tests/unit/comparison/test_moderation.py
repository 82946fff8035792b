"""What a study knows of the variance between processes, and that equal techniques stay equal with it."""

import numpy as np
import pytest

from scripts.comparison import document, verdicts
from scripts.comparison.moderation import FEWEST, prior
from scripts.comparison.two_levels import process_term
from tests.support.synthetic_timings import Chance, Technique, make_study


def groups(deviations, runs=3, seed=0):
    draw = np.random.default_rng(seed)
    return [tuple(np.exp(draw.normal(0, deviation, runs))) for deviation in deviations]


def test_variances_that_agree_are_pooled():
    found = prior(groups([0.1] * 200))
    assert found.variance**0.5 == pytest.approx(0.1, rel=0.1)
    assert found.freedom > 20
    # A variance that came out small by chance counts for little.
    variance, freedom = found.moderate(0.0001, 2)
    assert variance**0.5 > 0.08
    assert freedom > 20


def test_variances_that_do_not_agree_are_left_to_each_technique():
    found = prior(groups([0.001, 0.01, 0.1, 1.0] * 20, runs=10))
    assert found.freedom < 1.5
    variance, freedom = found.moderate(0.04, 9)
    assert variance == pytest.approx(0.04, rel=0.15)
    assert freedom < 11


def test_no_more_is_known_than_all_runs_together_can_say():
    found = prior(groups([0.1] * FEWEST, seed=3))
    assert found.moderate(0.01, 2)[1] <= 2 * FEWEST


@pytest.mark.parametrize(
    "few", [groups([0.1] * (FEWEST - 1)), [(1.0, 1.0, 1.0)] * 20, [(1.0,)] * 20, [(0.0, 1.0)] * 20, []]
)
def test_too_little_is_no_prior(few):
    assert prior(few) is None


def test_a_term_with_a_prior_is_narrower_than_three_runs_alone_allow():
    logs = [np.array([-0.1, 0.0, 0.1])] * 2
    alone, moderated = (
        np.quantile(np.abs(process_term(logs, known)), 0.95) for known in (None, prior(groups([0.1] * 50)))
    )
    assert moderated < 0.8 * alone


def test_a_study_of_many_equal_techniques_calls_none_of_them_different():
    """Twelve names of one technique: in 40 studies hardly any verdict of speed says otherwise."""
    names = [Technique("a"), *(Technique(f"b{number}", "a") for number in range(11))]
    chance = Chance(process_sd=0.1, prompts=24, fixed=12)
    wrong = 0
    for seed in range(40):
        study, rows, metrics = make_study(names, chance, seed)
        compared = document.comparison(study, rows, {}, metrics)["techniques"][1:]
        figures = [technique["changes"]["parent"]["figures"] for technique in compared]
        wrong += any(each[key]["verdict"] != verdicts.SAME for each in figures for key in verdicts.FAMILIES[0])
    assert wrong <= 5  # 5% of studies: more than five of 40 have a chance of 1.4%


def test_a_technique_twice_as_fast_is_found_on_a_noisy_machine():
    names = [Technique("a"), *(Technique(f"b{number}", "a") for number in range(7)), Technique("fast", "a", 0.5)]
    found = 0
    for seed in range(10):
        study, rows, metrics = make_study(names, Chance(process_sd=0.1, prompts=24, fixed=12), seed)
        figures = document.comparison(study, rows, {}, metrics)["techniques"][-1]["changes"]["parent"]["figures"]
        found += figures["latency_change_percent"]["verdict"] == "faster"
    assert found >= 9
