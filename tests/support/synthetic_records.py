"""What run.json says, made up: the values of one plausible machine and model, each of which a test may replace."""

import hashlib
from typing import Any

MACHINE = {
    "cpu_model": "Example CPU 2.0 GHz",
    "cpu_count": 8,
    "memory_bytes": 32 * 2**30,
    "platform": "Linux-6.1-x86_64",
    "gpus": [],
}
VERSIONS = {"python": "3.11.7", "torch": "2.13.0", "transformers": "5.23.0"}
MIB = 2**20


def make_run(
    technique: str, run: int = 1, peak_mib: float = 400, weight_mib: float = 107, **changes: Any
) -> dict[str, Any]:
    """Return the content of a run.json that is ok; ``changes`` replace whole keys.

    One CPU process, or with ``processes`` among the changes as many, each with an even share of weights and cache.
    """
    processes = changes.get("processes", 1)
    settings = changes.get("settings", {"model": "small", "kv_cache": "dynamic", "batch_size": 1})
    models = changes.get("models", {"target": make_model("small", weight_mib=weight_mib)})
    cache = _cache(models["target"], settings)
    devices = [_device(rank, processes, peak_mib, weight_mib, *cache) for rank in range(processes)]
    return {
        "technique": technique,
        "run": run,
        "status": "ok",
        "reason": None,
        "settings": settings,
        "models": models,
        "generation": {"do_sample": False, "max_new_tokens": 32},
        "evidence": {"kv_cache": {"class": "DynamicCache", "layers": 4, "bytes": 1_048_576}},
        "load_time_s": 1.5,
        "warmup_time_s": 0.4,
        "compile_time_s": 0.0,
        "generation_time_s": 20.0,
        "memory": {
            "method": "resident_set",
            "peak_is_exact": True,
            "devices": devices,
            "peak_memory_bytes": sum(device["peak_bytes"] for device in devices),
            "load_peak_memory_bytes": sum(device["load_peak_bytes"] for device in devices),
            "weight_bytes": sum(device["weight_bytes"] for device in devices),
        },
        "machine": MACHINE,
        "versions": VERSIONS,
        "threads": 8,
        "processes": 1,
        "calibration": {"before": make_calibration(), "after": make_calibration(0.99)},
        "conditions": make_conditions(),
        "energy": {
            "method": None, "reason": "This machine shows no energy counters.", "domains": [], "natural_j": None,
            "fixed_j": None,
        },
        "time": {
            "sample_s": 0.19, "profiled_s": 0.2, "operators_s": 0.15, "host_bound_share": 1 - 0.15 / 0.19,
            "host_bound_reason": None, "target_forward_s": 0.02, "draft_forward_s": None,
        } if run == 1 else None,
        "provenance": {
            "git_revision": "0" * 40, "git_modified": False, "dataset_digest": "d" * 16, "code_digest": "c" * 16,
        },
        "started_at": f"2025-01-02T03:0{run}:05.250+00:00",
        "finished_at": f"2025-01-02T03:1{run}:05.750+00:00",
    } | changes  # fmt: skip


def make_model(name: str, source: str = "train", weight_mib: float = 107, dtype: str = "float32") -> dict[str, Any]:
    """Return what run.json says of a model whose weights, before any quantisation, take about ``weight_mib``."""
    hidden, intermediate, vocabulary = 512, 1424, 4096
    layer = 4 * hidden * hidden + 3 * hidden * intermediate + 2 * hidden
    rest = vocabulary * hidden + hidden
    width = 4 if dtype == "float32" else 2
    layers = max(1, round((weight_mib * MIB / width - rest) / layer))
    return {
        "name": name,
        "source": source,
        "random_weights": source == "random",
        "parameters": layers * layer + rest,
        "dtype": dtype,
        "architecture": {
            "layers": layers, "hidden": hidden, "heads": 8, "kv_heads": 8, "head_dim": 64,
            "intermediate": intermediate, "vocabulary": vocabulary, "tied_embeddings": True, "attention_bias": False,
        },
        "digest": hashlib.sha256(f"{name} {weight_mib}".encode()).hexdigest()[:16],
    }  # fmt: skip


def make_calibration(factor: float = 1.0) -> dict[str, Any]:
    """Return what a machine could do, ``factor`` times as much as usual."""
    return {
        "read_bytes_per_s": 5e10 * factor,
        "read_buffer_bytes": 64 * MIB,
        "copy_bytes_per_s": 4e10 * factor,
        "matmul_flops_per_s": 6e11 * factor,
        "matmul_dtype": "float32",
    }


def make_conditions(**during: Any) -> dict[str, Any]:
    """Return the conditions of a quiet machine; ``during`` replaces what was seen while the run went on."""
    quiet = {
        "foreign_cpu_share": 0.01, "steal_share": 0.0, "throttle_reasons": [], "foreign_gpu_processes": [],
        "seconds": 24.0,
    }  # fmt: skip
    state = {"gpus": [], "cpu": {"load_average": [1.0, 1.0, 1.0], "frequency_mhz": 2000.0}}
    return {"before": state, "after": state, "during": quiet | during}


def _cache(model: dict[str, Any], settings: dict[str, Any]) -> tuple[int, int]:
    """Return bytes and positions of the cache of one batch, in which each request has 55 tokens."""
    shape = model.get("architecture")
    if shape is None or settings.get("kv_cache") == "none":
        return 0, 0
    positions = 55 * settings.get("batch_size", 1)
    width = 4 if model["dtype"] == "float32" else 2
    return 2 * shape["layers"] * shape["kv_heads"] * shape["head_dim"] * width * positions, positions


def _device(
    rank: int, processes: int, peak_mib: float, weight_mib: float, cache_bytes: int, positions: int
) -> dict[str, Any]:
    return {
        "device": f"cpu process {rank}",
        "rank": rank,
        "before_load_bytes": 90 * MIB,
        "load_peak_bytes": int(1.2 * peak_mib * MIB) // processes,
        "after_load_bytes": 90 * MIB + int(weight_mib * MIB) // processes,
        "peak_bytes": int(peak_mib * MIB) // processes,
        "process_peak_bytes": (90 + 12) * MIB + int(peak_mib * MIB) // processes,
        "library_bytes": 12 * MIB,
        "stale_file_bytes": 0,
        "unread_weight_bytes": 0,
        "held_bytes": int(weight_mib * MIB) // processes + cache_bytes // processes + MIB,
        "weight_bytes": int(weight_mib * MIB) // processes,
        "kv_cache_bytes": cache_bytes // processes,
        "kv_cache_positions": positions,
        "device_total_bytes": None,
    }


def make_failed_run(technique: str, status: str, reason: str, run: int = 1, **changes: Any) -> dict[str, Any]:
    """Return the content of a run.json of a technique that did not run to the end."""
    nothing = dict.fromkeys(("memory", "load_time_s", "warmup_time_s", "compile_time_s", "generation_time_s",
                             "time", "energy", "calibration", "modes"))  # fmt: skip
    return make_run(technique, run) | nothing | {"status": status, "reason": reason, "evidence": {}} | changes
