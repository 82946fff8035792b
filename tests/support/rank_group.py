"""Two ranks that run several requests one after another: libraries are imported once, not once a request."""

import os
from pathlib import Path
from typing import Any

from scripts.foundation import files
from tests.support import ranks
from tests.support.worker_runs import Run


def run_group(requests: dict[str, dict[str, Any]], scratch: Path) -> dict[str, list[Run]]:
    """Run each request on two CPU processes; return what the ranks report, by the request's name.

    A request's ``sabotage`` names what is broken in both of them.
    """
    ranks.run(run_requests, 2, requests, scratch)
    return {name: [_read(scratch / name / rank) for rank in "01"] for name in requests}


def _read(directory: Path) -> Run:
    samples = directory / "samples.jsonl"
    lines = files.read_json_lines(samples) if samples.exists() else []
    return Run(files.read_json(directory / "outcome.json"), lines)


def run_requests(rank: int, requests: dict[str, dict[str, Any]], scratch: Path) -> None:
    """Run every request as one rank."""
    import torch

    from scripts.inference import worker
    from tests.support import sabotage

    os.environ["KINETO_LOG_LEVEL"] = "5"
    for name, request in requests.items():
        folder = scratch / name / str(rank)
        folder.mkdir(parents=True)
        request |= {"rendezvous": str(scratch / f"{name}.rendezvous")}
        with sabotage.applied(request.pop("sabotage", [])):
            outcome = worker.run(request, rank, folder)
        files.write_json(folder / "outcome.json", outcome)
        torch.distributed.destroy_process_group()
