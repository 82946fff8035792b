"""Draws tokens in transformers' ``generate``, and scores them as they were drawn.

``generate`` decodes greedily from logits that carry the noise: see :mod:`scripts.runtime.gumbel`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from transformers import LogitsProcessor

    from scripts.runtime.drawing import Sampler
    from scripts.runtime.models import Loaded


FILTERED = -1e6  # in place of minus infinity, which JSON can't hold


def drawing(loaded: Loaded, input_ids: torch.Tensor, mask: torch.Tensor) -> list[LogitsProcessor]:
    """The processors of logits for one call of ``generate``; none where decoding is greedy.

    Args:
        loaded: the technique's models.
        input_ids: int64 [requests, tokens], as ``generate`` is given them.
        mask: of the same shape, 0 where there is padding, which stands on the left.
    """
    if loaded.sampler is None:
        return []
    lengths = mask.sum(dim=1)
    prompts = [row[len(row) - length :] for row, length in zip(input_ids.tolist(), lengths.tolist(), strict=True)]
    return [processor(loaded.sampler, prompts, lengths, input_ids.shape[1])]


def processor(sampler: Sampler, prompts: list[list[int]], lengths: torch.Tensor, width: int) -> LogitsProcessor:
    """What makes of logits those whose largest is the drawn token's.

    Args:
        sampler: how tokens are drawn.
        prompts: token ids of each row's prompt.
        lengths: how many those are, int64 [rows], on the logits' device.
        width: tokens of a row before anything is generated.
    """
    import torch
    from transformers import LogitsProcessor

    from scripts.runtime.gumbel import RowDraws, perturbed

    draws = RowDraws.of(sampler, len(prompts), lengths.device)
    draws.keys.copy_(torch.tensor(sampler.keys(prompts), dtype=torch.int64))

    class Draw(LogitsProcessor):
        def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
            # By the length, since speculation asks for one position several times.
            return perturbed(scores, lengths + (input_ids.shape[1] - width), draws)

    return Draw()


def drawn_from(sampler: Sampler, prompt: list[int], logits: torch.Tensor) -> torch.Tensor:
    """The scores that the tokens of one answer were the largest of.

    Args:
        sampler: how they were drawn.
        prompt: token ids of the prompt.
        logits: float32 [tokens, vocabulary], by which each of them was predicted.

    Returns:
        float32 [tokens, vocabulary]; what was filtered out has the least number that there is.
    """
    import torch

    from scripts.runtime.gumbel import RowDraws, perturbed

    draws = RowDraws.of(sampler, 1, logits.device)
    draws.keys.copy_(torch.tensor(sampler.keys([prompt]), dtype=torch.int64))
    count = len(logits)
    positions = len(prompt) + torch.arange(count, device=logits.device)
    return perturbed(logits, positions, draws.repeated(count)).clamp(min=FILTERED)
