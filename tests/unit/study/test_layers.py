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
def test_an_option_that_the_schema_does_not_know_is_read_as_yaml(text, value):
    assert layers.read([], [f"mine={text}"]).config["mine"] == value


@pytest.mark.parametrize("text", ["3", "1e-3", "true", "a: b: c", "2024-01-01", "007"])
def test_an_option_that_takes_text_is_the_text_as_it_was_typed(text):
    assert layers.read([], [f"title={text}"]).config["title"] == text


NESTED = [
    ("dataset={samples: 100}", "dataset.samples", 100),
    ('dataset={samples: "100"}', "dataset.samples", 100),
    ("dataset={evaluation_share: '1e-1'}", "dataset.evaluation_share", 0.1),
    ("dataset={hub: {revision: 1234567}}", "dataset.hub.revision", "1234567"),
    ("dataset={hub: {revision: 0123456}}", "dataset.hub.revision", "0123456"),
    ("dataset={hub: {revision: 1e5}}", "dataset.hub.revision", "1e5"),
    ("dataset={filters: '{summary_words: {min: 1}}'}", "dataset.filters.summary_words.min", 1),
    ("models={small: {hub: {revision: 2024-01-01}}}", "models.small.hub.revision", "2024-01-01"),
    ("models={small: {train: {max_rows: null}}}", "models.small.train.max_rows", None),
    ("models={small: {train: {max_rows: 'null'}}}", "models.small.train.max_rows", None),
    ("generation={chat_template: 'true'}", "generation.chat_template", True),
    ("generation={prompt: '{summary}'}", "generation.prompt", "{summary}"),
    ("load={techniques: [graph]}", "load.techniques", ["graph"]),
    ("load={techniques: '[graph]'}", "load.techniques", ["graph"]),
    ("load={limits: {latency_ms: '250'}}", "load.limits.latency_ms", 250),
    ("techniques={kv_cache: {batch_size: '4'}}", "techniques.kv_cache.batch_size", 4),
    ("techniques={kv_cache: {quantization: nf4}}", "techniques.kv_cache.quantization", "nf4"),
    ("techniques={kv_cache: {pruning: '{amount: 0.2}'}}", "techniques.kv_cache.pruning", {"amount": 0.2}),
    ("comparison={price_per_device_hour: 3}", "comparison.price_per_device_hour", 3),
    ("select='[baseline]'", "select", ["baseline"]),
]


@pytest.mark.parametrize(("option", "path", "wanted"), NESTED)
def test_a_nested_option_has_the_type_of_the_schema(option, path, wanted):
    found = layers.read([], [option]).config
    for key in path.split("."):
        found = found[key]
    assert (found, type(found)) == (wanted, type(wanted))


def test_a_module_is_given_its_keys_as_text():
    # Snakemake reads nested values of the command line with a loader that knows text alone.
    given = {
        "dataset": {"samples": "100", "hub": {"revision": "0123"}},
        "report": {"previous": "null"},
        "sweeps": {"amounts": {"technique": "pruned", "facet": "pruning.amount", "values": ["0.1", "0.3"]}},
        "select": ["baseline"],
    }
    config = layers.read([], [], given=given).config
    assert (config["dataset"]["samples"], config["dataset"]["hub"]["revision"]) == (100, "0123")
    assert config["sweeps"]["amounts"]["values"] == [0.1, 0.3]
    assert check(config)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("measurement.repeats=2", "--config 'measurement={repeats: 2}'"),
        ("measurement", "is no key=value"),
        ("measurement={repeats: 2", "never closed"),
        ("measurement={repeats: 2, repeats: 3}", '"repeats"'),
        ("dataset={samples:100}", 'dataset: "samples:100" has no space after its colon'),
    ],
)
def test_a_wrong_option_is_named(option, said):
    with pytest.raises(StudyError, match="--config") as error:
        layers.read([], [option])
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("dataset={samples: many}", '--config: dataset.samples is "many", which is not a whole number; correct it.'),
        ("dataset=100", "--config: dataset is 100, which is not a mapping; correct it."),
        ("generation={chat_template: 3}", "--config: generation.chat_template is 3, which is not true or false"),
        ("title=null", "--config: title is null"),
    ],
)
def test_what_the_schema_does_not_take_is_said_in_one_sentence(option, said):
    assert explained([], [option]).startswith(said)


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
