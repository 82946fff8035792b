"""Small interval plots for the table of changes: one line a technique, all on one axis."""

import math
from typing import Any

WIDTH, HEIGHT = 132, 20
PADDING = 5
FINE = (0.05, 0.1, 0.2, 0.35, 0.5, 0.6, 0.8, 1.0, 1.25, 1.6, 2.0, 3.0, 5.0, 10.0, 20.0)
TICKS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 10.0, 20.0)


def forest(changes: list[dict[str, Any] | None], width: int = WIDTH) -> dict[str, Any]:
    """Place changes in percent on a shared logarithmic axis, where halving and doubling are equally far from 1.

    Args:
        changes: one figure a row, None or without a value where there is none; ratios, of the unit 1, are taken as
            they are.
        width: of the plot in pixels.

    Returns:
        ``rows``: per figure the x positions of its value and its interval, or None; ``ticks``: positions and texts;
        ``one``: the position of no change; ``width`` and ``height`` in pixels.
    """
    ratios = [ratio for figure in changes for ratio in _ratios(figure)]
    low, high = min([0.8, *ratios]), max([1.25, *ratios])
    span = math.log(high / low)

    def position(ratio: float) -> float:
        return round(PADDING + (width - 2 * PADDING) * math.log(ratio / low) / span, 1)

    rows = []
    for figure in changes:
        ends = _ratios(figure)
        rows.append([position(ratio) for ratio in ends] if ends else None)
    ticks = [
        {"x": position(tick), "text": f"{tick:g}\N{MULTIPLICATION SIGN}"}
        for tick in _spread(low, high, TICKS if width == WIDTH else FINE)
    ]
    return {"rows": rows, "ticks": ticks, "one": position(1.0), "width": width, "height": HEIGHT}


def _ratios(figure: dict[str, Any] | None) -> list[float]:
    """Return value, low and high as ratios to the reference; low and high are the value where there is no interval."""
    if figure is None or figure["value"] is None:
        return []
    if figure["unit"] == "1":
        value, *ends = (figure["value"] if figure[key] is None else figure[key] for key in ("value", "low", "high"))
    else:
        value = 1 + figure["value"] / 100
        ends = [value if figure[end] is None else 1 + figure[end] / 100 for end in ("low", "high")]
    return [value, *ends] if min(value, *ends) > 0 else []


def _spread(low: float, high: float, ticks: tuple[float, ...]) -> list[float]:
    """Choose at most four ticks that are not too close to each other, one of them 1."""
    inside = [tick for tick in ticks if low <= tick <= high]
    gap = math.log(high / low) / 4
    chosen = [1.0]
    for tick in sorted(inside, key=lambda tick: abs(math.log(tick)), reverse=True):
        if all(abs(math.log(tick / other)) >= gap for other in chosen):
            chosen.append(tick)
    return sorted(chosen)
