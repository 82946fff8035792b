"""Several draws of a prompt: a prompt stays the unit of every figure."""

import copy

import pytest

from scripts.foundation.errors import StudyError
from tests.support import synthetic_runs as synthetic

SAMPLING = {"sampling": {"temperature": 0.7}, "draws": 2}


@pytest.fixture
def drawn(dataset):
    """A run of two draws, whose second is a second later, and of other words."""
    samples, others = (synthetic.make_samples(dataset, seed=seed) for seed in (0, 1))
    for sample, other in zip(samples, others, strict=True):
        other = {key: value for key, value in other.items() if key != "id"}
        for key in ("latency_s", "batch_time_s"):
            if key in other:
                other[key] = sample[key] + 1
        other["token_times_s"] = [*other["token_times_s"][:-1], other["latency_s"]]
        sample["draws"] = [other]
    run = synthetic.make_run("kv_cache")
    return run | {"generation": (run.get("generation") or {}) | SAMPLING}, samples


def test_figures_are_means_over_draws_and_count_prompts(dataset, metrics, drawn):
    _, samples = drawn
    first = [{key: value for key, value in sample.items() if key != "draws"} for sample in samples]
    alone = metrics((synthetic.make_run("kv_cache"), first))
    both = metrics(drawn)
    assert both["draws"] == 2
    for key in ("rougeL", "latency_s", "new_tokens"):
        assert both["figures"][key]["n"] == alone["figures"][key]["n"] == len(dataset)
    assert both["figures"]["latency_s"]["value"] == pytest.approx(alone["figures"]["latency_s"]["value"] + 0.5)
    assert both["figures"]["latency_p99_s"]["requests"] == 2 * len(dataset)
    assert both["figures"]["stop_end_share"]["n"] == len(dataset)
    assert both["figures"]["energy_per_sample_j"]["value"] in (
        None, pytest.approx((alone["figures"]["energy_per_sample_j"]["value"] or 0) / 2),
    )  # fmt: skip
    assert both["figures"]["rougeL_between_draws"]["value"] > 0
    assert alone["figures"]["rougeL_between_draws"]["value"] is None
    kept = both["samples"]
    assert kept["headline"] == alone["samples"]["headline"]
    assert kept["first_draw"]["rougeL"] == alone["samples"]["rougeL"]
    assert len(kept["further_draws"]) == 1
    assert kept["rougeL"] != alone["samples"]["rougeL"]


def test_a_score_is_the_mean_of_its_draws(dataset, metrics, drawn):
    _, samples = drawn
    second = copy.deepcopy(samples)
    for sample in second:
        sample |= {key: sample["draws"][0][key] for key in ("text", "token_ids", "new_tokens", "token_times_s")}
        sample |= {"latency_s": sample["draws"][0]["latency_s"], "ttft_s": sample["draws"][0]["ttft_s"]}
        sample.pop("batch_time_s", None)
        del sample["draws"]
    one = {key: value for key, value in drawn[0].items() if key != "generation"}
    first = [{key: value for key, value in sample.items() if key != "draws"} for sample in samples]
    scores = [metrics((one, each))["samples"]["rougeL"] for each in (first, second)]
    assert metrics(drawn)["samples"]["rougeL"] == pytest.approx([sum(pair) / 2 for pair in zip(*scores, strict=True)])


def test_runs_with_fewer_draws_than_they_say_are_refused(metrics, drawn):
    run, samples = drawn
    del samples[3]["draws"]
    with pytest.raises(StudyError, match="some prompts have more answers than others"):
        metrics((run, samples))
    for sample in samples:
        sample.pop("draws", None)
    with pytest.raises(StudyError, match=r"has 1 answers to a prompt and run\.json says 2"):
        metrics((run, samples))
