"""One of two processes that measure a model spread over them against the same model in the first alone.

    python -m tests.performance.engine_rows.rank tensor whole 20 <rank> <scratch directory>

``small`` in the place of ``whole`` is a tiny model on processors, which shows that this runs, and no speed.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn

from scripts.foundation import files
from scripts.runtime.models import Process
from scripts.runtime.stages import head_in_layers, split
from scripts.runtime.timing import synchronise
from tests.performance.engine_rows import models
from tests.performance.engine_rows.paired import Side, interleaved

SIZE = 2
# Requests of the pipeline's work, and the batches in which they are tried.
WORK = {"whole": (256, (64, 128, 256)), "quick": (256, (128, 256)), "small": (8, (4, 8))}
TRIALS = 2


def main() -> None:
    """Measure; rank 0 writes figures.json."""
    kind, size, rounds, rank, scratch = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5])
    try:
        process = _start(rank, scratch, size)
        found = {"tensor": _latency, "pipeline": _throughput}[kind](process, size, rounds)
        if rank == 0:
            files.write_json(scratch / "figures.json", found)
        distributed.barrier()
        synchronise(process.device)
    except Exception:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    sys.stderr.flush()
    # A group whose collectives were recorded can hang in its destructor.
    os._exit(0)


def _start(rank: int, scratch: Path, size: str) -> Process:
    small = size == "small"
    device = torch.device("cpu") if small else torch.device("cuda", rank)
    if small:
        torch.set_num_threads(1)
    else:
        torch.cuda.set_device(device)
    distributed.init_process_group(
        "gloo" if small else "nccl", init_method=f"file://{scratch / 'rendezvous'}", rank=rank, world_size=SIZE,
        device_id=None if small else device,
    )  # fmt: skip
    return Process(device, torch.float32 if small else torch.bfloat16, rank, SIZE)


def _config(size: str, **changes: Any) -> Any:
    if size == "small":
        return models.small_config(num_hidden_layers=4, tie_word_embeddings=False, **changes)
    return models.config_of(models.EIGHT, **changes)


def _latency(process: Process, size: str, rounds: int) -> dict[str, Any]:
    ids = models.prompt(vocabulary=_config(size).vocab_size)
    alone = _alone(process, size, [[ids]])
    both = models.engine(
        _shard(process, size), [[ids]], facets={"parallel": {"tensor": SIZE, "pipeline": 1}}, process=process
    )
    sides: dict[str, Side] = {
        "alone": models.sample(alone, [ids]) if alone else dict,
        "both": _together(models.sample(both, [ids]), process),
    }
    figures = interleaved(sides, rounds)
    both.observe([ids])
    return {"figures": figures, "facts": both.parallel_facts()}


def _throughput(process: Process, size: str, rounds: int) -> dict[str, Any]:
    requests, sizes = WORK[size]
    config = _config(size)
    prompts = [models.prompt(vocabulary=config.vocab_size, seed=seed) for seed in range(requests)]
    alone = _alone(process, size, [prompts[:each] for each in sizes])
    both = models.engine(
        _stage(process, size), [prompts[:each] for each in sizes],
        facets={"parallel": {"tensor": 1, "pipeline": SIZE}}, process=process,
    )  # fmt: skip
    sides: dict[str, Side] = {}
    for each in sizes:
        batches = [prompts[first : first + each] for first in range(0, requests, each)]
        sides[f"alone {each}"] = _all(alone, batches) if alone else dict
        sides[f"both {each}"] = _together(_all(both, batches), process)
    trials = interleaved(sides, TRIALS, rehearsals=1)
    choice = [None]
    if process.rank == 0:
        choice = [
            {way: min(sizes, key=lambda each, way=way: sum(trials[f"{way} {each}"])) for way in ("alone", "both")}
        ]
    distributed.broadcast_object_list(choice, src=0, device=process.device)
    (best,) = choice
    figures = interleaved({way: sides[f"{way} {best[way]}"] for way in ("alone", "both")}, rounds, rehearsals=0)
    both.observe(prompts[: best["both"]])
    return {
        "figures": figures, "trials": trials, "best": best, "requests": requests, "facts": both.parallel_facts(),
    }  # fmt: skip


def _alone(process: Process, size: str, batches: list[list[list[int]]]) -> Any:
    """The engine over the whole model, on the first rank only."""
    if process.rank:
        return None
    return models.engine(models.random_model(_config(size), process.device, process.dtype), batches)


def _shard(process: Process, size: str) -> Any:
    """A model whose layers are a rank's shards of the whole one's: fewer heads and a narrower feed-forward."""
    whole = _config(size)
    narrow = _config(
        size, num_attention_heads=whole.num_attention_heads // SIZE, head_dim=models.head_width(whole),
        num_key_value_heads=whole.num_key_value_heads // SIZE, intermediate_size=whole.intermediate_size // SIZE,
    )  # fmt: skip
    model = models.random_model(narrow, process.device, process.dtype)
    # What reads the configuration is to see the whole model.
    for name in ("num_attention_heads", "num_key_value_heads", "intermediate_size"):
        setattr(model.config, name, getattr(whole, name))
    return model


def _stage(process: Process, size: str) -> Any:
    """The whole model without the layers of other stages, which keep their places."""
    model = models.random_model(_config(size), process.device, process.dtype)
    held = split(model.config.num_hidden_layers, SIZE, head_in_layers(model.config))[process.rank]
    for index in range(model.config.num_hidden_layers):
        if index not in held:
            model.model.layers[index] = nn.Identity()
    models.free()
    return model


def _together(side: Side, process: Process) -> Side:
    """Begin when all ranks are there and the device is idle."""

    def begun() -> Any:
        distributed.barrier()
        synchronise(process.device)
        return side()

    return begun


def _all(generator: Any, batches: list[list[list[int]]]) -> Callable[[], float]:
    """Seconds of all batches, one after another."""

    def side() -> float:
        synchronise(generator.device)
        began = time.perf_counter()
        for batch in batches:
            generator.generate(batch)
        synchronise(generator.device)
        return time.perf_counter() - began

    return side


if __name__ == "__main__":
    main()
