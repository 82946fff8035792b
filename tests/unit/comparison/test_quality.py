import numpy as np
import pytest

from scripts.comparison import document, verdicts
from scripts.metrics import rouge
from tests.support.synthetic_timings import Chance, Technique, make_study


def compared(change=lambda samples: None, settings=None):
    """Compare a copy of a technique whose samples were changed with the technique; return its row."""
    study, rows, metrics = make_study([Technique("base"), Technique("other", "base")], Chance(runs=2, prompts=60))
    change(metrics["other"]["samples"])
    study["comparison"] = settings or {}
    return document.comparison(study, rows, {}, metrics)["techniques"][1]


def scaled(key, factor):
    def change(samples):
        samples[key] = (factor * np.array(samples[key])).tolist()

    return change


def test_the_same_text_is_kept():
    row = compared()
    assert row["quality_kept"]["verdict"] == "kept"
    assert row["changes"]["parent"]["figures"]["reference_nll_change"]["verdict"] == verdicts.SAME


def test_a_less_likely_reference_is_worse_in_nats_a_token():
    change = compared(scaled("reference_nll", 1.2))["changes"]["parent"]["figures"]["reference_nll_change"]
    assert (change["verdict"], change["unit"]) == ("worse", "nats/token")
    assert 0 < change["low"] < change["value"] < change["high"]
    better = compared(scaled("reference_nll", 0.8))["changes"]["parent"]["figures"]["reference_nll_change"]
    assert better["verdict"] == "better"
    assert better["value"] < 0


def test_likelihoods_over_other_tokens_are_not_compared():
    change = compared(scaled("reference_tokens", 2))["changes"]["parent"]["figures"]["reference_nll_change"]
    assert change["value"] is None
    assert "other tokens" in change["note"]


def test_headlines_twice_as_long_are_not_kept_whatever_their_rouge():
    kept = compared(scaled("new_tokens", 2))["quality_kept"]
    assert kept["verdict"] == "not kept"
    assert "output length +100.0%" in kept["reason"]
    assert compared(scaled("new_tokens", 2), {"length_bound": 1.5})["quality_kept"]["verdict"] == "kept"


@pytest.mark.parametrize(("margin", "verdict"), [(0.01, "not kept"), (0.05, "kept")])
def test_the_studys_margin_decides(margin, verdict):
    row = compared(scaled("rougeL", 0.97), {"non_inferiority_margin": margin})
    assert row["quality_kept"]["verdict"] == verdict
    figure = row["changes"]["parent"]["figures"]["quality_kept_percent_rougeL"]
    assert figure["verdict"] == "worse"
    assert figure["ratio"] == pytest.approx(0.97)


def test_what_could_go_either_way_is_undecided():
    def jitter(samples):
        noise = np.random.default_rng(0).normal(0, 0.1, len(samples["rougeL"]))
        samples["rougeL"] = (np.array(samples["rougeL"]) + noise - noise.mean()).tolist()

    row = compared(jitter)
    assert row["quality_kept"]["verdict"] == "undecided"
    assert "at least 99 wanted" in row["quality_kept"]["reason"]


def test_random_weights_can_not_be_judged():
    kept = compared(lambda samples: samples.update(dict.fromkeys(rouge.KEYS)))["quality_kept"]
    assert kept["verdict"] is None
    assert "random weights" in kept["reason"]
