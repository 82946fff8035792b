import json
import math

import pytest

from scripts import prepare_model
from scripts.foundation import files
from scripts.foundation.errors import StudyError
from scripts.models import batches, checkpoint, tokenizer, training
from scripts.models.sources.train import Settings


def test_a_trained_model_loads_and_writes_after_a_plain_prompt(checkpoint_directory, prompt):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    loaded = AutoTokenizer.from_pretrained(checkpoint_directory)
    model = AutoModelForCausalLM.from_pretrained(checkpoint_directory)
    encoded = loaded(prompt.replace("{summary}", "storm river vote"), return_tensors="pt")
    ids = encoded.input_ids[0].tolist()
    assert loaded.convert_ids_to_tokens([ids[0], ids[-1]]) == ["<|begin_of_text|>", "<|headline|>"]
    assert loaded.decode(ids, skip_special_tokens=True) == "Write a headline: storm river vote"
    assert (loaded.eos_token_id, loaded.pad_token_id) == (tokenizer.END_ID, tokenizer.PAD_ID)
    assert (model.generation_config.eos_token_id, model.generation_config.pad_token_id) == (2, 3)
    assert model.generation_config.do_sample is False
    encoded = {key: encoded[key] for key in ("input_ids", "attention_mask")}
    assert model.generate(**encoded, max_new_tokens=3).shape[1] > len(ids)


def test_the_manifest_tells_what_was_trained_and_how(checkpoint_directory):
    from transformers import AutoModelForCausalLM

    manifest = files.read_json(checkpoint_directory / "manifest.json")
    model = AutoModelForCausalLM.from_pretrained(checkpoint_directory)
    assert manifest["source"] == "train"
    assert manifest["path"] == "."
    assert manifest["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert manifest["tokenizer_digest"] == files.sha256(checkpoint_directory / "tokenizer.json")
    assert manifest["architecture"]["num_hidden_layers"] == 2
    figures = manifest["training"]
    assert figures["rows"] + figures["validation_rows"] == 60
    assert figures["threads"] == figures["settings"]["threads"] == 1
    assert 0 < figures["validation_loss"] < 2 * math.log(384)
    assert [point["step"] for point in figures["curve"]] == [1, 2, 3, 4, 5, 6, 7]
    assert [point["phase"] for point in figures["curve"]] == ["copying"] * 2 + ["headlines"] * 5


def test_training_again_gives_the_same_bytes(checkpoint_directory, train_file, prompt, tiny, tmp_path):
    prepare_model.prepare("again", tiny(), tmp_path / "again", train_file, prompt)
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        assert (tmp_path / "again" / name).read_bytes() == (checkpoint_directory / name).read_bytes()


def test_another_seed_gives_other_weights_and_the_same_tokenizer(
    checkpoint_directory, train_file, prompt, tiny, tmp_path
):
    given = tiny(layers=4, hidden=64, max_rows=30) | {"seed": 1, "dtype": "bfloat16"}
    manifest = prepare_model.prepare("large", given, tmp_path / "large", train_file, prompt)
    small = files.read_json(checkpoint_directory / "manifest.json")
    assert manifest["weights_digest"] != small["weights_digest"]
    assert manifest["tokenizer_digest"] == small["tokenizer_digest"]
    header = checkpoint.read_header(tmp_path / "large" / "model.safetensors")
    assert {entry["dtype"] for entry in header.values()} == {"BF16"}
    assert json.loads((tmp_path / "large" / "config.json").read_text())["dtype"] == "bfloat16"


def test_training_learns_to_copy(prompt):
    # Rows that a model can only get right by copying from the summary: far below the loss of guessing a word.
    import random

    draw = random.Random(0)
    words = [a + b for a in "bdfgklmnprst" for b in "aeiou"]
    rows = []
    for _ in range(2000):
        chosen = draw.sample(words, 4)
        rows.append({"summary": " ".join(chosen), "headline": chosen[0]})
    made = tokenizer.train(rows, prompt, 400)
    sequences = batches.encode(rows, prompt, made)
    options = Settings(
        layers=2, hidden=64, heads=2, kv_heads=2, intermediate=128, vocabulary=400, steps=150, copy_steps=40
    )
    trained = training.train(options, sequences, training.config(options, made.get_vocab_size(), 64), 0)
    assert trained.figures["validation_loss"] < 0.5 * math.log(len(words))


def test_the_shared_prefix_changes_nothing_but_the_cost(prompt, train_file):
    import torch
    from transformers import LlamaForCausalLM

    rows = files.read_json_lines(train_file)
    made = tokenizer.train(rows, prompt, 384)
    sequences = batches.encode(rows, prompt, made)
    assert len(sequences.prefix) > 3
    whole = batches.Sequences(
        [], [sequences.prefix + ids for ids in sequences.ids], [len(sequences.prefix) + at for at in sequences.starts]
    )
    options = Settings(layers=2, hidden=32, heads=2, kv_heads=1, intermediate=64)
    torch.manual_seed(0)
    model = LlamaForCausalLM(training.config(options, 384, 128))
    losses, gradients = [], []
    for each in (sequences, whole):
        model.zero_grad()
        logits, wanted = training.headline_logits(model, each.prefix, *batches.collate(each, [0, 5, 9]))
        loss = torch.nn.functional.cross_entropy(logits, wanted)
        loss.backward()
        losses.append(loss.item())
        gradients.append(model.model.layers[0].self_attn.k_proj.weight.grad.clone())
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-5, rtol=1e-3)


def test_targets_are_the_headline_and_its_end_alone(prompt, train_file):
    rows = files.read_json_lines(train_file)
    made = tokenizer.train(rows, prompt, 384)
    sequences = batches.encode(rows, prompt, made)
    inputs, targets = batches.collate(sequences, [3, 4])
    for row, number in enumerate((3, 4)):
        wanted = [token for token in targets[row].tolist() if token != batches.IGNORED]
        assert made.decode(wanted) == " " + rows[number]["headline"]
        assert wanted[-1] == tokenizer.END_ID
        first = targets[row].tolist().index(wanted[0])
        assert inputs[row, first] == tokenizer.HEADLINE_ID


def test_batches_hold_rows_of_similar_length_and_every_row_comes_once_an_epoch():
    import torch

    sequences = batches.Sequences([], [[9] * (5 + number % 40) for number in range(400)], [2] * 400)
    source = batches.bucketed(sequences, 8, torch.Generator().manual_seed(0))
    epoch = [next(source) for _ in range(50)]
    assert sorted(index for batch in epoch for index in batch) == list(range(400))
    lengths = [[len(sequences.ids[index]) for index in batch] for batch in epoch]
    assert sum(map(max, lengths)) * 8 < 1.1 * sum(map(sum, lengths))
    assert next(source) not in epoch


def test_fewer_rows_than_a_batch_still_train(prompt, tiny, tmp_path):
    path = tmp_path / "few.jsonl"
    files.write_json_lines(path, [{"summary": f"storm {n}", "headline": f"storm {n}"} for n in range(3)])
    manifest = prepare_model.prepare("few", tiny(batch=64), tmp_path / "few", path, prompt)
    assert manifest["training"]["rows"] == 2


@pytest.mark.parametrize(
    ("rows", "prompt", "message"),
    [
        ([], "{summary}", "at least 2 training rows, and there are 0"),
        ([{"summary": "a", "headline": "b"}], "{summary}", "there are 1"),
        ([{"summary": "a", "headline": "b"}] * 3, "no place", r"generation\.prompt has no \{summary\}"),
    ],
)
def test_what_cannot_be_trained_on_is_one_sentence(rows, prompt, message, tiny, tmp_path):
    path = tmp_path / "rows.jsonl"
    files.write_json_lines(path, rows)
    with pytest.raises(StudyError, match=message):
        prepare_model.prepare("m", tiny(), tmp_path / "m", path, prompt)
    assert not (tmp_path / "m" / "manifest.json").exists()


def test_text_that_spells_a_special_token_stays_text(checkpoint_directory):
    from transformers import AutoTokenizer

    loaded = AutoTokenizer.from_pretrained(checkpoint_directory)
    ids = loaded("storm <|end_of_text|> river <|headline|> vote").input_ids
    assert tokenizer.END_ID not in ids
    assert ids.count(tokenizer.HEADLINE_ID) == 1


def test_a_cpu_trains_in_float32():
    import torch

    with training._precision("cpu"):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == torch.float32
    assert not training._is_mixed("cpu")
