import json
import re

import pytest

from scripts.foundation.errors import StudyError
from scripts.study import import_facts, sources

PROJECT = {
    "scripts/__init__.py": "",
    "scripts/stage.py": "import json\nfrom scripts.part import helper\nfrom scripts.part.helper import LIMIT\n",
    "scripts/part/__init__.py": "from scripts.facts import VALUE\n",
    "scripts/part/helper.py": "LIMIT = 3\ndef late():\n    import scripts.deep.inner\n",
    "scripts/facts.py": "VALUE = 1\n",
    "scripts/deep/__init__.py": "",
    "scripts/deep/inner.py": "",
    "scripts/facets/__init__.py": "import importlib\ndef load(name): importlib.import_module(name)\n",
    "scripts/facets/one.py": "from scripts.facets import load\n",
    "scripts/other.py": "",
    "report/page.html": "<p>",
    "report/parts/style.css": "p {}",
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A small project; ``project(path=text)`` writes a file or, with None, removes one, and gives the digests anew."""

    class Project:
        def write(self, path, text):
            file = tmp_path / path
            if text is None:
                file.unlink()
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
            return self

        def digests(self, *modules, files=()):
            for cached in (sources._imported, sources._locate, sources._facts, sources.file_digest):
                cached.cache_clear()
            return sources.digests(*modules, files=files)

    monkeypatch.setattr(sources, "ROOT", tmp_path)
    made = Project()
    for path, text in PROJECT.items():
        made.write(path, text)
    yield made
    for cached in (sources._imported, sources._locate, sources._facts, sources.file_digest):
        cached.cache_clear()


CLOSURE = [
    "scripts/__init__.py", "scripts/deep/__init__.py", "scripts/deep/inner.py", "scripts/facts.py",
    "scripts/part/__init__.py", "scripts/part/helper.py", "scripts/stage.py",
]  # fmt: skip


def test_the_code_of_a_stage_is_all_that_it_imports(project):
    assert list(project.digests("scripts.stage")) == CLOSURE


@pytest.mark.parametrize("path", CLOSURE)
def test_a_change_anywhere_in_it_shows(project, path):
    before = project.digests("scripts.stage")
    after = project.write(path, PROJECT[path] + "\nCHANGED = 1\n").digests("scripts.stage")
    assert {name for name in after if after[name] != before[name]} == {path}


def test_a_change_elsewhere_does_not(project):
    before = project.digests("scripts.stage")
    assert project.write("scripts/other.py", "x = 1").digests("scripts.stage") == before


def test_a_touched_file_is_the_same_file(project, tmp_path):
    before = project.digests("scripts.stage")
    (tmp_path / "scripts/stage.py").touch()
    assert project.digests("scripts.stage") == before


def test_modules_that_are_loaded_by_name_count_only_where_they_are_named(project):
    assert "scripts/facets/one.py" not in project.digests("scripts.facets")
    assert "scripts/facets/one.py" in project.digests("scripts.stage", "scripts.facets.one")


def test_the_packages_of_a_named_module_count_too(project):
    project.write("scripts/facets/one.py", "")
    assert list(project.digests("scripts.facets.one")) == [
        "scripts/__init__.py", "scripts/facets/__init__.py", "scripts/facets/one.py",
    ]  # fmt: skip


def test_files_and_whole_folders_count_too(project):
    digests = project.digests("scripts.other", files=("report",))
    assert {"report/page.html", "report/parts/style.css", "scripts/other.py"} <= set(digests)
    changed = project.write("report/parts/style.css", "p {color: red}").digests("scripts.other", files=("report",))
    assert changed["report/parts/style.css"] != digests["report/parts/style.css"]
    project.write("report/__pycache__/x.pyc", "")
    assert project.digests("scripts.other", files=("report",)) == changed


@pytest.mark.parametrize(
    "path", ["scripts/part/helper.py", "scripts/part/__init__.py", "scripts/facts.py", "scripts/deep/inner.py"]
)
def test_a_missing_module_is_an_error_that_names_it(project, path):
    with pytest.raises(StudyError) as error:
        project.write(path, None).digests("scripts.stage")
    assert path.removesuffix("/__init__.py") in str(error.value)
    assert re.search(r"is missing; (restore it from the repository|add it, be it empty)\.$", str(error.value))


def test_a_missing_name_of_a_package_is_a_missing_module(project):
    project.write("scripts/stage.py", "from scripts.part import absent\n")
    with pytest.raises(StudyError, match=r"scripts/part/absent\.py is missing"):
        project.digests("scripts.stage")


def test_a_missing_stage_or_template_is_an_error(project):
    with pytest.raises(StudyError, match=r"scripts/absent\.py is missing"):
        project.digests("scripts.absent")
    with pytest.raises(StudyError, match=r"report/absent\.html is missing"):
        project.digests("scripts.other", files=("report/absent.html",))


def test_a_relative_import_is_refused_rather_than_missed(project):
    project.write("scripts/other.py", "from . import facts\n")
    with pytest.raises(StudyError, match=r"scripts/other\.py has a relative import"):
        project.digests("scripts.other")


@pytest.mark.parametrize("stage", ["prepare_dataset", "prepare_model", "score", "compare", "plot", "render"])
def test_every_stage_of_the_project_can_be_followed(stage):
    assert f"scripts/{stage}.py" in sources.digests(f"scripts.{stage}")


def test_generation_depends_on_the_facets_that_are_used_and_on_no_metric():
    code = sources.digests("scripts.generate", "scripts.inference.worker", "scripts.techniques.kv_cache.facet")
    assert {"scripts/inference/timed_loop.py", "scripts/inference/loading.py"} <= set(code)
    facets = {"kv_cache", "quantization", "pruning", "parallel", "speculation"}
    assert {name for name in facets if f"scripts/techniques/{name}/facet.py" in code} == {"kv_cache"}
    # Which files are a checkpoint's weights, how quantised ones are stored, and which libraries are imported, is what a
    # run goes by; how models are made is not.
    others = {name for name in code if name.startswith(("scripts/metrics", "scripts/dataset", "scripts/models"))}
    packed = {f"scripts/models/packed/{name}.py" for name in ("__init__", "forms", "tensors")}
    own = {f"scripts/models/{name}.py" for name in ("__init__", "libraries", "stored_files")}
    assert others <= own | packed


def test_a_draft_as_it_is_depends_on_no_quantisation():
    code = sources.digests("scripts.generate", "scripts.inference.worker", "scripts.techniques.speculation.facet")
    assert not any(name.startswith("scripts/techniques/quantization") for name in code)


def test_scoring_depends_on_no_timed_code():
    code = sources.digests("scripts.score")
    assert not [name for name in code if name.startswith(("scripts/inference", "scripts/engine", "scripts/kernels"))]
    assert not [name for name in code if name.endswith(("facet.py", "method.py")) and name.count("/") > 2]


CODE = "def f(a, b=2):\n    return [a, b]\n\n\nclass C:\n    x = 'text'\n"


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("# A comment.\n" + CODE, True),
        ('"""What it is."""\n' + CODE.replace("b=2):\n", 'b=2):\n    """What it does."""\n'), True),
        (CODE.replace("C:\n", 'C:\n    "Of what kind."\n\n'), True),
        (CODE.replace("(a, b=2)", "(\n    a,\n    b = 2,\n)").replace("'text'", '"text"'), True),
        (CODE.replace("b=2", "b=3"), False),
        (CODE.replace("'text'", "'other text'"), False),
        (CODE.replace("[a, b]", "[b, a]"), False),
        (CODE.replace("x = ", "y = "), False),
    ],
)
def test_only_what_a_file_does_counts(project, text, same):
    before = project.write("scripts/other.py", CODE).digests("scripts.other")
    assert (project.write("scripts/other.py", text).digests("scripts.other") == before) == same


def test_what_an_earlier_call_read_is_taken_up_by_content(project, tmp_path, monkeypatch):
    monkeypatch.setattr(import_facts, "CACHE_FILE", tmp_path / "kept" / "imports.json")
    (tmp_path / "kept").mkdir()

    parsed = []
    original = import_facts._read
    monkeypatch.setattr(import_facts, "_read", lambda path, content: parsed.append(path) or original(path, content))
    import_facts._cache.cache_clear()
    first = project.digests("scripts.stage")
    assert len(parsed) == 5  # the contents of seven files, of which three are empty
    import_facts._cache().write()
    parsed.clear()
    import_facts._cache.cache_clear()
    assert (project.digests("scripts.stage"), parsed) == (first, [])
    project.write("scripts/part/helper.py", "from scripts import other\nLIMIT = 3\n")
    import_facts._cache.cache_clear()
    assert "scripts/other.py" in project.digests("scripts.stage")
    assert [path.name for path in parsed] == ["helper.py"]
    import_facts._cache().write()
    kept = json.loads(import_facts.CACHE_FILE.read_text())
    wrong = ({"imports": "scripts"}, {"imports": [3]}, {"names": [1]}, {"code": None})
    spoiled = [kept | {"files": {key: each | part for key, each in kept["files"].items()}} for part in wrong]
    spoiled += [[], {"files": {}}, kept | {"made_by": "another version", "files": {"a": {}}}]
    for damaged in ("{", "[" * 100_000, *map(json.dumps, spoiled)):
        import_facts.CACHE_FILE.write_text(damaged)
        import_facts._cache.cache_clear()
        assert "scripts/other.py" in project.digests("scripts.stage")
    import_facts._cache.cache_clear()


def test_what_another_version_of_the_reader_kept_is_read_again(project, tmp_path, monkeypatch):
    monkeypatch.setattr(import_facts, "CACHE_FILE", tmp_path / "imports.json")
    import_facts._cache.cache_clear()
    before = project.digests("scripts.stage")
    import_facts._cache().write()
    monkeypatch.setattr(import_facts, "_made_by", lambda: "another")
    monkeypatch.setattr(import_facts, "_digest", lambda tree: "new")
    import_facts._cache.cache_clear()
    assert set(project.digests("scripts.stage").values()) == {"new"} != set(before.values())
    import_facts._cache.cache_clear()


@pytest.mark.parametrize("text", [b"def f(:\n", b"x = '\0'\n", b"caf\xe9 = 1\n"])
def test_what_is_no_python_is_one_sentence(project, tmp_path, text):
    (tmp_path / "scripts/other.py").write_bytes(text)
    with pytest.raises(StudyError, match=r"scripts/other\.py is no Python that can be read .*; correct it\.$"):
        project.digests("scripts.other")


@pytest.mark.parametrize("text", [b"\xef\xbb\xbfX = 1\n", b"# -*- coding: latin-1 -*-\nX = 'caf\xe9'\n"])
def test_python_of_other_encodings_is_read(project, tmp_path, text):
    (tmp_path / "scripts/other.py").write_bytes(text)
    assert set(project.digests("scripts.other")) == {"scripts/__init__.py", "scripts/other.py"}
