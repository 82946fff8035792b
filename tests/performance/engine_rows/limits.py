"""What the engine is held against: each row of the table, in its order, with what it must reach."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limit:
    """One row.

    Attributes:
        key: its name in the JSON.
        part: which part measures it.
        what: for readers.
        unit: ``x`` (a ratio of times), ``share``, ``samples/s``, ``percent`` (above 100) or ``tokens`` (a share).
        least: what it must reach at the least; None where nothing is asked.
        aim: what it should reach.
        lower: whether less is better.
    """

    key: str
    part: str
    what: str
    unit: str
    least: float | None = None
    aim: float | None = None
    lower: bool = False


_SPECULATION = "speculation against its target, 8B and 1B, acceptance"
_EXACT = "float32 tokens equal: "

LIMITS = (
    Limit("share_1b", "one", "1B decode, share of the bandwidth limit", "share", 0.60, 0.76),
    Limit("against_stock", "one", "graph against kv_cache, 1B, whole sample", "x", 10, 16),
    Limit("against_static", "static", "graph against transformers_static, 1B, whole sample", "x", 2.5, 4),
    Limit("ttft_steps", "one", "TTFT of 100 tokens / decode step, 1B", "x", 1.8, 1.3, lower=True),
    Limit("batch", "batch", "samples/s at the best batch, 1B", "samples/s", 1700, 2400),
    Limit("int4_1b", "quantized", "int4 against bf16, 1B, whole sample", "x", 1.3, 1.8),
    Limit("int4_8b", "quantized", "int4 against bf16, 8B, whole sample", "x", 1.9, 2.5),
    Limit("int8_1b", "quantized", "int8 against bf16, 1B, whole sample", "x", 1.3, 1.5),
    Limit("fp8_1b", "quantized", "fp8 against bf16, 1B, whole sample", "x"),
    Limit("share_8b", "eight", "8B decode, share of the bandwidth limit", "share", 0.70, 0.82),
    Limit("speculation_0.7", "speculation", f"{_SPECULATION} 0.7", "x", 1.5, 2.2),
    Limit("speculation_0.8", "speculation", f"{_SPECULATION} 0.8", "x", 1.5, 2.2),
    Limit("speculation_0.9", "speculation", f"{_SPECULATION} 0.9", "x", 1.5, 2.2),
    Limit("tensor", "parallel", "two GPUs, tensor, against one: 8B latency", "x", 1.5, 1.8),
    Limit("pipeline", "parallel", "two GPUs, pipeline, against one: 8B throughput", "x", 1.7, 1.9),
    Limit("pruning", "pruning", "structured pruning 50%, 1B: speed-up / byte ratio", "share", 0.85, 0.97),
    Limit("loop", "one", "timed loop over bare graph replay, 128 tokens", "percent", 1.0, 0.3, lower=True),
    Limit("cpu", "cpu", "CPU, `small` shape: graph against kv_cache, whole sample", "x", 1.5, 3),
    Limit("exact_graph", "exact", f"{_EXACT}graph", "tokens", 1, 1),
    Limit("exact_prefix", "exact", f"{_EXACT}shared prefix", "tokens", 1, 1),
    Limit("exact_batch", "exact", f"{_EXACT}batch", "tokens", 1, 1),
    Limit("exact_speculation", "exact", f"{_EXACT}speculation", "tokens", 1, 1),
    Limit("exact_int8", "exact", f"{_EXACT}int8, against its weights written out", "tokens", 1, 1),
    Limit("exact_int4", "exact", f"{_EXACT}int4, against its weights written out", "tokens", 1, 1),
    Limit("exact_fp8", "exact", f"{_EXACT}fp8, against its weights written out", "tokens", 1, 1),
    Limit("bf16_stock", "exact", "bf16 tokens as in float32: stock generate", "tokens"),
    Limit("bf16_graph", "exact", "bf16 tokens as in float32: graph", "tokens"),
    Limit("bf16_prefix", "exact", "bf16 tokens as in float32: shared prefix", "tokens"),
    Limit("bf16_batch", "exact", "bf16 tokens as in float32: batch", "tokens"),
    Limit("bf16_speculation", "exact", "bf16 tokens as in float32: speculation", "tokens"),
    Limit("bf16_int8", "exact", "bf16 tokens as in float32: int8", "tokens"),
    Limit("bf16_int4", "exact", "bf16 tokens as in float32: int4", "tokens"),
    Limit("bf16_fp8", "exact", "bf16 tokens as in float32: fp8", "tokens"),
)  # fmt: skip

PARTS = tuple(dict.fromkeys(limit.part for limit in LIMITS))
