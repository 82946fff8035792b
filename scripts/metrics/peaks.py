"""Peak memory bandwidth and FLOP/s of a run's devices, as measured in the run and by the data sheet."""

from dataclasses import dataclass

import numpy as np

from scripts.hardware import datasheet
from scripts.metrics.model_facts import Unknown
from scripts.metrics.runs import Run

NO_CALIBRATION = "the machine was not calibrated in the run"
NO_READING = "the run did not measure how fast memory is read"
NO_SHEET_FOR_CPU = "no data sheet for this processor"


@dataclass(frozen=True)
class Peaks:
    """What all devices of a run together can do: bytes and operations a second; ``single`` is one device's share."""

    bandwidth: float
    flops: float
    single: float


def measured(run: Run) -> Peaks:
    """The mean of the calibrations before and after the run, times the processes; raises :class:`Unknown`."""
    calibration = run.info.get("calibration") or {}
    readings = [reading for reading in (calibration.get("before"), calibration.get("after")) if reading]
    if not readings:
        raise Unknown(NO_CALIBRATION)
    if not all(reading.get("read_bytes_per_s") for reading in readings):
        raise Unknown(NO_READING)
    count = run.info.get("processes") or 1
    bandwidth = float(np.mean([reading["read_bytes_per_s"] for reading in readings]))
    flops = float(np.mean([reading["matmul_flops_per_s"] for reading in readings]))
    return Peaks(count * bandwidth, count * flops, 1 / count)


def by_data_sheet(run: Run) -> Peaks:
    """The sums of the data sheets' peaks over the run's GPUs, for the model's dtype; raises :class:`Unknown`."""
    if run.info["memory"].get("method") != "cuda_allocator":
        raise Unknown(NO_SHEET_FOR_CPU)
    dtype = (run.info["models"].get("target") or {}).get("dtype")
    # "cuda:0 NVIDIA H200": the device as the process sees it, then its name.
    names = [str(row.get("device")).partition(" ")[2] for row in run.info["memory"].get("devices") or []]
    found = [datasheet.find(name) for name in names]
    if not found or None in found:
        unknown = next((name for name, device in zip(names, found, strict=True) if device is None), "this GPU")
        raise Unknown(f"config/hardware.yaml has no entry for '{unknown}'")
    if any(dtype not in device.peak_flops_per_s for device in found):
        raise Unknown(f"the data sheet of {found[0].label} gives no peak for {dtype}")
    return Peaks(
        sum(device.bandwidth_bytes_per_s for device in found),
        sum(device.peak_flops_per_s[dtype] for device in found),
        1 / len(found),
    )
