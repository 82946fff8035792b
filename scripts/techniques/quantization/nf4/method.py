"""4-bit NormalFloat in blocks of 64 (QLoRA; Dettmers et al., 2023), computed in ``compute_dtype``.

``double_quantization`` also quantises the blocks' scales.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from scripts.runtime.errors import UnsupportedError
from scripts.runtime.layers import linear_layers
from scripts.runtime.place import Place
from scripts.techniques.quantization.bitsandbytes import BitsAndBytesMethod, bias_bytes

if TYPE_CHECKING:
    import torch

    from scripts.runtime.models import Process

BLOCK = 64  # weights that share a scale
CPU_ROWS = 32  # rows that a CPU with AVX512-BF16 multiplies together


class NF4(BitsAndBytesMethod):
    """Half a byte a weight, and a scale a block."""

    defaults: ClassVar[dict[str, Any]] = {"double_quantization": False, "compute_dtype": "model"}
    module_class = "Linear4bit"
    stored = "uint8"

    def config(self, value: dict[str, Any], dtype: torch.dtype) -> dict[str, Any]:
        """4 bits, and how they are stored and multiplied."""
        return {
            "load_in_4bit": True,
            "bnb_4bit_quant_type": "nf4",
            "bnb_4bit_use_double_quant": value["double_quantization"],
            "bnb_4bit_compute_dtype": _compute_dtype(value, dtype),
        }

    def quantized(self, value: dict[str, Any], shard: torch.Tensor, dtype: torch.dtype) -> torch.nn.Module:
        """A Linear4bit without a bias."""
        import bitsandbytes as bnb
        import torch

        out_features, in_features = shard.shape
        made = bnb.nn.Linear4bit(
            in_features, out_features, bias=False, quant_type="nf4", quant_storage=torch.uint8,
            compute_dtype=_compute_dtype(value, dtype), compress_statistics=value["double_quantization"],
        )  # fmt: skip
        made.weight = bnb.nn.Params4bit(
            shard.contiguous(), requires_grad=False, quant_type="nf4",
            compress_statistics=value["double_quantization"], module=made,
        )  # fmt: skip
        return made

    def check_shapes(self, value: dict[str, Any], shapes: dict[str, tuple[int, int]], place: Place) -> None:
        """On a CPU bitsandbytes multiplies whole blocks only."""
        for name, (_, width) in shapes.items():
            if place.device == "cpu" and width % BLOCK:
                raise UnsupportedError(
                    f"bitsandbytes multiplies 4-bit weights on a CPU in blocks of {BLOCK}; {name} is {width} wide here."
                )

    def check_layers(self, model: torch.nn.Module, process: Process) -> None:
        """Where it repacks weights, a CPU multiplies whole groups of rows only."""
        if process.device.type != "cpu":
            return
        layers = linear_layers(model)
        shapes = {name: tuple(layer.weight.quant_state.shape) for name, layer in layers.items()}
        self.check_shapes({}, shapes, Place("cpu"))
        for name, layer in layers.items():
            rows = layer.weight.quant_state.shape[0]
            if layer.support_avx512bf16_for_cpu and rows % CPU_ROWS:
                raise UnsupportedError(
                    f"bitsandbytes multiplies 4-bit weights on this CPU {CPU_ROWS} rows at a time; {name} has {rows} "
                    "here."
                )

    def asked(self, value: dict[str, Any], dtype: torch.dtype) -> dict[str, Any]:
        """Type, blocks, whether scales are quantised too, and the type of products."""
        return {
            "quant_type": "nf4",
            "block_size": BLOCK,
            "double_quantization": value["double_quantization"],
            "compute_dtype": str(_compute_dtype(value, dtype)).removeprefix("torch."),
        }

    def found(self, layer: Any) -> dict[str, Any]:
        """The same of a layer, as it was loaded."""
        state = layer.weight.quant_state
        return {
            "quant_type": state.quant_type,
            "block_size": state.blocksize,
            "double_quantization": state.original_nested if _is_repacked(state) else state.nested,
            "compute_dtype": str(layer.compute_dtype).removeprefix("torch."),
        }

    def further_facts(self, asked: dict[str, Any], layers: list[Any]) -> dict[str, Any]:
        """Whether the processor has the weights repacked.

        At their first use, processors with AVX512-BF16 repack weights: the scales become bf16, not quantised in turn,
        and products are of bf16 whatever the layer's compute_dtype is.
        """
        repacked = any(_is_repacked(layer.weight.quant_state) for layer in layers)
        return {"repacked_for_cpu": repacked, "product_dtype": "bfloat16" if repacked else asked["compute_dtype"]}

    def analytic_bytes(self, layer: Any) -> float:
        """Half a byte a weight, a float32 scale a block and a table of 16 values.

        With double quantisation a byte a scale, a float32 for each 256 of them, a table of 256 and an offset.
        """
        state = layer.weight.quant_state
        weights = state.shape.numel()
        blocks = -(-weights // state.blocksize)
        if _is_repacked(state):
            scales = 2 * blocks
        elif state.nested:
            scales = blocks + 4 * -(-blocks // state.state2.blocksize) + 256 * 4 + 4
        else:
            scales = 4 * blocks
        return weights / 2 + scales + 16 * 4 + bias_bytes(layer)


def _is_repacked(state: Any) -> bool:
    return getattr(state, "packing_format_for_cpu", False)


def _compute_dtype(value: dict[str, Any], model_dtype: torch.dtype) -> torch.dtype:
    import torch

    return model_dtype if value["compute_dtype"] == "model" else getattr(torch, value["compute_dtype"])


METHOD = NF4()
