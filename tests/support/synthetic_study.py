"""A whole synthetic study on disk: dataset, runs, metrics and the study's JSON."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from scripts.comparison import document, loading
from scripts.metrics import runs as run_files
from scripts.metrics import texts
from scripts.metrics.dataset import read_dataset
from scripts.metrics.technique import technique_metrics
from tests.support import synthetic_runs as synthetic

GPU = {"name": "NVIDIA H100 80GB HBM3", "memory_bytes": 85_899_345_920, "driver": "570.86"}


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


def everything() -> list[Technique]:
    """Return sixteen techniques with about every outcome that a report must show."""
    large = {"target": synthetic.make_model("large", weight_mib=341)}
    both = large | {"draft": synthetic.make_model("small")}
    half = {"target": synthetic.make_model("small_bf16", weight_mib=53.4, dtype="bfloat16")}
    int8 = {"method": "int8", "threshold": 6.0}
    nf4 = {"method": "nf4", "double_quantization": False, "compute_dtype": "model"}
    few = "tensor parallelism over 4 GPUs needs 4 GPUs and this machine has 1"
    full = "CUDA out of memory while loading: 15.1 GB needed, 11.9 GB free"
    kv = "kv_cache"
    return [
        Technique("baseline", None, "Baseline", {"model": "small", "kv_cache": "none"}),
        Technique(kv, label="KV cache", difference={"kv_cache": "dynamic"}, lossless=True, speed=2.4, peak_mib=410),
        Technique("static_cache", kv, "Static cache", {"kv_cache": "static"}, True, 2.9, peak_mib=420),
        Technique("compiled", kv, "Compiled", {"engine": "compiled"}, True, 5.1, peak_mib=455),
        Technique("pruned", kv, "Pruned 30%", {"pruning": {"method": "magnitude", "amount": 0.3}}, False, 2.41, 0.42),
        Technique("pruned_50", kv, "Pruned 50%", {"pruning": {"amount": 0.5}}, False, 2.4, 0.72, 2,
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


def write_study(
    root: Path, techniques: list[Technique], count: int = 40, runs: int = 2, dataset: list[dict] | None = None
) -> dict[str, Any]:
    """Write dataset, runs and metrics below ``root``; return the study with the paths that a comparison takes."""
    dataset = dataset or synthetic.make_dataset(count)
    synthetic.write_lines(root / "dataset" / "eval.jsonl", dataset)
    ids = [row["id"] for row in dataset]
    manifest = {
        "source": "newswire",
        "seed": 0,
        "counts": {"read": 25_120, "rejected": 120, "train": 24_000, "pool": 1_000},
        "rejected": {"duplicate": 80, "summary too short": 40},
        "filters": {"summary_words": {"min": 5, "max": 100}, "headline_words": {"min": 2, "max": 30}},
        "digest": "sha256:0f3a" + "0" * 60,
    }
    (root / "dataset" / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    paths = []
    settings = _settings(techniques)
    for position, technique in enumerate(techniques):
        folders = []
        for run in range(1, runs + 1):
            # Interleaved: every technique's first run, then every technique's second one.
            when = _times(minute=(run - 1) * len(techniques) + position)
            folders.append(_write_run(root, technique, run, dataset, {"settings": settings[technique.name]} | when))
        read = [run_files.read_run(folder, technique.name, ids) for folder in folders]
        path = root / "metrics" / f"{technique.name}.json"
        text = synthetic.write_text(root / "metrics" / "text" / path.name, technique.name, dataset, folders[0])
        scores = texts.read_scores(str(text), read[0], texts.UNITS, "score_text")
        path.write_text(json.dumps(technique_metrics(technique.name, dataset, read, scores)), encoding="utf-8")
        paths.append(str(path))
    study = {
        "title": "Headlines: synthetic study",
        "baseline": "baseline",
        "prompt": "Generate a concise headline for the following news summary: {summary}",
        "examples": 4,
        "techniques": [
            {
                "name": technique.name,
                "label": technique.label or technique.name,
                "parent": technique.parent,
                "lossless": technique.lossless,
                "difference": technique.difference,
                "settings": settings[technique.name],
                "facets": sorted(settings[technique.name].keys() - {"model"}),
            }
            for technique in techniques
        ],
    }
    return {
        "study": study,
        "dataset": str(root / "dataset" / "eval.jsonl"),
        "manifest": str(root / "dataset" / "manifest.json"),
        "metrics": paths,
    }


def compare(written: dict[str, Any]) -> dict[str, Any]:
    """Return the comparison of a study that :func:`write_study` wrote."""
    rows = read_dataset(written["dataset"])
    metrics = loading.read_metrics(written["metrics"], written["study"], rows)
    manifest = json.loads(Path(written["manifest"]).read_text(encoding="utf-8"))
    return document.comparison(written["study"], rows, manifest, metrics)


def _settings(techniques: list[Technique]) -> dict[str, dict[str, Any]]:
    """Return every facet of each technique, those of its ancestors among them."""
    known = {technique.name: technique for technique in techniques}

    def of(technique: Technique) -> dict[str, Any]:
        parent = known.get(technique.parent or "")
        inherited = of(parent) if parent and parent is not technique else {"model": "small"}
        return inherited | technique.difference

    return {name: of(technique) for name, technique in known.items()}


def _times(minute: int) -> dict[str, str]:
    start = datetime(2025, 1, 2, 3, tzinfo=UTC) + timedelta(minutes=minute)
    end = start + timedelta(seconds=50)
    return {
        "started_at": start.isoformat(timespec="milliseconds"),
        "finished_at": end.isoformat(timespec="milliseconds"),
    }


def _write_run(
    root: Path, technique: Technique, run: int, dataset: list[dict[str, str]], changes: dict[str, Any]
) -> Path:
    folder = root / "generations" / technique.name / f"run-{run}"
    if technique.status != "ok":
        failed = synthetic.make_failed_run(technique.name, technique.status, technique.reason or "", run)
        return synthetic.write_run(folder, failed | changes | technique.changes, [])
    noise = sum(technique.name.encode()) * 10 + run
    samples = synthetic.make_samples(
        dataset, technique.speed, technique.damage, technique.seed, noise, technique.speculative
    )
    settings = changes["settings"]
    parallel = settings.get("parallel") or {}
    quantised = settings.get("quantization") is not None
    changes |= {
        "processes": parallel.get("tensor", 1) * parallel.get("pipeline", 1),
        "models": {"target": synthetic.make_model("small", weight_mib=107 if quantised else technique.weight_mib)},
    }
    info = synthetic.make_run(
        technique.name, run, technique.peak_mib, technique.weight_mib, **changes | technique.changes
    )
    return synthetic.write_run(folder, info, samples)
