import pytest

from scripts.foundation.errors import StudyError
from scripts.study import layers
from scripts.study.configuration import check


def explained(files, options=(), **more):
    """The sentence that a user reads."""
    study = layers.read(files, options, **more)
    with pytest.raises(StudyError) as error:
        check(study.config)
    return study.explain(error.value)


def test_the_command_lines_options_are_yaml_and_come_last(tmp_path):
    (tmp_path / "a.yaml").write_text("title: A\nmeasurement: {repeats: 5, warmup: 7}\n", encoding="utf-8")
    (tmp_path / "b.yaml").write_text("measurement: {warmup: 8}\n", encoding="utf-8")
    options = ["measurement={repeats: 2}", "select=[baseline]", "dataset={file: {path: my/file.json}}"]
    config = layers.read([tmp_path / "a.yaml", tmp_path / "b.yaml"], options).config
    assert config["title"] == "A"
    assert {key: config["measurement"][key] for key in ("repeats", "warmup", "threads")} == {
        "repeats": 2, "warmup": 8, "threads": 1,
    }  # fmt: skip
    assert config["select"] == ["baseline"]
    assert config["dataset"]["file"]["path"] == "my/file.json"
    assert config["dataset"]["file"]["columns"]["headline"] == "headline"
    assert check(config)


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("1e-3", 0.001), ("true", True), ("", None), ("a: b: c", "a: b: c"), ("2024-01-01", "2024-01-01")],
)
def test_an_option_of_the_command_line_has_its_kind(text, value):
    assert layers.read([], [f"title={text}"]).config["title"] == value


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("measurement.repeats=2", "--config 'measurement={repeats: 2}'"),
        ("measurement", "is no key=value"),
        ("measurement={repeats: 2", "never closed"),
        ("measurement={repeats: 2, repeats: 3}", '"repeats"'),
    ],
)
def test_a_wrong_option_is_named(option, said):
    with pytest.raises(StudyError, match="--config") as error:
        layers.read([], [option])
    assert said in str(error.value)


def test_without_the_built_in_study_only_the_files_count(tmp_path):
    (tmp_path / "a.yaml").write_text("title: A\n", encoding="utf-8")
    assert layers.read([tmp_path / "a.yaml"], [], replace=True).config == {"title": "A"}
    assert explained([tmp_path / "a.yaml"], replace=True).endswith("(config/config.schema.yaml describes it).")


def test_the_file_and_the_line_of_a_fault_are_those_of_the_last_file_that_sets_the_key(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").write_text("title: A\nmeasurement:\n  repeats: 0\n", encoding="utf-8")
    (tmp_path / "b.yaml").write_text("measurement: {warmup: 8}\n", encoding="utf-8")
    files = [tmp_path / "a.yaml", tmp_path / "b.yaml"]
    assert explained(files).startswith("a.yaml, line 3: measurement.repeats: 0 is less than")
    assert explained(files, ["measurement={repeats: 0}"]).startswith("--config: measurement.repeats: 0")
    (tmp_path / "b.yaml").write_text("\nselect:\n- baseline\n- flash\n", encoding="utf-8")
    assert explained(files, ["measurement={repeats: 1}"]).startswith("b.yaml, line 2: select names 'flash'")


def test_a_fault_without_the_built_in_files_fault_names_the_study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").write_text("dataset: {source: file}\n", encoding="utf-8")
    assert explained([tmp_path / "a.yaml"]).startswith("a.yaml: dataset.file.path is empty")
