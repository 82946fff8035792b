"""A server's counters in Prometheus' text format: parsed, summed over labels, and what they grew by.

The format: https://prometheus.io/docs/instrumenting/exposition_formats/ (text version 0.0.4).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

_SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?\s*$")
_LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*,?')


@dataclass(frozen=True)
class Sample:
    """One line: the metric's name, its labels, its value."""

    name: str
    labels: dict[str, str]
    value: float


def parse(text: str) -> list[Sample]:
    """The samples of a page; lines that are none are left out, since a server may write its own."""
    found = []
    for line in text.splitlines():
        matched = None if line.startswith("#") else _SAMPLE.match(line)
        if matched is None:
            continue
        try:
            value = float(matched[3])
        except ValueError:
            continue
        labels = {name: _unescaped(inner) for name, inner in _LABEL.findall(matched[2] or "")}
        found.append(Sample(matched[1], labels, value))
    return found


def total(samples: list[Sample], name: str) -> float | None:
    """Sum of a metric over all its labels; None where the page does not have it, or it is not finite.

    A counter may be called with or without its ending ``_total``.
    """
    same = {name, name.removesuffix("_total"), f"{name}_total"}
    values = [sample.value for sample in samples if sample.name in same]
    return sum(values) if values and all(map(math.isfinite, values)) else None


def product_of_labels(samples: list[Sample], name: str, labels: list[str]) -> int | None:
    """The product of some labels of a metric that are whole numbers, the metric's value without labels."""
    for sample in samples:
        if sample.name != name:
            continue
        if not labels:
            return int(sample.value) if math.isfinite(sample.value) else None
        values = [sample.labels.get(label, "") for label in labels]
        return math.prod(map(int, values)) if all(value.isdigit() for value in values) else None
    return None


def increase(before: list[Sample], after: list[Sample], name: str) -> float | None:
    """How much a counter grew; None where the second page does not have it, or it went down.

    A counter that appears with its first increment began at zero.
    """
    ended = total(after, name)
    if ended is None:
        return None
    grown = ended - (total(before, name) or 0.0)
    return grown if grown >= 0 else None


def _unescaped(value: str) -> str:
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], value)
