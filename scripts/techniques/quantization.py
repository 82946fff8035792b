"""Facet ``quantization``: 8-bit and 4-bit weights through bitsandbytes.

``int8``: LLM.int8() (Dettmers et al., 2022): inputs with an outlier above ``threshold`` are multiplied in 16 bits.
``nf4``: 4-bit NormalFloat in blocks of 64 (QLoRA; Dettmers et al., 2023), computed in ``compute_dtype``;
``double_quantization`` also quantises the blocks' scales. Embeddings and output head stay as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scripts.foundation.errors import StudyError
from scripts.techniques.facet import EvidenceError, Facet, Loaded, Observation, Process, UnsupportedError, linear_layers

if TYPE_CHECKING:
    import torch

BLOCK = 64  # weights that share a scale in nf4

DEFAULTS: dict[str, dict[str, Any]] = {
    "int8": {"method": "int8", "threshold": 6.0},
    "nf4": {"method": "nf4", "double_quantization": False, "compute_dtype": "model"},
}


class Quantization(Facet):
    """``none | int8 | nf4``, or an object with ``method`` and its options."""

    name = "quantization"

    def resolve(self, value: Any) -> Any:
        """Spell out the shorthand and fill in the method's defaults."""
        if value in (None, "none"):
            return None
        given = value if isinstance(value, dict) else {"method": value}
        method = given.get("method")
        if method not in DEFAULTS:
            raise StudyError(f"quantization method {method!r} does not exist; use 'none', 'int8' or 'nf4'.")
        unknown = sorted(set(given) - set(DEFAULTS[method]))
        if unknown:
            raise StudyError(
                f"quantization '{method}' has no option '{unknown[0]}'; it has {', '.join(DEFAULTS[method])}."
            )
        return DEFAULTS[method] | given

    def load_options(self, value: Any, process: Process, facets: dict[str, Any]) -> dict[str, Any]:
        """A BitsAndBytesConfig; a tensor-parallel model is quantised shard by shard after loading instead."""
        _require_bitsandbytes()
        if (facets.get("parallel") or {}).get("tensor", 1) > 1:
            return {}
        from transformers import BitsAndBytesConfig

        if value["method"] == "int8":
            return {"quantization_config": BitsAndBytesConfig(load_in_8bit=True, llm_int8_threshold=value["threshold"])}
        return {
            "quantization_config": BitsAndBytesConfig(
                load_in_4bit=True,
                bnb_4bit_quant_type="nf4",
                bnb_4bit_use_double_quant=value["double_quantization"],
                bnb_4bit_compute_dtype=_compute_dtype(value, process.dtype),
            )
        }

    def after_load(self, value: Any, loaded: Loaded) -> None:
        """Quantise each rank's shards, since bitsandbytes' packed weights can't be sharded once packed."""
        if (loaded.facets.get("parallel") or {}).get("tensor", 1) > 1:
            quantize_shards(loaded.model, value, loaded.process)
        if value["method"] == "nf4" and loaded.process.device.type == "cpu":
            _check_blocks(loaded.model)

    def evidence(self, value: Any, loaded: Loaded, seen: Observation) -> dict[str, Any]:
        """How many linear layers are quantised, as what class, element type and bytes, and the library's version."""
        from importlib.metadata import version

        from scripts.inference.memory import module_bytes

        wanted = {"int8": "Linear8bitLt", "nf4": "Linear4bit"}[value["method"]]
        layers = linear_layers(loaded.model)
        quantised = {name: layer for name, layer in layers.items() if type(layer).__name__ == wanted}
        types = sorted({str(_packed(layer).dtype).removeprefix("torch.") for layer in quantised.values()})
        facts = {
            "module_class": wanted,
            "quantized_modules": len(quantised),
            "linear_modules": len(layers),
            "stored_dtypes": types,
            "stored_bytes": sum(module_bytes(layer) for layer in quantised.values()),
            "weights": sum(layer.in_features * layer.out_features for layer in quantised.values()),
            # bitsandbytes multiplies 8-bit weights in float16 whatever the model's own type is.
            "compute_dtype": "float16"
            if value["method"] == "int8"
            else str(_compute_dtype(value, loaded.process.dtype)).removeprefix("torch."),
            "bitsandbytes": version("bitsandbytes"),
        }
        stored = {"int8": "int8", "nf4": "uint8"}[value["method"]]
        if not layers or len(quantised) != len(layers) or types != [stored]:
            raise EvidenceError(
                f"quantization '{value['method']}' asks for {len(layers)} layers of {wanted} stored as {stored}, but "
                f"{len(quantised)} are, stored as {', '.join(types) or 'nothing'}."
            )
        return facts


def _require_bitsandbytes() -> None:
    from importlib.util import find_spec

    if find_spec("bitsandbytes") is None:
        raise UnsupportedError("bitsandbytes is not installed; install it with envs/requirements.txt.")


def _check_blocks(model: torch.nn.Module) -> None:
    """On a CPU bitsandbytes multiplies whole blocks only."""
    for name, layer in linear_layers(model).items():
        width = layer.weight.quant_state.shape[1]
        if width % BLOCK:
            raise UnsupportedError(
                f"bitsandbytes multiplies 4-bit weights on a CPU in blocks of {BLOCK}; {name} is {width} wide here."
            )


def _compute_dtype(value: dict[str, Any], model_dtype: torch.dtype) -> torch.dtype:
    import torch

    return model_dtype if value["compute_dtype"] == "model" else getattr(torch, value["compute_dtype"])


def _packed(layer: torch.nn.Module) -> torch.Tensor:
    """The tensor that holds a quantised layer's weights; int8 keeps it in the layer's state after its first use."""
    state = getattr(layer, "state", None)
    packed = getattr(state, "CB", None) if state is not None else None
    return packed if packed is not None else layer.weight.data


def quantize_shards(model: torch.nn.Module, value: dict[str, Any], process: Process) -> None:
    """Replace every sharded linear layer by a quantised one of this rank's shard, keeping its collectives.

    A column-wise layer holds rows of the weight [out/n, in], a row-wise one columns [out, in/n], whose partial
    products are summed over the ranks by the forward that transformers' parallel style installs.
    """
    import bitsandbytes as bnb
    import torch
    from transformers.distributed.tensor_parallel import ALL_PARALLEL_STYLES

    for name, layer in linear_layers(model).items():
        if layer.bias is not None:
            raise UnsupportedError(f"quantised shards have no bias, but {name} has one; run it on one device.")
        placement = layer.weight.placements[0]
        shard = layer.weight.to_local().detach()
        out_features, in_features = shard.shape
        if value["method"] == "int8":
            packed = bnb.nn.Linear8bitLt(
                in_features, out_features, bias=False, has_fp16_weights=False, threshold=value["threshold"]
            )
            packed.weight = bnb.nn.Int8Params(shard.cpu(), requires_grad=False, has_fp16_weights=False)
        else:
            packed = bnb.nn.Linear4bit(
                in_features, out_features, bias=False, quant_type="nf4", quant_storage=torch.uint8,
                compute_dtype=_compute_dtype(value, process.dtype), compress_statistics=value["double_quantization"],
            )  # fmt: skip
            packed.weight = bnb.nn.Params4bit(
                shard.cpu().contiguous(), requires_grad=False, quant_type="nf4",
                compress_statistics=value["double_quantization"], module=packed,
            )  # fmt: skip
        packed = packed.to(process.device).eval()
        # The style reads the widths of the whole layer, and must see a plain local layer.
        packed.in_features, packed.out_features = layer.in_features, layer.out_features
        packed._hf_quantized_needs_local_tp = True
        ALL_PARALLEL_STYLES["colwise" if placement.dim == 0 else "rowwise"].install_forward(
            packed, layer.weight.device_mesh
        )
        parent, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(parent), attribute, packed)


FACET = Quantization()
