"""transformers' quantised cache: what it is asked, which models it fits, and what it held."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from scripts.runtime.caches import held, quantised
from scripts.runtime.errors import EvidenceError, UnsupportedError
from scripts.runtime.models import Loaded
from scripts.techniques.kv_cache.groups import BITS, fits, group_size

FULL = "full_attention"
LAYERS = {"fp8": "Fp8QuantizedLayer", "int8": "HQQQuantizedLayer", "int4": "HQQQuantizedLayer"}


def check_model(value: dict[str, Any], config: Any) -> None:
    """Refuse layers with windows or a state, and groups that don't fill a head."""
    others = sorted(_kinds(config) - {FULL})
    if others:
        raise UnsupportedError(
            f"kv_cache in {value['dtype']}: transformers quantises the cache of full attention alone, and this "
            f"'{config.model_type}' model has {', '.join(others).replace('_', ' ')}."
        )
    if value["dtype"] == "fp8":
        return
    width, heads = _shape(config)
    size = group_size(value["dtype"], value["group_size"], width, heads)
    if not fits(value["dtype"], size, width, heads):
        raise UnsupportedError(
            f"kv_cache in {value['dtype']}: groups of {size} don't fill {heads} heads of {width} numbers"
            f"{' in pairs' if value['dtype'] == 'int4' else ''}; set kv_cache.group_size to another number, or null."
        )


def options(value: dict[str, Any], config: Any) -> dict[str, Any]:
    """Arguments of ``generate``."""
    if value["dtype"] == "fp8":
        return {"cache_implementation": "quantized", "cache_config": {"backend": "fp8"}}
    asked = {
        "backend": "hqq", "nbits": BITS[value["dtype"]], "axis_key": 1, "axis_value": 1,
        "q_group_size": group_size(value["dtype"], value["group_size"], *_shape(config)),
        "residual_length": value["residual_tokens"],
    }  # fmt: skip
    return {"cache_implementation": "quantized", "cache_config": asked}


def facts(value: dict[str, Any], loaded: Loaded, cache: Any) -> dict[str, Any]:
    """Class, bits, group size and bytes, from the tensors of the observed batch's cache.

    Raises:
        EvidenceError: they are not what was asked.
    """
    layer_class, dtype = LAYERS[value["dtype"]], value["dtype"]
    classes = sorted({type(layer).__name__ for layer in cache.layers})
    parts = [quantised(layer, name) for layer in cache.layers for name in ("keys", "values")]
    if classes != [layer_class] or not all(parts):
        raise EvidenceError(f"kv_cache is in {dtype}, but generation kept a {type(cache).__name__} of {classes}.")
    numbers = [_count(part.shape) for part in parts]
    bits = {8 * part.numbers.nbytes / count for part, count in zip(parts, numbers, strict=True)}
    groups = {count / part.scales for part, count in zip(parts, numbers, strict=True)}
    size = None if dtype == "fp8" else group_size(dtype, value["group_size"], *_shape(loaded.model.config))
    if bits != {BITS[dtype]} or (size is not None and groups != {size}):
        raise EvidenceError(
            f"kv_cache is in {dtype}, but a number takes {sorted(bits)} bits, and {sorted(groups)} share a scale."
        )
    found = held(cache)
    sequences, heads, _, width = parts[0].shape
    whole = found.positions * 2 * len(cache.layers) * heads * width * loaded.process.dtype.itemsize
    return {
        "layer_class": layer_class,
        "bits": BITS[dtype],
        "group_size": size,
        "stored_dtype": str(parts[0].numbers.dtype).removeprefix("torch."),
        "quantised_tokens": (found.positions - found.plain_positions) // sequences,
        "tokens_in_model_dtype": found.plain_positions // sequences,
        "cache_bytes": found.bytes,
        "cache_bytes_in_model_dtype": whole,
        "package_version": None if dtype == "fp8" else _version(),
    }


def _count(shape: tuple[int, ...]) -> int:
    count = 1
    for length in shape:
        count *= length
    return count


def _text(config: Any) -> Any:
    """The language model's part; a config.json that was read without transformers is that itself."""
    return config.get_text_config(decoder=True) if hasattr(config, "get_text_config") else config


def _kinds(config: Any) -> set[str]:
    """Kinds of the layers' attention."""
    text = _text(config)
    if hasattr(config, "get_text_config"):
        from transformers.cache_utils import get_layer_types_and_kwargs

        return set(get_layer_types_and_kwargs(text)[0])
    windows = getattr(text, "sliding_window", None) and getattr(text, "use_sliding_window", True)
    return set(getattr(text, "layer_types", None) or (["sliding_attention"] if windows else [FULL]))


def _shape(config: Any) -> tuple[int, int]:
    """Width of a head, and heads of keys and values."""
    text = _text(config)
    width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    return width, getattr(text, "num_key_value_heads", None) or text.num_attention_heads


def _version() -> str | None:
    try:
        return version("hqq")
    except PackageNotFoundError:
        return None
