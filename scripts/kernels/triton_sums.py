"""Sum over the ranks of a group in one kernel, by writes into the peers' memory (NVLink, or any mapped memory).

Each rank writes its part into a room of every peer and reads what peers wrote into its own. A 4-byte word travels with
a number in one 8-byte write, which arrives as a whole (NCCL's LL protocol; Hu et al., Demystifying NCCL, 2025): who
reads the awaited number has the word, so that no fence, flag or barrier stands between, and one trip over the link is
all that a sum waits for. The number counts a chunk's sums. Rooms are used by turns, odd and even numbers: a peer writes
number n + 2 only after it has read this rank's n + 1, which is sent after the kernel that read n here has ended. So all
sums of a group must be on one stream, in the same order on every rank.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

from scripts.kernels.triton_launch import use_pdl

WORDS = 128  # of a chunk, which is one warp's: it waits without a barrier
CHUNKS = 1024
BYTES = 4 * WORDS * CHUNKS  # the most that is summed at a time


def room_bytes(size: int) -> int:
    """Bytes of each rank's memory that the others map: two rooms for every rank's words and their numbers."""
    return 2 * size * CHUNKS * WORDS * 8


@triton.jit
def _as_float(words, dtype: tl.constexpr):
    """Words of 16 bits, in the low half of 32, or of 32 bits as float32."""
    if dtype == tl.float32:
        numbers = words.to(tl.float32, bitcast=True)
    else:
        numbers = (words & 0xFFFF).to(tl.int16).to(dtype, bitcast=True).to(tl.float32)
    return numbers


@triton.jit
def _as_word(numbers, dtype: tl.constexpr):
    if dtype == tl.float32:
        words = numbers.to(tl.int32, bitcast=True)
    else:
        words = numbers.to(dtype).to(tl.int16, bitcast=True).to(tl.int32) & 0xFFFF
    return words


@triton.jit
def _sum_ranks(
    x, y, counts, rooms, N, RANK: tl.constexpr, SIZE: tl.constexpr, CHUNKS: tl.constexpr, WORDS: tl.constexpr,
    dtype: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    """A chunk of the N words (4 bytes) of y: the sum of all ranks' x, added in the order of the ranks."""
    chunk = tl.program_id(0)
    within = tl.arange(0, WORDS)
    at = chunk * WORDS + within
    own = tl.load(rooms + RANK).to(tl.pointer_type(tl.int64))  # addresses never change, so they need no wait
    if PDL:
        gdc_launch_dependents()
        gdc_wait()
    number = tl.load(counts + chunk) + 1
    words = tl.load(x + at, mask=at < N, other=0)
    sent = (number.to(tl.int64) << 32) | (words.to(tl.int64) & 0xFFFFFFFF)
    turn = (number & 1) * SIZE
    for step in tl.static_range(1, SIZE):
        room = tl.load(rooms + (RANK + step) % SIZE).to(tl.pointer_type(tl.int64))
        # Beyond N too: who waits for a chunk waits for all of its words.
        tl.store(room + ((turn + RANK) * CHUNKS + chunk) * WORDS + within, sent, cache_modifier=".wt")
    low = tl.zeros([WORDS], tl.float32)
    high = tl.zeros([WORDS], tl.float32)
    for rank in tl.static_range(SIZE):
        if rank == RANK:
            part = words
        else:
            place = own + ((turn + rank) * CHUNKS + chunk) * WORDS + within
            got = tl.load(place, volatile=True)
            while tl.max(((got >> 32).to(tl.int32) != number).to(tl.int32), axis=0) > 0:
                got = tl.load(place, volatile=True)
            part = got.to(tl.int32)
        low += _as_float(part, dtype)
        if dtype != tl.float32:  # two numbers a word
            high += _as_float(part >> 16, dtype)
    total = _as_word(low, dtype)
    if dtype != tl.float32:
        total |= _as_word(high, dtype) << 16
    tl.store(y + at, total, mask=at < N)
    tl.store(counts + chunk, number)


_TYPES = {torch.float32: tl.float32, torch.bfloat16: tl.bfloat16, torch.float16: tl.float16}


def fits(x: torch.Tensor) -> bool:
    """Whether the kernel sums such a tensor: contiguous, of whole words, of a known type and not too large."""
    size = x.numel() * x.element_size()
    whole = size % 4 == 0 and x.data_ptr() % 4 == 0
    return x.dtype in _TYPES and whole and 0 < size <= BYTES and x.is_contiguous()


def sum_ranks(x: torch.Tensor, counts: torch.Tensor, rooms: torch.Tensor, rank: int, size: int) -> torch.Tensor:
    """The sum of all ranks' ``x`` in float32, rounded to its type: the same bits on every rank.

    Args:
        x: see ``fits``.
        counts: int32 [CHUNKS] of this rank alone, zeros at first: how often each chunk was summed.
        rooms: int64 [size], this rank's addresses of every rank's room of ``room_bytes``, zeros at first.
        rank: this process.
        size: how many there are.
    """
    words = x.view(-1).view(torch.int32)
    y = torch.empty_like(words)
    pdl = use_pdl(x.device)
    _sum_ranks[(triton.cdiv(len(words), WORDS),)](
        words,
        y,
        counts,
        rooms,
        len(words),
        rank,
        size,
        CHUNKS,
        WORDS,
        _TYPES[x.dtype],
        pdl,
        num_warps=1,
        launch_pdl=pdl,
    )
    return y.view(x.dtype).view(x.shape)
