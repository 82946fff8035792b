import json
import re
import shutil

import pytest

from scripts import prepare_model
from scripts.foundation import files
from scripts.foundation.errors import StudyError
from scripts.models import checkpoint


@pytest.fixture
def copy(checkpoint_directory, tmp_path):
    target = tmp_path / "copy"
    shutil.copytree(checkpoint_directory, target)
    (target / "manifest.json").unlink()
    return target


def prepare(path, output):
    given = {"source": "path", "path": {"path": str(path)}, "dtype": "bfloat16", "seed": 0}
    return prepare_model.prepare("mine", given, output)


def test_a_directory_is_referred_to_where_it_lies(copy, checkpoint_directory, tmp_path):
    manifest = prepare(copy, tmp_path / "out")
    trained = files.read_json(checkpoint_directory / "manifest.json")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["manifest.json"]
    assert manifest["path"] == str(copy)
    assert manifest["dtype"] == "bfloat16"
    for key in ("parameters", "tokenizer_digest", "weights_digest", "architecture"):
        assert manifest[key] == trained[key]


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_shards_count_as_one_model(copy, tmp_path):
    from safetensors.torch import load_file, save_file

    whole = prepare(copy, tmp_path / "whole")
    tensors = load_file(copy / "model.safetensors")
    (copy / "model.safetensors").unlink()
    where = {}
    for number, name in enumerate(tensors):
        save_file({name: tensors[name]}, copy / f"model-{number}.safetensors")
        where[name] = f"model-{number}.safetensors"
    (copy / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    assert prepare(copy, tmp_path / "out")["parameters"] == whole["parameters"]
    (copy / "model-1.safetensors").unlink()
    with pytest.raises(StudyError, match=r"index\.json names model-1\.safetensors, which is not there"):
        prepare(copy, tmp_path / "out")


def header(directory, **entry):
    """Weights of one tensor with this entry, and 8 bytes of data."""
    content = json.dumps({"weight": entry}).encode()
    (directory / "model.safetensors").write_bytes(len(content).to_bytes(8, "little") + content + bytes(8))


def cut(path):
    path.write_bytes(path.read_bytes()[:-7])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: shutil.rmtree(d), "does not exist; correct the path"),
        (lambda d: (d / "config.json").unlink(), r"has no config\.json"),
        (lambda d: (d / "config.json").write_text("{"), r"config\.json is not valid JSON"),
        (lambda d: (d / "tokenizer.json").unlink(), r"has no tokenizer \(tokenizer\.json, "),
        (lambda d: (d / "model.safetensors").unlink(), r"has no model\.safetensors"),
        (lambda d: (d / "model.safetensors").rename(d / "pytorch_model.bin"), "pickled weights only"),
        (lambda d: cut(d / "model.safetensors"), r"model\.safetensors is not a complete safetensors file"),
        (lambda d: (d / "model.safetensors").write_bytes(b"x" * 40), "is not a complete safetensors file"),
        (lambda d: header(d, dtype="F32", shape=[10**12, 10**12], data_offsets=[0, 8]), "which does not fit its"),
        (lambda d: header(d, dtype="F16", shape=[2], data_offsets=[0, 8]), "has 8 bytes, which does not fit its"),
        (lambda d: header(d, dtype="F33", shape=[2], data_offsets=[0, 8]), "the unknown dtype 'F33'"),
        (lambda d: header(d, dtype=["F32"], shape=[2], data_offsets=[0, 8]), "is not a complete safetensors file"),
        (lambda d: header(d, dtype="F32", shape=None, data_offsets=[0, 8]), "is not a complete safetensors file"),
        (lambda d: header(d, dtype="F32", shape=[-1], data_offsets=[0, 8]), "no whole number"),
        (lambda d: header(d, dtype="F32", shape=[2], data_offsets=[0, 10**15]), "lies outside it"),
        (lambda d: (d / "model.safetensors").write_bytes(b"\xff" * 64), "is not a complete safetensors file"),
        (lambda d: (d / "config.json").write_text("[]"), "holds no JSON object"),
        (lambda d: (d / "config.json").write_text("[" * 10**5), r"config\.json is not valid JSON"),
        (lambda d: edit(d / "config.json", num_hidden_layers=10**9), "num_hidden_layers is 1000000000; give a whole"),
        (lambda d: edit(d / "config.json", vocab_size=10**12), "vocab_size is 1000000000000; give a whole number"),
        (lambda d: edit(d / "config.json", hidden_size=float("nan")), "hidden_size is nan; give a whole number"),
        (lambda d: edit(d / "config.json", quantization_config={"quant_method": "awq"}), "AWQ, 4 bits.*but none in"),
        (lambda d: edit(d / "config.json", quantization_config={"quant_method": "hqq"}), "by 'hqq', whose zero points"),
        (lambda d: edit(d / "config.json", quantization_config={"quant_method": "gptq"}), "tion_config is damaged"),
        (lambda d: edit(d / "config.json", quantization_config=7), "by 'an unnamed method', a form that is not read"),
        (lambda d: edit(d / "config.json", transformers_weights="a.safetensors"), "transformers_weights; rename them"),
        (lambda d: (d / "adapter_config.json").write_text("{}"), "holds an adapter"),
        (lambda d: edit(d / "config.json", architectures=["BertForMaskedLM"]), "which is not a causal language model"),
        (lambda d: edit(d / "config.json", model_type="novel"), "has no causal language model of type 'novel'"),
        (lambda d: edit(d / "config.json", model_type="novel", auto_map={}), "choose a model that it knows"),
    ],
)  # fmt: skip
def test_what_is_missing_is_one_sentence(damage, message, copy, tmp_path):
    damage(copy)
    with pytest.raises(StudyError, match=message) as caught:
        prepare(copy, tmp_path / "out")
    assert str(caught.value).startswith("models.mine.path.path: ")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_large_weights_are_told_apart_without_being_read_whole(copy, monkeypatch):
    monkeypatch.setattr(checkpoint, "_READ_WHOLE_BYTES", 0)
    before = checkpoint.weights_digest(copy)
    content = bytearray((copy / "model.safetensors").read_bytes())
    for at in range(len(content) // 2, len(content), 100):  # retrained: values differ everywhere
        content[at] ^= 1
    (copy / "model.safetensors").write_bytes(content)
    assert checkpoint.weights_digest(copy) != before


@pytest.mark.parametrize(
    ("around", "message"),
    [
        ("$A <|end_of_text|>", "puts its end token, '<|end_of_text|>', behind every prompt"),
        (
            "<|begin_of_text|> <|begin_of_text|> $A",
            "puts its begin token, '<|begin_of_text|>', before every prompt twice",
        ),
        ("<|begin_of_text|> $A", None),
        ("$A", None),
    ],
)
def test_a_tokenizer_that_spoils_every_prompt_is_refused(around, message, copy, tmp_path):
    from tokenizers import Tokenizer, processors

    tokenizer = Tokenizer.from_file(str(copy / "tokenizer.json"))
    special = [(token, tokenizer.token_to_id(token)) for token in ("<|begin_of_text|>", "<|end_of_text|>")]
    tokenizer.post_processor = processors.TemplateProcessing(single=around, special_tokens=special)
    tokenizer.save(str(copy / "tokenizer.json"))
    if message is None:
        prepare(copy, tmp_path / "out")
    else:
        with pytest.raises(StudyError, match=re.escape(message)):
            prepare(copy, tmp_path / "out")
        assert not (tmp_path / "out" / "manifest.json").exists()
