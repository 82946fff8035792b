"""Weight-only quantisation: 8-bit or 4-bit weights, multiplied by the project's own kernels.

Products are computed in the model's dtype unless a method says otherwise. Weights are rounded to nearest, without
calibration.
"""

from __future__ import annotations

from abc import ABC
from typing import TYPE_CHECKING, Any

from scripts.runtime.errors import EvidenceError
from scripts.runtime.layers import linear_layers
from scripts.runtime.place import Place
from scripts.techniques.methods import Method
from scripts.techniques.quantization.layers import (
    local_weight,
    part_of,
    refuse_no_layers,
    refuse_scattered,
    replace,
    stored_facts,
)

if TYPE_CHECKING:
    import torch

    from scripts.runtime.generation import Observation
    from scripts.runtime.models import Loaded

# A product of stored weights against one in float32: its own rounding, and no more.
PRODUCT_ERRORS = {"float32": 1e-4, "bfloat16": 0.01, "float16": 0.01}
MAX_ROWS = 512


class WeightOnlyMethod(Method, ABC):
    """A method whose layers are of the project's own class; the base stores a scale a row.

    Attributes:
        matrix_kind: how ``scripts.kernels.matrix`` names it.
        stored: dtype of the stored weights.
        largest_error: the largest share of a weight's norm that rounding may take.
        quantized_inputs: the name of the inputs' 8-bit dtype and the error of their products, where a product of many
            rows has its inputs rounded too.
        takes_steps: whether 4-bit steps of a quantised checkpoint are stored as they are.
    """

    matrix_kind: str
    stored: str
    largest_error: float
    quantized_inputs: tuple[str, float] | None = None
    takes_steps = False

    def libraries(self, value: Any) -> tuple[str, ...]:
        """The module of the layer, which imports torch and the kernels."""
        return ("scripts.techniques.quantization.weight_only_linear",)

    def analytic_bytes(self, rows: int, columns: int, size: int) -> int:
        """Bytes of a stored weight without its bias, of a model whose dtype has ``size`` bytes."""
        return rows * columns + rows * 4

    def layout(self) -> dict[str, Any]:
        """What shares a scale, for the evidence."""
        return {"scales": "one a row"}

    def after_load(self, value: Any, loaded: Loaded) -> None:
        """Quantise every linear layer, or this rank's shard of it; its dense weight is freed before the next.

        Weights that the checkpoint stores in 4-bit steps, and that no facet has changed, are not rounded again.
        """
        from scripts.techniques.quantization import weight_only_linear

        refuse_no_layers(value["method"], loaded.model)
        layers = linear_layers(loaded.model)
        shapes = {name: tuple(local_weight(layer).shape) for name, layer in layers.items()}
        self.check_shapes(value, shapes, Place(loaded.process.device.type))
        del layers  # each is freed as it is replaced
        # Kept for the evidence's round-trip error.
        rows = loaded.notes["quantization_rows"] = {}
        packed = loaded.notes.get("packed") if self.takes_steps else None
        taken = loaded.notes["from_checkpoint"] = []

        def made(name: str, layer: torch.nn.Module) -> torch.nn.Module:
            weight = local_weight(layer)
            rows[name] = weight[0].cpu().clone()
            bias = None if layer.bias is None else layer.bias.detach()
            stored = packed and packed.steps(loaded.notes["stored_names"][f"{name}.weight"])
            if not stored:
                return weight_only_linear.quantised(weight, bias, self.matrix_kind)
            refuse_scattered(name, stored)
            taken.append(name)
            return weight_only_linear.of_checkpoint(stored, bias, weight.dtype, weight.device, part_of(layer))

        replace(loaded.model, made)

    def evidence(self, value: Any, loaded: Loaded, seen: Observation) -> dict[str, Any]:
        """Class, type and bytes of the layers, what rounding took of their weights, and what a product is made of."""
        method, size = value["method"], loaded.process.dtype.itemsize
        layers = linear_layers(loaded.model)

        def analytic(layer: Any) -> int:
            rows, columns = layer.matrix.shape
            return self.analytic_bytes(rows, columns, size) + (rows * size if layer.bias is not None else 0)

        facts = stored_facts(
            method, layers, module_class="WeightOnlyLinear", stored=self.stored, tensor=lambda layer: layer.data,
            analytic_bytes=analytic,
        )  # fmt: skip
        kinds = sorted({layer.kind for layer in layers.values()})
        error = _round_trip_error(layers, loaded.notes.get("quantization_rows", {}))
        taken = loaded.notes.get("from_checkpoint", [])
        # What is not rounded again differs by the rounding of scales and minima alone; and weights that were rounded
        # before may lie on the very steps.
        whole = len(taken) == len(layers)
        largest = PRODUCT_ERRORS[str(loaded.process.dtype).removeprefix("torch.")] if whole else self.largest_error
        if kinds != [self.matrix_kind] or not error <= largest:
            raise EvidenceError(
                f"quantization '{method}' rounds weights by up to {largest:.{2 if whole else 1}%}, but layers of "
                f"{', '.join(kinds)} are {error:.2%} off the checkpoint's."
            )
        layer = next(iter(layers.values()))
        # The first layer as the model calls it, with as many rows as in a decode step and as in a prompt.
        counts = {"decode": seen.requests, "prompt": min(seen.requests * seen.prompt_tokens, MAX_ROWS)}
        products = {name: self._product(method, layer, count, loaded) for name, count in counts.items()}
        if taken:
            facts |= {"layers_from_checkpoint": len(taken), "checkpoint_form": loaded.notes["packed"].form.label}
        return facts | self.layout() | {"round_trip_error": error, "products": products}

    def _product(self, method: str, layer: Any, rows: int, loaded: Loaded) -> dict[str, Any]:
        """How a product is computed, inferred from its memory and error.

        On a GPU its memory tells whether the weight is dequantized, which takes room for all of it. Its error tells
        whether inputs are rounded to 8 bits first.
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
            if self.quantized_inputs is not None:
                kind, largest = self.quantized_inputs
                inputs[kind] = (quantize(x, self.matrix_kind).dense(torch.float32), largest)
            errors = {}
            for kind, (given, _) in inputs.items():
                exact = linear(given, weight, bias)
                errors[kind] = float((y.float() - exact).norm() / exact.norm().clamp(min=1e-30))
        found = next((kind for kind, (_, largest) in inputs.items() if errors[kind] <= largest), None)
        if found is None:
            raise EvidenceError(
                f"quantization '{method}' multiplies the stored weights, but a product is {min(errors.values()):.2%} "
                "off theirs."
            )
        path = "triton kernel" if found == name else "fp8 tensor cores"
        if workspace is None or workspace >= weight.numel() * dtype.itemsize:
            path = "torch, dequantised"
        return {"rows": rows, "path": path, "inputs": found, "error": errors[found], "workspace_bytes": workspace}


def _round_trip_error(layers: dict[str, Any], rows: dict[str, torch.Tensor]) -> float:
    """By norm, over the first row of every layer: the stored weight against the checkpoint's, which was kept."""
    if set(layers) != set(rows):
        return float("inf")
    error = whole = 0.0
    for name, layer in layers.items():
        row = rows[name].float()
        error += float((layer.first_row().cpu() - row).square().sum())
        whole += float(row.square().sum())
    return (error / whole) ** 0.5 if whole else 0.0
