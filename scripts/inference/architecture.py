"""The architecture of a checkpoint by its config.json, from which sizes and work are computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scripts.foundation import files

# Our name -> transformers' name.
_NAMES = {
    "layers": "num_hidden_layers",
    "hidden": "hidden_size",
    "heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads",
    "head_dim": "head_dim",
    "intermediate": "intermediate_size",
    "vocabulary": "vocab_size",
}
# Of these transformers ties the embeddings unless the content says otherwise; of the Llama family it does not.
TIED_BY_DEFAULT = frozenset(
    {"gemma", "gemma2", "gemma3_text", "cohere", "cohere2", "smollm3", "starcoder2", "ernie4_5"}
)


def of_checkpoint(directory: Path) -> dict[str, Any] | None:
    """Layers, widths, heads and vocabulary of the checkpoint; None where its config.json does not name them all.

    Defaults are those of transformers: as many key/value heads as query heads, head_dim = hidden_size / heads.
    """
    path = directory / "config.json"
    return of_config(files.read_json(path)) if path.is_file() else None


def of_config(config: dict[str, Any]) -> dict[str, Any] | None:
    """The same of the content of a config.json."""
    shape = {name: config.get(key) for name, key in _NAMES.items()}
    shape["kv_heads"] = shape["kv_heads"] or shape["heads"]
    if shape["head_dim"] is None and shape["hidden"] and shape["heads"]:
        shape["head_dim"] = shape["hidden"] // shape["heads"]
    if not all(type(value) is int for value in shape.values()):
        return None
    return shape | {
        "tied_embeddings": bool(config.get("tie_word_embeddings", config.get("model_type") in TIED_BY_DEFAULT)),
        "attention_bias": bool(config.get("attention_bias", False)),
    }
