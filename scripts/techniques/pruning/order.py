"""Evidence that a pruning criterion was followed: removed weights have the smallest scores."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@dataclass
class Order:
    """Scores of what was removed and of what was kept.

    Attributes:
        groups: how many groups scores were compared in: the model, a layer, or an output row.
        disordered_groups: groups that lost a larger score than they kept.
        smallest_margin: smallest kept minus largest removed score of a group, the least of all groups; None if no
            group both lost and kept something.
        changed_weights: weights that were kept, but with another value.
        zeros_before: weights that were zero in the checkpoint already.
        removed_weights: weights that were not zero and now are.
    """

    groups: int = 0
    disordered_groups: int = 0
    smallest_margin: float | None = None
    changed_weights: int = 0
    zeros_before: int = 0
    removed_weights: int = 0

    def add(self, scores: torch.Tensor, kept: torch.Tensor) -> None:
        """Compare each row of ``scores`` [groups, n] as a group; ``kept`` [groups, n] says what is left of it."""
        removed = scores.masked_fill(kept, -math.inf).amax(1)  # [groups]
        left = scores.masked_fill(~kept, math.inf).amin(1)
        self._note(left - removed)

    def add_extremes(self, removed: float, left: float) -> None:
        """One group, by the largest removed and the smallest kept score (minus and plus infinity without any)."""
        import torch

        self._note(torch.tensor([left - removed]))

    def _note(self, margins: torch.Tensor) -> None:
        self.groups += len(margins)
        self.disordered_groups += int((margins < 0).sum())
        least = float(margins.min())
        if math.isfinite(least):
            self.smallest_margin = least if self.smallest_margin is None else min(least, self.smallest_margin)

    def facts(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)
