import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import score
from scripts.foundation.errors import StudyError
from scripts.metrics import rouge, runs, technique
from scripts.metrics.machines import difference
from tests.support import synthetic_runs as synthetic

ROOT = Path(__file__).parents[3]


@pytest.fixture
def dataset():
    return synthetic.make_dataset(12)


def read(folder, dataset, name="kv_cache"):
    return runs.read_run(folder, name, [row["id"] for row in dataset])


def metrics(tmp_path, dataset, *written, name="kv_cache"):
    folders = [synthetic.write_run(tmp_path / f"run-{n}", *run) for n, run in enumerate(written, start=1)]
    return technique.technique_metrics(name, dataset, [read(folder, dataset, name) for folder in folders])


def test_every_figure_of_a_plain_run(tmp_path, dataset):
    result = metrics(tmp_path, dataset, (synthetic.make_run("kv_cache"), synthetic.make_samples(dataset)))
    assert set(result["figures"]) == set(technique.figure_units())
    assert result["status"] == "ok"
    for key, unit in technique.figure_units().items():
        assert result["figures"][key]["unit"] == unit
    figures = result["figures"]
    assert figures["throughput_samples_per_s"]["value"] == pytest.approx(1 / figures["latency_s"]["value"])
    sample = synthetic.make_samples(dataset)[0]
    assert result["samples"]["tpot_s"][0] == pytest.approx((sample["latency_s"] - sample["ttft_s"]) / 7)
    assert figures["acceptance_rate"]["note"] == "no speculation"
    json.dumps(result, allow_nan=False)


def test_runs_are_averaged_per_prompt_and_shown_apart(tmp_path, dataset):
    slow, fast = (synthetic.make_samples(dataset, speed=speed) for speed in (1, 2))
    result = metrics(
        tmp_path, dataset, (synthetic.make_run("kv_cache", 1), slow), (synthetic.make_run("kv_cache", 2), fast)
    )
    both = (slow[0]["latency_s"] + fast[0]["latency_s"]) / 2
    assert result["samples"]["latency_s"][0] == pytest.approx(both)
    first, second = result["figures"]["latency_s"]["runs"]
    assert first > 1.9 * second
    assert result["tokens_differ_between_runs"] == 0


def test_other_tokens_in_another_run_are_counted_and_quality_is_of_the_first(tmp_path, dataset):
    good, bad = synthetic.make_samples(dataset, damage=0), synthetic.make_samples(dataset, damage=1, seed=5)
    result = metrics(
        tmp_path, dataset, (synthetic.make_run("kv_cache", 1), good), (synthetic.make_run("kv_cache", 2), bad)
    )
    assert result["figures"]["rouge1"]["value"] == pytest.approx(1)
    assert result["tokens_differ_between_runs"] == 12


def test_random_weights_have_no_quality(tmp_path, dataset):
    models = {"target": {"name": "small", "source": "random", "parameters": 1, "dtype": "float32"}}
    run = synthetic.make_run("kv_cache", models=models)
    result = metrics(tmp_path, dataset, (run, synthetic.make_samples(dataset, speculative=True)))
    for key in ("rouge1", "rougeLsum", "empty_share", "headline_words", "acceptance_rate", "stop_end_share"):
        assert result["figures"][key]["value"] is None
        assert result["figures"][key]["note"] == "not measured: random weights"
    assert result["samples"]["rouge1"] is None
    assert result["figures"]["latency_s"]["value"] > 0


def test_random_draft_has_quality_but_no_acceptance(tmp_path, dataset):
    models = synthetic.make_run("x")["models"] | {"draft": {"name": "d", "source": "random", "dtype": "float32"}}
    run = synthetic.make_run("kv_cache", models=models)
    figures = metrics(tmp_path, dataset, (run, synthetic.make_samples(dataset, speculative=True)))["figures"]
    assert figures["acceptance_rate"]["value"] is None
    assert figures["rouge1"]["value"] > 0


def test_speculation_rates(tmp_path, dataset):
    samples = synthetic.make_samples(dataset, speculative=True)
    figures = metrics(tmp_path, dataset, (synthetic.make_run("kv_cache"), samples))["figures"]
    accepted = sum(sample["accepted_tokens"] for sample in samples)
    assert figures["acceptance_rate"]["value"] == pytest.approx(accepted / (accepted + 2 * len(samples)))
    assert figures["drafted_kept"]["value"] == pytest.approx(accepted / (12 * len(samples)))
    assert figures["accepted_per_round"]["value"] == pytest.approx(accepted / (3 * len(samples)))


@pytest.mark.parametrize("status", ["unsupported", "out_of_memory", "invalid"])
def test_a_technique_that_did_not_run_has_a_reason_and_no_number(tmp_path, dataset, status):
    result = metrics(tmp_path, dataset, (synthetic.make_failed_run("kv_cache", status, "too few GPUs"), []))
    assert (result["status"], result["reason"]) == (status, "too few GPUs")
    assert all(figure["value"] is None for figure in result["figures"].values())
    assert set(result["figures"]) == set(technique.figure_units())


def test_one_failed_run_fails_the_technique_and_is_named(tmp_path, dataset):
    good = (synthetic.make_run("kv_cache", 1), synthetic.make_samples(dataset))
    bad = (synthetic.make_failed_run("kv_cache", "out_of_memory", "full", 2), [])
    result = metrics(tmp_path, dataset, good, bad)
    assert result["status"] == "out_of_memory"
    assert result["reason"] == "run 2 of 2: full"


def test_batches_share_the_time_of_their_slowest_request(tmp_path, dataset):
    run = synthetic.make_run("kv_cache", settings={"batch_size": 4})
    samples = synthetic.make_samples(dataset)
    figures = metrics(tmp_path, dataset, (run, samples))["figures"]
    total = sum(max(sample["latency_s"] for sample in samples[start : start + 4]) for start in (0, 4, 8))
    assert figures["throughput_samples_per_s"]["value"] == pytest.approx(12 / total)
    assert figures["throughput_samples_per_s"]["batch_size"] == 4


def test_memory_of_several_devices_is_summed_and_checked(tmp_path, dataset):
    run = synthetic.make_run("kv_cache")
    run["memory"]["peak_memory_bytes"] += 1
    with pytest.raises(StudyError, match="sum of its devices"):
        metrics(tmp_path, dataset, (run, synthetic.make_samples(dataset)))


def test_one_token_and_no_token_are_no_division_by_zero(tmp_path, dataset):
    samples = synthetic.make_samples(dataset)
    samples[0] |= {"token_ids": [1], "new_tokens": 1, "token_times_s": [0.03], "headline": ""}
    samples[1] |= {"token_ids": [], "new_tokens": 0, "token_times_s": [], "ttft_s": None, "headline": ""}
    result = metrics(tmp_path, dataset, (synthetic.make_run("kv_cache"), samples))
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
    "surrogate": (lambda samples: samples[0].update(headline="\ud800"), "not text"),
    "accepted": (
        lambda samples: samples[0].update(drafted_tokens=1, accepted_tokens=2, rejected_tokens=0, rounds=1),
        "accepted",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_damaged_samples_are_refused_with_their_place(tmp_path, dataset, fault):
    damage, message = FAULTS[fault]
    samples = synthetic.make_samples(dataset)
    damage(samples)
    folder = synthetic.write_run(tmp_path / "run-1", synthetic.make_run("kv_cache"), samples)
    with pytest.raises(StudyError, match=message):
        read(folder, dataset)


def test_a_run_of_another_technique_is_refused(tmp_path, dataset):
    folder = synthetic.write_run(tmp_path / "run-1", synthetic.make_run("int8"), synthetic.make_samples(dataset))
    with pytest.raises(StudyError, match="'int8', not of 'kv_cache'"):
        read(folder, dataset)


def test_runs_on_two_machines_are_refused(tmp_path, dataset):
    other = synthetic.make_run("kv_cache", 2, machine=synthetic.MACHINE | {"cpu_model": "Other CPU"})
    samples = synthetic.make_samples(dataset)
    with pytest.raises(StudyError, match="Other CPU"):
        metrics(tmp_path, dataset, (synthetic.make_run("kv_cache", 1), samples), (other, samples))


def test_machine_difference_names_versions_and_ignores_the_number_of_gpus():
    gpu = {"name": "H100", "memory_bytes": 1, "driver": "1"}
    one, two = ({"machine": {"gpus": [gpu] * count}, "versions": {"torch": "2"}} for count in (1, 2))
    assert difference(one, two) is None
    assert "torch 2 and 3" in difference(one, one | {"versions": {"torch": "3"}})
    assert "GPU" in difference(one, {"machine": {"gpus": []}, "versions": {"torch": "2"}})


def test_rouge_is_that_of_rouge_score():
    from rouge_score import rouge_scorer

    texts = [
        ("Storm hits the coast. Thousands flee", "Thousands flee as storms hit coast"),
        ("", "x"),
        ("日本", "日本"),
    ]
    scores = rouge.rouge_scores([a for a, _ in texts], [b for _, b in texts])
    scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True)
    for index, (prediction, reference) in enumerate(texts):
        expected = scorer.score(reference, prediction)
        for key in expected:
            assert scores[key][index] == pytest.approx(expected[key].fmeasure)
    # Lsum looks for each sentence of its own, L for one common subsequence: only Lsum forgives the order.
    assert scores["rougeLsum"][0] > scores["rougeL"][0]


def test_scoring_works_offline_with_a_home_that_cannot_be_written(tmp_path, dataset):
    synthetic.write_lines(tmp_path / "eval.jsonl", dataset)
    folder = synthetic.write_run(tmp_path / "run-1", synthetic.make_run("kv_cache"), synthetic.make_samples(dataset))
    output = tmp_path / "metrics" / "kv_cache.json"
    # A file where the home should be: nothing can be written below it, even by root.
    home = tmp_path / "home"
    home.write_text("")
    program = (
        "import socket, sys, runpy\n"
        "def refuse(*a, **k): raise AssertionError('network')\n"
        "socket.socket.connect = refuse\n"
        "socket.getaddrinfo = refuse\n"
        "runpy.run_module('scripts.score', run_name='__main__')\n"
        "heavy = [name for name in ('torch', 'transformers', 'tensorflow') if name in sys.modules]\n"
        "assert not heavy, heavy\n"
    )
    arguments = ["--technique", "kv_cache", "--dataset", str(tmp_path / "eval.jsonl"), "--runs", str(folder)]
    environment = os.environ | {"HOME": str(home), "XDG_CACHE_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments, "--output", str(output)],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(output.read_text())["figures"]["rouge1"]["value"] > 0.5


def test_an_empty_dataset_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "eval.jsonl").write_text("")
    arguments = ["score", "--technique", "a", "--dataset", str(tmp_path / "eval.jsonl"), "--runs", "x", "--output", "y"]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(StudyError, match="has no rows"):
        score.main()
