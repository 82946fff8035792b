"""The kernel that sums over ranks: two processes that map each other's memory, as ranks on two GPUs do."""

import json
import multiprocessing

import pytest
import torch

from scripts.kernels import triton_sums

SIZES = [(1, 6), (3, 200), (1, 2), (2, 700)]  # one chunk, several, and fewer than before


def ranks(size, dtype, times):
    """Parts of each rank, of several sums one after another."""
    drawn = torch.Generator().manual_seed(0)
    return [
        [torch.randn(shape, generator=drawn).to(dtype) for _ in range(size)] for _ in range(times) for shape in SIZES
    ]


def sums(rank, size, rooms, name, times, answer):
    torch.set_num_threads(1)
    dtype = getattr(torch, name)
    addresses = torch.tensor([room.data_ptr() for room in rooms])
    counts = torch.zeros(triton_sums.CHUNKS, dtype=torch.int32)
    found = [
        triton_sums.sum_ranks(parts[rank], counts, addresses, rank, size).float().tolist()
        for parts in ranks(size, dtype, times)
    ]
    answer.send(json.dumps([found, counts[:13].tolist()]))


@pytest.mark.skipif(torch.cuda.is_available(), reason="the kernel is interpreted where there is no GPU")
@pytest.mark.parametrize(("size", "name"), [(2, "bfloat16"), (2, "float32"), (3, "float16")])
def test_all_ranks_get_the_same_sums_many_times_over(size, name):
    times, dtype = 3, getattr(torch, name)
    context = multiprocessing.get_context("spawn")
    rooms = [torch.zeros(triton_sums.room_bytes(size) // 8, dtype=torch.int64).share_memory_() for _ in range(size)]
    ends = [context.Pipe(duplex=False) for _ in range(size)]
    processes = [
        context.Process(target=sums, args=(rank, size, rooms, name, times, ends[rank][1]), daemon=True)
        for rank in range(size)
    ]
    for process in processes:
        process.start()
    for receives, _ in ends:
        assert receives.poll(60), "a rank waits for ever"
    answers = [json.loads(receives.recv()) for receives, _ in ends]
    for process in processes:
        process.join(10)
    expected = []
    for parts in ranks(size, dtype, times):
        total = torch.zeros(parts[0].shape)
        for part in parts:
            total += part.float()
        expected.append(total.to(dtype).float().tolist())
    for found, counts in answers:
        assert found == expected
        assert counts[0] == times * len(SIZES)
        assert counts[-1] == 0


def test_what_does_not_fit_is_left_to_others():
    assert triton_sums.fits(torch.zeros(1, 6, dtype=torch.bfloat16))
    assert not triton_sums.fits(torch.zeros(1, 3, dtype=torch.bfloat16))
    assert not triton_sums.fits(torch.zeros(8, dtype=torch.bfloat16)[1:3])
    assert not triton_sums.fits(torch.zeros(8, 2)[:, 0])
    assert not triton_sums.fits(torch.zeros(2, dtype=torch.int64))
    assert not triton_sums.fits(torch.zeros(triton_sums.BYTES // 4 + 1))
