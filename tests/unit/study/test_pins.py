"""The pip and the conda environment hold the same libraries at the same versions."""

import re
from importlib.metadata import version
from pathlib import Path

import yaml

ENVS = Path(__file__).resolve().parents[3] / "envs"


def pins(lines):
    return {line.strip() for line in lines if re.match(r"[A-Za-z]", line.strip())}


def test_conda_and_pip_have_the_same_pins():
    wanted = pins((ENVS / "requirements.txt").read_text().splitlines())
    conda = yaml.safe_load((ENVS / "udaciheadline.yaml").read_text())["dependencies"][-1]["pip"]
    assert pins(conda) == wanted
    assert all("==" in pin for pin in wanted)


def test_the_tests_run_on_the_pinned_versions():
    # torch's local part (+cpu, +cu130) names the build.
    for pin in pins((ENVS / "requirements.txt").read_text().splitlines()):
        name, wanted = pin.split("==")
        assert version(name).partition("+")[0] == wanted, name
