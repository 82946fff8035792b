"""Runs whose times and memory follow from arithmetic that a test can do in its head."""

from pathlib import Path
from typing import Any

from scripts.metrics.runs import Run
from scripts.metrics.samples import Sample

# 7 GB of weights in bf16, next to none of them in norms.
SHAPE = {
    "layers": 10, "hidden": 4096, "heads": 32, "kv_heads": 32, "head_dim": 128, "intermediate": 16384,
    "vocabulary": 100000, "tied_embeddings": True,
}  # fmt: skip
LINEAR = 10 * (4 * 4096 * 4096 + 3 * 4096 * 16384)
HEAD = 100000 * 4096
KV = 2 * 10 * 32 * 128 * 2  # bytes a position
WEIGHTS = 2 * (LINEAR + HEAD + 21 * 4096)
ROTARY = 2 * 64 * 4
GB = 10**9


def sample(index: int = 0, **changes: Any) -> Sample:
    """100 prompt tokens, the first token after 0.1 s, 10 more at 0.01 s each."""
    times = [0.1 + 0.01 * step for step in range(11)]
    values = {
        "id": f"{index}", "headline": "h", "token_ids": list(range(11)), "latency_s": 0.2, "ttft_s": 0.1,
        "token_times_s": times, "stop_reason": "end", "batch": index, "batch_requests": 1, "batch_time_s": 0.2,
        "prompt_tokens": 100,
    }  # fmt: skip
    return Sample(**(values | changes))


def device(rank: int = 0, **changes: Any) -> dict[str, Any]:
    """One GPU that held nothing before, then weights, a cache and 1 GB of activations; NVML shows no process.

    The allocator reserves what is allocated, and no graph has a pool.
    """
    values = {
        "device": f"cuda:{rank} NVIDIA H100 80GB HBM3", "rank": rank, "before_load_bytes": 0,
        "load_peak_bytes": WEIGHTS + ROTARY, "after_load_bytes": WEIGHTS + ROTARY,
        "peak_bytes": WEIGHTS + ROTARY + 110 * KV + GB, "weight_bytes": WEIGHTS + ROTARY,
        "kv_cache_bytes": 110 * KV, "kv_cache_positions": 110, "device_total_bytes": 80 * GB,
    }  # fmt: skip
    values |= changes
    reserved = values["before_load_bytes"] + values["peak_bytes"]
    return {
        "before_load_allocated_bytes": values["before_load_bytes"], "allocated_peak_bytes": reserved,
        "reserved_peak_bytes": reserved, "graph_pool_bytes": 0, "graph_pool_used_bytes": 0,
        "before_load_process_bytes": None, "process_peak_bytes": None,
    } | values  # fmt: skip


CALIBRATION = {
    "read_bytes_per_s": 3e12, "read_buffer_bytes": 64 << 20, "copy_bytes_per_s": 2.5e12, "matmul_flops_per_s": 8e14,
    "matmul_dtype": "bfloat16",
}  # fmt: skip


def make_run(
    samples: list[Sample] | None = None, devices: list[dict[str, Any]] | None = None, method: str = "cuda_allocator",
    settings: dict[str, Any] | None = None, **changes: Any,
) -> Run:  # fmt: skip
    """A run on as many GPUs as there are devices; ``changes`` replace keys of run.json."""
    devices = devices or [device()]
    info = {
        "status": "ok",
        "settings": {"kv_cache": "dynamic"} | (settings or {}),
        "models": {"target": {"dtype": "bfloat16", "architecture": SHAPE}},
        "processes": len(devices),
        "memory": {
            "method": method,
            "devices": devices,
            "peak_memory_bytes": sum(each["peak_bytes"] for each in devices),
            "load_peak_memory_bytes": sum(each["load_peak_bytes"] for each in devices),
            "weight_bytes": sum(each["weight_bytes"] for each in devices),
        },
        "calibration": {"before": CALIBRATION, "after": CALIBRATION},
        "time": {"host_bound_share": 0.25},
        "energy": {"method": "nvml", "reason": None, "domains": ["GPU 0"], "natural_j": 30.0, "fixed_j": None},
    } | changes
    return Run(Path("run-1"), info, samples or [sample(0), sample(1)])
