"""The root-mean-square norm as one Triton kernel."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

from scripts.kernels.reference import Norm
from scripts.kernels.triton_launch import use_pdl


@triton.jit
def rms_normalized(values, weight, eps, K: tl.constexpr):
    """The norm of a row [BLOCK], zeros behind the K-th, rounded before and after the weight, as LlamaRMSNorm does."""
    dtype = weight.dtype
    wide = values.to(tl.float32)
    scale = tl.rsqrt(tl.sum(wide * wide, 0) / K + eps)
    return ((wide * scale).to(dtype).to(tl.float32) * weight.to(tl.float32)).to(dtype)


@triton.jit
def _rms_norm(x, weight, out, eps, K: tl.constexpr, BLOCK: tl.constexpr, WAIT: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    inside = columns < K
    scales = tl.load(weight + columns, mask=inside, other=0.0)
    if WAIT:
        gdc_wait()
        gdc_launch_dependents()
    values = tl.load(x + row * K + columns, mask=inside, other=0.0)
    tl.store(out + row * K + columns, rms_normalized(values, scales, eps, K), mask=inside)


def rms_norm(x: torch.Tensor, norm: Norm) -> torch.Tensor:
    """[T, K] -> [T, K]: see ``reference.rms_norm``; one program a row."""
    rows, columns = x.shape
    out = torch.empty_like(x)
    block = triton.next_power_of_2(columns)
    wait = use_pdl(x.device)
    warps = min(16, max(1, block // 512))  # 16 numbers a thread
    _rms_norm[(rows,)](x, norm.weight, out, norm.eps, columns, block, wait, num_warps=warps, launch_pdl=wait)
    return out
