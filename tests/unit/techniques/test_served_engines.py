"""Engines that are servers: what a study may ask of them, and what makes their runs stale."""

import json
import re

import pytest

from scripts.foundation.errors import StudyError
from scripts.runtime.errors import UnsupportedError
from scripts.runtime.place import Place
from scripts.study.techniques import resolve
from scripts.techniques import costs, registry

VLLM = {"name": "server", "preset": "vllm"}
API = {"kind": "completions", "path": "/v1/completions", "names": {"max_tokens": "max_tokens"}}


def technique(engine, **facets):
    entries = {
        "base": {"model": "small", "kv_cache": "dynamic"}, "one": {"extends": "base", "engine": engine} | facets,
    }  # fmt: skip
    return resolve(entries, ["one"], {"small", "draft"})[0]


@pytest.mark.parametrize(
    ("engine", "facets", "said"),
    [
        ("server", {}, "techniques.one: engine 'server' has neither preset nor command; name a preset (llama_cpp, "),
        (VLLM | {"preset": "vlm"}, {}, "perhaps 'vllm' is meant"),
        (VLLM, {"quantization": "int8"}, "does not compose with quantization, since the server loads the model itself; "
         "set it in the server's arguments, and remove quantization."),
        (VLLM, {"pruning": {"amount": 0.3}}, "does not compose with pruning"),
        (VLLM, {"parallel": {"tensor": 2}}, "does not compose with parallel"),
        (VLLM, {"speculation": {"prompt_lookup": 4}}, "does not compose with speculation"),
        (VLLM, {"kv_cache": "none"}, "does not compose with kv_cache 'none'"),
        ({"name": "server", "preset": "transformers_serve"}, {"prompt_tokens": 8}, "takes prompts as text"),
        ({"name": "server", "preset": "llama_cpp"}, {}, "loads a GGUF file of the model; set engine.model"),
        (VLLM | {"url": "http://x"}, {}, "engine 'server' has no option 'url'"),
        ("endpoint", {}, "engine.url is missing; give the endpoint's address"),
        ({"name": "endpoint", "url": "localhost:80"}, {}, "engine.url is 'localhost:80'"),
        ({"name": "endpoint", "url": "http://x"}, {}, "engine: the preset lacks the key"),
        (VLLM | {"api": {"kind": "x"}}, {}, "engine: api"),
        (VLLM | {"api": {"headers": {"Authorization": "Bearer a1b2"}}}, {},
         "engine: api.headers.Authorization holds a secret, which would be written into the results; put it into an "
         "environment variable, and write ${NAME} in its place."),
        (VLLM | {"api": {"headers": {"X-API-Key": "a1b2"}}}, {}, "api.headers.X-API-Key holds a secret"),
        (VLLM | {"environment": {"VLLM_API_KEY": "a1b2"}}, {}, "engine: environment.VLLM_API_KEY holds a secret"),
        (VLLM | {"arguments": ["--api-key", "a1b2"]}, {}, 'engine.arguments gives "--api-key" a secret'),
        (VLLM | {"command": "serve --api-key=a1b2"}, {}, 'engine.command gives "--api-key" a secret'),
        ({"name": "endpoint", "preset": "vllm", "url": "http://me:a1b2@x"}, {}, "engine.url holds a name or"),
    ],
)  # fmt: skip
def test_what_a_server_can_not_be_asked_is_one_sentence(engine, facets, said):
    with pytest.raises(StudyError, match=re.escape(said)):
        technique(engine, **facets)


@pytest.mark.parametrize(
    "engine",
    [
        VLLM | {"api": {"headers": {"Authorization": "Bearer ${MY_KEY}", "Connection": "close"}}},
        VLLM | {"environment": {"VLLM_API_KEY": "${MY_KEY}", "TOKENIZERS_PARALLELISM": "false"}},
        VLLM | {"arguments": ["--max-tokens", "8", "--tokenizer", "x"]},
    ],
)
def test_a_secret_is_named_by_a_variable_and_what_is_none_is_allowed(engine):
    assert technique(engine).settings["engine"] == engine | {"gpus": 1}


def test_settings_hold_only_what_the_study_says():
    found = technique(VLLM | {"gpus": 2}, batch_size=4)
    assert found.settings["engine"] == VLLM | {"gpus": 2}
    assert found.processes == 2
    assert found.run_by == "scripts.inference.served"
    assert found.served["preset"]["label"] == "vLLM"
    json.dumps(found.served)


def test_a_server_is_held_to_its_parents_tokens_only_where_the_preset_alone_says_how_it_runs():
    assert technique(VLLM).lossless
    assert not technique(VLLM | {"arguments": ["--quantization=fp8"]}).lossless
    assert not technique({"name": "endpoint", "url": "http://x", "preset": "vllm"}).lossless
    assert costs.costs_of(technique(VLLM).settings)


def test_a_missing_program_is_said_before_the_study_runs():
    facet = registry.load_facet("engine")
    value = facet.resolve(VLLM | {"executable": "no-such-program"})
    with pytest.raises(UnsupportedError, match=r"^The program no-such-program of vLLM is not there; install vLLM"):
        facet.check_machine(value, Place("cpu"))


def test_the_program_its_arguments_and_the_presets_content_are_in_a_runs_key(tmp_path):
    program = tmp_path / "serve"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    own = {"name": "server", "command": f"{program} {{port}}", "api": API, "ready": {"path": "/health"}}
    first = technique(own)
    before = first.served
    assert technique(own | {"fixed": {"ignore_eos": True}}).served != before
    assert technique(own | {"arguments": ["-x"]}).settings != first.settings
    program.write_text("#!/bin/sh\necho newer\n")
    assert technique(own).served["program"] != before["program"]
    model = tmp_path / "model.gguf"
    model.write_bytes(b"one")
    loaded = technique(own | {"model": str(model)}).served
    model.write_bytes(b"two")
    assert technique(own | {"model": str(model)}).served != loaded
    program.unlink()
    assert technique(own).served["program"]["missing"]
