"""The kernel that sums over ranks: two processes that map each other's memory, as ranks on two GPUs do."""

import json

import pytest
import torch

from scripts.kernels import triton_sums
from tests.support import interpreter, ranks

SIZES = [(1, 6), (3, 200), (1, 2), (2, 700)]  # one chunk, several, and fewer than before


RANKS, TIMES = 3, 3
TYPES = ("float32", "bfloat16", "float16")


def sequence():
    """The parts of all ranks, of several sums one after another."""
    drawn = torch.Generator().manual_seed(0)
    for name in TYPES * TIMES:
        for shape in SIZES:
            yield [torch.randn(shape, generator=drawn).to(getattr(torch, name)) for _ in range(RANKS)]


def sums(rank, rooms, answer):
    torch.set_num_threads(1)
    interpreter.quicken()
    addresses = torch.tensor([room.data_ptr() for room in rooms])
    counts = torch.zeros(triton_sums.CHUNKS, dtype=torch.int32)
    found = [
        triton_sums.sum_ranks(parts[rank], counts, addresses, rank, RANKS).float().tolist() for parts in sequence()
    ]
    answer.send(json.dumps([found, counts.tolist()]))


@pytest.mark.skipif(torch.cuda.is_available(), reason="the kernel is interpreted where there is no GPU")
def test_all_ranks_get_the_same_sums_many_times_over():
    context = ranks.context()
    rooms = [torch.zeros(triton_sums.room_bytes(RANKS) // 8, dtype=torch.int64).share_memory_() for _ in range(RANKS)]
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
    assert [other[0] for other in others] == [first] * 2
    for found, parts in zip(first, sequence(), strict=True):
        total = torch.zeros(parts[0].shape)
        for part in parts:
            total += part.float()
        # The interpreter cuts off where it rounds to bfloat16.
        apart = 2**-7 if parts[0].dtype == torch.bfloat16 else 0.0
        torch.testing.assert_close(torch.tensor(found), total.to(parts[0].dtype).float(), rtol=apart, atol=0.0)
    assert counts[0] == TIMES * len(TYPES) * len(SIZES)
    assert counts[-1] == 0


def test_what_does_not_fit_is_left_to_others():
    assert triton_sums.fits(torch.zeros(1, 6, dtype=torch.bfloat16))
    assert not triton_sums.fits(torch.zeros(1, 3, dtype=torch.bfloat16))
    assert not triton_sums.fits(torch.zeros(8, dtype=torch.bfloat16)[1:3])
    assert not triton_sums.fits(torch.zeros(8, 2)[:, 0])
    assert not triton_sums.fits(torch.zeros(2, dtype=torch.int64))
    assert not triton_sums.fits(torch.zeros(triton_sums.BYTES // 4 + 1))
