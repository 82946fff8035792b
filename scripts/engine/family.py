"""The models that the graph engine runs, by their transformers configuration. Imports no torch."""

from __future__ import annotations

from typing import Any

from scripts.runtime.errors import UnsupportedError

# Class of the model by its type in a configuration.
FAMILY = {"llama": "LlamaForCausalLM", "mistral": "MistralForCausalLM", "qwen2": "Qwen2ForCausalLM"}


def check(config: Any) -> None:
    """Refuse models that are built differently, in a sentence for the report.

    Raises:
        UnsupportedError: the model is of another architecture, or has another activation.
    """
    activation = getattr(config, "hidden_act", None)
    if config.model_type not in FAMILY or activation != "silu":
        name = FAMILY.get(config.model_type, f"a '{config.model_type}' model")
        raise UnsupportedError(
            f"The graph engine runs Llama, Mistral and Qwen2 models with silu; this is {name} with "
            f"{activation or 'another activation'}."
        )
