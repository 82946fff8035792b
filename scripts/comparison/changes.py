"""Changes of a technique against another over the same prompts, with paired bootstrap intervals and verdicts.

Signs: ``*_change_percent`` is technique / reference - 1, so a negative latency change is faster and a positive
throughput change is more work done. ``*_kept_percent`` is technique / reference, so 100 is unchanged.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scripts.metrics import figures, resampling, rouge
from scripts.metrics.figures import Figure

# Change -> (numerator, denominator) columns of a technique; the change compares the two techniques' ratios.
RATES = {
    "latency_change_percent": ("latency_s", None),
    "ttft_change_percent": ("ttft_s", "ttft_s known"),
    "tpot_change_percent": ("tpot_s", "tpot_s known"),
    "throughput_change_percent": (None, "busy_s"),
    "tokens_per_s_change_percent": ("new_tokens", "busy_s"),
    "output_length_change_percent": ("new_tokens", None),
}
MEMORY = {
    "peak_memory_change_percent": "peak_memory_bytes",
    "load_peak_memory_change_percent": "load_peak_memory_bytes",
    "weight_change_percent": "weight_bytes",
}
KEPT = {f"quality_kept_percent_{key}": key for key in rouge.KEYS}
TOKEN_LENGTH = "output_length_change_percent"


@dataclass
class Resampled:
    """Point means and resampled means of a technique's columns.

    ``means`` are floats and ``spread`` arrays of shape (resamples,), None where there are too few prompts.
    """

    prompts: int
    means: dict[str, float] = field(default_factory=dict)
    spread: dict[str, np.ndarray] | None = None


def resample(techniques: dict[str, dict[str, Any]]) -> dict[str, Resampled]:
    """Resample the prompts of every technique that ran, with the same draws for all of them.

    Args:
        techniques: per technique the content of its metrics file.

    Returns:
        The techniques with status ok.
    """
    columns = {
        (name, key): values
        for name, content in techniques.items()
        if content["status"] == "ok"
        for key, values in _columns(content["samples"]).items()
    }
    result: dict[str, Resampled] = {}
    if not columns:
        return result
    table = np.array(list(columns.values()))  # (techniques * columns, prompts)
    drawn = resampling.resampled_means(table) if table.shape[1] >= resampling.FEWEST else None
    for row, (name, key) in enumerate(columns):
        entry = result.setdefault(name, Resampled(table.shape[1], spread=None if drawn is None else {}))
        entry.means[key] = float(table[row].mean())
        if drawn is not None:
            entry.spread[key] = drawn[row]
    return result


def _columns(samples: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return a technique's values per prompt; a value that is not there counts as zero and is marked as not known."""
    columns = {key: np.array(samples[key], dtype=float) for key in ("latency_s", "busy_s", "new_tokens")}
    for key in ("ttft_s", "tpot_s"):
        values = np.array(samples[key], dtype=float)  # None becomes NaN
        known = ~np.isnan(values)
        columns |= {key: np.where(known, values, 0.0), f"{key} known": known.astype(float)}
    measured = [key for key in rouge.KEYS if samples[key] is not None]
    return columns | {key: np.array(samples[key], dtype=float) for key in measured}


def changes(ours: dict[str, Any], theirs: dict[str, Any], resampled: dict[str, Resampled]) -> dict[str, Figure]:
    """Return every change of a technique against another; both must have status ok.

    Args:
        ours: metrics of the technique.
        theirs: metrics of what it is compared with.
        resampled: the result of :func:`resample`.
    """
    mine, reference = resampled[ours["technique"]], resampled[theirs["technique"]]
    result = {}
    for key, (top, bottom) in RATES.items():
        result[key] = _relative(_Rate(mine, top, bottom), _Rate(reference, top, bottom), offset=100.0)
    for key, source in MEMORY.items():
        result[key] = _memory_change(ours["figures"][source], theirs["figures"][source])
    for key, score in KEPT.items():
        result[key] = _kept(mine, reference, score)
    _add_runs(result, ours, theirs)
    return result


class _Rate:
    """The ratio of two columns of a technique, at its point value and over the resamples; None stands for ones."""

    def __init__(self, entry: Resampled, top: str | None, bottom: str | None):
        self.prompts = entry.prompts
        with np.errstate(divide="ignore", invalid="ignore"):
            self.value = np.float64(self._pick(entry.means, top)) / self._pick(entry.means, bottom)
            self.spread = None
            if entry.spread is not None:
                self.spread = np.float64(1) * self._pick(entry.spread, top) / self._pick(entry.spread, bottom)

    @staticmethod
    def _pick(columns: dict[str, Any], key: str | None) -> Any:
        return 1.0 if key is None else columns[key]


def _relative(mine: _Rate, reference: _Rate, offset: float) -> Figure:
    """Return 100 * mine / reference - offset with its interval and the two-sided bootstrap p-value of no change."""
    if not np.isfinite(mine.value) or not np.isfinite(reference.value) or reference.value == 0:
        return figures.missing("%", "the reference is zero or one of the two has no value")
    value = float(100 * mine.value / reference.value - offset)
    if mine.spread is None:
        return figures.figure(value, "%", mine.prompts, note=figures.few_note(mine.prompts), p_value=None)
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = 100 * mine.spread / reference.spread - offset
    bounds = resampling.percentile_interval(spread)
    if bounds[0] is None:
        return figures.figure(value, "%", mine.prompts, note="the reference can be zero: no interval", p_value=None)
    p_value = two_sided_p(spread - (100 - offset))
    return figures.figure(value, "%", mine.prompts, bounds, interval="paired bootstrap", p_value=p_value)


def two_sided_p(distribution: np.ndarray) -> float:
    """Return the two-sided bootstrap p-value of zero: twice the smaller tail, counted with one extra resample.

    Davison and Hinkley, Bootstrap Methods and their Application, section 4.2.
    """
    # A change of exactly nothing comes out as rounding noise of either sign.
    tolerance = 1e-9
    below = int((distribution <= tolerance).sum())
    above = int((distribution >= -tolerance).sum())
    return min(1.0, 2 * (min(below, above) + 1) / (len(distribution) + 1))


def _memory_change(ours: Figure, theirs: Figure) -> Figure:
    if ours["value"] is None or not theirs["value"]:
        return figures.missing("%", "not read for one of the two")
    value = 100 * (ours["value"] / theirs["value"] - 1)
    return figures.figure(value, "%", min(ours["n"], theirs["n"]), note=figures.ONE_READING)


def _kept(mine: Resampled, reference: Resampled, score: str) -> Figure:
    if score not in mine.means or score not in reference.means:
        return figures.missing("%", "not measured: random weights")
    return _relative(_Rate(mine, score, None), _Rate(reference, score, None), offset=0.0)


def _add_runs(result: dict[str, Figure], ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Say of each timing whether the runs of the two overlap: then run-to-run noise alone could explain the change."""
    sources = {
        "latency_change_percent": "latency_s",
        "ttft_change_percent": "ttft_s",
        "tpot_change_percent": "tpot_s",
        "throughput_change_percent": "throughput_samples_per_s",
        "tokens_per_s_change_percent": "throughput_tokens_per_s",
    }
    for key, source in sources.items():
        mine = [value for value in ours["figures"][source].get("runs") or [] if value is not None]
        other = [value for value in theirs["figures"][source].get("runs") or [] if value is not None]
        if len(mine) > 1 and len(other) > 1:
            result[key]["runs_overlap"] = min(mine) <= max(other) and min(other) <= max(mine)
        else:
            result[key]["runs_overlap"] = None
