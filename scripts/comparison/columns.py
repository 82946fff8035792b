"""What techniques measured prompt by prompt, and its means over resampled prompts: the same draws for all of them."""

from typing import Any

import numpy as np

from scripts.comparison.moderation import Prior, prior
from scripts.comparison.two_levels import Quantity, request_noise
from scripts.metrics import resampling, rouge

NATURAL, FIXED = "natural", "fixed"
TIMES = ("ttft_s", "tpot_s")


class Columns:
    """Columns of the techniques that ran, resampled when they are first asked for.

    Args:
        metrics: per technique the content of its metrics file.
    """

    def __init__(self, metrics: dict[str, dict[str, Any]]):
        self.columns = {
            (name, mode): columns
            for name, content in metrics.items()
            if content["status"] == "ok"
            for mode, columns in _modes(content["samples"]).items()
        }
        self.ids = {
            (name, mode): content["samples"]["id"] if mode == NATURAL else content["samples"]["fixed"]["id"]
            for name, content in metrics.items()
            for mode in (NATURAL, FIXED)
            if (name, mode) in self.columns
        }
        self._runs = {
            figure: [tuple(run for run in each["runs"] if run) for each in found]
            for figure, found in _with_runs(metrics).items()
        }
        self._priors: dict[str, Prior | None] = {}
        self._drawn: dict[tuple[str, str, bytes | None], dict[str, np.ndarray] | None] = {}

    def has(self, name: str, mode: str, *keys: str | None) -> bool:
        """Whether a technique has these columns."""
        columns = self.columns.get((name, mode), {})
        return bool(columns) and all(key is None or key in columns for key in keys)

    def comparable(self, names: list[str], mode: str) -> bool:
        """Whether these techniques have a mode, over the same prompts."""
        ids = [self.ids.get((name, mode)) for name in names]
        return None not in ids and all(other == ids[0] for other in ids)

    def prior(self, figure: str) -> Prior | None:
        """Return how much a figure varies between processes, over all techniques that ran."""
        if figure not in self._priors:
            self._priors[figure] = prior(self._runs.get(figure, []))
        return self._priors[figure]

    def quantity(
        self,
        name: str,
        top: str | None,
        bottom: str | None = None,
        mode: str = NATURAL,
        batches: np.ndarray | None = None,
        runs: list[float | None] | None = None,
        per_run: list[list[float]] | None = None,
        figure: str | None = None,
    ) -> Quantity:
        """Return the mean of ``top`` over the mean of ``bottom``; None stands for ones.

        Args:
            name: a technique that has the columns.
            top: the numerator's column.
            bottom: the denominator's.
            mode: natural or fixed.
            batches: the batch of each prompt where those of a batch, which share its time, are resampled together.
            runs: one value a run, where processes make the quantity vary; an empty list is as good as one run.
            per_run: the times behind ``runs``, runs by prompts, where they are known.
            figure: the figure that ``runs`` are values of.
        """
        columns = self.columns[name, mode]
        prompts = len(next(iter(columns.values())))
        drawn = self._resampled(name, mode, batches)
        ones = np.ones(prompts)

        with np.errstate(divide="ignore", invalid="ignore"):
            value = columns.get(top, ones).mean() / columns.get(bottom, ones).mean()
            spread = None if drawn is None else drawn[top or "ones"] / drawn[bottom or "ones"]
        known = None if runs is None else tuple(run for run in runs if run)
        noise = 0.0
        if per_run and len(per_run) > 1:
            noise = request_noise(_summed(np.array(per_run, dtype=float), batches))
        units = None if batches is None else len(set(batches))
        return Quantity(prompts, float(value), spread, known, units, noise, self.prior(figure) if figure else None)

    def _resampled(self, name: str, mode: str, batches: np.ndarray | None) -> dict[str, np.ndarray] | None:
        """Return the means of a technique's columns over resampled prompts or batches; None where there are too few."""
        key = (name, mode, None if batches is None else batches.tobytes())
        if key not in self._drawn:
            columns = self.columns[name, mode]
            table = np.array([*columns.values(), np.ones(len(next(iter(columns.values()))))])  # (columns, prompts)
            units = _summed(table, batches)
            few = units.shape[1] < resampling.FEWEST
            means = None if few else resampling.resampled_means(units)
            self._drawn[key] = None if few else dict(zip([*columns, "ones"], means, strict=True))
        return self._drawn[key]


def _with_runs(metrics: dict[str, dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return, of every figure that has a value a run, those of the techniques that ran."""
    found: dict[str, list[dict[str, Any]]] = {}
    for content in metrics.values():
        for key, each in content["figures"].items() if content["status"] == "ok" else ():
            if each.get("runs"):
                found.setdefault(key, []).append(each)
    return found


def batches_of(contents: list[dict[str, Any]], mode: str) -> np.ndarray | None:
    """Return the batch of each prompt in the technique with the largest batches, or None where all have one request.

    Where the metrics do not say which requests were together, those in a row are taken to have been.
    """
    largest = max(contents, key=lambda content: content.get("batch_size") or 1)
    size = int(largest.get("batch_size") or 1)
    if size == 1:
        return None
    samples = largest["samples"] if mode == NATURAL else largest["samples"]["fixed"]
    in_a_row = [index // size for index in range(len(samples["id"]))]
    return np.array(samples.get("batch") or in_a_row, dtype=int)


def _summed(table: np.ndarray, batches: np.ndarray | None) -> np.ndarray:
    """Add up the prompts of each batch: (rows, prompts) to (rows, batches)."""
    if batches is None:
        return table
    _, member_of = np.unique(batches, return_inverse=True)
    return np.array([np.bincount(member_of, weights=row) for row in table])


def _modes(samples: dict[str, Any]) -> dict[str, dict[str, np.ndarray]]:
    natural = _timings(samples) | {"new_tokens": np.array(samples["new_tokens"], dtype=float)}
    natural |= {key: np.array(samples[key], dtype=float) for key in rouge.KEYS if samples.get(key) is not None}
    if samples.get("reference_nll") is not None:
        nll = np.array(samples["reference_nll"], dtype=float)  # None becomes NaN
        tokens = np.array(samples["reference_tokens"], dtype=float)
        known = ~np.isnan(nll)
        natural |= {"reference_nll": np.where(known, nll, 0.0), "reference_tokens": np.where(known, tokens, 0.0)}
    fixed = samples.get("fixed") or {}
    return {NATURAL: natural, FIXED: _timings(fixed)} if fixed.get("id") else {NATURAL: natural}


def _timings(samples: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return times per prompt; one that is not there counts as zero and is marked as not known."""
    columns = {key: np.array(samples[key], dtype=float) for key in ("latency_s", "busy_s")}
    for key in TIMES:
        values = np.array(samples[key], dtype=float)
        known = ~np.isnan(values)
        columns |= {key: np.where(known, values, 0.0), f"{key} known": known.astype(float)}
    return columns
