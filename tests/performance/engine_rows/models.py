"""Models of random weights made on the device, and the engine and stock ``generate`` over them."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from scripts.foundation import files
from scripts.hardware import datasheet
from scripts.inference.timed_loop import Stops, generation_config
from scripts.kernels.matrix import quantize
from scripts.runtime.layers import linear_layers
from scripts.runtime.models import Loaded, Process
from scripts.runtime.timing import synchronise
from scripts.techniques.engine.facet import FACET
from scripts.techniques.quantization.layers import replace
from scripts.techniques.quantization.weight_only_linear import quantised

SHAPES = Path(__file__).resolve().parents[3] / "config" / "architectures"
ONE, EIGHT = "llama-3.2-1b", "llama-3.1-8b"
PROMPT_TOKENS, NEW_TOKENS, PAD = 80, 16, 0
QUANTISED = ("int8", "int4", "fp8")


@dataclass(frozen=True)
class Place:
    """Where is measured and how long."""

    device: torch.device
    rounds: int
    quick: bool


def config_of(shape: str, **changes: Any) -> LlamaConfig:
    """The configuration of a shape, changed where given."""
    settings = files.read_json(SHAPES / f"{shape}.json")
    return LlamaConfig(**{key: value for key, value in settings.items() if key != "torch_dtype"} | changes)


def small_config(**changes: Any) -> LlamaConfig:
    """The built-in ``small`` shape."""
    settings = {
        "vocab_size": 4096, "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 4, "head_dim": 32, "max_position_embeddings": 512,
        "initializer_range": 0.1, "tie_word_embeddings": True,
    }  # fmt: skip
    return LlamaConfig(**settings | changes)


def head_width(config: LlamaConfig) -> int:
    """Numbers of an attention head."""
    return getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads


def random_model(config: LlamaConfig, device: torch.device, dtype: torch.dtype, seed: int = 0) -> LlamaForCausalLM:
    """A model of random weights, made where it will run."""
    torch.manual_seed(seed)
    usual = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            model = LlamaForCausalLM(config)
    finally:
        torch.set_default_dtype(usual)
    # End tokens of the shape's own would end a sample early.
    model.generation_config = generation_config(NEW_TOKENS, Stops.none(), PAD)
    return model.eval().requires_grad_(False)


def stored(model: LlamaForCausalLM, kind: str) -> LlamaForCausalLM:
    """The model with its linear layers stored in that form, in place; the head is left as it is."""
    replace(model, lambda name, layer: quantised(layer.weight.detach(), layer.bias, kind))
    return model


def dequantize(model: LlamaForCausalLM, kind: str, dtype: torch.dtype) -> LlamaForCausalLM:
    """The same weights after rounding as dense ones of that type, in place, for stock ``generate``."""
    weights = {name: quantize(layer.weight, kind).dense(dtype) for name, layer in linear_layers(model).items()}
    model.to(dtype)
    for name, layer in linear_layers(model).items():
        layer.weight.copy_(weights[name])
    return model


def engine(
    model: LlamaForCausalLM, batches: list[list[list[int]]], new_tokens: int = NEW_TOKENS, *,
    shared_prefix: bool = False, draft: LlamaForCausalLM | None = None, facets: dict[str, Any] | None = None,
    process: Process | None = None,
) -> Any:  # fmt: skip
    """The graph engine, ready for those batches of prompts."""
    weight = model.lm_head.weight
    value = {"name": "graph", "shared_prefix": shared_prefix}
    loaded = Loaded(
        model, process or Process(weight.device, weight.dtype), {"engine": value} | (facets or {}), draft=draft
    )
    loaded.generator = FACET.generator(value, loaded, PAD)
    loaded.generator.reserve(batches, new_tokens)
    loaded.generator.limit(new_tokens, [])
    return loaded.generator


def prompt(length: int = PROMPT_TOKENS, *, vocabulary: int, seed: int = 0) -> list[int]:
    """Random token ids."""
    return random.Random(seed).choices(range(1, vocabulary), k=length)


def sample(generator: Any, prompts: list[list[int]]) -> Callable[[], dict[str, float]]:
    """What times a batch with the engine: until its last token, its first, a step between them, and all work."""

    def side() -> dict[str, float]:
        synchronise(generator.device)
        began = time.perf_counter()
        moments = generator.generate(prompts).moments
        synchronise(generator.device)
        ended = time.perf_counter()
        step = (moments[-1] - moments[0]) / (len(moments) - 1)
        return {"whole": moments[-1] - began, "first": moments[0] - began, "step": step, "done": ended - began}

    return side


def stock(model: LlamaForCausalLM, ids: list[int], **options: Any) -> Callable[[], float]:
    """What times one sample with stock ``generate``."""

    def side() -> float:
        synchronise(model.device)
        began = time.perf_counter()
        stock_tokens(model, ids, NEW_TOKENS, **options)
        synchronise(model.device)
        return time.perf_counter() - began

    return side


def stock_tokens(model: LlamaForCausalLM, ids: list[int], new_tokens: int, **options: Any) -> torch.Tensor:
    """The new tokens of one prompt by stock ``generate``, int64 [new tokens], on the device."""
    given = torch.tensor([ids], device=model.device)
    config = generation_config(new_tokens, Stops.none(), PAD)
    out = model.generate(
        input_ids=given, attention_mask=torch.ones_like(given), generation_config=config, use_cache=True, **options
    )
    return out[0, len(ids) :]


def step_bytes(generator: Any, positions: float) -> int:
    """Bytes that a decode step of one request must read: all layers and the head, and the keys and values before it."""
    decoder = generator.decoder
    matrices = [matrix for layer in decoder.layers for matrix in (layer.qkv, layer.out, layer.gate_up, layer.down)]
    weights = sum(matrix.nbytes for matrix in [*matrices, decoder.head])
    heads = decoder.heads
    size = torch.empty((), dtype=decoder.dtype).element_size()
    return round(weights + 2 * positions * len(decoder.layers) * heads.key_value * heads.width * size)


def bandwidth(device: torch.device) -> float | None:
    """Bytes a second of the GPU's memory by its data sheet; None for a device that the table of GPUs lacks."""
    found = datasheet.find(torch.cuda.get_device_name(device)) if device.type == "cuda" else None
    return found.bandwidth_bytes_per_s if found else None


def share_of_limit(generator: Any, step_s: Any, positions: float) -> Any:
    """The least time that a decode step's bytes take, over the time that it took; of an array element by element."""
    return step_bytes(generator, positions) / bandwidth(generator.device) / step_s


def no_gpu(place: Place) -> str | None:
    """Why the GPU's rows can't be measured here, or None."""
    if place.device.type != "cuda":
        return "this machine has no GPU"
    if bandwidth(place.device) is None:
        return f"config/hardware.yaml does not know {torch.cuda.get_device_name(place.device)}"
    return None


def rounded(model: LlamaForCausalLM) -> LlamaForCausalLM:
    """The model's weights in bf16, in place; the rotary frequencies stay in float32, as when a checkpoint is loaded."""
    for parameter in model.parameters():
        parameter.data = parameter.data.bfloat16()
    return model


def free() -> None:
    """Give back what nothing refers to any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
