"""transformers' cache whose keys and values are rounded as the graph engine stores them: what its tokens must equal."""

import torch
from transformers import DynamicCache

from scripts.kernels.quantised_cache import DTYPES, quantise, restore


class RoundedCache(DynamicCache):
    """Keeps keys and values in the model's dtype, each rounded to 8 bits and back as it comes."""

    def __init__(self, config, dtype):
        super().__init__(config=config)
        self.stored = DTYPES[dtype]

    def update(self, key_states, value_states, *arguments, **options):
        """Keep new keys and values, [B, heads, S, width]; gives all that attention reads."""
        rounded = (restore(*quantise(x, self.stored), x.dtype) for x in (key_states, value_states))
        return super().update(*rounded, *arguments, **options)


def rounded_tokens(model, prompts, new_tokens, dtype):
    """What transformers writes after each prompt by itself with such a cache."""
    found = []
    for prompt in prompts:
        ids = torch.tensor([prompt], device=model.device)
        out = model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=new_tokens, do_sample=False,
            eos_token_id=None, pad_token_id=2, past_key_values=RoundedCache(model.config, dtype),
        )  # fmt: skip
        found.append(out[0, len(prompt) :].tolist())
    return found
