"""Products that send their parts to all ranks themselves: processes map each other's memory, as ranks on GPUs do."""

import json
import multiprocessing

import pytest
import torch

from scripts.kernels import reference, triton_products, triton_pushed
from scripts.kernels.matrix import Matrix, quantize

RANKS, TIMES = 3, 2
SHAPES = [(6, 64), (300, 64), (129, 128)]  # one chunk, several, and a last one of a single word


def products():
    """Each product of every rank: the row, the matrix, the residual."""
    drawn = torch.Generator().manual_seed(0)
    for _ in range(TIMES):
        for outputs, width in SHAPES:
            for kind in ("dense", "int8", "bias"):
                residual = torch.randn(1, outputs, generator=drawn) if kind != "int8" else None
                ranks = []
                for rank in range(RANKS):
                    weight = torch.randn(outputs, width, generator=drawn)
                    bias = torch.randn(outputs, generator=drawn) if kind == "bias" and rank == 0 else None
                    matrix = quantize(weight, "int8") if kind == "int8" else Matrix("dense", weight, bias=bias)
                    ranks.append((torch.randn(1, width, generator=drawn), matrix))
                yield ranks, residual


def sums(rank, rooms, answer):
    torch.set_num_threads(1)
    addresses = torch.tensor([room.data_ptr() for room in rooms])
    pushed = triton_pushed.Pushed(triton_pushed.counted(torch.device("cpu")), addresses, rank, RANKS)
    found = []
    for ranks, residual in products():
        x, matrix = ranks[rank]
        assert triton_products.pushes(x, matrix)
        found.append(triton_products.summed_linear(x, matrix, pushed, residual).tolist())
    answer.send(json.dumps([found, pushed.counts.tolist()]))


@pytest.mark.skipif(torch.cuda.is_available(), reason="the kernels are interpreted where there is no GPU")
def test_all_ranks_get_the_same_sums_of_products_many_times_over():
    context = multiprocessing.get_context("spawn")
    rooms = [torch.zeros(triton_pushed.room_bytes(RANKS) // 8, dtype=torch.int64).share_memory_() for _ in range(RANKS)]
    ends = [context.Pipe(duplex=False) for _ in range(RANKS)]
    processes = [context.Process(target=sums, args=(rank, rooms, ends[rank][1]), daemon=True) for rank in range(RANKS)]
    for process in processes:
        process.start()
    for receives, _ in ends:
        assert receives.poll(120), "a rank waits for ever"
    answers = [json.loads(receives.recv()) for receives, _ in ends]
    for process in processes:
        process.join(10)
    (first, counts), *others = answers
    assert [other[0] for other in others] == [first] * (RANKS - 1)
    for found, (ranks, residual) in zip(first, products(), strict=True):
        total = sum(reference.linear(x, matrix) for x, matrix in ranks)
        torch.testing.assert_close(torch.tensor(found), total if residual is None else total + residual)
    each = TIMES * 3
    assert counts[:4] == [3 * each, 2 * each, each, 0]


def test_products_of_several_rows_and_too_wide_ones_are_left_to_others():
    matrix = Matrix("dense", torch.zeros(6, 64))
    assert triton_products.pushes(torch.zeros(1, 64), matrix)
    assert not triton_products.pushes(torch.zeros(2, 64), matrix)
    assert not triton_products.pushes(torch.zeros(1, 1), Matrix("dense", torch.zeros(16385, 1)))
