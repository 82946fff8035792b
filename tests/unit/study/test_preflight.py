"""What is read before Snakemake reads anything."""

import pytest

from scripts.foundation import plugins
from scripts.foundation.errors import StudyError
from scripts.study import configuration, preflight


def test_a_study_that_cannot_be_used_ends_with_a_sentence(tmp_path):
    study = tmp_path / "study.yaml"
    study.write_text("title: [1\n", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"^error: .*study\.yaml, line"):
        preflight.check([study], [], replace=False)


def test_a_fault_of_the_checks_is_left_to_the_workflow_to_show(monkeypatch):
    """Snakemake would take it for a fault of its profile, and print its usage."""

    def broken(config):
        raise ZeroDivisionError

    monkeypatch.setattr(configuration, "check_form", broken)
    preflight.check([], [], replace=False)


def test_keys_that_a_plugin_adds_are_known(tmp_path, monkeypatch):
    monkeypatch.setenv(plugins.VARIABLE, "")
    schema = tmp_path / "plugin" / "config" / "config.schema.yaml"
    schema.parent.mkdir(parents=True)
    schema.write_text("properties: {dataset: {properties: {telegraph: {type: object}}}}", encoding="utf-8")
    study = tmp_path / "study.yaml"
    study.write_text("{plugins: [%s], dataset: {telegraph: {}}}" % (tmp_path / "plugin"), encoding="utf-8")
    preflight.check([study], [], replace=False)
    study.write_text("{plugins: [%s], dataset: {telegram: {}}}" % (tmp_path / "plugin"), encoding="utf-8")
    with pytest.raises(SystemExit, match=r"'telegram'; .* perhaps 'telegraph' is meant"):
        preflight.check([study], [], replace=False)
    study.write_text("{plugins: [elsewhere], dataset: {telegraph: {}}}", encoding="utf-8")
    preflight.check([study], [], replace=False)  # the workflow, which may run in another folder, says so
    plugins.use([])


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ("properties: [", "is not YAML"),
        ("- a", "it is no mapping"),
        ("properties: 5", "properties is 5, and the project's schema has"),
        ("properties: {dataset: {properties: {samples: {maximum: 1}}}}", "samples.maximum is 1, and .* has 1000000"),
        ("properties: {mine: {type: banana}}", "properties.mine.type: 'banana' is not valid"),
        ("properties: {mine: {$ref: '#/$defs/yours'}}", r"\$ref '/\$defs/yours' names nothing"),
    ],
)
def test_a_schema_of_a_plugin_that_cannot_be_used_is_named(tmp_path, monkeypatch, schema, said):
    monkeypatch.setenv(plugins.VARIABLE, "")
    path = tmp_path / "config" / "config.schema.yaml"
    path.parent.mkdir()
    path.write_text(schema, encoding="utf-8")
    plugins.use([str(tmp_path)])
    with pytest.raises(StudyError, match=rf"^{path}.*{said}"):
        configuration.check_form({})
    plugins.use([])
