import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.foundation.errors import StudyError
from scripts.models import settings, sources

LLAMA = "config/architectures/llama-3.2-1b.json"


def options(given):
    return settings.read("models.m", given).options


def check(given):
    options(given).check("models.m")


def fingerprint(given):
    return options(given).fingerprint()


def tokenizer_identity(given):
    return options(given).tokenizer_identity()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"source": "magic"}, r"models\.m\.source is 'magic'; choose one of hub, path, random, train"),
        ({"source": "train", "dtype": "int8"}, r"models\.m\.dtype is 'int8'"),
        ({"source": "train", "train": {"depth": 3}}, "depth is not a setting; the settings are layers"),
        ({"source": "train", "train": {"hidden": 100, "heads": 3}}, r"hidden \(100\) is not divisible by heads \(3\)"),
        ({"source": "train", "train": {"heads": 4, "kv_heads": 3}}, r"heads \(4\) is not divisible by kv_heads \(3\)"),
        ({"source": "train", "train": {"hidden": 12, "heads": 4, "kv_heads": 4}}, r"each head is 3 wide"),
        ({"source": "train", "train": {"layers": 0}}, r"train\.layers is 0; give a whole number of at least 1"),
        ({"source": "train", "train": {"vocabulary": 256}}, r"vocabulary is 256; give a whole number of at least 320"),
        ({"source": "train", "train": {"learning_rate": 0}}, r"learning_rate is 0; give a number above 0"),
        ({"source": "train", "train": {"steps": True}}, r"steps is True"),
        ({"source": "hub", "hub": {"id": "a/b"}}, r"models\.m\.hub\.revision is missing"),
        ({"source": "hub", "hub": {"id": "a/b", "revision": "main"}}, "is 'main'; give the full 40-digit commit"),
        ({"source": "hub", "hub": {"id": "../x y", "revision": "a" * 40}}, 'x y", which is no name on a hub'),
        ({"source": "path", "path": {}}, r"models\.m\.path\.path is missing"),
        ({"source": "path", "path": {"path": "no/such"}}, r"m\.path\.path: the directory no/such does not exist"),
        ({"source": "random", "random": {"architecture": "no.json"}}, r"the file no\.json does not exist"),
        ({"source": "random", "random": {"architecture": {"model_type": "llama"}}}, r"architecture has no vocab_size"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_one_sentence_that_names_the_key(given, message):
    with pytest.raises(StudyError, match=message) as caught:
        check(given)
    assert "\n" not in str(caught.value)


def test_defaults_fit():
    for given in ({"source": "train"}, {"source": "random", "random": {"architecture": LLAMA}}):
        check(given)


def test_checks_import_neither_torch_nor_transformers():
    code = (
        "import sys; from scripts.models import sources; list(map(sources.find, sources.names())); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_fingerprint_of_a_directory_is_its_content(checkpoint_directory, tmp_path):
    def value(path):
        return fingerprint({"source": "path", "path": {"path": str(path)}})

    moved = tmp_path / "moved"
    shutil.copytree(checkpoint_directory, moved)
    os.utime(moved / "config.json", (1, 1))
    os.utime(moved / "model.safetensors", (1, 1))
    assert value(moved) == value(checkpoint_directory)
    weights = bytearray((moved / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (moved / "model.safetensors").write_bytes(weights)
    changed = value(moved)
    assert changed != value(checkpoint_directory)
    config = json.loads((moved / "config.json").read_text())
    (moved / "config.json").write_text(json.dumps(config | {"rope_theta": 5.0}))
    assert value(moved) != changed


@pytest.mark.parametrize(
    "name", ["chat_template.jinja", "additional_chat_templates/tool.jinja", "vocab.txt", "spiece.model", "vocab.json"]
)
def test_an_edit_of_what_transformers_reads_makes_a_directory_another(name, checkpoint_directory, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(checkpoint_directory, copy)
    (copy / name).parent.mkdir(exist_ok=True)
    given = {"source": "path", "path": {"path": str(copy)}}
    values = set()
    for content in ("one", "other"):
        (copy / name).write_text(content)
        values.add(fingerprint(given))
    assert len(values) == 2
    for stray in ("README.md", "modeling.py", "model_old.safetensors", "onnx.json"):
        (copy / stray).write_text("nothing of the model's")
    assert fingerprint(given) in values


def test_the_fingerprint_of_an_architecture_ignores_layout_and_key_order(tmp_path):
    content = json.loads(Path(LLAMA).read_text())
    one, other, changed = (tmp_path / f"{number}.json" for number in range(3))
    one.write_text(json.dumps(content))
    other.write_text(json.dumps(dict(reversed(content.items())), indent=7))
    changed.write_text(json.dumps(content | {"num_hidden_layers": 17}))
    paths = (one, other, changed)
    values = [fingerprint({"source": "random", "random": {"architecture": str(path)}}) for path in paths]
    assert values[0] == values[1] != values[2]


def test_settings_that_say_everything_need_no_fingerprint():
    assert fingerprint({"source": "train"}) == ""
    assert fingerprint({"source": "hub", "hub": {"id": "a/b", "revision": "a" * 40}}) == ""


def test_trained_models_share_a_tokenizer_exactly_when_their_vocabularies_match(tiny):
    assert tokenizer_identity(tiny()) == tokenizer_identity(tiny(layers=4, hidden=64, max_rows=10))
    assert tokenizer_identity(tiny()) != tokenizer_identity(tiny(vocabulary=400))
    random = {"source": "random", "random": {"architecture": LLAMA, "vocabulary": tiny()["train"]["vocabulary"]}}
    assert tokenizer_identity(random) == tokenizer_identity(tiny())


def test_directories_share_a_tokenizer_by_content_and_a_hub_is_unknown(checkpoint_directory, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(checkpoint_directory, copy)
    (copy / "tokenizer.json").write_text(json.dumps(json.loads((copy / "tokenizer.json").read_text())))
    paths = [{"source": "path", "path": {"path": str(path)}} for path in (checkpoint_directory, copy)]
    assert tokenizer_identity(paths[0]) == tokenizer_identity(paths[1])
    assert tokenizer_identity({"source": "hub", "hub": {"id": "a/b", "revision": "a" * 40}}) is None


def test_reserved_tokens_may_have_other_names_in_a_draft_of_the_family(checkpoint_directory, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(checkpoint_directory, copy)

    def rewrite(change):
        content = json.loads((checkpoint_directory / "tokenizer.json").read_text())
        change(content)
        (copy / "tokenizer.json").write_text(json.dumps(content))
        settings_of = ({"source": "path", "path": {"path": str(path)}} for path in (checkpoint_directory, copy))
        return len({tokenizer_identity(each) for each in settings_of}) == 1

    def rename_reserved(content):
        reserved = content["added_tokens"][-1]
        content["model"]["vocab"]["<|reserved|>"] = content["model"]["vocab"].pop(reserved["content"])
        reserved["content"] = "<|reserved|>"

    def rename_word(content):
        word = max(content["model"]["vocab"], key=content["model"]["vocab"].get)
        content["model"]["vocab"]["another"] = content["model"]["vocab"].pop(word)

    assert rewrite(rename_reserved)
    assert not rewrite(rename_word)


def test_every_setting_of_a_trained_model_has_a_default():
    assert options({"source": "train"}) == sources.find("train")()
