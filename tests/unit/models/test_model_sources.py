"""Sources of models: what a plugin adds is found, checked and prepared, and each model's key holds its source alone."""

import json
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from scripts import prepare_model
from scripts.foundation import plugins
from scripts.foundation.errors import StudyError
from scripts.models import sources
from scripts.study import configuration
from scripts.study.sources import digests

SOURCE = '''
"""Source ``twin``: another model's directory under a name of its own."""

from dataclasses import dataclass

from scripts.foundation.errors import StudyError
from scripts.models.source import WRITER, Source


@dataclass(frozen=True)
class Settings(Source):
    of: str
    copies: int = 1

    def check(self, key, kind=WRITER):
        if self.copies > 2:
            raise StudyError(f"{key}.twin.copies is {self.copies}; two are the most.")

    def fingerprint(self):
        return f"twin of {self.of}"

    def prepare(self, job):
        return {"path": ".", "parameters": self.copies, "dtype": job.dtype, "of": self.of}
'''
SCHEMA = """
$defs:
  model:
    properties:
      source: {enum: [twin]}
      twin:
        type: object
        additionalProperties: false
        required: [of]
        properties:
          of: {type: string, maxLength: 100}
          copies: {type: integer, minimum: 1, maximum: 9}
"""
TWIN = {"source": "twin", "twin": {"of": "small", "copies": 2}, "dtype": "float16", "seed": 0}


@pytest.fixture
def twin(tmp_path, monkeypatch):
    """A plugin with a source of models, in use."""
    for path, text in (("scripts/models/sources/twin.py", SOURCE), ("config/config.schema.yaml", SCHEMA)):
        (tmp_path / "plugin" / path).parent.mkdir(parents=True)
        (tmp_path / "plugin" / path).write_text(text, encoding="utf-8")
    monkeypatch.setenv(plugins.VARIABLE, "")
    plugins.use([str(tmp_path / "plugin")])
    yield tmp_path / "plugin"
    plugins.use([])
    sys.modules.pop("scripts.models.sources.twin", None)


def study(**options):
    config = yaml.safe_load((plugins.ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    config["models"]["large"] = TWIN | {"twin": TWIN["twin"] | options}
    config["select"] = ["target_only"]
    return config


def test_a_plugins_source_is_checked_with_the_study(twin):
    assert [technique.name for technique in configuration.check(study())] == ["target_only"]
    with pytest.raises(StudyError, match=r"^models\.large\.twin\.copies is 3; two are the most\.$"):
        configuration.check(study(copies=3))
    with pytest.raises(StudyError, match=r"models\.large\.twin has no key 'from'"):
        configuration.check(study() | {"models": study()["models"] | {"large": TWIN | {"twin": {"from": "x"}}}})


def test_a_plugins_source_prepares_a_model(twin, tmp_path):
    manifest = prepare_model.prepare("mine", TWIN, tmp_path / "out")
    assert (manifest["source"], manifest["of"], manifest["dtype"]) == ("twin", "small", "float16")
    assert (tmp_path / "out" / "manifest.json").is_file()


def test_a_plugins_source_is_known_only_while_it_is_used(twin):
    assert "twin" in sources.names()
    assert configuration.model(study(), "large").options.fingerprint() == "twin of small"
    plugins.use([])
    with pytest.raises(StudyError, match="choose one of hub, path, random, train"):
        configuration.model(study(), "large")


def test_a_module_that_is_no_source_is_named(twin):
    (twin / "scripts/models/sources/empty.py").write_text("", encoding="utf-8")
    with pytest.raises(StudyError, match=r"sources/empty\.py has no class Settings\(Source\)"):
        sources.find("empty")
    sys.modules.pop("scripts.models.sources.empty", None)


@pytest.mark.parametrize("source", ["hub", "path", "random", "train", "twin"])
def test_the_key_of_a_model_holds_its_own_source_and_no_code_of_leases(twin, source):
    code = digests("scripts.prepare_model", sources.find(source).__module__)
    others = {Path(name).stem for name in code if "scripts/models/sources/" in name} - {"__init__"}
    assert others == {source}
    assert not any("scripts/inference" in name for name in code)
    assert ("scripts/models/training.py" in code) == (source == "train")


def test_an_encoder_need_not_be_a_model_that_writes(checkpoint_directory, tmp_path):
    copy = tmp_path / "encoder"
    shutil.copytree(checkpoint_directory, copy)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"architectures": ["LlamaModel"]}))
    given = {"source": "path", "path": {"path": str(copy)}}
    assert prepare_model.prepare("encoder", given, tmp_path / "out", kind="encoder")["parameters"]
    with pytest.raises(StudyError, match=r"models\.m\.path\.path: .* LlamaModel, which is not a causal language model"):
        prepare_model.prepare("m", given, tmp_path / "out")
