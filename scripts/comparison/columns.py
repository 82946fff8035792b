"""Per-prompt columns of the techniques, and their means over resampled prompts (the same draws for all)."""

import copy
from dataclasses import replace
from typing import Any

import numpy as np

from scripts.comparison import order
from scripts.comparison.run_layout import RunNoise, run_noise
from scripts.comparison.two_levels import Quantity
from scripts.metrics import registry, resampling
from scripts.metrics.entry import LIKELIHOOD, PROMPTS, Entry

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
        self._runs = _runs_by_figure(metrics)
        self._in_rounds = order.in_rounds(metrics)
        self._noise: dict[str, dict[str, RunNoise]] = {}
        shared = _sharing_a_reference(metrics)
        self.reference = next(iter(shared.values()))["reference"]["technique"] if shared else None
        self._relative = Columns({name: _in_its_units(content) for name, content in shared.items()}) if shared else None
        self._drawn: dict[tuple[str, str, bytes | None], dict[str, np.ndarray] | None] = {}

    def has(self, name: str, mode: str, *keys: str | None) -> bool:
        """Whether a technique has these columns."""
        columns = self.columns.get((name, mode), {})
        return bool(columns) and all(key is None or key in columns for key in keys)

    def relative(self, names: list[str]) -> "Columns | None":
        """Return the columns of times in units of the reference's, or None where one of these lacks them."""
        known = {} if self._relative is None else self._relative.columns
        return self._relative if all((name, NATURAL) in known for name in names) else None

    @property
    def in_seconds(self) -> "Columns":
        """The same without the reference's units."""
        plain = copy.copy(self)
        plain._relative = None
        return plain

    def comparable(self, names: list[str], mode: str) -> bool:
        """Whether these techniques have a mode, over the same prompts."""
        ids = [self.ids.get((name, mode)) for name in names]
        return None not in ids and all(other == ids[0] for other in ids)

    def quantity(
        self,
        name: str,
        numerator: str | None,
        denominator: str | None = None,
        mode: str = NATURAL,
        batches: np.ndarray | None = None,
    ) -> Quantity:
        """Return the ratio of two columns' means, without variation between runs; None stands for a column of ones.

        Args:
            name: a technique that has the columns.
            numerator, denominator: the columns.
            mode: natural or fixed.
            batches: the batch of each prompt where those of a batch, which share its time, are resampled together.
        """
        columns = self.columns[name, mode]
        prompts = len(next(iter(columns.values())))
        drawn = self._resampled(name, mode, batches)
        ones = np.ones(prompts)

        with np.errstate(divide="ignore", invalid="ignore"):
            value = columns.get(numerator, ones).mean() / columns.get(denominator, ones).mean()
            spread = None if drawn is None else drawn[numerator or "ones"] / drawn[denominator or "ones"]
        units = None if batches is None else len(set(batches))
        return Quantity(prompts, float(value), spread, batches=units)

    def timing(self, name: str, entry: Entry, batches: np.ndarray | None) -> Quantity:
        """Return :meth:`quantity` of a timing with its run-level variation."""
        runs, scatter = self._runs.get(entry.key, {}).get(name, ((), 0.0))
        noise = self._noise_of(entry.key).get(name)
        in_rounds = name in self._in_rounds and len(runs) == self._rounds(entry.key)
        change = entry.change
        found = self.quantity(name, change.numerator, change.denominator, FIXED if change.fixed else NATURAL, batches)
        return replace(found, runs=runs, scatter=scatter, in_rounds=in_rounds, noise=noise)

    def _rounds(self, figure: str) -> int:
        """Return how many rounds there were: the most values of a figure that a technique in rounds has."""
        return max((len(self._runs[figure][name][0]) for name in self._placed(figure)), default=0)

    def _placed(self, figure: str) -> list[str]:
        """Return the techniques in rounds that have values of a figure."""
        return [name for name in self._runs.get(figure, {}) if name in self._in_rounds]

    def _noise_of(self, figure: str) -> dict[str, RunNoise]:
        """Return how much a figure varies between the runs of each technique in rounds."""
        if figure not in self._noise:
            known = self._runs.get(figure, {})
            whole = [name for name in self._placed(figure) if len(known[name][0]) == self._rounds(figure)]
            groups, scatter = ({name: known[name][index] for name in whole} for index in (0, 1))
            self._noise[figure] = run_noise(groups, scatter)
        return self._noise[figure]

    def _resampled(self, name: str, mode: str, batches: np.ndarray | None) -> dict[str, np.ndarray] | None:
        """Return the means of a technique's columns over resampled prompts or batches; None where there are too few."""
        key = (name, mode, None if batches is None else batches.tobytes())
        if key not in self._drawn:
            columns = self.columns[name, mode]
            table = np.array([*columns.values(), np.ones(len(next(iter(columns.values()))))])  # (columns, prompts)
            units = _summed(table, batches)
            few = units.shape[1] < resampling.MIN_PROMPTS
            means = None if few else resampling.resampled_means(units)
            self._drawn[key] = None if few else dict(zip([*columns, "ones"], means, strict=True))
        return self._drawn[key]


def _sharing_a_reference(metrics: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the techniques that share a reference, the most common one."""
    by_digest: dict[str, dict[str, dict[str, Any]]] = {}
    for name, content in metrics.items():
        if content["status"] == "ok" and content["samples"].get("relative"):
            by_digest.setdefault(content["reference"]["digest"], {})[name] = content
    return max(by_digest.values(), key=len, default={})


def _in_its_units(content: dict[str, Any]) -> dict[str, Any]:
    """Return a metrics file with relative times (units of the reference's request) in place of seconds."""
    samples, relative = content["samples"], content["samples"]["relative"]
    kept = {key: samples[key] for key in ("id", "batch", "new_tokens") if key in samples}
    fixed = None
    if relative["fixed"]:
        fixed = {key: samples["fixed"][key] for key in ("id", "batch") if key in samples["fixed"]} | relative["fixed"]
    in_units = kept | relative["natural"] | {"fixed": fixed}
    return content | {"samples": in_units, "figures": relative["figures"]}


def _runs_by_figure(metrics: dict[str, dict[str, Any]]) -> dict[str, dict[str, tuple[tuple[float, ...], float]]]:
    """Return per figure and technique the value of each run, and the relative variance that requests give to one.

    Runs without a value are left out, so that the technique has fewer than there were rounds.
    """
    found: dict[str, dict[str, tuple[tuple[float, ...], float]]] = {}
    for name, content in metrics.items():
        for key, figure in content["figures"].items() if content["status"] == "ok" else ():
            if figure.get("runs"):
                runs = tuple(run for run in figure["runs"] if run)
                found.setdefault(key, {})[name] = (runs, figure.get("run_scatter") or 0.0)
    return found


def batches_of(contents: list[dict[str, Any]], mode: str) -> np.ndarray | None:
    """Return the batch of each prompt in the technique with the largest batches, or None where all have one request.

    Where the metrics do not say which requests were together, those in a row are assumed to have been.
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
    natural = _timings(samples) | _scores(samples)
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


def _scores(samples: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return what is compared over prompts alone; where a ratio has no numerator, both its parts count as zero."""
    columns = {}
    for entry in registry.changes().values():
        numerator, denominator = entry.change.numerator, entry.change.denominator
        if entry.change.how not in (PROMPTS, LIKELIHOOD) or samples.get(numerator) is None:
            continue
        columns[numerator] = np.array(samples[numerator], dtype=float)  # None becomes NaN
        if denominator:
            known = ~np.isnan(columns[numerator])
            columns[numerator] = np.where(known, columns[numerator], 0.0)
            columns[denominator] = np.where(known, np.array(samples[denominator], dtype=float), 0.0)
    return columns
