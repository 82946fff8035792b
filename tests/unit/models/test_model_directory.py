import os
import signal
import subprocess
import sys
import time

import pytest

from scripts.models import directory


def test_the_manifest_comes_last_and_a_failed_build_leaves_the_old_model(tmp_path):
    output = tmp_path / "model"
    with directory.building(output) as partial:
        (partial / "a.txt").write_text("1")
        (partial / "manifest.json").write_text("{}")
        assert sorted(os.listdir(output)) == [".partial"]

    def fail():
        with directory.building(output) as partial:
            (partial / "a.txt").write_text("2")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert sorted(os.listdir(output)) == ["a.txt", "manifest.json"]
    assert (output / "a.txt").read_text() == "1"


def test_a_new_model_leaves_no_file_of_the_old_one(tmp_path):
    for name in ("old.txt", "new.txt"):
        with directory.building(tmp_path) as partial:
            (partial / name).write_text(name)
            (partial / "manifest.json").write_text(name)
    assert sorted(os.listdir(tmp_path)) == ["manifest.json", "new.txt"]
    assert (tmp_path / "manifest.json").read_text() == "new.txt"


def test_files_are_as_readable_as_any_other(tmp_path):
    with directory.building(tmp_path) as partial:
        for name in ("weights", "manifest.json"):
            (partial / name).touch(mode=0o600)
    umask = os.umask(0)
    os.umask(umask)
    assert (tmp_path / "weights").stat().st_mode & 0o777 == 0o666 & ~umask


@pytest.mark.slow
def test_training_killed_half_way_leaves_no_model_and_the_next_run_makes_it(train_file, prompt, tiny, tmp_path):
    import json

    def command(steps):
        return [
            sys.executable, "-m", "scripts.prepare_model", "--name", "m", "--settings", json.dumps(tiny(steps=steps)),
            "--train", str(train_file), "--prompt", prompt, "--output", str(tmp_path / "m"),
        ]  # fmt: skip

    with open(tmp_path / "log", "w") as log:
        process = subprocess.Popen(command(1_000_000), stderr=log)
        while "training:" not in (tmp_path / "log").read_text():
            assert process.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not (tmp_path / "m" / "manifest.json").exists()
    subprocess.run(command(2), check=True, capture_output=True)
    assert sorted(os.listdir(tmp_path / "m")) == [
        "config.json", "generation_config.json", "manifest.json", "model.safetensors", "tokenizer.json",
        "tokenizer_config.json",
    ]  # fmt: skip
