"""The end of a step as one Triton kernel: the tokens go where the next step and the host find them.

The host is asked nothing and asks nothing: ``out`` and ``flag`` lie in its own, pinned memory, which the kernel writes
through the device's address of it (Triton looks that up; a pinned CPU tensor is an argument like any other).
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

from scripts.kernels.triton_choose import Parts, best_part
from scripts.kernels.triton_launch import use_pdl


@triton.jit
def _end(
    chosen, best, lengths, token, positions, step, stopped, is_stop, out, flag, rows, steps, length_stride,
    START: tl.constexpr, PARTS: tl.constexpr, PARTS_BLOCK: tl.constexpr, BLOCK: tl.constexpr, DEVICE: tl.constexpr,
    WAIT: tl.constexpr,
):  # fmt: skip
    if WAIT:
        gdc_wait()
        gdc_launch_dependents()
    row = tl.arange(0, BLOCK)
    inside = row < rows
    if PARTS:  # one row, whose token is still to be picked
        picked = best_part(best, chosen, PARTS, PARTS_BLOCK)[1]
        new = tl.zeros([BLOCK], tl.int64) + picked
    else:
        new = tl.load(chosen + row, mask=inside, other=0)
    if START:
        place = tl.load(lengths + row.to(tl.int64) * length_stride, mask=inside, other=0).to(tl.int32)
        before = tl.zeros([BLOCK], tl.int8)
        done = tl.full((), 0, tl.int32)
    else:
        place = tl.load(positions + row, mask=inside, other=0) + 1
        before = tl.load(stopped + row, mask=inside, other=0)
        done = tl.load(step)
    ended = before | tl.load(is_stop + new, mask=inside, other=0)
    total = tl.sum(ended.to(tl.int32), 0)
    tl.debug_barrier()  # what is overwritten below has been read by every thread
    tl.store(token + row, new, mask=inside)
    tl.store(positions + row, place, mask=inside)
    tl.store(stopped + row, ended, mask=inside)
    tl.store(out + done.to(tl.int64) * rows + row, new.to(tl.int32), mask=inside & (done < steps))
    tl.store(step, done + 1)
    if DEVICE:
        # Each thread's tokens reach the host before any thread goes on to the flag.
        tl.inline_asm_elementwise("fence.acq_rel.sys; // dummy $0", "=r", [], dtype=tl.int32, is_pure=False, pack=1)
    tl.debug_barrier()
    # Both numbers in one store: the host never sees one without the other.
    both = (total.to(tl.int64) << 32) | (done + 1).to(tl.int64)
    tl.store(flag.to(tl.pointer_type(tl.int64)), both)


def _launch(
    chosen: torch.Tensor, best: torch.Tensor | None, lengths: torch.Tensor | None, token: torch.Tensor,
    positions: torch.Tensor, step: torch.Tensor, stopped: torch.Tensor, is_stop: torch.Tensor, out: torch.Tensor,
    flag: torch.Tensor,
) -> None:  # fmt: skip
    wait = use_pdl(token.device)
    parts = 0 if best is None else best.shape[1]
    _end[(1,)](
        chosen, best, lengths, token, positions, step, stopped, is_stop, out, flag, len(token), len(out),
        1 if lengths is None else lengths.stride(0), lengths is not None, parts,
        triton.next_power_of_2(max(parts, 1)), triton.next_power_of_2(len(token)), token.device.type == "cuda", wait,
        num_warps=4, launch_pdl=wait,
    )  # fmt: skip


def finish(
    chosen: torch.Tensor | Parts, token: torch.Tensor, positions: torch.Tensor, step: torch.Tensor,
    stopped: torch.Tensor, is_stop: torch.Tensor, out: torch.Tensor, flag: torch.Tensor,
) -> None:  # fmt: skip
    """Put out each row's next token.

    Args:
        chosen: int64 [B]; or, of one row, the parts that ``triton_choose.parts_of`` left to compare.
        token: int64 [B]: becomes the chosen tokens.
        positions: int32 [B]: grow by one.
        step: int32 [1]: the line of ``out`` that is written; grows by one.
        stopped: int8 [B]: becomes 1 where a stop token came.
        is_stop: int8 [vocabulary].
        out: int32 [steps, B], pinned; a step beyond the last is not written.
        flag: int32 [2], pinned: tokens that are out, rows that have stopped; both change at once, after ``out``.
    """
    if isinstance(chosen, Parts):
        _launch(chosen.indices, chosen.values, None, token, positions, step, stopped, is_stop, out, flag)
    else:
        _launch(chosen, None, None, token, positions, step, stopped, is_stop, out, flag)


def start(
    chosen: torch.Tensor, lengths: torch.Tensor, token: torch.Tensor, positions: torch.Tensor, step: torch.Tensor,
    stopped: torch.Tensor, is_stop: torch.Tensor, out: torch.Tensor, flag: torch.Tensor,
) -> None:  # fmt: skip
    """Put out the first tokens, int64 [B], of prompts of those lengths, [B]; the rest as in ``finish``."""
    _launch(chosen, None, lengths, token, positions, step, stopped, is_stop, out, flag)
