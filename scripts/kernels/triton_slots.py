"""The end of a decode step and of a prefill under continuous batching, each one Triton kernel.

Both put the chosen tokens into the next entry of a ring in pinned memory and then publish how much work is done, as
``triton_step`` does; a prefill's tokens also go to the slots that its requests were given.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

from scripts.kernels.decode_state import WORK_NUMBERS, SlotTensors
from scripts.kernels.triton_launch import use_pdl
from scripts.kernels.triton_step import publish


@triton.jit
def _end_work(
    chosen, ends, slots, prompt_positions, token, positions, done, ring, progress, rows, last, width,
    PREFILL: tl.constexpr, ENTRIES: tl.constexpr, NUMBERS: tl.constexpr, BLOCK: tl.constexpr, DEVICE: tl.constexpr,
    WAIT: tl.constexpr,
):  # fmt: skip
    if WAIT:
        gdc_wait()
        gdc_launch_dependents()
    row = tl.arange(0, BLOCK)
    inside = row < rows
    number = tl.load(done)
    new = tl.load(chosen + row, mask=inside, other=0)
    if PREFILL:
        slot = tl.load(slots + row, mask=inside, other=0)
        end = tl.load(ends + row, mask=inside, other=0)
        position = tl.load(prompt_positions + end, mask=inside, other=0).to(tl.int32) + 1
    else:
        slot = row.to(tl.int64)
        position = tl.load(positions + row, mask=inside, other=0) + 1
    tl.debug_barrier()  # what is overwritten below has been read by every thread
    tl.store(token + slot, new, mask=inside)
    # A slot without a request goes on from position to position, and stays inside its row of the cache.
    tl.store(positions + slot, tl.minimum(position, last), mask=inside)
    tl.store(ring + (number % ENTRIES).to(tl.int64) * width + row, new.to(tl.int32), mask=inside)
    following = (number + 1) % NUMBERS
    tl.store(done, following)
    publish(progress, following, tl.full((), 0, tl.int32), DEVICE)


def _launch(state: SlotTensors, chosen: torch.Tensor, ends=None, slots=None, prompt_positions=None) -> None:
    wait, rows = use_pdl(state.token.device), len(chosen)
    entries, width = state.ring.shape
    _end_work[(1,)](
        chosen, ends, slots, prompt_positions, state.token, state.positions, state.done, state.ring, state.progress,
        rows, state.last, width, ends is not None, entries, WORK_NUMBERS, triton.next_power_of_2(rows),
        state.token.device.type == "cuda", wait, num_warps=4, launch_pdl=wait,
    )  # fmt: skip


def end_decode(state: SlotTensors, chosen: torch.Tensor) -> None:
    """Put out the next token of the first slots, int64 [B]."""
    _launch(state, chosen)


def end_prefill(
    state: SlotTensors, chosen: torch.Tensor, ends: torch.Tensor, slots: torch.Tensor, positions: torch.Tensor
) -> None:
    """Put out the first token of each prompt, int64 [N].

    Args:
        state: of all slots.
        chosen: the tokens.
        ends: where the prompts end among the packed tokens, int64 [N].
        slots: where they go, int64 [N].
        positions: of the packed tokens, int64 [T].
    """
    _launch(state, chosen, ends, slots, positions)
