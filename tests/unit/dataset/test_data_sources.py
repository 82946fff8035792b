"""Sources of rows: what a plugin adds is found, checked and read, and the data set's key holds its source alone."""

import json
import sys
from pathlib import Path

import pytest
import yaml

from scripts.dataset import settings, sources
from scripts.foundation import plugins
from scripts.foundation.errors import StudyError
from scripts.prepare_dataset import prepare
from scripts.study import configuration
from scripts.study.sources import digests

SOURCE = '''
"""Source ``telegraph``: one message, counted up."""

from dataclasses import dataclass
from pathlib import Path

from scripts.dataset.entries import Columns, Entry, Opened
from scripts.dataset.source import Source
from scripts.foundation.errors import StudyError


@dataclass(frozen=True)
class Settings(Source):
    data_files = ("data/message.txt",)

    station: str
    messages: int = 5

    def check(self):
        if self.station == "Atlantis":
            raise StudyError("dataset.telegraph.station is under water; choose another.")

    def open(self, seed):
        text = (Path(__file__).parents[3] / "data/message.txt").read_text()
        rows = (
            Entry(number, {"short_description": f"{text} {number}", "headline": f"{self.station} {number}"})
            for number in range(self.messages)
        )
        return Opened("telegraph", rows, {"station": self.station}, "row", Columns())
'''
SCHEMA = """
properties:
  dataset:
    properties:
      source: {enum: [telegraph]}
      telegraph:
        type: object
        additionalProperties: false
        required: [station]
        properties:
          station: {type: string, maxLength: 100}
          messages: {type: integer, minimum: 1, maximum: 9}
"""
GIVEN = {"source": "telegraph", "telegraph": {"station": "Cork", "messages": 8}}


@pytest.fixture
def telegraph(tmp_path, monkeypatch):
    """A plugin with a source of rows, in use."""
    plugin = tmp_path / "plugin"
    texts = {
        "scripts/dataset/sources/telegraph.py": SOURCE,
        "config/config.schema.yaml": SCHEMA,
        "data/message.txt": "one two three four",
    }
    for path, text in texts.items():
        (plugin / path).parent.mkdir(parents=True)
        (plugin / path).write_text(text, encoding="utf-8")
    monkeypatch.setenv(plugins.VARIABLE, "")
    plugins.use([str(plugin)])
    yield plugin
    plugins.use([])
    sys.modules.pop("scripts.dataset.sources.telegraph", None)


def study(**options):
    config = yaml.safe_load((plugins.ROOT / "config/config.yaml").read_text(encoding="utf-8"))
    config["dataset"] |= GIVEN | {"telegraph": GIVEN["telegraph"] | options}
    return config


def test_a_plugins_source_is_checked_with_the_study(telegraph):
    assert configuration.check(study())
    with pytest.raises(StudyError, match=r"^dataset\.telegraph\.station is under water; choose another\.$"):
        configuration.check(study(station="Atlantis"))
    with pytest.raises(StudyError, match=r"^dataset\.telegraph\.station is empty; set it in the study\.$"):
        configuration.check(study(station=""))
    with pytest.raises(StudyError, match=r"dataset\.telegraph has no key 'speed'"):
        configuration.check(study(speed=3))


def test_a_plugins_source_is_read(telegraph, tmp_path):
    manifest = prepare(settings.read(GIVEN), tmp_path / "out")
    assert manifest["source"] == "telegraph"
    assert manifest["settings"]["telegraph"] == {"station": "Cork", "messages": 8}
    assert manifest["origin"] == {"station": "Cork"}
    rows = [
        json.loads(line)
        for name in ("pool.jsonl", "train.jsonl")
        for line in (tmp_path / "out" / name).read_text(encoding="utf-8").splitlines()
    ]
    assert {row["headline"] for row in rows} == {f"Cork {number}" for number in range(8)}


def test_a_plugins_source_is_known_only_while_it_is_used(telegraph):
    assert "telegraph" in sources.names()
    plugins.use([])
    with pytest.raises(StudyError, match="'telegraph' is unknown; choose one of file, hub, newswire"):
        settings.read(GIVEN)


@pytest.mark.parametrize("source", ["file", "hub", "newswire", "telegraph"])
def test_the_key_of_the_data_set_holds_its_own_source_and_its_data_files(telegraph, source):
    kind = sources.find(source)
    code = digests("scripts.prepare_dataset", kind.__module__, files=kind.data_files)
    others = {Path(name).stem for name in code if "scripts/dataset/sources/" in name} - {"__init__"}
    assert others == {source}
    assert ("scripts/dataset/newswire/events/sports.yaml" in code) == (source == "newswire")
    assert ("plugin:data/message.txt" in code) == (source == "telegraph")
    assert ("scripts/dataset/formats/delimited.py" in code) == (source == "file")
