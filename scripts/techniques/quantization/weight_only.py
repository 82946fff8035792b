"""Weights stored in 8 or 4 bits, and multiplied in the model's own dtype but where said, without a library.

``int8_weight_only``: a scale a row, by its largest absolute value. ``int4_weight_only``: a scale and a minimum for 64
columns, rounded to nearest (the baseline of GPTQ; Frantar et al., 2023). ``fp8``: float8 e4m3 (Micikevicius et al.,
2022) with a scale a row; GPUs multiply few rows in the model's type and many in fp8, each input row scaled by itself,
and a CPU only stores weights so. Nothing is calibrated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scripts.hardware import sizes
from scripts.runtime.errors import EvidenceError, UnsupportedError
from scripts.runtime.generation import Observation
from scripts.runtime.layers import linear_layers
from scripts.runtime.models import Loaded, Process
from scripts.techniques.quantization.layers import local_weight, refuse_none, replace, stored_facts

if TYPE_CHECKING:
    import torch

LIBRARIES = ("scripts.techniques.quantization.weight_only_linear",)
DEFAULTS: dict[str, dict[str, Any]] = {
    "int8_weight_only": {"method": "int8_weight_only"},
    "int4_weight_only": {"method": "int4_weight_only"},
    "fp8": {"method": "fp8"},
}
# The matrix's kind, its dtype, and the largest share of a weight's norm that rounding may take: of fp8 a half
# step is at most 1/16 of a number; the others depend on how far a row's or group's largest weight stands out.
KINDS = {"int8_weight_only": ("int8", "int8", 0.1), "int4_weight_only": ("int4", "uint8", 0.3),
         "fp8": ("fp8", "float8_e4m3fn", 0.0625)}  # fmt: skip
INT4_WIDTH = 128  # columns of int4 come in pairs of groups of 64
FP8_CAPABILITY = (8, 9)
# A product of stored weights against one in float32: its own rounding, and no more.
PRODUCT_ERRORS = {"float32": 1e-4, "bfloat16": 0.01, "float16": 0.01}
FP8_PRODUCT_ERROR = 0.02  # of inputs in e4m3 too: tensor cores sum them in fewer bits
MOST_ROWS = 512


def load_options(value: dict[str, Any], process: Process, facets: dict[str, Any]) -> dict[str, Any]:
    """None: dense weights are loaded, and replaced layer by layer."""
    if value["method"] == "fp8" and process.device.type == "cuda":
        import torch

        capability = torch.cuda.get_device_capability(process.device)
        if capability < FP8_CAPABILITY:
            raise UnsupportedError(
                f"fp8 weights need a GPU of compute capability {_version(FP8_CAPABILITY)} or above; this one has "
                f"{_version(capability)}."
            )
    return {}


def _version(capability: tuple[int, int]) -> str:
    return ".".join(map(str, capability))


def after_load(value: dict[str, Any], loaded: Loaded) -> None:
    """Quantise every linear layer, or this rank's shard of it; its dense weight is let go before the next."""
    from scripts.techniques.quantization.weight_only_linear import quantised

    refuse_none(value["method"], loaded.model)
    kind = KINDS[value["method"]][0]
    if kind == "int4":
        _check_widths(loaded.model)
    # What the evidence holds the stored weights against.
    rows = loaded.notes["quantization_rows"] = {}

    def made(name: str, layer: torch.nn.Module) -> torch.nn.Module:
        weight = local_weight(layer)
        rows[name] = weight[0].cpu().clone()
        return quantised(weight, None if layer.bias is None else layer.bias.detach(), kind)

    replace(loaded.model, made)


def _check_widths(model: torch.nn.Module) -> None:
    for name, layer in linear_layers(model).items():
        width = local_weight(layer).shape[1]
        if width % INT4_WIDTH:
            raise UnsupportedError(
                f"int4 weights need layers whose width is a multiple of {INT4_WIDTH}; {name} is {width} wide here."
            )


def evidence(value: dict[str, Any], loaded: Loaded, seen: Observation) -> dict[str, Any]:
    """Class, type and bytes of the layers, what rounding took of their weights, and what a product is made of."""
    method, dtype = value["method"], loaded.process.dtype
    kind, stored, largest_error = KINDS[method]
    layers = linear_layers(loaded.model)
    facts = stored_facts(
        method, layers, module_class="WeightOnlyLinear", stored=stored, tensor=lambda layer: layer.data,
        analytic_bytes=lambda layer: _analytic_bytes(layer, method, dtype),
    )  # fmt: skip
    kinds = sorted({layer.kind for layer in layers.values()})
    error = _round_trip_error(layers, loaded.notes.get("quantization_rows", {}))
    if kinds != [kind] or not 0 < error <= largest_error:
        raise EvidenceError(
            f"quantization '{method}' rounds weights by up to {largest_error:.1%}, but layers of {', '.join(kinds)} "
            f"are {error:.2%} off the checkpoint's."
        )
    # Shards have widths of their own, but are groups of as many columns.
    shape = {"group_size": sizes.INT4_GROUP} if kind == "int4" else {"scales": "one a row"}
    return facts | shape | {"round_trip_error": error} | {"products": _products(method, layers, loaded, seen)}


def _analytic_bytes(layer: Any, method: str, dtype: torch.dtype) -> int:
    rows, columns = layer.matrix.shape
    matrix = sizes.Matrix(rows, columns, bias=layer.bias is not None)
    return sizes.matrix_bytes(matrix, {"method": method}, dtype.itemsize)


def _round_trip_error(layers: dict[str, Any], rows: dict[str, torch.Tensor]) -> float:
    """By norm, over the first row of every layer: the stored weight against the checkpoint's, which was kept."""
    if set(layers) != set(rows):
        return float("inf")
    apart = whole = 0.0
    for name, layer in layers.items():
        row = rows[name].float()
        apart += float((layer.first_row().cpu() - row).square().sum())
        whole += float(row.square().sum())
    return (apart / whole) ** 0.5 if whole else 0.0


def _products(method: str, layers: dict[str, Any], loaded: Loaded, seen: Observation) -> dict[str, Any]:
    """Products of the first layer as the model calls it, with as many rows as in a decode step and as in a prompt."""
    layer = next(iter(layers.values()))
    counts = {"decode": seen.requests, "prompt": min(seen.requests * seen.prompt_tokens, MOST_ROWS)}
    return {name: _product(method, layer, count, loaded) for name, count in counts.items()}


def _product(method: str, layer: Any, rows: int, loaded: Loaded) -> dict[str, Any]:
    """How a product is made, by what it takes and gives.

    On a GPU its memory tells whether the weight is written out, which takes room for all of it. Its error tells whether
    inputs are rounded to 8 bits first, as they are for products of many rows in fp8.
    """
    import torch
    from torch.nn.functional import linear

    from scripts.kernels.matrix import quantize

    dtype, device = loaded.process.dtype, loaded.process.device
    name = str(dtype).removeprefix("torch.")
    x = torch.randn(rows, layer.matrix.shape[1], generator=torch.Generator().manual_seed(0)).to(device, dtype)
    forward = type(layer).forward  # without the collectives that a shard's own has
    with torch.inference_mode():
        y = forward(layer, x)  # compiled, if it is to be
        workspace = None
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            before = torch.cuda.memory_allocated(device)
            y = forward(layer, x)
            workspace = torch.cuda.max_memory_allocated(device) - before - y.nbytes
        weight = layer.matrix.dense(torch.float32)
        bias = None if layer.bias is None else layer.bias.float()
        inputs = {name: (x.float(), PRODUCT_ERRORS[name])}
        if method == "fp8":
            inputs["float8_e4m3fn"] = (quantize(x, "fp8").dense(torch.float32), FP8_PRODUCT_ERROR)
        errors = {}
        for kind, (given, _) in inputs.items():
            exact = linear(given, weight, bias)
            errors[kind] = float((y.float() - exact).norm() / exact.norm().clamp(min=1e-30))
    found = next((kind for kind, (_, largest) in inputs.items() if errors[kind] <= largest), None)
    if found is None:
        raise EvidenceError(
            f"quantization '{method}' multiplies the stored weights, but a product is {min(errors.values()):.2%} off "
            "theirs."
        )
    path = "triton kernel" if found == name else "fp8 tensor cores"
    if workspace is None or workspace >= weight.numel() * dtype.itemsize:
        path = "torch, dequantised"
    return {"rows": rows, "path": path, "inputs": found, "error": errors[found], "workspace_bytes": workspace}
