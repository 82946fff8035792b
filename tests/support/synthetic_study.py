"""A whole synthetic study on disk: dataset, runs, metrics and the study's JSON."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from scripts.comparison import document, loading
from scripts.metrics import runs as run_files
from scripts.metrics import texts
from scripts.metrics.dataset import read_dataset
from scripts.metrics.families import text as text_family
from scripts.metrics.technique import technique_metrics
from scripts.study import references
from scripts.techniques.registry import load_facet
from tests.support import synthetic_load
from tests.support import synthetic_runs as synthetic
from tests.support.synthetic_techniques import Technique, everything, with_sweeps

__all__ = [
    "GPU", "Technique", "built_in_choices", "compare", "everything", "with_sweeps", "write_everything", "write_study",
]  # fmt: skip

ROOT = Path(__file__).parents[2]
GPU = {"name": "NVIDIA H100 80GB HBM3", "memory_bytes": 85_899_345_920, "driver": "570.86"}


def built_in_choices() -> dict[str, Any]:
    """Return the built-in study's ranking, scenarios and references, in the form that a study has them."""
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))
    return {
        "ranking": config["ranking"],
        "scenarios": config["scenarios"],
        "references": references.read(config["references"]),
    }


def write_study(
    root: Path,
    techniques: list[Technique],
    count: int = 40,
    runs: int = 2,
    dataset: list[dict] | None = None,
    **study_changes: Any,
) -> dict[str, Any]:
    """Write dataset, runs and metrics below ``root``; return the study with the paths that a comparison takes.

    ``study_changes`` replace keys of the study: ``ranking``, ``scenarios``, ``references``, ``sweeps``, ``comparison``.
    """
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
        scores = texts.read_scores(str(text), read[0], text_family.FIGURES, "score_text")
        loads = [] if technique.serves is None else [
            synthetic_load.make_load(technique.name, run, technique.serves) for run in range(1, runs + 1)
        ]  # fmt: skip
        scored = technique_metrics(technique.name, dataset, read, scores, load_runs=loads)
        path.write_text(json.dumps(scored), encoding="utf-8")
        paths.append(str(path))
    study = {
        "title": "Headlines: synthetic study",
        "baseline": "baseline",
        "configuration": {"title": "Headlines: synthetic study", "scenarios": {"b": None, "a": None}},
        "prompt": "Generate a concise headline for the following news summary: {summary}",
        "examples": 500,
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
        "study": study | study_changes,
        "dataset": str(root / "dataset" / "eval.jsonl"),
        "manifest": str(root / "dataset" / "manifest.json"),
        "metrics": paths,
    }


def write_everything(root: Path, count: int = 30, runs: int = 2, **changes: Any) -> dict[str, Any]:
    """Write the study of nearly every outcome, with a sweep, a price, and the built-in study's choices."""
    points = [("kv_cache", 0), ("pruned", 0.3), ("pruned_50", 0.5), ("huge", 0.9)]
    sweep = {
        "name": "how much is pruned",
        "technique": "kv_cache",
        "facet": "pruning.amount",
        "points": [{"value": value, "technique": name} for name, value in points],
    }
    price = {"price_per_device_hour": 3.6, "currency": "EUR"}
    choices = built_in_choices() | {"sweeps": [sweep], "comparison": price}
    return write_study(root, everything(), count, runs, **choices | changes)


def compare(written: dict[str, Any]) -> dict[str, Any]:
    """Return the comparison of a study that :func:`write_study` wrote."""
    rows = read_dataset(written["dataset"])
    metrics = loading.read_metrics(written["metrics"], written["study"], rows)
    manifest = json.loads(Path(written["manifest"]).read_text(encoding="utf-8"))
    return document.comparison(written["study"], rows, manifest, metrics)


def _settings(techniques: list[Technique]) -> dict[str, dict[str, Any]]:
    """Return every facet of each technique as a run has it, those of its ancestors among them."""
    known = {technique.name: technique for technique in techniques}

    def of(technique: Technique) -> dict[str, Any]:
        parent = known.get(technique.parent or "")
        inherited = of(parent) if parent and parent is not technique else {"model": "small"}
        own = technique.difference.items()
        settings = inherited | {key: value if key == "model" else load_facet(key).resolve(value) for key, value in own}
        return {key: value for key, value in settings.items() if value is not None}

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
    settings = changes["settings"]
    drafted = (settings.get("speculation") or {}).get("tokens", 4) if technique.speculative else 0
    samples = synthetic.make_samples(dataset, technique.speed, technique.damage, technique.seed, noise, drafted)
    parallel = settings.get("parallel") or {}
    quantised = settings.get("quantization") is not None
    changes |= {
        "processes": parallel.get("tensor", 1) * parallel.get("pipeline", 1),
        "models": {"target": synthetic.make_model("small", weight_mib=107 if quantised else technique.weight_mib)},
    }
    info = synthetic.make_run(
        technique.name, run, technique.peak_mib, technique.weight_mib, **changes | technique.changes
    )
    if drafted and info["time"]:
        info["time"] = info["time"] | {"draft_forward_s": synthetic.DRAFT_COST * info["time"]["target_forward_s"]}
    return synthetic.write_run(folder, info, samples)
