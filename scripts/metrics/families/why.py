"""Why a technique is as fast as it is: utilisation of bandwidth and arithmetic, and the host-bound share.

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

from scripts.hardware.cost import Costs
from scripts.hardware.work import BatchWork, Model, Work, batch_work, of_samples
from scripts.metrics import figures, model_facts, peaks
from scripts.metrics.entry import Entry, Place, Term
from scripts.metrics.figures import Figure
from scripts.metrics.model_facts import Unknown
from scripts.metrics.peaks import Peaks
from scripts.metrics.recorded import Recorded
from scripts.metrics.runs import Run

ORDER = 100
WORK = "in a run, prompts included, over its new tokens; computed from the model's shape."
UTILISATION = Term(
    "MBU, MFU",
    "Bytes that decoding must move, and operations that the requests need, over what the devices could have done "
    "meanwhile: by the data sheet, and by reading memory and a matrix product measured in the run itself.",
)
HOST_BOUND = Term(
    "Host-bound", "Share of a request's time in which no operator or kernel ran: Python, launches, waiting."
)
PREDICTED = Term(
    "Predicted time",
    "Roofline: prompt and decoding each take as long as the slower of their traffic and their operations at the "
    "measured peaks. Predicted speed-up: the parent's predicted time over the technique's own. Measured: its samples "
    "per second over the parent's.",
)
FIGURES = (
    Entry("bytes_per_token", "B/token", "Bytes per token", f"Bytes that must be moved {WORK}"),
    Entry("flops_per_token", "FLOP/token", "Operations per token", f"Operations needed {WORK}"),
    *(
        Entry(f"{key}_{source}", "1", f"{key.upper()}{of}", UTILISATION, shown="percent", decimals=2,
              csv=f"{key}_{source}", table=Place("Cost and machine", 3) if source == "measured" else None)
        for key in ("mbu", "mfu")
        for source, of in (("datasheet", " of the data sheet's peak"), ("measured", ""))
    ),
    Entry("host_bound_share", "1", "Host-bound share", HOST_BOUND, shown="percent", decimals=1),
    Entry("predicted_time_per_sample_s", "s", "Predicted time a sample", PREDICTED),
)  # fmt: skip
NO_PROMPT = "the prompts' lengths were not recorded"
NO_DECODING = "no request has two tokens"
IN_CACHE = (
    "weights this small can stay in the processor's cache, which is faster than the memory that it is held against"
)


@dataclass(frozen=True)
class Counted:
    """One run's work and time: a batch's work beside its seconds, the first token's and all."""

    works: list[BatchWork]
    totals_s: np.ndarray  # (batches,)
    decodes_s: np.ndarray  # (batches,), of those with two tokens or more; NaN elsewhere
    samples: int
    tokens: int
    weight_bytes: float


def compute(recorded: Recorded) -> dict[str, Figure]:
    """Return every figure, one value a run; without a value, the note says why."""
    runs = recorded.runs
    of_run: dict[str, Callable[[Run], float]] = {
        "bytes_per_token": lambda run: _per_token(run).bytes,
        "flops_per_token": lambda run: _per_token(run).flops,
        "mbu_datasheet": lambda run: _mbu(run, peaks.by_data_sheet(run)),
        "mbu_measured": lambda run: _mbu(run, peaks.measured(run)),
        "mfu_datasheet": lambda run: _mfu(run, peaks.by_data_sheet(run)),
        "mfu_measured": lambda run: _mfu(run, peaks.measured(run)),
        "predicted_time_per_sample_s": _predicted,
    }
    units = {entry.key: entry.unit for entry in FIGURES}
    result = {key: _each(runs, units[key], function) for key, function in of_run.items()}
    for key in ("mbu_measured", "predicted_time_per_sample_s"):
        if result[key]["value"] is not None and _may_stay_in_cache(runs[0]):
            result[key]["note"] = IN_CACHE
    return result | {"host_bound_share": _host_bound(runs)}


def _each(runs: list[Run], unit: str, function: Callable[[Run], float]) -> Figure:
    try:
        return figures.repeated_figure([function(run) for run in runs], unit)
    except Unknown as reason:
        return figures.missing(unit, str(reason))


def _counted(run: Run) -> Counted:
    """Count the work of the natural mode's batches."""
    facts = model_facts.of_run(run)
    if any(sample.prompt_tokens is None for sample in run.samples):
        raise Unknown(NO_PROMPT)
    costs = facts.costs
    if costs.not_counted is not None:
        raise Unknown(costs.not_counted)
    target = Model(facts.architecture, costs, facts.dtype)
    draft = Model(facts.draft, costs.draft or Costs(), facts.dtype) if facts.draft else None
    works = [batch_work(target, batch, cache=costs.keeps_cache, draft=draft) for batch in of_samples(run.samples)]
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


def _mbu(run: Run, known: Peaks) -> float:
    counted = _counted(run)
    decoding = ~np.isnan(counted.decodes_s) & (counted.decodes_s > 0)
    if not decoding.any():
        raise Unknown(NO_DECODING)
    moved = sum(work.decode.bytes for work, used in zip(counted.works, decoding, strict=True) if used)
    return float(moved / counted.decodes_s[decoding].sum() / known.bandwidth)


def _mfu(run: Run, known: Peaks) -> float:
    counted = _counted(run)
    return float(_sum([work.total for work in counted.works]).flops / counted.totals_s.sum() / known.flops)


def _predicted(run: Run) -> float:
    """Seconds a sample of the batches' busy time, with the bandwidth and arithmetic measured in the run."""
    counted, known = _counted(run), peaks.measured(run)
    # Pipeline stages that take turns at a single micro-batch: the devices' speeds do not add up.
    share = known.single if model_facts.of_run(run).costs.layout.stages > 1 and _in_flight(run) == 1 else 1.0
    bandwidth, flops = known.bandwidth * share, known.flops * share
    phases = [phase for work in counted.works for phase in (work.prefill, work.decode)]
    return sum(max(phase.bytes / bandwidth, phase.flops / flops) for phase in phases) / counted.samples


def _in_flight(run: Run) -> int:
    """Micro-batches that were worked on at the same time in the observed batch."""
    ranks = ((run.info.get("evidence") or {}).get("parallel") or {}).get("ranks") or [{}]
    return ranks[0].get("micro_batches_in_flight") or 1


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
