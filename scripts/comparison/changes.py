"""Changes of a technique against another over the same prompts, with intervals and p-values.

Signs: ``*_change_percent`` is technique / reference - 1, so a negative latency change is faster and a positive
throughput change is more work done. ``*_kept_percent`` is technique / reference, so 100 is unchanged.
``reference_nll_change`` is technique - reference in nats a token, so negative is better.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from scripts.comparison.columns import FIXED, NATURAL, Columns, batches_of
from scripts.comparison.two_levels import FEW_PROMPTS, PROMPTS_ONLY, Quantity, percent_figure, ratio
from scripts.metrics import figures, resampling, rouge
from scripts.metrics.figures import Figure

Content = dict[str, Any]


@dataclass(frozen=True)
class Timing:
    """A timing to compare: mean of ``top`` over mean of ``bottom``, columns of a mode (None for ones).

    ``figure`` has its value in each run, and how much of that is the scatter of single requests.
    """

    figure: str
    mode: str
    top: str | None
    bottom: str | None = None


TIMINGS = {
    "latency_change_percent": Timing("latency_s", NATURAL, "latency_s"),
    "ttft_change_percent": Timing("ttft_s", NATURAL, "ttft_s", "ttft_s known"),
    "tpot_change_percent": Timing("tpot_s", NATURAL, "tpot_s", "tpot_s known"),
    "throughput_change_percent": Timing("throughput_samples_per_s", NATURAL, None, "busy_s"),
    "tokens_per_s_change_percent": Timing("throughput_tokens_per_s", NATURAL, "new_tokens", "busy_s"),
    "fixed_latency_change_percent": Timing("fixed_latency_s", FIXED, "latency_s"),
    "fixed_ttft_change_percent": Timing("fixed_ttft_s", FIXED, "ttft_s", "ttft_s known"),
    "fixed_tpot_change_percent": Timing("fixed_tpot_s", FIXED, "tpot_s", "tpot_s known"),
    "fixed_throughput_change_percent": Timing("fixed_throughput_samples_per_s", FIXED, None, "busy_s"),
}
# Of requests one by one samples a second are 1 / latency: one question, one test, one verdict.
FOLLOWS = {
    "throughput_change_percent": "latency_change_percent",
    "fixed_throughput_change_percent": "fixed_latency_change_percent",
}
MEMORY = {
    "peak_memory_change_percent": "peak_memory_bytes",
    "load_peak_memory_change_percent": "load_peak_memory_bytes",
    "weight_change_percent": "weight_bytes",
}
KEPT = {f"quality_kept_percent_{key}": key for key in rouge.KEYS}
TOKEN_LENGTH = "output_length_change_percent"
NLL = "reference_nll_change"
NLL_UNIT = "nats/token"
UNMEASURED = "not measured: random weights"


def changes(ours: Content, theirs: Content, columns: Columns) -> dict[str, Figure]:
    """Return every change of a technique against another; both must have status ok.

    Args:
        ours: metrics of the technique.
        theirs: metrics of what it is compared with.
        columns: of both, at least.
    """
    names = [ours["technique"], theirs["technique"]]
    result = {key: _timing(timing, ours, theirs, columns) for key, timing in TIMINGS.items()}
    if all((content.get("batch_size") or 1) == 1 for content in (ours, theirs)):
        for key, latency in FOLLOWS.items():
            result[key]["follows"] = latency
    result[TOKEN_LENGTH] = percent_figure(_ratio(names, "new_tokens", columns), offset=100.0)
    for key, source in MEMORY.items():
        result[key] = _memory_change(ours["figures"][source], theirs["figures"][source])
    for key, score in KEPT.items():
        measured = all(columns.has(name, NATURAL, score) for name in names)
        found = percent_figure(_ratio(names, score, columns), offset=0.0) if measured else None
        unscored = ours.get("unscored_reason") or theirs.get("unscored_reason") or UNMEASURED
        result[key] = found or figures.missing("%", unscored)
    result[NLL] = _nll_change(names, columns)
    return result


def timing_quantities(timing: Timing, contents: list[Content], columns: Columns) -> list[Quantity] | None:
    """Return a timing of several techniques over the same prompts, or None where one of them lacks it.

    Where all of them took turns with one reference, their times are in units of its own, so that drift of the machine
    cancels in their ratio. The prompts of a batch share its time, so where there are batches whole ones are resampled.
    """
    names = [content["technique"] for content in contents]
    columns = columns.relative(names) or columns
    if not columns.comparable(names, timing.mode):
        return None
    batches = batches_of(contents, timing.mode)
    return [columns.timing(name, timing.top, timing.bottom, timing.mode, timing.figure, batches) for name in names]


def _timing(timing: Timing, ours: Content, theirs: Content, columns: Columns) -> Figure:
    quantities = timing_quantities(timing, [ours, theirs], columns)
    if quantities is None:
        return figures.missing("%", "requests of a fixed length were not measured for both, over the same prompts")
    change = percent_figure(ratio(quantities[:1], quantities[1:]), offset=100.0)
    if columns.relative([ours["technique"], theirs["technique"]]):
        beside = f"both in units of {columns.reference}'s time, which took turns with them"
        change["note"] = "; ".join(filter(None, (change["note"], beside)))
    return change


def _ratio(names: list[str], key: str, columns: Columns) -> Any:
    mine, reference = (columns.quantity(name, key) for name in names)
    return ratio([mine], [reference])


def _memory_change(ours: Figure, theirs: Figure) -> Figure:
    if ours["value"] is None or not theirs["value"]:
        return figures.missing("%", "not read for one of the two")
    value = 100 * (ours["value"] / theirs["value"] - 1)
    return figures.figure(value, "%", min(ours["n"], theirs["n"]), note=figures.ONE_READING)


def _nll_change(names: list[str], columns: Columns) -> Figure:
    """Return the difference of the reference headlines' negative log-likelihood, paired by prompt."""
    measured = all(columns.has(name, NATURAL, "reference_nll") for name in names)
    tokens = [columns.columns[name, NATURAL]["reference_tokens"] for name in names] if measured else []
    if not measured or not all(counts.any() for counts in tokens):
        return figures.missing(NLL_UNIT, "the reference headlines' likelihood was not measured for both")
    if not np.array_equal(*tokens):
        return figures.missing(NLL_UNIT, "the two split the reference headlines into other tokens")
    mine, reference = (columns.quantity(name, "reference_nll", "reference_tokens") for name in names)
    value = mine.value - reference.value
    if mine.spread is None:
        note = figures.few_note(mine.prompts)
        return figures.figure(value, NLL_UNIT, mine.prompts, note=note, p_value=None, verdict=FEW_PROMPTS)
    spread = mine.spread - reference.spread
    bounds = resampling.percentile_interval(spread)
    p_value = resampling.two_sided_p(spread, mine.prompts) if bounds[0] is not None else None
    return figures.figure(value, NLL_UNIT, mine.prompts, bounds, interval=PROMPTS_ONLY, p_value=p_value)
