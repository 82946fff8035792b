"""The readings of a GPU, with a stand-in for torch's allocator and for NVML."""

import os
import sys
from types import SimpleNamespace

import pytest
import torch

from scripts.inference import device_memory
from scripts.inference.device_memory import ProcessMemory
from scripts.inference.memory import MemoryMeter

MB = 1 << 20
UUID = "GPU-a"


class Nvml(SimpleNamespace):
    """As much of pynvml as is used: bytes by process id as NVML sees it, and bytes in use on the board."""

    class NVMLError(Exception):
        pass

    def nvmlInit(self):
        pass

    def nvmlShutdown(self):
        pass

    def nvmlDeviceGetHandleByUUID(self, uuid):
        return uuid

    def nvmlDeviceGetComputeRunningProcesses(self, handle):
        return [SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in self.processes.items()]

    def nvmlDeviceGetMemoryInfo(self, handle):
        if self.used is None:
            raise self.NVMLError("not supported")
        return SimpleNamespace(used=self.used)


@pytest.fixture
def nvml(monkeypatch):
    fake = Nvml(processes={77: 900 * MB}, used=1000 * MB)
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    return fake


class Allocator:
    """As much of torch.cuda as is used; what graphs hold in their pools is never given back."""

    def __init__(self):
        self.allocated = self.kept = self.allocated_peak = self.reserved_peak = 0
        self.pools = []

    @property
    def reserved(self):
        return self.allocated + self.kept + sum(pool["total_size"] for pool in self.pools)

    def use(self, held=0, briefly=0):
        """Allocate for good, and for a moment; what is freed is kept by the allocator."""
        self.allocated += held
        self.allocated_peak = max(self.allocated_peak, self.allocated + briefly)
        self.kept = max(self.kept - held, briefly)
        self.reserved_peak = max(self.reserved_peak, self.reserved)

    def empty(self):
        self.kept = 0

    def reset(self, device):
        self.allocated_peak, self.reserved_peak = self.allocated, self.reserved

    def install(self, monkeypatch):
        for name, value in {
            "synchronize": lambda device: None,
            "empty_cache": self.empty,
            "reset_peak_memory_stats": self.reset,
            "memory_allocated": lambda device: self.allocated,
            "max_memory_allocated": lambda device: self.allocated_peak,
            "memory_reserved": lambda device: self.reserved,
            "max_memory_reserved": lambda device: self.reserved_peak,
            "memory_snapshot": lambda: [ordinary(0, 5 * MB), *self.pools],
            "get_device_properties": lambda device: SimpleNamespace(total_memory=80 << 30),
        }.items():
            monkeypatch.setattr(torch.cuda, name, value)


def segment(device, size, used, pool):
    return {"device": device, "total_size": size, "allocated_size": used, "segment_pool_id": pool}


def ordinary(device, size):
    return segment(device, size, size, (0, 0))


@pytest.fixture
def allocator(monkeypatch):
    fake = Allocator()
    fake.install(monkeypatch)
    return fake


DEVICE = torch.device("cuda", 0)


def test_what_a_graph_holds_is_in_the_peak_though_its_replays_ask_for_nothing(allocator):
    meter = MemoryMeter(DEVICE)
    meter.start()
    allocator.use(held=100 * MB)
    meter.loaded()
    allocator.pools = [segment(0, 40 * MB, 3 * MB, (0, 1)), segment(1, 500 * MB, 0, (0, 1))][:1]
    allocator.use(briefly=30 * MB)  # what the rehearsals took, which is given back
    meter.read_whole_process()
    meter.reset_peak()
    allocator.use(briefly=2 * MB)  # what is beside the graph while it is replayed
    meter.read_peak()
    facts = meter.facts()
    assert facts["peak_bytes"] == 142 * MB
    assert facts["allocated_peak_bytes"] == 102 * MB
    assert (facts["graph_pool_bytes"], facts["graph_pool_used_bytes"]) == (40 * MB, 3 * MB)
    assert facts["process_peak_bytes"] is None
    assert facts["process_reason"] == "no GPU is used"


def test_pools_of_another_gpu_are_not_this_ones(allocator):
    allocator.pools = [segment(0, 4 * MB, MB, (0, 1)), segment(1, 500 * MB, 0, (0, 1)), segment(0, 8 * MB, 0, (2, 0))]
    assert device_memory.graph_pools(DEVICE) == (12 * MB, MB)


def measured(allocator, nvml, join):
    """A run in which ``join(bytes)`` says what NVML shows of the process."""
    whole = ProcessMemory(UUID)
    meter = MemoryMeter(DEVICE, whole)
    join(500 * MB)
    meter.start()
    allocator.use(held=100 * MB)
    meter.loaded()
    join(620 * MB)
    meter.read_whole_process()
    meter.reset_peak()
    # From here on a companion is on the GPU too.
    nvml.processes |= {88: 4000 * MB}
    nvml.used += 4000 * MB
    allocator.use(briefly=10 * MB)
    join(630 * MB)
    meter.read_peak()
    return meter.facts()


@pytest.mark.parametrize("pid", [os.getpid(), 4_000_001], ids=["own id", "container"])
def test_the_process_is_read_by_its_id_or_by_the_one_a_container_gives_it(allocator, nvml, pid):
    def join(held):
        nvml.used += held - (nvml.processes.get(pid) or 0)
        nvml.processes |= {pid: held}

    facts = measured(allocator, nvml, join)
    assert facts["process_method"] == "nvml_process"
    assert facts["before_load_process_bytes"] == 500 * MB
    assert facts["process_peak_bytes"] == 630 * MB


def test_where_no_process_is_told_it_is_the_boards_difference_without_a_companion(allocator, nvml):
    held_before = [0]

    def join(held):
        nvml.used += held - held_before[0]
        held_before[0] = held

    facts = measured(allocator, nvml, join)
    assert facts["process_method"] == "nvml_board"
    assert "does not list" in facts["process_reason"]
    assert facts["before_load_process_bytes"] == 500 * MB
    # 620 MB when it had settled, and 10 MB that its allocator took since.
    assert facts["process_peak_bytes"] == 630 * MB


def test_a_process_with_the_same_id_that_was_there_before_is_another_one(nvml):
    nvml.processes = {os.getpid(): 900 * MB}
    whole = ProcessMemory(UUID)
    nvml.processes |= {5: 300 * MB}
    whole.find()
    assert (whole.method, whole.read()) == ("nvml_process", 300 * MB)


def test_a_board_that_tells_nothing_has_a_reason(nvml):
    nvml.used = None
    whole = ProcessMemory(UUID)
    whole.find()
    assert (whole.method, whole.read()) == (None, None)
    assert "does not say" in whole.reason
