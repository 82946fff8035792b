"""Runs of a worker inside the tests' own process, without the parent and its subprocesses."""

import tempfile
from dataclasses import dataclass
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
    warmup: int = 1, device: str = "cpu", **generation: Any,
) -> dict[str, Any]:  # fmt: skip
    """What scripts.generate hands to its workers."""
    models = {"target": {"path": str(checkpoint), "dtype": files.read_json(checkpoint / "manifest.json")["dtype"]}}
    if draft is not None:
        models["draft"] = {"path": str(draft)}
    return {
        "technique": "tested", "settings": settings(**facets), "generation": GENERATION | generation,
        "models": models, "dataset": str(dataset), "shots": [], "warmup": warmup, "device": device,
        "processes": processes, "threads_per_process": 1,
    }  # fmt: skip


@dataclass
class Run:
    """What a worker reports, and its samples (none unless it is ok)."""

    outcome: dict[str, Any]
    samples: list[dict[str, Any]]

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
        lines = files.read_json_lines(Path(scratch) / "samples.jsonl") if outcome["status"] == "ok" else []
    return Run(outcome, lines)
