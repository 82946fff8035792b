import os
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from scripts.inference import conditions
from scripts.inference.conditions import Monitor, state


class Nvml(SimpleNamespace):
    """As much of pynvml as is used; ``pids`` and ``reasons`` may be changed while it is watched."""

    class NVMLError(Exception):
        pass

    def nvmlInit(self):
        pass

    def nvmlShutdown(self):
        pass

    def nvmlDeviceGetHandleByUUID(self, uuid):
        return uuid

    def nvmlDeviceGetClockInfo(self, handle, kind):
        return {1: 1980, 2: 2619}[kind]

    def nvmlDeviceGetTemperature(self, handle, sensor):
        return 41

    def nvmlDeviceGetPowerUsage(self, handle):
        return 123_456

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle):
        return self.reasons

    def nvmlDeviceGetComputeRunningProcesses(self, handle):
        return [SimpleNamespace(pid=pid) for pid in self.pids.get(handle, [])]


@pytest.fixture
def nvml(monkeypatch):
    monkeypatch.setattr(conditions, "INTERVAL_S", 0.01)
    fake = Nvml(reasons=0x1, pids={})
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    return fake


def test_the_state_of_the_given_gpus_is_read_and_idle_is_no_throttling(nvml):
    nvml.pids = {"GPU-a": [7, 8], "GPU-b": [9]}
    nvml.reasons = 0x1 | 0x4 | 0x40
    assert state(["GPU-a"], own_pids=[7])["gpus"] == [
        {
            "sm_clock_mhz": 1980,
            "memory_clock_mhz": 2619,
            "temperature_c": 41,
            "power_w": 123.456,
            "throttle_reasons": ["software_power_cap", "hardware_thermal_slowdown"],
            "other_processes": [8],
        }
    ]


def test_what_a_gpu_does_not_tell_is_none(nvml):
    def refuse(*arguments):
        raise nvml.NVMLError("not supported")

    nvml.nvmlDeviceGetPowerUsage = refuse
    nvml.nvmlDeviceGetTemperature = refuse
    gpu = state(["GPU-a"])["gpus"][0]
    assert (gpu["power_w"], gpu["temperature_c"], gpu["sm_clock_mhz"]) == (None, None, 1980)


def test_the_state_without_gpus_is_the_processors(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    seen = state([])
    assert seen["gpus"] == []
    assert len(seen["cpu"]["load_average"]) == 3


def wait_until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_throttling_in_between_is_kept(nvml):
    watch = Monitor(gpu_uuids=["GPU-a"])
    watch.start()
    nvml.reasons = 0x20
    wait_until(lambda: watch._reasons)
    nvml.reasons = 0x1
    assert watch.stop()["throttle_reasons"] == ["software_thermal_slowdown"]


def test_a_process_that_was_not_started_here_is_foreign_on_the_gpu(nvml):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        watch = Monitor(gpu_uuids=["GPU-a"])
        watch.start()
        nvml.pids = {"GPU-a": [child.pid, 1], "GPU-b": [2]}
        wait_until(lambda: len(watch._on_gpus) == 2)
        nvml.pids = {}
        assert watch.stop()["foreign_gpu_processes"] == [1]
        child.communicate(b"\n")


def test_own_processes_that_carry_other_numbers_in_a_container_are_not_foreign(nvml):
    nvml.pids = {"GPU-a": [4_000_001]}
    watch = Monitor(gpu_uuids=["GPU-a"])
    watch.start()
    nvml.pids = {"GPU-a": [4_000_001, 4_000_002]}  # the second is the worker, under the host's number
    wait_until(lambda: len(watch._on_gpus) == 2)
    assert watch.stop()["foreign_gpu_processes"] == [4_000_001]


def test_without_gpus_no_thread_runs():
    before = threading.active_count()
    watch = Monitor()
    watch.start()
    assert threading.active_count() == before
    seen = watch.stop()
    assert seen["throttle_reasons"] == seen["foreign_gpu_processes"] == []
    assert seen["seconds"] > 0


def stat(path, busy, idle, steal=0):
    """Counters of the first usable core, in ticks; a core that may not be used was busy all the time."""
    core = min(os.sched_getaffinity(0))
    usable = f"cpu{core} {busy} 0 0 {idle} 0 0 0 {steal} 0 0"
    path.write_text(f"cpu  9 9 9 9 9 9 9 9 9 9\n{usable}\ncpu9999 {busy * 9} 0 0 0 0 0 0 0 0 0\n")
    return path


def test_what_others_used_is_what_was_busy_less_the_own_share(tmp_path, monkeypatch):
    own = iter((10.0, 11.0))
    monkeypatch.setattr(conditions, "_own_seconds", lambda: next(own))
    tick = os.sysconf("SC_CLK_TCK")
    watch = Monitor(stat=stat(tmp_path / "stat", 0, 0))
    watch.start()
    stat(tmp_path / "stat", 3 * tick, 6 * tick, tick)  # ten seconds, of which one is the own
    seen = watch.stop()
    assert seen["foreign_cpu_share"] == pytest.approx(0.2)
    assert seen["steal_share"] == pytest.approx(0.1)


def test_own_use_above_what_was_busy_is_no_negative_share(tmp_path, monkeypatch):
    own = iter((0.0, 99.0))
    monkeypatch.setattr(conditions, "_own_seconds", lambda: next(own))
    watch = Monitor(stat=stat(tmp_path / "stat", 0, 0))
    watch.start()
    stat(tmp_path / "stat", 100, 900)
    assert watch.stop()["foreign_cpu_share"] == 0


@pytest.mark.parametrize("content", [None, "nothing of the kind\n"])
def test_a_machine_that_shows_no_counters_has_no_share(tmp_path, content):
    if content:
        (tmp_path / "stat").write_text(content)
    watch = Monitor(stat=tmp_path / "stat")
    watch.start()
    seen = watch.stop()
    assert seen["foreign_cpu_share"] is None
    assert seen["steal_share"] is None


BURN = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"


def test_a_workers_time_is_own_while_it_runs_and_after_it_ended():
    before = conditions._own_seconds()
    with subprocess.Popen([sys.executable, "-c", f"{BURN}\ninput()"], stdin=subprocess.PIPE) as child:
        wait_until(lambda: conditions._own_seconds() > before + 0.28)
        child.communicate(b"\n")
    assert conditions._own_seconds() > before + 0.28
