"""Presets are data: the project's own are right, a wrong one is one sentence, and a plugin's folder adds one."""

import json

import pytest

from scripts.foundation import plugins
from scripts.foundation.errors import StudyError
from scripts.serving import placeholders, presets
from scripts.serving.errors import ServerError
from scripts.serving.identity import api_of
from scripts.serving.launch import Values
from scripts.serving.running import ServerSpec

MINIMAL = {
    "label": "mine", "command": ["{executable}", "--port={port}"], "ready": {"path": "/health"},
    "api": {"kind": "completions", "path": "/v1/completions", "names": {"max_tokens": "max_tokens"}},
}  # fmt: skip


@pytest.fixture
def unplugged():
    yield
    plugins.use([])


@pytest.mark.parametrize("name", ["llama_cpp", "sglang", "transformers_serve", "vllm"])
def test_the_projects_own_presets_ask_for_greedy_decoding_and_no_prefix_cache_and_say_what_is_proved(name):
    preset = presets.read(name)
    assert name in presets.names()
    assert preset["api"]["body"]["temperature"] == 0
    asked = " ".join(entry["name"] for entry in preset["proves"])
    assert "greedy decoding" in asked
    assert "no prefix cache" in asked or "no prompt cache" in asked
    assert preset["fixed"]
    assert preset["install"]


def test_placeholders_are_filled_in_and_other_braces_stay():
    filled = placeholders.fill(
        {"a": "{port}", "b": ["--port={port}"], "c": '{"x": {stop_tokens}}', "d": "{other} {"},
        {"port": 80, "stop_tokens": [1, 2]},
    )
    assert filled == {"a": 80, "b": ["--port=80"], "c": '{"x": [1, 2]}', "d": "{other} {"}


def test_every_placeholder_of_a_command_is_filled_in():
    values = Values(model="/models/one").by_name() | {"port": 1234, "executable": "/bin/server"}
    assert set(values) == set(placeholders.OF_A_SERVER)
    for name in ("llama_cpp", "sglang", "transformers_serve", "vllm"):
        words = placeholders.words(presets.read(name)["command"], values)
        assert not any("{" in word for word in words)
        assert all(isinstance(word, str) for word in words)


def test_the_generation_configuration_of_transformers_serve_is_json_when_filled_in():
    preset = presets.read("transformers_serve")
    values = {"stop_tokens": [0, 5], "new_tokens": 4, "drawn": False, "top_k": 0}
    filled = placeholders.fill(preset["natural"], values)
    asked = {"do_sample": False, "top_k": 0, "num_beams": 1, "eos_token_id": [0, 5]}
    assert json.loads(filled["generation_config"]) == asked


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"lable": "x"}, "has no key \"lable\"; perhaps 'label' is meant"),
        ({"api": None}, "api is null, not of type object"),
        ({"ready": {}}, "ready lacks the key 'path'"),
        ({"ready": {"path": "health"}}, 'ready.path is "health", which does not begin with a slash'),
        ({"command": ["{prot}"]}, "command has the placeholder {prot}; perhaps 'port' is meant"),
        ({"api": MINIMAL["api"] | {"kind": "chats"}}, 'api.kind is "chats", none of completions, chat'),
        ({"fixed": {"n": float("nan")}}, "holds a value that JSON does not have"),
    ],
)
def test_a_wrong_preset_is_one_sentence_with_file_and_key(change, said):
    with pytest.raises(StudyError) as error:
        presets.check(MINIMAL | change, "mine.yaml")
    assert said in str(error.value)
    assert str(error.value).startswith("mine.yaml: ")
    assert "\n" not in str(error.value)


def test_a_plugin_adds_a_preset_without_code_and_replaces_none(tmp_path, unplugged):
    folder = tmp_path / "mine" / "config" / "serving"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(json.dumps(MINIMAL))
    (folder / "vllm.yaml").write_text(json.dumps(MINIMAL))
    (folder / "broken.yaml").write_text("label: [")
    plugins.use([str(tmp_path / "mine")])
    assert presets.read("mine")["label"] == "mine"
    assert presets.read("vllm")["label"] == "vLLM"
    with pytest.raises(StudyError, match=r"broken\.yaml is no YAML that can be read"):
        presets.read("broken")


def test_an_unknown_preset_is_answered_with_the_nearest():
    with pytest.raises(StudyError, match="perhaps 'vllm' is meant"):
        presets.read("vlm")


def test_what_an_engine_says_itself_replaces_the_presets():
    found = presets.resolve({"preset": "vllm", "executable": "/opt/vllm", "environment": {"A": "1"}}, "engine")
    assert found["executable"] == "/opt/vllm"
    assert found["environment"]["A"] == "1"
    assert found["environment"]["HF_HUB_OFFLINE"] == "1"
    own = presets.resolve(
        {"command": "serve --port {port} 'a b'", "api": MINIMAL["api"], "ready": MINIMAL["ready"]}, "engine"
    )
    assert own["command"] == ["serve", "--port", "{port}", "a b"]
    with pytest.raises(StudyError, match="engine: the preset lacks the key"):
        presets.resolve({"command": "serve"}, "engine")
    with pytest.raises(StudyError, match="close its quotes"):
        presets.resolve({"command": "serve 'a"}, "engine")


def test_the_api_of_a_preset_names_the_model_as_the_server_does():
    preset = presets.read("vllm")
    values = Values(model="/m").by_name()
    assert api_of(ServerSpec(preset), values, "http://h:1").model == "/m"
    assert api_of(ServerSpec(preset, model_name="one"), values, "http://h:1").model == "one"


def test_a_header_that_names_a_variable_is_filled_in_when_the_server_is_asked(monkeypatch):
    own = {"preset": "vllm", "api": {"headers": {"Authorization": "Bearer ${MY_KEY}"}}}
    spec = ServerSpec(presets.resolve(own, "engine"))
    values = Values(model="/m").by_name()
    monkeypatch.setenv("MY_KEY", "a1b2")
    api = api_of(spec, values, "http://h:1")
    assert api.headers == {"Authorization": "Bearer a1b2"}
    assert "a1b2" not in repr(api)
    monkeypatch.delenv("MY_KEY")
    with pytest.raises(ServerError, match=r"engine.api.headers.Authorization names the environment variable MY_KEY, "):
        api_of(spec, values, "http://h:1")
