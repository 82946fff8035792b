"""Resizes a draft's embeddings to the target's number of rows, where both share a tokenizer.

Families pad the vocabulary to another size from model to model (Qwen2: 151,936 rows below 7B parameters, 152,064 from
there), and assisted generation needs equal sizes. Rows beyond the last token are unused, so they can
be removed or added.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.runtime.errors import UnsupportedError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


def fit(draft: PreTrainedModel, size: int, tokens: int) -> None:
    """Resize a draft's embeddings and output head to the target's size, in place.

    Args:
        draft: the draft model.
        size: rows of the target's embeddings.
        tokens: rows that a draft must have: one more than the greatest id of the tokenizer's words. Added tokens may
            stand behind them; a draft without a row of its own for one is given the mean.

    Raises:
        UnsupportedError: one of the two models has fewer rows than there are tokens, or the draft's head has no plain
            weight.
    """
    import torch

    config = draft.config.get_text_config()
    own = config.vocab_size
    if own == size:
        return
    if min(own, size) < tokens:
        raise UnsupportedError(
            f"the draft model's vocabulary has {own} rows and the target's {size}, but their tokenizer has {tokens} "
            "tokens; choose a draft of the target's family."
        )
    embedding, head = draft.get_input_embeddings(), draft.get_output_embeddings()
    if type(head) is not torch.nn.Linear:
        raise UnsupportedError(
            f"the draft model's vocabulary has {own} rows and the target's {size}, and its output head, a "
            f"{type(head).__name__}, can't be brought to another size; choose a draft with the target's size."
        )
    tied = head.weight is embedding.weight
    embedding.weight = _resized(embedding.weight, size)
    head.weight = embedding.weight if tied else _resized(head.weight, size)
    if head.bias is not None:
        head.bias = _resized(head.bias, size)
    embedding.padding_idx = None  # for gradients alone, and it may have been cut off
    embedding.num_embeddings = head.out_features = config.vocab_size = size
    if hasattr(draft, "vocab_size"):
        draft.vocab_size = size


def _resized(weight: torch.nn.Parameter, size: int) -> torch.nn.Parameter:
    """Remove rows, or append the mean of all rows, whose logit is the mean logit and so never the maximum."""
    import torch

    rows = weight.detach()
    if size > len(rows):
        mean = rows.float().mean(dim=0, keepdim=True).to(rows.dtype)
        rows = torch.cat([rows, mean.expand(size - len(rows), *rows.shape[1:])])
    return torch.nn.Parameter(rows[:size].clone(), requires_grad=False)
