"""Techniques of synthetic studies: about every outcome that a report must show, and points of sweeps."""

from dataclasses import dataclass, field, replace
from typing import Any

from scripts.study import sweeps
from tests.support import synthetic_runs as synthetic


@dataclass
class Technique:
    """One technique of a synthetic study; ``damage`` is the share of wrong words, ``seed`` decides which."""

    name: str
    parent: str | None = "baseline"
    label: str | None = None
    difference: dict[str, Any] = field(default_factory=dict)
    lossless: bool = False
    speed: float = 1.0
    damage: float = 0.25
    seed: int = 0
    peak_mib: float = 400
    weight_mib: float = 107
    speculative: bool = False
    status: str = "ok"
    reason: str | None = None
    changes: dict[str, Any] = field(default_factory=dict)
    serves: float | None = None
    """Requests a second at which its queue grows without bound; None where it is not tested under load."""


def everything() -> list[Technique]:
    """Return sixteen techniques with about every outcome that a report must show."""
    large = {"target": synthetic.make_model("large", weight_mib=341)}
    both = large | {"draft": synthetic.make_model("small")}
    half = {"target": synthetic.make_model("small_bf16", weight_mib=53.4, dtype="bfloat16")}
    int8 = {"method": "int8", "threshold": 6.0}
    half_zero = {"method": "magnitude", "amount": 0.5}
    nf4 = {"method": "nf4", "double_quantization": False, "compute_dtype": "model"}
    few = "tensor parallelism over 4 GPUs needs 4 GPUs and this machine has 1"
    full = "CUDA out of memory while loading: 15.1 GB needed, 11.9 GB free"
    kv = "kv_cache"
    return [
        Technique("baseline", None, "Baseline", {"model": "small", "kv_cache": "none"}),
        Technique(kv, label="KV cache", difference={"kv_cache": "dynamic"}, lossless=True, speed=2.4, peak_mib=410,
                  serves=31.0),
        Technique("static_cache", kv, "Static cache", {"engine": "transformers_static"}, True, 2.9, peak_mib=420),
        Technique("compiled", kv, "Compiled", {"engine": "graph"}, True, 5.1, peak_mib=455, serves=60.0),
        Technique("pruned", kv, "Pruned 30%", {"pruning": {"method": "magnitude", "amount": 0.3}}, False, 2.41, 0.42),
        Technique("pruned_50", kv, "Pruned 50%", {"pruning": half_zero}, False, 2.4, 0.72, 2,
                  changes={"conditions": synthetic.make_conditions(foreign_cpu_share=0.23)}),
        Technique("int8", kv, "8-bit (LLM.int8)", {"quantization": int8}, False, 1.1, 0.256, 0, 290, 33),
        Technique("nf4", kv, "4-bit NF4", {"quantization": nf4}, False, 1.7, 0.31, peak_mib=240, weight_mib=22),
        Technique("bf16", kv, "bfloat16", {"model": "small_bf16"}, False, 2.6, 0.252, peak_mib=300, weight_mib=53.4,
                  changes={"models": half}),
        Technique("tensor_parallel", kv, "Tensor parallel 2", {"parallel": {"tensor": 2}}, True, 2.1, peak_mib=520),
        Technique("pipeline_parallel", kv, "Pipeline parallel 2", {"parallel": {"pipeline": 2}}, True, 2.38,
                  weight_mib=115, changes={"models": {"target": synthetic.make_model("small")}}),
        Technique("tensor_parallel_4", kv, "Tensor parallel 4", {"parallel": {"tensor": 4}}, True,
                  status="unsupported", reason=few),
        Technique("target_only", kv, "Large model alone", {"model": "large"}, False, 0.9, 0.1, 1, 900, 341,
                  changes={"models": large}),
        Technique("speculative", "target_only", "Speculative (small drafts 4)",
                  {"speculation": {"draft": "small", "tokens": 4}}, True, 1.6, 0.1, 1, 1110, 448, True,
                  changes={"models": both}),
        Technique("huge", kv, "Very large model", {"model": "huge"}, status="out_of_memory", reason=full),
        Technique("nf4_batch", "nf4", "4-bit NF4, batch 8", {"batch_size": 8}, False, 1.2, 0.31, peak_mib=330,
                  weight_mib=22),
    ]  # fmt: skip


SWEEPS = {
    "batches": {"technique": "kv_cache", "facet": "batch_size", "values": [1, 2, 4, 8, 16, 32]},
    "drafted": {"technique": "speculative", "facet": "speculation.tokens", "values": [1, 2, 3, 4, 6, 8]},
    "pruning": {"technique": "pruned", "facet": "pruning.amount", "values": [0.1, 0.3, 0.5, 0.7, 0.9]},
}


def with_sweeps(
    techniques: list[Technique] | None = None, wanted_sweeps: dict[str, dict[str, Any]] = SWEEPS
) -> tuple[list[Technique], list[dict[str, Any]]]:
    """Return techniques with the points of the sweeps after them, and the study's ``sweeps``.

    Args:
        techniques: what the sweeps are added to; the few that they vary, where none are given. Of a technique that is
            not among them nothing is swept.
        wanted_sweeps: name -> technique, facet and values.
    """
    wanted = ("baseline", "kv_cache", "pruned", "target_only", "speculative")
    techniques = techniques or [technique for technique in everything() if technique.name in wanted]
    known = {technique.name: technique for technique in techniques}
    entries = {t.name: {"label": t.label or t.name, "extends": t.parent} | t.difference for t in techniques}
    swept = {name: sweep for name, sweep in wanted_sweeps.items() if sweep["technique"] in known}
    unfolded, described = sweeps.unfold(entries, swept)
    points = [
        _point(sweep, point, unfolded[point["technique"]], known) for sweep in described for point in sweep["points"]
    ]
    return techniques + points, described


def _point(
    sweep: dict[str, Any], point: dict[str, Any], entry: dict[str, Any], known: dict[str, Technique]
) -> Technique:
    """Return a point of a sweep, with the speed, memory and damage that its value brings."""
    value, base = point["value"], known[sweep["technique"]]
    difference = {key: entry[key] for key in entry if key not in ("label", "extends")}
    named = {"name": point["technique"], "label": entry["label"], "parent": entry["extends"], "difference": difference}
    return replace(base, **named | _shaped(base, sweep["facet"], value))


def _shaped(base: Technique, facet: str, value: Any) -> dict[str, Any]:
    if facet == "batch_size":
        return {"speed": base.speed / value**0.4, "peak_mib": base.peak_mib + 6 * value, "lossless": False}
    if facet == "pruning.amount":
        return {"damage": 0.25 + 0.7 * value**2, "seed": 3}
    # Leviathan et al., 2023: tokens a round over its cost, from the speed of the target alone.
    tokens = sum(synthetic.ACCEPTANCE**position for position in range(value + 1))
    return {"speed": 0.9 * tokens / (1 + synthetic.DRAFT_COST * value)}
