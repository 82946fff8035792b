"""The flag of a machine that drifted: hardly ever by chance, and whenever a run's machine and its times fell behind."""

import numpy as np
import pytest

from scripts.comparison import document, drift
from tests.support.synthetic_timings import Chance, Technique, make_study

RATE_SD = 0.06
"""Between two readings of one machine: with it four of five techniques had a reading 10% from the one before."""


def calibrations(draw, runs, factor=1.0):
    """Runs with a calibration before and after each, around ``factor`` of what the machine usually does."""
    return [
        {
            "calibration": {
                when: {key: factor * np.exp(draw.normal(0, RATE_SD)) for key in drift.CALIBRATED}
                for when in ("before", "after")
            }
        }
        for _ in range(runs)
    ]


def metrics_of(seed, techniques=16, runs=3, process_sd=0.02, slow=1.0, machine=1.0):
    """Metrics of a study in which the second technique's last run is ``slow`` times slower.

    Around that run the machine can do ``machine`` times less than usual.
    """
    draw = np.random.default_rng(seed)
    metrics = {}
    for number in range(techniques):
        planted = np.array([1.0] * (runs - 1) + [slow if number == 1 else 1.0])
        times = planted * np.exp(draw.normal(0, 1) + draw.normal(0, process_sd, (2, runs)))
        metrics[f"t{number}"] = {
            "status": "ok",
            "figures": {"latency_s": {"runs": times[0].tolist()}, "fixed_latency_s": {"runs": times[1].tolist()}},
            "runs": calibrations(draw, runs),
        }
    metrics["t1"]["runs"][-1:] = calibrations(draw, 1, 1 / machine)
    return metrics


@pytest.mark.parametrize("techniques", [2, 6, 16])
@pytest.mark.parametrize("process_sd", [0.005, 0.05])
def test_an_ordinary_machine_is_hardly_ever_flagged(techniques, process_sd):
    found = sum(
        len(drift.flags(metrics_of(seed, techniques, process_sd=process_sd))) for seed in range(960 // techniques)
    )
    assert found <= 0.02 * 960


@pytest.mark.parametrize("slow", [1.3, 1 / 1.3])
def test_a_run_whose_machine_and_times_both_changed_by_a_third_is_flagged(slow):
    found = [drift.flags(metrics_of(seed, slow=slow, machine=slow)) for seed in range(20)]
    assert sum("t1" in flags for flags in found) >= 19
    message = next(flags["t1"]["message"] for flags in found if "t1" in flags)
    assert message.startswith("Run 3 of 3 took ")
    assert f"% {'slower' if slow > 1 else 'faster'} around it than around them" in message


@pytest.mark.parametrize(("slow", "machine"), [(1.0, 1.3), (1.3, 1 / 1.3)])
def test_a_calibration_that_does_not_show_in_the_times_is_no_flag(slow, machine):
    assert sum("t1" in drift.flags(metrics_of(seed, slow=slow, machine=machine)) for seed in range(20)) <= 1


def test_times_alone_are_the_spread_and_no_drift():
    assert sum("t1" in drift.flags(metrics_of(seed, slow=1.3)) for seed in range(40)) <= 8


def test_the_flag_stands_in_the_comparison_beside_the_others():
    study, rows, metrics = make_study([Technique(f"t{n}", "t0" if n else None) for n in range(6)], Chance())
    for name, content in metrics_of(0, 6, slow=1.5, machine=1.5).items():
        metrics[name]["runs"] = content["runs"]
        for key, figure in content["figures"].items():
            metrics[name]["figures"][key]["runs"] = figure["runs"]
    metrics["t1"]["flags"] = [{"kind": "steal", "message": "Stolen."}]
    found = document.comparison(study, rows, {}, metrics)["techniques"]
    assert [flag["kind"] for flag in found[1]["flags"]] == ["steal", "drift"]


@pytest.mark.parametrize("missing", ["calibration", "runs", "figures"])
def test_without_readings_times_or_other_runs_nothing_is_said(missing):
    metrics = metrics_of(0, slow=2.0, machine=2.0)
    assert "t1" in drift.flags(metrics)
    if missing == "calibration":
        metrics["t1"]["runs"][0]["calibration"]["after"] = None
    elif missing == "runs":
        metrics["t1"]["runs"] = metrics["t1"]["runs"][-1:]
        for key in ("latency_s", "fixed_latency_s"):
            metrics["t1"]["figures"][key]["runs"] = metrics["t1"]["figures"][key]["runs"][-1:]
    else:
        metrics["t1"] |= {"status": "invalid"}
    assert "t1" not in drift.flags(metrics)
    assert drift.flags({"t1": metrics["t1"]}) == {}
