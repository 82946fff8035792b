import gc
import time

import pytest
import torch

from scripts.inference import calibration
from scripts.inference.calibration import calibrate
from scripts.inference.memory import MemoryMeter

CPU = torch.device("cpu")
MB = 1 << 20


@pytest.fixture(scope="module", autouse=True)
def warmed():
    """The libraries' own first-use set-up."""
    calibrate(CPU, torch.float32)


def test_the_peaks_are_of_this_machine_and_name_their_type():
    peaks = calibrate(CPU, torch.bfloat16)
    assert peaks["matmul_dtype"] == "bfloat16"
    # From a small board to the largest server's socket.
    assert 5e8 < peaks["copy_bytes_per_s"] < 2e12
    assert 5e8 < peaks["read_bytes_per_s"] < 2e12
    assert 1e7 < peaks["matmul_flops_per_s"] < 5e13


def test_the_rate_is_bytes_read_and_written_of_the_fastest_repetition(monkeypatch):
    moments = iter([0.0, 0.004, 1.0, 1.002, 2.0, 2.003] + [100.0 + 50 * n for n in range(9)])
    monkeypatch.setattr(calibration.time, "perf_counter", lambda: next(moments))
    assert calibration._best(lambda: None, 0.01) == pytest.approx(0.002)
    monkeypatch.undo()
    monkeypatch.setattr(calibration, "_best", lambda action, budget: action() is None or 0.5)
    assert calibration._copy_on_cpu() == calibration.CPU_BUFFER_BYTES / 0.5


def test_a_read_counts_each_byte_once_by_the_fastest_way(monkeypatch):
    seconds = iter([0.5, 0.25, 1.0])
    monkeypatch.setattr(calibration, "_best", lambda action, budget, least: action() is None or next(seconds))
    rate, size, way = calibration._read_on_cpu()
    assert size >= 2 * calibration.last_level_cache()
    assert (rate, way) == (size / 0.25, "maximum")


def test_memory_is_read_again_as_was_fastest_before(monkeypatch):
    asked = []
    monkeypatch.setattr(calibration, "_read_on_cpu", lambda by: (asked.append(by), 64, by or "product"))
    before = calibrate(CPU, torch.float32)
    assert calibrate(CPU, torch.float32, before)["read_by"] == "product"
    assert asked == [None, "product"]


@pytest.mark.parametrize(
    ("cache", "size"), [(None, 64 << 20), ("8192K", 64 << 20), ("96M", 384 << 20), ("9999M", 1 << 30)]
)
def test_what_is_read_does_not_fit_the_last_level_caches(monkeypatch, tmp_path, cache, size):
    for core, shared in ((0, "0-1"), (1, "0-1"), (2, "2-3"), (9, "9")):
        for index, level, held in (("index0", 1, "64K"), ("index3", 3, cache)):
            folder = tmp_path / f"cpu{core}" / "cache" / index
            folder.mkdir(parents=True)
            if cache:
                (folder / "level").write_text(f"{level}\n")
                (folder / "size").write_text(f"{held}\n")
                (folder / "shared_cpu_list").write_text(f"{shared if level == 3 else core}\n")
    monkeypatch.setattr(calibration, "CACHES", tmp_path)
    monkeypatch.setattr(calibration.os, "sched_getaffinity", lambda process: {0, 1, 2})
    monkeypatch.setattr(calibration, "_read_all", lambda memory, by: (1.0, "sum"))
    assert calibration._read_on_cpu() == (1.0, size, "sum")


def test_a_type_without_a_fast_path_does_not_hold_the_run_up(monkeypatch):
    multiply, seconds = torch.mm, []

    def slow(a, b, **options):
        seconds.append(a.shape[0] ** 3 * 3e-9)  # 768 wide: 1.4 s
        time.sleep(seconds[-1])
        return multiply(a, b, **options)

    monkeypatch.setattr(torch, "mm", slow)
    peaks = calibrate(CPU, torch.float32)
    # The widths are judged, not the clock, which a busy machine stretches.
    assert sum(seconds) < 0.4
    assert 0 < peaks["matmul_flops_per_s"] < 2 / 3e-9 * 1.01


def test_nothing_of_it_stays_in_the_resident_set():
    meter = MemoryMeter(CPU)
    gc.collect()
    before = meter.current()
    calibrate(CPU, torch.float32)
    assert meter.current() < before + 8 * MB


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_nothing_of_it_stays_on_the_gpu():
    device = torch.device("cuda", 0)
    gc.collect()  # what earlier tests left would go meanwhile
    held = torch.cuda.memory_allocated(device)
    peaks = calibrate(device, torch.bfloat16)
    assert torch.cuda.memory_allocated(device) == held
    assert 1e11 < peaks["copy_bytes_per_s"] < 2e13
    # Reading does not have to turn to writing and back.
    assert 0.98 * peaks["copy_bytes_per_s"] < peaks["read_bytes_per_s"] < 2e13
    assert 1e12 < peaks["matmul_flops_per_s"] < 1e16
