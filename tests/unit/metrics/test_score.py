import json

import numpy as np
import pytest

from scripts.foundation.errors import StudyError
from scripts.metrics import registry
from scripts.metrics.machines import difference
from tests.support import synthetic_runs as synthetic


def test_every_figure_of_a_plain_run(dataset, metrics):
    result = metrics((synthetic.make_run("kv_cache"), synthetic.make_samples(dataset)))
    assert set(result["figures"]) == {entry.key for entry in registry.entries()}
    assert result["status"] == "ok"
    assert all(result["figures"][entry.key]["unit"] == entry.unit for entry in registry.entries())
    figures = result["figures"]
    assert figures["throughput_samples_per_s"]["value"] == pytest.approx(1 / figures["latency_s"]["value"])
    sample = synthetic.make_samples(dataset)[0]
    assert result["samples"]["tpot_s"][0] == pytest.approx((sample["latency_s"] - sample["ttft_s"]) / 7)
    assert figures["acceptance_rate"]["note"] == "no speculation"
    json.dumps(result, allow_nan=False)


def test_runs_are_averaged_per_prompt_and_shown_apart(dataset, metrics):
    slow, fast = (synthetic.make_samples(dataset, speed=speed) for speed in (1, 2))
    result = metrics((synthetic.make_run("kv_cache", 1), slow), (synthetic.make_run("kv_cache", 2), fast))
    both = (slow[0]["latency_s"] + fast[0]["latency_s"]) / 2
    assert result["samples"]["latency_s"][0] == pytest.approx(both)
    first, second = result["figures"]["latency_s"]["runs"]
    assert first > 1.9 * second
    assert result["tokens_differ_between_runs"] == 0


def test_other_tokens_in_another_run_are_counted_and_quality_is_of_the_first(dataset, metrics):
    good, bad = synthetic.make_samples(dataset, damage=0), synthetic.make_samples(dataset, damage=1, seed=5)
    result = metrics((synthetic.make_run("kv_cache", 1), good), (synthetic.make_run("kv_cache", 2), bad))
    assert result["figures"]["rouge1"]["value"] == pytest.approx(1)
    assert result["tokens_differ_between_runs"] == 12


def test_random_weights_have_no_quality(dataset, metrics):
    models = {
        "target": {"name": "small", "source": "random", "random_weights": True, "parameters": 1, "dtype": "float32"}
    }
    run = synthetic.make_run("kv_cache", models=models)
    result = metrics((run, synthetic.make_samples(dataset, drafted=4)))
    for key in ("rouge1", "rougeLsum", "empty_share", "headline_words", "acceptance_rate", "stop_end_share"):
        assert result["figures"][key]["value"] is None
        assert result["figures"][key]["note"] == "not measured: random weights"
    assert result["samples"]["rouge1"] is None
    assert result["figures"]["latency_s"]["value"] > 0


def test_random_draft_has_quality_but_no_acceptance(dataset, metrics):
    models = synthetic.make_run("x")["models"] | {
        "draft": {"name": "d", "source": "random", "random_weights": True, "dtype": "float32"}
    }
    run = synthetic.make_run("kv_cache", models=models)
    figures = metrics((run, synthetic.make_samples(dataset, drafted=4)))["figures"]
    assert figures["acceptance_rate"]["value"] is None
    assert figures["rouge1"]["value"] > 0


def test_forced_acceptance_is_measured_with_random_weights_and_said(dataset, metrics):
    models = {
        role: {"name": role, "source": "random", "random_weights": True, "dtype": "float32"}
        for role in ("target", "draft")
    }
    settings = {"speculation": {"draft": "d", "tokens": 4, "forced_acceptance": 0.7}}
    models["target"] = synthetic.make_run("x")["models"]["target"] | {"source": "random", "random_weights": True}
    run = synthetic.make_run("kv_cache", models=models, settings=settings)
    figures = metrics((run, synthetic.make_samples(dataset, drafted=4)))["figures"]
    assert figures["acceptance_rate"]["value"] > 0
    assert "by a draw, not by the target" in figures["acceptance_rate"]["note"]
    assert figures["rouge1"]["value"] is None


def test_speculation_rates(dataset, metrics):
    samples = synthetic.make_samples(dataset, drafted=4)
    figures = metrics((synthetic.make_run("kv_cache"), samples))["figures"]
    accepted, rejected, rounds = (
        sum(sample[key] for sample in samples) for key in ("accepted_tokens", "rejected_tokens", "rounds")
    )
    assert figures["acceptance_rate"]["value"] == pytest.approx(accepted / (accepted + rejected))
    assert figures["drafted_kept"]["value"] == pytest.approx(accepted / (4 * rounds))
    assert figures["accepted_per_round"]["value"] == pytest.approx(accepted / rounds)


def test_the_counts_of_speculation_stand_there_for_each_prompt_where_there_are_any(dataset, metrics):
    samples = synthetic.make_samples(dataset, drafted=4)
    kept = metrics((synthetic.make_run("kv_cache"), samples))["samples"]
    for key in ("drafted_tokens", "accepted_tokens", "rejected_tokens", "rounds"):
        assert kept[key] == [sample[key] for sample in samples]
    assert "rounds" not in metrics((synthetic.make_run("kv_cache"), synthetic.make_samples(dataset)))["samples"]


def test_the_tokens_times_are_the_first_runs_to_the_microsecond(dataset, metrics):
    first, second = (synthetic.make_samples(dataset, speed=speed) for speed in (1, 2))
    runs = [(synthetic.make_run("kv_cache", number), samples) for number, samples in enumerate((first, second), 1)]
    times = metrics(*runs)["samples"]["token_times_s"]
    assert times == [[round(time, 6) for time in sample["token_times_s"]] for sample in first]


@pytest.mark.parametrize("status", ["unsupported", "out_of_memory", "invalid", "failed"])
def test_a_technique_that_did_not_run_has_a_reason_and_no_number(metrics, status):
    result = metrics((synthetic.make_failed_run("kv_cache", status, "too few GPUs"), []))
    assert (result["status"], result["reason"]) == (status, "too few GPUs")
    assert all(figure["value"] is None for figure in result["figures"].values())
    assert set(result["figures"]) == {entry.key for entry in registry.entries()}


def test_one_failed_run_fails_the_technique_and_is_named(dataset, metrics):
    good = (synthetic.make_run("kv_cache", 1), synthetic.make_samples(dataset))
    bad = (synthetic.make_failed_run("kv_cache", "out_of_memory", "full", 2), [])
    result = metrics(good, bad)
    assert result["status"] == "out_of_memory"
    assert result["reason"] == "run 2 of 2: full"


def test_memory_of_several_devices_is_summed_and_checked(dataset, metrics):
    run = synthetic.make_run("kv_cache")
    run["memory"]["peak_memory_bytes"] += 1
    with pytest.raises(StudyError, match="sum of its devices"):
        metrics((run, synthetic.make_samples(dataset)))


def test_one_token_and_no_token_are_no_division_by_zero(dataset, metrics):
    samples = synthetic.make_samples(dataset)
    samples[0] |= {"token_ids": [1], "new_tokens": 1, "token_times_s": [0.03], "text": ""}
    samples[1] |= {"token_ids": [], "new_tokens": 0, "token_times_s": [], "ttft_s": None, "text": ""}
    result = metrics((synthetic.make_run("kv_cache"), samples))
    assert result["samples"]["tpot_s"][:2] == [None, None]
    assert result["samples"]["ttft_s"][1] is None
    assert result["figures"]["empty_share"]["count"] == 2


FAULTS = {
    "missing line": (lambda samples: samples.pop(), "11 lines"),
    "other id": (lambda samples: samples[3].update(id="x"), "line 4: id 'x'"),
    "order": (lambda samples: samples.reverse(), "line 1: id"),
    "nan": (lambda samples: samples[2].update(latency_s=float("nan")), "line 3: 'latency_s' is nan"),
    "negative": (lambda samples: samples[2].update(latency_s=-1.0), "latency_s"),
    "text": (lambda samples: samples[2].update(latency_s="1"), "latency_s"),
    "no key": (lambda samples: samples[0].pop("ttft_s"), "line 1: not a sample"),
    "ttft after the end": (lambda samples: samples[0].update(ttft_s=9.0), "ttft_s"),
    "counts": (lambda samples: samples[0].update(new_tokens=3), "new_tokens"),
    "times": (lambda samples: samples[0].update(token_times_s=[1.0]), "token_times_s"),
    "backwards": (lambda samples: samples[0]["token_times_s"].reverse(), "backwards"),
    "stop": (lambda samples: samples[0].update(stop_reason="bored"), "stop_reason"),
    "surrogate": (lambda samples: samples[0].update(text="\ud800"), "not text"),
    "accepted": (
        lambda samples: samples[0].update(drafted_tokens=1, accepted_tokens=2, rejected_tokens=0, rounds=1),
        "accepted",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_damaged_samples_are_refused_with_their_place(tmp_path, dataset, read, fault):
    damage, message = FAULTS[fault]
    samples = synthetic.make_samples(dataset)
    damage(samples)
    folder = synthetic.write_run(tmp_path / "run-1", synthetic.make_run("kv_cache"), samples)
    with pytest.raises(StudyError, match=message):
        read(folder)


def test_a_run_of_another_technique_is_refused(tmp_path, dataset, read):
    folder = synthetic.write_run(tmp_path / "run-1", synthetic.make_run("int8"), synthetic.make_samples(dataset))
    with pytest.raises(StudyError, match="'int8', not of 'kv_cache'"):
        read(folder)


def test_runs_on_two_machines_are_refused(dataset, metrics):
    other = synthetic.make_run("kv_cache", 2, machine=synthetic.MACHINE | {"cpu_model": "Other CPU"})
    samples = synthetic.make_samples(dataset)
    with pytest.raises(StudyError, match="Other CPU"):
        metrics((synthetic.make_run("kv_cache", 1), samples), (other, samples))


def test_machine_difference_names_versions_and_ignores_the_number_of_gpus():
    gpu = {"name": "H100", "memory_bytes": 1, "driver": "1"}
    one, two = ({"machine": {"gpus": [gpu] * count}, "versions": {"torch": "2"}} for count in (1, 2))
    assert difference(one, two) is None
    assert "torch 2 and 3" in difference(one, one | {"versions": {"torch": "3"}})
    assert "GPU" in difference(one, {"machine": {"gpus": []}, "versions": {"torch": "2"}})
    newer = {"machine": {"gpus": [gpu | {"driver": "2"}]}, "versions": {"torch": "2"}}
    assert "GPU (H100, 1 and H100, 2)" in difference(one, newer)
    full, capped = ({"machine": {"gpus": [gpu | {"power_limit_w": limit}]}} for limit in (700.0, 350.0))
    assert difference(full, capped) == "GPU (H100, 1, 700 W and H100, 1, 350 W)"


def test_other_data_is_refused_and_other_code_is_not(dataset, metrics):
    samples = synthetic.make_samples(dataset)
    first, second = synthetic.make_run("kv_cache", 1), synthetic.make_run("kv_cache", 2)
    second["provenance"] = first["provenance"] | {"git_revision": "1" * 40, "code_digest": "other"}
    result = metrics((first, samples), (second, samples))
    assert result["provenance"] == first["provenance"]
    assert [run["provenance"]["git_revision"][0] for run in result["runs"]] == ["0", "1"]
    second["provenance"] = first["provenance"] | {"dataset_digest": "other"}
    with pytest.raises(StudyError, match="other data sets"):
        metrics((first, samples), (second, samples))


def test_spread_between_runs_and_within_them(dataset, metrics):
    samples = synthetic.make_samples(dataset)
    double = [
        sample | {"latency_s": 2 * sample["latency_s"], "ttft_s": 2 * sample["ttft_s"]}
        for sample in synthetic.make_samples(dataset)
    ]
    runs = [(synthetic.make_run("kv_cache", 1), samples), (synthetic.make_run("kv_cache", 2), double)]
    figures = metrics(*runs)["figures"]
    # Of 1 and 2 the mean is 1.5 and the standard deviation 0.707.
    assert figures["latency_s"]["between_run_percent"] == pytest.approx(100 * 0.5**0.5 / 1.5)
    latencies = np.array([sample["latency_s"] for sample in samples])
    assert figures["latency_s"]["within_run_percent"] == pytest.approx(100 * latencies.std(ddof=1) / latencies.mean())
    for key in ("latency_s", "ttft_s", "tpot_s", "throughput_samples_per_s", "throughput_tokens_per_s"):
        assert figures[key]["between_run_percent"] > 10
        assert figures[f"fixed_{key}"]["between_run_percent"] is not None
        assert len(figures[f"fixed_{key}"]["runs"]) == 2
    assert metrics(runs[0])["figures"]["latency_s"]["between_run_percent"] is None


def test_raw_times_of_every_run_are_kept(dataset, metrics):
    samples = synthetic.make_samples(dataset)
    runs = [(synthetic.make_run("kv_cache", number), samples) for number in (1, 2)]
    found = metrics(*runs)["samples"]
    assert found["run_latency_s"] == [[sample["latency_s"] for sample in samples]] * 2
    assert [len(row) for row in found["fixed_run_latency_s"]] == [12, 12]


def test_answers_that_were_cleaned_or_held_no_headline_are_figures_and_a_flag(dataset, metrics):
    samples = synthetic.make_samples(dataset)
    plain = metrics((synthetic.make_run("kv_cache"), synthetic.make_samples(dataset)))
    samples[0]["text"] = f"\n**Headline:** {samples[0]['text']}\n"
    samples[1]["text"] = "<think>The user wants a headline"
    samples[2]["text"] = "<think>Well"
    samples[1]["stop_reason"], samples[2]["stop_reason"] = "line_break", "length"
    result = metrics((synthetic.make_run("kv_cache"), samples))
    cleaned, unusable = result["figures"]["cleaned_share"], result["figures"]["unusable_share"]
    assert (cleaned["count"], cleaned["n"], unusable["count"]) == (1, 12, 2)
    assert "label (1)" in cleaned["note"]
    assert unusable["low"] < 2 / 12 < unusable["high"]
    assert result["samples"]["rougeL"][0] == plain["samples"]["rougeL"][0]
    assert result["samples"]["rougeL"][1] == 0
    [flag] = [each for each in result["flags"] if each["kind"] == "unusable"]
    assert flag["message"] == (
        "2 of 12 answers had no headline in them: its thinking never ended (2). 1 ended at a line break; "
        "generation.stop: end_token lets them go on. 1 was cut off at its longest; raise generation.max_new_tokens."
    )
    assert result["samples"]["answer"][2] == "<think>Well"
    assert not [each for each in plain["flags"] if each["kind"] == "unusable"]
