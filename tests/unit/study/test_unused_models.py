"""A study that replaces one built-in model trains no other one, and one that is null takes its techniques with it."""

import pytest

from scripts.foundation.errors import StudyError
from scripts.study import configuration, layers
from scripts.study.configuration import check

BUILT_IN = layers.read([], []).config["select"]
LARGE = ["target_only", "speculative", "graph_target", "graph_speculative"]
SMALL = "small: {source: random, random: {architecture: config/architectures/llama-3.2-1b.json}}"


def study(tmp_path, text: str, *options: str) -> layers.Study:
    (tmp_path / "study.yaml").write_text(text, encoding="utf-8")
    return layers.read([tmp_path / "study.yaml"], options)


def models(found: layers.Study) -> list[str]:
    return configuration.models_used(check(found.config))


def test_replacing_the_small_model_alone_does_not_train_the_large_one(tmp_path):
    found = study(tmp_path, f"models: {{{SMALL}}}\n")
    assert models(found) == ["small"]
    assert found.config["select"] == [name for name in BUILT_IN if name not in LARGE]
    assert found.left_out == [
        "Left out, since they would train the built-in model 'large' beside the study's own: target_only, speculative, "
        "graph_target and graph_speculative; set models.large, or select them."
    ]


def test_what_a_study_asks_for_stays(tmp_path):
    named = study(tmp_path, f"models: {{{SMALL}}}\ntechniques: {{target_nf4: {{label: Mine}}}}\n")
    assert {"target_only", "target_nf4"} <= set(named.config["select"])
    assert "speculative" not in named.config["select"]
    chosen = study(tmp_path, f"models: {{{SMALL}}}\nselect: [baseline, target_only]\n")
    assert models(chosen) == ["small", "large"]
    assert chosen.left_out == []


@pytest.mark.parametrize(
    "text",
    [
        "title: Mine\n",
        "models: {small: {train: {steps: 200}}}\n",
        f"models: {{{SMALL}, large: {{source: random}}}}\n",
        f"models: {{{SMALL}, large: {{train: {{steps: 9}}}}}}\n",
    ],
)
def test_where_both_models_are_meant_nothing_is_left_out(tmp_path, text):
    found = study(tmp_path, text)
    assert (found.config["select"], found.left_out) == (BUILT_IN, [])


def test_a_model_that_is_null_takes_what_needs_it_with_it(tmp_path):
    sweeps = "sweeps: {s: {technique: speculative, facet: speculation.tokens, values: [1]}}"
    text = f"models: {{{SMALL}, large: null}}\n{sweeps}\n"
    found = study(tmp_path, text)
    assert models(found) == ["small"]
    assert found.config["select"] == [name for name in BUILT_IN if name not in LARGE]
    assert "prompt_lookup" not in found.config["techniques"]
    assert found.config["sweeps"] == {}
    assert found.left_out == [
        "Left out, since models.large is null: target_only, speculative, graph_target and graph_speculative."
    ]


def test_all_techniques_are_then_those_without_it(tmp_path):
    found = study(tmp_path, "select: []\n", "models={large: null}")
    assert models(found) == ["small"]
    assert "target_nf4" in found.left_out[0]


def test_a_selection_of_nothing_else_is_an_error(tmp_path):
    with pytest.raises(StudyError, match=r"models\.large is null, and every selected technique needs it"):
        study(tmp_path, "models: {large: null}\nselect: [target_only]\n")


def test_without_the_baselines_model_nothing_would_be_left(tmp_path):
    with pytest.raises(StudyError, match=r"models\.small is null, and every selected technique needs it"):
        study(tmp_path, "models: {small: null}\n")


def test_a_name_that_is_no_models_can_not_be_left_out(tmp_path):
    with pytest.raises(StudyError) as caught:
        study(tmp_path, "title: A typing error\nmodels:\n  lagre: null\n")
    assert str(caught.value).endswith(
        "study.yaml, line 3: models.lagre is null, and there is no model of this name to leave out; there are large "
        "and small."
    )
    (tmp_path / "more.yaml").write_text("models: {mid: {source: train}}\n", encoding="utf-8")
    (tmp_path / "less.yaml").write_text("models: {mid: null}\n", encoding="utf-8")
    assert "mid" not in layers.read([tmp_path / "more.yaml", tmp_path / "less.yaml"], []).config["models"]
