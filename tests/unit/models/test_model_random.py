import json
import math
from pathlib import Path

import pytest

from scripts import prepare_model
from scripts.foundation.errors import StudyError
from scripts.models import checkpoint
from scripts.models.sources import random as from_random

SMALL = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 500, "hidden_size": 64,
    "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 96,
    "max_position_embeddings": 256, "initializer_range": 0.05, "tie_word_embeddings": False,
    "rope_scaling": {
        "factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 64,
        "rope_type": "llama3",
    },
    "rope_theta": 500000.0,
}  # fmt: skip


def prepare(output, train_file, prompt, threads=1, architecture=None, **changes):
    given = {"source": "random", "random": {"architecture": architecture or SMALL}, "dtype": "bfloat16", "seed": 0}
    return prepare_model.prepare("big", given | changes, output, train_file, prompt, threads)


def test_random_weights_load_and_say_that_they_are_random(train_file, prompt, tmp_path):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    manifest = prepare(tmp_path / "m", train_file, prompt)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "m", dtype="auto")
    assert manifest["source"] == "random"
    assert manifest["random"]["standard_deviation"] == 0.05
    assert model.dtype == torch.bfloat16
    assert manifest["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert model.model.layers[0].mlp.up_proj.weight.float().std().item() == pytest.approx(0.05, rel=0.05)
    assert model.model.norm.weight.eq(1).all()
    assert model.config.rope_parameters["rope_type"] == "llama3"
    loaded = AutoTokenizer.from_pretrained(tmp_path / "m")
    encoded = loaded("storm", return_tensors="pt")
    assert encoded.input_ids[0, -1] == loaded.convert_tokens_to_ids("<|headline|>")
    assert len(loaded) <= model.config.vocab_size
    assert model.config.eos_token_id == loaded.eos_token_id


def test_threads_chunks_and_shards_do_not_change_a_weight(train_file, prompt, tmp_path, monkeypatch):
    from safetensors.torch import load_file

    monkeypatch.setattr(from_random, "_CHUNK", 1000)
    prepare(tmp_path / "one", train_file, prompt)
    monkeypatch.setattr(from_random, "_SHARD_BYTES", 50_000)
    manifest = prepare(tmp_path / "many", train_file, prompt, threads=4)
    paths = checkpoint.weight_files(tmp_path / "many")
    assert len(paths) > 2
    assert paths[0].name == f"model-00001-of-{len(paths):05}.safetensors"
    one = load_file(tmp_path / "one" / "model.safetensors")
    many = {name: tensor for path in paths for name, tensor in load_file(path).items()}
    assert one.keys() == many.keys()
    assert all(one[name].equal(many[name]) for name in one)
    assert manifest["parameters"] == checkpoint.parameters(tmp_path / "one")


def test_another_seed_draws_other_weights(train_file, prompt, tmp_path):
    digests = {prepare(tmp_path / str(seed), train_file, prompt, seed=seed)["weights_digest"] for seed in (0, 0, 1)}
    assert len(digests) == 2


def test_tied_embeddings_are_stored_once(train_file, prompt, tmp_path):
    tied = prepare(tmp_path / "tied", train_file, prompt, architecture=SMALL | {"tie_word_embeddings": True})
    untied = prepare(tmp_path / "untied", train_file, prompt)
    assert untied["parameters"] - tied["parameters"] == 500 * 64


@pytest.mark.parametrize(("file", "parameters"), [("llama-3.2-1b", 1_235_814_400), ("llama-3.1-8b", 8_030_261_248)])
def test_the_architectures_have_the_published_number_of_parameters(file, parameters):
    from transformers import AutoConfig

    content = json.loads(Path(f"config/architectures/{file}.json").read_text())
    config = AutoConfig.for_model(content.pop("model_type"), **content)
    assert sum(map(math.prod, from_random.shapes(config).values())) == parameters


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_attention_heads": 3}, r"hidden \(64\) is not divisible by heads \(3\)"),
        ({"vocab_size": 100}, "a vocabulary of 100 is too small"),
        ({"architectures": ["BertModel"]}, "not a causal language model"),
        ({"model_type": "novel"}, "no causal language model of type 'novel'"),
        ({"intermediate_size": "wide"}, r"models\.big\.random\.architecture: intermediate_size is wide"),
    ],
)
def test_an_architecture_that_cannot_be_built_is_one_sentence(changes, message, train_file, prompt, tmp_path):
    with pytest.raises(StudyError, match=message) as caught:
        prepare(tmp_path / "m", train_file, prompt, architecture=SMALL | changes)
    assert "\n" not in str(caught.value)
