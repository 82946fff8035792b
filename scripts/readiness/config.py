"""A model's transformers configuration, of common architectures without importing transformers, and so torch."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from scripts.engine.family import NEEDED

# What transformers has for these, of what facets ask a configuration: plans to split the model, and the activation.
LIGHT = ("llama", "mistral", "qwen2")
DEFAULTS = {"hidden_act": "silu", "base_model_tp_plan": True, "base_model_pp_plan": True}


def of(content: dict[str, Any]) -> Any:
    """The configuration with this content of a config.json; of any architecture but a few, transformers' own.

    So it is too where the content leaves a size to transformers' defaults.

    Raises:
        ValueError: transformers does not know the architecture, or refuses the content.
    """
    if content.get("model_type") in LIGHT and all(content.get(name) for name in NEEDED):
        heads = {"num_key_value_heads": content.get("num_attention_heads")}
        return SimpleNamespace(**(DEFAULTS | heads | content))
    from transformers import AutoConfig

    rest = {key: value for key, value in content.items() if key != "model_type"}
    return AutoConfig.for_model(content["model_type"], **rest)
