"""The end of a round of speculation, and the lookup of a proposal, as one Triton program each.

As ``triton_step``: what the host reads lies in its own, pinned memory, which the kernel writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

from scripts.kernels.triton_launch import use_pdl

if TYPE_CHECKING:
    from scripts.engine.rounds import RoundState

LOOKED_AT_ONCE = 1024  # tokens of the sequence


@triton.jit
def _end(
    given, chosen, proposed, lengths, draws, draw, pair, places, step, turn, stopped, is_stop, sequence, out, flag,
    rounds, room, positions,
    COUNT: tl.constexpr, BLOCK: tl.constexpr, START: tl.constexpr, PARTLY: tl.constexpr, TABLE: tl.constexpr,
    HELD: tl.constexpr, DEVICE: tl.constexpr, WAIT: tl.constexpr,
):  # fmt: skip
    if WAIT:
        gdc_wait()
        gdc_launch_dependents()
    spot = tl.arange(0, BLOCK)
    if START:  # a round of no proposal
        count = tl.full((), 0, tl.int32)
        accepted, done, now, ended = count, count, count, count
        place = tl.load(lengths).to(tl.int32)  # of the first token that comes out
        new = tl.load(chosen + spot, mask=spot == 0, other=0)
        own = tl.load(chosen)
        before = tl.load(pair)
    else:
        done = tl.load(step)
        now = tl.load(turn)
        ended = tl.load(stopped).to(tl.int32)
        place = tl.load(places + 1) + 1
        count = COUNT
        if PARTLY:
            count = tl.load(proposed)
        drafted = tl.load(given + 1 + spot, mask=spot < COUNT, other=0)
        choices = tl.load(chosen + spot, mask=spot <= COUNT, other=0)
        if TABLE:
            row = (tl.load(draw) + now) % TABLE
            wrong = tl.load(draws + row * COUNT + spot, mask=spot < COUNT, other=0) == 0
        else:
            wrong = drafted != choices
        accepted = tl.min(tl.where(wrong | (spot >= count), spot, COUNT), 0)
        new = tl.where(spot < accepted, drafted, choices)
        own = tl.load(chosen + accepted)
        before = tl.load(given + accepted)
    put_out = spot <= accepted
    stops = tl.load(is_stop + new, mask=put_out, other=0).to(tl.int32)
    ended = ended | tl.max(stops, 0)
    total = done + accepted + 1
    tl.debug_barrier()  # what is overwritten below has been read by every thread
    tl.store(pair, before)
    tl.store(pair + 1, own)
    tl.store(places + spot, place + accepted - 1 + spot, mask=spot <= COUNT)
    tl.store(stopped, ended.to(tl.int8))
    tl.store(step, total)
    if HELD:
        tl.store(sequence + place + spot, new, mask=put_out & (place + spot < positions))
    tl.store(out + done + spot, new.to(tl.int32), mask=put_out & (done + spot < room))
    if START:
        tl.store(turn, 0)
    else:
        tl.store(turn, now + 1)
        tl.store(rounds + 2 * now + spot, tl.where(spot == 0, count, accepted), mask=(spot < 2) & (now < room))
    if DEVICE:
        # Each thread's tokens reach the host before any thread goes on to the flag.
        tl.inline_asm_elementwise("fence.acq_rel.sys; // dummy $0", "=r", [], dtype=tl.int32, is_pure=False, pack=1)
    tl.debug_barrier()
    # Both numbers in one store: the host never sees one without the other.
    both = (ended.to(tl.int64) << 32) | total.to(tl.int64)
    tl.store(flag.to(tl.pointer_type(tl.int64)), both)


def _launch(state: RoundState, given, chosen, proposed, lengths) -> None:
    wait = use_pdl(chosen.device)
    _end[(1,)](
        given, chosen, proposed, lengths, state.draws, state.draw, state.pair, state.places, state.step, state.turn,
        state.stopped, state.is_stop, state.sequence, state.out, state.flag, state.rounds, len(state.out),
        0 if state.sequence is None else len(state.sequence), state.count,
        triton.next_power_of_2(max(state.count + 1, 2)), lengths is not None, proposed is not None,
        0 if state.draws is None else len(state.draws), state.sequence is not None, chosen.device.type == "cuda", wait,
        num_warps=1, launch_pdl=wait,
    )  # fmt: skip


def start(state: RoundState, chosen: torch.Tensor, lengths: torch.Tensor) -> None:
    """As ``RoundState.start``."""
    _launch(state, None, chosen, None, lengths)


def finish(state: RoundState, given: torch.Tensor, chosen: torch.Tensor, proposed: torch.Tensor | None) -> None:
    """As ``RoundState.advance``."""
    _launch(state, given, chosen, proposed, None)


@triton.jit
def _look(
    sequence, pair, places, is_stop, given, proposed,
    LENGTH: tl.constexpr, COUNT: tl.constexpr, SPOTS: tl.constexpr, BLOCK: tl.constexpr, WAIT: tl.constexpr,
):  # fmt: skip
    if WAIT:
        gdc_wait()
        gdc_launch_dependents()
    before, last, place = tl.load(pair), tl.load(pair + 1), tl.load(places + 1)
    by_two = tl.full([BLOCK], LENGTH, tl.int32)
    by_one = tl.full([BLOCK], LENGTH, tl.int32)
    for first in range(0, place, BLOCK):
        at = first + tl.arange(0, BLOCK)
        same = tl.load(sequence + at, mask=at < place, other=-1) == last
        both = same & (tl.load(sequence + at - 1, mask=(at < place) & (at > 0), other=-1) == before)
        by_one = tl.minimum(by_one, tl.where(same, at, LENGTH))
        by_two = tl.minimum(by_two, tl.where(both, at, LENGTH))
    found = tl.min(by_two, 0)
    found = tl.where(found < LENGTH, found, tl.min(by_one, 0))
    spot = tl.arange(0, SPOTS)
    source = found + 1 + spot
    known = (source <= place) & (spot < COUNT)
    tokens = tl.load(sequence + source, mask=known, other=0)
    ends = tl.load(is_stop + tokens, mask=known, other=1)
    tl.store(proposed, tl.min(tl.where((ends != 0) | (spot >= COUNT), spot, COUNT), 0))
    tl.store(given, last)
    tl.store(given + 1 + spot, tokens, mask=spot < COUNT)


def look_up(state: RoundState) -> tuple[torch.Tensor, torch.Tensor]:
    """As ``proposers.look_up``."""
    device = state.pair.device
    given = torch.empty(state.count + 1, dtype=torch.int64, device=device)
    proposed = torch.empty(1, dtype=torch.int32, device=device)
    wait = use_pdl(device)
    _look[(1,)](
        state.sequence, state.pair, state.places, state.is_stop, given, proposed, len(state.sequence), state.count,
        triton.next_power_of_2(max(state.count, 2)), LOOKED_AT_ONCE, wait, num_warps=4, launch_pdl=wait,
    )  # fmt: skip
    return given, proposed
