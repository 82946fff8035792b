"""What a reader may limit, and limits, weights and changes of a choice in words."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scripts.comparison import limits as bounds
from scripts.report import numbers, rows, tail
from scripts.report.numbers import Scale

GIGABYTES = [(1.0, "GB"), (1e-3, "MB"), (1e-6, "kB")]
COUNT: list[tuple[float, str]] = []
UNDER_LOAD = "requests/s under load"
CRITERIA = {
    "latency": "latency", "throughput": "samples/s", "capacity": UNDER_LOAD, "memory": "peak memory",
    "quality": "ROUGE-L",
}  # fmt: skip
GPU, RATIO, LEAST_QUALITY = bounds.FITS, "max_peak_memory_ratio", bounds.KEPT


@dataclass(frozen=True)
class Limit:
    """One limit on one value of a technique, as it is shown.

    Attributes:
        key: its name among the limits of a scenario.
        title: what it limits.
        units: those it may be shown in; empty for a count, None for the study's currency.
    """

    key: str
    title: str
    units: list[tuple[float, str]] | None

    @property
    def value(self) -> str:
        """The name of what it limits among a technique's ``limit_values``."""
        return bounds.BOUNDED[self.key]

    @property
    def most(self) -> bool:
        """Whether it is the most that is allowed, else the least."""
        return self.key not in bounds.AT_LEAST

    def scale(self, ranking: Mapping[str, Any], currency: str) -> Scale:
        """Return the unit that fits the values of all techniques."""
        values = [values.get(self.value) for values in ranking["limit_values"].values()]
        if self.units == COUNT:
            return Scale("", 1.0, 0)
        return numbers.column_scale(values, [(1.0, currency)] if self.units is None else self.units)


TAIL, COST = "max_p99_latency_s", "max_cost_per_million"
LIMITS = (
    Limit(TAIL, tail.P99, numbers.TIME),
    Limit("min_throughput_samples_per_s", "samples/s", [(1.0, "")]),
    Limit(bounds.CAPACITY, UNDER_LOAD, [(1.0, "")]),
    Limit(LEAST_QUALITY, "ROUGE-L kept", [(1.0, "%")]),
    Limit("max_peak_memory_gb", "peak memory", GIGABYTES),
    Limit("max_batch_size", "batch size", COUNT),
    Limit("max_devices", "devices", COUNT),
    Limit("min_devices", "devices", COUNT),
    Limit(COST, "cost per million headlines", None),
)
NO_PRICE = "is not known, since no price of a device hour is set"
BY_KEY = {limit.key: limit for limit in LIMITS}

PLAUSIBLE = 3.0
"""A weight that has to change by more than this factor is no doubt about a choice."""


class Words:
    """Says limits in the units of one study, in which something ran."""

    def __init__(self, comparison: Mapping[str, Any]) -> None:
        ranking = comparison["ranking"]
        self._currency = currency(comparison)
        self._free = comparison["price"]["per_device_hour"] is None
        self._labels = rows.labels(comparison)
        self._reference = reference(comparison)
        self._peak = ranking["limit_values"][ranking["reference"]].get("peak_memory_gb")
        self._titles = titles(comparison)
        self._scales = {limit.key: limit.scale(ranking, self._currency) for limit in LIMITS}

    def value(self, key: str, value: Any) -> str:
        """Return a value of a limit with its unit."""
        if key == RATIO:
            return f"{plain(value)}{numbers.TIMES} that of {self._reference}"
        if key == GPU:
            # What a technique needs is in bytes, what it has to fit on is a name.
            return value if isinstance(value, str) else Scale("GB", 1e9, 2).show_with_unit(value)
        limit, scale = BY_KEY[key], self._scales[key]
        shown = plain(value / scale.size)
        if limit.units == COUNT:
            return shown
        return f"{shown}{'' if scale.unit == '%' else ' '}{scale.unit}".strip()

    def rule(self, key: str, bound: Any, shown: bool = False) -> str:
        """Return one limit, e.g. ``P99 latency at most 50 ms``."""
        if key == GPU:
            return f"fits {bound}"
        if key == RATIO:
            inside = "" if self._peak is None else f" ({self.value('max_peak_memory_gb', bound * self._peak)})"
            return f"peak memory at most {self.value(key, bound)}{inside}"
        limit = BY_KEY[key]
        if key == LEAST_QUALITY:
            least = f"ROUGE-L at least {self.value(key, bound)} of {self._reference}'s"
            return f"{least}, by the lower end of its 95% interval" if shown else least
        return f"{self._titles[key]} at {'most' if limit.most else 'least'} {self.value(key, bound)}"

    def rules(self, limits: Mapping[str, Any]) -> list[str]:
        """Return every limit of a scenario in words."""
        shown = limits.get("quality") == "shown"
        known = [key for key in (*BY_KEY, RATIO, GPU) if limits.get(key) is not None]
        return [self.rule(key, limits[key], shown) for key in known]

    def failure(self, found: Mapping[str, Any]) -> str:
        """Return why a technique fails a limit, with its own value."""
        key, value, bound = found["limit"], found["value"], found["bound"]
        if key in CRITERIA:
            return f"{CRITERIA[key]} was not measured"
        if key == GPU:
            if value is None:
                return f"not known to fit {bound}: what a GPU would need was not measured"
            return f"needs {self.value(key, value)} on each device, too much for {bound}"
        title = "peak memory" if key == RATIO else self._titles[key]
        if value is None:
            return f"{title} {self._unknown(key)}"
        beyond = "above" if key == RATIO or BY_KEY[key].most else "below"
        return f"{title} {self.value(key, value)}, {beyond} {self.value(key, bound)}"

    def unmet(self, found: Mapping[str, Any], shown: bool = False) -> str:
        """Return that no technique meets a limit here, and how near the nearest comes."""
        rule = self.rule(found["limit"], found["bound"], shown)
        if found["technique"] is None:
            return f"No technique is known to meet a limit here: {rule}; it {self._unknown(found['limit'])}."
        label = self._labels.get(found["technique"], found["technique"])
        nearest = self.value(found["limit"], found["value"])
        return f"No technique meets a limit here: {rule}. The nearest is {label} with {nearest}."

    def _unknown(self, key: str) -> str:
        """Return why a value is not known."""
        return NO_PRICE if key == COST and self._free else "was not measured"

    def change(self, change: Mapping[str, Any], chosen: bool) -> str:
        """Return what would change a choice; ``chosen`` tells whether there is one."""
        label = self._labels.get(change["technique"], str(change["technique"]))
        if change["kind"] == "chance":
            return f"{label} may be the best as well: its chance is {chance(change['chance_best'])}."
        if change["kind"] == "weight":
            criterion = CRITERIA[change["criterion"]]
            counted = f"weighed {plain(change['to'])}"
            if change["from"] and change["to"]:
                counted = f"counted {plain(round(change['to'] / change['from'], 2))}{numbers.TIMES} as much"
            elif not change["to"]:
                counted = "did not count"
            return f"If {criterion} {counted}: {label} leads."
        key, needed, bound = change["limit"], change["needed"], change["bound"]
        result = "leads" if chosen else "qualifies"
        if key == GPU:
            return f"On {needed} instead of {bound}: {label} {result}."
        if key == RATIO:
            rule, instead = (
                f"peak memory at most {self.value(key, self.outward(key, needed))}",
                f"{plain(bound)}{numbers.TIMES}",
            )
        else:
            rule, instead = self.rule(key, self.outward(key, needed)), self.value(key, bound)
        return f"With {rule} instead of {instead}: {label} {result}."

    def outward(self, key: str, value: float) -> float:
        """Round a value to three digits so that it still meets the limit that is set at it."""
        most, scale = (True, Scale("")) if key == RATIO else (BY_KEY[key].most, self._scales[key])
        if not value or (key != RATIO and BY_KEY[key].units == COUNT):
            return value
        inside = value / scale.size
        power = 10.0 ** numbers.digits_after_point(abs(inside), 3)
        steps = float(f"{inside * power:.12g}")
        return (math.ceil(steps) if most else math.floor(steps)) / power * scale.size


def plausible(change: Mapping[str, Any]) -> bool:
    """Tell whether a change of a choice is one that a reader may make: no weight by more than a factor of three."""
    if change["kind"] != "weight" or not change["from"]:
        return True
    return 1 / PLAUSIBLE <= change["to"] / change["from"] <= PLAUSIBLE


def titles(comparison: Mapping[str, Any]) -> dict[str, str]:
    """Return what each limit limits; without prompts enough for a P99 it is the slowest request that is limited."""
    return {limit.key: limit.title for limit in LIMITS} | {TAIL: tail.name(comparison["techniques"])}


def reference(comparison: Mapping[str, Any]) -> str:
    """Return what scores and limits are multiples of."""
    name = comparison["ranking"]["reference"]
    if name == comparison["baseline"]["name"]:
        return "the baseline"
    return next(technique["label"] for technique in comparison["techniques"] if technique["name"] == name)


def has_load(comparison: Mapping[str, Any]) -> bool:
    """Whether a technique was put under load; else requests a second under load are of no use to a reader."""
    return bool(comparison.get("load"))


def other_base(comparison: Mapping[str, Any]) -> str:
    """Return what requests under load are compared with, where that is not what all else is; mostly nothing."""
    ranking = comparison["ranking"]
    name = (ranking.get("bases") or {}).get("capacity", ranking["reference"])
    if name == ranking["reference"]:
        return ""
    label = rows.labels(comparison)[name]
    return f"Requests/s under load are compared with those of {label}, as {reference(comparison)} has none."


def weights(given: Mapping[str, float], counting: Sequence[str]) -> str:
    """Return weights in words, those of what counts only."""
    named = [(CRITERIA[key], given.get(key, 0)) for key in CRITERIA if key in counting and given.get(key, 0)]
    if not named:
        return "no weights"
    if len({value for _, value in named}) == 1 and len(named) > 1:
        return f"{', '.join(name for name, _ in named[:-1])} and {named[-1][0]} weigh the same"
    if len(named) == 1:
        return f"{named[0][0]} alone counts"
    return "weights: " + ", ".join(f"{name} {plain(value)}" for name, value in named)


def score(value: float) -> str:
    """Return an overall score, e.g. ``1.62x``."""
    return f"{numbers.fixed(value, 2)}{numbers.TIMES}"


def score_interval(low: float | None, high: float | None) -> str:
    """Return the interval of a score; empty where it has no width."""
    if low is None or high is None or low == high:
        return ""
    return f"{numbers.fixed(low, 2)}{numbers.DASH}{numbers.fixed(high, 2)}"


def chance(value: float | None) -> str:
    """Return a chance from a limited number of draws: never as certain as 0% or 100%."""
    if value is None:
        return "not known"
    if value >= 0.995:
        return "over 99%"
    return "under 1%" if value < 0.005 else f"{numbers.fixed(100 * value, 0)}%"


def plain(value: float) -> str:
    """Return a number with up to four digits and no zeros that say nothing."""
    decimals = numbers.digits_after_point(abs(value), 4) if value else 0
    text = numbers.fixed(value, decimals)
    return text.rstrip("0").rstrip(".") if "." in text else text


def currency(comparison: Mapping[str, Any]) -> str:
    """Return the unit of the study's price."""
    return comparison["price"]["currency"]
