"""What a study must say, and how long its jobs may take, where they are submitted to a cluster."""

import pytest

from scripts.foundation.errors import StudyError
from scripts.study import cluster


@pytest.mark.parametrize(
    ("measurement", "said"),
    [
        ({"device": "auto", "machine": "a100"}, "measurement.device is auto, .+; set it to cuda or cpu."),
        ({"device": "cuda", "machine": "auto"}, "measurement.machine is auto, .+; set it to a name for their kind"),
    ],
)
def test_what_the_submitting_machine_can_not_know_must_be_said(measurement, said):
    with pytest.raises(StudyError, match=said):
        cluster.check({"measurement": measurement})


def test_a_study_that_says_both_is_submitted():
    cluster.check({"measurement": {"device": "cuda", "machine": "a100"}})


@pytest.mark.parametrize(
    ("seconds", "silence_s", "attempt", "minutes"),
    [(5, None, 1, 120), (3600, None, 1, 600), (3600, 1800, 1, 630), (5, 14_400, 1, 241), (3600, None, 2, 1200)],
)
def test_a_cluster_ends_no_job_that_takes_ten_times_what_it_should(seconds, silence_s, attempt, minutes):
    assert cluster.minutes(seconds, silence_s, attempt) == minutes
