"""Why a technique is as fast as it is: how much of the machine's bandwidth and arithmetic it uses, and what is lost.

MBU (memory bandwidth utilisation; Databricks, LLM Inference Performance Engineering, 2023) is the bytes that decoding
must move over the bytes that the devices could have moved meanwhile. MFU (model FLOPs utilisation; PaLM, Chowdhery et
al., 2022) is the same for arithmetic, over whole samples. Both against the data sheet, and against what a reduction of
a large tensor read, and a matrix product computed, in the run itself: decoding reads weights and cache, and hardly
writes. The prediction is the roofline (Williams et al., 2009): prompt and decoding each take as long as the slower of
their traffic and their arithmetic at those two rates. Software that reads or multiplies faster can pass it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from scripts.hardware import datasheet, sizes
from scripts.hardware.work import BatchWork, Model, Work, batch_work, of_samples
from scripts.metrics import figures, model_facts
from scripts.metrics.figures import Figure
from scripts.metrics.runs import Run

WHY_UNITS = {
    "bytes_per_token": "B/token",
    "flops_per_token": "FLOP/token",
    "mbu_datasheet": "1",
    "mbu_measured": "1",
    "mfu_datasheet": "1",
    "mfu_measured": "1",
    "host_bound_share": "1",
    "predicted_time_per_sample_s": "s",
}
NO_PROMPT = "the prompts' lengths were not recorded"
JOINING = "requests join between the passes, which are not counted"
NO_CALIBRATION = "the machine was not calibrated in the run"
NO_READING = "the run did not measure how fast memory is read"
NO_SHEET_FOR_CPU = "no data sheet for this processor"
NO_DECODING = "no request has two tokens"
IN_CACHE = (
    "weights this small can stay in the processor's cache, which is faster than the memory that it is held against"
)


class Unknown(Exception):
    """A figure can't be computed; the message says why, for the figure's note."""


@dataclass(frozen=True)
class Peaks:
    """What all devices of a run together can do: bytes and operations a second; ``single`` is one device's share."""

    bandwidth: float
    flops: float
    single: float


@dataclass(frozen=True)
class Counted:
    """One run's work and time: a batch's work beside its seconds, the first token's and all."""

    works: list[BatchWork]
    totals_s: np.ndarray  # (batches,)
    decodes_s: np.ndarray  # (batches,), of those with two tokens or more; NaN elsewhere
    samples: int
    tokens: int
    weight_bytes: float


def why_figures(runs: list[Run]) -> dict[str, Figure]:
    """Return every figure of :data:`WHY_UNITS`, one value a run; without a value, the note says why."""
    result = {
        "bytes_per_token": _each(runs, "bytes_per_token", lambda run: _per_token(run).bytes),
        "flops_per_token": _each(runs, "flops_per_token", lambda run: _per_token(run).flops),
        "host_bound_share": _host_bound(runs),
    }
    for source, peaks in (("datasheet", _sheet_peaks), ("measured", _measured_peaks)):
        result[f"mbu_{source}"] = _each(runs, f"mbu_{source}", lambda run, peaks=peaks: _mbu(run, peaks(run)))
        result[f"mfu_{source}"] = _each(runs, f"mfu_{source}", lambda run, peaks=peaks: _mfu(run, peaks(run)))
    result["predicted_time_per_sample_s"] = _each(runs, "predicted_time_per_sample_s", _predicted)
    for key in ("mbu_measured", "predicted_time_per_sample_s"):
        if result[key]["value"] is not None and _may_stay_in_cache(runs[0]):
            result[key]["note"] = IN_CACHE
    return {key: result[key] for key in WHY_UNITS}


def _each(runs: list[Run], key: str, compute: Callable[[Run], float]) -> Figure:
    unit = WHY_UNITS[key]
    try:
        return figures.repeated_figure([compute(run) for run in runs], unit)
    except Unknown as reason:
        return figures.missing(unit, str(reason))


def _counted(run: Run) -> Counted:
    """Count the work of the natural mode's batches."""
    facts = model_facts.of_run(run)
    if facts is None:
        raise Unknown(model_facts.NO_SHAPE)
    if any(sample.prompt_tokens is None for sample in run.samples):
        raise Unknown(NO_PROMPT)
    # The work is that of batches that stay together until their last request has ended.
    engine = facts.settings.get("engine")
    if isinstance(engine, dict) and engine.get("name") == "transformers_continuous":
        raise Unknown(JOINING)
    target = Model(facts.architecture, facts.settings, facts.dtype)
    draft = Model(facts.draft, sizes.draft_settings(facts.settings), facts.dtype) if facts.draft else None
    cache = facts.settings.get("kv_cache") not in (None, "none")
    works = [batch_work(target, batch, cache=cache, draft=draft) for batch in of_samples(run.samples)]
    totals, decodes = _batch_times(run)
    return Counted(
        works=works,
        totals_s=totals,
        decodes_s=decodes,
        samples=len(run.samples),
        tokens=sum(sample.new_tokens for sample in run.samples),
        weight_bytes=target.weight_bytes + (draft.weight_bytes if draft else 0),
    )


def _batch_times(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Seconds of each batch as a whole, and after its first token (NaN where it has one token only)."""
    members: dict[int, list[Any]] = {}
    for sample in run.samples:
        members.setdefault(sample.batch, []).append(sample)
    totals = np.array([batch[0].batch_time_s for batch in members.values()])
    decodes = np.full(len(totals), np.nan)
    for row, batch in enumerate(members.values()):
        if max(sample.new_tokens for sample in batch) > 1:
            decodes[row] = totals[row] - max(sample.ttft_s for sample in batch if sample.ttft_s is not None)
    return totals, decodes


def _sum(works: list[Work]) -> Work:
    return sum(works, Work())


def _per_token(run: Run) -> Work:
    """Work of the whole run, prompts included, over its new tokens."""
    counted = _counted(run)
    if not counted.tokens:
        raise Unknown("nothing was generated")
    total = _sum([work.total for work in counted.works])
    return Work(total.flops / counted.tokens, total.bytes / counted.tokens)


def _mbu(run: Run, peaks: Peaks) -> float:
    counted = _counted(run)
    decoding = ~np.isnan(counted.decodes_s) & (counted.decodes_s > 0)
    if not decoding.any():
        raise Unknown(NO_DECODING)
    moved = sum(work.decode.bytes for work, used in zip(counted.works, decoding, strict=True) if used)
    return float(moved / counted.decodes_s[decoding].sum() / peaks.bandwidth)


def _mfu(run: Run, peaks: Peaks) -> float:
    counted = _counted(run)
    return float(_sum([work.total for work in counted.works]).flops / counted.totals_s.sum() / peaks.flops)


def _predicted(run: Run) -> float:
    """Seconds a sample of the batches' busy time, with the bandwidth and arithmetic measured in the run."""
    counted, peaks = _counted(run), _measured_peaks(run)
    # Pipeline stages that take turns at a single micro-batch: the devices' speeds do not add up.
    stages = ((run.info.get("settings") or {}).get("parallel") or {}).get("pipeline", 1)
    share = peaks.single if stages > 1 and _in_flight(run) == 1 else 1.0
    bandwidth, flops = peaks.bandwidth * share, peaks.flops * share
    phases = [phase for work in counted.works for phase in (work.prefill, work.decode)]
    return sum(max(phase.bytes / bandwidth, phase.flops / flops) for phase in phases) / counted.samples


def _in_flight(run: Run) -> int:
    """Micro-batches that were worked on at the same time in the observed batch."""
    ranks = ((run.info.get("evidence") or {}).get("parallel") or {}).get("ranks") or [{}]
    return ranks[0].get("micro_batches_in_flight") or 1


def _processes(run: Run) -> int:
    return run.info.get("processes") or 1


def _measured_peaks(run: Run) -> Peaks:
    """The mean of the calibrations before and after the run, times the processes."""
    calibration = run.info.get("calibration") or {}
    readings = [reading for reading in (calibration.get("before"), calibration.get("after")) if reading]
    if not readings:
        raise Unknown(NO_CALIBRATION)
    if not all(reading.get("read_bytes_per_s") for reading in readings):
        raise Unknown(NO_READING)
    count = _processes(run)
    bandwidth = float(np.mean([reading["read_bytes_per_s"] for reading in readings]))
    flops = float(np.mean([reading["matmul_flops_per_s"] for reading in readings]))
    return Peaks(count * bandwidth, count * flops, 1 / count)


def _sheet_peaks(run: Run) -> Peaks:
    """The sums of the data sheets' peaks over the run's GPUs, for the model's dtype."""
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


def _may_stay_in_cache(run: Run) -> bool:
    """Whether the weights are smaller than what the bandwidth was measured with, on a processor."""
    if run.info["memory"].get("method") == "cuda_allocator":
        return False
    readings = [reading for reading in (run.info.get("calibration") or {}).values() if reading]
    return _counted(run).weight_bytes < max(reading["read_buffer_bytes"] for reading in readings)


def _host_bound(runs: list[Run]) -> Figure:
    looked = [run.info.get("time") or {} for run in runs]
    known = [share for time in looked if (share := time.get("host_bound_share")) is not None]
    if not known:
        reasons = [reason for time in looked if (reason := time.get("host_bound_reason"))]
        return figures.missing("1", reasons[0] if reasons else "not observed")
    # Looked at in the first run alone, as it is the same in every one.
    return figures.repeated_figure(known, "1")
