"""A figure of one study with what makes it vary, and its change from one study to another.

Runs of two studies share no rounds, so their variances add (Welch, Biometrika 34, 1947, with the degrees of freedom of
Satterthwaite, Biometrics Bulletin 2, 1946). Inside a study whose runs were made in rounds, a mean varies by what a
round makes all techniques faster or slower, and by the technique's own runs (``run_layout``); the former leaves a ratio
to another technique of the same study.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from scripts.comparison import order
from scripts.comparison.run_layout import run_noise
from scripts.comparison.studies.reading import Study, number
from scripts.comparison.two_levels import Component, combined
from scripts.metrics import entry as registry_entry
from scripts.metrics import registry, resampling
from scripts.metrics.entry import PROMPTS, SEARCHED, TIMING
from scripts.metrics.families.load import CAPACITY

Technique = dict[str, Any]
KNOWN = 1e6
"""Degrees of freedom of a variance that is known."""
READABLE = {"resident_set": 1e6}
OTHERWISE_READABLE = 2e7
"""Bytes to which a peak of memory is good: the kernel counts resident pages of each core apart, and a GPU's allocator
reserves segments of 2 and 20 MB (docs/measuring.md, Memory)."""


@dataclass(frozen=True)
class Estimate:
    """The log of a positive figure.

    Attributes:
        log: its natural logarithm.
        runs: how much runs make it vary: one or two components; None with one run.
        prompts: how much prompts make it vary; None where the study does not say.
        scatter: how much of that is the scatter of single requests, which runs have too.
        reading: how well it can be read at all, as a variance.
    """

    log: float
    runs: tuple[Component, ...] | None
    prompts: Component | None = None
    scatter: float = 0.0
    reading: float = 0.0


@dataclass(frozen=True)
class Change:
    """The log of a ratio of two studies' figures, with its standard error and degrees of freedom."""

    log: float
    error: float
    freedom: float

    def interval(self) -> tuple[float, float]:
        """Return the ends of the 95% interval of the log."""
        reach = self.error * stats.t.ppf((1 + resampling.LEVEL) / 2, self.freedom) if self.error else 0.0
        return self.log - reach, self.log + reach

    def p_value(self, beyond: float = 0.0) -> float:
        """Return the two-sided p-value of "the log is ``beyond``"; 0 or 1 where nothing varies."""
        distance = abs(self.log - beyond)
        if not self.error:
            return 1.0 if distance < 1e-9 else 0.0
        return float(2 * stats.t.sf(distance / self.error, self.freedom))


class Layout:
    """The runs of a study: which were made in rounds, and how much each technique's vary inside them."""

    def __init__(self, study: Study):
        self.techniques = {each["name"]: each for each in study["techniques"] if each["status"] == "ok"}
        timed = {name: each | {"runs": each.get("runs") or []} for name, each in self.techniques.items()}
        self._in_rounds = order.in_rounds(timed)
        self._found: dict[str, dict[str, tuple[Component, ...]]] = {}

    def components(self, name: str, key: str) -> tuple[Component, ...] | None:
        """Return how much runs make the log of a figure's mean vary, or None with one run."""
        if key not in self._found:
            self._found[key] = self._in_rounds_of(key)
        values = run_values(self.techniques[name], key)
        if name in self._found[key] or len(values) < 2:
            return self._found[key].get(name)
        return (Component(float(np.var(np.log(values), ddof=1)) / len(values), len(values) - 1),)

    def _in_rounds_of(self, key: str) -> dict[str, tuple[Component, ...]]:
        """Return the components of the techniques in rounds: that of the rounds, and the technique's own."""
        values = {name: run_values(self.techniques[name], key) for name in self._in_rounds}
        rounds = max(map(len, values.values()), default=0)
        groups = {name: runs for name, runs in values.items() if len(runs) == rounds}
        scatter = {name: self.techniques[name]["figures"][key].get("run_scatter") or 0.0 for name in groups}
        noise = run_noise(groups, scatter)
        if not noise:
            return {}
        levels = np.log(np.array(list(groups.values()))).mean(axis=0)  # (rounds,)
        shared = Component(float(np.var(levels, ddof=1)) / rounds, rounds - 1)
        return {name: (shared, Component(one.variance / rounds, one.freedom)) for name, one in noise.items()}


def run_values(technique: Technique, key: str) -> tuple[float, ...]:
    """Return the value of each run that has one above 0."""
    found = (technique["figures"].get(key) or {}).get("runs") or []
    return tuple(value for run in found if (value := number(run)) is not None)


def absolute(layout: Layout, name: str, key: str) -> Estimate | None:
    """Return a figure of a technique that has figures; None where it has no value above 0."""
    technique, entry = layout.techniques[name], entry_of(key)
    figure = technique["figures"].get(key) or {}
    value = number(figure.get("value"))
    if value is None:
        return None
    log = math.log(value)
    prompts = _from_interval(figure.get("low"), figure.get("high"), figure.get("n"))
    if entry.change.how == PROMPTS:
        return Estimate(log, (), prompts)
    if entry.change.how == SEARCHED:
        return _searched(log, technique, figure)
    runs = layout.components(name, key)
    if entry.change.how != TIMING:
        readable = READABLE.get(technique.get("memory_method") or "", OTHERWISE_READABLE)
        return Estimate(log, runs, reading=(readable / value) ** 2 / 3)  # uniform within that
    return Estimate(log, runs, prompts, (figure.get("run_scatter") or 0.0) / max(1, len(run_values(technique, key))))


def _searched(log: float, technique: Technique, figure: dict[str, Any]) -> Estimate:
    """Return a capacity: the spread of its searches, which share no rounds, and what each of them left open."""
    values = run_values(technique, CAPACITY)
    runs = None
    if len(values) > 1:
        runs = (Component(float(np.var(np.log(values), ddof=1)) / len(values), len(values) - 1),)
    ends = [(number(low), number(high)) for low, high in figure.get("bracket") or []]
    open_ends = [math.log(high / low) for low, high in ends if low and high and high > low]
    # Each search's edge lies anywhere between its two rates, evenly as far as is known.
    return Estimate(log, runs, reading=float(np.mean(np.square(open_ends))) / 12 if open_ends else 0.0)


def against_baseline(layout: Layout, name: str, key: str, baseline: str) -> Estimate | None:
    """Return a figure over the baseline's in the same study; None where there is none of the two."""
    entry = entry_of(key)
    if entry.change.how != TIMING:
        mine, other = absolute(layout, name, key), absolute(layout, baseline, key)
        if mine is None or other is None:
            return None
        runs = None if mine.runs is None or other.runs is None else (*mine.runs, *other.runs)
        return Estimate(mine.log - other.log, runs, reading=mine.reading + other.reading)
    technique = layout.techniques[name]
    figure = (technique["changes"]["baseline"]["figures"] or {}).get(entry.change.key) or {}
    ratio = number(figure.get("ratio"))
    if ratio is None:
        return None
    found = {source: Component(**part) for source, part in (figure.get("log_variance") or {}).items()}
    if "runs" in found:
        return Estimate(math.log(ratio), (found["runs"],), found.get("prompts"))
    return Estimate(math.log(ratio), _older(figure, len(run_values(technique, key))))


def _older(figure: dict[str, Any], runs: int) -> tuple[Component, ...] | None:
    """Return what makes a ratio vary where a file has its interval alone; larger than it is rather than smaller."""
    low, high = number(figure.get("ratio_low")), number(figure.get("ratio_high"))
    if runs < 2 or low is None or high is None or high < low:
        return None
    reach = math.log(high / low) / 2
    return (Component((reach / stats.norm.ppf((1 + resampling.LEVEL) / 2)) ** 2, runs - 1),)


def _from_interval(low: float | None, high: float | None, prompts: int | None) -> Component | None:
    """Return the component over prompts of a figure's bootstrap interval, which has the width of Student's t."""
    low, high = number(low), number(high)
    if low is None or high is None or high < low or (prompts or 0) < 2:
        return None
    reach = math.log(high / low) / 2
    return Component(float(reach / stats.t.ppf((1 + resampling.LEVEL) / 2, prompts - 1)) ** 2, prompts - 1)


def change(old: Estimate, new: Estimate, over_prompts: list[Component]) -> Change:
    """Return the change between two estimates, both with runs to judge by.

    Args:
        old, new: of the same figure.
        over_prompts: what prompts make their difference vary.
    """
    readings = [Component(each.reading, KNOWN) for each in (old, new) if each.reading]
    error, freedom = combined([*old.runs, *new.runs, *over_prompts, *readings])
    return Change(new.log - old.log, error, freedom)


def unpaired(old: Estimate, new: Estimate) -> list[Component] | None:
    """Return what other prompts in each study make the difference vary; None where a study does not say."""
    if old.prompts is None or new.prompts is None:
        return None
    return [Component(max(0.0, each.prompts.variance - each.scatter), each.prompts.freedom) for each in (old, new)]


def entry_of(key: str) -> Any:
    """Return the registry's entry of a figure that is compared; inside a study capacities have tests of their own."""
    if key == CAPACITY:
        entry = next(entry for entry in registry.entries() if entry.key == key)
        return replace(entry, change=registry_entry.Change(key, SEARCHED, words=("lower", "higher")))
    return next(entry for entry in registry.changes().values() if entry.key == key)
