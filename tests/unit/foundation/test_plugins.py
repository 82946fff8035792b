"""Plugins: modules of a user's own beside the project's, and part of the keys of what uses them."""

import importlib
import shutil
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
    with pytest.raises(StudyError, match=r"hub\.py has the name of .*; a plugin replaces no file"):
        plugins.use([str(plugin)])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("folder", "is no list of folders"),
        (["nowhere"], "'nowhere', looked for in .*, is no folder"),
        (["/a\0b"], "is no folder"),
        ([3], "no list"),
    ],
)
def test_what_names_no_plugin_is_refused(plugin, given, said):
    with pytest.raises(StudyError, match=said):
        plugins.use(given)


def test_a_folder_that_the_variable_cannot_name_is_refused_and_others_stay_in_use(plugin, tmp_path):
    plugins.use([str(plugin)])
    (tmp_path / "a:b").mkdir()
    with pytest.raises(StudyError, match=r"a:b' has a ':' in it"):
        plugins.use([str(tmp_path / "a:b")])
    assert plugins.roots() == (plugin,)


@pytest.mark.parametrize("name", ["report/partials/trust.html.j2", "scripts/techniques/pruning/words.yaml"])
def test_a_plugin_replaces_no_other_file_of_the_project_either(plugin, name):
    (plugin / name).parent.mkdir(parents=True)
    (plugin / name).write_text("", encoding="utf-8")
    with pytest.raises(StudyError, match="a plugin replaces no file"):
        plugins.use([str(plugin)])


def test_two_plugins_with_a_file_of_one_name_are_refused(plugin, tmp_path):
    shutil.copytree(plugin, tmp_path / "twin")
    with pytest.raises(StudyError, match=r"twin.*telegraph\.py has the name of .*mine.*telegraph\.py"):
        plugins.use([str(plugin), str(tmp_path / "twin")])


def test_a_package_that_is_there_already_may_have_its_init_in_the_plugin_too(plugin):
    (plugin / "scripts" / "dataset" / "sources" / "__init__.py").write_text("", encoding="utf-8")
    plugins.use([str(plugin)])
    assert "telegraph" in plugins.modules(package)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x =", "line 1: invalid syntax"),
        ("\nimport nothing_of_that_name", "line 2: ModuleNotFoundError: No module named"),
        ("import json\njson.loads('')", "line 2: JSONDecodeError"),
    ],
)
def test_a_fault_of_a_plugins_code_is_a_sentence_with_file_and_line(plugin, source, said):
    path = plugin / "scripts" / "dataset" / "sources" / "telegraph.py"
    path.write_text(source, encoding="utf-8")
    plugins.use([str(plugin)])
    with pytest.raises(Exception) as error:  # noqa: PT011
        plugins.settings(package.__name__, "telegraph", object)
    found = plugins.fault(error.value)
    assert found.startswith(f"{path}, {said}")
    assert found.endswith("; correct the plugin.")
    assert plugins.fault(ZeroDivisionError()) is None


def test_what_is_no_text_is_no_python(plugin):
    (plugin / "scripts" / "dataset" / "sources" / "telegraph.py").write_bytes(b"x = 1\0")
    plugins.use([str(plugin)])
    with pytest.raises(Exception, match=r"null bytes"):
        plugins.settings(package.__name__, "telegraph", object)
