"""Groups requests into batches and encodes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase


def group(lengths: list[int], size: int) -> list[list[int]]:
    """Indices of the requests of each batch.

    Args:
        lengths: prompt tokens of each request.
        size: requests per batch. With more than one, requests are sorted by length, so that little is padding.
    """
    order = sorted(range(len(lengths)), key=lambda index: lengths[index]) if size > 1 else list(range(len(lengths)))
    return [order[start : start + size] for start in range(0, len(order), size)]


def first_of_each_shape(lengths: list[list[int]]) -> list[int]:
    """Indices of the first batch with each number of requests and padded length.

    Args:
        lengths: prompt tokens of each request, by batch.
    """
    first: dict[tuple[int, int], int] = {}
    for index, batch in enumerate(lengths):
        first.setdefault((len(batch), max(batch)), index)
    return list(first.values())


def encode(
    prompts: list[str], tokenizer: PreTrainedTokenizerBase, device: torch.device, prompt_tokens: int | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and attention mask of a batch, both int64 [requests, tokens], padded on the left.

    Args:
        prompts: the texts.
        tokenizer: the model's; its padding side must be left where prompts differ in length.
        device: where the tensors go.
        prompt_tokens: repeat and cut every prompt to this many tokens.
    """
    if prompt_tokens is not None:
        import torch

        rows = [repeat_to_length(row, prompt_tokens) for row in tokenizer(prompts)["input_ids"]]
        ids = torch.tensor(rows, device=device)
        return ids, torch.ones_like(ids)
    inputs = tokenizer(prompts, return_tensors="pt", padding=len(prompts) > 1).to(device)
    return inputs["input_ids"], inputs["attention_mask"]


def repeat_to_length(tokens: list[int], length: int) -> list[int]:
    """The tokens, repeated until there are ``length`` of them."""
    return (tokens * -(-length // len(tokens)))[:length]
