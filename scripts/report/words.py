"""Pieces of sentences: ratios, amounts and lists as a reader would say them, and what a verdict allows to be said."""

from typing import Any

from scripts.report import numbers

NO_DIFFERENCE = "no measurable difference"
SAME = 0.02
"""Ratios this close to 1 are said to be the same; work is computed from shapes and differs a little by length."""


def times(value: float) -> str:
    """Return a ratio with one decimal, two for a ratio below 2 and none from 10 on."""
    decimals = 0 if value >= 9.95 else 1 if value >= 1.95 else 2 if value >= 0.0995 else 3
    return f"{numbers.fixed(value, decimals)}{numbers.TIMES}"


def as_many(value: float, what: str) -> str:
    """Return how much of something there is by its ratio to the other's, as fewer, as many or a multiple."""
    if abs(value - 1) <= SAME:
        return f"as many {what}"
    return f"{times(1 / value)} fewer {what}" if value <= 0.5 else f"{times(value)} the {what}"


def amount(value: float, units: list[tuple[float, str]]) -> str:
    """Return a value in the unit that suits it, with three digits."""
    if value == 0:
        return f"0 {units[0][1]}"
    return numbers.column_scale([value], units).show_with_unit(value)


def between(figure: dict[str, Any], show: Any) -> str:
    """Return the interval of a figure in words in brackets; empty where it has none."""
    low, high = figure.get("low"), figure.get("high")
    if low is None or high is None:
        return ""
    return f" (95% interval {show(low)} to {show(high)})"


def is_tested(figure: dict[str, Any]) -> bool:
    """Whether a change has the verdict of a test; with one run, or too few prompts, it has none."""
    return not (figure.get("verdict") or "not tested").startswith("not tested")


def verdict(figure: dict[str, Any]) -> str:
    """Return a change's verdict; where its own interval leaves no change out, that the correction decided."""
    known = figure.get("verdict")
    low, high = figure.get("ratio_low", figure.get("low")), figure.get("ratio_high", figure.get("high"))
    if known == NO_DIFFERENCE and None not in (low, high) and not low <= 1 <= high:
        return f"{NO_DIFFERENCE} after Holm's correction"
    return known or "not tested"


def listed(parts: list[str], last: str = "and") -> str:
    """Return parts as ``a``, ``a and b`` or ``a, b and c``."""
    return f"{', '.join(parts[:-1])} {last} {parts[-1]}" if len(parts) > 1 else "".join(parts)


def sentence(text: str) -> str:
    """Return a text with a capital letter and one full stop."""
    text = text.strip()
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""


def value(technique: dict[str, Any], key: str) -> float | None:
    """Return a figure's value; None where it was not measured."""
    return ((technique.get("figures") or {}).get(key) or {}).get("value")


def ratio(technique: dict[str, Any], parent: dict[str, Any] | None, key: str) -> float | None:
    """Return a figure over the parent's, where both are known."""
    own, other = value(technique, key), value(parent or {}, key)
    return own / other if own is not None and other else None


def change(technique: dict[str, Any], key: str, against: str = "parent") -> dict[str, Any]:
    """Return a change against the parent or the baseline; empty where there is none."""
    return ((technique["changes"][against].get("figures") or {}).get(key)) or {}
