"""A product's sum over the ranks without a kernel of its own that sends: the product's kernel sends what it has.

The kernel of a one-row product writes each element's part, in float32, into a room of every rank as soon as it has it,
its own rank's too. A second, small kernel waits for the words of all ranks, adds them in the order of the ranks, adds
the residual and rounds once. Words carry their sum's number and rooms take turns, as ``triton_sums`` has it.

The waiting kernel starts while the product still runs, and reads before its ``gdc_wait``: the number of sums, rooms and
the residual. The product lets it start only after its own ``gdc_wait``, when all that came before has ended.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

from scripts.kernels.triton_launch import use_pdl

WORDS = tl.constexpr(128)  # of a chunk, whose sums are counted, and which one warp waits for
WIDEST = tl.constexpr(1 << 14)  # elements of a product: so many words has a room for each rank


def room_bytes(size: int) -> int:
    """Bytes of each rank's memory that the others map: two rooms for every rank's words and their numbers."""
    return 2 * size * WIDEST.value * 8


def counted(device: torch.device) -> torch.Tensor:
    """``counts`` before the first sum."""
    return torch.zeros(WIDEST.value // WORDS.value, dtype=torch.int32, device=device)


class Pushed(NamedTuple):
    """Where the parts of a product go.

    Attributes:
        counts: int32, see ``counted``, of this rank alone, zeros at first: how often each chunk was summed.
        rooms: int64 [size], this rank's addresses of every rank's room of ``room_bytes``, zeros at first.
        rank: this process.
        size: how many there are.
    """

    counts: torch.Tensor
    rooms: torch.Tensor
    rank: int
    size: int


def fits(outputs: int) -> bool:
    """Whether the parts of a product with so many elements find room."""
    return outputs <= WIDEST.value


@triton.jit
def push_parts(parts, outputs, N, counts, rooms, RANK: tl.constexpr, SIZE: tl.constexpr):
    """Send the parts of some of the N outputs, float32 [n], to every rank; after ``gdc_wait``."""
    inside = outputs < N
    number = tl.load(counts + tl.minimum(outputs, N - 1) // WORDS) + 1
    bits = parts.to(tl.int32, bitcast=True)
    sent = (number.to(tl.int64) << 32) | (bits.to(tl.int64) & 0xFFFFFFFF)
    place = ((number & 1) * SIZE + RANK) * WIDEST + outputs
    for step in tl.static_range(1, SIZE + 1):  # the own room last, which is the nearest
        room = tl.load(rooms + (RANK + step) % SIZE).to(tl.pointer_type(tl.int64))
        tl.store(room + place, sent, mask=inside, cache_modifier=".wt")


@triton.jit
def _sum_pushed(
    y, residual, counts, rooms, N, RANK: tl.constexpr, SIZE: tl.constexpr, RESIDUAL: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    """A chunk of y's N elements: the sum of what all ranks have sent, and the residual."""
    chunk = tl.program_id(0)
    at = chunk * WORDS + tl.arange(0, WORDS)
    inside = at < N
    if PDL:
        gdc_launch_dependents()
    own = tl.load(rooms + RANK).to(tl.pointer_type(tl.int64))
    number = tl.load(counts + chunk) + 1
    if RESIDUAL:
        before = tl.load(residual + at, mask=inside, other=0.0).to(tl.float32)
    total = tl.zeros([WORDS], tl.float32)
    for rank in tl.static_range(SIZE):
        place = own + ((number & 1) * SIZE + rank) * WIDEST + at
        got = tl.load(place, mask=inside, other=0, volatile=True)
        while tl.max((inside & ((got >> 32).to(tl.int32) != number)).to(tl.int32), axis=0) > 0:
            got = tl.load(place, mask=inside, other=0, volatile=True)
        total += got.to(tl.int32).to(tl.float32, bitcast=True)
    if RESIDUAL:
        total += before
    if PDL:
        gdc_wait()
    tl.store(y + at, total.to(y.dtype.element_ty), mask=inside)
    tl.store(counts + chunk, number)


def sum_pushed(like: torch.Tensor, residual: torch.Tensor | None, outputs: int, pushed: Pushed) -> torch.Tensor:
    """The sum of the parts that all ranks' products send, [1, outputs], and the residual: the same bits on every rank.

    Args:
        like: whose type and device the sum has.
        residual: [1, outputs] of that type, the same on every rank.
        outputs: elements of the product.
        pushed: where they are sent.
    """
    y = like.new_empty(1, outputs)
    pdl = use_pdl(like.device)
    _sum_pushed[(triton.cdiv(outputs, WORDS.value),)](
        y, residual, pushed.counts, pushed.rooms, outputs, pushed.rank, pushed.size, residual is not None, pdl,
        num_warps=1, launch_pdl=pdl,
    )  # fmt: skip
    return y
