"""Which techniques run where a study says nothing of it, and where it does."""

import pytest

from scripts.study import layers
from scripts.study.configuration import check

BUILT_IN = layers.read([], []).config["select"]


def selected(tmp_path, *texts, options=(), **more):
    files = []
    for number, text in enumerate(texts):
        files.append(tmp_path / f"{number}.yaml")
        files[-1].write_text(text, encoding="utf-8")
    return layers.read(files, options, **more).config["select"]


def test_a_study_that_says_nothing_of_techniques_runs_the_built_in_selection(tmp_path):
    assert selected(tmp_path, "title: Mine\n") == BUILT_IN


def test_a_studys_own_techniques_run_beside_the_built_in_selection(tmp_path):
    text = "techniques: {mine: {extends: pruned, pruning: {amount: 0.5}}}\n"
    assert selected(tmp_path, text) == [*BUILT_IN, "mine"]
    assert selected(tmp_path, text, "techniques: {other: {extends: mine, batch_size: 2}}\n") == [
        *BUILT_IN, "mine", "other",
    ]  # fmt: skip


def test_what_they_extend_runs_before_them(tmp_path):
    text = "techniques: {mine: {extends: other}, other: {extends: continuous_batch, batch_size: 16}}\n"
    assert selected(tmp_path, text) == [*BUILT_IN, "batch_32", "continuous_batch", "other", "mine"]


def test_a_built_in_technique_that_a_study_changes_runs(tmp_path):
    assert "prompt_lookup" not in BUILT_IN
    text = "techniques: {prompt_lookup: {speculation: {prompt_lookup: 8}}, kv_cache: {label: Cache}}\n"
    assert selected(tmp_path, text) == [*BUILT_IN, "prompt_lookup"]


def test_the_command_line_and_a_workflow_around_this_one_count_too():
    added = {"techniques": {"mine": {"extends": "nf4", "batch_size": 2}}}
    assert layers.read([], ["techniques={mine: {extends: nf4, batch_size: 2}}"]).config["select"] == [*BUILT_IN, "mine"]
    config = layers.read([], [], given=added).config
    assert config["select"] == [*BUILT_IN, "mine"]
    assert [technique.name for technique in check(config)] == config["select"]
    assert layers.read([], [], given=added | {"select": ["mine"]}).config["select"] == ["mine"]


@pytest.mark.parametrize("select", [[], ["baseline"], ["mine", "nf4"]])
def test_a_selection_is_taken_as_it_is(tmp_path, select):
    text = "techniques: {mine: {extends: nf4, batch_size: 2}}\n"
    assert selected(tmp_path, text, options=[f"select={select}"]) == select
    assert selected(tmp_path, f"select: {select}\n", text) == select


@pytest.mark.parametrize(
    "techniques",
    ["3", "[mine]", "{mine: 3}", "{mine: {extends: [nf4]}}", "{mine: {extends: mine}}", "{mine: {extends: gone}}"],
)
def test_mistakes_are_left_to_the_check(tmp_path, techniques):
    config = layers.read([], [f"techniques={techniques}"]).config
    with pytest.raises(Exception, match="techniques"):
        check(config)
