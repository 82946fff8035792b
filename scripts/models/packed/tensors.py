"""A quantised checkpoint's tensors: dequantised, or as the steps that they are stored as. CPU; no further library.

Layouts, as the libraries that write them define them:

- AWQ (Lin et al., 2024), ``gemm``: ``qweight`` int32 [K, N/8], eight columns a word in the order 0 2 4 6 1 3 5 7;
  ``qzeros`` int32 [K/g, N/8], likewise; ``scales`` [K/g, N]; w = (q - z) s (AutoAWQ, ``WQLinear_GEMM``).
- GPTQ (Frantar et al., 2023): ``qweight`` int32 [K b/32, N], rows in order, lowest bits first; ``qzeros``
  int32 [K/g, N b/32], less one in the first version; ``scales`` [K/g, N]; ``g_idx`` [K], each column's group
  (AutoGPTQ, GPTQModel).
- compressed-tensors, ``pack-quantized``: ``weight_packed`` int32 [N, K b/32], lowest bits first, raised by half the
  range; ``weight_zero_point`` int32 [N b/32, K/g]; ``weight_scale`` [N, K/g]; ``weight_g_idx`` [K]. The others:
  ``weight`` int8 or float8 [N, K], ``weight_scale`` [N, K/g], [N, 1] or [1].
- FP8: ``weight`` float8 [N, K] times ``weight_scale_inv``, a scale a block (DeepSeek-V3) or a matrix; of FBGEMM times
  ``weight_scale`` [N, 1].
- bitsandbytes: its own functions unpack 4-bit weights; of 8 bits w = q SCB/127 (Dettmers et al., 2022).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from scripts.foundation.errors import StudyError
from scripts.models.packed.forms import Form
from scripts.models.stored_files import weight_files

_AWQ_PLACES = [0, 4, 1, 5, 2, 6, 3, 7]  # where in a word each of eight neighbours lies


@dataclass
class Steps:
    """A weight [N, K] in steps of equal size: w = (q - zero) scale.

    Attributes:
        steps: uint8 [N, K].
        scales: [N, G], in the type in which they are stored.
        zeros: int16 [N, G]: the step that is zero.
        groups: int64 [K]: each column's group, where they are not K/G neighbours each; else None.
    """

    steps: torch.Tensor
    scales: torch.Tensor
    zeros: torch.Tensor
    groups: torch.Tensor | None = None

    def dense(self, dtype: torch.dtype) -> torch.Tensor:
        """The weight, computed in float32, [N, K]."""
        scales, zeros = (self._spread(each.float()) for each in (self.scales, self.zeros))
        return ((self.steps.float() - zeros) * scales).to(dtype).contiguous()

    def _spread(self, each: torch.Tensor) -> torch.Tensor:
        """From [N, G] to [N, K]."""
        if self.groups is not None:
            return each[:, self.groups]
        return each.repeat_interleave(self.steps.shape[1] // each.shape[1], dim=1)


class PackedTensors:
    """The parameters of a checkpoint in a quantised form, by the names that dense ones have.

    Args:
        directory: of the checkpoint.
        form: of its linear layers.
    """

    def __init__(self, directory: Path, form: Form) -> None:
        from safetensors import safe_open

        self.directory, self.form = directory, form
        self._files: dict[str, Path] = {}
        for path in weight_files(directory):
            with safe_open(path, framework="pt") as file:
                self._files |= dict.fromkeys(file.keys(), path)
        held = (form.holds(name) for name in self._files)
        self.names = list(dict.fromkeys(name for name in held if name is not None))

    def read(self, name: str, dtype: torch.dtype) -> torch.Tensor:
        """A parameter, dequantised; floating point in ``dtype``.

        Raises:
            StudyError: what is stored does not fit together.
        """
        with _in_words(self.directory, name):
            if not self._is_packed(name):
                tensor = self._tensor(name)
                return tensor.to(dtype) if tensor.is_floating_point() else tensor
            if self._layout() in _STEPS:
                return _STEPS[self._layout()](self._parts(name), self.form).dense(dtype)
            return _DENSE[self._layout()](self._parts(name), self.form, dtype)

    def steps(self, name: str) -> Steps | None:
        """A weight as it is stored; None where it is dense, or not in steps.

        Raises:
            StudyError: what is stored does not fit together.
        """
        if self._layout() not in _STEPS or not self._is_packed(name):
            return None
        with _in_words(self.directory, name):
            return _STEPS[self._layout()](self._parts(name), self.form)

    def _layout(self) -> str:
        return self.form.method if self.form.layout != "pack-quantized" else self.form.layout

    def _is_packed(self, name: str) -> bool:
        return any(each in self._files for each in self.form.scales_of(name)) if name.endswith(".weight") else False

    def _tensor(self, name: str) -> torch.Tensor:
        from safetensors import safe_open

        # Not kept open: the pages that were read would stay the process's.
        with safe_open(self._files[name], framework="pt") as file:
            return file.get_tensor(name)

    def _parts(self, name: str) -> Callable[[str], torch.Tensor | None]:
        """Reads what is stored of a layer by its last name; None where there is none such."""
        layer = name.removesuffix("weight")
        return lambda part: self._tensor(layer + part) if layer + part in self._files else None


class _in_words:
    """Says in a sentence that tensors don't fit together."""

    def __init__(self, directory: Path, name: str) -> None:
        self.where = f"{directory}: the stored form of {name}"

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, RuntimeError | AttributeError | IndexError | KeyError | ValueError | TypeError):
            raise StudyError(
                f"{self.where} does not fit its quantization_config ({str(error).splitlines()[0][:120]}); fetch the "
                "checkpoint again."
            ) from None


def unpacked(words: torch.Tensor, bits: int) -> torch.Tensor:
    """The unsigned numbers in words of 32 bits, lowest bits first: int32 [..., W] -> uint8 [..., W 32/bits]."""
    shifts = torch.arange(0, 32, bits, dtype=torch.int32)
    return ((words[..., None] >> shifts) & ((1 << bits) - 1)).to(torch.uint8).flatten(-2)


def _awq(part: Callable[[str], Any], form: Form) -> Steps:
    def columns(words: torch.Tensor) -> torch.Tensor:
        return unpacked(words, 4).unflatten(-1, (-1, 8))[..., _AWQ_PLACES].flatten(-2)

    steps, scales = columns(part("qweight")).T, part("scales").T
    zeros = columns(part("qzeros")).T.to(torch.int16)
    return Steps(steps, scales, zeros)


def _gptq(part: Callable[[str], Any], form: Form) -> Steps:
    steps, scales = unpacked(part("qweight").T, form.bits), part("scales").T
    zeros = unpacked(part("qzeros"), form.bits).T.to(torch.int16)
    if form.zeros_less_one:
        zeros = (zeros + 1) & ((1 << form.bits) - 1)
    return Steps(steps, scales, zeros, _scattered(part("g_idx"), steps.shape[1], scales.shape[1]))


def _pack_quantized(part: Callable[[str], Any], form: Form) -> Steps:
    rows, width = part("weight_shape").tolist()
    steps, scales = unpacked(part("weight_packed"), form.bits)[:, :width], part("weight_scale")
    scales = scales.reshape(-1, scales.shape[-1]).expand(rows, -1)
    packed = part("weight_zero_point")
    if packed is None:
        zeros = torch.full(scales.shape, 1 << (form.bits - 1), dtype=torch.int16)
    else:
        zeros = unpacked(packed.T, form.bits).T[:rows].to(torch.int16)
    return Steps(steps, scales, zeros, _scattered(part("weight_g_idx"), width, scales.shape[1]))


def _scattered(groups: torch.Tensor | None, width: int, count: int) -> torch.Tensor | None:
    """Each column's group, or None where groups are neighbours."""
    if groups is None or bool((groups < 0).any()):
        return None
    neighbours = torch.arange(width) // (width // count)
    return None if torch.equal(groups.long(), neighbours) else groups.long()


def _scaled(part: Callable[[str], Any], form: Form, dtype: torch.dtype) -> torch.Tensor:
    """Numbers of 8 bits times their scales, less a zero point where there is one."""
    weight = part("weight").float()
    scales = part("weight_scale") if form.method != "fp8" else part("weight_scale_inv")
    scales, zeros = scales.float(), part("weight_zero_point")
    if form.blocks is not None:
        for dimension, size in enumerate(form.blocks):
            scales = scales.repeat_interleave(size, dim=dimension).narrow(dimension, 0, weight.shape[dimension])
    elif scales.dim() == 2 and scales.shape[1] > 1:
        scales = scales.repeat_interleave(weight.shape[1] // scales.shape[1], dim=1)
    elif scales.dim() == 1 and len(scales) == len(weight):
        scales = scales[:, None]
    if zeros is not None:
        zeros = zeros.float()
        weight = weight - (zeros.repeat_interleave(weight.shape[1] // zeros.shape[1], 1) if zeros.dim() == 2 else zeros)
    return (weight * scales).to(dtype)


def _bitsandbytes(part: Callable[[str], Any], form: Form, dtype: torch.dtype) -> torch.Tensor:
    if form.bits == 8:
        return (part("weight").float() * (part("SCB").float()[:, None] / 127)).to(dtype)
    from bitsandbytes import functional

    kind = f"weight.quant_state.bitsandbytes__{form.layout}"
    names = [f"weight.{name}" for name in ("absmax", "quant_map", "nested_absmax", "nested_quant_map")]
    parts = {name: part(name) for name in [*names, kind] if part(name) is not None}
    shape = json.loads(bytes(parts[kind].tolist()))["shape"]
    state = functional.QuantState.from_dict(parts, device=torch.device("cpu"))
    state.dtype = torch.float32
    return functional.dequantize_4bit(part("weight"), state).reshape(shape).to(dtype)


_STEPS = {"awq": _awq, "gptq": _gptq, "pack-quantized": _pack_quantized}
_DENSE = {
    "compressed-tensors": _scaled, "fp8": _scaled, "fbgemm_fp8": _scaled, "bitsandbytes": _bitsandbytes,
}  # fmt: skip
