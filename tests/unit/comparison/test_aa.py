"""Whether verdicts are worth believing: equal techniques are hardly ever called different, real slowdowns are found.

The studies are simulated: lognormal prompts, processes that are faster or slower as a whole, a machine that drifts from
block to block, requests that scatter by 5% and now and then take three times as long. Each goes through the whole
comparison. `python -m tests.performance.aa_study` prints the rates over more studies and other scatters.
"""

import pytest

from scripts.comparison import verdicts
from scripts.metrics import resampling
from tests.performance.aa_study import false_alarms, power, simulated
from tests.support.synthetic_timings import Chance

STUDIES = 100


@pytest.fixture(autouse=True)
def fewer_resamples(monkeypatch):
    assert resampling.RESAMPLES == 9_999  # what studies get; fewer are enough for a verdict
    monkeypatch.setattr(resampling, "RESAMPLES", 1_999)


def test_a_technique_measured_twice_is_hardly_ever_called_different():
    wrong = false_alarms(STUDIES, Chance(process_sd=0.02))
    assert len(wrong) <= 5, wrong


def test_prompts_alone_would_call_it_different(monkeypatch):
    """Without the process term the same studies fail, so the test above has something to find."""
    monkeypatch.setattr("scripts.comparison.two_levels.process_term", lambda logs, prior: 0.0)
    assert len(false_alarms(20, Chance(process_sd=0.02))) >= 10


def test_a_slowdown_of_five_percent_is_found():
    assert power(STUDIES, Chance(process_sd=0.005)) >= 90


def test_every_verdict_is_given():
    assert set(simulated(0, Chance()).values()) <= {
        verdicts.SAME,
        *(w for pair in verdicts.WORDS.values() for w in pair),
    }
