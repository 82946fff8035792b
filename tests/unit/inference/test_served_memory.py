"""Memory of a server on GPUs, by a stand-in for NVML, and how much of a GPU it may take."""

from types import SimpleNamespace

import pytest
import torch

from scripts.hardware import fit
from scripts.inference import served, served_memory
from scripts.inference.reference import LEFT, LOADING

GB = 10**9


class Board:
    """One GPU: what is in use on it, and by which processes."""

    def __init__(self):
        self.used, self.listed = 2 * GB, {}
        self.handles, self.reason = [("GPU-1", "handle")], None

    def query(self, name, handle):
        if name == "nvmlDeviceGetMemoryInfo":
            return SimpleNamespace(used=self.used)
        return [SimpleNamespace(pid=pid, usedGpuMemory=size) for pid, size in self.listed.items()]

    def close(self):
        self.handles = []


@pytest.fixture
def board(monkeypatch):
    made = Board()
    monkeypatch.setattr(served_memory, "Session", lambda gpus: made)
    monkeypatch.setattr(served_memory, "EVERY_S", 0.0)
    return made


def running(*processes):
    return SimpleNamespace(started_here=True, processes=lambda: list(processes))


def test_what_nvml_lists_for_the_servers_processes_is_its_memory(board):
    memory = served_memory.ServerMemory(["GPU-1"])
    board.listed = {11: 3 * GB, 12: 4 * GB, 99: 5 * GB}
    memory.read(running(11, 12))
    memory.others_follow()
    board.listed[12] = 6 * GB
    memory.read(running(11, 12))
    facts = memory.facts(running())
    [device] = facts["devices"]
    assert facts["method"] == "nvml"
    assert (device["device"], device["process_method"]) == ("cuda:0", "nvml_process")
    assert (device["load_peak_bytes"], device["peak_bytes"]) == (7 * GB, 9 * GB)
    assert "what it reserves ahead is in it" in facts["note"]


def test_where_nvml_hides_processes_the_board_is_read_until_others_are_on_it(board):
    memory = served_memory.ServerMemory(["GPU-1"])
    board.used = 9 * GB
    memory.read(running(11))
    memory.others_follow()
    board.used = 20 * GB  # the reference
    memory.read(running(11))
    [device] = memory.facts(running())["devices"]
    assert (device["peak_bytes"], device["process_method"]) == (7 * GB, "nvml_board")


def test_the_reference_is_left_the_room_that_it_looks_for(tmp_path, monkeypatch):
    (tmp_path / "model.safetensors").write_bytes(b"\0" * 1_000_000)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (99 * GB, 100 * GB))
    gpu, asked = torch.device("cuda", 0), {"model": {"path": str(tmp_path)}}
    share = served.gpu_share(gpu, asked)
    needed = LOADING * 1_000_000 + 2 * fit.CONTEXT_BYTES
    assert 99 * GB - share * 100 * GB - needed >= LEFT * 100 * GB - 1
    assert share > 0.8
    assert served.gpu_share(gpu, {"reason": "none"}) == served.MOST_SHARE
    assert served.gpu_share(torch.device("cpu"), asked) == served.MOST_SHARE
