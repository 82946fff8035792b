"""The project's decode loop on several CPU processes, one a rank, several cases one after another."""

from pathlib import Path
from typing import Any

from scripts.foundation import files
from scripts.runtime.stop_texts import StopTexts
from tests.support import ranks as processes
from tests.support.worker_runs import settings


def run_engines(cases: dict[str, dict[str, Any]], ranks: int, scratch: Path) -> dict[str, list[dict[str, Any]]]:
    """Run each case on so many processes; return by name what each rank reports.

    A case has ``checkpoint``, ``facets``, ``batches`` (token ids), ``new_tokens``, ``stops`` and perhaps ``sampling``,
    how tokens are drawn, ``ahead``,
    steps that are started before the tokens of the one before are seen, and ``texts`` that end, a token being ``<id>``.
    """
    processes.run(run_cases, ranks, ranks, cases, scratch)
    return {name: [files.read_json(scratch / f"{name}-{rank}.json") for rank in range(ranks)] for name in cases}


def written_out(tokens: list[int]) -> str:
    """A text of tokens."""
    return "".join(f"<{token}>" for token in tokens)


def run_engine(case: dict[str, Any], rank: int = 0, ranks: int = 1) -> dict[str, Any]:
    """One case on this rank: tokens of each batch, each facet's evidence, and what a watched batch showed."""
    import torch

    from scripts.inference.loading import load
    from scripts.runtime.drawing import Sampler
    from scripts.runtime.models import Process
    from scripts.runtime.tensors import module_bytes
    from scripts.techniques.registry import load_facet, used_facets

    facets = settings(**{"engine": "graph"} | case["facets"])
    process = Process(torch.device("cpu"), torch.float32, rank, ranks)
    loaded = load(case["checkpoint"], facets, process, None)
    loaded.sampler = Sampler(**case["sampling"]) if "sampling" in case else None
    engine = load_facet("engine").generator(facets["engine"], loaded, 2)
    loaded.generator = engine
    engine.ahead = case.get("ahead", engine.ahead)
    engine.reserve(case["batches"], case["new_tokens"])
    texts = StopTexts(tuple(case["texts"]), written_out) if "texts" in case else None
    engine.limit(case["new_tokens"], case["stops"], texts=texts)
    outputs = [engine.generate(batch) for batch in case["batches"]]
    seen = engine.observe(case["batches"][-1])
    return {
        "tokens": [out.tokens for out in outputs],
        "moments": [out.moments for out in outputs],
        "collectives": seen.collectives,
        "share": seen.communication_share,
        "step_s": engine.forward_times()["target_forward_s"],
        "evidence": {facet.name: facet.evidence(value, loaded, seen) for facet, value in used_facets(facets)},
        "weight_bytes": module_bytes(loaded.model),
    }


def run_cases(rank: int, ranks: int, cases: dict[str, dict[str, Any]], scratch: Path) -> None:
    """Run every case as one rank."""
    import torch
    import transformers

    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    for name, case in cases.items():
        store = scratch / f"{name}.rendezvous"
        torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=ranks)
        files.write_json(scratch / f"{name}-{rank}.json", run_engine(case, rank, ranks))
        torch.distributed.destroy_process_group()
