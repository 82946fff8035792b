"""Whether verdicts are worth believing: equal techniques are hardly ever called different, real slowdowns are found.

The studies are simulated: lognormal prompts, processes that are faster or slower as a whole, a machine that drifts from
round to round, requests that scatter by 5% and now and then take three times as long. Each goes through the whole
comparison. `python -m tests.performance.aa_study` prints the rates over more studies, techniques and machines.
"""

import pytest

from scripts.comparison import two_levels, verdicts
from scripts.metrics import resampling
from tests.performance.aa_study import Machine, false_alarms, power, simulated
from tests.support.synthetic_timings import Chance

STUDIES = 100
ORDINARY = Machine("2% between processes", Chance(process_sd=0.02))


@pytest.fixture(autouse=True)
def fewer_resamples(monkeypatch):
    assert resampling.RESAMPLES == 9_999  # what studies get; fewer are enough for a verdict
    monkeypatch.setattr(resampling, "RESAMPLES", 1_000)


def test_a_technique_measured_twice_is_hardly_ever_called_different():
    wrong = false_alarms(STUDIES, ORDINARY)
    assert len(wrong) <= 9, wrong  # 5% of studies: more than nine of 100 have a chance of 2.8%


def test_prompts_alone_would_call_it_different(monkeypatch):
    """Without what processes add the same studies fail, so the test above has something to find."""
    nothing = (two_levels.Component(0.0, 1.0), two_levels.WELCH)
    monkeypatch.setattr(two_levels, "run_component", lambda numerators, denominators: nothing)
    assert len(false_alarms(20, ORDINARY)) >= 10


def test_a_slowdown_of_five_percent_is_found_though_whole_rounds_drift():
    """Rounds that differ by 6% hide nothing: the difference is taken inside each of them."""
    drifting = Machine("drifting", Chance(runs=5, prompts=60, process_sd=0.01, round_sd=0.06))
    assert power(20, drifting, techniques=8) >= 18


def test_every_verdict_is_given():
    said = set(simulated(0, ORDINARY)["b"].values())
    assert said <= {
        *verdicts.NO_CHANGE,
        *(word for change in verdicts.tested_changes().values() for word in change.words),
    }
