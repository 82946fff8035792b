"""The end of a round of speculation, and prompt lookup, as one Triton kernel each."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

from scripts.kernels.decode_state import RoundTensors
from scripts.kernels.triton_launch import use_pdl
from scripts.kernels.triton_step import publish

LOOKUP_BLOCK = 1024  # tokens of the sequence at a time


@triton.jit
def _end_round(
    given, chosen, proposed, lengths, forced, first_draw, last_two, positions, step, round_index, stopped, is_stop,
    sequence, out, progress, rounds, room, length, COUNT: tl.constexpr, BLOCK: tl.constexpr, START: tl.constexpr,
    PARTLY: tl.constexpr, DRAWS: tl.constexpr, LOOKUP: tl.constexpr, DEVICE: tl.constexpr, WAIT: tl.constexpr,
):  # fmt: skip
    if WAIT:
        gdc_wait()
        gdc_launch_dependents()
    spot = tl.arange(0, BLOCK)
    if START:  # a round of no proposal
        count = tl.full((), 0, tl.int32)
        accepted, done, index, ended = count, count, count, count
        position = tl.load(lengths).to(tl.int32)  # of the first token that comes out
        new = tl.load(chosen + spot, mask=spot == 0, other=0)
        own = tl.load(chosen)
        before = tl.load(last_two)
    else:
        done = tl.load(step)
        index = tl.load(round_index)
        ended = tl.load(stopped).to(tl.int32)
        position = tl.load(positions + 1) + 1
        count = COUNT
        if PARTLY:
            count = tl.load(proposed)
        drafted = tl.load(given + 1 + spot, mask=spot < COUNT, other=0)
        choices = tl.load(chosen + spot, mask=spot <= COUNT, other=0)
        if DRAWS:
            row = (tl.load(first_draw) + index) % DRAWS
            wrong = tl.load(forced + row * COUNT + spot, mask=spot < COUNT, other=0) == 0
        else:
            wrong = drafted != choices
        accepted = tl.min(tl.where(wrong | (spot >= count), spot, COUNT), 0)
        new = tl.where(spot < accepted, drafted, choices)
        own = tl.load(chosen + accepted)
        before = tl.load(given + accepted)
    put_out = spot <= accepted
    code = tl.load(is_stop + new, mask=put_out, other=0).to(tl.int32)
    # As runtime.stops.follow, token by token: whether there is text before each.
    text = (code >> 1) & 1
    text_before = ((ended >> 1) & 1) | ((tl.cumsum(text, 0) - text) > 0).to(tl.int32)
    ended = ended | tl.max((code & 1) | ((code >> 2) & text_before), 0) | (tl.max(text, 0) << 1)
    total = done + accepted + 1
    tl.debug_barrier()  # what is overwritten below has been read by every thread
    tl.store(last_two, before)
    tl.store(last_two + 1, own)
    tl.store(positions + spot, position + accepted - 1 + spot, mask=spot <= COUNT)
    tl.store(stopped, ended.to(tl.int8))
    tl.store(step, total)
    if LOOKUP:
        tl.store(sequence + position + spot, new, mask=put_out & (position + spot < length))
    tl.store(out + done + spot, new.to(tl.int32), mask=put_out & (done + spot < room))
    if START:
        tl.store(round_index, 0)
    else:
        tl.store(round_index, index + 1)
        tl.store(rounds + 2 * index + spot, tl.where(spot == 0, count, accepted), mask=(spot < 2) & (index < room))
    publish(progress, total, ended & 1, DEVICE)


def _launch(state: RoundTensors, given, chosen, proposed, lengths) -> None:
    pdl = use_pdl(chosen.device)
    _end_round[(1,)](
        given, chosen, proposed, lengths, state.forced, state.first_draw, state.last_two, state.positions, state.step,
        state.round_index, state.stopped, state.is_stop, state.sequence, state.out, state.progress, state.rounds,
        len(state.out), 0 if state.sequence is None else len(state.sequence), state.count,
        triton.next_power_of_2(max(state.count + 1, 2)), lengths is not None, proposed is not None, 0 if state.forced is
        None else len(state.forced), state.sequence is not None, chosen.device.type == "cuda", pdl, num_warps=1,
        launch_pdl=pdl,
    )  # fmt: skip


def start(state: RoundTensors, chosen: torch.Tensor, lengths: torch.Tensor) -> None:
    """As ``RoundState.start``."""
    _launch(state, None, chosen, None, lengths)


def advance(state: RoundTensors, given: torch.Tensor, chosen: torch.Tensor, proposed: torch.Tensor | None) -> None:
    """As ``RoundState.advance``."""
    _launch(state, given, chosen, proposed, None)


@triton.jit
def _look_up(
    sequence, last_two, positions, is_stop, given, proposed,
    LENGTH: tl.constexpr, COUNT: tl.constexpr, BLOCK_COUNT: tl.constexpr, BLOCK: tl.constexpr, WAIT: tl.constexpr,
):  # fmt: skip
    if WAIT:
        gdc_wait()
        gdc_launch_dependents()
    before, last, position = tl.load(last_two), tl.load(last_two + 1), tl.load(positions + 1)
    by_two = tl.full([BLOCK], LENGTH, tl.int32)
    by_one = tl.full([BLOCK], LENGTH, tl.int32)
    for first in range(0, position, BLOCK):
        at = first + tl.arange(0, BLOCK)
        same = tl.load(sequence + at, mask=at < position, other=-1) == last
        both = same & (tl.load(sequence + at - 1, mask=(at < position) & (at > 0), other=-1) == before)
        by_one = tl.minimum(by_one, tl.where(same, at, LENGTH))
        by_two = tl.minimum(by_two, tl.where(both, at, LENGTH))
    found = tl.min(by_two, 0)
    found = tl.where(found < LENGTH, found, tl.min(by_one, 0))
    spot = tl.arange(0, BLOCK_COUNT)
    source = found + 1 + spot
    known = (source <= position) & (spot < COUNT)
    tokens = tl.load(sequence + source, mask=known, other=0)
    ends = tl.load(is_stop + tokens, mask=known, other=1) & 5  # text alone ends nothing
    tl.store(proposed, tl.min(tl.where((ends != 0) | (spot >= COUNT), spot, COUNT), 0))
    tl.store(given, last)
    tl.store(given + 1 + spot, tokens, mask=spot < COUNT)


def look_up(state: RoundTensors) -> tuple[torch.Tensor, torch.Tensor]:
    """As ``proposers.look_up``."""
    device = state.last_two.device
    given = torch.empty(state.count + 1, dtype=torch.int64, device=device)
    proposed = torch.empty(1, dtype=torch.int32, device=device)
    pdl = use_pdl(device)
    _look_up[(1,)](
        state.sequence, state.last_two, state.positions, state.is_stop, given, proposed, len(state.sequence),
        state.count, triton.next_power_of_2(max(state.count, 2)), LOOKUP_BLOCK, pdl, num_warps=4, launch_pdl=pdl,
    )  # fmt: skip
    return given, proposed
