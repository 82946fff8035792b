"""Small figures of each technique beside its parent: how its requests' times are distributed, and those of its tokens.

Everything is a path on a plane of whole pixels, so that a figure is a few hundred bytes.
"""

import math
from typing import Any

from scripts.report import histograms, numbers, tail, text, words

WIDTH, HEIGHT = 360, 84
LEFT, RIGHT, TOP, BOTTOM = 4, 10, 8, 64
STEPS = (1, 2, 5)
MARKS = ((0.5, "P50"), (0.99, "P99"))
Pairs = list[tuple[float, float]]


def figures(
    technique: dict[str, Any],
    techniques: dict[str, dict[str, Any]],
    span: tuple[float, float] | None,
    break_even: float | None = None,
) -> dict[str, Any]:
    """Return the figures of a technique, its parent's in grey behind them.

    Args:
        technique: one that ran.
        techniques: all of them by name.
        span: shortest and longest request of the study, so that all distributions have one scale.
        break_even: acceptance rate from which drafting pays, where it is known.

    Returns:
        ``latency``, ``timeline`` and ``gaps``, each None where there is nothing to draw; ``acceptance``, a list of
        histograms; ``notes``: why there is nothing.
    """
    own = technique.get("shapes") or {}
    parent = techniques.get(technique["parent"]) or {}
    other = parent.get("shapes") or {}
    titles = {"latency": "Distribution of latency", "timeline": "Times of the tokens", "gaps": "Gaps between tokens"}
    reasons = own.get("reasons") or {}
    return {
        "latency": _latency(own.get("latency"), other.get("latency"), parent.get("label"), span, _marks(technique)),
        "timeline": _timeline(own.get("timeline"), other.get("timeline"), technique["label"], parent.get("label")),
        "gaps": _gaps(own.get("gaps"), other.get("gaps"), parent.get("label")),
        "acceptance": histograms.acceptance(own.get("acceptance"), break_even),
        "notes": [words.sentence(f"{title}: {reasons[key]}") for key, title in titles.items() if reasons.get(key)],
    }


def span(techniques: list[dict[str, Any]]) -> tuple[float, float] | None:
    """Return the shortest and longest request of all techniques."""
    known = [(technique.get("shapes") or {}).get("latency") for technique in techniques]
    times = [seconds for entry in known if entry for _, seconds in entry["quantiles"]]
    return (min(times), max(times)) if times and min(times) > 0 else None


def _marks(technique: dict[str, Any]) -> tuple[tuple[float, str], ...]:
    """Return the percentiles to name: no P99 where there are too few prompts for one."""
    return MARKS[:1] if tail.is_slowest((technique.get("figures") or {}).get(tail.KEY) or {}) else MARKS


def _latency(
    own: dict | None,
    other: dict | None,
    label: str | None,
    span: tuple[float, float] | None,
    named: tuple[tuple[float, str], ...] = MARKS,
) -> dict | None:
    """Draw the shares of requests that took no longer than a time, the time on a logarithmic axis."""
    if not own or span is None:
        return None
    low, high = math.log(span[0]), math.log(span[1])

    def x(seconds: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * ((math.log(seconds) - low) / (high - low) if high > low else 0.5)

    def path(shape: dict | None) -> str:
        return (
            _path([(x(time), BOTTOM - (BOTTOM - TOP) * share) for share, time in shape["quantiles"]]) if shape else ""
        )

    marks = [
        {"x": round(x(time), 1), "name": name, "text": words.amount(time, numbers.TIME), "seconds": time}
        for wanted, name in named
        for share, time in own["quantiles"]
        if share == wanted
    ]
    ends = [words.amount(own["quantiles"][place][1], numbers.TIME) for place in (0, -1)]
    told = "; ".join(f"{mark['name']} {mark['text']}" for mark in marks)
    beside = _beside(other, label, named)
    shown = (
        f"{own['n']:,} single requests of all runs, from {ends[0]} to {ends[1]}{f'; {told}' if told else ''}{beside}."
    )
    return {"own": path(own), "other": path(other), "marks": marks, "ticks": _log_ticks(span, x), "text": shown}


def _beside(other: dict | None, label: str | None, named: tuple[tuple[float, str], ...]) -> str:
    if not other:
        return ""
    known = [f"{name} {words.amount(time, numbers.TIME)}" for wanted, name in named
             for share, time in other["quantiles"] if share == wanted]  # fmt: skip
    return f". {label}, in grey: {', '.join(known)}"


def _timeline(own: dict | None, other: dict | None, label: str, parent: str | None) -> dict | None:
    """Draw a tick for every token of one prompt, from when its request began."""
    if not own:
        return None
    rows = [(label, own)]
    # Another prompt's tokens would be no comparison.
    if other and other["prompt_id"] == own["prompt_id"]:
        rows.append((parent or "", other))
    longest = max(time for _, shape in rows for time in shape["token_times_s"])
    scale = (WIDTH - LEFT - RIGHT) / longest if longest else 0.0
    drawn = []
    for place, (name, shape) in enumerate(rows):
        top = TOP + 7 + 28 * place
        moves = "".join(f"M{LEFT + time * scale:.1f} {top}v15" for time in shape["token_times_s"])
        drawn.append({"name": text.shortened(name, 60), "path": moves, "y": top, "n": len(shape["token_times_s"])})
    told = [f"{name}: {_told(shape['token_times_s'])}" for name, shape in rows]
    return {
        "rows": drawn,
        "ticks": _ticks(longest, lambda time: LEFT + time * scale),
        "text": f"{'; '.join(told)}. Prompt {own['prompt'] + 1} of the evaluation set, run 1.",
    }


def _told(times: list[float]) -> str:
    first, last = (words.amount(time, numbers.TIME) for time in (times[0], times[-1]))
    return f"{len(times)} token{'' if len(times) == 1 else 's'} in {last}, the first after {first}"


def _gaps(own: dict | None, other: dict | None, label: str | None) -> dict | None:
    """Draw the median time since the token before by the token's position, with quartiles."""
    if not own or len(own["position"]) < 2:
        return None
    shown = [shape for shape in (own, other) if shape]
    last = max(shape["position"][-1] for shape in shown)
    top = max(value for shape in shown for value in shape["high_s"]) or 1.0

    def x(position: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (position - 2) / max(last - 2, 1)

    def y(seconds: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * seconds / top

    def line(shape: dict | None) -> str:
        return _path([(x(p), y(v)) for p, v in zip(shape["position"], shape["median_s"], strict=True)]) if shape else ""

    ahead = [(x(p), y(v)) for p, v in zip(own["position"], own["high_s"], strict=True)]
    back = [(x(p), y(v)) for p, v in zip(own["position"], own["low_s"], strict=True)]
    first, final = (words.amount(own["median_s"][place], numbers.TIME) for place in (0, -1))
    beside = ""
    if other:
        begins, ends = (words.amount(other["median_s"][place], numbers.TIME) for place in (0, -1))
        beside = f" {label}, in grey: {begins} and {ends} (token {other['position'][-1]})."
    step = max(1, math.ceil((last - 2) / 6))
    return {
        "own": line(own),
        "other": line(other),
        "band": f"{_path(ahead + back[::-1])}Z",
        "ticks": [{"x": round(x(p), 1), "text": str(p)} for p in range(2, last + 1, step)],
        "top": words.amount(top, numbers.TIME),
        "text": f"Median gap before token 2: {first}, before token {own['position'][-1]}: {final}.{beside}",
    }


def _path(points: Pairs) -> str:
    return "M" + "L".join(f"{_short(x)} {_short(y)}" for x, y in points)


def _short(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")


def _log_ticks(span: tuple[float, float], x: Any) -> list[dict[str, Any]]:
    """Choose round times on a logarithmic axis, thinned until their texts have room."""
    powers = range(math.floor(math.log10(span[0])), math.ceil(math.log10(span[1])) + 1)
    times = [step * 10.0**power for power in powers for step in STEPS]
    ticks: list[dict[str, Any]] = []
    for time in times:
        if span[0] <= time <= span[1] and (not ticks or x(time) - ticks[-1]["x"] >= 44):
            ticks.append({"x": round(x(time), 1), "text": _round(time)})
    return ticks


def _ticks(longest: float, x: Any) -> list[dict[str, Any]]:
    """Choose from four to nine round times on a linear axis that begins at 0."""
    if longest <= 0:
        return []
    size = 10.0 ** math.floor(math.log10(longest))
    step = next(step * size / 10 for step in (1, 2, 5, 10, 20, 50) if longest / (step * size / 10) <= 7)
    return [{"x": round(x(n * step), 1), "text": _round(n * step)} for n in range(int(longest / step) + 1)]


def _round(seconds: float) -> str:
    size, unit = next(((size, unit) for size, unit in numbers.TIME if seconds >= size), numbers.TIME[0])
    return f"{seconds / size:g} {unit}" if seconds else "0"
