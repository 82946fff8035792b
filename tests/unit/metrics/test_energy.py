import pytest

from scripts.metrics.families.energy import compute
from scripts.metrics.recorded import Recorded
from tests.support.analytic_runs import make_run


def energy_figures(runs):
    return compute(Recorded(runs))


def energy(**changes):
    return {"method": "nvml", "reason": None, "domains": ["GPU 0"], "natural_j": 30.0, "fixed_j": None} | changes


def test_energy_is_that_of_the_run_over_its_samples():
    figure = energy_figures([make_run(energy=energy()), make_run(energy=energy(natural_j=50.0))])["energy_per_sample_j"]
    assert figure["runs"] == [15.0, 25.0]
    assert figure["value"] == 20.0
    assert figure["unit"] == "J"
    assert figure["note"] is None


@pytest.mark.parametrize("recorded", [energy(method=None, reason="No counter here.", natural_j=None), None, {}])
def test_without_a_counter_there_is_no_figure_and_the_recorded_reason(recorded):
    figure = energy_figures([make_run(), make_run(energy=recorded)])["energy_per_sample_j"]
    assert figure["value"] is None
    assert figure["note"] == ("No counter here." if recorded else "no energy counter was read")


def test_a_processors_counter_is_said_to_count_other_programs_too():
    figure = energy_figures([make_run(energy=energy(method="rapl"))])["energy_per_sample_j"]
    assert "other programs" in figure["note"]
    assert "one reading" in figure["note"]
