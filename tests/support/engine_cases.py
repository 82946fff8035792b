"""Prompts and stops for the decode loop on several ranks, and what transformers writes for them."""

from pathlib import Path
from typing import Any

NEW = 14
# Six lengths in two buckets, which begin alike.
LENGTHS = (5, 17, 33, 2, 9, 28)
PROMPTS = [[7, 8, 9, *((7 * place + 5 * length) % 300 + 3 for place in range(length))] for length in LENGTHS]
DRAWN = {"temperature": 1.0, "top_p": 0.9, "top_k": 60, "seed": 5}
ONE_BY_ONE = [[prompt] for prompt in PROMPTS]
TOGETHER = [PROMPTS]


def greedy(checkpoint: Path) -> list[list[int]]:
    """Greedy decoding of each prompt by transformers, in float32."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
    found = []
    for prompt in PROMPTS:
        ids = torch.tensor([prompt])
        out = model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=NEW, do_sample=False,
            eos_token_id=None, pad_token_id=0,
        )  # fmt: skip
        found.append(out[0, len(prompt) :].tolist())
    return found


def case(checkpoint: Path, facets: dict[str, Any], batches: list[list[list[int]]], **more: Any) -> dict[str, Any]:
    """What a group is asked to run."""
    return {"checkpoint": str(checkpoint), "facets": facets, "batches": batches, "new_tokens": NEW, "stops": []} | more


def stopping(tokens: list[list[int]]) -> list[int]:
    """A stop token for most rows, at different places."""
    return sorted({row[2 * number] for number, row in enumerate(tokens[:5])})


def cut(tokens: list[int], stops: list[int]) -> list[int]:
    """Tokens up to the first stop."""
    ends = [place for place, token in enumerate(tokens) if token in stops]
    return tokens[: ends[0] + 1] if ends else tokens
