"""Changes of a technique's figures between two studies, and the words that a test allows.

Three things are said of a change. A word (*slower*, *higher*, …) says that it is there at all; *beyond the bound*, that
it is worse by more than the bound; *within the bound*, that it is not: the whole 95% interval lies on the better side.
The first two are tests, corrected after Holm (Scandinavian Journal of Statistics 6, 1979) over all changes that decide,
whatever their kind, since one of them is enough to fail.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from scripts.comparison import verdicts
from scripts.comparison.studies import estimates, pairing
from scripts.comparison.studies.estimates import Estimate, Layout
from scripts.comparison.studies.pairing import Pairing
from scripts.comparison.studies.reading import Study
from scripts.comparison.two_levels import FEW_PROMPTS, ONE_RUN, Component
from scripts.metrics.entry import PROMPTS, TIMING
from scripts.metrics.families.load import CAPACITY

ABSOLUTE, BASELINE = "absolute", "baseline"
BEYOND, WITHIN, UNDECIDED = "beyond the bound", "within the bound", "undecided"
NO_VALUE = "not measured in both"
IS_BASELINE = "it is the baseline itself"
NO_BASELINE = "not against the baseline: the studies have no baseline in common that has figures in both"
SIZES = ("smaller", "larger")
NEITHER = ""
"""Of a capacity that neither study measured, which goes without saying."""
LOAD = ("arrivals", "limits")
THESE_PROMPTS = "of these very prompts"

Judged = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """A kind of figures that is judged, with its bound in percent unless told otherwise."""

    name: str
    title: str
    bound: float
    figures: tuple[str, ...]


KINDS = (
    Kind("latency", "Latency", 5.0, ("latency_s", "fixed_latency_s")),
    Kind("throughput", "Samples/s", 5.0, ("throughput_samples_per_s",)),
    Kind("memory", "Peak memory", 5.0, ("peak_memory_bytes",)),
    Kind("capacity", "Requests/s within limits", 10.0, (CAPACITY,)),
    Kind("quality", "ROUGE-L", 1.0, ("rougeL",)),
)
KIND_OF = {key: kind for kind in KINDS for key in kind.figures}
BOUNDS = {kind.name: kind.bound for kind in KINDS}


@dataclass(frozen=True)
class Sides:
    """Two studies, with what the changes of all techniques between them share."""

    old: Study
    new: Study
    layouts: tuple[Layout, Layout]
    prompts: Pairing
    baseline: str | None
    bounds: dict[str, float]

    def pairs(self, how: Callable[[Layout], Estimate | None]) -> list[Estimate | None]:
        """Return an estimate of either study."""
        return [how(layout) for layout in self.layouts]


def changes(sides: Sides, name: str, decides: str) -> dict[str, dict[str, Judged]]:
    """Return the changes of a technique that has figures in both studies and was asked the same.

    Returns:
        Per figure ``absolute`` and ``baseline``, with ``decides`` in that which decides where one of them does.
        Verdicts are added by :func:`judge`, which needs all techniques.
    """
    found = {}
    for key, kind in KIND_OF.items():
        reason = _incomparable(sides, name, key)
        absolute = _missing(reason) if reason else _absolute(sides, name, key)
        relative = _missing(reason) if reason else _relative(sides, name, key)
        deciding = absolute if kind.name == "quality" or decides == ABSOLUTE else relative
        if follows := _followed(sides, name, key):
            absolute["follows"] = relative["follows"] = follows
        elif deciding["note"] != NEITHER or deciding["value"] is not None:
            deciding["decides"] = True
        found[key] = {ABSOLUTE: absolute, BASELINE: relative}
    return found


def judge(techniques: Iterable[dict[str, dict[str, Judged]]], bounds: dict[str, float]) -> None:
    """Add verdicts to the changes of all techniques; those that decide and the others are corrected apart."""
    techniques = list(techniques)
    every = [(key, found) for changed in techniques for key, both in changed.items() for found in both.values()]
    for deciding in (True, False):
        tested = {
            number: (key, found)
            for number, (key, found) in enumerate(every)
            if found.get("p_value") is not None and bool(found.get("decides")) == deciding and "follows" not in found
        }
        adjusted = verdicts.holm({number: found["p_value"] for number, (_, found) in tested.items()})
        beyond = verdicts.holm({number: found["p_beyond"] for number, (_, found) in tested.items()})
        for number, (key, found) in tested.items():
            found["adjusted_p_value"] = adjusted[number]
            found["adjusted_p_beyond"] = max(beyond[number], adjusted[number]) if found["over"] else None
            _say(found, key, bounds[KIND_OF[key].name])
    for changed in techniques:
        for both in changed.values():
            for way, found in both.items():
                if found.get("follows"):
                    _follow(found, changed[found["follows"]][way])


def _say(found: Judged, key: str, bound: float) -> None:
    words = estimates.entry_of(key).change.words
    words = SIZES if words == ("", "") else words
    told = found["adjusted_p_value"] < verdicts.ALPHA
    found["verdict"] = words[0 if found["value"] < 0 else 1] if told else verdicts.SAME
    worst = found["high"] if estimates.entry_of(key).better == "low" else -found["low"]
    if found["over"] and found["adjusted_p_beyond"] < verdicts.ALPHA:
        found["bound"] = BEYOND
    else:
        found["bound"] = WITHIN if worst < bound or (bound == worst == 0) else UNDECIDED


def _follow(found: Judged, followed: Judged) -> None:
    """Give samples a second of requests one by one the verdict of the latency, of which they are the reciprocal."""
    word = {"faster": "higher", "slower": "lower"}
    verdict = followed.get("verdict")
    if found["value"] is not None and verdict is not None:
        found["verdict"] = word.get(verdict, verdict)


def _followed(sides: Sides, name: str, key: str) -> str:
    """Return the figure whose verdict this one shares: of requests one by one samples a second are 1 / latency."""
    sizes = {layout.techniques[name].get("batch_size") or 1 for layout in sides.layouts}
    return "latency_s" if key == "throughput_samples_per_s" and sizes == {1} else ""


def _incomparable(sides: Sides, name: str, key: str) -> str | None:
    old, new = (layout.techniques[name] for layout in sides.layouts)
    if key.startswith("fixed_"):
        lengths = [((each.get("modes") or {}).get("fixed") or {}).get("new_tokens") for each in (old, new)]
        if lengths[0] != lengths[1]:
            return f"not compared: {lengths[0]} and {lengths[1]} new tokens"
    if KIND_OF[key].name == "quality" and (old.get("text_tokenizer") or {}) != (new.get("text_tokenizer") or {}):
        return "not compared: scored by other tokenizers"
    if KIND_OF[key].name == "memory" and old.get("memory_method") != new.get("memory_method"):
        return "not compared: memory was read in other ways"
    if key == CAPACITY:
        asked = [(each.get("load") or {}).get("settings") or {} for each in (old, new)]
        if None not in (old.get("load"), new.get("load")) and any(
            asked[0].get(one) != asked[1].get(one) for one in LOAD
        ):
            return "not compared: other limits or arrivals"
    return None


def _absolute(sides: Sides, name: str, key: str) -> Judged:
    estimated = sides.pairs(lambda layout: estimates.absolute(layout, name, key))
    columns = []
    if estimates.entry_of(key).change.how == PROMPTS:
        columns = [_signed(sides, sign, name, key) for sign in (-1, 1)]
    elif key == "latency_s":
        columns = [_signed(sides, sign, name) for sign in (-1, 1)]
    return _judged(sides, key, estimated, columns, _scatter(estimated))


def _relative(sides: Sides, name: str, key: str) -> Judged:
    if estimates.entry_of(key).change.how == PROMPTS:
        return _missing("quality is compared as it is")
    if sides.baseline is None:
        return _missing(NO_BASELINE)
    if name == sides.baseline:
        return _missing(IS_BASELINE)
    if key == CAPACITY and _absolute(sides, name, key)["value"] is None:
        return _absolute(sides, name, key)
    estimated = sides.pairs(lambda layout: estimates.against_baseline(layout, name, key, sides.baseline))
    columns, scatter = [], 0.0
    if key == "latency_s":
        signs = (-1, 1)
        columns = [_signed(sides, sign, name) for sign in signs]
        columns += [(-sign, values) for sign, values in (_signed(sides, sign, sides.baseline) for sign in signs)]
        for each in (name, sides.baseline):
            scatter += _scatter(sides.pairs(lambda layout, each=each: estimates.absolute(layout, each, key)))
    return _judged(sides, key, estimated, columns, scatter)


def _scatter(estimated: list[Estimate | None]) -> float:
    return sum(each.scatter for each in estimated if each is not None)


def _signed(sides: Sides, sign: int, name: str, score: str = "") -> tuple[int, Any]:
    """Return a column of the old study (sign -1) or the new one (1) with its sign."""
    study, shown = sides.new if sign > 0 else sides.old, sides.prompts.shown
    values = pairing.scores(study, name, score, shown) if score else pairing.latencies(study, name, shown)
    return sign, values


def _judged(
    sides: Sides, key: str, estimated: list[Estimate | None], columns: list[tuple[int, Any]], scatter: float
) -> Judged:
    """Return a change with its interval and its p-values, or why it has none."""
    old, new = estimated
    if key == CAPACITY and old is None and new is None:
        return _missing(NEITHER)
    if old is None or new is None:
        return _missing(NO_VALUE)
    value = _percent(new.log - old.log)
    if old.runs is None or new.runs is None:
        return _missing(f"{ONE_RUN} in {_where(old.runs is None, new.runs is None)}", value)
    over_prompts, note = _over_prompts(sides, key, old, new, columns, scatter)
    if over_prompts is None:
        return _missing(note, value)
    found = estimates.change(old, new, over_prompts)
    low, high = map(_percent, found.interval())
    upwards = estimates.entry_of(key).better == "low"
    limit = math.log1p(sides.bounds[KIND_OF[key].name] / 100 * (1 if upwards else -1))
    over = found.log > limit + 1e-12 if upwards else found.log < limit - 1e-12
    return {
        "value": value,
        "low": low,
        "high": high,
        "note": note,
        "over": over,
        "p_value": found.p_value(),
        "p_beyond": found.p_value(limit) if over else 1.0,
    }


def _percent(log: float) -> float:
    """Return a log ratio as a change in percent; what no reader would tell from infinity is cut off."""
    return 100 * math.expm1(min(log, 50.0))


def _over_prompts(
    sides: Sides, key: str, old: Estimate, new: Estimate, columns: list[tuple[int, Any]], scatter: float
) -> tuple[list[Component] | None, str]:
    """Return what prompts make a difference vary and a note on it; None and the reason where it can't be judged."""
    how = estimates.entry_of(key).change.how
    if how not in (TIMING, PROMPTS):
        return [], ""
    if sides.prompts.same and columns and all(values is not None for _, values in columns):
        variance = pairing.relative_variance(columns, sides.prompts.total)
        if variance is not None:
            return [Component(max(0.0, variance - scatter), len(columns[0][1]) - 1)], "paired by prompt"
    if sides.prompts.same and how == TIMING:
        return [], THESE_PROMPTS
    found = estimates.unpaired(old, new)
    if found is None:
        return None, FEW_PROMPTS
    return found, "other prompts in each study" if not sides.prompts.same else "not paired by prompt"


def _where(old: bool, new: bool) -> str:
    return "both studies" if old and new else "the previous study" if old else "the new study"


def _missing(note: str, value: float | None = None) -> Judged:
    return {"value": value, "low": None, "high": None, "note": note, "over": False, "p_value": None, "p_beyond": None}
