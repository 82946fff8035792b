import json
import os
import subprocess
import sys

import pytest

from scripts.foundation import files
from tests.support import gguf_model, hub

ID = "owner/model"


@pytest.fixture
def stage(tmp_path):
    """Run the stage in a process of its own: the hub's client reads its environment when it is imported."""

    def run(address, revision=hub.COMMIT, name=ID, file="", **environment):
        wanted = {"id": name, "revision": revision, "file": file}
        given = {"source": "hub", "hub": wanted, "dtype": "float32", "seed": 0}
        command = [sys.executable, "-m", "scripts.prepare_model", "--name", "small", "--settings", json.dumps(given)]
        base = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
        base |= {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "cache"), "HF_HUB_DISABLE_TELEMETRY": "1"}
        command += ["--output", str(tmp_path / "out")]
        return subprocess.run(command, env=base | environment, capture_output=True, text=True, check=False)

    return run


def refusal(done, tmp_path) -> str:
    """Return the sentence that a run failed with, having checked that it is one, and the last thing said."""
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out" / "manifest.json").exists()
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"error: models.small.hub: {ID}")
    return last


def test_a_pinned_snapshot_is_fetched_once_without_pickles_or_code_and_works_offline(
    stage, checkpoint_directory, tmp_path
):
    repository = hub.from_directory(checkpoint_directory)
    repository.files |= {"pytorch_model.bin": b"pickle", "modeling.py": b"code", "tokenizer.pkl": b"pickle"}
    repository.files |= {"onnx/model.safetensors": b"other", "consolidated.safetensors": b"again"}
    repository.files |= {"model_old.safetensors": b"older", "original/tokenizer.model": b"older"}
    wanted = ("chat_template.jinja", "additional_chat_templates/tool.jinja")
    repository.files |= dict.fromkeys(wanted, b"{{ messages }}")
    with hub.serve({ID: repository}) as served:
        done = stage(served.address)
        assert done.returncode == 0, done.stderr
    asked = " ".join(served.requests)
    for unwanted in (".bin", ".py", ".pkl", "onnx", "consolidated", "model_old", "original"):
        assert unwanted not in asked.replace("manifest.json", "")
    assert all(name in asked for name in wanted)
    manifest = files.read_json(tmp_path / "out" / "manifest.json")
    trained = files.read_json(checkpoint_directory / "manifest.json")
    assert (manifest["source"], manifest["repository"], manifest["revision"]) == ("hub", ID, hub.COMMIT)
    for key in ("parameters", "weights_digest", "tokenizer_digest"):
        assert manifest[key] == trained[key]
    for environment in ({}, {"HF_HUB_OFFLINE": "1"}):  # the hub is gone now; then networking is forbidden too
        (tmp_path / "out" / "manifest.json").unlink()
        done = stage(served.address, **environment)
        assert done.returncode == 0, done.stderr
        assert files.read_json(tmp_path / "out" / "manifest.json") == manifest


def test_a_gguf_file_of_a_repository_is_fetched_alone_and_made_a_checkpoint_of(stage, checkpoint_directory, tmp_path):
    content = gguf_model.write(checkpoint_directory, tmp_path / "made.gguf", "Q8_0").read_bytes()
    repository = hub.Repository({"q/small-Q8_0.gguf": content, "q/small-Q4_0.gguf": b"other"})
    with hub.serve({ID: repository}) as served:
        done = stage(served.address, file="q/small-Q8_0.gguf")
        assert done.returncode == 0, done.stderr
        assert not any("Q4_0" in asked for asked in served.requests)
        manifest = files.read_json(tmp_path / "out" / "manifest.json")
        (tmp_path / "out" / "manifest.json").unlink()
        said = refusal(stage(served.address, file="q/none.gguf"), tmp_path)
        assert f"has no file q/none.gguf at {hub.COMMIT}; copy its name" in said
    assert (manifest["source"], manifest["repository"], manifest["path"]) == ("hub", ID, ".")
    assert manifest["stored"]["form"].startswith("GGUF (Q8_0, F32), 8.")
    assert stage(served.address, file="q/small-Q8_0.gguf", HF_HUB_OFFLINE="1").returncode == 0
    assert files.read_json(tmp_path / "out" / "manifest.json")["weights_digest"] == manifest["weights_digest"]


def test_a_gated_repository_says_how_to_get_in_and_a_token_opens_it(stage, checkpoint_directory, tmp_path):
    repository = hub.from_directory(checkpoint_directory, gated=True, token="hf_open")
    with hub.serve({ID: repository}) as served:
        message = refusal(stage(served.address), tmp_path)
        assert f"is gated; accept its licence on its page ({served.address}/{ID}) and set HF_TOKEN" in message
        done = stage(served.address, HF_TOKEN="hf_open")
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"revision": "f" * 40}, "has no commit ffff"),
        ({"status": 401}, "is refused by"),
        ({"status": 403}, "is refused by"),
        ({"status": 400}, "answered with status 400; try again later"),
        ({"drop": "model.safetensors"}, "has no safetensors weights at 0123"),
        ({"drop": "config.json"}, "has no config.json at 0123"),
        ({"drop": "tokenizer.json"}, "has no tokenizer"),
    ],
)
def test_what_the_hub_does_not_give_is_one_sentence(change, message, stage, checkpoint_directory, tmp_path):
    repository = hub.from_directory(checkpoint_directory, status=change.get("status", 200))
    repository.files["pytorch_model.bin"] = b"pickle"
    repository.files.pop(change.get("drop"), None)
    with hub.serve({ID: repository}) as served:
        assert message in refusal(stage(served.address, change.get("revision", hub.COMMIT)), tmp_path)


def test_a_missing_repository_is_one_sentence(stage, tmp_path):
    with hub.serve({}) as served:
        message = refusal(stage(served.address), tmp_path)
    assert f"was not found on {served.address}; check the id" in message


def test_no_network_and_nothing_cached_is_one_sentence(stage, tmp_path):
    with hub.serve({}) as served:
        address = served.address
    assert "cannot be reached; connect to the network" in refusal(stage(address), tmp_path)
    assert "unset HF_HUB_OFFLINE" in refusal(stage(address, HF_HUB_OFFLINE="1"), tmp_path)
