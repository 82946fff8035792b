"""The operations of a decoder layer, in plain torch for a CPU and as Triton kernels for a GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def operations(device: torch.device) -> Any:
    """The module whose functions run on that device; ``reference`` says what each of them does."""
    if device.type == "cuda":
        from scripts.kernels import triton_ops

        return triton_ops
    from scripts.kernels import reference

    return reference
