import pytest

from scripts.foundation.errors import StudyError
from tests.support import synthetic_runs as synthetic


def test_reference_likelihood_is_per_token_and_not_per_headline(dataset, metrics):
    samples = synthetic.make_samples(dataset)
    for sample in samples:
        sample |= {"reference_nll": 6.0, "reference_tokens": 6}
    samples[0] |= {"reference_nll": 40.0, "reference_tokens": 14}
    result = metrics((synthetic.make_run("kv_cache"), samples))
    figure = result["figures"]["reference_nll_per_token"]
    assert figure["value"] == pytest.approx((11 * 6 + 40) / (11 * 6 + 14))
    assert figure["low"] < figure["value"] < figure["high"]
    assert (figure["unit"], figure["interval"], figure["n"]) == ("nats/token", "bootstrap", 12)
    assert result["samples"]["reference_nll"][:2] == [40.0, 6.0]
    assert result["samples"]["reference_tokens"][:2] == [14, 6]


def test_margins_are_handed_on_token_by_token(dataset, metrics):
    samples = synthetic.make_samples(dataset)
    samples[2] |= {"margins": [0.25] * 8, "runners_up": list(range(8))}
    result = metrics((synthetic.make_run("kv_cache", 1), samples), (synthetic.make_run("kv_cache", 2), samples))
    assert result["samples"]["margins"][2] == [0.25] * 8
    assert result["samples"]["runners_up"][2] == list(range(8))
    assert result["figures"]["greedy_agreement"]["value"] == 1


def test_runs_without_likelihoods_say_so(tmp_path, dataset, metrics):
    # The second run has none; standing first, it shows what an unrecorded one looks like.
    result = metrics((synthetic.make_run("kv_cache", 2), synthetic.make_samples(dataset)))
    for key in ("reference_nll_per_token", "greedy_agreement"):
        assert result["figures"][key]["value"] is None
        assert "not recorded" in result["figures"][key]["note"]
    assert result["samples"]["margins"] is None


def test_random_weights_can_be_greedy_and_know_nothing_of_references(dataset, metrics):
    models = {"target": synthetic.make_model("small", source="random")}
    figures = metrics((synthetic.make_run("kv_cache", models=models), synthetic.make_samples(dataset)))["figures"]
    assert figures["reference_nll_per_token"]["note"] == "not measured: random weights"
    assert figures["greedy_agreement"]["value"] == 1


FAULTS = {
    "negative": ({"reference_nll": -1.0}, "'reference_nll' is -1.0"),
    "infinite": ({"reference_nll": float("inf")}, "'reference_nll' is inf"),
    "of no tokens": ({"reference_tokens": 0}, "'reference_tokens' is 0"),
    "of unknown tokens": ({"reference_tokens": None}, "'reference_tokens' is None"),
    "too few margins": ({"margins": [1.0]}, "'margins'"),
    "margins as text": ({"margins": ["0.5"] * 8}, "'margins'"),
    "too few shifts": ({"margin_shifts": [1e-6]}, "'margin_shifts'"),
    "nan margin": ({"margins": [float("nan")] * 8}, "'margins'"),
    "too few runners-up": ({"runners_up": [1]}, "'runners_up'"),
    "runners-up as text": ({"runners_up": ["a"] * 8}, "'runners_up'"),
    "more agree than there are": ({"argmax_agrees": 9}, "'argmax_agrees' is 9 of 8"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_damaged_likelihoods_are_refused_with_their_place(tmp_path, dataset, read, fault):
    changes, message = FAULTS[fault]
    samples = synthetic.make_samples(dataset)
    samples[4] |= changes
    folder = synthetic.write_run(tmp_path / "run-1", synthetic.make_run("kv_cache"), samples)
    with pytest.raises(StudyError, match=f"line 5: {message}"):
        read(folder)


def test_a_certain_reference_may_round_below_zero(tmp_path, dataset, read):
    samples = synthetic.make_samples(dataset)
    samples[0]["reference_nll"] = -1e-6
    folder = synthetic.write_run(tmp_path / "run-1", synthetic.make_run("kv_cache"), samples)
    assert read(folder).samples[0].reference_nll == -1e-6


def test_a_pass_that_keeps_no_cache_says_nothing_of_a_quantised_one(dataset, metrics):
    samples = synthetic.make_samples(dataset)
    for sample in samples:
        sample |= {"reference_nll": 6.0, "reference_tokens": 6}
    run = synthetic.make_run("kv_cache")
    run["settings"] |= {"kv_cache": {"dtype": "int8", "scales": "token_and_head"}}
    result = metrics((run, samples))
    for key in ("reference_nll_per_token", "kl_divergence_per_token", "top_token_agreement"):
        assert result["figures"][key]["value"] is None
        assert "keeps no cache" in result["figures"][key]["note"]
    assert result["samples"]["reference_nll"] is None
