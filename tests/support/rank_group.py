"""Two ranks that run several requests one after another: libraries are imported once, not once a request.

python -m tests.support.rank_group requests.json <rank>     what each of the two processes runs
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from scripts.foundation import files
from tests.support.worker_runs import Run

ROOT = Path(__file__).resolve().parents[2]


def run_group(requests: dict[str, dict[str, Any]], scratch: Path) -> dict[str, list[Run]]:
    """Run each request on two CPU processes; return what the ranks report, by the request's name.

    A request's ``sabotage`` names what is broken in both of them.
    """
    files.write_json(scratch / "requests.json", requests)
    place = {"WORLD_SIZE": "2", "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1", "KINETO_LOG_LEVEL": "5"}
    workers = []
    for rank in ("0", "1"):
        command = [sys.executable, "-m", "tests.support.rank_group", str(scratch / "requests.json"), rank]
        environment = os.environ | place | {"RANK": rank, "LOCAL_RANK": rank, "PYTHONPATH": str(ROOT)}
        workers.append(subprocess.Popen(command, env=environment, cwd=ROOT))
    try:
        statuses = [worker.wait(timeout=240) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    assert statuses == [0, 0]
    return {name: [_read(scratch / name / rank) for rank in "01"] for name in requests}


def _read(directory: Path) -> Run:
    samples = directory / "samples.jsonl"
    lines = files.read_json_lines(samples) if samples.exists() else []
    return Run(files.read_json(directory / "outcome.json"), lines)


def main() -> None:
    """Run every request as one rank."""
    import torch

    from scripts.inference import worker
    from tests.support import sabotage

    path, rank = Path(sys.argv[1]), int(sys.argv[2])
    for name, request in files.read_json(path).items():
        scratch = path.parent / name / str(rank)
        scratch.mkdir(parents=True)
        request |= {"rendezvous": str(path.parent / f"{name}.rendezvous")}
        with sabotage.applied(request.pop("sabotage", [])):
            outcome = worker.run(request, rank, scratch)
        files.write_json(scratch / "outcome.json", outcome)
        torch.distributed.destroy_process_group()
    os._exit(0)


if __name__ == "__main__":
    main()
