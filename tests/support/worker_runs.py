"""Runs of a worker inside the tests' own process, without the parent and its subprocesses."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.foundation import files
from scripts.study.techniques import resolve

GENERATION = {
    "prompt": "Write: {summary}", "shots": 0, "chat_template": False, "max_new_tokens": 12, "stop": "end_token",
}  # fmt: skip


def settings(**facets: Any) -> dict[str, Any]:
    """Facets as the workflow resolves them; a dynamic cache unless told otherwise."""
    entry = {"model": "small", "kv_cache": "dynamic"} | facets
    return resolve({"only": entry}, [], {"small", "draft"})[0].settings


def request(
    checkpoint: Path, dataset: Path, facets: dict[str, Any], *, draft: Path | None = None, processes: int = 1,
    warmup: int = 1, device: str = "cpu", fixed: dict[str, int] | None = None, thorough: bool = False,
    calibration: list[dict[str, str]] | None = None, **generation: Any,
) -> dict[str, Any]:  # fmt: skip
    """What scripts.generate hands to its workers."""
    models = {"target": {"path": str(checkpoint), "dtype": files.read_json(checkpoint / "manifest.json")["dtype"]}}
    if draft is not None:
        models["draft"] = {"path": str(draft)}
    return {
        "technique": "tested", "settings": settings(**facets), "generation": GENERATION | generation,
        "models": models, "dataset": str(dataset), "shots": [], "calibration": calibration or [], "warmup": warmup,
        "device": device, "processes": processes, "threads_per_process": 1, "leased": [], "thorough": thorough,
        "fixed": fixed or {"new_tokens": 0, "samples": 0},
    }  # fmt: skip


@dataclass
class Run:
    """What a worker reports, and its samples of both modes (none unless it is ok)."""

    outcome: dict[str, Any]
    samples: list[dict[str, Any]]
    fixed: list[dict[str, Any]] = field(default_factory=list)

    @property
    def tokens(self) -> list[list[int]]:
        """Token ids of each sample."""
        return [sample["token_ids"] for sample in self.samples]

    @property
    def evidence(self) -> dict[str, Any]:
        """Evidence by facet; fails where the run is not ok."""
        assert self.outcome["status"] == "ok", self.outcome["reason"]
        return self.outcome["evidence"]


def run_worker(*arguments: Any, **options: Any) -> Run:
    """Run a request, made of the same arguments as ``request``, as rank 0 of one process."""
    from scripts.inference import worker

    with tempfile.TemporaryDirectory() as scratch:
        outcome = worker.run(request(*arguments, **options), 0, Path(scratch))
        names = ("samples.jsonl", "fixed.jsonl") if outcome["status"] == "ok" else ()
        lines = [files.read_json_lines(Path(scratch) / name) for name in names]
    return Run(outcome, *(lines or [[]]))
