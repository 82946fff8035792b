"""LLM.int8() (Dettmers et al., 2022): inputs with an outlier above ``threshold`` are multiplied in 16 bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from scripts.techniques.quantization.bitsandbytes import BitsAndBytesMethod, bias_bytes, packed_weight

if TYPE_CHECKING:
    import torch


class Int8(BitsAndBytesMethod):
    """A byte a weight, and a float32 scale a row."""

    defaults: ClassVar[dict[str, Any]] = {"threshold": 6.0}
    module_class = "Linear8bitLt"
    stored = "int8"

    def config(self, value: dict[str, Any], dtype: torch.dtype) -> dict[str, Any]:
        """8 bits, and the threshold."""
        return {"load_in_8bit": True, "llm_int8_threshold": value["threshold"]}

    def quantized(self, value: dict[str, Any], shard: torch.Tensor, dtype: torch.dtype) -> torch.nn.Module:
        """A Linear8bitLt without a bias."""
        import bitsandbytes as bnb

        out_features, in_features = shard.shape
        made = bnb.nn.Linear8bitLt(
            in_features, out_features, bias=False, has_fp16_weights=False, threshold=value["threshold"]
        )
        made.weight = bnb.nn.Int8Params(shard, requires_grad=False, has_fp16_weights=False)
        return made

    def asked(self, value: dict[str, Any], dtype: torch.dtype) -> dict[str, Any]:
        """The threshold."""
        return {"threshold": float(value["threshold"])}

    def found(self, layer: Any) -> dict[str, Any]:
        """The threshold that the layer multiplies with."""
        return {"threshold": float(layer.state.threshold)}

    def further_facts(self, asked: dict[str, Any], layers: list[Any]) -> dict[str, Any]:
        """bitsandbytes multiplies 8-bit weights in float16 whatever the model's own type is."""
        return {"compute_dtype": "float16"}

    def analytic_bytes(self, layer: Any) -> float:
        """A byte a weight, and a float32 scale a row."""
        packed = packed_weight(layer)
        return packed.numel() + 4 * packed.shape[0] + bias_bytes(layer)


METHOD = Int8()
