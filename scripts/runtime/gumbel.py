"""Draws tokens by the Gumbel-max rule, with noise that belongs to the request, the position and the token alone.

A token is drawn from softmax(logits) as the argmax of logits + g, where g are independent draws from the standard
Gumbel distribution (Gumbel, 1954; Maddison, Tarlow and Minka, 2014). So drawing is greedy decoding of other logits:
whatever computes the same logits takes the same token, in any batch, and tokens can be compared one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from scripts.runtime import uniforms as numbers
from scripts.runtime.drawing import Sampler

Uniforms = Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor]


@dataclass
class RowDraws:
    """How each of B rows is drawn, in tensors whose addresses never change.

    Attributes:
        keys: int64 [B]: of the noise.
        temperature: float32 [B]; a row with 0 is decoded greedily.
        top_k: int64 [B]: so many of the most likely tokens are left; None where no row has a limit.
        cut: float32 [B]: 1 less top_p, the probability that the least likely tokens, which are left out, may have
            together; None where no row has a limit.
    """

    keys: torch.Tensor
    temperature: torch.Tensor
    top_k: torch.Tensor | None
    cut: torch.Tensor | None

    @classmethod
    def of(cls, sampler: Sampler, rows: int, device: torch.device) -> RowDraws:
        """The settings of a sampler in every row; keys are 0 until they are set."""

        def filled(value: float, dtype: torch.dtype) -> torch.Tensor:
            return torch.full((rows,), value, dtype=dtype, device=device)

        return cls(
            filled(0, torch.int64), filled(sampler.temperature, torch.float32),
            None if sampler.top_k is None else filled(sampler.top_k, torch.int64),
            None if sampler.top_p >= 1 else filled(1 - sampler.top_p, torch.float32),
        )  # fmt: skip

    def take(self, rows: torch.Tensor) -> RowDraws:
        """Some of the rows, int64 [N], in that order; one may come several times."""
        return RowDraws(*(None if each is None else each[rows] for each in self._columns()))

    def first(self, count: int) -> RowDraws:
        """Views of the first rows."""
        return RowDraws(*(None if each is None else each[:count] for each in self._columns()))

    def repeated(self, count: int) -> RowDraws:
        """The only row, so many times."""
        return RowDraws(*(None if each is None else each.expand(count) for each in self._columns()))

    def _columns(self) -> tuple[torch.Tensor | None, ...]:
        return self.keys, self.temperature, self.top_k, self.cut


def perturbed(
    logits: torch.Tensor, positions: torch.Tensor, draws: RowDraws,
    uniforms: Uniforms = numbers.uniforms,
) -> torch.Tensor:  # fmt: skip
    """What the drawn token is the argmax of.

    Args:
        logits: [T, vocabulary].
        positions: int [T]: where the drawn tokens will stand in their requests, from 0.
        draws: of T rows.
        uniforms: makes the numbers on the logits' device.

    Returns:
        float32 [T, vocabulary]: filtered logits over the temperature, and Gumbel noise; -inf where filtered out.
    """
    temperature = draws.temperature[:, None]
    drawn = temperature > 0
    scores = kept(logits.float() / torch.where(drawn, temperature, 1.0), draws.top_k, draws.cut)
    # -log(1 - u) is exponentially distributed as -log(u) is, and its small values, which win, are not rounded away.
    noise = -torch.log(-torch.log1p(-uniforms(draws.keys, positions, logits.shape[1])))
    return scores + torch.where(drawn, noise, 0.0)


def kept(scores: torch.Tensor, top_k: torch.Tensor | None, cut: torch.Tensor | None) -> torch.Tensor:
    """Scores with -inf in place of those filtered out, by the rules and in the order of transformers' warpers.

    ``top_k`` leaves the k largest and what equals the least of them (Fan et al., 2018); top_p = 1 - ``cut`` then leaves
    the fewest that reach that probability together (Holtzman et al., 2020), one at least.

    Args:
        scores: float32 [T, vocabulary].
        top_k, cut: [T]; None leaves all.
    """
    if top_k is None and cut is None:
        return scores
    ascending, order = scores.sort(dim=-1)
    if top_k is not None:
        place = (scores.shape[1] - top_k).clamp(min=0)[:, None]
        least = ascending.gather(1, place)
        scores = scores.masked_fill(scores < least, -torch.inf)
        ascending = ascending.masked_fill(ascending < least, -torch.inf)
    if cut is None:
        return scores
    reached = ascending.softmax(dim=-1).cumsum(dim=-1)
    removed = (reached <= cut[:, None]) & (cut > 0)[:, None]
    removed[:, -1] = False
    return scores.masked_fill(torch.zeros_like(removed).scatter(1, order, removed), -torch.inf)
