"""Quantised checkpoints of a tiny dense one, in the layouts in which AWQ, GPTQ and others store them.

Each comes with its twin: the same weights, dequantised, as an ordinary checkpoint.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scripts.foundation import files

GROUP = 64


def compressed(layout: str, bits: int, strategy: str, **weights: Any) -> dict[str, Any]:
    """A ``quantization_config`` of compressed-tensors."""
    scheme = {"num_bits": bits, "type": "float" if layout.startswith("float") else "int", "symmetric": True}
    scheme |= {"strategy": strategy, "group_size": GROUP if strategy == "group" else None} | weights
    group = {"targets": ["Linear"], "weights": scheme, "input_activations": None}
    return {"quant_method": "compressed-tensors", "format": layout, "config_groups": {"group_0": group}, "ignore": []}


CONFIGS: dict[str, dict[str, Any]] = {
    "awq": {"quant_method": "awq", "bits": 4, "group_size": GROUP, "zero_point": True, "version": "gemm"},
    "gptq": {"quant_method": "gptq", "bits": 4, "group_size": GROUP, "sym": True, "desc_act": False},
    "gptq_asymmetric": {"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": False, "desc_act": False},
    "gptq_v2": {
        "quant_method": "gptq", "bits": 4, "group_size": -1, "sym": False, "desc_act": False,
        "checkpoint_format": "gptq_v2",
    },
    "gptq_order": {"quant_method": "gptq", "bits": 4, "group_size": GROUP, "sym": True, "desc_act": True},
    "gptq_small": {"quant_method": "gptq", "bits": 4, "group_size": 32, "sym": True, "desc_act": False},
    "gptq_8": {"quant_method": "gptq", "bits": 8, "group_size": GROUP, "sym": True, "desc_act": False},
    "packed": compressed("pack-quantized", 4, "group"),
    "packed_asymmetric": compressed("pack-quantized", 4, "group", symmetric=False),
    "packed_channel": compressed("pack-quantized", 4, "channel"),
    "int8": compressed("int-quantized", 8, "channel"),
    "float8": compressed("float-quantized", 8, "channel"),
    "fp8": {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [48, 128]},
}  # fmt: skip
FOUR_BIT = [name for name, config in CONFIGS.items() if name in (
    "awq", "gptq", "gptq_asymmetric", "gptq_v2", "packed", "packed_asymmetric", "packed_channel",
)]  # fmt: skip


def make(source: Path, directory: Path, name: str) -> tuple[Path, Path]:
    """Write a checkpoint of that form and its dequantised twin; returns both directories."""
    import torch
    from safetensors.torch import load_file, save_file

    packed, twin = directory / name, directory / f"{name}-dequantised"
    stored, plain = {}, {}
    torch.manual_seed(0)
    for key, tensor in load_file(source / "model.safetensors").items():
        if not key.endswith("proj.weight"):
            stored[key] = plain[key] = tensor
            continue
        parts, dense = _WRITERS[CONFIGS[name]["quant_method"]](tensor, CONFIGS[name])
        stored |= {key.removesuffix("weight") + part: value.contiguous() for part, value in parts.items()}
        plain[key] = dense.contiguous()
    for target, tensors in ((packed, stored), (twin, plain)):
        shutil.copytree(source, target)
        save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    config = files.read_json(packed / "config.json") | {"quantization_config": CONFIGS[name]}
    files.write_json(packed / "config.json", config)
    return packed, twin


def _words(numbers: Any, bits: int, order: list[int] | None = None) -> Any:
    """[..., n] -> int32 [..., n bits/32]: the number at place ``order[i]`` of each word's goes to its i-th bits."""
    import torch

    each = 32 // bits
    word = torch.zeros(*numbers.shape[:-1], numbers.shape[-1] // each, dtype=torch.int64)
    for place in range(each):
        word |= numbers[..., (order[place] if order else place) :: each].long() << (bits * place)
    return torch.where(word >= 1 << 31, word - (1 << 32), word).to(torch.int32)


def _rounded(weight: Any, bits: int, group: int, symmetric: bool, groups: Any = None) -> tuple[Any, Any, Any, Any]:
    """Steps [N, K], scales in float16 and zero points [N, G], and the weight that they stand for."""
    import torch

    width = weight.shape[1]
    group = width if group in (-1, None) else group
    groups = torch.arange(width) // group if groups is None else groups
    top, steps, dense = (1 << bits) - 1, torch.zeros(weight.shape, dtype=torch.int64), torch.zeros_like(weight)
    scales = torch.zeros(len(weight), width // group, dtype=torch.float16)
    zeros = torch.full(scales.shape, 1 << (bits - 1), dtype=torch.int64)
    for number in range(width // group):
        part = weight[:, groups == number]
        low, high = part.amin(1), part.amax(1)
        span = 2 * part.abs().amax(1) if symmetric else high - low
        scale = scales[:, number] = (span / top).half()
        if not symmetric:
            zeros[:, number] = (-low / scale.float()).round().clamp(1, top)
        zero = zeros[:, number, None]
        found = ((part / scale.float()[:, None]).round() + zero).clamp(0, top).long()
        steps[:, groups == number] = found
        dense[:, groups == number] = (found - zero).float() * scale.float()[:, None]
    return steps, scales, zeros, dense


def _awq(weight: Any, config: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    steps, scales, zeros, dense = _rounded(weight, 4, config["group_size"], False)
    order = [0, 2, 4, 6, 1, 3, 5, 7]
    parts = {"qweight": _words(steps.T, 4, order), "qzeros": _words(zeros.T, 4, order), "scales": scales.T}
    return parts, dense


def _gptq(weight: Any, config: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    import torch

    bits, width = config["bits"], weight.shape[1]
    size = width if config["group_size"] == -1 else config["group_size"]
    groups = torch.arange(width) // size
    if config["desc_act"]:
        groups = groups[torch.randperm(width)]
    steps, scales, zeros, dense = _rounded(weight, bits, size, config["sym"], groups)
    stored = zeros if config.get("checkpoint_format") == "gptq_v2" else zeros - 1
    # Words go down the rows of [K, N], and along those of zero points [G, N].
    parts = {"qweight": _words(steps, bits).T, "qzeros": _words(stored.T, bits), "scales": scales.T}
    return parts | {"g_idx": groups.to(torch.int32)}, dense


def _compressed(weight: Any, config: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    import torch

    scheme = config["config_groups"]["group_0"]["weights"]
    if config["format"] == "float-quantized":
        scale = (weight.abs().amax(1, keepdim=True) / 448).half().float()
        number = (weight / scale).clamp(-448, 448).to(torch.float8_e4m3fn)
        return {"weight": number, "weight_scale": scale}, number.float() * scale
    size = scheme["group_size"] or weight.shape[1]
    steps, scales, zeros, dense = _rounded(weight, scheme["num_bits"], size, scheme["symmetric"])
    if config["format"] == "int-quantized":
        return {"weight": (steps - 128).to(torch.int8), "weight_scale": scales}, dense
    parts = {
        "weight_packed": _words(steps, 4), "weight_scale": scales,
        "weight_shape": torch.tensor(weight.shape, dtype=torch.int64),
    }  # fmt: skip
    if not scheme["symmetric"]:
        parts["weight_zero_point"] = _words(zeros.T, 4).T
    return parts, dense


def _fp8(weight: Any, config: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    import torch

    rows, columns = config["weight_block_size"]
    number, dense = torch.zeros(weight.shape, dtype=torch.float8_e4m3fn), torch.zeros_like(weight)
    scales = torch.zeros(-(-weight.shape[0] // rows), -(-weight.shape[1] // columns))
    for row in range(scales.shape[0]):
        for column in range(scales.shape[1]):
            block = slice(row * rows, (row + 1) * rows), slice(column * columns, (column + 1) * columns)
            scale = scales[row, column] = weight[block].abs().max() / 448
            number[block] = (weight[block] / scale).to(torch.float8_e4m3fn)
            dense[block] = number[block].float() * scale
    return {"weight": number, "weight_scale_inv": scales}, dense


_WRITERS: dict[str, Callable[..., tuple[dict[str, Any], Any]]] = {
    "awq": _awq, "gptq": _gptq, "compressed-tensors": _compressed, "fp8": _fp8,
}  # fmt: skip
