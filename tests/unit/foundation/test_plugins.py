"""Plugins: modules of a user's own beside the project's, and part of the keys of what uses them."""

import importlib
import sys

import pytest

from scripts.dataset import sources as package
from scripts.foundation import plugins
from scripts.foundation.errors import StudyError
from scripts.study import sources


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """A folder with a module beside the data sources, and what puts the process back after it."""
    folder = tmp_path / "mine" / "scripts" / "dataset" / "sources"
    folder.mkdir(parents=True)
    (folder / "telegraph.py").write_text("WIRE = 1\n", encoding="utf-8")
    monkeypatch.setitem(plugins._own_paths, package.__name__, list(package.__path__))
    monkeypatch.setenv(plugins.VARIABLE, "")
    yield tmp_path / "mine"
    plugins.use([])
    sys.modules.pop("scripts.dataset.sources.telegraph", None)


def test_a_plugins_module_is_found_beside_the_projects(plugin):
    assert "telegraph" not in plugins.modules(package)
    plugins.use([str(plugin)])
    assert {"telegraph", "hub"} <= set(plugins.modules(package))
    assert importlib.import_module("scripts.dataset.sources.telegraph").WIRE == 1
    plugins.use([])
    assert "telegraph" not in plugins.modules(package)


def test_a_plugins_code_is_part_of_the_key_wherever_it_lies(plugin, tmp_path):
    plugins.use([str(plugin)])
    before = sources.digests("scripts.dataset.sources.telegraph")
    assert "plugin:scripts/dataset/sources/telegraph.py" in before
    plugin.rename(tmp_path / "elsewhere")
    plugins.use([str(tmp_path / "elsewhere")])
    assert sources.digests("scripts.dataset.sources.telegraph") == before


def test_a_plugin_replaces_no_module_of_the_project(plugin):
    (plugin / "scripts" / "dataset" / "sources" / "hub.py").write_text("", encoding="utf-8")
    with pytest.raises(StudyError, match=r"hub has the name of .*; a plugin adds modules and replaces none"):
        plugins.use([str(plugin)])


@pytest.mark.parametrize(
    ("given", "said"), [("folder", "is no list of folders"), (["nowhere"], "is no folder"), ([3], "no list")]
)
def test_what_names_no_plugin_is_refused(plugin, given, said):
    with pytest.raises(StudyError, match=said):
        plugins.use(given)
