"""The models that the graph engine runs, described by their transformers configuration. Imports no torch.

A decoder layer is described by data: norms, heads, window, scale and cap of its attention, rotary angles, activation.
What a configuration says is read here; what only the loaded modules know, and whether they are what the configuration
says, ``scripts.engine.modules`` looks at. ``FAMILIES`` lists whose forward pass was compared with that description, so
that a model which computes something else with the same modules is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scripts.kernels.parts import ACTIVATIONS
from scripts.runtime.config_fields import field
from scripts.runtime.errors import UnsupportedError


@dataclass(frozen=True)
class Family:
    """What transformers' forward pass of a model type does with its configuration.

    Attributes:
        title: as people call it.
        model_class: transformers' class.
        caps_scores: attention applies ``attn_logit_softcapping``.
        rotates_part: rotary embeddings may leave the last elements of a head as they are.
    """

    title: str
    model_class: str
    caps_scores: bool = False
    rotates_part: bool = False


FAMILIES = {
    "llama": Family("Llama", "LlamaForCausalLM"),
    "mistral": Family("Mistral", "MistralForCausalLM"),
    "ministral": Family("Ministral", "MinistralForCausalLM"),
    "qwen2": Family("Qwen2", "Qwen2ForCausalLM"),
    "qwen3": Family("Qwen3", "Qwen3ForCausalLM"),
    "gemma": Family("Gemma", "GemmaForCausalLM"),
    "gemma2": Family("Gemma 2", "Gemma2ForCausalLM", caps_scores=True),
    "gemma3_text": Family("Gemma 3", "Gemma3ForCausalLM"),
    "phi3": Family("Phi-3/Phi-4", "Phi3ForCausalLM", rotates_part=True),
}
FULL, SLIDING = "full_attention", "sliding_attention"
# Angles that are the same whatever the length, or are so up to a length that ``fixed_up_to`` gives.
ROTARY_TYPES = ("default", "linear", "dynamic", "yarn", "longrope", "llama3")
NEEDED = (
    "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size",
    "max_position_embeddings",
)  # fmt: skip
EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
OTHER_PARTS = ("vision_config", "audio_config", "text_config", "thinker_config")
RECURRENT = ("state_size", "ssm_state_size", "mamba_d_state", "linear_num_value_heads", "lru_width", "conv_kernel")


@dataclass(frozen=True)
class LayerPlan:
    """How a layer attends, by the configuration.

    Attributes:
        kind: its type among the configuration's ``layer_types``; None where there are none.
        window: how many positions a token sees, itself among them; None for all before it.
    """

    kind: str | None
    window: int | None


def check(config: Any) -> None:
    """Refuse models that are built differently, in a sentence for the report.

    Raises:
        UnsupportedError: the model is of another architecture, or something that it needs is not computed.
    """
    kind = field(config, "model_type") or "nameless"
    if kind not in FAMILIES:
        raise UnsupportedError(f"The graph engine runs {_titles()} models; this is a '{kind}' model{_reason(config)}.")
    missing = next((name for name in NEEDED if field(config, name) is None), None)
    if missing is not None:
        raise UnsupportedError(f"The graph engine needs '{missing}', which this {kind} model's configuration lacks.")
    activation = activation_of(config)
    if activation not in ACTIVATIONS:
        raise UnsupportedError(
            f"The graph engine computes feed-forward layers with {_listed(ACTIVATIONS, 'or')}; this "
            f"{FAMILIES[kind].model_class} has {activation or 'none that its configuration names'}."
        )
    if field(config, "use_bidirectional_attention"):
        raise UnsupportedError("The graph engine lets tokens see those before them alone; this model's see all.")
    if "sliding_attention" in (field(config, "layer_types") or ()) and not field(config, "sliding_window"):
        raise UnsupportedError("This model's configuration has sliding-window layers, but no 'sliding_window'.")
    plans(config)


def plans(config: Any) -> list[LayerPlan]:
    """How each layer attends.

    Raises:
        UnsupportedError: one of them attends in a way of its own.
    """
    count, window = field(config, "num_hidden_layers"), field(config, "sliding_window")
    kinds = field(config, "layer_types")
    if kinds is None:
        return [LayerPlan(None, window)] * count
    strange = next((kind for kind in kinds if kind not in (FULL, SLIDING)), None)
    if strange is not None:
        raise UnsupportedError(
            f"The graph engine runs layers of full and of sliding-window attention; this model has '{strange}' layers."
        )
    if len(kinds) < count:
        raise UnsupportedError(f"This model's configuration types {len(kinds)} of its {count} layers.")
    return [LayerPlan(kind, window if kind == SLIDING else None) for kind in kinds[:count]]


def activation_of(config: Any) -> str | None:
    """The feed-forward layers' activation: Gemma's configurations have a name of their own for it."""
    return field(config, "hidden_activation") or field(config, "hidden_act")


def score_cap(config: Any) -> float | None:
    """The cap of attention scores, where the model's forward pass applies one."""
    applies = FAMILIES[config.model_type].caps_scores
    return field(config, "attn_logit_softcapping") if applies else None


def refuse_too_long(config: Any, tokens: int) -> None:
    """Refuse requests that reach beyond the model's positions, or to where its angles depend on their length.

    Args:
        config: the model's.
        tokens: of the longest request with its answer.

    Raises:
        UnsupportedError: they don't fit.
    """
    room = config.max_position_embeddings
    if tokens > room:
        raise UnsupportedError(f"Prompt and headline of {tokens} tokens don't fit a model of {room} positions.")
    fixed = fixed_up_to(config)
    if fixed is not None and tokens > fixed:
        raise UnsupportedError(
            f"The graph engine's angles are fixed; this model's change where a request is longer than {fixed} tokens, "
            f"and prompt and headline have {tokens}."
        )


def fixed_up_to(config: Any) -> int | None:
    """Up to how many tokens of a request the rotary angles are the same whatever its length; None for any number.

    ``longrope`` takes other frequencies beyond the length of its first training. ``dynamic`` ones change beyond
    ``max_position_embeddings``, where no request reaches.
    """
    parameters = field(config, "rope_parameters") or {}
    each = parameters.values() if all(isinstance(value, dict) for value in parameters.values()) else [parameters]
    limits = [
        rope.get("original_max_position_embeddings") or field(config, "original_max_position_embeddings")
        for rope in each
        if rope.get("rope_type") == "longrope"
    ]
    return min(filter(None, limits), default=None)


def _reason(config: Any) -> str:
    """What of the configuration is foreign, for the sentence about an architecture that is."""
    if field(config, "is_encoder_decoder"):
        return ", which has an encoder beside its decoder"
    part = next((name for name in OTHER_PARTS if field(config, name) is not None), None)
    if part is not None:
        inner = field(field(config, "text_config"), "model_type")
        wrapped = f" ('{inner}')" if inner in FAMILIES else ""
        return f", which wraps a text model{wrapped} together with other parts; give the text model alone"
    experts = next((name for name in EXPERTS if field(config, name)), None)
    if experts is not None:
        return f", which routes tokens to experts ({experts}: {field(config, experts)})"
    if any(field(config, name) is not None for name in RECURRENT):
        return ", which keeps a recurrent state instead of keys and values"
    return ""


def _titles() -> str:
    return _listed([family.title for family in FAMILIES.values()], "and")


def _listed(names: Any, word: str) -> str:
    *some, last = names
    return f"{', '.join(some)} {word} {last}"
