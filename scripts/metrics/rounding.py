"""Tokens that rounding alone can flip: logit gaps compared with the effect of another summation order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from scripts.metrics.runs import Run

FALSE_ALARM_RATE = 1e-3
"""How often a technique that only rounds differently may fail the lossless check."""

Rows = Sequence[Sequence[Any] | None] | None


@dataclass(frozen=True)
class Rounding:
    """What a change in the order of float32 sums does to the gap between two logits.

    Attributes:
        scale: root mean square of the movements that were measured.
        bound: largest plausible movement: the largest that was measured, or the quantile of a normal distribution of
            that scale with FALSE_ALARM_RATE divided over all tokens (Bonferroni), whichever is larger.
        gaps: the gaps of all tokens, as far as they were recorded.
    """

    scale: float
    bound: float
    gaps: tuple[float, ...]

    def ties(self, gap: float | None) -> bool:
        """Whether rounding alone can close a gap."""
        return gap is not None and abs(gap) <= self.bound

    def flip_chances(self) -> list[float]:
        """Per token that rounding alone can flip, the chance that another order of sums does."""
        return [self._chance(gap) for gap in self.gaps if self.ties(gap)]

    def _chance(self, gap: float) -> float:
        # Of equal logits whose sums have no error, a kernel may still take either.
        return 0.5 if self.scale == 0 else 0.5 * math.erfc(abs(gap) / self.scale / math.sqrt(2))

    def explains(self, count: int) -> bool:
        """Whether rounding explains so many flipped tokens, at the level FALSE_ALARM_RATE.

        The number of flipped tokens is a sum of independent draws with those chances.
        """
        fewer = [1.0] + [0.0] * max(count - 1, 0)  # the chance of 0, 1, … flipped tokens; of `count` or more, the rest
        for chance in self.flip_chances():
            for flipped in range(len(fewer) - 1, 0, -1):
                fewer[flipped] = fewer[flipped] * (1 - chance) + fewer[flipped - 1] * chance
            fewer[0] *= 1 - chance
        return count == 0 or 1 - sum(fewer) >= FALSE_ALARM_RATE


def measured(margins: Rows, shifts: Rows) -> Rounding | None:
    """The rounding of a run's tokens; None if it was not measured."""
    moved = [shift for row in shifts or [] for shift in row or []]
    if not moved:
        return None
    scale = math.sqrt(sum(shift**2 for shift in moved) / len(moved))
    bound = max(NormalDist().inv_cdf(1 - FALSE_ALARM_RATE / (2 * len(moved))) * scale, *map(abs, moved))
    return Rounding(scale, bound, tuple(gap for row in margins or [] for gap in row or []))


def of_run(run: Run, count: int | None = None) -> Rounding | None:
    """Return what rounding does to the logits of a run's first samples, or of all; None where it was not measured."""
    samples = [sample for each in run.passes() for sample in each[:count]]
    return measured([sample.margins for sample in samples], [sample.margin_shifts for sample in samples])


def is_exact(info: dict[str, Any]) -> bool:
    """Say whether greedy decoding must be exact, by a run.json or a metrics file: float32, nothing quantised.

    Below float32 rounding depends on shapes, so that equal methods can choose other tokens there. Where keys and values
    are rounded to few bits, a difference in the last place can become one of a whole step.
    """
    target, settings = (info.get("models") or {}).get("target") or {}, info.get("settings") or {}
    quantised = settings.get("quantization") not in (None, "none") or isinstance(settings.get("kv_cache"), dict)
    return target.get("dtype") == "float32" and not quantised
