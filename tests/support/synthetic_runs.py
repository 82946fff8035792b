"""Runs in the form that the generation stage writes, made up from a seed: for tests of what reads them."""

import hashlib
import json
import random
from pathlib import Path
from typing import Any

WORDS = [
    "market",
    "river",
    "council",
    "storm",
    "school",
    "record",
    "vote",
    "bridge",
    "harvest",
    "museum",
    "league",
    "budget",
]
MACHINE = {
    "cpu_model": "Example CPU 2.0 GHz",
    "cpu_count": 8,
    "memory_bytes": 32 * 2**30,
    "platform": "Linux-6.1-x86_64",
    "gpus": [],
}
VERSIONS = {"python": "3.11.7", "torch": "2.13.0", "transformers": "5.23.0"}
MIB = 2**20


def make_dataset(count: int = 12, seed: int = 0) -> list[dict[str, str]]:
    """Return ``count`` rows of an evaluation set."""
    draw = random.Random(seed)
    rows = []
    for index in range(count):
        headline = " ".join(draw.choices(WORDS, k=7)).capitalize()
        summary = (
            f"{headline}, officials said on day {index}. " + " ".join(draw.choices(WORDS, k=14)).capitalize() + "."
        )
        rows.append({"id": f"{index:012x}", "summary": summary, "headline": headline, "category": "NEWS"})
    return rows


def make_samples(
    dataset: list[dict[str, str]],
    speed: float = 1.0,
    damage: float = 0.25,
    seed: int = 0,
    noise_seed: int = 0,
    speculative: bool = False,
) -> list[dict[str, Any]]:
    """Return the samples of one run.

    Args:
        dataset: the evaluation set.
        speed: how many times faster than the slowest.
        damage: share of the reference's words that come out wrong.
        seed: of the text; the same seed and damage give the same tokens.
        noise_seed: of the timing.
        speculative: whether the counts of speculation are there.
    """
    text, noise = random.Random(seed), random.Random(noise_seed)
    samples = []
    for row in dataset:
        words = [text.choice(WORDS) if text.random() < damage else word for word in row["headline"].split()]
        ids = [int(hashlib.sha256(word.encode()).hexdigest()[:3], 16) for word in words] + [1]
        step = 0.02 / speed * noise.uniform(0.9, 1.1)
        first = 0.03 / speed * noise.uniform(0.9, 1.1)
        times = [first + step * index for index in range(len(ids))]
        sample = {
            "id": row["id"],
            "prompt_tokens": 40,
            "new_tokens": len(ids),
            "token_ids": ids,
            "text": " ".join(words),
            "headline": " ".join(words),
            "latency_s": times[-1] + 0.0005,
            "ttft_s": first,
            "token_times_s": times,
            "stop_reason": "end",
        }
        if speculative:
            counts = {"drafted_tokens": 12, "accepted_tokens": noise.randint(3, 10), "rejected_tokens": 2, "rounds": 3}
            sample |= counts
        samples.append(sample)
    return samples


def make_run(
    technique: str, run: int = 1, peak_mib: float = 400, weight_mib: float = 200, **changes: Any
) -> dict[str, Any]:
    """Return the content of a run.json that is ok; ``changes`` replace whole keys."""
    device = {
        "device": "cpu process 0",
        "rank": 0,
        "before_load_bytes": 90 * MIB,
        "load_peak_bytes": int(1.2 * peak_mib * MIB),
        "after_load_bytes": int((90 + weight_mib) * MIB),
        "peak_bytes": int(peak_mib * MIB),
        "weight_bytes": int(weight_mib * MIB),
    }
    return {
        "technique": technique,
        "run": run,
        "status": "ok",
        "reason": None,
        "settings": {"model": "small", "kv_cache": "dynamic", "batch_size": 1},
        "models": {"target": {"name": "small", "source": "train", "parameters": 28_000_000, "dtype": "float32"}},
        "generation": {"do_sample": False, "max_new_tokens": 32},
        "evidence": {"kv_cache": {"class": "DynamicCache", "layers": 4, "bytes": 1_048_576}},
        "load_time_s": 1.5,
        "warmup_time_s": 0.4,
        "compile_time_s": 0.0,
        "generation_time_s": 20.0,
        "memory": {
            "method": "resident_set",
            "devices": [device],
            "peak_memory_bytes": device["peak_bytes"],
            "load_peak_memory_bytes": device["load_peak_bytes"],
            "weight_bytes": device["weight_bytes"],
        },
        "machine": MACHINE,
        "versions": VERSIONS,
        "threads": 8,
        "processes": 1,
        "started_at": f"2025-01-02T03:0{run}:05Z",
        "finished_at": f"2025-01-02T03:1{run}:05Z",
    } | changes


def make_failed_run(technique: str, status: str, reason: str, run: int = 1, **changes: Any) -> dict[str, Any]:
    """Return the content of a run.json of a technique that did not run to the end."""
    nothing = dict.fromkeys(("memory", "load_time_s", "warmup_time_s", "compile_time_s", "generation_time_s"))
    return make_run(technique, run) | nothing | {"status": status, "reason": reason, "evidence": {}} | changes


def write_run(folder: Path, run: dict[str, Any], samples: list[dict[str, Any]]) -> Path:
    """Write run.json and samples.jsonl; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(run), encoding="utf-8")
    write_lines(folder / "samples.jsonl", samples)
    return folder


def write_lines(path: Path, rows: list[Any]) -> Path:
    """Write one JSON value a line; return the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
