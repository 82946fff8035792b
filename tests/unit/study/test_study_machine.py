import importlib.metadata
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from scripts.inference import machine
from scripts.study import environment


class Nvml(SimpleNamespace):
    """As much of pynvml as is used, for a machine with the GPUs given."""

    class NVMLError(Exception):
        pass

    def __init__(self, names, *, driver=True, watts=700):
        super().__init__()
        self.names, self.driver, self.watts = names, driver, watts

    def nvmlInit(self):
        if not self.driver:
            raise self.NVMLError

    def nvmlShutdown(self):
        pass

    def nvmlSystemGetDriverVersion(self):
        return "580.1"

    def nvmlDeviceGetCount(self):
        return len(self.names)

    def nvmlDeviceGetHandleByIndex(self, index):
        return index

    def nvmlDeviceGetUUID(self, handle):
        return f"GPU-{handle}"

    def nvmlDeviceGetName(self, handle):
        return self.names[handle]

    def nvmlDeviceGetMemoryInfo(self, handle):
        return SimpleNamespace(total=80 << 30)

    def nvmlDeviceGetEnforcedPowerLimit(self, handle):
        if self.watts is None:
            raise self.NVMLError
        return 1000 * self.watts


@pytest.fixture
def gpus(monkeypatch):
    return lambda *names, **options: monkeypatch.setitem(sys.modules, "pynvml", Nvml(names, **options))


def test_what_must_be_equal_names_gpus_and_versions(gpus):
    gpus("NVIDIA H100", "NVIDIA H100")
    identity = machine.identity()
    assert [name for name, *_ in identity["gpus"]] == ["NVIDIA H100", "NVIDIA H100"]
    assert all(driver for _, driver, _ in identity["gpus"])
    assert identity["cpu_model"]
    assert identity["cpu_count"] >= 1
    for library in ("torch", "transformers", "accelerate", "bitsandbytes", "tokenizers", "safetensors", "numpy"):
        assert identity["versions"][library] == importlib.metadata.version(library)
    assert identity["versions"]["python"].startswith("3.")


def test_another_gpu_or_another_version_is_another_machine(gpus, monkeypatch):
    gpus("NVIDIA H100")
    first = json.dumps(machine.identity())
    assert json.dumps(machine.identity()) == first
    gpus("NVIDIA H200")
    assert json.dumps(machine.identity()) != first
    gpus("NVIDIA H100")
    gpus("NVIDIA H100", watts=350)
    assert json.dumps(machine.identity()) != first
    gpus("NVIDIA H100")
    newer = {"triton": "0.0.1"}
    monkeypatch.setattr(machine, "version", lambda library: newer.get(library) or importlib.metadata.version(library))
    assert json.dumps(machine.identity()) != first


def test_a_power_limit_that_is_not_told_is_none(gpus):
    gpus("NVIDIA H100", watts=None)
    assert machine.gpus()[0]["power_limit_w"] is None


def test_a_machine_without_nvidia_has_no_gpus(gpus, monkeypatch):
    gpus("NVIDIA H100", driver=False)
    assert machine.gpus() == []
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert machine.gpus() == []


def test_gpus_are_described_without_their_serial_identity(gpus):
    gpus("NVIDIA H100")
    facts = {"name": "NVIDIA H100", "memory_bytes": 80 << 30, "driver": "580.1", "power_limit_w": 700.0}
    assert machine.gpus() == [{"uuid": "GPU-0", "mig": False, "capability": None} | facts]
    described = machine.describe()
    assert described["gpus"] == [facts]
    assert described["memory_bytes"] > 1 << 30
    assert "GPU-0" not in json.dumps(described)


def test_a_library_that_is_not_there_has_no_version():
    assert machine.versions(("no-such-library",))["no-such-library"] is None


def test_jobs_run_this_python_and_find_the_project(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    environment.prepare(tmp_path)
    environment.prepare(tmp_path)
    assert os.environ["PATH"].split(os.pathsep) == [str(Path(sys.executable).parent), "/usr/bin"]
    assert os.environ["PYTHONPATH"].split(os.pathsep) == [str(tmp_path), "/elsewhere"]
