"""The command line from end to end, with real workers."""

import hashlib
import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from scripts.foundation import files
from tests.support.tiny_checkpoint import make_checkpoint
from tests.support.worker_runs import GENERATION, settings

ROOT = Path(__file__).resolve().parents[3]
RUN_KEYS = {
    "technique", "run", "status", "reason", "settings", "models", "generation", "evidence", "load_time_s",
    "warmup_time_s", "compile_time_s", "generation_time_s", "memory", "machine", "versions", "threads", "processes",
    "started_at", "finished_at", "modes", "time", "calibration", "energy", "conditions", "provenance", "leased_gpus",
    "reference",
}  # fmt: skip
SAMPLE_KEYS = {
    "id", "prompt_tokens", "new_tokens", "token_ids", "text", "latency_s", "ttft_s", "token_times_s",
    "stop_reason", "batch", "batch_requests", "batch_time_s", "reference_s",
}  # fmt: skip
DEVICE_KEYS = {
    "device", "rank", "before_load_bytes", "load_peak_bytes", "after_load_bytes", "peak_bytes", "weight_bytes",
    "kv_cache_bytes", "kv_cache_positions", "kv_cache_plain_positions",
    "device_total_bytes", "process_peak_bytes", "process_method",
    "process_reason", "imported_late", "library_bytes", "stale_file_bytes", "unread_weight_bytes", "held_bytes",
}  # fmt: skip


def generate(checkpoint, data, output, facets, **options):
    """Run ``python -m scripts.generate`` from the project's root."""
    arguments = {
        "technique": "tested", "run": "2", "settings": json.dumps(facets), "generation": json.dumps(GENERATION),
        "target": str(checkpoint / "manifest.json"), "dataset": str(data), "warmup": "1", "threads": "1",
        "fixed": json.dumps({"new_tokens": 5, "samples": 2}), "device": "cpu", "output": str(output),
    } | options  # fmt: skip
    command = [sys.executable, "-m", "scripts.generate"]
    for name, value in arguments.items():
        command += [f"--{name}", value]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, env=dict(os.environ))


@pytest.fixture(scope="module")
def made(checkpoint, evaluation_set, tmp_path_factory):
    """A tensor-parallel run of two processes, by turns with a reference."""
    output = tmp_path_factory.mktemp("run") / "generations" / "tested" / "run-2"
    asked = {"reference": str(checkpoint / "manifest.json")}
    asked["reference-technique"] = json.dumps({"technique": "plain", "settings": settings()})
    ended = generate(checkpoint, evaluation_set, output, settings(parallel={"tensor": 2}), **asked)
    assert ended.returncode == 0, ended.stderr
    return output


@pytest.fixture(scope="module")
def record(made):
    return files.read_json(made / "run.json")


@pytest.fixture(scope="module")
def samples(made):
    return files.read_json_lines(made / "samples.jsonl")


def test_nothing_but_the_two_results_is_left(made):
    assert sorted(path.name for path in made.iterdir()) == [
        "distributions.npz",
        "fixed.jsonl",
        "run.json",
        "samples.jsonl",
    ]


def test_two_processes_write_what_one_writes(samples, greedy):
    assert [sample["token_ids"] for sample in samples] == greedy.tokens
    assert [sample["text"] for sample in samples] == [sample["text"] for sample in greedy.samples]


def test_samples_have_what_they_are_to_have(samples):
    assert all(set(sample) == SAMPLE_KEYS for sample in samples)


def test_the_record_has_what_it_is_to_have(record, checkpoint):
    assert set(record) >= RUN_KEYS
    assert (record["technique"], record["run"], record["status"], record["reason"]) == ("tested", 2, "ok", None)
    assert record["settings"] == settings(parallel={"tensor": 2})
    assert record["processes"] == 2
    assert record["threads"] == 1
    parameters = files.read_json(checkpoint / "manifest.json")["parameters"]
    [model] = record["models"].values()
    assert model["architecture"]["layers"] == 2
    assert model["architecture"]["head_dim"] * model["architecture"]["heads"] == model["architecture"]["hidden"]
    assert len(model["digest"]) >= 16
    known = {"name": "random", "source": "train", "random_weights": False}
    known |= {"parameters": parameters, "dtype": "float32"}
    assert {key: model[key] for key in known} == known


def test_the_record_holds_no_path_of_this_machine(made, checkpoint):
    assert str(checkpoint.parent) not in (made / "run.json").read_text()


def test_what_went_in_and_what_the_machine_did_is_recorded(record, evaluation_set):
    provenance = record["provenance"]
    assert provenance["dataset_digest"] == hashlib.sha256(evaluation_set.read_bytes()).hexdigest()[:16]
    assert len(provenance["code_digest"]) == 16
    assert set(record["conditions"]) == {"before", "during", "after"}
    assert record["conditions"]["during"]["seconds"] > 0
    for moment in ("before", "after"):
        assert record["calibration"][moment]["copy_bytes_per_s"] > 1e8
        assert record["calibration"][moment]["matmul_flops_per_s"] > 1e8
    assert set(record["energy"]) == {"method", "reason", "domains", "natural_j", "fixed_j"}


def test_the_fixed_mode_has_files_and_times_of_its_own(made, record, samples):
    fixed = files.read_json_lines(made / "fixed.jsonl")
    assert [sample["id"] for sample in fixed] == [sample["id"] for sample in samples[:2]]
    assert [sample["new_tokens"] for sample in fixed] == [5, 5]
    assert record["modes"]["natural"]["samples"] == len(samples)
    assert record["modes"]["fixed"]["samples"] == 2
    assert record["modes"]["fixed"]["new_tokens"] == 5
    assert sum(sample["latency_s"] for sample in fixed) <= record["modes"]["fixed"]["time_s"]


def test_times_are_apart_and_in_order(record, samples):
    for key in ("load_time_s", "warmup_time_s", "generation_time_s"):
        assert record[key] > 0
    assert record["compile_time_s"] == 0
    assert sum(sample["latency_s"] for sample in samples) <= record["generation_time_s"]
    started, finished = (datetime.fromisoformat(record[key]) for key in ("started_at", "finished_at"))
    assert started <= finished
    assert started.utcoffset().total_seconds() == 0
    phases = record["phases_s"]
    assert phases["loading"] >= record["load_time_s"]
    assert phases["timing"] >= record["generation_time_s"] + record["modes"]["fixed"]["time_s"]
    assert 0 < phases["start"] < sum(phases.values()) <= (finished - started).total_seconds() + 0.1


def test_memory_is_by_device_and_summed(record):
    memory = record["memory"]
    assert memory["method"] == "resident_set"
    assert [device["rank"] for device in memory["devices"]] == [0, 1]
    for device in memory["devices"]:
        assert set(device) == DEVICE_KEYS
        assert 0 < device["weight_bytes"] < device["peak_bytes"] < device["before_load_bytes"]
        assert device["before_load_bytes"] + device["peak_bytes"] <= device["process_peak_bytes"]
        assert device["imported_late"] == []
        assert device["process_method"] == "resident_set"
    for total, part in (
        ("peak_memory_bytes", "peak_bytes"),
        ("load_peak_memory_bytes", "load_peak_bytes"),
        ("weight_bytes",) * 2,
    ):
        assert memory[total] == sum(device[part] for device in memory["devices"])


def test_four_bits_take_less_memory_than_the_model_though_their_library_is_large(evaluation_set, tmp_path):
    wide = make_checkpoint(tmp_path / "wide", layers=8, intermediate=8192)
    found = {}
    for name, facets in {"plain": {}, "nf4": {"quantization": "nf4"}}.items():
        ended = generate(wide, evaluation_set, tmp_path / name, settings(**facets))
        assert ended.returncode == 0, ended.stderr
        (found[name],) = files.read_json(tmp_path / name / "run.json")["memory"]["devices"]
    assert found["nf4"]["imported_late"] == []
    assert found["nf4"]["before_load_bytes"] > found["plain"]["before_load_bytes"] + 20e6
    weights = found["plain"]["weight_bytes"]
    assert weights < found["plain"]["peak_bytes"] < 1.4 * weights
    # What its products take beside, layer by layer, is up to the processor's kernels.
    assert found["nf4"]["held_bytes"] < 0.5 * weights


def test_every_facet_has_evidence_the_parallel_one_from_each_rank(record):
    assert set(record["evidence"]) == {"kv_cache", "parallel"}
    assert [rank["rank"] for rank in record["evidence"]["parallel"]["ranks"]] == [0, 1]


def test_settings_of_generation_are_recorded_as_given_and_as_resolved(record):
    generation = record["generation"]
    assert {key: generation[key] for key in GENERATION} == GENERATION
    assert generation["warmup"] == 1
    assert generation["resolved"]["do_sample"] is False


def test_machine_and_libraries_are_recorded(record):
    assert set(record["machine"]) == {"cpu_model", "cpu_count", "memory_bytes", "platform", "gpus"}
    assert {"python", "torch", "transformers", "bitsandbytes"} <= set(record["versions"])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"target": "no/such/manifest.json"}, "error: no/such/manifest.json does not exist; run the stage that makes"),
        ({"generation": json.dumps(GENERATION | {"shots": 1})}, "error: generation.shots asks for 1 rows, but no"),
    ],
)
def test_what_can_be_known_at_once_is_one_sentence(checkpoint, evaluation_set, tmp_path, options, sentence):
    ended = generate(checkpoint, evaluation_set, tmp_path / "out", settings(), **options)
    assert ended.returncode == 1
    assert ended.stderr.startswith(sentence)
    assert ended.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_what_a_worker_finds_is_one_sentence_too(checkpoint, evaluation_set, tmp_path):
    facets = settings(speculation={"draft": "draft"})
    broken = tmp_path / "draft"
    broken.mkdir()
    files.write_json(broken / "manifest.json", files.read_json(checkpoint / "manifest.json"))
    ended = generate(checkpoint, evaluation_set, tmp_path / "out", facets, draft=str(broken / "manifest.json"))
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    found = files.read_json(tmp_path / "out" / "run.json")
    assert found["status"] == "failed"
    assert str(broken) in found["reason"]


def test_a_group_and_its_reference_take_turns(record, samples, made):
    found = record["reference"]
    assert (found["status"], found["technique"], found["reason"]) == ("on", "plain", None)
    assert found["new_tokens"] == 16
    lines = {"natural": samples, "fixed": files.read_json_lines(made / "fixed.jsonl")}
    assert set(found["readings_s"]) == set(lines)
    for mode, readings in found["readings_s"].items():
        # One turn before the first batch, one after the last, and none of them in a sample's own time.
        assert 2 <= len(readings) <= len(lines[mode]) + 1
        assert min(readings) <= min(line["reference_s"] for line in lines[mode])
        assert max(readings) >= max(line["reference_s"] for line in lines[mode])
    assert record["modes"]["natural"]["time_s"] >= sum(sample["batch_time_s"] for sample in samples)
