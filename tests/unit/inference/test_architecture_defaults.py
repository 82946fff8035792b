"""Sizes that a config.json leaves to transformers' defaults."""

import pytest
from transformers import AutoConfig

from scripts.inference.architecture import TIED_BY_DEFAULT, of_config

SHAPE = {
    "num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
    "intermediate_size": 64, "vocab_size": 320,
}  # fmt: skip


@pytest.mark.parametrize("kind", [*sorted(TIED_BY_DEFAULT), "llama", "mistral", "qwen2", "qwen3", "phi3"])
def test_whether_embeddings_are_tied_where_the_content_does_not_say(kind):
    own = AutoConfig.for_model(kind).tie_word_embeddings
    assert of_config(SHAPE | {"model_type": kind})["tied_embeddings"] == bool(own)
    assert of_config(SHAPE | {"model_type": kind, "tie_word_embeddings": not own})["tied_embeddings"] != bool(own)
