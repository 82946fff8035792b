import os

import pytest

from scripts.foundation.errors import StudyError
from scripts.inference import training_device as device


@pytest.fixture
def two_gpus(monkeypatch, tmp_path):
    monkeypatch.setattr(device.leases.machine, "gpus", lambda: [{"uuid": "GPU-a"}, {"uuid": "GPU-b"}])
    monkeypatch.setattr(device.leases, "lock_directory", lambda of="gpu": tmp_path)
    monkeypatch.setattr(device, "_usable", lambda: True)


def test_a_training_has_one_gpu_to_itself(two_gpus, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with device.leased("auto") as place:
        assert (place, os.environ["CUDA_VISIBLE_DEVICES"]) == ("cuda", "GPU-a")
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_a_training_keeps_to_the_gpus_that_it_is_given(two_gpus, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    with device.leased("cuda") as place:
        assert (place, os.environ["CUDA_VISIBLE_DEVICES"]) == ("cuda", "GPU-b")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"


@pytest.mark.parametrize(("wanted", "visible"), [("cpu", "0"), ("auto", "")])
def test_without_a_gpu_to_use_the_cpu_trains(two_gpus, monkeypatch, wanted, visible):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with device.leased(wanted) as place:
        assert (place, os.environ["CUDA_VISIBLE_DEVICES"]) == ("cpu", visible)


def test_a_library_without_gpu_support_trains_on_the_cpu(two_gpus, monkeypatch):
    monkeypatch.setattr(device, "_usable", lambda: False)
    with device.leased("auto") as place:
        assert place == "cpu"


def test_a_gpu_that_is_asked_for_and_not_there_is_one_sentence(monkeypatch):
    monkeypatch.setattr(device.leases.machine, "gpus", list)
    with pytest.raises(StudyError, match=r"measurement\.device is 'cuda', but no NVIDIA GPU"), device.leased("cuda"):
        pass
