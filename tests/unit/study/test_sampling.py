"""Studies that draw their answers: what they select, and what their keys hold."""

import pytest

from scripts.foundation.errors import StudyError
from scripts.study import configuration, layers

GREEDY = layers.read([], []).config["generation"]


def read(*settings):
    return layers.read([], list(settings)).config


def test_greedy_runs_keep_their_keys():
    asked = configuration.generation_settings(read("generation={seed: 5}"))
    assert asked.keys().isdisjoint({"sampling", "temperature", "top_p", "top_k", "seed", "draws"})


def test_what_is_drawn_by_is_in_the_key():
    config = read("select=[baseline, kv_cache]", "generation={temperature: 0.7, top_k: 40, seed: 5, draws: 3}")
    expected = {"temperature": 0.7, "top_p": 1, "top_k": 40, "seed": 5}
    asked = configuration.generation_settings(config)
    assert (asked["sampling"], asked["draws"]) == (expected, 3)


def test_whatever_draws_with_the_studys_noise_stays_lossless():
    config = read(
        "select=[kv_cache, graph, speculative, tensor_parallel, transformers_static]", "generation={temperature: 0.7}"
    )
    greedy = {technique.name: technique.lossless for technique in configuration.check(config | {"generation": GREEDY})}
    assert {technique.name: technique.lossless for technique in configuration.check(config)} == greedy
    assert greedy["graph"]
    assert greedy["speculative"]


def test_a_server_with_noise_of_its_own_promises_no_tokens():
    both = {"vllm": "vllm", "own": "udaciheadline"}
    servers = [
        f"{name}: {{extends: kv_cache, engine: {{name: server, preset: {preset}}}}}" for name, preset in both.items()
    ]
    config = read(
        f"techniques={{{', '.join(servers)}}}", "select=[kv_cache, vllm, own]", "generation={temperature: 0.7}"
    )
    lossless = {technique.name: technique.lossless for technique in configuration.check(config)}
    assert (lossless["vllm"], lossless["own"]) == (False, True)


def test_techniques_that_decode_greedily_are_named():
    config = read("select=[kv_cache, batch_32, continuous_batch]", "generation={temperature: 0.7}")
    with pytest.raises(StudyError, match=r"temperature to 0: continuous_batch \(engine transformers_continuous\)\."):
        configuration.check(config)


@pytest.mark.parametrize("option", ["top_p: 0.9", "top_k: 5", "draws: 2"])
def test_options_without_a_temperature_are_refused(option):
    with pytest.raises(StudyError, match=r"generation\.temperature is 0, which is greedy"):
        configuration.check(read(f"generation={{{option}}}"))
