"""Families of models that are built otherwise than Llama: a technique acts on them, or its row says what is missing."""

import pytest
import torch

from scripts.foundation import files
from tests.support.tiny_checkpoint import SUMMARIES, make_checkpoint, make_tokenizer
from tests.support.worker_runs import run_worker

CALIBRATION = [{"summary": text, "headline": "A headline"} for text in SUMMARIES]
WANDA = {"method": "wanda", "calibration": 3}


def config_of(family, words):
    import transformers

    name, shape = {
        "gpt2": ("GPT2Config", {"n_positions": 256, "n_embd": 128, "n_layer": 2, "n_head": 4}),
        "opt": ("OPTConfig", {"hidden_size": 128, "word_embed_proj_dim": 128, "ffn_dim": 256, "num_hidden_layers": 2,
                              "num_attention_heads": 4, "max_position_embeddings": 256}),
        "gpt_neox": ("GPTNeoXConfig", {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2,
                                       "num_attention_heads": 4, "max_position_embeddings": 256}),
        "falcon": ("FalconConfig", {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}),
        "mistral": ("MistralConfig", {"hidden_size": 128, "intermediate_size": 128, "num_hidden_layers": 2,
                                      "num_attention_heads": 4, "num_key_value_heads": 2, "sliding_window": 9}),
        "bloom": ("BloomConfig", {"hidden_size": 128, "n_layer": 2, "n_head": 4}),
        "mamba": ("MambaConfig", {"hidden_size": 128, "state_size": 8, "num_hidden_layers": 2}),
        "mixtral": ("MixtralConfig", {"hidden_size": 128, "intermediate_size": 128, "num_hidden_layers": 2,
                                      "num_attention_heads": 4, "num_key_value_heads": 2, "num_local_experts": 4}),
    }[family]  # fmt: skip
    ids = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
    # Wide enough for tokens that depend on what was read.
    return getattr(transformers, name)(vocab_size=words, initializer_range=0.15, **shape, **ids)


@pytest.fixture(scope="module")
def family(request, tmp_path_factory):
    from transformers import AutoModelForCausalLM

    tokenizer = make_tokenizer()
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config_of(request.param, len(tokenizer)))
    directory = tmp_path_factory.mktemp("checkpoints") / request.param
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    manifest = {"source": "train", "path": ".", "parameters": 1, "dtype": "float32", "architecture": {}}
    files.write_json(directory / "manifest.json", manifest)
    return directory


def every(families):
    return pytest.mark.parametrize("family", families, indirect=True)


@every(["gpt2", "opt", "gpt_neox", "falcon"])
@pytest.mark.parametrize("pruning", ["magnitude", WANDA], ids=["magnitude", "wanda"])
def test_linear_layers_of_any_family_are_pruned(family, evaluation_set, pruning):
    facts = run_worker(family, evaluation_set, {"pruning": pruning}, calibration=CALIBRATION).evidence["pruning"]
    assert facts["zero_weights"] / facts["linear_weights"] == pytest.approx(0.3, abs=0.01)
    assert len(facts["layer_sparsity"]) >= 8


@every(["opt", "gpt_neox", "falcon", "mixtral"])
@pytest.mark.parametrize("facets", [{"pruning": "structured"}, {"engine": "graph"}], ids=str)
def test_what_a_family_lacks_is_named(family, evaluation_set, facets):
    outcome = run_worker(family, evaluation_set, facets).outcome
    assert outcome["status"] == "unsupported"
    assert family.name in outcome["reason"] or "this is " in outcome["reason"]


@every(["mixtral"])
@pytest.mark.parametrize("facets", [{"pruning": "magnitude"}, {"quantization": "int8"}, {"quantization": "fp8"}])
def test_weights_of_experts_are_not_passed_over_in_silence(family, evaluation_set, facets):
    outcome = run_worker(family, evaluation_set, facets).outcome
    assert outcome["status"] == "unsupported"
    assert "'mixtral' model keeps other weights too, in model.layers.0.mlp.experts" in outcome["reason"]


@every(["falcon"])
def test_layers_that_transformers_does_not_quantise_are_named(family, evaluation_set):
    outcome = run_worker(family, evaluation_set, {"quantization": "int8"}).outcome
    assert (outcome["status"], "is a FalconLinear" in outcome["reason"]) == ("unsupported", True)


def from_backbone(checkpoint, directory, prefix):
    """The checkpoint with the backbone's name left out in front of its tensors."""
    import shutil

    from safetensors.torch import load_file, save_file

    shutil.copytree(checkpoint, directory)
    stored = load_file(directory / "model.safetensors")
    weights = {name.removeprefix(prefix): weight for name, weight in stored.items()}
    assert weights.keys() != stored.keys()
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    return directory


METHODS = {"magnitude": "magnitude", "structured": "structured", "wanda": WANDA}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("tied", [True, False])
def test_a_checkpoint_with_a_backbones_names_is_pruned_as_any_other(tmp_path, evaluation_set, method, tied):
    whole = make_checkpoint(tmp_path / "whole", tied=tied)
    bare = from_backbone(whole, tmp_path / "bare", "model.")
    facets = {"pruning": METHODS[method]}
    runs = [run_worker(model, evaluation_set, facets, calibration=CALIBRATION) for model in (whole, bare)]
    assert runs[0].evidence["pruning"] == runs[1].evidence["pruning"]
    assert runs[0].tokens == runs[1].tokens


@every(["gpt2"])
def test_gpt2_as_the_hub_has_it_is_pruned(family, evaluation_set, tmp_path):
    bare = from_backbone(family, tmp_path / "bare", "transformer.")
    assert run_worker(bare, evaluation_set, {"pruning": "magnitude"}).evidence["pruning"]["sparsity"] > 0.29


@every(["gpt2", "opt", "gpt_neox", "falcon", "mistral", "bloom"])
def test_a_kept_prefix_changes_no_token_of_any_family(family, evaluation_set):
    plain = run_worker(family, evaluation_set, {})
    assert run_worker(family, evaluation_set, {"prefix_cache": True}).tokens == plain.tokens
    batch = run_worker(family, evaluation_set, {"prefix_cache": True, "batch_size": 3})
    if family.name in ("mistral", "bloom"):
        assert batch.outcome["status"] == "unsupported"
        assert f"'{family.name}' model" in batch.outcome["reason"]
    else:
        assert batch.tokens == plain.tokens


@every(["mamba"])
def test_a_state_that_is_no_keys_and_values_is_not_kept_as_a_prefix(family, evaluation_set):
    outcome = run_worker(family, evaluation_set, {"prefix_cache": True}).outcome
    assert (outcome["status"], "'mamba' model keeps another state" in outcome["reason"]) == ("unsupported", True)
