import re

import pytest

from scripts.metrics import figures
from scripts.report import reasons, words
from tests.support.report_pages import technique


def why(comparison, name):
    return reasons.why_sentence(technique(comparison, name), comparison)


def judged(comparison, name, verdict, value):
    technique(comparison, name)["measured_speedup"] |= {"value": value, "low": None, "high": None, "verdict": verdict}


def test_every_technique_has_one_sentence_of_its_own(whole):
    sentences = [why(whole, entry["name"]) for entry in whole["techniques"]]
    assert len(set(sentences)) == len(sentences)
    for sentence in sentences:
        assert re.fullmatch(r"[A-Z0-9].*[^.]\.", sentence), sentence
        assert not re.search(r"None|nan|\{|  |\.\.|: ,|,,", sentence), sentence


def test_a_cache_saves_operations_and_the_sentence_says_how_many(whole):
    own, parent = technique(whole, "kv_cache"), technique(whole, "baseline")
    own["figures"]["flops_per_token"]["value"] = parent["figures"]["flops_per_token"]["value"] / 8.2
    judged(whole, "kv_cache", "higher", 1.6)
    assert why(whole, "kv_cache") == (
        "It reads its KV cache where Baseline computes every past token anew: 8.2\N{MULTIPLICATION SIGN} fewer "
        "operations a token, measured 1.60\N{MULTIPLICATION SIGN} the samples a second of Baseline."
    )


def test_the_words_follow_the_verdict_and_not_the_ratio(whole):
    judged(whole, "kv_cache", "no measurable difference", 1.6)
    sentence = why(whole, "kv_cache")
    assert ", but no measurable difference in samples a second from Baseline" in sentence
    assert "measured 1.6" not in sentence
    judged(whole, "kv_cache", None, 1.6)
    assert "which was not tested" in why(whole, "kv_cache")
    judged(whole, "kv_cache", "not tested: one run", 1.6)
    assert why(whole, "kv_cache").endswith("the samples a second of Baseline, which was not tested: one run.")
    technique(whole, "kv_cache")["measured_speedup"] = figures.missing("1", "one of them has no value")
    assert "is not known (one of them has no value)" in why(whole, "kv_cache")


def test_where_an_interval_leaves_no_change_out_the_correction_is_named(whole):
    judged(whole, "kv_cache", "no measurable difference", 1.35)
    technique(whole, "kv_cache")["measured_speedup"] |= {"low": 1.09, "high": 1.67}
    assert "no measurable difference in samples a second from Baseline after Holm's correction" in why(
        whole, "kv_cache"
    )


def test_packed_weights_are_blamed_only_where_they_are_slower(whole):
    cost = "unpacking and multiplying such weights costs more here"
    judged(whole, "nf4", "lower", 0.6)
    assert cost in why(whole, "nf4")
    judged(whole, "nf4", "higher", 1.4)
    assert cost not in why(whole, "nf4")
    assert "but" not in why(whole, "nf4")
    judged(whole, "nf4", "no measurable difference", 0.97)
    assert cost not in why(whole, "nf4")


def test_longer_headlines_are_the_first_explanation(whole):
    judged(whole, "nf4", "lower", 0.6)
    change = technique(whole, "nf4")["changes"]["parent"]["figures"]["output_length_change_percent"]
    change |= {"verdict": "longer", "value": 31.0}
    assert why(whole, "nf4").endswith("; its headlines are 31.0% longer.")


def test_a_busy_host_bounds_only_what_was_expected_to_gain(whole):
    technique(whole, "kv_cache")["figures"]["host_bound_share"]["value"] = 0.61
    judged(whole, "kv_cache", "no measurable difference", 1.0)
    assert "61.0% of its time passes outside of operators and kernels" in why(whole, "kv_cache")
    judged(whole, "kv_cache", "higher", 2.0)
    assert "61.0%" not in why(whole, "kv_cache")


def test_zeros_are_never_called_a_reason_for_speed(whole):
    judged(whole, "pruned", "higher", 1.5)
    sentence = why(whole, "pruned")
    assert "zeros, which are stored and multiplied like any others: as many bytes a token" in sentence
    technique(whole, "pruned")["settings"]["pruning"]["method"] = "structured"
    assert "channels are cut out" in why(whole, "pruned")


def test_speculation_names_acceptance_and_cost(whole):
    row = next(row for row in whole["break_even"] if row["technique"] == "speculative")
    row["cost_ratio"] = figures.figure(0.31, "1", 1)
    row["predicted_speedup"] = figures.figure(1.7, "1", 1)
    technique(whole, "speculative")["figures"]["acceptance_rate"]["value"] = 0.5
    judged(whole, "speculative", "higher", 1.5)
    sentence = why(whole, "speculative")
    assert "50.0% of the judged ones were accepted" in sentence
    assert "a draft pass costs 0.31 target passes, measured" in sentence
    row["predicted_speedup"] = figures.figure(0.8, "1", 1)
    assert "target passes, but measured" in why(whole, "speculative")


def test_two_differences_credit_neither(whole):
    technique(whole, "nf4")["difference"]["batch_size"] = 8
    assert "several settings at once, so that none can be credited" in why(whole, "nf4")


def test_what_did_not_run_says_why(whole):
    assert why(whole, "tensor_parallel_4").startswith("It has no figures: tensor parallelism over 4 GPUs needs 4 GPUs")


@pytest.mark.parametrize(
    ("ratio", "said"),
    [(1.01, "as many x"), (0.72, "0.72\N{MULTIPLICATION SIGN} the x"), (0.12, "8.3\N{MULTIPLICATION SIGN} fewer x"),
     (3.4, "3.4\N{MULTIPLICATION SIGN} the x"), (12.3, "12\N{MULTIPLICATION SIGN} the x")],
)  # fmt: skip
def test_ratios_of_work_are_said_as_a_reader_would(ratio, said):
    assert words.as_many(ratio, "x") == said
