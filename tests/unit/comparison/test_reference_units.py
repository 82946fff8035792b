"""Comparisons of times in units of a reference that took turns with each technique."""

import numpy as np
import pytest

from scripts.comparison import document, verdicts
from scripts.report import beside
from tests.support.synthetic_timings import Chance, Technique, make_study

NAMES = [Technique("a"), Technique("b", "a", 1.05), *(Technique(f"c{i}", "a") for i in range(6))]
RESTLESS = Chance(runs=5, prompts=40, fixed=12, process_sd=0.005, moment_sd=0.2)


def compared(without=(), digests=None):
    study, rows, metrics = make_study(NAMES, RESTLESS, seed=3)
    for name in without:
        metrics[name]["samples"]["relative"] = None
    for name, digest in (digests or {}).items():
        metrics[name]["reference"] = metrics[name]["reference"] | {"digest": digest}
    return document.comparison(study, rows, {}, metrics)


def change(comparison, key="latency_change_percent"):
    return comparison["techniques"][1]["changes"]["parent"]["figures"][key]


def test_a_restless_machine_hides_a_slowdown_only_without_a_reference():
    found = change(compared())
    assert found["verdict"] == "slower"
    assert found["low"] < 5 < found["high"]
    assert "in units of a" in found["note"]
    alone = change(compared(without=[each.name for each in NAMES]))
    assert alone["verdict"] == verdicts.SAME
    assert alone["high"] - alone["low"] > 5 * (found["high"] - found["low"])


@pytest.mark.parametrize("broken", [{"without": ["b"]}, {"digests": {"b": "another"}}], ids=["none", "another"])
def test_times_without_the_same_reference_are_compared_in_seconds(broken):
    comparison = compared(**broken)
    assert "in units of" not in (change(comparison)["note"] or "")
    other = comparison["techniques"][2]["changes"]["parent"]["figures"]["latency_change_percent"]
    assert "in units of a" in other["note"]


def test_scores_are_in_the_references_units_where_all_techniques_have_them():
    whole = compared()
    gain = whole["ranking"]["log_gains"]["b"]["latency"]
    assert gain == pytest.approx(-np.log(change(whole)["ratio"]))
    seconds = {row["name"]: row["figures"]["latency_s"]["value"] for row in whole["techniques"]}
    mixed = compared(without=["c0"])["ranking"]["log_gains"]
    assert mixed["b"]["latency"] == pytest.approx(-np.log(seconds["b"] / seconds["a"]), rel=0.02)


# Of this seed the drift makes t3 the one with the lowest latency in seconds, and t0 is faster by the reference.
DRIFTED = 5


@pytest.fixture(scope="module")
def drifted():
    names = [Technique("a"), *(Technique(f"t{i}", "a", 0.6 * 1.06**i) for i in range(7))]
    chance = Chance(runs=3, prompts=40, fixed=12, process_sd=0.005, moment_sd=0.1)
    study, rows, metrics = make_study(names, chance, seed=DRIFTED)
    return document.comparison(study, rows, {}, metrics)


def test_drift_makes_none_the_fastest_that_the_tests_call_slower(drifted):
    seconds = {row["name"]: row["figures"]["latency_s"]["value"] for row in drifted["techniques"]}
    assert min(seconds, key=seconds.get) == "t3"
    assert drifted["answer"]["fastest"] == drifted["answer"]["fastest_kept"] == "t0"
    assert drifted["ranking"]["overall"][0]["technique"] == "t0"
    assert drifted["timed_beside"] == {"technique": "a", "all": True}


def test_drift_puts_none_on_the_front_that_the_scores_leave_behind(drifted):
    latency = drifted["fronts"]["latency"]
    assert latency["t0"]["chance"] > 0.95
    assert latency["t3"]["chance"] < 0.05
    assert latency["t3"]["behind"] == "t0"


def test_the_report_says_why_a_change_is_not_the_ratio_of_two_latencies(drifted):
    (line,) = beside.lines(drifted | {"techniques": [row | {"label": "A"} for row in drifted["techniques"]]})
    assert "of A, took turns with each technique" in line
    assert beside.lines(drifted | {"timed_beside": None}) == []
    (line,) = beside.lines(drifted | {"timed_beside": {"technique": "a", "all": False}})
    assert "As not all had it" in line
