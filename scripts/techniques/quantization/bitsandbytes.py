"""8-bit and 4-bit weights through bitsandbytes.

``int8``: LLM.int8() (Dettmers et al., 2022): inputs with an outlier above ``threshold`` are multiplied in 16 bits.
``nf4``: 4-bit NormalFloat in blocks of 64 (QLoRA; Dettmers et al., 2023), computed in ``compute_dtype``;
``double_quantization`` also quantises the blocks' scales. Embeddings and output head stay as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scripts.runtime.errors import EvidenceError, UnsupportedError
from scripts.runtime.generation import Observation
from scripts.runtime.layers import linear_layers
from scripts.runtime.models import Loaded, Process
from scripts.techniques.quantization.layers import local_weight, refuse_bias, refuse_none, replace, stored_facts

if TYPE_CHECKING:
    import torch

BLOCK = 64  # weights that share a scale in nf4
CPU_ROWS = 32  # rows that a CPU with AVX512-BF16 multiplies together in nf4

DEFAULTS: dict[str, dict[str, Any]] = {
    "int8": {"method": "int8", "threshold": 6.0},
    "nf4": {"method": "nf4", "double_quantization": False, "compute_dtype": "model"},
}
LIBRARIES = ("bitsandbytes", "transformers.integrations.bitsandbytes")
CLASSES = {"int8": ("Linear8bitLt", "int8"), "nf4": ("Linear4bit", "uint8")}


def load_options(value: dict[str, Any], process: Process, facets: dict[str, Any]) -> dict[str, Any]:
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


def after_load(value: dict[str, Any], loaded: Loaded) -> None:
    """Quantise each rank's shards, since bitsandbytes' packed weights can't be sharded once packed."""
    refuse_none(value["method"], loaded.model)
    if (loaded.facets.get("parallel") or {}).get("tensor", 1) > 1:
        quantize_shards(loaded.model, value, loaded.process)
    else:
        _refuse_left_out(value["method"], loaded.model)
    if value["method"] == "nf4" and loaded.process.device.type == "cpu":
        _check_blocks(loaded.model)


def _refuse_left_out(method: str, model: torch.nn.Module) -> None:
    """transformers leaves linear layers of a class of their own, such as Falcon's, as they are."""
    import torch

    for name, layer in linear_layers(model).items():
        if type(layer) is not torch.nn.Linear and type(layer).__name__ != CLASSES[method][0]:
            raise UnsupportedError(
                f"quantization '{method}': transformers quantises plain linear layers alone, and {name} is a "
                f"{type(layer).__name__}."
            )


def evidence(value: dict[str, Any], loaded: Loaded, seen: Observation) -> dict[str, Any]:
    """How many linear layers are quantised, as what class, with what settings and bytes; the library's version."""
    from importlib.metadata import version

    module_class, stored = CLASSES[value["method"]]
    layers = linear_layers(loaded.model)
    facts = stored_facts(
        value["method"], layers, module_class=module_class, stored=stored, tensor=_packed,
        analytic_bytes=_analytic_bytes,
    )  # fmt: skip
    return facts | {"bitsandbytes": version("bitsandbytes")} | _settings(value, loaded.process, list(layers.values()))


def _settings(value: dict[str, Any], process: Process, layers: list[Any]) -> dict[str, Any]:
    """The method's settings as the layers have them, each equal to what was asked for."""
    if value["method"] == "int8":
        asked = {"threshold": float(value["threshold"])}
        found = [{"threshold": float(layer.state.threshold)} for layer in layers]
        # bitsandbytes multiplies 8-bit weights in float16 whatever the model's own type is.
        more = {"compute_dtype": "float16"}
    else:
        asked = {
            "quant_type": "nf4",
            "block_size": BLOCK,
            "double_quantization": value["double_quantization"],
            "compute_dtype": str(_compute_dtype(value, process.dtype)).removeprefix("torch."),
        }
        states = [layer.weight.quant_state for layer in layers]
        found = [
            {
                "quant_type": state.quant_type,
                "block_size": state.blocksize,
                "double_quantization": _was_nested(state),
                "compute_dtype": str(layer.compute_dtype).removeprefix("torch."),
            }
            for layer, state in zip(layers, states, strict=True)
        ]
        # At their first use, processors with AVX512-BF16 repack weights: the scales become bf16, not quantised in turn,
        # and products are of bf16 whatever the layer's compute_dtype is.
        repacked = any(_is_repacked(state) for state in states)
        more = {"repacked_for_cpu": repacked, "product_dtype": "bfloat16" if repacked else asked["compute_dtype"]}
    for name, wanted in asked.items():
        other = sorted({str(each[name]) for each in found if each[name] != wanted})
        if other:
            raise EvidenceError(
                f"quantization '{value['method']}' asks for {name} {wanted}, but layers have {', '.join(other)}."
            )
    return asked | more


def _is_repacked(state: Any) -> bool:
    return getattr(state, "packing_format_for_cpu", False)


def _was_nested(state: Any) -> bool:
    """Whether the scales were quantised too, as the layer was loaded."""
    return state.original_nested if _is_repacked(state) else state.nested


def _analytic_bytes(layer: Any) -> float:
    """Bytes of what this process holds of a quantised layer, by the method's definition.

    int8: a byte a weight, and a float32 scale a row. nf4: half a byte a weight, a float32 scale a block and a table of
    16 values; with double quantisation a byte a scale, a float32 for each 256 of them, a table of 256 and an offset.
    """
    bias = 0 if layer.bias is None else layer.bias.numel() * layer.bias.element_size()
    state = getattr(layer.weight, "quant_state", None)
    if state is None:
        return _packed(layer).numel() + 4 * _packed(layer).shape[0] + bias
    weights = state.shape.numel()
    blocks = -(-weights // state.blocksize)
    table = 16 * 4
    if _is_repacked(state):
        scales = 2 * blocks
    elif state.nested:
        scales = blocks + 4 * -(-blocks // state.state2.blocksize) + 256 * 4 + 4
    else:
        scales = 4 * blocks
    return weights / 2 + scales + table + bias


def _require_bitsandbytes() -> None:
    from importlib.util import find_spec

    if find_spec("bitsandbytes") is None:
        raise UnsupportedError("bitsandbytes is not installed; install it with envs/requirements.txt.")


def _check_blocks(model: torch.nn.Module) -> None:
    """On a CPU bitsandbytes multiplies whole blocks only; where it repacks weights, of whole groups of rows."""
    layers = linear_layers(model)
    for name, layer in layers.items():
        width = layer.weight.quant_state.shape[1]
        if width % BLOCK:
            raise UnsupportedError(
                f"bitsandbytes multiplies 4-bit weights on a CPU in blocks of {BLOCK}; {name} is {width} wide here."
            )
    for name, layer in layers.items():
        rows = layer.weight.quant_state.shape[0]
        if layer.support_avx512bf16_for_cpu and rows % CPU_ROWS:
            raise UnsupportedError(
                f"bitsandbytes multiplies 4-bit weights on this CPU {CPU_ROWS} rows at a time; {name} has {rows} here."
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
    """Replace every sharded linear layer by a quantised one of this rank's shard, keeping its collectives."""
    import bitsandbytes as bnb
    import torch

    def packed(name: str, layer: torch.nn.Module) -> torch.nn.Module:
        refuse_bias(name, layer)
        shard = local_weight(layer).cpu()
        out_features, in_features = shard.shape
        if value["method"] == "int8":
            made = bnb.nn.Linear8bitLt(
                in_features, out_features, bias=False, has_fp16_weights=False, threshold=value["threshold"]
            )
            made.weight = bnb.nn.Int8Params(shard, requires_grad=False, has_fp16_weights=False)
        else:
            made = bnb.nn.Linear4bit(
                in_features, out_features, bias=False, quant_type="nf4", quant_storage=torch.uint8,
                compute_dtype=_compute_dtype(value, process.dtype), compress_statistics=value["double_quantization"],
            )  # fmt: skip
            made.weight = bnb.nn.Params4bit(
                shard.contiguous(), requires_grad=False, quant_type="nf4",
                compress_statistics=value["double_quantization"], module=made,
            )  # fmt: skip
        return made.to(process.device).eval()

    replace(model, packed)
