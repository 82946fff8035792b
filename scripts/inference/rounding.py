"""How far another order of float32 sums moves a model's logits: Monte Carlo arithmetic (Parker, 1997).

Kernels, batch sizes and shards add the same products in different orders and so round differently. Each sum is
perturbed by an error of that size, and the logits are computed again.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from scripts.runtime.layers import widths

UNIT = 2.0**-24
"""Unit roundoff of float32: a rounded result is off by at most this share of it (Higham, 2002, section 2.1)."""


def spread(terms: int) -> float:
    """Standard deviation between two orders of a sum of so many terms, as a share of the sums' root mean square.

    Adding one after the other rounds each partial sum s_k by up to UNIT * s_k (Higham, 2002, section 4.2), uniformly
    and independently (Higham and Mary, 2019): a variance of UNIT^2 * s_k^2 / 3. Of terms of size t and either sign s_k
    is about sqrt(k) * t, so that the n partial sums give (UNIT * n * t)^2 / 6, and two orders twice as much; sqrt(n) *
    t is the sums' own size. Other orders, as those of tiles and threads, round less often.
    """
    return UNIT * math.sqrt(terms / 3)


@contextlib.contextmanager
def perturbed_sums(model: nn.Module, seed: int) -> Iterator[None]:
    """In the block, outputs of linear layers are perturbed as by another order of summation."""
    generators: dict[torch.device, torch.Generator] = {}

    def disturb(layer: nn.Module, _: Any, sums: torch.Tensor) -> torch.Tensor:
        generator = generators.setdefault(sums.device, torch.Generator(sums.device).manual_seed(seed))
        size = sums.pow(2).mean(dim=-1, keepdim=True).sqrt()  # [..., 1]
        noise = torch.randn(sums.shape, generator=generator, device=sums.device, dtype=sums.dtype)
        return sums + noise * size * spread(widths(layer)[1])

    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear | Conv1D)]
    hooks = [layer.register_forward_hook(disturb) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
