"""Architectures that are a Llama but for a bias or a window, and those that are not."""

import pytest
from transformers import AutoModelForCausalLM, LlamaConfig, MambaConfig, MistralConfig, Qwen2Config

from scripts.foundation import files
from tests.support.tiny_checkpoint import make_checkpoint
from tests.support.worker_runs import run_worker

GRAPH = {"engine": "graph"}


def rebuilt(directory, config_class, **options):
    """A tiny checkpoint whose model is of another architecture, with random weights and biases."""
    import torch
    from transformers import AutoModelForCausalLM

    make_checkpoint(directory)
    own = LlamaConfig.from_pretrained(directory).to_dict()
    names = (
        "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
        "num_key_value_heads", "max_position_embeddings", "initializer_range", "bos_token_id", "eos_token_id",
        "pad_token_id",
    )  # fmt: skip
    config = config_class(**{name: own[name] for name in names} | options)
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("bias"):
                weight.normal_(std=0.5)
    model.save_pretrained(directory)
    manifest = files.read_json(directory / "manifest.json")
    files.write_json(directory / "manifest.json", manifest | {"parameters": model.num_parameters()})
    return directory


@pytest.mark.parametrize("batch", [{}, {"batch_size": 3}])
@pytest.mark.parametrize(
    ("config_class", "options"),
    [
        (MistralConfig, {"sliding_window": None}),
        (MistralConfig, {"sliding_window": 4096, "head_dim": 64}),
        (Qwen2Config, {"tie_word_embeddings": True}),
    ],
)
def test_the_loop_writes_the_same_tokens(tmp_path, evaluation_set, config_class, options, batch):
    checkpoint = rebuilt(tmp_path / "model", config_class, **options)
    run = run_worker(checkpoint, evaluation_set, GRAPH | batch)
    assert run.evidence["engine"]["cache_class"] == "StaticCache"
    assert run.tokens == run_worker(checkpoint, evaluation_set, {}).tokens


def test_a_window_shorter_than_the_prompts_is_kept(tmp_path, evaluation_set):
    checkpoint = rebuilt(tmp_path / "model", MistralConfig, sliding_window=16)
    run = run_worker(checkpoint, evaluation_set, GRAPH)
    assert run.outcome["status"] == "ok"
    assert run.tokens == run_worker(checkpoint, evaluation_set, {}).tokens


def test_a_model_without_keys_and_values_says_so(tmp_path, evaluation_set):
    checkpoint = make_checkpoint(tmp_path / "model")
    special = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
    config = MambaConfig(vocab_size=320, hidden_size=32, num_hidden_layers=1, **special)
    AutoModelForCausalLM.from_config(config).save_pretrained(checkpoint)
    for facets, reason in ((GRAPH, "a 'mamba' model, which keeps a recurrent state"), ({}, "keeps a recurrent state")):
        run = run_worker(checkpoint, evaluation_set, facets)
        assert run.outcome["status"] == "unsupported"
        assert reason in run.outcome["reason"]


def test_another_architecture_says_so(tmp_path, evaluation_set):
    checkpoint = make_checkpoint(tmp_path / "model")
    config = files.read_json(checkpoint / "config.json") | {"hidden_act": "relu"}
    files.write_json(checkpoint / "config.json", config)
    run = run_worker(checkpoint, evaluation_set, GRAPH)
    assert run.outcome["status"] == "unsupported"
    assert run.outcome["reason"] == (
        "The graph engine computes feed-forward layers with silu, gelu_pytorch_tanh or gelu; this LlamaForCausalLM has "
        "relu."
    )
