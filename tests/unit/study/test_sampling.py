"""Studies that draw their answers: what they select, and what their keys hold."""

import pytest

from scripts.foundation.errors import StudyError
from scripts.study import configuration, layers


def read(*settings):
    return layers.read([], list(settings)).config


def test_greedy_runs_keep_their_keys():
    asked = configuration.generation_settings(read("generation={seed: 5}"))
    assert asked.keys().isdisjoint({"sampling", "temperature", "top_p", "top_k", "seed"})


def test_what_is_drawn_by_is_in_the_key_and_nothing_is_lossless():
    config = read("select=[baseline, kv_cache]", "generation={temperature: 0.7, top_k: 40, seed: 5}")
    expected = {"temperature": 0.7, "top_p": 1, "top_k": 40, "seed": 5}
    assert configuration.generation_settings(config)["sampling"] == expected
    assert not any(technique.lossless for technique in configuration.check(config))
    greedy = configuration.check(read("select=[baseline, kv_cache]"))
    assert any(technique.lossless for technique in greedy)


def test_techniques_that_decode_greedily_are_named():
    config = read("select=[kv_cache, graph, speculative]", "generation={temperature: 0.7}")
    with pytest.raises(StudyError, match=r"temperature to 0: graph \(engine graph\), speculative \(speculation\)"):
        configuration.check(config)


@pytest.mark.parametrize("option", ["top_p: 0.9", "top_k: 5"])
def test_options_without_a_temperature_are_refused(option):
    with pytest.raises(StudyError, match=r"generation\.temperature is 0, which is greedy"):
        configuration.check(read(f"generation={{{option}}}"))
