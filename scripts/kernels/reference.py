"""The operations of a decoder layer in plain torch: what runs on a CPU, and what the Triton kernels must match."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

from scripts.kernels.matrix import Matrix
from scripts.kernels.parts import GELU, GELU_TANH, SILU, Heads, Norm, Rope
from scripts.kernels.reference_attention import decode_attention, packed_attention, position_info, prefill_attention
from scripts.runtime.uniforms import uniforms

__all__ = [
    "Heads",
    "Norm",
    "Rope",
    "argmax",
    "decode_attention",
    "gated_linear",
    "linear",
    "max_and_argmax",
    "norm_heads",
    "packed_attention",
    "position_info",
    "prefill_attention",
    "rms_norm",
    "uniforms",
]

ACTIVATION: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    SILU: functional.silu,
    GELU_TANH: lambda x: functional.gelu(x, approximate="tanh"),
    GELU: functional.gelu,
}


def rms_norm(x: torch.Tensor, norm: Norm, residual: torch.Tensor | None = None) -> torch.Tensor:
    """[..., K] -> [..., K], float32 inside, and the residual, if any.

    The result is rounded before the weight, as transformers' LlamaRMSNorm does, or after it where the norm has an
    offset, as Gemma's does.
    """
    y = _normalized(x, norm)
    return y if residual is None else residual + y


def _normalized(x: torch.Tensor, norm: Norm) -> torch.Tensor:
    if x.dtype == torch.float32:
        return functional.rms_norm(x, (x.shape[-1],), 1 + norm.weight if norm.offset else norm.weight, norm.eps)
    values = x.float()
    values = values * torch.rsqrt(values.pow(2).mean(-1, keepdim=True) + norm.eps)
    if norm.offset:
        return (values * (1 + norm.weight.float())).to(x.dtype)
    return norm.weight * values.to(x.dtype)


def norm_heads(qkv: torch.Tensor, heads: Heads, query: Norm, key: Norm) -> torch.Tensor:
    """Norms of every query head and every key head, each over its own elements: [T, (H + 2 Hkv) D], in place."""
    each = qkv.view(len(qkv), -1, heads.width)
    for norm, first, count in ((query, 0, heads.query), (key, heads.query, heads.key_value)):
        part = each[:, first : first + count]
        part.copy_(rms_norm(part, norm))
    return qkv


def linear(
    x: torch.Tensor, matrix: Matrix, *, norm: Norm | None = None, residual: torch.Tensor | None = None
) -> torch.Tensor:
    """[T, K] -> [T, N]: the norm, if any, the product, the bias, the residual."""
    if norm is not None:
        x = rms_norm(x, norm)
    if matrix.kind == "modules":
        y = torch.cat([module(x) for module in matrix.modules], dim=-1)
        return y if residual is None else residual + y
    weight = matrix.data if matrix.kind == "dense" else matrix.dense(x.dtype)
    if residual is not None and matrix.bias is None:
        return torch.addmm(residual, x, weight.t())
    y = functional.linear(x, weight, matrix.bias)
    return y if residual is None else residual + y


def gated_linear(x: torch.Tensor, matrix: Matrix, *, norm: Norm | None = None, activation: str = SILU) -> torch.Tensor:
    """[T, K] -> [T, I]: a gated unit (Shazeer, 2020); the matrix holds the gate's rows, then the others."""
    gate, up = linear(x, matrix, norm=norm).chunk(2, dim=-1)
    return ACTIVATION[activation](gate) * up


def max_and_argmax(x: torch.Tensor, head: Matrix, norm: Norm) -> tuple[torch.Tensor, torch.Tensor]:
    """The largest logit of each row, float32 [T], and its token, int64 [T]."""
    best = linear(x, head, norm=norm).float().max(dim=-1)
    return best.values, best.indices


def argmax(x: torch.Tensor, head: Matrix, norm: Norm) -> torch.Tensor:
    """Greedy decoding: the token of the largest logit of each row, int64 [T]; the first where equal."""
    return linear(x, head, norm=norm).argmax(dim=-1)
