"""Tiny models of the architectures that the graph engine runs, with random weights that make every part count."""

from typing import Any

# Heads of a width that is no power of two; four query heads a key-value head; windows shorter than the prompts.
SHAPE = {
    "vocab_size": 320, "hidden_size": 128, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 8,
    "num_key_value_heads": 2, "head_dim": 48, "max_position_embeddings": 128, "bos_token_id": 0, "eos_token_id": 1,
    "pad_token_id": 2,
}  # fmt: skip
WINDOW = 7
ALTERNATE = ["sliding_attention", "full_attention", "sliding_attention"]
PHI = {"hidden_size": 384, "head_dim": None}
LONG = {"short_factor": [1.5] * 18, "long_factor": [4.0] * 18, "partial_rotary_factor": 0.75}


def _rope(kind: str, **options: Any) -> dict[str, Any]:
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 10_000.0, **options}}


# Name: class of the configuration, and what differs from SHAPE.
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", {"attention_bias": True, "mlp_bias": True}),
    "llama, linear": ("LlamaConfig", _rope("linear", factor=4.0)),
    "llama, dynamic": ("LlamaConfig", _rope("dynamic", factor=4.0)),
    "llama, llama3": (
        "LlamaConfig",
        _rope(
            "llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16
        ),
    ),
    "llama, yarn": ("LlamaConfig", _rope("yarn", factor=4.0, original_max_position_embeddings=32)),
    "mistral": ("MistralConfig", {"sliding_window": WINDOW}),
    "ministral": ("MinistralConfig", {"sliding_window": WINDOW, "layer_types": ALTERNATE}),
    "qwen2": (
        "Qwen2Config",
        {"use_sliding_window": True, "sliding_window": WINDOW, "max_window_layers": 1, "tie_word_embeddings": True},
    ),
    "qwen3": ("Qwen3Config", {"tie_word_embeddings": True}),
    "qwen3, biases and windows": (
        "Qwen3Config",
        {"attention_bias": True, "use_sliding_window": True, "sliding_window": WINDOW, "layer_types": ALTERNATE},
    ),
    "gemma": ("GemmaConfig", {"tie_word_embeddings": False}),
    "gemma2": (
        "Gemma2Config",
        {
            "sliding_window": WINDOW, "layer_types": ALTERNATE, "query_pre_attn_scalar": 20,
            "attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0, "tie_word_embeddings": False,
        },
    ),
    "gemma3": (
        "Gemma3TextConfig",
        {
            "sliding_window": WINDOW, "layer_types": ALTERNATE, "query_pre_attn_scalar": 20, "attention_bias": True,
            "rope_parameters": {
                "sliding_attention": {"rope_type": "default", "rope_theta": 100.0},
                "full_attention": {"rope_type": "linear", "rope_theta": 10_000.0, "factor": 8.0},
            },
        },
    ),
    "phi3": ("Phi3Config", PHI | {"sliding_window": WINDOW}),
    "phi4": (
        "Phi3Config",
        PHI | {"original_max_position_embeddings": 64, "tie_word_embeddings": True} | _rope("longrope", **LONG),
    ),
}  # fmt: skip


def config_of(name: str, **more: Any) -> Any:
    """A family's configuration."""
    import transformers

    kind, options = FAMILIES[name]
    shape = {key: value for key, value in (SHAPE | options | more).items() if value is not None}
    return getattr(transformers, kind)(**shape)


def model_of(name: str, **more: Any) -> Any:
    """A family's model: norms that are not 1, biases that are not 0, logits that rounding can't reorder."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(4)
    model = AutoModelForCausalLM.from_config(config_of(name, **more), dtype=torch.float32).eval()
    with torch.no_grad():
        for key, weight in model.named_parameters():
            if "norm" in key:
                weight.add_(0.3 * torch.randn_like(weight))
                if "post_feedforward_layernorm" in key:
                    weight.add_(4)  # or else a tied embedding, which is scaled, writes the last token again
            elif key.endswith("bias"):
                weight.normal_(std=0.3)
            else:
                weight.normal_(std=0.12)
    return model
