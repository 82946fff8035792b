"""The end of a decode step as one Triton kernel: the tokens go where the next step and the host find them.

The kernel writes the pinned tensors through the device's address of them, which Triton looks up: a pinned CPU tensor is
an argument like any other.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

from scripts.kernels.decode_state import StepTensors
from scripts.kernels.triton_launch import use_pdl


@triton.jit
def publish(progress, done, stopped, DEVICE: tl.constexpr):
    """Write int32 ``done`` and ``stopped`` to the host, after all that this program wrote before."""
    if DEVICE:
        # Each thread's tokens reach the host before any thread goes on to the progress.
        tl.inline_asm_elementwise("fence.acq_rel.sys; // dummy $0", "=r", [], dtype=tl.int32, is_pure=False, pack=1)
    tl.debug_barrier()
    # Both numbers in one store: the host never sees one without the other.
    both = (stopped.to(tl.int64) << 32) | done.to(tl.int64)
    tl.store(progress.to(tl.pointer_type(tl.int64)), both)


@triton.jit
def _end_step(
    chosen, lengths, token, positions, step, stopped, is_stop, out, progress, rows, steps, length_stride,
    START: tl.constexpr, BLOCK: tl.constexpr, DEVICE: tl.constexpr, WAIT: tl.constexpr,
):  # fmt: skip
    if WAIT:
        gdc_wait()
        gdc_launch_dependents()
    row = tl.arange(0, BLOCK)
    inside = row < rows
    new = tl.load(chosen + row, mask=inside, other=0)
    if START:
        position = tl.load(lengths + row.to(tl.int64) * length_stride, mask=inside, other=0).to(tl.int32)
        before = tl.zeros([BLOCK], tl.int8)
        done = tl.full((), 0, tl.int32)
    else:
        position = tl.load(positions + row, mask=inside, other=0) + 1
        before = tl.load(stopped + row, mask=inside, other=0)
        done = tl.load(step)
    code = tl.load(is_stop + new, mask=inside, other=0)
    ended = before | (code & 3) | ((code >> 2) & (before >> 1) & 1)  # as runtime.stops.follow
    total = tl.sum((ended & 1).to(tl.int32), 0)
    tl.debug_barrier()  # what is overwritten below has been read by every thread
    tl.store(token + row, new, mask=inside)
    tl.store(positions + row, position, mask=inside)
    tl.store(stopped + row, ended, mask=inside)
    tl.store(out + done.to(tl.int64) * rows + row, new.to(tl.int32), mask=inside & (done < steps))
    tl.store(step, done + 1)
    publish(progress, done + 1, total, DEVICE)


def _launch(state: StepTensors, chosen: torch.Tensor, lengths: torch.Tensor | None) -> None:
    pdl, rows = use_pdl(state.token.device), len(state.token)
    _end_step[(1,)](
        chosen, lengths, state.token, state.positions, state.step, state.stopped, state.is_stop, state.out,
        state.progress, rows, len(state.out), 1 if lengths is None else lengths.stride(0), lengths is not None,
        triton.next_power_of_2(rows), state.token.device.type == "cuda", pdl, num_warps=4, launch_pdl=pdl,
    )  # fmt: skip


def start(state: StepTensors, chosen: torch.Tensor, lengths: torch.Tensor) -> None:
    """Put out the first tokens, int64 [B], of prompts of those lengths, [B]."""
    _launch(state, chosen, lengths)


def advance(state: StepTensors, chosen: torch.Tensor) -> None:
    """Put out each row's next token, int64 [B]; a step beyond the last line of ``out`` writes no tokens there."""
    _launch(state, chosen, None)
