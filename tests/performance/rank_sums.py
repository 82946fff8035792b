"""What one sum over the ranks costs inside a captured step, by this project's kernels, by torch's and by NCCL.

    python -m tests.performance.rank_sums --ranks 2

A chain of sums as a decode step of the 8B shape has it ([rows, 4096] in bfloat16, each of the last one's result), with
a product of [4096, 4096] before each in a second chain, which of one row can send its parts itself, is recorded as a
CUDA graph and replayed; ways take turns. Prints microseconds of a sum (median of rounds, with the smallest and
largest), each over the chain without sums, and whether all ranks had the same bits. Needs as many GPUs as ranks; the
exit status is 1 where a sum is wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import distributed, multiprocessing

from scripts.engine.collectives import ONE_SHOT, PUSHED, PUSHED_PRODUCT, Collectives
from scripts.kernels import operations
from scripts.kernels.matrix import Matrix

WIDTH, CHAIN, ROUNDS, REPLAYS = 4096, 64, 9, 20
WAYS = {
    "none": None, "by the product": {"sums": PUSHED_PRODUCT}, "pushed": {"sums": PUSHED}, "torch": {"sums": ONE_SHOT},
    "nccl": {"symmetric": False},
}  # fmt: skip


def main() -> int:
    """Start the ranks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 2, 16, 32, 64])
    given = parser.parse_args()
    if torch.cuda.device_count() < given.ranks:
        print(f"Needs {given.ranks} GPUs; this machine shows {torch.cuda.device_count()}.")
        return 2
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29517"}
    multiprocessing.spawn(_rank, (given.ranks, given.rows), nprocs=given.ranks)
    return 0


def _rank(rank: int, size: int, asked: list[int]) -> None:
    device = torch.device("cuda", rank)
    torch.cuda.set_device(device)
    distributed.init_process_group("nccl", rank=rank, world_size=size, device_id=device)
    ways = {name: None if how is None else Collectives(device, **how) for name, how in WAYS.items()}
    found = [_measured(rows, products, ways, rank, size, device) for products in (False, True) for rows in asked]
    if rank == 0:
        for each in found:
            print(json.dumps(each), flush=True)
        if os.environ.get("OUT"):
            Path(os.environ["OUT"], "rank_sums.json").write_text(json.dumps(found), encoding="utf-8")
    distributed.barrier()
    distributed.destroy_process_group()
    if not all(each["right"] for each in found):
        sys.exit(1)


def _measured(
    rows: int, products: bool, ways: dict[str, Any], rank: int, size: int, device: torch.device
) -> dict[str, Any]:
    """Microseconds of a link of the chain by way, those of a sum, and whether the sums are right."""
    drawn = torch.Generator(device=device).manual_seed(rank)
    x = torch.randn(rows, WIDTH, generator=drawn, device=device, dtype=torch.bfloat16)
    weight = torch.randn(WIDTH, WIDTH, generator=drawn, device=device, dtype=torch.bfloat16) / WIDTH**0.5 / size
    ops, matrix = operations(device), Matrix("dense", weight)
    graphs, right = {}, True
    parts = [torch.empty_like(x) for _ in range(size)]
    distributed.all_gather(parts, x)
    expected = torch.stack([part.float() for part in parts]).sum(0)
    for name, collectives in ways.items():
        if collectives is not None:
            once = collectives.all_reduce(x.clone())
            right &= bool(torch.allclose(once.float(), expected, rtol=2e-2, atol=2e-2))
            first = once.clone()
            distributed.broadcast(first, 0)
            right &= name == "nccl" or torch.equal(first, once)
            if products and collectives.sums_product(ops, x, matrix):
                whole = collectives.product(ops, x, matrix, None)
                distributed.all_gather(parts, ops.linear(x, matrix))
                total = torch.stack([part.float() for part in parts]).sum(0)
                right &= bool(torch.allclose(whole.float(), total, rtol=2e-2, atol=2e-2))
                first = whole.clone()
                distributed.broadcast(first, 0)
                right &= torch.equal(first, whole)
        graphs[name] = _captured(x, collectives, ops, matrix if products else None, size)
    times: dict[str, list[float]] = {name: [] for name in graphs}
    for _ in range(ROUNDS):
        for name, graph in graphs.items():
            distributed.barrier()
            torch.cuda.synchronize()
            began = time.perf_counter()
            for _ in range(REPLAYS):
                graph.replay()
            torch.cuda.synchronize()
            times[name].append(1e6 * (time.perf_counter() - began) / REPLAYS / CHAIN)
    base = statistics.median(times["none"])
    return {
        "rows": rows, "after_products": products, "right": right, "us_without": base,
        "us_of_a_sum": {
            name: [round(value - base, 2) for value in (statistics.median(taken), min(taken), max(taken))]
            for name, taken in times.items() if name != "none"
        },
    }  # fmt: skip


def _captured(x: torch.Tensor, collectives: Any, ops: Any, matrix: Matrix | None, size: int) -> torch.cuda.CUDAGraph:
    """The chain as a graph; without sums a scaling keeps the kernels dependent on each other."""

    def link(y: torch.Tensor) -> torch.Tensor:
        if matrix is not None and collectives is not None and collectives.sums_product(ops, y, matrix):
            return collectives.product(ops, y, matrix, None)
        y = ops.linear(y, matrix) if matrix is not None else y * (1 / size)
        return y if collectives is None else collectives.all_reduce(y)

    def chain() -> None:
        y = x
        for _ in range(CHAIN):
            y = link(y)

    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        chain()
    torch.cuda.synchronize()
    distributed.barrier()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        chain()
    return graph


if __name__ == "__main__":
    sys.exit(main())
