"""Models in GGUF files: read by their header, and made an ordinary checkpoint of."""

import importlib.util
import shutil

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer

from scripts import prepare_model
from scripts.foundation.errors import StudyError
from scripts.inference.loading import load
from scripts.models import checkpoint as checkpoints
from scripts.models import settings
from scripts.models.packed import gguf_header
from scripts.models.source import ENCODER
from scripts.runtime.models import Process
from tests.support import gguf_model
from tests.support.worker_runs import run_worker
from tests.support.worker_runs import settings as facets


@pytest.fixture(scope="module")
def file(checkpoint, tmp_path_factory):
    return gguf_model.write(checkpoint, tmp_path_factory.mktemp("gguf") / "small.gguf", "Q4_0")


def given(path, dtype="float32"):
    return {"source": "path", "path": {"path": str(path)}, "dtype": dtype, "seed": 0}


@pytest.fixture(scope="module")
def made(file, tmp_path_factory):
    output = tmp_path_factory.mktemp("made")
    return output, prepare_model.prepare("mine", given(file), output)


def test_a_file_becomes_a_checkpoint_with_its_tokenizer(made, checkpoint, evaluation_set):
    directory, manifest = made
    assert manifest["parameters"] == checkpoints.parameters(checkpoint)
    assert (manifest["path"], manifest["dtype"]) == (".", "float32")
    stored = manifest["stored"]
    # 18 bytes for 32 weights; the norms are in float32.
    assert stored["form"].startswith("GGUF (Q4_0, F32), 4.5")
    assert stored["bytes"] < manifest["parameters"] * 0.6
    assert (stored["read_as"], stored["file"]) == ("float32", "small.gguf")
    text = "The mayor of Norwich said that the bridge will open: 4%.\n"
    own, theirs = (AutoTokenizer.from_pretrained(each) for each in (directory, checkpoint))
    # How text is cut into words is the file's own, the tokens are the checkpoint's.
    assert own.get_vocab() == theirs.get_vocab()
    assert own.decode(own(text, add_special_tokens=False)["input_ids"]) == text
    assert own.eos_token == theirs.eos_token
    before, after = (load_file(each / "model.safetensors") for each in (checkpoint, directory))
    for name, tensor in before.items():
        assert (after[name] - tensor).norm() / tensor.norm() < 0.15  # 4 bits, in the right places
    run = run_worker(directory, evaluation_set, {"engine": "graph"})
    assert run.tokens == run_worker(directory, evaluation_set, {}).tokens


def test_it_is_known_before_it_is_read(file, checkpoint, tmp_path):
    options = settings.read("models.mine", given(file)).options
    options.check("models.mine")
    config, own = options.config_json(), checkpoints.read_config(checkpoint)
    for key in ("model_type", "num_hidden_layers", "hidden_size", "num_key_value_heads", "vocab_size",
                "intermediate_size", "num_attention_heads", "tie_word_embeddings"):  # fmt: skip
        assert config[key] == own[key], key
    header = gguf_header.read(file)
    assert header.parameters == checkpoints.parameters(checkpoint)
    (tmp_path / "folder").mkdir()
    copy = shutil.copy(file, tmp_path / "folder" / "renamed.gguf")
    folder = settings.read("models.mine", given(tmp_path / "folder")).options
    folder.check("models.mine")
    assert folder.fingerprint() == options.fingerprint()
    assert folder.makes_weights()
    shutil.copy(copy, tmp_path / "folder" / "second.gguf")
    with pytest.raises(StudyError, match=r"holds 2 GGUF files, renamed\.gguf among them; name one by its path"):
        folder.check("models.mine")


def cut(path):
    path.write_bytes(path.read_bytes()[:-7])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, r"is no complete GGUF file \(it has \d+ bytes instead of \d+\); fetch it again"),
        (lambda path: path.write_bytes(b"GGUF" + b"\xff" * 60), "is no complete GGUF file"),
        (lambda path: path.write_bytes(path.read_bytes()[:3000]), "is no complete GGUF file"),
        (lambda path: path.write_bytes(b"version https://git-lfs"), "does not begin with GGUF"),
        (lambda path: path.write_bytes(b""), "is no complete GGUF file"),
        (lambda path: path.unlink(), "does not exist; correct the path"),
    ],
)
def test_a_damaged_file_is_one_sentence(file, tmp_path, damage, message):
    copy = shutil.copy(file, tmp_path / "copy.gguf")
    damage(copy)
    with pytest.raises(StudyError, match=message) as caught:
        settings.read("models.mine", given(copy)).options.check("models.mine")
    assert str(caught.value).startswith("models.mine.path.path: ")
    assert "\n" not in str(caught.value)


def test_without_the_reader_it_says_what_to_install(file, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "gguf" else find(name))
    options = settings.read("models.mine", given(file)).options
    with pytest.raises(StudyError, match=r"read with the package gguf, .* install envs/requirements\.txt"):
        options.check("models.mine")
    hub = {"source": "hub", "hub": {"id": "a/b", "revision": "0" * 40, "file": "q/x.gguf"}, "dtype": "float32"}
    with pytest.raises(StudyError, match=r"models\.mine\.hub\.file: q/x\.gguf is a GGUF file, .*not installed"):
        settings.read("models.mine", hub).options.check("models.mine")


@pytest.mark.parametrize("name", ["x.bin", "../x.gguf", "/x.gguf", "a b.gguf"])
def test_a_file_of_a_hub_is_a_gguf_of_the_repository(name):
    hub = {"source": "hub", "hub": {"id": "a/b", "revision": "0" * 40, "file": name}, "dtype": "float32"}
    with pytest.raises(StudyError, match=r"models\.mine\.hub\.file is .*; name a \.gguf file of the repository"):
        settings.read("models.mine", hub).options.check("models.mine")


def test_an_encoder_is_none(file):
    with pytest.raises(StudyError, match="an encoder is read from safetensors alone"):
        settings.read("quality.semantic", given(file)).options.check("quality.semantic", ENCODER)


def test_an_architecture_that_transformers_reads_no_gguf_of_is_one_sentence(file, tmp_path):
    copy = tmp_path / "novel.gguf"
    copy.write_bytes(file.read_bytes().replace(b"llama", b"novel"))
    with pytest.raises(
        StudyError, match=r"transformers can't read .*novel\.gguf, an 'novel' model .*; choose"
    ) as caught:
        prepare_model.prepare("mine", given(copy), tmp_path / "out")
    assert "\n" not in str(caught.value)


def test_it_is_read_in_the_models_dtype(file, tmp_path):
    prepare_model.prepare("mine", given(file, "bfloat16"), tmp_path / "out")
    model = load(tmp_path / "out", facets(), Process(torch.device("cpu"), torch.bfloat16), None).model
    assert model.dtype == torch.bfloat16
